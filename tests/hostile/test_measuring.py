"""Films that lie about time are compared, or not, but never with arguments ffmpeg refuses."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from chalicelib.adapters.ffmpeg import Ffmpeg
from chalicelib.domain.ffmpeg_output import parse_probe
from chalicelib.domain.measurement import StreamTimes, Window, same_language
from chalicelib.measuring.compare import comparison_arguments
from chalicelib.measuring.look import Look
from chalicelib.measuring.workbench import Clip, Workbench


def film(frame_duration_s: float, length_s: float) -> Look:
    video = StreamTimes(
        kind="video",
        number=1,
        codec="h264",
        start_s=0.0,
        end_s=length_s,
        frame_duration_s=frame_duration_s,
    )
    return Look(width=320, height=240, pixel_format="yuv420p", tracks=(video,))


@pytest.mark.parametrize("frame_s", [0.04, 100.0, 2 * 86_400.0, 1e9])
@pytest.mark.parametrize("start_s", [0.0, 500.0])
def test_a_frame_may_claim_to_last_for_days(frame_s: float, start_s: float) -> None:
    clip = Clip(url="/film.mp4", size_bytes=1)
    bench = Workbench(Ffmpeg("/ffmpeg"), clip, clip, lambda: 60.0)
    both = film(frame_s, 10 * frame_s)
    window = Window(start_s=start_s, length_s=5.0)
    arguments = comparison_arguments(bench, both, both, window)
    times = [float(value) for option, value in pairwise(arguments) if option in ("-t", "-ss")]
    assert times and all(value > 0 for value in times)
    graph = arguments[arguments.index("-lavfi") + 1]
    ends = re.findall(r"trim=end=([\d.]+)", graph)
    assert ends and all(float(end) > 0 for end in ends)


@pytest.mark.parametrize(
    ("told", "language"),
    [
        ("eng", "eng"),
        ("pt-BR", "pt-BR"),
        ("und", None),
        ("zz'<b>", None),
        ("a): Video: h264", None),
        ("x" * 300, None),
        ("=1+1", None),
        ("", None),
    ],
)
def test_a_track_is_seen_whatever_language_it_says_it_speaks(
    told: str, language: str | None
) -> None:
    line = f"  Stream #0:1({told}): Audio: aac (LC), 48000 Hz, stereo, fltp (default)"
    [track] = parse_probe([line]).tracks
    assert (track.kind, track.language, track.channels) == ("audio", language, 2)


def test_a_language_is_the_same_in_capitals() -> None:
    assert same_language("ZZZ") == same_language("zzz") == "zzz"
    assert same_language("GER") == "deu"
    assert same_language("UND") is None
