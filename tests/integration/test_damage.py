"""Every kind of damage is found in a real film, and told in one sentence; a sound encode is not
blamed for anything.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chalicelib.adapters.ffmpeg import Ffmpeg
from chalicelib.domain.measurement import Measurement
from chalicelib.domain.verdict import damage_problems, score_problems
from chalicelib.measuring.measure import Sampling, measure
from chalicelib.measuring.workbench import Clip
from tests.examples import a_plan
from tests.made_clips import BARE, FFMPEG, encode, ffmpeg, make

TOOL = Ffmpeg(FFMPEG)
#: Noise in bursts that come quicker and quicker, so that no two moments are alike.
VOICE = "aevalsrc='(random({0})-0.5)*gt(mod(t*(1+{1}*t),1),0.7)':s=48000"
STEREO = "aevalsrc='(random(1)-0.5)*gt(mod(t*(1+0.11*t),1),0.7)|(random(2)-0.5)*0.2':s=48000"
MOVING = "testsrc2=s=128x96:r=25,drawbox=color=white:t=fill:enable='eq(mod(n,40),7)'"
SECONDS = 9.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def source(place: Path) -> Path:
    """A flash and a click now and then, in two languages."""
    languages = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra")
    said = ("-metadata", "creation_time=2026-05-04T09:30:00Z", "-metadata", "title=Scene 4")
    sounds = (STEREO, VOICE.format(3, 0.17))
    options = (*languages, *said, "-g", "50", "-b:a", "128k")
    return make(place / "source.mp4", *options, picture=MOVING, sounds=sounds, seconds=SECONDS)


def measured(source: Path, result: Path, sampling: Sampling | None = None) -> Measurement:
    clips = [Clip(url=str(path), size_bytes=path.stat().st_size) for path in (source, result)]
    found = measure(TOOL, source=clips[0], result=clips[1], sampling=sampling)
    assert isinstance(found, Measurement)
    return found


def problems(found: Measurement) -> tuple[str, ...]:
    return damage_problems(found, a_plan())


def heard(source: Path, place: Path, *options: str) -> tuple[str, ...]:
    """What is found when only the sound is made anew."""
    result = place / "heard.mp4"
    maps = ("-map", "0:v", "-map", "0:a")
    ffmpeg("-i", source, *maps, "-c:v", "copy", "-b:a", "96k", *options, result)
    return problems(measured(source, result))


def test_a_sound_encode_is_blamed_for_nothing(source: Path, place: Path) -> None:
    low = ("-crf", "33", "-b:a", "64k", "-map_metadata", "0")
    found = measured(source, encode(source, place / "fine.mp4", *low))
    assert problems(found) == ()
    assert (found.notes, found.lost) == ((), ())
    shifts = [reading.shift_s for reading in found.sound]
    assert len(shifts) == 4 and all(shift is not None and abs(shift) < 0.002 for shift in shifts)


def figure(problems: tuple[str, ...], pattern: str) -> float:
    told = [found for said in problems if (found := re.search(pattern, said))]
    assert len(told) == 1, problems
    return float(told[0][1])


@pytest.mark.parametrize("late_ms", [40, 120])
def test_late_sound_is_found_with_its_figure(source: Path, place: Path, late_ms: int) -> None:
    """By a time stamp, as a muxer gets it wrong."""
    result = place / "late.mp4"
    both = ("-i", source, "-itsoffset", f"{late_ms / 1000}", "-i", source)
    ffmpeg(*both, "-map", "0:v", "-map", "1:a:0", "-map", "0:a:1", "-c", "copy", result)
    told = problems(measured(source, result))
    assert figure(told, r"track 1 comes (\d+) ms too late") == pytest.approx(late_ms, abs=2)
    assert not any("track 2" in said for said in told)


def test_early_sound_is_found(source: Path, place: Path) -> None:
    """By samples cut off at the start, as a decoder gets its delay wrong."""
    told = heard(source, place, "-af:0", "atrim=start=0.05,asetpts=PTS-STARTPTS,apad=pad_dur=0.05")
    assert figure(told, r"track 1 comes (\d+) ms too early") == pytest.approx(50, abs=2)


def test_drift_is_found(place: Path) -> None:
    film = make(place / "long.mp4", picture="testsrc2=s=64x48:r=5", sounds=(STEREO,), seconds=30)
    slow = "asetrate=48000*0.9967,aresample=48000,atrim=end=30"  # 100 ms in 30 s
    told = heard(film, place, "-af", slow)
    # From the middle of the first six seconds to that of the last.
    assert figure(told, r"drifts against the picture by (\d+) ms") == pytest.approx(79, abs=4)


def test_samples_lost_on_the_way_are_found(source: Path, place: Path) -> None:
    film = make(place / "gap.mp4", picture="testsrc2=s=64x48:r=5", sounds=(STEREO,), seconds=20)
    cut = "aselect='not(between(t,10,10.08))',asetpts=N/SR/TB,apad=pad_dur=0.08"
    told = heard(film, place, "-af", cut)
    assert figure(told, r"drifts against the picture by (\d+) ms") == pytest.approx(80, abs=22)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("-map", "-0:a", "-map", "0:a:1", "-map", "0:a:0", "-ac:0", "2", "-ac:1", "1"),
         "audio track 1 has the sound of the original's audio track 2"),
        (("-filter:a:0", "pan=stereo|c0=c1|c1=c0"),
         "audio track 1 has its channels (left and right, say) in another order"),
        (("-filter:a:1", "volume=0:enable='between(t,3,6)'"), "audio track 2 is silent for 3."),
        (("-filter:a:0", "pan=stereo|c0=c0|c1=0*c1"), "channel 2 of audio track 1 is silent"),
        (("-filter:a:1", "aeval='(random(7)-0.5)*gt(mod(t*(1+0.3*t),1),0.6)':c=same"),
         "audio track 2 does not sound like the original's"),
    ],
)  # fmt: skip
def test_other_sound_is_found(
    source: Path, place: Path, options: tuple[str, ...], sentence: str
) -> None:
    assert sentence in "; ".join(heard(source, place, *options))


def test_tones_and_silence_tell_nothing(place: Path) -> None:
    film = make(place / "tones.mp4", picture="testsrc2=s=64x48:r=5", seconds=6,
                sounds=("sine=440:r=48000", "anullsrc=r=48000:cl=stereo"))  # fmt: skip
    assert heard(film, place, "-af", "adelay=40:all=1,atrim=end=6") == ()


def seen(source: Path, place: Path, filters: str, *options: str) -> tuple[str, ...]:
    """What is found when the picture is damaged on the way to the encoder."""
    quiet = ("-map", "-0:a", "-t", "4", "-crf", "20")
    result = encode(source, place / "seen.mp4", *quiet, "-vf", filters, *options)
    return problems(measured(place / "quiet.mp4", result))


@pytest.fixture(scope="module")
def quiet(source: Path, place: Path) -> Path:
    path = place / "quiet.mp4"
    ffmpeg("-i", source, "-map", "0:v", "-c", "copy", "-t", "4", path)
    return path


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ("lutyuv=y=16:u=128:v=128:enable='eq(n,44)'", "the picture is black for 0.04 s at 0:01.8"),
        ("lutyuv=y=0:u=0:v=0:enable='between(n,50,59)'", "the picture is green for 0.40 s at 0:02"),
        ("lutyuv=y=128:u=128:v=128:enable='gt(n,90)'", "the picture is of one colour for 0.36 s"),
        ("select='not(between(n,41,70))',fps=25", "the picture stands still for 1."),
        ("scale=out_range=pc,setparams=range=tv", "brighter or darker than the original's"),
        (
            "lutyuv=u=val+12:v=val-12",
            "the picture has other colours than the original's throughout",
        ),
    ],
)
def test_damaged_pictures_are_found(source: Path, place: Path, filters: str, sentence: str) -> None:
    assert sentence in "; ".join(seen(source, place, filters))


@pytest.mark.usefixtures("quiet")
def test_a_scene_that_came_out_badly_is_found(source: Path, place: Path) -> None:
    """Fine on average, and not in one second of it."""
    soft = "gblur=sigma=1.2:enable='between(n,50,74)'"
    encode(source, place / "soft.mp4", "-map", "-0:a", "-t", "4", "-crf", "10", "-vf", soft)
    found = measured(place / "quiet.mp4", place / "soft.mp4")
    assert found.score is not None and found.score.mean > 0.95
    assert found.score.worst_second_at_s == pytest.approx(2.0, abs=0.1)
    told = score_problems(a_plan(), found)
    assert [said for said in told if "in the worst second, at 0:02" in said], found.score


@pytest.mark.usefixtures("quiet")
def test_pictures_missing_without_a_trace_are_found(source: Path, place: Path) -> None:
    told = seen(source, place, "select='not(between(n,41,70))'", "-fps_mode", "vfr")
    assert any("one picture is shown for 1.24 s" in said for said in told)


def test_what_the_source_has_as_well_is_no_damage(source: Path, place: Path) -> None:
    """Black, green and still pictures and silence, a fade and flashes: all of it on purpose."""
    scenes = (
        "lutyuv=y=16:u=128:v=128:enable='between(n,30,60)',"
        "lutyuv=y=0:u=0:v=0:enable='between(n,80,85)',"
        "select='not(between(n,110,140))',fps=25,fade=out:170:40"
    )
    film = place / "on_purpose.mp4"
    muted = ("-filter:a:0", "volume=0:enable='between(t,3,6)'", "-map_metadata", "-1")
    encode(source, film, "-vf", scenes, "-crf", "12", "-t", "8", *muted)
    found = measured(film, encode(film, place / "as_well.mp4", "-crf", "36", "-b:a", "48k"))
    assert problems(found) == ()


@pytest.mark.parametrize(
    ("bits", "sentence"),
    [
        ("matrix_coefficients=9:colour_primaries=9:transfer_characteristics=16",
         "the picture is tagged PQ (high dynamic range) instead of SDR"),
        ("matrix_coefficients=1:colour_primaries=1:transfer_characteristics=1",
         "the colours are tagged bt709 instead of smpte170m"),
    ],
)  # fmt: skip
def test_other_colour_tags_are_found(place: Path, bits: str, sentence: str) -> None:
    marked = ("-color_primaries", "smpte170m", "-color_trc", "smpte170m", "-colorspace",
              "smpte170m", "-vf", "setparams=colorspace=smpte170m")  # fmt: skip
    film = make(place / "marked.mp4", *marked, picture=MOVING, sounds=(), seconds=0.4)
    other = place / "other.mp4"
    ffmpeg("-i", film, "-c", "copy", "-bsf:v", f"h264_metadata={bits}", other)
    assert sentence in "; ".join(problems(measured(film, other)))
    assert problems(measured(film, film)) == ()


def test_what_the_film_says_about_itself_and_no_longer_does_is_named(
    source: Path, place: Path
) -> None:
    bare = place / "bare.mp4"
    ffmpeg("-i", source, "-map", "0", "-c", "copy", *BARE, bare)
    assert measured(source, bare).lost == ("recording date", "title")


def test_vmaf_is_measured_where_it_is_asked_for(place: Path) -> None:
    film = make(place / "small.mp4", picture="testsrc2=s=320x180:r=10", sounds=(), seconds=2.4)
    poor = encode(film, place / "poor.mp4", "-crf", "48")
    asked = Sampling(vmaf=True)
    found = measured(film, film, asked)
    same, worse = found.vmaf, measured(film, poor, asked).vmaf
    assert same is not None and worse is not None
    assert (same.metric, same.frames, worse.frames) == ("VMAF", 24, 24)
    assert worse.mean < 75 < 90 < same.mean
    assert measured(film, poor).vmaf is None
    graph = next(g for command in found.commands for g in command if "libvmaf" in g)
    assert graph.count("scale=1920:1080") == 2
