"""An encoder that damages its result: the original is what gets published, and people read why."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.domain.job import Status
from slimreel.local.faults import Fault
from tests.clips import ffmpeg
from tests.e2e.conftest import Studio

VOICE = "aevalsrc='(random(1)-0.5)*gt(mod(t*(1+0.21*t),1),0.7)':s=48000:d=4"
PICTURE = "testsrc2=size=320x180:rate=25:duration=4,noise=c0s=4:c0f=t+u:all_seed=3,format=yuv420p"
WASTEFUL = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-c:a", "aac")
ANEW = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "18")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (("-c:a", "aac", "-af", "adelay=60:all=1,atrim=end=4"), "comes 60 ms too late"),
        ((*ANEW, "-vf", "lutyuv=y=16:u=128:v=128:enable='eq(n,50)'"), "the picture is black"),
        (("-c:a", "aac", "-af", "volume=0:enable='gt(t,2)'"), "audio track 1 is silent"),
    ],
    ids=["late", "black", "silent"],
)
def test_a_damaged_result_is_not_published(
    studio: Studio, tmp_path: Path, spoil: tuple[str, ...], sentence: str
) -> None:
    clip = tmp_path / f"{sentence}.mp4"
    sources = ("-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", VOICE)
    ffmpeg(*sources, *WASTEFUL, "-metadata", f"title={sentence}", f"file:{clip}")
    fault = Fault(service="mediaconvert", operation="RunJob", spoil=spoil)
    studio.deployment.cloud.faults.add(fault)
    job = studio.finished(studio.job_id(studio.drop(clip)))
    assert job.status is Status.KEPT_ORIGINAL, job.reason
    assert str(job.reason).startswith("The compressed file failed a check: ")
    assert sentence in str(job.reason)
    assert studio.published(job).read_bytes() == clip.read_bytes()
    assert sentence in studio.row(job.job_id)["Reason"]
    [email] = studio.emails(job.job_id)
    assert sentence in email.body
