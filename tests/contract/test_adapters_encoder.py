"""MediaConvert's adapter over the stand-in: names of errors, adoption, outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from werkzeug import Request

from chalicelib.adapters.encoder import Encoder, NotTaken, outcome_of
from chalicelib.domain.encoding import job_settings
from chalicelib.domain.errors import Rejected, Temporary
from chalicelib.domain.media import facts_from_probe
from slimreel.local import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from slimreel.local.faults import Fault, Faults
from slimreel.local.http_server import Server
from slimreel.local.mediaconvert import MediaConvert
from slimreel.local.s3 import S3
from tests.clips import camera_clip
from tests.e2e.conftest import until
from tests.examples import JOB_ID, a_plan

SOURCE = "s3://temp/jobs/1/source.mp4"
FATE = ("COMPLETE", "ERROR", "CANCELED")


class Local:
    """MediaConvert with S3 under it, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.faults, self.events = Faults(), []
        keys = {ACCESS_KEY_ID: SECRET_ACCESS_KEY}
        self.s3 = S3(folder / "s3", faults=self.faults, secrets=keys)
        self.mediaconvert = MediaConvert(
            store=self.s3,
            emit=self.events.append,
            work_dir=folder / "mediaconvert",
            faults=self.faults,
            concurrent_jobs=1,
        )
        self._apps = {"s3": self.s3.handle, "mediaconvert": self.mediaconvert.handle}
        self._servers: list[Server] = []
        self._clients: list[Any] = []

    def client(self, service: str) -> Any:
        server = Server(Request.application(self._apps[service]))
        server.start()
        client = boto3.client(
            service,
            region_name=REGION,
            endpoint_url=f"http://127.0.0.1:{server.port}",
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=Config(retries={"mode": "standard", "total_max_attempts": 2}),
        )
        self._servers.append(server)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.mediaconvert.close()
        for server in self._servers:
            server.stop()
        self.s3.close()


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Iterator[Local]:
    made = Local(tmp_path_factory.mktemp("encoder"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(local) -> Any:
    return local.client("mediaconvert")


@pytest.fixture(scope="module")
def bucket(local, tmp_path_factory) -> Any:
    """With a film, a text and half a film in it."""
    s3 = local.client("s3")
    s3.create_bucket(Bucket="temp", CreateBucketConfiguration={"LocationConstraint": REGION})
    film = camera_clip(
        tmp_path_factory.mktemp("clip") / "film.mp4", size="320x180", duration_s=0.4
    ).read_bytes()
    bodies = {"source.mp4": film, "text.mp4": b"no film" * 99, "half.mp4": film[: len(film) // 2]}
    for name, body in bodies.items():
        s3.put_object(Bucket="temp", Key=f"jobs/1/{name}", Body=body)
    return s3


@pytest.fixture
def encoder(local, client, bucket) -> Iterator[Encoder]:
    queue = client.get_queue(Name="Default")["Queue"]["Arn"]
    role = "arn:aws:iam::123456789012:role/encoder"
    yield Encoder(client, queue_arn=queue, role_arn=role)
    local.faults.clear()


def settings(source: str = SOURCE) -> dict[str, Any]:
    plan = a_plan(width=320, height=180, max_bitrate_bps=500_000)
    return job_settings(plan, source_url=source, destination_url="s3://temp/jobs/1/a1/encoded")


def created(encoder: Encoder, attempt: int, source: str = SOURCE) -> str:
    return encoder.create_job(settings(source), job_id=JOB_ID, attempt=attempt, workflow="compress")


def ended(encoder: Encoder, encoder_job_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        job = encoder.get_job(encoder_job_id)
        return job if job["Status"] in FATE else None

    return until(look, "the encode to end", 20)


def test_a_film_is_probed(encoder: Encoder) -> None:
    facts = facts_from_probe(encoder.probe(SOURCE), 1000)
    assert facts.video is not None
    assert (facts.container, facts.video.width, len(facts.audio)) == ("mp4", 320, 1)


@pytest.mark.parametrize(
    ("name", "sentence"), [("text.mp4", "not a video"), ("half.mp4", "damaged or incomplete")]
)
def test_what_is_no_film_is_rejected_in_words(encoder: Encoder, name: str, sentence: str) -> None:
    with pytest.raises(Rejected, match=sentence):
        encoder.probe(f"s3://temp/jobs/1/{name}")


@pytest.mark.parametrize(
    ("code", "status"), [("TooManyRequestsException", 429), ("InternalServerErrorException", 500)]
)
@pytest.mark.parametrize("operation", ["Probe", "CreateJob", "GetJob", "SearchJobs", "ListJobs"])
def test_a_busy_mediaconvert_is_temporary(
    local, encoder: Encoder, operation: str, code: str, status: int
) -> None:
    fault = Fault(service="mediaconvert", operation=operation, status=status, code=code, times=2)
    local.faults.add(fault)
    call = {
        "Probe": lambda: encoder.probe(SOURCE),
        "CreateJob": lambda: created(encoder, 1),
        "GetJob": lambda: encoder.get_job("1700000000000-abcdef"),
        "SearchJobs": lambda: encoder.find_job(source_url=SOURCE, job_id=JOB_ID, attempt=1),
        "ListJobs": lambda: encoder.unfinished_jobs(),
    }[operation]
    with pytest.raises(Temporary, match="busy"):
        call()


def test_one_throttled_call_is_not_even_noticed(local, encoder: Encoder) -> None:
    throttled = {"status": 429, "code": "TooManyRequestsException"}
    local.faults.add(Fault(service="mediaconvert", operation="Probe", **throttled))
    assert encoder.probe(SOURCE)


@pytest.mark.parametrize(("after_effect", "jobs"), [(False, 0), (True, 1)])
def test_an_error_that_leaves_it_open_is_no_refusal_even_before_a_throttle(
    local, encoder: Encoder, after_effect: bool, jobs: int
) -> None:
    source = SOURCE + "?" * jobs  # a film of its own
    throttled = {"status": 429, "code": "TooManyRequestsException", "times": 9}
    broken = {"status": 500, "code": "InternalServerErrorException", "after_effect": after_effect}
    local.faults.add(Fault(service="mediaconvert", operation="CreateJob", **broken))
    local.faults.add(Fault(service="mediaconvert", operation="CreateJob", nth=2, **throttled))
    with pytest.raises(Temporary) as caught:
        created(encoder, 201 + jobs, source)
    assert not isinstance(caught.value, NotTaken)
    found = encoder.find_job(source_url=source, job_id=JOB_ID, attempt=201 + jobs)
    assert (found is not None) == bool(jobs)
    if found is not None:
        ended(encoder, str(found["Id"]))


def test_throttles_alone_are_a_refusal(local, encoder: Encoder) -> None:
    throttled = {"status": 429, "code": "TooManyRequestsException", "times": 9}
    local.faults.add(Fault(service="mediaconvert", operation="CreateJob", **throttled))
    with pytest.raises(NotTaken):
        created(encoder, 203)
    assert encoder.find_job(source_url=SOURCE, job_id=JOB_ID, attempt=203) is None


def test_unfinished_jobs_are_known_without_asking_for_each(encoder: Encoder) -> None:
    made = {created(encoder, attempt) for attempt in range(101, 126)}  # more than one page
    seen = encoder.unfinished_jobs()
    for encoder_job_id in made - seen:  # what is not among them has ended, at the latest by now
        assert encoder.get_job(encoder_job_id)["Status"] in FATE
    for encoder_job_id in made:
        encoder.cancel_job(encoder_job_id)
    while running := encoder.unfinished_jobs() & made:
        ended(encoder, running.pop())


def test_a_wrong_request_is_nothing_that_waiting_would_cure(encoder: Encoder) -> None:
    with pytest.raises(ClientError, match="BadRequest"):
        encoder.create_job({"Inputs": []}, job_id=JOB_ID, attempt=1, workflow="compress")


def test_a_job_is_made_once_found_again_and_ends(local, encoder: Encoder) -> None:
    first = created(encoder, 1)
    assert created(encoder, 1) == first  # its request token holds for a minute
    second = created(encoder, 2)
    assert second != first
    for attempt, wanted in ((1, first), (2, second)):
        found = encoder.find_job(source_url=SOURCE, job_id=JOB_ID, attempt=attempt)
        assert found is not None and found["Id"] == wanted
    assert encoder.find_job(source_url=SOURCE, job_id=JOB_ID, attempt=3) is None
    assert encoder.find_job(source_url=SOURCE, job_id="f" * 20, attempt=1) is None
    assert encoder.find_job(source_url=SOURCE + "x", job_id=JOB_ID, attempt=1) is None
    outcome = outcome_of(ended(encoder, first), 1)
    assert outcome is not None
    assert (outcome.status, outcome.encoder_job_id, outcome.attempt) == ("COMPLETE", first, 1)
    assert outcome.duration_ms is not None and 300 < outcome.duration_ms < 600
    [told] = {
        (event["detail"]["userMetadata"]["job_id"], event["detail"]["userMetadata"]["attempt"])
        for event in local.events
        if event["detail"]["jobId"] == first
    }
    assert told == (JOB_ID, "1")
    ended(encoder, second)


def test_an_outcome_says_why_it_failed(encoder: Encoder) -> None:
    job = ended(encoder, created(encoder, 7, "s3://temp/jobs/1/text.mp4"))
    outcome = outcome_of(job, 7)
    assert outcome is not None and outcome.status == "ERROR"
    assert outcome.error_code is not None and outcome.error_message


@pytest.mark.parametrize("status", ["SUBMITTED", "PROGRESSING"])
def test_a_job_on_its_way_has_no_outcome(status: str) -> None:
    assert outcome_of({"Id": "1", "Status": status}, 1) is None


@pytest.mark.parametrize("groups", [[], [{}], [{"OutputDetails": []}], [{"OutputDetails": [{}]}]])
def test_an_answer_without_details_is_an_outcome(groups: list[dict[str, Any]]) -> None:
    job = {"Id": "1", "Status": "COMPLETE", "OutputGroupDetails": groups}
    outcome = outcome_of(job, 1)
    assert outcome is not None and outcome.duration_ms is None


def test_cancelling_what_is_over_is_no_error(encoder: Encoder) -> None:
    encoder.cancel_job(str(ended(encoder, created(encoder, 9))["Id"]))
    encoder.cancel_job("1700000000000-abcdef")
