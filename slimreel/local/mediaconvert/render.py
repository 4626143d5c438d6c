"""A job's output as ffmpeg commands. Pure: settings and facts in, argument lists out.

One command decodes once, filters once and encodes. When per-frame metrics are asked for, it also
feeds the encoded packets back through a decoder (`-dec`) and compares them with the very frames
that entered the encoder; but not where there is sound. Then a second command compares what was
written with the frames made anew, because ffmpeg 9.0 comes to a standstill now and then (7 of 150
times on a busy machine) when it decodes sound beside that: every thread waits for another one.
Its scheduler holds decoders back since https://code.ffmpeg.org/FFmpeg/FFmpeg/pulls/23030.

Commands use paths relative to their working directory for all they write, so that they can be run
again anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from slimreel.local.mediaconvert.audio import AudioPlan
from slimreel.local.mediaconvert.source import DEMUXERS, Source
from slimreel.local.mediaconvert.timecode import Clip
from slimreel.local.mediaconvert.video import VideoPlan

#: Names of what a command writes in its working directory.
VSTATS = "vstats.log"
SSIM_LOG = "ssim.log"
PSNR_LOG = "psnr.log"
VMAF_LOG = "vmaf.csv"
_PASS_LOG = "pass"

#: FrameMetricType values that libvmaf computes, with the feature each needs besides the model.
VMAF_FEATURES = {"VMAF": None, "MS_SSIM": "name=float_ms_ssim", "PSNR_HVS": "name=psnr_hvs"}


#: ffmpeg forgets these with every input, so each says them.
_SAFELY = ("-protocol_whitelist", "file", "-format_whitelist", DEMUXERS, "-noautorotate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """Everything ffmpeg must be told for one output.

    Attributes:
        clips: what is strung together; none for the whole file.
        output_name: file name in the working directory, with the extension.
        muxer: ffmpeg muxer, "mp4" or "mov".
        duration_s: length of the output as planned.
        cut_to_s: end the file here, None to let every track run out.
    """

    source: Source
    clips: tuple[Clip, ...]
    video: VideoPlan | None
    audio: tuple[AudioPlan, ...]
    output_name: str
    muxer: str
    moov_first: bool
    duration_s: float
    cut_to_s: float | None = None


def commands(ffmpeg: str, rendering: Rendering) -> tuple[tuple[str, ...], ...]:
    """The command lines to run one after the other."""
    opened, video = _input(ffmpeg, rendering), rendering.video
    made: list[list[str]] = []
    passes: tuple[str, ...] = ()
    if video is not None and video.two_pass:
        made.append([*opened, *_first_pass(rendering, video)])
        passes = ("-pass", "2")
    made.append([*opened, *_outputs(rendering, passes)])
    if video is not None and _measured(rendering) and rendering.audio:
        made.append([*opened, *_comparison(rendering, video)])
    return tuple(tuple(argv) for argv in made)


def _measured(rendering: Rendering) -> list[str]:
    """The metrics that are found by a comparison."""
    video = rendering.video
    return [metric for metric in video.metrics if metric != "QVBR"] if video else []


def _input(ffmpeg: str, rendering: Rendering) -> list[str]:
    argv = [
        ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "warning", "-nostats",
        "-progress", "pipe:1", "-stats_period", "0.25",
    ]  # fmt: skip
    if not rendering.clips:
        return [*argv, *_SAFELY, "-i", f"file:{rendering.source.path}"]
    # Every decoder waits with its pictures for its turn, so many must be content with a thread.
    threads = ["-threads", "1"] if len(rendering.clips) > 2 else []
    for clip in rendering.clips:
        argv += [*_SAFELY, *threads, *_cut(rendering, clip), "-i", f"file:{rendering.source.path}"]
    return argv


def _cut(rendering: Rendering, clip: Clip) -> list[str]:
    """Options of an input: a tenth of a frame early, so that rounding never loses the first."""
    rate = rendering.source.video.rate if rendering.source.video else Fraction(100)
    start_s = max(Fraction(0), clip.start_s - Fraction(1, 10) / rate)
    return ["-ss", f"{float(start_s):.6f}", "-t", f"{float(clip.duration_s):.6f}"]


def _first_pass(rendering: Rendering, video: VideoPlan) -> list[str]:
    return [
        "-filter_complex", f"{_video_head(rendering, video)}[enc]", "-map", "[enc]",
        *video.encoder, "-pass", "1", "-passlogfile", _PASS_LOG, "-f", "null", "-",
    ]  # fmt: skip


def _video_head(rendering: Rendering, video: VideoPlan) -> str:
    """The graph up to the pictures that are encoded; clips are strung together."""
    assert rendering.source.video is not None
    index, chain = rendering.source.video.index, ",".join(video.filters)
    if len(rendering.clips) < 2:
        return f"[0:{index}]{chain}"
    parts = [f"[{n}:{index}]{chain}[clip{n}]" for n in range(len(rendering.clips))]
    inputs = "".join(f"[clip{n}]" for n in range(len(rendering.clips)))
    return ";".join([*parts, f"{inputs}concat=n={len(rendering.clips)}:v=1:a=0"])


def _outputs(rendering: Rendering, passes: Sequence[str]) -> list[str]:
    argv: list[str] = []
    video = rendering.video
    measured = _measured(rendering) if not rendering.audio else []
    if video is not None:
        head = _video_head(rendering, video)
        graph = f"{head},split=2[enc][ref]" if measured else f"{head}[enc]"
        argv += ["-filter_complex", graph]
    for number, track in enumerate(rendering.audio):
        argv += _audio_graph(number, track, rendering)
    if video is not None:
        argv += ["-map", "[enc]", *video.encoder, *passes]
        argv += ["-passlogfile", _PASS_LOG] if passes else []
        argv += ["-vstats_file", VSTATS] if video.qvbr_level is not None else []
    for number, track in enumerate(rendering.audio):
        argv += _audio_output(number, track, clips=len(rendering.clips))
    argv += _container(rendering)
    if not measured:
        return argv
    graph, last = _metrics(measured, "[dec:0]")
    return [*argv, "-dec", "0:0", "-filter_complex", graph, "-map", last, "-f", "null", "-"]


def _audio_graph(number: int, track: AudioPlan, rendering: Rendering) -> list[str]:
    """Only merged tracks, clips strung together and silence need a graph; a single track is mapped
    as it is."""
    if not track.tracks:
        layout = track.layout or "stereo"
        source = f"anullsrc=r={track.sample_rate_hz}:cl={layout}"
        return ["-filter_complex", f"{source},atrim=duration={rendering.duration_s:.6f}[a{number}]"]
    clips = max(1, len(rendering.clips))
    if len(track.tracks) == 1 and clips == 1:
        return []
    parts = [_merged(f"a{number}c", clip, track) for clip in range(clips)]
    if clips == 1:
        return ["-filter_complex", parts[0].replace(f"[a{number}c0]", f"[a{number}]")]
    inputs = "".join(f"[a{number}c{clip}]" for clip in range(clips))
    return ["-filter_complex", ";".join([*parts, f"{inputs}concat=n={clips}:v=0:a=1[a{number}]"])]


def _merged(name: str, clip: int, track: AudioPlan) -> str:
    """One clip's sound in the track's layout."""
    inputs = "".join(f"[{clip}:{part.index}]" for part in track.tracks)
    merge = f"amerge=inputs={len(track.tracks)}," if len(track.tracks) > 1 else ""
    return f"{inputs}{merge}aformat=channel_layouts={track.layout}[{name}{clip}]"


def _audio_output(number: int, track: AudioPlan, *, clips: int) -> list[str]:
    single = len(track.tracks) == 1 and clips < 2
    argv = ["-map", f"0:{track.tracks[0].index}" if single else f"[a{number}]"]
    argv += [f"-c:a:{number}", track.encoder]
    for option, value in zip(track.options[::2], track.options[1::2], strict=True):
        argv += [option.replace(":a", f":a:{number}"), value]
    if track.layout is not None:
        argv += [f"-ar:a:{number}", str(track.sample_rate_hz)]
        if single:
            argv += [f"-filter:a:{number}", f"aformat=channel_layouts={track.layout}"]
    if track.language:
        argv += [f"-metadata:s:a:{number}", f"language={track.language}"]
    if track.stream_name:
        argv += [f"-metadata:s:a:{number}", f"handler_name={track.stream_name}"]
    # One default track, as players expect, whatever the source said.
    return [*argv, f"-disposition:a:{number}", "default" if number == 0 else "0"]


def _container(rendering: Rendering) -> list[str]:
    """Nothing of the source's metadata survives, and no encoder signs the file."""
    argv = ["-map_metadata", "-1", "-map_chapters", "-1", "-write_tmcd", "0"]
    argv += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]
    if rendering.video is not None:
        argv += ["-metadata:s:v:0", "encoder=", "-fps_mode:v:0", "passthrough"]
    for number in range(len(rendering.audio)):
        argv += [f"-metadata:s:a:{number}", "encoder="]
    if rendering.cut_to_s is not None:
        argv += ["-t", f"{rendering.cut_to_s:.6f}"]
    if rendering.moov_first:
        argv += ["-movflags", "+faststart"]
    return [*argv, "-f", rendering.muxer, f"file:{rendering.output_name}"]


