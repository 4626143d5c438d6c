"""Compare a window of the result with the same window of the source, frame by frame.

The source is turned upright, brought to the result's frame rate and size, and both are lined up by
time stamp from their first frames. On ordinary files this agrees with what anyone gets from
`ffmpeg -i result -i source -lavfi ssim -f null -`.

Source: https://ffmpeg.org/ffmpeg-filters.html#ssim, #Options-for-filters-with-several-inputs
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from chalicelib.domain.ffmpeg_output import Complaints
from chalicelib.domain.frames import Frame, FrameLines, VmafLines
from chalicelib.domain.measurement import ROUNDING_S, StreamTimes, Window
from chalicelib.domain.score import on_screen
from chalicelib.measuring.look import Look
from chalicelib.measuring.treatment import treatment
from chalicelib.measuring.workbench import Film, Workbench

#: Source before a window, so that a frame shown since earlier is there to compare with.
_PREROLL_S = 0.5
#: Source after a window, for the same at its end.
_POSTROLL_S = 1.0
#: A stretch of the result begins and ends this much of a frame early, so that its edges never
#: fall on a frame, whose time stamp may be rounded either way.
_EARLY_FRAMES, _EARLY_SHARE = 0.25, 0.25
_IN_STEP = "ts_sync_mode=nearest"
#: Small pictures, in which black, blank and still ones are told from others at next to no cost.
_SMALL = "scale=32:18:flags=area,format=yuv444p"
#: What they are averaged from has half the lines, again and again, but never fewer than these:
#: eight for each of a small picture's. Leaving lines out costs nothing, reading them does.
_LINES = 144
#: Sharing so small a picture out among threads takes longer than looking at it.
_ALONE = "threads=1"
VMAF_MODEL = "vmaf_v0.6.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of one window.

    Attributes:
        frames: what was found of each of the result's frames.
        vmafs: their VMAF, where it was asked for.
        damage: complaints about the result.
        source_errors: complaints about the source.
    """

    frames: tuple[Frame, ...]
    vmafs: tuple[float, ...]
    damage: Complaints
    source_errors: int


def compare(
    bench: Workbench, result: Look, source: Look, window: Window, *, vmaf: bool = False
) -> Comparison:
    """Decode both films side by side and score the result's frames.

    ffmpeg does not say which of its inputs it complains about. When it does complain, or frames are
    missing, the result is decoded once more by itself.

    Raises:
        Temporary: a film could not be reached.
        ToolTimedOut: it takes more time than there is.
    """
    both = Complaints()
    lines, vmaf_lines = FrameLines(), VmafLines()
    arguments = comparison_arguments(bench, result, source, window, vmaf=vmaf)
    bench.run_counting(
        arguments, both, on_data=lines.feed, on_stderr=vmaf_lines.feed if vmaf else None
    )
    frames = lines.frames()
    damage = Complaints()
    expected = _expected_frames(result, window)
    if both.errors or (expected is not None and len(frames) < expected):
        _decode_result(bench, result, window, damage, expected)
    return Comparison(
        # What is shown after the result's last frame is compared with that frame; not counted.
        frames=tuple(frames[:expected]),
        vmafs=tuple(vmaf_lines.scores[:expected]),
        damage=damage,
        source_errors=max(0, both.errors - damage.errors),
    )


def _decode_result(
    bench: Workbench, result: Look, window: Window, damage: Complaints, expected: int | None
) -> None:
    """Frames that vanish without a word are damage too. One may: the last, cut by an edit list."""
    frames = 0

    def count(line: str) -> None:
        nonlocal frames
        frames += not line.startswith("#")

    opened = bench.reading(Film.RESULT, *_stretch(result, window, 0.0, 0.0))
    # A wrapped frame is a reference to one, so nothing is copied or summed up.
    listing = ["-c:v", "wrapped_avframe", "-fps_mode", "passthrough", "-f", "framecrc", "-"]
    bench.run_counting([*opened, "-map", "0:V:0", *listing], damage, count)
    if expected is not None and frames < expected - 1 and not damage.errors:
        damage.feed(f"[error] only {frames} of {expected} frames could be decoded")


def _expected_frames(result: Look, window: Window) -> int | None:
    """Frames of the whole film; None for a part, where nobody has counted."""
    is_whole = window.start_s == 0 and window.length_s is None
    return result.video.frames if is_whole and result.video is not None else None


