"""A second pipeline, made of two files in `workflows/`: masters become small HEVC files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import av

from chalicelib.domain import keys
from chalicelib.domain.drive import Candidate, Ignored, candidate
from chalicelib.domain.job import Status
from chalicelib.steps.sync import STATE
from tests.clips import camera_clip
from tests.e2e.conftest import PROJECT_DIR, Studio, until

WORKFLOWS = PROJECT_DIR / "workflows"


def test_a_master_goes_through_the_archive_pipeline(studio: Studio, tmp_path: Path) -> None:
    # Given a master in the folder of that pipeline, which is in a shared drive: a service account
    # has no storage of its own, and this pipeline puts its results beside the originals
    clip = camera_clip(tmp_path / "Master 1.mov", seed=41)
    cloud, folder_id = studio.deployment.cloud, studio.deployment.folder_ids["archive"]
    team = cloud.drive.add_folder("Team", cloud.drive.add_folder("Shared drives"))
    cloud.drive.move(folder_id, team)
    records = studio.deployment.records
    drive_id = studio.deployment.drive.get(folder_id).shared_drive_id

    def is_read() -> bool | None:
        """Another reader may hold the lease, and have looked where the folder lies before."""
        records.save_state(*STATE, {"drives_at": 0})  # it is seen in a while
        studio.deployment.invoke("sweep_drive")
        return f"page_token#{drive_id}" in records.state(*STATE) or None

    until(is_read, "the shared drive's log to be read")
    file_id = cloud.drive.add_file(folder_id, clip.name, clip)
    # which only the drive's own log tells of, and no push channel
    studio.deployment.invoke("sweep_drive")
    found = candidate(studio.deployment.drive.get(file_id), folder_id)
    assert isinstance(found, Candidate)
    # When it has gone through
    job = studio.finished(keys.job_id("archive", file_id, found.version_key), mailed=False)
    # Then the result is HEVC as Apple's players want it, and the other pipeline did not see it
    assert (job.status, job.workflow) == (Status.COMPLETED, "archive"), job.reason
    with av.open(str(studio.published(job))) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.codec_tag) == ("hevc", "hvc1")
    assert studio.job(keys.job_id("compress", file_id, found.version_key)) is None
    # and it lies beside the master, where the pipeline sees it and leaves it alone
    assert job.way_back is not None and job.way_back.problem is None, job.way_back
    copy_id = str(job.way_back.file_id)
    copy = cloud.drive.content_path(copy_id)
    assert copy.name == "Master 1 (compressed).mp4"
    assert copy.parent == cloud.drive.content_path(file_id).parent
    assert copy.read_bytes() == studio.published(job).read_bytes()
    studio.deployment.invoke("sweep_drive")
    seen = studio.deployment.drive.get(copy_id)
    assert isinstance(candidate(seen, folder_id), Ignored)
    assert studio.job(keys.job_id("archive", copy_id, str(seen.md5))) is None
    # and there is a row, no email, and an untouched original
    assert studio.row(job.job_id)["Drive Copy URL"] == job.way_back.url
    assert studio.row(job.job_id)["Status"] == "Completed"
    assert studio.emails(job.job_id) == []
    original = cloud.drive.content_path(file_id).read_bytes()
    assert hashlib.sha256(original).digest() == hashlib.sha256(clip.read_bytes()).digest()


def test_it_takes_the_same_steps_as_compress() -> None:
    """A flow is edited on its own; a repair of one that the other misses would go unnoticed."""
    compress, archive = (
        json.loads((WORKFLOWS / f"{name}.asl.json").read_text(encoding="utf-8"))
        for name in ("compress", "archive")
    )
    assert archive | {"Comment": ""} == compress | {"Comment": ""}
