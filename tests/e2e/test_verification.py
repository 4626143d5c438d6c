"""An encoder that damages its results: the originals are what gets published, and people read why.

Every check is shown by itself in tests/integration; here, that each of them leads to the verdict,
the row and the email. All films go through at the same time, because most of each is waiting.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from chalicelib.domain.job import Job, Status
from slimreel.local.faults import Fault
from tests.clips import ffmpeg
from tests.e2e.conftest import Studio

VOICE = "aevalsrc='(random(1)-0.5)*gt(mod(t*(1+0.21*t),1),0.7)':s=48000:d=4"
TONE = "sine=f=330:r=48000:d=4"
PICTURE = "testsrc2=size=192x108:rate=15:duration=4,scroll=h=0.02,noise=c0s=4:c0f=t+u:all_seed=3"
WASTEFUL = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-pix_fmt", "yuv420p")
ANEW = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", "-vf")
#: A picture that repeats itself is no other each time.
EXACTLY = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-vf")
PQ = "matrix_coefficients=9:colour_primaries=9:transfer_characteristics=16"
#: How ffmpeg damages a result, by what must be said of it.
DAMAGE = {
    "comes 60 ms too late": ("-c:a", "aac", "-af", "adelay=60:all=1,atrim=end=4"),
    "audio track 1 is silent": ("-c:a:0", "aac", "-filter:a:0", "volume=0:enable='gt(t,2)'"),
    "there are 1 audio tracks instead of 2": ("-map", "-0:a:1"),
    "audio track 2 is marked deu instead of fra": ("-metadata:s:a:1", "language=deu"),
    "the picture is black": (*ANEW, "lutyuv=y=16:u=128:v=128:enable='eq(n,30)'"),
    "the picture is green": (*ANEW, "lutyuv=y=0:u=0:v=0:enable='between(n,30,36)'"),
    "the picture stands still": (*EXACTLY, "select='not(between(n,20,40))',fps=15"),
    "tagged PQ (high dynamic range)": ("-bsf:v", f"h264_metadata={PQ}"),
    "while decoding it": ("-bsf:v", "noise=amount=200"),
    "is not the one that players show": (*ANEW, "hflip"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two tracks of sound; titles of their own, as equal films are one job."""
    folder = tmp_path_factory.mktemp("films")
    whole = folder / "film.mp4"
    sources = ("-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", VOICE,
               "-f", "lavfi", "-i", TONE)  # fmt: skip
    tags = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra")
    maps = ("-map", "0", "-map", "1", "-map", "2")
    ffmpeg(*sources, *maps, *WASTEFUL, "-c:a", "aac", *tags, str(whole))
    made = []
    for number in range(len(DAMAGE)):
        path = folder / f"film {number}.mp4"
        title = ("-metadata", f"title=Take {number}")
        ffmpeg("-i", str(whole), "-map", "0", "-c", "copy", *title, str(path))
        made.append(path)
    return made


@pytest.fixture(scope="module")
def verdicts(studio: Studio, films: list[Path]) -> Mapping[str, Job]:
    """What became of each film, by its file's name. Which one is damaged in which way is left to
    the order in which their encodes begin."""
    for number, spoil in enumerate(DAMAGE.values(), start=1):
        fault = Fault(service="mediaconvert", operation="RunJob", nth=number, spoil=spoil)
        studio.deployment.cloud.faults.add(fault)
    dropped = {path.name: studio.job_id(studio.drop(path)) for path in films}
    return {name: studio.finished(job_id, wait_s=90) for name, job_id in dropped.items()}


@pytest.mark.parametrize("sentence", DAMAGE)
def test_a_damaged_result_is_not_published(
    studio: Studio, films: list[Path], verdicts: Mapping[str, Job], sentence: str
) -> None:
    [job] = [job for job in verdicts.values() if sentence in str(job.reason)] or [None]
    assert job is not None, [job.reason for job in verdicts.values()]
    assert job.status is Status.KEPT_ORIGINAL and job.attempt == 1
    [original] = [path for path in films if path.name == job.file_name]
    assert studio.published(job).read_bytes() == original.read_bytes()
    assert sentence in studio.row(job.job_id)["Reason"]
    [email] = studio.emails(job.job_id)
    assert sentence in email.body
