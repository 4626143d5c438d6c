"""A thousand files dropped at once, under ten thousand notifications in no order.

    python -m bench.burst [--files 1000] [--notifications 10000] [--seed 1]

Everything is real but the encoder, which the MediaConvert stand-in hurries. Fails unless there are
exactly as many executions, encodes, outputs, rows and emails as files, every notification was
answered with 200, and nothing is left over.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from bench import command
from bench.bursting.outcome import Moments, problems, wait_for_end
from bench.machine import load, machine, today
from bench.processes import Kind, Peaks, cpu_seconds, repeating
from chalicelib.steps.channel import CURRENT
from slimreel.local.cloud import Cloud
from slimreel.local.deployment import Deployment, deploy
from slimreel.paths import PROJECT_DIR

AIM_PER_S = 6.0
LOOK_EVERY_S = 15.0
#: A burst keeps all functions busy at once, and none should have to make room for another: with 20
#: two calls of five began cold, and a job took twice as long.
ENVIRONMENTS = 56
#: Google does not say how many notifications it has under way at a time.
AT_A_TIME = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What happened. Moments are seconds of `time.time()`.

    Attributes:
        webhook_s: how long each notification waited for its answer.
        refused: statuses other than 200.
        cpu_s: processor time of everything, the notifier beside it.
    """

    dropped_at: float
    ended_at: float
    moments: Moments
    webhook_s: list[float]
    refused: list[int]
    cpu_s: float
    peaks: Peaks
    problems: list[str]

    @property
    def wall_s(self) -> float:
        return self.ended_at - self.dropped_at

    def since_drop_s(self, moments: dict[str, float]) -> list[float]:
        return [at - self.dropped_at for at in moments.values()]


def make_clip(path: Path) -> None:
    """One second of a small, busy picture: a real film that costs next to nothing to look at."""
    picture = "testsrc2=size=320x180:rate=25:duration=1"
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", picture]
    argv += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "1", "-pix_fmt", "yuv420p"]
    subprocess.run([*argv, f"file:{path}"], check=True)


def burst(folder: Path, *, files: int, notifications: int, seed: int) -> Burst:
    """Drop the files, send the notifications, wait for the last row."""
    clip = folder / "clip.mp4"
    make_clip(clip)
    content = clip.read_bytes()
    peaks = Peaks()
    with Cloud(
        folder / "cloud",
        PROJECT_DIR,
        encoder="stub",
        encoder_concurrency=2,
        environments=ENVIRONMENTS,
    ) as cloud:
        deployment = deploy(cloud, PROJECT_DIR)
        with closing(deployment):
            moments = Moments()
            cloud.journal.listen(moments.hear)
            before_s = cpu_seconds()
            dropped_at = time.time()
            with (
                repeating(peaks.look, every_s=LOOK_EVERY_S),
                _notifier(deployment, notifications, seed) as notifier,
            ):
                for number in range(files):
                    cloud.drive.add_file(
                        deployment.inbox_folder_id, f"Take {number:04}.mp4", content
                    )
                output, _ = notifier.communicate()
                ended_at = wait_for_end(deployment, moments, files)
            cpu_s = cpu_seconds() - before_s
            told = json.loads(output)
            return Burst(
                dropped_at=dropped_at,
                ended_at=ended_at,
                moments=moments,
                webhook_s=told["took_s"],
                refused=told["refused"],
                cpu_s=cpu_s,
                peaks=peaks,
                problems=problems(deployment, files),
            )


def _notifier(deployment: Deployment, count: int, seed: int) -> subprocess.Popen[str]:
    channel = deployment.records.state(*CURRENT)
    known = deployment.records.state(f"channel#{channel['channel_id']}", "channel")
    url = f"{deployment.cloud.endpoint_url}/api/drive/notifications"
    argv = [url, channel["channel_id"], known["token"], str(count), str(AT_A_TIME), str(seed)]
    return subprocess.Popen(
        [sys.executable, "-m", "bench.bursting.notifier", *argv],
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        text=True,
    )


def share(values: Sequence[float], part: float) -> float:
    """The value that so much of them stay below; 0 without any."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def _spread(name: str, values: Sequence[float]) -> tuple[str, ...]:
    return (name, *(f"{share(values, part):.2f}" for part in (0.5, 0.99, 1.0)))


def report(one: Burst, files: int) -> str:
    completion = [
        one.moments.encoded[job] - one.moments.submitted[job]
        for job in one.moments.encoded
        if job in one.moments.submitted
    ]
    rows = [
        _spread("webhook, to its answer", one.webhook_s),
        _spread("drop to record", one.since_drop_s(one.moments.created)),
        _spread("drop to CreateJob", one.since_drop_s(one.moments.submitted)),
        _spread("CreateJob to outcome stored", completion),
        _spread("drop to row", one.since_drop_s(one.moments.synced)),
    ]
    memory = one.peaks.whole.pss_bytes
    lines = [
        command.table(("seconds", "p50", "p99", "most"), rows),
        f"Processor time {one.cpu_s:.0f} s, {one.cpu_s / files * 1000:.0f} ms a job. "
        f"Peak memory {sum(memory.values()) / 1e6:.0f} MB: "
        f"{memory[Kind.CLOUD] / 1e6:.0f} MB the stand-in cloud, "
        f"{memory[Kind.FUNCTIONS] / 1e6:.0f} MB the functions.",
    ]
    return "\n".join(lines)


def summary(one: Burst, files: int, notifications: int, wrong: Sequence[str]) -> str:
    per_s = files / one.wall_s
    submitted = one.since_drop_s(one.moments.submitted)
    return (
        f"burst: {files} files and {notifications} notifications in {one.wall_s:.0f} s, "
        f"{per_s:.1f} jobs/s (aim: {AIM_PER_S:g}); drop to CreateJob p50 "
        f"{share(submitted, 0.5):.0f} s, p99 {share(submitted, 0.99):.0f} s; "
        f"webhook p99 {share(one.webhook_s, 0.99):.2f} s; "
        f"peak memory {one.peaks.whole.pss_bytes.total() / 1e6:.0f} MB"
        + "".join(f"; FAILED: {what}" for what in wrong)
    )


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--notifications", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    print(f"{today()}, {machine()}\npython -m bench.burst {shlex.join(argv)}".rstrip())
    print(f"Load average before: {load()}\n", flush=True)
    with command.scratch() as folder:
        one = burst(folder, files=args.files, notifications=args.notifications, seed=args.seed)
    print(report(one, args.files) + "\n")
    wrong = list(one.problems)
    if one.refused:
        wrong.append(f"{len(one.refused)} notifications were not answered with 200")
    print(summary(one, args.files, args.notifications, wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(command.run(main))
