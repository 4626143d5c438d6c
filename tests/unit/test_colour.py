"""Which tags of a result belie what it shows, beside those of its source."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain.colour import (
    Colour,
    colour_notes,
    colour_problems,
    mapped_problems,
    unsaid_problems,
)
from chalicelib.domain.material import Handling
from chalicelib.domain.measurement import Measurement, StreamTimes
from chalicelib.domain.search import Target
from chalicelib.domain.verdict import Decision, judge
from tests.examples import a_plan, a_score, tracks

SDR = Colour(range="tv", matrix="bt709", primaries="bt709", transfer="bt709")
PQ = Colour(range="tv", matrix="bt2020nc", primaries="bt2020", transfer="smpte2084")
HLG = replace(PQ, transfer="arib-std-b67")
UNSAID = Colour(range="tv")


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (SDR, SDR, None),
        (PQ, PQ, None),
        (HLG, HLG, None),
        (UNSAID, SDR, None),
        (SDR, UNSAID, None),
        (SDR, replace(SDR, transfer="iec61966-2-1"), None),
        (replace(SDR, matrix="bt470bg"), replace(SDR, matrix="smpte170m"), None),
        (replace(SDR, matrix="gbr"), SDR, None),
        (SDR, PQ, "PQ (high dynamic range) instead of SDR"),
        (UNSAID, HLG, "HLG (high dynamic range) instead of SDR"),
        (PQ, SDR, "SDR (standard dynamic range) instead of PQ"),
        (PQ, UNSAID, "SDR (standard dynamic range) instead of PQ"),
        (PQ, HLG, "HLG (high dynamic range) instead of PQ"),
        (SDR, replace(SDR, matrix="smpte170m"), "smpte170m instead of bt709"),
        (SDR, replace(SDR, primaries="bt2020"), "bt2020 instead of bt709"),
    ],
)
def test_tags_of_a_result_mean_what_the_source_s_do(
    before: Colour, after: Colour, problem: str | None
) -> None:
    found = list(colour_problems(before, after))
    assert (len(found) == 1 and problem in found[0]) if problem else found == []


@pytest.mark.parametrize("after", [PQ, HLG, replace(SDR, primaries="bt2020")])
def test_what_became_sdr_is_not_tagged_otherwise(after: Colour) -> None:
    assert len(list(mapped_problems(after))) == 1
    assert list(mapped_problems(SDR)) == list(mapped_problems(UNSAID)) == []


def coloured(colour: Colour, **changes: object) -> tuple[StreamTimes, ...]:
    video, sound = tracks()
    return replace(video, colour=colour, **changes), sound  # type: ignore[arg-type]


def decided(
    source: Colour,
    result: Colour,
    *,
    tone_map: bool = False,
    encoder_ssim_mean: float | None = 0.96,
) -> Decision:
    measurement = Measurement(
        source_tracks=coloured(source),
        result_tracks=coloured(result),
        decode_errors=0,
        coverage=1.0,
        measured_by="ffmpeg",
        score=a_score(),
    )
    return judge(
        plan=a_plan(
            handling=Handling(tone_map=tone_map),
            aim=Target(metric="SSIM", mean=0.95, worst=0.85) if tone_map else None,
        ),
        measurement=measurement,
        source_size_bytes=100,
        result_size_bytes=50,
        min_savings_percent=10,
        attempt=1,
        first_attempt=1,
        max_attempts=3,
        encoder_ssim_mean=encoder_ssim_mean,
    ).decision


@pytest.mark.parametrize(
    ("source", "result", "tone_map", "decision"),
    [
        (SDR, SDR, False, Decision.ACCEPT),
        (PQ, PQ, False, Decision.ACCEPT),
        (SDR, PQ, False, Decision.KEEP_ORIGINAL),
        (PQ, SDR, False, Decision.KEEP_ORIGINAL),
        (PQ, SDR, True, Decision.ACCEPT),
        (PQ, PQ, True, Decision.KEEP_ORIGINAL),
        (SDR, SDR, True, Decision.ACCEPT),
    ],
)
def test_nothing_is_published_under_a_wrong_tag(
    source: Colour, result: Colour, tone_map: bool, decision: Decision
) -> None:
    assert decided(source, result, tone_map=tone_map) is decision


@pytest.mark.parametrize(
    ("reported", "decision"),
    [
        (0.96, Decision.ACCEPT),
        (0.945, Decision.ACCEPT),  # as near as samples tell
        (0.93, Decision.KEEP_ORIGINAL),
        (None, Decision.KEEP_ORIGINAL),
    ],
)
def test_after_tone_mapping_the_encoder_s_own_report_counts(
    reported: float | None, decision: Decision
) -> None:
    assert decided(PQ, SDR, tone_map=True, encoder_ssim_mean=reported) is decision


@pytest.mark.parametrize(
    ("before", "lines", "problem"),
    [
        (Colour(matrix="bt709"), 1080, None),
        (Colour(matrix="bt470bg"), 480, None),
        (Colour(matrix="bt709"), 480, "not tagged bt709, and would be taken for smpte170m"),
        (Colour(matrix="smpte170m"), 1080, "not tagged smpte170m, and would be taken for bt709"),
        (Colour(primaries="smpte432"), 1080, "not tagged smpte432, and would look pale"),
        (Colour(), 480, None),
    ],
)
def test_tags_that_are_gone_are_wrong_where_players_guess_otherwise(
    before: Colour, lines: int, problem: str | None
) -> None:
    found = list(unsaid_problems(before, Colour(), lines))
    assert len(found) == (problem is not None)
    assert all(str(problem) in said for said in found)


def test_what_hardly_anyone_sees_is_a_note() -> None:
    plain = Colour(matrix="bt709", primaries="bt709", transfer="bt709")
    screen = Colour(matrix="bt709", primaries="bt709", transfer="iec61966-2-1")
    assert list(colour_notes(plain, plain)) == []
    assert list(colour_notes(Colour(), plain)) == []
    assert list(colour_notes(screen, plain)) == [
        "The transfer curve of the colours: tagged bt709 instead of iec61966-2-1."
    ]
    assert list(colour_notes(plain, Colour(matrix="bt709"))) == [
        "The primaries of the colours: not tagged bt709.",
        "The transfer curve of the colours: not tagged bt709.",
    ]
