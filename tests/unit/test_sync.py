"""How late the sound of a result is, found in the loudness of both films."""

from __future__ import annotations

import math
import random
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.codec import from_plain, to_plain
from chalicelib.domain.loudness import BLOCKS_PER_S, RATE_HZ, Loudness, Sound, readings, sounds
from chalicelib.domain.sync import Reading, sound_problems


def speech(seconds: float, seed: int = 1) -> Loudness:
    """Syllables: bursts of different length and height, with pauses."""
    chance = random.Random(seed)
    found: list[float] = []
    while len(found) < seconds * BLOCKS_PER_S:
        height = chance.uniform(300, 9000)
        length = chance.randint(10, 50)
        found += [height * math.sin(math.pi * (n + 0.5) / length) for n in range(length)]
        found += [chance.uniform(0, 40) for _ in range(chance.randint(4, 60))]
    return found[: round(seconds * BLOCKS_PER_S)]


def moved(loudness: Loudness, by_s: float) -> Loudness:
    """Later by a time, in whole blocks; silence comes in."""
    blocks = round(by_s * BLOCKS_PER_S)
    if blocks >= 0:
        return [*([0.0] * blocks), *loudness[: len(loudness) - blocks]]
    return [*loudness[-blocks:], *([0.0] * -blocks)]


def coded(loudness: Loudness, seed: int = 9) -> Loudness:
    """As a lossy encode leaves it: a little off everywhere."""
    chance = random.Random(seed)
    return [block * chance.uniform(0.8, 1.2) + chance.uniform(0, 30) for block in loudness]


def mono(*tracks: Loudness) -> list[Sound]:
    return [Sound((track,)) for track in tracks]


def problems(source: Loudness, result: Loudness) -> tuple[str, ...]:
    return sound_problems(readings(mono(source), mono(result), 0.0))


@pytest.mark.parametrize("by_s", [0.0, 0.04, -0.04, 0.1, -0.25, 0.5, -0.5, 1.5])
@pytest.mark.parametrize("seconds", [8.0, 40.0])
def test_a_shift_is_found_to_a_few_milliseconds(by_s: float, seconds: float) -> None:
    source = speech(seconds)
    found = readings(mono(source), mono(coded(moved(source, by_s))), 0.0)
    shifts = [reading.shift_s for reading in found if reading.shift_s is not None]
    assert shifts
    assert all(abs(shift - by_s) < 0.003 for shift in shifts)


@pytest.mark.parametrize(
    ("by_s", "sentence"),
    [
        (0.0, None),
        (0.02, None),
        (-0.02, None),
        (0.04, "audio track 1 comes 40 ms too late for the picture (30 ms are allowed)"),
        (-0.1, "audio track 1 comes 100 ms too early for the picture (30 ms are allowed)"),
    ],
)
def test_late_and_early_sound_is_told_with_figures(by_s: float, sentence: str | None) -> None:
    source = speech(20.0)
    said = problems(source, moved(source, by_s))
    assert said == ((sentence,) if sentence else ())


def test_drift_is_told_with_both_ends() -> None:
    source = speech(40.0)
    faster = [source[min(round(n * 0.9975), len(source) - 1)] for n in range(len(source))]
    [said] = problems(source, faster)
    assert said.startswith("audio track 1 drifts against the picture by 8")
    assert "ms late at 0:" in said


def test_a_drop_in_the_middle_is_drift() -> None:
    source = speech(40.0)
    half = len(source) // 2
    dropped = [*source[:half], *source[half + 16 :], *([0.0] * 16)]
    [said] = problems(source, dropped)
    assert "drifts against the picture by 80 ms: 0 ms late at 0:03.0, 80 ms early" in said


@pytest.mark.parametrize(
    "sound",
    [
        [0.0] * 4000,  # silence
        [6000.0] * 4000,  # a tone
        [6000.0, 6050.0] * 2000,
        [20.0, 3.0] * 2000,  # next to silence
        [],
        [500.0],
    ],
)
def test_silence_and_tones_tell_nothing(sound: Loudness) -> None:
    found = readings(mono(sound), mono(coded(moved(sound, 0.0))), 0.0)
    assert all(reading.shift_s is None for reading in found)
    assert sound_problems(found) == ()


def beat(seconds: float, every_s: float) -> Loudness:
    every = round(every_s * BLOCKS_PER_S)
    return [8000.0 if n % every < 4 else 10.0 for n in range(round(seconds * BLOCKS_PER_S))]


