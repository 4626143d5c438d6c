"""Results appear whole, under readable names, once."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from chalicelib.domain.job import Job, Status
from slimreel.results import Results
from tests.examples import a_job


class Bucket:
    """Published files as S3's stand-in keeps them: each content under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._paths: dict[str, Path] = {}

    def publish(self, key: str, content: bytes) -> None:
        path = self._folder / f"blob-{len(list(self._folder.iterdir()))}"
        path.write_bytes(content)
        self._paths[key] = path

    def path(self, key: str) -> Path:
        return self._paths[key]


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path / "bucket")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "compressed"


@pytest.fixture
def results(tmp_path: Path, bucket: Bucket, folder: Path) -> Results:
    return Results(folder, tmp_path / "ledger.jsonl", bucket.path)


def ended(number: int = 1, name: str = "Take 3.MOV", workflow: str = "compress") -> Job:
    job_id = f"{number:020x}"
    return a_job(
        job_id=job_id,
        workflow=workflow,
        file_name=name,
        status=Status.COMPLETED,
        published_key=f"{workflow}/{job_id}/Take-3.mp4",
    )


def names(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def publish(bucket: Bucket, job: Job, content: bytes) -> None:
    assert job.published_key is not None
    bucket.publish(job.published_key, content)


def test_a_result_has_its_readable_name(results: Results, bucket: Bucket, folder: Path) -> None:
    job = ended()
    publish(bucket, job, b"small")
    assert results.put(job) == folder / "Take 3.mp4"
    assert results.put(job) is None
    assert names(folder) == {"Take 3.mp4": b"small"}


def test_two_files_of_one_name_lie_side_by_side(
    results: Results, bucket: Bucket, folder: Path
) -> None:
    for number in (1, 2):
        publish(bucket, ended(number), b"%d" % number)
        results.put(ended(number))
    assert names(folder) == {"Take 3.mp4": b"1", "Take 3-00000000.mp4": b"2"}


def test_a_file_of_somebody_else_is_never_replaced(
    results: Results, bucket: Bucket, folder: Path
) -> None:
    (folder / "Take 3.mp4").write_bytes(b"mine")
    (folder / "Take 3-00000000.mp4").write_bytes(b"mine, too")
    publish(bucket, ended(), b"small")
    results.put(ended())
    assert names(folder)["Take 3.mp4"] == b"mine"
    assert names(folder)["Take 3-00000000.mp4"] == b"mine, too"
    assert names(folder)["Take 3-00000000000000000001.mp4"] == b"small"


def test_what_a_person_took_away_does_not_come_back(
    results: Results, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    publish(bucket, ended(), b"small")
    results.put(ended())
    (folder / "Take 3.mp4").unlink()
    assert results.put(ended()) is None
    after_restart = Results(folder, tmp_path / "ledger.jsonl", bucket.path)
    assert after_restart.put(ended()) is None
    assert names(folder) == {}


def test_a_new_run_replaces_its_own_result(results: Results, bucket: Bucket, folder: Path) -> None:
    again = replace(ended(), run=2, published_key="compress/00.2/Take-3.mp4")
    for job, content in ((ended(), b"first"), (again, b"second")):
        publish(bucket, job, content)
        assert results.put(job) is not None
    assert names(folder) == {"Take 3.mp4": b"second"}


def test_dying_before_it_is_written_down_makes_no_second_one(
    results: Results, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    publish(bucket, ended(), b"small")
    results.put(ended())
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text(ledger.read_text()[:20])  # torn
    after_restart = Results(folder, ledger, bucket.path)
    after_restart.put(ended())
    assert names(folder) == {"Take 3.mp4": b"small"}
    assert Results(folder, ledger, bucket.path).put(ended()) is None


def test_nobody_can_write_to_the_bucket_through_it(
    results: Results, bucket: Bucket, folder: Path
) -> None:
    publish(bucket, ended(), b"small")
    results.put(ended())
    assert (folder / "Take 3.mp4").stat().st_mode & 0o222 == 0


def test_across_disks_it_is_copied(
    results: Results, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    publish(bucket, ended(), b"small")
    results.put(ended())
    Results(folder, folder.parent / "lost.jsonl", bucket.path).put(ended())
    assert names(folder) == {"Take 3.mp4": b"small"}


def test_a_full_disk_leaves_nothing_half_written(
    results: Results, bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path, target: Path) -> None:
        target.write_bytes(b"sm")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    publish(bucket, ended(), b"small")
    with pytest.raises(OSError, match="No space"):
        results.put(ended())
    assert names(folder) == {}
    monkeypatch.undo()
    assert results.put(ended()) is not None


def test_open_jobs_and_unpublished_ones_have_none(results: Results, folder: Path) -> None:
    assert results.put(a_job()) is None
    assert results.put(a_job(status=Status.FAILED)) is None
    assert names(folder) == {}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("../../etc/passwd.mov", ".._.._etc_passwd.mp4"), (".hidden.mov", "_.hidden.mp4")],
)
def test_a_hostile_name_stays_in_the_folder(
    results: Results, bucket: Bucket, folder: Path, name: str, shown: str
) -> None:
    publish(bucket, ended(name=name), b"small")
    results.put(ended(name=name))
    assert len(names(folder)) == 1
    [found] = folder.iterdir()
    assert found.is_file() and found.name in (shown, "_" + shown)


def test_other_workflows_have_folders_of_their_own(
    results: Results, bucket: Bucket, folder: Path
) -> None:
    job = ended(workflow="archive")
    publish(bucket, job, b"small")
    assert results.put(job) == folder / "archive" / "Take 3.mp4"
