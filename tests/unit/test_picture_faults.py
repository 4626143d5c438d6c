"""Blank and still pictures of the result that the source does not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.codec import from_plain, to_plain
from chalicelib.domain.frames import Frame, FrameLines, VmafLines
from chalicelib.domain.picture_faults import FAULTS_KEPT, PictureSum, picture_faults

GOOD = {"ssim": 0.97, "luma_error": 1.0, "chroma_error": 0.5, "motion": 2.0}
BLACK = {"ssim": 0.3, "darkest": 16.0, "brightest": 16.0, "luma": 16.0, "luma_error": 2500.0}
GREEN = {**BLACK, "darkest": 0.0, "brightest": 0.0, "luma": 0.0, "blue": 0.0, "red": 0.0}
STILL = {**GOOD, "motion": 0.0}


def film(*parts: tuple[int, dict[str, Any]], fps: float = 25.0) -> list[Frame]:
    kinds = [kind for count, kind in parts for _ in range(count)]
    return [Frame(time_s=number / fps, **{**GOOD, **kind}) for number, kind in enumerate(kinds)]


def kinds(frames: Sequence[Frame]) -> list[str]:
    return [fault.kind for fault in picture_faults(frames)]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (BLACK, "black"),
        (GREEN, "green"),
        ({**BLACK, "luma": 235.0}, "white"),
        ({**BLACK, "luma": 120.0, "red": 200.0}, "blank"),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 30])
def test_blank_frames_are_found_however_few(kind: dict[str, Any], name: str, count: int) -> None:
    frames = film((50, GOOD), (count, kind), (50, GOOD))
    [fault] = picture_faults(frames, start_s=60.0)
    assert (fault.kind, fault.start_s) == (name, 62.0)
    assert fault.end_s == pytest.approx(62 + count / 25)


def test_a_fault_is_told_in_one_sentence() -> None:
    [fault] = picture_faults(film((50, GOOD), (25, BLACK), (50, GOOD)), start_s=60.0)
    assert fault.sentence == "the picture is black for 1.00 s at 1:02.0, where the original is not"


def test_black_at_either_end_counts_too() -> None:
    assert kinds(film((1, BLACK), (50, GOOD))) == ["black"]
    assert kinds(film((50, GOOD), (3, BLACK))) == ["black"]


@pytest.mark.parametrize(
    "also",
    [
        {**BLACK, "luma_error": 0.2},  # black in both
        {**BLACK, "luma_error": 40.0},  # crushed a little in a fade
        {**GOOD, "luma_error": 400.0},  # unlike, but not blank
    ],
)
def test_what_is_no_blank_picture_of_its_own_is_no_fault(also: dict[str, Any]) -> None:
    assert kinds(film((50, GOOD), (30, also), (50, GOOD))) == []


def test_a_flash_that_is_out_of_step_by_a_frame_is_no_fault() -> None:
    missed = {**GOOD, "luma_error": 900.0}
    assert kinds(film((50, GOOD), (1, BLACK), (1, missed), (50, GOOD))) == []


def moving_on(count: int, error_a_frame: float) -> list[tuple[int, dict[str, Any]]]:
    """A picture that stays while the source's goes on."""
    return [(1, {**STILL, "luma_error": 1.0 + error_a_frame * n}) for n in range(1, count + 1)]


def test_a_picture_that_stays_while_the_source_moves_is_frozen() -> None:
    [fault] = picture_faults(film((50, GOOD), *moving_on(25, 3.0), (50, GOOD)))
    assert (fault.kind, fault.start_s, fault.end_s) == ("frozen", 1.96, 3.0)
    assert "stands still for 1.04 s at 0:02.0" in fault.sentence


@pytest.mark.parametrize(
    ("count", "error_a_frame"),
    [
        (100, 0.0),  # the source stands still, too
        (100, 0.05),  # a cloud moves, or a light fades by a step
        (8, 30.0),  # a stutter
    ],
)
def test_other_still_pictures_are_not(count: int, error_a_frame: float) -> None:
    assert kinds(film((50, GOOD), *moving_on(count, error_a_frame), (50, GOOD))) == []


def test_black_is_not_told_twice() -> None:
    frames = film((50, GOOD), (50, {**BLACK, "motion": 0.0}), (50, GOOD))
    assert kinds(frames) == ["black"]


