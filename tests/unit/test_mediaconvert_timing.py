from fractions import Fraction

import pytest

from slimreel.local.mediaconvert.errors import JobError
from slimreel.local.mediaconvert.framerate import Timing, output_rate, timing
from slimreel.local.mediaconvert.timecode import Clip, clips, frames

MS = Fraction(1, 1000)


def times(gaps):
    total, found = 0, [0]
    for gap in gaps:
        total += gap
        found.append(total)
    return found


def test_matroska_s_rounded_milliseconds_are_a_constant_rate():
    stamps = [round(n * 1000 / 30) for n in range(90)]
    assert timing(stamps, time_base=MS, nominal=Fraction(30)) == Timing(
        rate=Fraction(30), vfr=False
    )


def test_ntsc_rates_stay_exact():
    stamps = [n * 1001 for n in range(100)]
    found = timing(stamps, time_base=Fraction(1, 30000), nominal=Fraction(2997, 100))
    assert found == Timing(rate=Fraction(30000, 1001), vfr=False)


def test_one_gap_does_not_make_a_rate_variable():
    found = timing(times([40] * 100 + [400] + [40] * 100), time_base=MS, nominal=Fraction(25))
    assert found == Timing(rate=Fraction(25), vfr=False)


def test_phone_jitter_is_a_variable_rate():
    found = timing(times([30, 36, 33, 41, 28] * 20), time_base=MS, nominal=Fraction(30))
    assert found.vfr
    assert float(found.rate) == pytest.approx(29.76, abs=0.01)


@pytest.mark.parametrize(
    ("average", "expected"),
    [("0.7", 1), ("4", 5), ("29.8", 30), ("30.02", 30), ("31", 50), ("58.9", 60), ("90", 60)],
)
def test_variable_rates_are_rounded_up_to_the_documented_steps(average, expected):
    assert output_rate(Timing(rate=Fraction(average), vfr=True)) == expected


def test_constant_rates_are_followed():
    assert output_rate(Timing(rate=Fraction(90), vfr=False)) == 90


@pytest.mark.parametrize(
    ("timecode", "rate", "frame"),
    [
        ("00:00:01:05", Fraction(25), 30),
        ("00:01:00:00", Fraction(30000, 1001), 1800),
        ("00:01:00;02", Fraction(30000, 1001), 1800),  # drop frame skips ;00 and ;01
        ("00:10:00;00", Fraction(30000, 1001), 17982),
    ],
)
def test_timecodes_count_frames(timecode, rate, frame):
    assert frames(timecode, rate) == frame


def input_clip(**settings):
    start_timecode = settings.pop("start_timecode", None)
    found = clips(settings, rate=Fraction(25), duration_s=4.0, start_timecode=start_timecode)
    return found[0] if found else None


def test_a_clip_includes_its_end_frame():
    found = input_clip(
        timecodeSource="ZEROBASED",
        inputClippings=[{"startTimecode": "00:00:01:00", "endTimecode": "00:00:01:24"}],
    )
    assert found == Clip(start_s=Fraction(1), duration_s=Fraction(1))


def test_embedded_timecode_moves_the_clip_out_of_the_file():
    clips = [{"startTimecode": "00:00:01:00"}]
    with pytest.raises(JobError) as caught:
        input_clip(inputClippings=clips, start_timecode="01:00:00:00")
    assert caught.value.code == 1060


def test_an_open_ended_clip_runs_to_the_last_frame():
    found = input_clip(inputClippings=[{"startTimecode": "00:00:03:00"}])
    assert found == Clip(start_s=Fraction(3), duration_s=Fraction(1))
