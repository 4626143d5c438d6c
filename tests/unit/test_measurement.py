"""Scores, windows, and what a measurement holds against a result."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.measurement import (
    Measurement,
    StreamTimes,
    Window,
    duration_problems,
    lost_frames,
    roomy_rate,
    track_problems,
    windows,
)
from tests.examples import a_score


def video(end_s: float = 10.0, *, start_s: float = 0.0, fps: float = 25.0) -> StreamTimes:
    return StreamTimes(
        kind="video",
        number=1,
        codec="h264",
        start_s=start_s,
        end_s=end_s,
        frame_duration_s=1 / fps,
    )


def audio(
    end_s: float = 10.0,
    *,
    start_s: float = 0.0,
    number: int = 1,
    language: str | None = None,
    channels: int | None = 2,
    frame_duration_s: float = 1024 / 48000,
) -> StreamTimes:
    return StreamTimes(
        kind="audio",
        number=number,
        codec="aac",
        start_s=start_s,
        end_s=end_s,
        frame_duration_s=frame_duration_s,
        language=language,
        channels=channels,
    )


SOURCE = (video(), audio())


def varying(crowded: int | None, quick_frame_s: float | None) -> tuple[StreamTimes]:
    return (replace(video(), frames=100, crowded_frames=crowded, quick_frame_s=quick_frame_s),)


@pytest.mark.parametrize(
    ("crowded", "quick_frame_s", "result_rate", "lost"),
    [
        (30, 1 / 60, "30/1", True),
        (3, 1 / 60, "50/1", True),
        (2, 1 / 60, "50/1", False),  # one here and there
        (30, 1 / 32, "30/1", False),  # uneven, and no quicker than that
        (0, 1 / 25, "25/1", False),
        (30, 1 / 60, None, False),  # the result keeps the times of its source
        (None, None, "25/1", False),  # nobody counted
    ],
)
def test_pictures_without_a_place_are_lost(crowded, quick_frame_s, result_rate, lost) -> None:
    result = (replace(video(), frame_rate=result_rate),)
    said = lost_frames(varying(crowded, quick_frame_s), result)
    assert (said is not None) is lost
    assert said is None or f"{crowded} of 100 pictures" in said


@pytest.mark.parametrize(
    ("quick_frame_s", "rate"),
    [
        (0.01667, "60/1"),
        (0.016683, "60000/1001"),
        (0.0306, "30/1"),  # a camera at 30 whose pictures come unevenly
        (0.04, "25/1"),
        (1 / 65, "60/1"),
        (1 / 70, "90/1"),
        (1 / 240, None),
        (None, None),
    ],
)
def test_the_rate_with_room_is_a_common_one(quick_frame_s, rate) -> None:
    assert roomy_rate(varying(9, quick_frame_s)) == rate


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ({"shape": 16 / 9}, {"shape": 4 / 3}, "1.33 times as wide as high instead of 1.78"),
        ({"shape": 161 / 121}, {"shape": 160 / 120}, None),
        ({"shape": None}, {"shape": 4 / 3}, None),
        ({"transparent": True}, {}, "alpha channel"),
        ({"transparent": True}, {"transparent": True}, None),
        ({}, {"transparent": True}, None),
    ],
)
def test_shape_and_transparency_of_the_picture_must_stay(before, after, problem) -> None:
    found = track_problems((replace(video(), **before),), (replace(video(), **after),))
    assert len(found) == (problem is not None)
    assert all(str(problem) in sentence for sentence in found)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("5.1(side)", "5.1", None),  # one for players
        ("quad", "4.0", "is marked 4.0 instead of quad"),
        ("stereo", "downmix", None),
        ("4 channels", "quad", None),  # nobody said where they belong
        (None, "quad", None),
    ],
)
def test_channels_must_stay_where_they_belong(before, after, problem) -> None:
    sounds = (replace(audio(), layout=layout, channels=4) for layout in (before, after))
    one, other = sounds
    found = track_problems((video(), one), (video(), other))
    assert len(found) == (problem is not None)
    assert all(str(problem) in sentence for sentence in found)


@pytest.mark.parametrize(
    "result",
    [
        (video(), audio()),
        (video(9.96), audio()),  # one frame of 25 fps
        (video(), audio(9.958)),  # two frames of AAC
        (video(), audio(10.042)),
    ],
)
def test_a_frame_more_or_less_is_allowed(result):
    assert duration_problems(SOURCE, result) == ()


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (
            (video(), audio(9.92)),
            "audio track 1 lasts 9.920 s instead of 10.000 s (43 ms are allowed)",
        ),
        (
            (video(9.92), audio()),
            "video lasts 9.920 s instead of 10.000 s (43 ms are allowed)",
        ),
        (
            (video(), audio(10.1)),
            "audio track 1 lasts 10.100 s instead of 10.000 s (43 ms are allowed)",
        ),
        ((video(), audio(start_s=0.1)), "audio track 1 starts 100 ms later than in the original"),
    ],
)
def test_more_than_that_is_a_problem(result, sentence):
    assert duration_problems(SOURCE, result) == (sentence,)


def test_late_start_filled_with_silence_is_no_problem():
    source = (video(), audio(start_s=0.5))
    assert duration_problems(source, (video(), audio(start_s=0.0))) == ()


def test_track_moved_as_a_whole_within_its_length_is_no_length_problem():
    source = (video(start_s=0.08, end_s=10.08), audio())
    assert duration_problems(source, (video(), audio())) == ()


def test_slow_films_get_one_of_their_own_frames():
    assert duration_problems((video(fps=10),), (video(9.9, fps=10),)) == ()
    assert duration_problems((video(fps=10),), (video(9.8, fps=10),)) != ()


def test_packets_of_pcm_do_not_widen_what_is_allowed():
    source = (video(), audio(frame_duration_s=0.5))
    assert duration_problems(source, (video(), audio(9.8))) != ()


def test_lost_track_is_named():
    source = (video(), audio(), audio(number=2))
    assert track_problems(source, (video(), audio())) == ("there are 1 audio tracks instead of 2",)


def test_result_without_video_is_named():
    assert track_problems(SOURCE, (audio(),)) == ("there is no video",)


def test_changed_language_and_channels_are_named():
    source = (video(), audio(language="fra", channels=6), audio(number=2, language="deu"))
    result = (video(), audio(language=None, channels=2), audio(number=2, language="eng"))
    assert track_problems(source, result) == (
        "audio track 1 is marked undetermined instead of fra",
        "audio track 1 has 2 channels instead of 6",
        "audio track 2 is marked eng instead of deu",
    )


def test_two_spellings_of_one_language_are_equal():
    assert track_problems((video(), audio(language="ger")), (video(), audio(language="deu"))) == ()


def test_track_that_gains_a_language_is_fine():
    assert track_problems(SOURCE, (video(), audio(language="eng"))) == ()


def test_short_film_is_compared_whole():
    assert windows(119.9, 120) == (Window(start_s=0.0, length_s=None),)


def test_long_film_is_compared_at_both_ends_and_evenly_between():
    found = windows(3600, 120, window_s=5, count=4)
    assert found == (
        Window(start_s=0.0, length_s=5),
        Window(start_s=1198.333, length_s=5),
        Window(start_s=2396.667, length_s=5),
        Window(start_s=3595.0, length_s=None),
    )
    assert windows(3600, 120, window_s=5, count=4) == found


@given(st.floats(0.01, 100_000), st.floats(0, 600), st.floats(0.5, 20), st.integers(2, 40))
def test_windows_never_overlap_or_leave_the_film(duration_s, full_below_s, window_s, count):
    found = windows(duration_s, full_below_s, window_s=window_s, count=count)
    assert found[0].start_s == 0
    assert found[-1].length_s is None
    assert found[-1].start_s < duration_s
    for before, after in pairwise(found):
        assert before.length_s is not None
        assert before.start_s + before.length_s <= after.start_s + 0.002


def test_measurement_survives_json():
    measurement = Measurement(
        source_tracks=SOURCE,
        result_tracks=(video(9.96), audio(language="eng")),
        decode_errors=2,
        first_errors=("[h264] [error] error while decoding MB 10 4",),
        score=a_score(),
        coverage=0.5,
        measured_by="ffmpeg n9.0.2",
        notes=("A note.",),
        commands=(("-i", "{result}"), ("-i", "{source}")),
    )
    assert Measurement.from_json(json.loads(json.dumps(measurement.to_json()))) == measurement