def test_a_film_of_other_brightness_throughout_is_told() -> None:
    darker = film((100, {**GOOD, "luma_error": 60.0}))
    [said] = PictureSum().add(darker, 0.0).problems()
    assert said == "the picture is brighter or darker than the original's throughout"
    pale = film((100, {**GOOD, "chroma_error": 60.0}))
    assert "other colours" in str(PictureSum().add(pale, 0.0).problems())
    assert PictureSum().add(film((100, GOOD)), 0.0).problems() == ()
    assert PictureSum().add(pale, 0.0).problems(tone_mapped=True) == ()


def test_a_sum_stays_small() -> None:
    flicker = film(*[(5, GOOD), (5, BLACK)] * 1000)
    total = PictureSum().add(flicker, 0.0)
    assert len(total.faults) == FAULTS_KEPT
    assert total.problems()[-1] == "980 more stretches like these"
    assert from_plain(PictureSum, to_plain(total)) == total


values = st.floats(0, 255)
any_frames = st.lists(
    st.builds(
        Frame,
        time_s=st.just(0.0),
        ssim=st.floats(-1, 1),
        luma_error=st.floats(0, 65025),
        chroma_error=st.floats(0, 65025),
        darkest=values,
        brightest=values,
        luma=values,
        blue=values,
        red=values,
        motion=values,
    ),
    max_size=80,
)


@given(any_frames)
def test_faults_lie_within_the_stretch_and_in_order(drawn: list[Frame]) -> None:
    frames = [replace(frame, time_s=number / 10) for number, frame in enumerate(drawn)]
    faults = picture_faults(frames, start_s=5.0)
    assert [fault.start_s for fault in faults] == sorted(fault.start_s for fault in faults)
    for fault in faults:
        assert 5.0 <= fault.start_s <= fault.end_s <= 5.0 + len(frames) / 10 + 0.001


# what ffmpeg prints

PRINTED = """\
frame:0    pts:0       pts_time:0
lavfi.ssim.Y=0.446257
lavfi.ssim.All=0.630838
lavfi.ssim.dB=4.327831
lavfi.psnr.mse.y=4.170573
lavfi.psnr.psnr.y=41.928848
lavfi.psnr.mse.u=0.000000
lavfi.psnr.psnr.u=inf
lavfi.psnr.mse.v=1.500000
lavfi.psnr.mse_avg=1.390191
lavfi.signalstats.YMIN=32
lavfi.signalstats.YLOW=41
lavfi.signalstats.YAVG=122.079
lavfi.signalstats.YMAX=210
lavfi.signalstats.UAVG=129.299
lavfi.signalstats.VAVG=126.53
lavfi.signalstats.YDIF=0
frame:1    pts:512     pts_time:0.04
lavfi.ssim.All=-0.011000
lavfi.signalstats.YDIF=1.77431
"""
VMAF_PRINTED = """
0,1,2
[h264 @ 0x1] [error] 7,8,9 Frame,integer_adm2,vmaf,
0,0.864679,40.050717,
[h264 @ 0x1] [warning] something else
1,0.863697,nan,
2,0.863697,
3,0.863697,x
"""


@pytest.mark.parametrize("piece", [1, 7, 50, 10_000])
def test_figures_are_read_from_what_ffmpeg_prints(piece: int) -> None:
    lines, printed = FrameLines(), PRINTED.encode()
    for start in range(0, len(printed), piece):
        lines.feed(printed[start : start + piece])
    first, second = lines.frames()
    assert first == Frame(
        time_s=0.0,
        ssim=0.630838,
        luma_error=4.170573,
        chroma_error=1.5,
        darkest=32.0,
        brightest=210.0,
        luma=122.079,
        blue=129.299,
        red=126.53,
        motion=0.0,
    )
    assert (second.time_s, second.ssim, second.motion) == (0.04, -0.011, 1.77431)


def test_vmaf_is_read_from_among_other_lines() -> None:
    lines = VmafLines()
    for line in VMAF_PRINTED.splitlines():
        lines.feed(line)
    assert lines.scores == [40.050717, 0.0]


@pytest.mark.parametrize(
    "line", ["", "lavfi.ssim.All=", "lavfi.ssim.All=x", "frame:x", "[warning]"]
)
def test_other_lines_are_no_figures(line: str) -> None:
    lines = FrameLines()
    lines.feed(line.encode() + b"\n")
    assert lines.frames() == []
