"""MediaConvert's error codes in words for people."""

from __future__ import annotations

import pytest

from chalicelib.domain.encoder_errors import FAULTS, NO_DECODER, own_words, sentence

#: Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/mediaconvert_error_codes.html
DOCUMENTED = (
    *(1010, 1020, 1021, 1022, 1030, 1040, 1041, 1042, 1043, 1050, 1056, 1060, 1075, 1076, 1080),
    *(1091, 1092, 1093, 1401, 1404, 1432, 1433, 1434, 1507, 1515, 1517, 1522, 1550, 1601, 1700),
    *(1999, 3400, 3401, 3403, 3404, 3408, 3450, 3451, 3999),
)


@pytest.mark.parametrize("code", [*DOCUMENTED, 0, 424242, None])
def test_every_code_gives_a_sentence(code: int | None) -> None:
    said = sentence(code)
    assert said[0].isupper() and said.endswith(".")
    assert "None" not in said and "(" not in said.removesuffix("(DRM), so it cannot be encoded.")


@pytest.mark.parametrize(
    ("code", "piece"),
    [
        (1010, "not a video"),
        (1020, "no pictures"),
        (1075, "damaged"),
        (1076, "ends too early"),
        (1091, "encrypted"),
        (1092, "sound"),
    ],
)
def test_bad_videos_are_told_apart(code: int, piece: str) -> None:
    assert piece in sentence(code)


def test_the_encoders_own_words_name_its_code() -> None:
    assert own_words(1076, "end of file") == "MediaConvert 1076: end of file"
    assert own_words(None, "odd") == "MediaConvert (no code): odd"
    assert own_words(1076, None) is None


@pytest.mark.parametrize("code", [1050, 1507, 1517, 1522, 1550, 1999])
def test_faults_of_the_encoder_may_be_tried_again(code: int) -> None:
    assert code in FAULTS


@pytest.mark.parametrize("code", [1010, 1020, 1030, 1040, 1075, 1076, 1091, 1401, 1404, 1432, 1434])
def test_what_another_attempt_cannot_cure_is_no_fault(code: int) -> None:
    assert code not in FAULTS


def test_a_missing_decoder_is_neither_a_fault_nor_a_broken_video() -> None:
    assert 1030 in NO_DECODER
    assert not NO_DECODER & FAULTS
    assert not NO_DECODER & {1010, 1020, 1075, 1076, 1091}
