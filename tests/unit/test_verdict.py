"""Publish, try again, or keep the original."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.measurement import Measurement
from chalicelib.domain.verdict import Decision, Verdict, judge, missing_end, next_plan
from tests.examples import a_measurement, a_plan, a_score, tracks


def judged(measurement: Measurement | None = None, **changes: Any) -> Verdict:
    """A verdict on 300 MB that became 60 MB in the first of three attempts."""
    plain: dict[str, Any] = {
        "plan": a_plan(),
        "measurement": measurement or a_measurement(),
        "source_size_bytes": 300_000_000,
        "result_size_bytes": 60_000_000,
        "min_savings_percent": 10,
        "attempt": 1,
        "first_attempt": 1,
        "max_attempts": 3,
    }
    return judge(**plain | changes)


def scored(mean: float, worst: float = 0.9) -> Measurement:
    return a_measurement(score=a_score(mean=mean, worst_1_percent=worst))


def test_a_smaller_file_that_looks_the_same_is_published() -> None:
    verdict = judged()
    assert verdict.decision is Decision.ACCEPT
    assert verdict.reason == "80 % smaller; all checks passed."
    assert verdict.problems == ()


def test_nothing_is_called_a_hundred_percent_smaller() -> None:
    assert judged(result_size_bytes=900_000).reason.startswith("99.7 % smaller")


# size


@pytest.mark.parametrize(
    ("limit", "decision"),
    [
        (295_000_000, Decision.ACCEPT),  # the original would not have fitted
        (300_000_000, Decision.KEEP_ORIGINAL),  # nor need it be smaller to fit
    ],
)
def test_what_brings_a_file_under_the_limit_is_worth_having(limit: int, decision: Decision) -> None:
    verdict = judged(result_size_bytes=290_000_000, max_output_bytes=limit)
    assert verdict.decision is decision


@pytest.mark.parametrize(
    ("result_size_bytes", "decision"),
    [
        (269_999_999, Decision.ACCEPT),
        (270_000_000, Decision.ACCEPT),  # exactly the 10 % that were asked for
        (270_000_001, Decision.KEEP_ORIGINAL),
        (300_000_000, Decision.KEEP_ORIGINAL),
        (300_000_001, Decision.KEEP_ORIGINAL),
    ],
)
def test_a_result_must_save_the_minimum(result_size_bytes: int, decision: Decision) -> None:
    assert judged(result_size_bytes=result_size_bytes).decision is decision


@pytest.mark.parametrize("least", [0, -5, -1000.0])
@pytest.mark.parametrize("result_size_bytes", [300_000_000, 300_000_001, 600_000_000])
def test_no_setting_lets_a_bigger_file_through(least: float, result_size_bytes: int) -> None:
    verdict = judged(min_savings_percent=least, result_size_bytes=result_size_bytes)
    assert verdict.decision is Decision.KEEP_ORIGINAL


def test_one_byte_less_is_enough_where_any_saving_is_wanted() -> None:
    verdict = judged(min_savings_percent=0, result_size_bytes=299_999_999)
    assert verdict.decision is Decision.ACCEPT
    assert verdict.reason.startswith("0.1 % smaller")


@pytest.mark.parametrize(
    ("result_size_bytes", "reason"),
    [
        (300_000_000, "The compressed file would have been just as big."),
        (300_000_001, "The compressed file would have been 0.1 % bigger."),
        (450_000_000, "The compressed file would have been 50 % bigger."),
        (900_000_000, "The compressed file would have been 200 % bigger."),
        (
            270_120_000,
            "Compressing would have saved only 9.9 %, less than the 10 % that make it worth while.",
        ),
    ],
)
def test_the_reason_says_how_it_missed_the_size(result_size_bytes: int, reason: str) -> None:
    assert judged(result_size_bytes=result_size_bytes).reason == reason


def test_too_little_saved_is_not_tried_again() -> None:
    # A higher level makes the file bigger still.
    verdict = judged(scored(0.80), result_size_bytes=299_000_000)
    assert verdict.decision is Decision.KEEP_ORIGINAL


# score


@pytest.mark.parametrize(
    ("mean", "worst", "decision"),
    [
        (0.95, 0.85, Decision.ACCEPT),  # exactly the floors
        (0.9499, 0.9, Decision.RETRY_HIGHER),
        (0.99, 0.8499, Decision.RETRY_HIGHER),
        (0.5, 0.1, Decision.RETRY_HIGHER),
    ],
)
def test_both_floors_must_be_reached(mean: float, worst: float, decision: Decision) -> None:
    assert judged(scored(mean, worst)).decision is decision


def test_a_score_that_is_no_number_reaches_no_floor() -> None:
    assert judged(scored(float("nan"), 0.9)).decision is Decision.RETRY_HIGHER
    assert judged(scored(0.99, float("nan"))).decision is Decision.RETRY_HIGHER


def test_a_narrow_miss_does_not_read_as_a_hit() -> None:
    assert judged(scored(0.949999)).reason.endswith("(mean SSIM) is 0.949, below 0.950")


def test_every_missed_floor_is_told() -> None:
    assert judged(scored(0.91, 0.8)).problems == (
        "likeness to the original (mean SSIM) is 0.910, below 0.950",
        "likeness in the worst 1 % of frames (SSIM) is 0.800, below 0.850",
    )


def test_a_preset_without_floors_asks_for_none() -> None:
    free = a_plan(ssim_floor=None, ssim_worst_floor=None)
    assert judged(scored(0.1, 0.1), plan=free).decision is Decision.ACCEPT


@pytest.mark.parametrize(
    ("attempt", "first_attempt", "decision"),
    [
        (1, 1, Decision.RETRY_HIGHER),
        (2, 1, Decision.RETRY_HIGHER),
        (3, 1, Decision.KEEP_ORIGINAL),
        (3, 2, Decision.RETRY_HIGHER),  # attempt 1 was the encoder's own fault
        (4, 2, Decision.KEEP_ORIGINAL),
    ],
)
def test_only_so_many_attempts_are_paid_for(
    attempt: int, first_attempt: int, decision: Decision
) -> None:
    verdict = judged(scored(0.9), attempt=attempt, first_attempt=first_attempt)
    assert verdict.decision is decision


def test_there_is_nothing_above_level_ten() -> None:
    verdict = judged(scored(0.9), plan=a_plan(qvbr_level=10))
    assert verdict.decision is Decision.KEEP_ORIGINAL
    assert verdict.reason == (
        "No setting looked good enough: likeness to the original (mean SSIM) is 0.900, below 0.950."
    )


# damage


@pytest.mark.parametrize(
    ("measurement", "piece"),
    [
        (a_measurement(decode_errors=2, first_errors=("broken slice",)), "broken slice"),
        (a_measurement(decode_errors=1), "1 error came up while decoding it"),
        (a_measurement(result_tracks=tracks()[:1]), "0 audio tracks instead of 1"),
        (a_measurement(result_tracks=tracks()[1:]), "there is no video"),
        (a_measurement(score=None), "could not be compared"),
        (
            a_measurement(result_tracks=(tracks()[0], replace(tracks()[1], end_s=59.9))),
            "audio track 1 lasts 59.900 s instead of 60.000 s",
        ),
        (
            a_measurement(result_tracks=(tracks()[0], replace(tracks()[1], language="deu"))),
            "marked deu instead of eng",
        ),
    ],
)
def test_damage_keeps_the_original_at_once(measurement: Measurement, piece: str) -> None:
    verdict = judged(measurement)
    assert verdict.decision is Decision.KEEP_ORIGINAL
    assert verdict.reason.startswith("The compressed file failed a check: ")
    assert any(piece in problem for problem in verdict.problems)


def test_a_decoders_words_are_for_the_engineer() -> None:
    said = "[aac] [error] Number of bands (7) exceeds limit (4)."
    verdict = judged(a_measurement(decode_errors=2, first_errors=(said,)))
    assert verdict.reason == (
        "The compressed file failed a check: 2 errors came up while decoding it."
    )
    assert said in str(verdict.problems)


def test_a_damaged_file_is_not_tried_again_for_its_score() -> None:
    low = replace(scored(0.5), decode_errors=1)
    assert judged(low).decision is Decision.KEEP_ORIGINAL


def test_an_empty_source_is_never_undercut() -> None:
    verdict = judged(source_size_bytes=0, result_size_bytes=0)
    assert verdict.decision is Decision.KEEP_ORIGINAL


# a source that was cut off


def lasting(*ends_s: float) -> Measurement:
    found = tuple(
        replace(track, end_s=end_s) for track, end_s in zip(tracks(), ends_s, strict=True)
    )
    return a_measurement(source_tracks=found)


@pytest.mark.parametrize(
    ("promised_s", "ends_s"),
    [
        (60.0, (60.0, 60.0)),
        (60.0, (58.9, 58.9)),  # headers are not exact
        (60.0, (30.0, 60.0)),  # sound that goes on is no cut
        (60.0, (61.0, 61.0)),
        (1.0, (0.6, 0.6)),
        (None, (1.0, 1.0)),
    ],
)
def test_a_source_that_is_all_there_has_no_missing_end(
    promised_s: float | None, ends_s: tuple[float, float]
) -> None:
    assert missing_end(lasting(*ends_s), promised_s) is None


@pytest.mark.parametrize(
    ("promised_s", "there_s"), [(60.0, 58.0), (60.0, 0.0), (1.0, 0.4), (7200.0, 3600.0)]
)
def test_a_source_that_ends_before_its_index_says_so_is_told_apart(
    promised_s: float, there_s: float
) -> None:
    said = missing_end(lasting(there_s, there_s), promised_s)
    assert said is not None and "send it again" in said
    assert f"{promised_s:.1f} s" in said and f"{there_s:.1f} s" in said


def test_tracks_nobody_read_prove_nothing() -> None:
    assert missing_end(a_measurement(source_tracks=()), 60.0) is None


# another picture


def test_another_picture_that_the_encoder_is_content_with_is_not_tried_again() -> None:
    verdict = judged(scored(0.73, 0.57), encoder_ssim_mean=0.995)
    assert verdict.decision is Decision.KEEP_ORIGINAL
    assert "mirrored" in verdict.reason
    assert len(verdict.problems) == 2


@pytest.mark.parametrize(("ours", "theirs"), [(0.94, 0.96), (0.7, 0.71), (0.7, 0.9), (0.7, None)])
def test_a_low_score_that_both_see_is_tried_again(ours: float, theirs: float | None) -> None:
    verdict = judged(scored(ours), encoder_ssim_mean=theirs)
    assert verdict.decision is Decision.RETRY_HIGHER


# a frame rate that varies


def varying(quick_frame_s: float, rate: str, **changes: Any) -> Measurement:
    """30 of 100 frames had no place at `rate`."""
    before, after = tracks()[0], tracks()[0]
    before = replace(before, frames=100, crowded_frames=30, quick_frame_s=quick_frame_s)
    result = (replace(after, frame_rate=rate), *tracks()[1:])
    return a_measurement(source_tracks=(before, *tracks()[1:]), result_tracks=result, **changes)


def test_lost_pictures_are_fetched_back_by_a_higher_frame_rate() -> None:
    verdict = judged(varying(1 / 60, "50/1"))
    assert verdict.decision is Decision.RETRY_HIGHER
    assert "30 of 100 pictures would be lost" in verdict.reason
    again = next_plan(a_plan(), varying(1 / 60, "50/1"))
    assert again is not None
    assert (again.frame_rate, again.qvbr_level) == ("60/1", a_plan().qvbr_level)
    foreseen = next_plan(a_plan(frame_rate="50/1"), varying(1 / 60, "50/1"))
    assert foreseen is not None and foreseen.frame_rate == "60/1"


@pytest.mark.parametrize(
    ("quick_frame_s", "changes"),
    [
        (1 / 240, {}),  # no rate has room for slow motion
        (1 / 60, {"plan": a_plan(frame_rate="60/1")}),  # tried already
        (1 / 60, {"attempt": 3}),
    ],
)
def test_what_would_stay_lost_keeps_the_original(
    quick_frame_s: float, changes: dict[str, Any]
) -> None:
    verdict = judged(varying(quick_frame_s, "50/1"), **changes)
    assert verdict.decision is Decision.KEEP_ORIGINAL
    assert "less smoothly" in verdict.reason


def test_lost_pictures_come_before_a_low_score() -> None:
    low = a_score(mean=0.9, worst_1_percent=0.9)
    both = varying(1 / 60, "50/1", score=low)
    verdict = judged(both)
    assert [verdict.decision, len(verdict.problems)] == [Decision.RETRY_HIGHER, 2]
    again = next_plan(a_plan(), both)
    assert again is not None and again.frame_rate == "60/1"
