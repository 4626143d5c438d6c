"""A large file through the pipeline, and the memory that takes.

    python -m bench.bigfile [--gigabytes 1.5]

Sends a ProRes 422 HQ film of that size and looks at the memory of every process twice a second.
Fails when all of them together, beside the encoder's ffmpeg, ever take 1 GB or more, or when the
job does not end well.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import imageio_ffmpeg

from bench import command
from bench.machine import load, machine, today
from bench.passage import Passage, send
from bench.processes import Kind, Peaks, repeating
from chalicelib.domain.job import Status
from chalicelib.domain.text import human_size
from slimreel.clip import generate
from slimreel.local.deployment import deployed
from slimreel.paths import PROJECT_DIR

LIMIT_BYTES = 1_000_000_000
LOOK_EVERY_S = 0.5
GOOD_ENDS = (Status.COMPLETED, Status.KEPT_ORIGINAL)
_SHORT_S = 5.0


def make_film(path: Path, size_bytes: int) -> None:
    """Write a ProRes film of about `size_bytes`: a few seconds of the demo's clip, repeated."""
    clip, master = path.with_name("clip.mov"), path.with_name("master.mov")
    generate(clip, _SHORT_S)
    _ffmpeg(
        "-i", clip, "-map", "0", "-c:v", "prores_ks", "-profile:v", "hq", "-c:a", "copy", master
    )
    length_s = _SHORT_S * size_bytes / master.stat().st_size
    _ffmpeg(
        "-stream_loop", "-1", "-i", master, "-map", "0", "-c", "copy", "-t", f"{length_s:.3f}", path
    )


def _ffmpeg(*arguments: str | Path) -> None:
    quiet = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    subprocess.run([*quiet, *map(str, arguments)], check=True)


def measured(video: Path) -> tuple[Passage, Peaks]:
    """Send the video through a fresh deployment, memory watched from its start to its end.

    Raises:
        NoPassage: it did not come through.
    """
    peaks = Peaks()
    with (
        repeating(peaks.look, every_s=LOOK_EVERY_S),
        command.scratch() as folder,
        deployed(folder, PROJECT_DIR) as deployment,
    ):
        passage = send(deployment, video)
    return passage, peaks


def memory_table(peaks: Peaks) -> str:
    """Figures in MB."""
    rows = [
        (
            str(kind),
            *_megabytes(peaks.whole.pss_bytes[kind], peaks.pss_bytes[kind], peaks.rss_bytes[kind]),
        )
        for kind in Kind
        if kind is not Kind.ENCODER
    ]
    rows.append(("together", *_megabytes(peaks.whole.beside_encoder_bytes), "", ""))
    rows.append(
        (
            "encoder ffmpeg, not counted",
            "",
            *_megabytes(peaks.pss_bytes[Kind.ENCODER], peaks.rss_bytes[Kind.ENCODER]),
        )
    )
    return command.table(("MB", "at the peak", "own peak", "own peak, RSS"), rows)


def _megabytes(*sizes_bytes: int) -> tuple[str, ...]:
    return tuple(f"{size / 1e6:.0f}" for size in sizes_bytes)


def steps_table(passage: Passage) -> str:
    rows = [(one.step, f"{one.seconds:.1f}") for one in passage.steps()]
    return command.table(("step", "seconds"), [*rows, ("all", f"{passage.wall_s:.1f}")])


def _described(video: Path) -> str:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        seconds = (container.duration or 0) / av.time_base
        return (
            f"{human_size(video.stat().st_size)}, {seconds:.0f} s of {stream.codec_context.name} "
            f"at {stream.codec_context.width}x{stream.codec_context.height}"
        )


def _summary(passage: Passage, peaks: Peaks) -> str:
    job, peak_bytes = passage.job, peaks.whole.beside_encoder_bytes
    verdict = "under" if peak_bytes < LIMIT_BYTES else "NOT under"
    return (
        f"bigfile: {human_size(job.size_bytes)} went through in {passage.wall_s:.0f} s, "
        f"{job.status}; peak {human_size(peak_bytes)} beside the encoder, {verdict} "
        f"{human_size(LIMIT_BYTES)} ({peaks.samples} samples)"
    )


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gigabytes", type=float, default=1.5)
    args = parser.parse_args(argv)
    size_bytes = round(args.gigabytes * 1e9)
    video = command.kept(f"{args.gigabytes:g} GB.mov", lambda path: make_film(path, size_bytes))
    print(f"{today()}, {machine()}\npython -m bench.bigfile {shlex.join(argv)}".rstrip())
    print(f"The video: {_described(video)}; load average {load()}\n", flush=True)
    passage, peaks = measured(video)
    print(f"{memory_table(peaks)}\n\n{steps_table(passage)}\n\n{_summary(passage, peaks)}")
    ended_well = passage.job.status in GOOD_ENDS
    if not ended_well:
        print(passage.job.error or passage.job.reason)
    return 0 if ended_well and peaks.whole.beside_encoder_bytes < LIMIT_BYTES else 1


if __name__ == "__main__":
    sys.exit(command.run(main))
