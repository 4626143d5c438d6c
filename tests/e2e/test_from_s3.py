"""A film from S3, submitted by a program that wants to be called back: through the real stack."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug import Request, Response

from chalicelib.domain.job import Status
from slimreel.local import REGION
from slimreel.local.http_server import Server
from tests.clips import camera_clip
from tests.e2e.conftest import CALLBACK_PORT, SUBMITTED, Studio, until
from tests.e2e.test_control import slimreel
from tests.e2e.test_faults import reconcile_later

__all__ = ["slimreel"]
KEY = "raw/Szene 4 – Über.mp4"


@pytest.fixture
def heard() -> Iterator[list[tuple[str, bytes]]]:
    """What came to the address that is called back: signature and body. The first call fails."""
    calls: list[tuple[str, bytes]] = []

    @Request.application
    def listen(request: Request) -> Response:
        calls.append((request.headers["Slimreel-Signature"], request.get_data()))
        return Response(status=503 if len(calls) == 1 else 200)

    server = Server(listen, port=CALLBACK_PORT)
    server.start()
    yield calls
    server.stop()


def test_a_film_from_s3_comes_out_and_its_submitter_is_told(
    studio: Studio, slimreel, tmp_path: Path, heard: list[tuple[str, bytes]]
) -> None:
    cloud = studio.deployment.cloud
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=SUBMITTED, CreateBucketConfiguration={"LocationConstraint": REGION})
    clip = camera_clip(tmp_path / "film.mp4", seed=77)
    s3.upload_file(str(clip), SUBMITTED, KEY)
    url = f"http://127.0.0.1:{CALLBACK_PORT}/hook?token=of-theirs"
    # When a program submits it
    options = ("--workflow", "compress", "--callback", url)
    code, said = slimreel("submit", f"s3://{SUBMITTED}/{KEY}", *options)
    assert (code, said["file"]["name"], said["is_open"]) == (0, "Szene 4 – Über.mp4", True)
    assert said["callbacks"][0]["origin"] == f"http://127.0.0.1:{CALLBACK_PORT}"
    # Then it comes out, and the original is as it was
    job = studio.finished(said["job_id"])
    assert job.status is Status.COMPLETED, job.reason
    original = s3.get_object(Bucket=SUBMITTED, Key=KEY)["Body"].read()
    assert original == clip.read_bytes()
    assert studio.row(job.job_id)["Original URL"].startswith("https://s3.console.aws.amazon.com/")
    # And they are told, again after they did not take it
    until(lambda: heard or None, "the first call")
    now = studio.job(job.job_id)
    assert now is not None and now.callbacks[0].tries == 1
    due = tuple(replace(callback, next_at=None) for callback in now.callbacks)
    studio.deployment.records.update(job.job_id, {"callbacks": due}, row=False)
    reconcile_later(studio)
    until(lambda: True if len(heard) == 2 else None, "the second call")
    key = cloud.client("ssm").get_parameter(
        Name="/slimreel/local/callback-key", WithDecryption=True
    )["Parameter"]["Value"]
    signature, body = heard[1]
    at, _, given = signature.partition(",")
    good = hmac.new(key.encode(), at[2:].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert given == f"v1={good}"
    told = json.loads(body)
    assert (told["event"], told["id"]) == ("job.completed", f"{job.job_id}-1")
    assert told["job"]["published"]["url"]