def test_of_a_beat_the_smallest_shift_counts() -> None:
    metronome = beat(20.0, 0.5)
    assert problems(metronome, coded(metronome)) == ()
    [said] = problems(metronome, coded(moved(metronome, 0.1)))
    assert "100 ms too late" in said


def test_what_swells_slowly_is_too_vague_to_tell() -> None:
    swell = [3000 + 2900 * math.sin(n / 300) for n in range(6000)]
    assert problems(swell, coded(moved(swell, 0.04))) == ()


def test_swapped_tracks_are_told_by_number() -> None:
    german, french = speech(20.0, seed=1), speech(20.0, seed=2)
    found = readings(mono(german, french), mono(french, german), 0.0)
    assert sound_problems(found) == (
        "audio track 1 has the sound of the original's audio track 2",
        "audio track 2 has the sound of the original's audio track 1",
    )
    assert sound_problems(readings(mono(german, french), mono(german, french), 0.0)) == ()


def test_languages_that_share_their_music_are_told_apart() -> None:
    music = speech(20.0, seed=3)
    german = [a + b for a, b in zip(music, speech(20.0, seed=1), strict=True)]
    french = [a + b for a, b in zip(music, speech(20.0, seed=2), strict=True)]
    found = readings(mono(german, french), mono(coded(french), coded(german)), 0.0)
    assert [said.split(" has ")[1] for said in sound_problems(found)] == [
        "the sound of the original's audio track 2",
        "the sound of the original's audio track 1",
    ]
    same = readings(mono(german, french), mono(coded(german), coded(french)), 0.0)
    assert sound_problems(same) == ()


def test_another_sound_is_told() -> None:
    assert problems(speech(20.0, seed=1), speech(20.0, seed=2)) == (
        "audio track 1 does not sound like the original's",
    )


def stereo(left: Loudness, right: Loudness) -> list[Sound]:
    return [Sound((left, right))]


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_swapped_channels_are_told(share: float) -> None:
    left = speech(20.0)
    right = [share * block for block in left]
    said = sound_problems(readings(stereo(left, right), stereo(coded(right), coded(left)), 0.0))
    assert said == ("audio track 1 has its channels (left and right, say) in another order",)
    assert sound_problems(readings(stereo(left, right), stereo(coded(left), right), 0.0)) == ()


def test_alike_channels_have_no_order() -> None:
    left = speech(20.0)
    found = readings(stereo(left, left), stereo(coded(left, 3), coded(left, 4)), 0.0)
    assert sound_problems(found) == ()


def test_silence_that_the_source_does_not_have_is_told() -> None:
    source = speech(20.0)
    gone = [*source[:2000], *([0.0] * 400), *source[2400:]]
    assert problems(source, gone) == (
        "audio track 1 is silent for 2.0 s at 0:10.0, where the original is not",
    )
    assert problems(gone, gone) == ()
    assert problems(gone, source) == ()


def test_a_place_says_where_in_the_film_it_is() -> None:
    source = speech(12.0)
    found = readings(mono(source), mono(moved(source, 0.1)), 600.0)
    assert [reading.at_s for reading in found] == [603.0, 609.0]
    assert tuple(from_plain(Reading, to_plain(reading)) for reading in found) == found


def test_samples_are_taken_apart_by_track_and_channel() -> None:
    frames = RATE_HZ // 10
    one = array("h", [100, -200, 300] * frames)  # a mono and a stereo track
    first, second = sounds(one.tobytes() + b"x", [1, 2])
    assert first == Sound(([100.0] * 20,))
    assert second == Sound(([200.0] * 20, [300.0] * 20))
    assert sounds(b"", [1]) == [Sound(([],))]


loudness = st.lists(st.floats(0, 32768) | st.just(0.0), max_size=500)


@settings(max_examples=40, deadline=None)
@given(loudness, loudness)
def test_no_sound_breaks_the_comparison(before: Loudness, after: Loudness) -> None:
    for reading in readings(mono(before), mono(after), 0.0):
        assert reading.shift_s is None or abs(reading.shift_s) <= 2.0
        assert reading.likeness is None or -1.001 <= reading.likeness <= 1.001


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(-60, 60))
def test_a_true_shift_is_never_told_wrong(seed: int, blocks: int) -> None:
    source = speech(7.0, seed=seed)
    result = coded(moved(source, blocks / BLOCKS_PER_S), seed=seed + 1)
    for reading in readings(mono(source), mono(result), 0.0):
        assert reading.shift_s is not None
        assert abs(reading.shift_s - blocks / BLOCKS_PER_S) < 0.004
