"""A video submitted from S3: which may be, which version it is, and how it is copied."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.control import BadRequest
from chalicelib.domain.errors import Rejected, Temporary
from chalicelib.domain.job import Job
from chalicelib.domain.s3_source import s3_address
from chalicelib.steps import submit as submit_step
from chalicelib.steps.call import StepCall
from chalicelib.steps.fetch import fetch
from chalicelib.steps.submit import submit
from tests.examples import a_workflow
from tests.fakes import INBOX, TEMP, World, aws_error

URL = "s3://films/raw/Take 3 (é).mov"
AT = ("films", "raw/Take 3 (é).mov")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    flows = {"compress": a_workflow(drive_folder=INBOX)}
    monkeypatch.setattr(submit_step, "all_workflows", lambda: flows)
    world = World()
    world.storage.put(*AT, b"a film", content_type="binary/octet-stream")
    return world


def submitted(world: World, url: str = URL, **options: Any) -> Job:
    return submit(world.services, url, by="n8n", **options)[0]


def copied(world: World, job: Job) -> dict[str, Any]:
    call = StepCall(state={}, deadline=float("inf"))
    return fetch(world.services, world.job(job.job_id), call)


def test_an_object_becomes_a_job_that_knows_where_it_lies(world: World) -> None:
    job = submitted(world)
    assert (job.file_id, job.file_name, job.size_bytes) == (URL, "Take 3 (é).mov", 6)
    assert job.source_url == (
        "https://s3.console.aws.amazon.com/s3/object/films?prefix=raw/Take%203%20%28%C3%A9%29.mov"
    )
    assert (job.home, job.uploader, job.requests[0].by) == ("S3", "n8n", "n8n")
    assert world.flows.started


def test_one_version_is_one_job_and_another_upload_another(world: World) -> None:
    first = submitted(world)
    assert submitted(world).job_id == first.job_id
    world.storage.put(*AT, b"another film", content_type="video/mp4")
    assert submitted(world).job_id != first.job_id


def test_where_a_bucket_keeps_versions_their_ids_tell_them_apart(world: World) -> None:
    world.storage.version_ids[AT] = "v1"
    first = submitted(world)
    world.storage.version_ids[AT] = "v2"  # the same bytes, uploaded again
    assert submitted(world).job_id != first.job_id
    with pytest.raises(Rejected, match="no longer in its S3 bucket"):
        copied(world, first)  # and the fake keeps the newest one only


def test_the_copy_is_of_the_submitted_version_and_leaves_it_alone(world: World) -> None:
    job = submitted(world)
    assert copied(world, job) == {"done": True}
    now = world.job(job.job_id)
    assert world.storage.read(TEMP, str(now.source_key)) == b"a film"
    assert world.storage.read(*AT) == b"a film"
    assert copied(world, job) == {"done": True}  # and again, as after a lost answer


def test_a_copy_that_takes_several_invocations_goes_on(world: World) -> None:
    job = submitted(world)
    world.storage.copy_takes_invocations = 3
    assert [copied(world, job)["done"] for _ in range(3)] == [False, False, True]


def test_what_was_replaced_after_it_was_submitted_is_not_copied(world: World) -> None:
    job = submitted(world)
    world.storage.put(*AT, b"other!", content_type="video/mp4")
    with pytest.raises(Rejected, match="replaced after it was submitted"):
        copied(world, job)
    assert world.job(job.job_id).source_key is None


@pytest.mark.parametrize(
    ("code", "status", "kind", "says"),
    [
        ("NoSuchKey", 404, Rejected, "no longer in its S3 bucket"),
        ("AccessDenied", 403, Rejected, "may not read the file in S3"),
        ("403", 403, Rejected, "may not read the file in S3"),
        ("InvalidObjectState", 403, Rejected, "Restore it"),
        ("NoSuchUpload", 404, Temporary, "finished or gave up"),
    ],
)
def test_each_refusal_of_s3_is_a_sentence(
    world: World, code: str, status: int, kind: type[Exception], says: str
) -> None:
    job = submitted(world)
    world.storage.fail_next("copy", aws_error(code, "CopyObject", status))
    with pytest.raises(kind, match=says):
        copied(world, job)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://elsewhere/a.mov", "bucket elsewhere. Whoever runs Slimreel can add it"),
        ("s3://films", "names no file"),
        ("s3://films/folder/", "names no file"),
        ("s3:///key.mov", "name of an S3 bucket"),
        ("s3://Films/a.mov", "name of an S3 bucket"),
        ("s3://films..x/a.mov", "name of an S3 bucket"),
        ("s3://films/a\nb.mov", "do not print"),
        ("s3://films/" + "é" * 600 + ".mov", "longer than 1024 bytes"),
        ("s3://films/missing.mov", "There is no object s3://films/missing.mov, or Slimreel may"),
        ("s3://films/notes.txt", "is not a video ('text/plain')"),
        ("s3://films/empty.mov", "is empty"),
        ("s3://films/cold.mov", "lies in an S3 archive"),
    ],
)
def test_what_cannot_be_submitted_is_said_in_a_sentence(world: World, url: str, says: str) -> None:
    world.storage.put("films", "notes.txt", b"text", content_type="text/plain")
    world.storage.put("films", "empty.mov", b"", content_type="video/mp4")
    world.storage.put("films", "cold.mov", b"x", content_type="video/mp4")
    world.storage.archived.add(("films", "cold.mov"))
    with pytest.raises(BadRequest) as refused:
        submitted(world, url)
    assert says in str(refused.value)
    assert not world.flows.started and not world.records.items


def test_without_a_bucket_named_nothing_is_read_from_s3() -> None:
    world = World(environment={"TEMP_BUCKET": TEMP})
    with pytest.raises(BadRequest, match="parameter SubmitBuckets"):
        submit(world.services, URL, by="n8n", workflow_name="compress")


def test_our_own_buckets_are_no_source() -> None:
    world = World(environment={"TEMP_BUCKET": TEMP, "SUBMIT_BUCKETS": f"films, {TEMP}"})
    with pytest.raises(BadRequest, match="Slimreel's own"):
        submit(world.services, "s3://temp/a.mov", by="n8n", workflow_name="compress")


def test_a_storage_that_is_away_is_asked_again_later(world: World) -> None:
    world.storage.fail_next("version", aws_error("SlowDown", "HeadObject", 503))
    with pytest.raises(Temporary, match="HeadObject"):
        submitted(world)


def test_the_object_of_an_address() -> None:
    address = s3_address("s3://films/a/b?c#d.mov")
    assert (address.bucket, address.key, address.file_name) == ("films", "a/b?c#d.mov", "b?c#d.mov")