def _comparison(rendering: Rendering, video: VideoPlan) -> list[str]:
    """Compare what was written, as one more input, with the frames that were encoded. Picture by
    picture, for their number is the same and a container rounds their times."""
    written = max(1, len(rendering.clips))
    graph, last = _metrics(_measured(rendering), "[made]")
    frames = f"{_video_head(rendering, video)},settb=1/1000,setpts=N[ref]"
    made = f"[{written}:v:0]settb=1/1000,setpts=N[made]"
    argv = [*_SAFELY, "-i", f"file:{rendering.output_name}"]
    argv += ["-filter_complex", f"{frames};{made};{graph}", "-map", last]
    return [*argv, "-fps_mode", "passthrough", "-f", "null", "-"]


def _metrics(measured: Sequence[str], main: str) -> tuple[str, str]:
    """A graph that compares `main` with `[ref]`, and its end: each filter passes `main` on."""
    filters = []
    if "SSIM" in measured:
        filters.append(f"ssim=f={SSIM_LOG}:shortest=1")
    if "PSNR" in measured:
        filters.append(f"psnr=f={PSNR_LOG}:shortest=1")
    features = [VMAF_FEATURES[metric] for metric in measured if metric in VMAF_FEATURES]
    if features:
        extra = "|".join(feature for feature in features if feature)
        wanted = f":feature='{extra}'" if extra else ""
        filters.append(f"libvmaf=log_fmt=csv:log_path={VMAF_LOG}:n_threads=2{wanted}:shortest=1")
    count = len(filters)
    graph = ["[ref]" + (f"split={count}" if count > 1 else "null")]
    graph[0] += "".join(f"[ref{n}]" for n in range(count))
    for number, text in enumerate(filters):
        graph.append(f"{main}[ref{number}]{text}[m{number}]")
        main = f"[m{number}]"
    return ";".join(graph), main


def written_by(rendering: Rendering, work_dir: Path) -> Path:
    """Where the media file of a rendering lands."""
    return work_dir / rendering.output_name
