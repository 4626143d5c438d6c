"""Silence that the source does not have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.silence import (
    SOURCE_KEPT,
    Silence,
    SilenceLines,
    missed,
    silence_problems,
)

WHOLE = {1: (0.0, 60.0), 2: (0.0, 60.0)}


def silence(start_s: float, end_s: float, track: int = 1, channel: int = 0) -> Silence:
    return Silence(track=track, channel=channel, start_s=start_s, end_s=end_s)


def left(result: list[Silence], source: list[Silence]) -> list[tuple[float, float]]:
    return [(one.start_s, one.end_s) for one in missed(result, source, WHOLE)]


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ([], [(10.0, 14.0)]),
        ([silence(9.0, 15.0)], []),
        ([silence(10.0, 14.0)], []),
        ([silence(10.1, 13.9)], []),  # a little out of step
        ([silence(10.0, 12.0)], [(12.0, 14.0)]),
        ([silence(11.5, 12.5)], [(10.0, 11.5), (12.5, 14.0)]),
        ([silence(9.5, 11.9), silence(12.1, 20.0)], []),
        ([silence(10.0, 14.0, channel=1)], [(10.0, 14.0)]),
        ([silence(10.0, 14.0, track=2)], [(10.0, 14.0)]),
        ([silence(20.0, 30.0)], [(10.0, 14.0)]),
        ([silence(9.0, 15.0), silence(9.0, 9.0)], []),
        ([silence(0.0, 15.0), silence(1.0, 2.0)], []),
    ],
)
def test_silence_counts_where_the_source_sounds(
    source: list[Silence], missing: list[tuple[float, float]]
) -> None:
    assert left([silence(10.0, 14.0)], source) == missing


def test_before_and_after_the_sources_sound_there_is_silence() -> None:
    late = {1: (3.0, 50.0)}
    assert missed([silence(0.0, 3.0), silence(49.5, 60.0)], [], late) == ()
    assert missed([silence(0.0, 9.0, track=7)], [], late) == ()


def test_too_many_pauses_to_know_all_blame_nothing() -> None:
    many = [silence(2.0 * number, 2.0 * number + 1) for number in range(SOURCE_KEPT)]
    assert missed([silence(10.0, 14.0)], many, WHOLE) == ()


def test_all_channels_together_are_the_track() -> None:
    both = [silence(75.5, 77.5), silence(75.52, 77.5, channel=1), silence(9, 11, track=2)]
    assert silence_problems(both, {1: 2, 2: 2}) == (
        "audio track 1 is silent for 2.0 s at 1:15.5, where the original is not",
        "channel 1 of audio track 2 is silent for 2.0 s at 0:09.0, where the original is not",
    )


def test_only_some_are_told() -> None:
    many = [silence(5.0 * number, 5.0 * number + 2) for number in range(20)]
    said = silence_problems(many, {1: 1})
    assert len(said) == 6
    assert said[-1] == "15 more silences like these"


PRINTED = """\
[silencedetect@a1 @ 0x7f9034013240] [info] channel: 0 | silence_start: 0.501
[silencedetect@a1 @ 0x7f9034013240] [info] channel: 1 | silence_start: 1.000875
[silencedetect@a2 @ 0x7f9034013280] [info] silence_start: -0.02
[silencedetect@a1 @ 0x7f9034013240] [info] channel: 0 | silence_end: 1.499062 | silence_duration: 1
[silencedetect@a1 @ 0x7f9034013240] [info] channel: 1 | silence_end: 2 | silence_duration: 0.999125
[info]     title           : [silencedetect@a1 @ 0x7f] [info] silence_start: 5
[silencedetect@a2 @ 0x7f9034013280] [info] silence_end: 1e+02 | silence_duration: 100
"""


def test_silences_are_read_by_track_and_channel() -> None:
    lines = SilenceLines()
    for line in PRINTED.splitlines():
        lines.feed(line)
    assert lines.found == [
        silence(0.501, 1.499062),
        silence(1.000875, 2.0, channel=1),
        silence(-0.02, 100.0, track=2),
    ]


spans = st.lists(
    st.tuples(st.floats(0, 60), st.floats(0, 5)).map(lambda span: silence(span[0], sum(span))),
    max_size=12,
)


@given(spans, spans)
def test_what_is_missed_is_in_the_result_and_not_in_the_source(
    result: list[Silence], source: list[Silence]
) -> None:
    for start_s, end_s in left(result, source):
        assert end_s - start_s >= 1.0
        assert any(one.start_s <= start_s and end_s <= one.end_s for one in result)
        assert not any(one.start_s < end_s and start_s < one.end_s for one in source)