def comparison_arguments(
    bench: Workbench, result: Look, source: Look, window: Window, *, vmaf: bool = False
) -> list[str]:
    return [
        "-copyts",
        *bench.reading(Film.RESULT, *_stretch(result, window, 0.0, 0.0)),
        *bench.reading(Film.SOURCE, *_stretch(source, window, _PREROLL_S, _POSTROLL_S)),
        "-lavfi",
        _graph(result, source, window, vmaf=vmaf),
        *("-map", "[seen]"),
        *(("-map", "[vmaf]") if vmaf else ()),
        "-fps_mode",
        "passthrough",
        "-f",
        "null",
        "-",
    ]


def _stretch(look: Look, window: Window, before_s: float, after_s: float) -> list[str]:
    """Input options that read a window; none for what reaches from the start to the end."""
    assert look.video is not None
    options: list[str] = []
    early_s = _early_s(look.video, window)
    lead_s = look.video_start_s - look.file_start_s  # what the file has before its first frame
    seek_s = lead_s + window.start_s - max(before_s, early_s)
    if window.start_s > 0 and seek_s > 0:
        options += ["-ss", f"{seek_s:.6f}"]
        lead_s = max(before_s, early_s)
    if window.length_s is not None:
        options += ["-t", f"{lead_s + window.length_s - early_s + after_s:.6f}"]
    return options


def _graph(result: Look, source: Look, window: Window, *, vmaf: bool) -> str:
    video = result.video
    assert video is not None
    same = f",format={result.pixel_format}" if result.pixel_format else ""
    # A result with frames of unequal length keeps the source's own time stamps.
    rate = treatment(result, source) + (f",fps={video.frame_rate}" if video.frame_rate else "")
    until = f",trim=end={_end_s(video, window):.6f}"
    small = _small(result.height)
    size = f",scale={result.width}:{result.height}:flags=bicubic"
    copies = (
        (",split[result][result_on]", ",split[source][source_on]")
        if vmaf
        else ("[result]", "[source]")
    )
    chains = [
        f"[0:V:0]{_from_zero(result, window)}{copies[0]}",
        f"[1:V:0]{_from_zero(source, window)}{rate}{until}{copies[1]}",
        f"[result]null{same}[a];[source]null{size}{same},split[b][c]",
        f"[a][b]ssim={_IN_STEP},{small}[small_a];[c]{small}[small_b]",
        f"[small_a][small_b]psnr={_IN_STEP}:{_ALONE},signalstats={_ALONE},"
        "metadata=print:file=-[seen]",
        *([_vmaf(result, source)] if vmaf else []),
    ]
    return ";".join(chains)


def _small(lines: int) -> str:
    halves = 0
    while lines >> (halves + 1) >= _LINES:
        halves += 1
    return halves * "field=type=top," + _SMALL


def _vmaf(result: Look, source: Look) -> str:
    """Both as they fill a screen. The log goes where only whole lines are printed: what else is on
    stdout is printed in blocks, the last of them after the log."""
    assert source.video is not None
    shape = source.video.shape or source.width / source.height
    width, height = on_screen(shape * source.height, source.height)
    depth = "yuv420p10le" if "10" in result.pixel_format else "yuv420p"
    even = f"scale={width}:{height}:flags=bicubic,format={depth},setsar=1"
    model = f"model=version={VMAF_MODEL}:n_threads={os.cpu_count() or 1}"
    return (
        f"[result_on]{even}[screen_a];[source_on]{even}[screen_b];"
        f"[screen_a][screen_b]libvmaf={model}:{_IN_STEP}:log_fmt=csv:log_path=/dev/stderr[vmaf]"
    )


def _end_s(video: StreamTimes, window: Window) -> float:
    """The source must be over before the result is: ffmpeg would go on, comparing the result's last
    frame with whatever comes. (`trim` rounds to whole frames where they last equally long.)"""
    length_s = window.length_s or video.duration_s - window.start_s
    if window.length_s is None and video.frame_rate is None:
        return length_s - ROUNDING_S  # nobody knows how long the last frame is
    return length_s - _early_s(video, window)


def _early_s(video: StreamTimes, window: Window) -> float:
    """Never much of the window, though a frame may claim to last for days."""
    early_s = _EARLY_FRAMES * video.frame_duration_s
    return early_s if window.length_s is None else min(early_s, _EARLY_SHARE * window.length_s)


def _from_zero(look: Look, window: Window) -> str:
    """Rounded: a tick may be a whole frame, and `setpts` would cut off what is behind the point."""
    return f"setpts=round(PTS-({look.video_start_s + window.start_s:.6f})/TB)"
