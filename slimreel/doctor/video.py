"""A two-second test video, sent through the real thing and watched.

A service account owns no storage and so cannot upload: a person drops the file. Its picture has
noise of its own, so that it is new content each time.
Source: storageQuotaExceeded in
https://developers.google.com/workspace/drive/api/guides/handle-errors
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from chalicelib.domain.job_list import Asked
from slimreel.doctor import Finding, ok, wrong
from slimreel.doctor.site import Site

LOOK_EVERY_S = 3.0
#: Every quarter of an hour a sweep finds what no notification told of; give it that and some more.
SEEN_WITHIN_S, ENDED_WITHIN_S = 20 * 60.0, 40 * 60.0


def make_clip(folder: Path) -> Path:
    """
    Raises:
        subprocess.CalledProcessError: ffmpeg failed.
    """
    import imageio_ffmpeg

    target = folder / f"slimreel test {datetime.now(UTC):%Y-%m-%d %H%M%S}.mp4"
    seed = random.randrange(1, 2**31)
    picture = f"testsrc2=size=1280x720:rate=25:duration=2,noise=c0s=6:c0f=t+u:all_seed={seed}"
    sound = "sine=frequency=440:sample_rate=48000:duration=2"
    lavfi = ("-f", "lavfi", "-i")
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"),
            *(*lavfi, f"{picture},format=yuv420p", *lavfi, sound),
            *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "6", "-c:a", "aac"),
            f"file:{target}",
        ],
        check=True,
        capture_output=True,
    )
    return target


def watch(
    site: Site,
    name: str,
    say: Callable[[str], None],
    *,
    seen_within_s: float = SEEN_WITHIN_S,
    ended_within_s: float = ENDED_WITHIN_S,
) -> Iterator[Finding]:
    """Wait for the job of the file of this name, then for its end."""
    begun = time.monotonic()
    job_id = None
    while job_id is None:
        if time.monotonic() - begun > seen_within_s:
            yield wrong(
                "test-video",
                f"“{name}” was not taken on within {seen_within_s / 60:.0f} minutes.",
                "Is it in the right folder, and done uploading? slimreel doctor looks at folder "
                "and channel; slimreel redrive at what was given up.",
            )
            return
        jobs, _ = site.catalogue.list_jobs(Asked(), limit=50)
        job_id = next((job.job_id for job in jobs if job.file_name == name), None)
        if job_id is None:
            time.sleep(LOOK_EVERY_S)
    seen_after_s = time.monotonic() - begun
    say(f"Taken on as {job_id} after {seen_after_s:.0f} s.")
    step = None
    while time.monotonic() - begun < seen_within_s + ended_within_s:
        job = site.records.get(job_id)
        if job is not None and not job.status.is_open:
            took = time.monotonic() - begun
            if job.published_key:
                yield ok("test-video", f"{job.status}: {job.reason} It took {took:.0f} s.")
            else:
                yield wrong(
                    "test-video",
                    f"{job.status}: {job.reason}",
                    f"slimreel status {job_id} shows all that is known of it.",
                )
            return
        if job is not None and job.step != step:
            step = job.step
            say(f"{step} …")
        time.sleep(LOOK_EVERY_S)
    yield wrong(
        "test-video",
        f"“{name}” was taken on and has not ended; its last step is {step}.",
        f"slimreel status {job_id} follows it.",
    )
