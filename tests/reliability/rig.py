"""The real adapters over the stand-in cloud, call by call: what each sends, and what is left of a
fault once the adapter and its SDK have done what they do about it.

Statuses and cut bodies are the stand-ins' own faults, over HTTP. A time-out is made where it
happens, in the client's transport, before the request leaves or after it was answered, so that no
test has to wait for one.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import httplib2
import pytest
import requests
from botocore.exceptions import ReadTimeoutError
from botocore.retries.quota import RetryQuota
from google.auth import _exponential_backoff
from werkzeug import Request as WsgiRequest
from werkzeug import Response as WsgiResponse

from chalicelib.adapters import airtable as airtable_module
from chalicelib.adapters.callbacks import Callbacks
from chalicelib.adapters.drive_retry import Retry
from chalicelib.config import settings
from chalicelib.domain.encoding import job_settings
from chalicelib.domain.job import Status
from chalicelib.domain.job_list import Asked
from chalicelib.domain.notice import Notice
from chalicelib.domain.tally import tally
from chalicelib.services import Services
from slimreel.local import ACCESS_KEY_ID, ACCOUNT_ID, REGION, SECRET_ACCESS_KEY
from slimreel.local.airtable.limits import RateLimit
from slimreel.local.cloud import Cloud
from slimreel.local.deployment import TABLE_NAME, _set_up_airtable, _store_secrets
from slimreel.local.drive.library import SHARED_DRIVES
from slimreel.local.faults import Fault
from slimreel.local.http_server import Server
from slimreel.local.stack import apply
from slimreel.template import cloudformation
from tests.clips import camera_clip
from tests.examples import a_job, a_plan
from tests.fakes import SUBMITTED

ROOT = Path(__file__).resolve().parents[2]
#: Longer than any client tries.
ALWAYS = 10_000
TYPES = (
    "AWS::S3::Bucket",
    "AWS::DynamoDB::Table",
    "AWS::SQS::Queue",
    "AWS::SNS::Topic",
    "AWS::MediaConvert::Queue",
    "AWS::IAM::Role",
    "AWS::IAM::Policy",
)
Operation = tuple[str, str]  # the service as the stand-ins call it, and its operation

BEFORE, AFTER, THROTTLED, BROKEN, REFUSED, CUT = (
    "timeout-before",
    "timeout-after",
    "throttled",
    "server-error",
    "refused",
    "body-cut",
)
#: Documented answers, by service: status and code.
ANSWERS: dict[str, dict[str, tuple[int, str]]] = {
    "dynamodb": {
        THROTTLED: (400, "ProvisionedThroughputExceededException"),
        BROKEN: (500, "InternalServerError"),
        REFUSED: (400, "AccessDeniedException"),
    },
    "s3": {
        THROTTLED: (503, "SlowDown"),
        BROKEN: (500, "InternalError"),
        REFUSED: (403, "AccessDenied"),
    },
    "sqs": {
        THROTTLED: (400, "RequestThrottled"),
        BROKEN: (500, "InternalError"),
        REFUSED: (403, "AccessDenied"),
    },
    "callbacks": {THROTTLED: (429, ""), BROKEN: (503, ""), REFUSED: (410, "")},
    "sns": {
        THROTTLED: (400, "Throttling"),
        BROKEN: (500, "InternalFailure"),
        REFUSED: (403, "AuthorizationError"),
    },
    "states": {
        THROTTLED: (400, "ThrottlingException"),
        BROKEN: (500, "InternalServerError"),
        REFUSED: (400, "AccessDeniedException"),
    },
    "ssm": {
        THROTTLED: (400, "ThrottlingException"),
        BROKEN: (500, "InternalServerError"),
        REFUSED: (400, "AccessDeniedException"),
    },
    "mediaconvert": {
        THROTTLED: (429, "TooManyRequestsException"),
        BROKEN: (500, "InternalServerErrorException"),
        REFUSED: (403, "ForbiddenException"),
    },
    "drive": {
        THROTTLED: (403, "userRateLimitExceeded"),
        BROKEN: (503, "backendError"),
        REFUSED: (403, "insufficientFilePermissions"),
    },
    "airtable": {
        THROTTLED: (429, "TOO_MANY_REQUESTS"),
        BROKEN: (503, "SERVICE_UNAVAILABLE"),
        REFUSED: (403, "INVALID_PERMISSIONS"),
    },
}
#: Google's token endpoint speaks OAuth.
#: Source: https://developers.google.com/identity/protocols/oauth2/service-account (errors)
ANSWERS_OF_TOKEN = {
    THROTTLED: (429, "rateLimitExceeded"),
    BROKEN: (503, "backendError"),
    REFUSED: (400, "invalid_grant"),
}
#: Whom each adapter talks to.
SERVICES = {
    "records": "dynamodb",
    "catalogue": "dynamodb",
    "storage": "s3",
    "encoder": "mediaconvert",
    "flows": "states",
    "queues": "sqs",
    "topic": "sns",
    "secrets": "ssm",
    "drive": "drive",
    "airtable": "airtable",
    "desk": "airtable",
    "drive_writer": "drive",
    "callbacks": "callbacks",
}
#: What the stand-ins do among themselves.
_INSIDE = ("RunJob", "notification")
#: boto3's name of a service where the stand-ins have another.
_BOTO = {"states": "stepfunctions"}


@dataclass(frozen=True)
class Surface:
    """What is left of a fault.

    Attributes:
        once: what the call raised when it happened once; None when the call ended well.
        lasting: what it raised when it happened each time.
    """

    once: BaseException | None
    lasting: BaseException | None


class Rig:
    def __init__(self, cloud: Cloud, patch: pytest.MonkeyPatch, clip: Path) -> None:
        self.cloud, self._patch = cloud, patch
        self._number = 0
        self.receipt: str | None = None
        self._made: list[Services] = []
        patch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))
        patch.setattr(_exponential_backoff, "time", SimpleNamespace(sleep=lambda _: None))
        # Nor do rate limits and their half minute of penalty matter here.
        for limit in ("_base_rate", "_token_rate"):
            patch.setattr(cloud.airtable, limit, RateLimit(10_000, time.time))
        # A client that has met many faults stops repeating calls; each of ours is the first.
        patch.setattr(RetryQuota, "acquire", lambda quota, amount: True)
        calm = SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic)
        patch.setattr(airtable_module, "time", calm)
        patch.setenv("AWS_ENDPOINT_URL", cloud.endpoint_url)
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        self.base_id = cloud.airtable.create_base("Slimreel")
        _set_up_airtable(cloud, self.base_id)
        _store_secrets(cloud)
        self._listener = Server(WsgiRequest.application(self._hear))
        self._listener.start()
        self._environment = self._applied()
        self._seen: list[Operation] | None = None
        self._bodies: dict[Operation, int] = {}
        self._listen()
        self._transport = _Transport(patch)
        self.services = self.cold()
        self._film(clip)
        _receipt(self)
        self.services.drive.start_page_token()  # has its token from here

    def cold(self) -> Services:
        """The adapters as a new process makes them."""
        made = Services(settings(self._environment))
        made.drive._retry = made.drive_writer._retry = Retry(sleep=lambda _: None)
        self._made.append(made)
        return made

    def _hear(self, _: WsgiRequest) -> WsgiResponse:
        """Whoever is called back, under the faults of the cloud."""
        fault = self.cloud.faults.take("callbacks", "POST")
        return WsgiResponse(status=fault.status if fault and fault.status else 204)

    @property
    def callback_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.port}/hook"

    def close(self) -> None:
        """Hang up everywhere."""
        self._listener.stop()
        for made in self._made:
            made.drive.close()
            made.drive_writer.close()
            if "airtable" in vars(made):
                made.airtable.close()
            for client in _made_clients(made):
                client.close()

    def _applied(self) -> dict[str, str]:
        template = cloudformation(ROOT, "local")
        wanted = {
            name: resource
            for name, resource in template["Resources"].items()
            # The roles of flows need all of their functions; no flow runs here.
            if resource["Type"] in TYPES and not name.endswith("FlowRole")
        }
        sections = ("Parameters", "Conditions")
        stack = apply(
            {"Resources": wanted, **{name: template[name] for name in sections}},
            parameters={"Stage": "local", "SubmitBuckets": SUBMITTED},
            client=self.cloud.client,
        )
        machine = self.cloud.client("stepfunctions").create_state_machine(
            name="slimreel-local-compress",
            definition=json.dumps(
                {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}
            ),
            roleArn="arn:aws:iam::123456789012:role/flow",
        )["stateMachineArn"]
        queue = self.cloud.client("mediaconvert").get_queue(Name="slimreel-local")["Queue"]["Arn"]
        found = stack.resources
        self.temp, self.compressed = found["TempBucket"], found["CompressedBucket"]
        self.cloud.client("s3").create_bucket(
            Bucket=SUBMITTED, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        return {
            "STAGE": "local",
            "JOBS_TABLE": found["JobsTable"],
            "TEMP_BUCKET": self.temp,
            "COMPRESSED_BUCKET": self.compressed,
            "DRIVE_QUEUE_URL": found["DriveQueue"],
            "ROWS_QUEUE_URL": found["RowsQueue"],
            "DRIVE_DEAD_LETTERS_URL": found["DriveDeadLetters"],
            "ROWS_DEAD_LETTERS_URL": found["RowsDeadLetters"],
            "NOTICE_TOPIC_ARN": found["NoticeTopic"],
            "ENCODER_QUEUE_ARN": queue,
            "ENCODER_ROLE_ARN": f"arn:aws:iam::{ACCOUNT_ID}:role/{found['EncoderRole']}",
            "FLOW_ARN_PREFIX": machine.removesuffix("compress"),
            "PUBLIC_URL": "https://slimreel.example/api",
            "DRIVE_API_URL": self.cloud.endpoint_url + "/",
            "AIRTABLE_API_URL": self.cloud.endpoint_url,
            "AIRTABLE_BASE_ID": self.base_id,
            "AIRTABLE_TABLE": TABLE_NAME,
            "SECRETS_PREFIX": "/slimreel/local/",
            "CALLBACK_ORIGINS": f"http://127.0.0.1:{self._listener.port}",
        }

    def _listen(self) -> None:
        """Write down what the stand-ins are asked for."""
        take = self.cloud.faults.take

        def listening(service: str, operation: str) -> Fault | None:
            if self._seen is not None and service in ANSWERS and operation not in _INSIDE:
                self._seen.append((service, operation))
            return take(service, operation)

        self._patch.setattr(self.cloud.faults, "take", listening)

    def _film(self, clip: Path) -> None:
        self.source_url = f"s3://{self.temp}/jobs/1/source.mp4"
        self.services.storage.put(
            self.temp, "jobs/1/source.mp4", clip.read_bytes(), content_type="video/mp4"
        )
        # S3 copies ranges of objects above 5 MiB only.
        self.services.storage.put(
            self.temp, "jobs/1/long.mp4", bytes(6 * 2**20), content_type="video/mp4"
        )
        drive = self.cloud.drive
        self.file_id = str(drive.add_file(drive.root_id, "film.mp4", clip))
        self.size_bytes = clip.stat().st_size

    def name(self) -> str:
        """Another one each time."""
        self._number += 1
        return f"{self._number:020x}"

    # Experiments

    def operations(self, call: str) -> list[Operation]:
        """What one call of an adapter asks of services, each once."""
        thunk = CALLS[call](self)
        self._seen = []
        try:
            thunk()
            service = SERVICES[call.partition(".")[0]]
            return [seen for seen in dict.fromkeys(self._seen) if seen[0] == service]
        finally:
            self._seen = None

    def once(self, call: str, operation: Operation, what: str) -> BaseException | None:
        """What a call raises to which this happens once; None when it ends well."""
        return self._tried(call, operation, what, times=1)

    def lasting(self, call: str, operation: Operation, what: str) -> BaseException | None:
        """The same, when it happens each time."""
        return self._tried(call, operation, what, times=ALWAYS)

    def _tried(
        self, call: str, operation: Operation, what: str, *, times: int
    ) -> BaseException | None:
        thunk = CALLS[call](self)
        with self._struck(operation, what, times):
            try:
                thunk()
            except Exception as error:  # noqa: BLE001 - it is what we are after
                return error.with_traceback(None)
        return None

    @contextlib.contextmanager
    def _struck(self, operation: Operation, what: str, times: int) -> Iterator[None]:
        service, name = operation
        if what in (BEFORE, AFTER):
            self._transport.arm(operation, after=what == AFTER, times=times, services=self.services)
        elif what == CUT:
            fault = Fault(service=service, operation=name, cut_body_at_byte=1, times=times)
            self.cloud.faults.add(fault)
        else:
            answers = ANSWERS_OF_TOKEN if name == "token" else ANSWERS[service]
            status, code = answers[what]
            self.cloud.faults.add(
                Fault(service=service, operation=name, status=status, code=code, times=times)
            )
        try:
            yield
        finally:
            self.cloud.faults.clear()
            self._transport.disarm()


#: In place of an address, for calls that go to nobody's service.
_CALLBACK = "callback"


class _Transport:
    """Where the clients' requests leave the process."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._left, self._after = 0, False
        self._operation: Operation = ("", "")
        self._hooked: set[int] = set()
        http_request, session_send = httplib2.Http.request, requests.Session.send

        def request(http: Any, uri: str, *args: Any, **options: Any) -> Any:
            return self._passing(uri, lambda: http_request(http, uri, *args, **options))

        def send(session: Any, prepared: Any, **options: Any) -> Any:
            return self._passing(prepared.url, lambda: session_send(session, prepared, **options))

        posted = Callbacks._posted

        def post(callbacks: Callbacks, *args: Any) -> int:
            return self._passing(_CALLBACK, lambda: posted(callbacks, *args))  # type: ignore[no-any-return]

        patch.setattr(Callbacks, "_posted", post)
        patch.setattr(httplib2.Http, "request", request)
        patch.setattr(requests.Session, "send", send)

    def arm(self, operation: Operation, *, after: bool, times: int, services: Services) -> None:
        self._operation, self._after, self._left = operation, after, times
        for client in _clients(services):
            if id(client) not in self._hooked:
                self._hooked.add(id(client))
                client.meta.events.register("before-send", self._hook(client))

    def disarm(self) -> None:
        self._left = 0

    def _hook(self, client: Any) -> Callable[..., Any]:
        service = client.meta.service_model.service_name

        def before_send(request: Any, event_name: str, **_: Any) -> None:
            armed_service, operation = self._operation
            wanted = _BOTO.get(armed_service, armed_service), operation
            if self._left and (service, event_name.rpartition(".")[2]) == wanted:
                self._left -= 1
                if self._after:
                    _ = client._endpoint.http_session.send(request).content
                raise ReadTimeoutError(endpoint_url=request.url)

        return before_send

    def _passing(self, url: str, work: Callable[[], Any]) -> Any:
        service, operation = self._operation
        is_token = url.endswith("/token")
        meant = service in ("drive", "airtable") and is_token == (operation == "token")
        if url == _CALLBACK or service == "callbacks":
            meant = url == _CALLBACK and service == "callbacks"
        if not (self._left and meant):
            return work()
        self._left -= 1
        if self._after:
            answer = work()
            if isinstance(answer, requests.Response):
                answer.close()
        if service in ("drive", "callbacks"):
            raise TimeoutError("timed out")
        raise requests.ReadTimeout("Read timed out.")


def _clients(services: Services) -> list[Any]:
    return [
        services.records._table.meta.client,
        services.storage._s3,
        services.encoder._client,
        services.flows._client,
        services.queues._client,
        services.topic._client,
        services.secrets._client,
    ]


def _made_clients(services: Services) -> list[Any]:
    """Those of the adapters that were used."""
    found = vars(services)
    records = [found["records"]._table.meta.client] if "records" in found else []
    storage = [found["storage"]._s3] if "storage" in found else []
    others = ("encoder", "flows", "queues", "topic", "secrets")
    return [*records, *storage, *(found[name]._client for name in others if name in found)]


# How each call is made, on something of its own


def _named(rig: Rig) -> None:
    job = a_job(job_id=rig.name(), file_name="film.mov")
    rig.services.records.create(job)
    rig.services.catalogue.add_name(job)


def _job(rig: Rig, **facts: Any) -> str:
    job = a_job(job_id=rig.name(), row_version=1, **facts)
    rig.services.records.create(job)
    return job.job_id


def _upload(rig: Rig) -> tuple[str, str, str]:
    at = rig.temp, f"jobs/{rig.name()}/film.mp4"
    return *at, rig.services.storage.create_upload(*at, content_type="video/mp4")


def _encode(rig: Rig) -> dict[str, Any]:
    plan = a_plan(width=320, height=180, max_bitrate_bps=500_000)
    destination = f"s3://{rig.temp}/jobs/{rig.name()}/encoded"
    return dict(job_settings(plan, source_url=rig.source_url, destination_url=destination))


def _encoded(rig: Rig) -> tuple[str, str]:
    job_id = rig.name()
    made = rig.services.encoder.create_job(
        _encode(rig), job_id=job_id, attempt=1, workflow="compress"
    )
    return job_id, made


def _deep(rig: Rig) -> str:
    """Two objects and an unfinished upload below a prefix."""
    prefix = f"jobs/{rig.name()}/"
    for name in ("a", "b"):
        rig.services.storage.put(rig.temp, prefix + name, b"x", content_type="video/mp4")
    rig.services.storage.create_upload(rig.temp, prefix + "c", content_type="video/mp4")
    return prefix


def _receipt(rig: Rig) -> str:
    """Of a message in flight; one is enough, and all are of one group."""
    if rig.receipt is None:
        rig.services.queues.row_is_dirty(rig.name(), 1)
        url = rig.services.settings.rows_queue_url
        [message] = rig.cloud.client("sqs").receive_message(QueueUrl=url)["Messages"]
        rig.receipt = str(message["ReceiptHandle"])
    return rig.receipt


PING = "http://127.0.0.1:9/airtable/notifications"


def _webhook(rig: Rig) -> str:
    """One takes the place of the other."""
    return rig.services.desk.watch(PING).webhook_id


def _folder(rig: Rig) -> str:
    """A folder that the film is not in."""
    name = rig.name()
    (rig.cloud.drive_root / name).mkdir()
    rig.cloud.drive.scan()
    return str(rig.cloud.drive.folder_id(name))


def _move(rig: Rig, folder: str) -> None:
    parents = rig.services.drive.get(rig.file_id).parents
    rig.services.drive_writer.move(rig.file_id, into=folder, out_of=parents)


SMALL = b"a small film"


def _shared_drive(rig: Rig) -> str:
    """In which a service account may make files."""
    drive, name = rig.cloud.drive, SHARED_DRIVES
    try:
        above = drive.folder_id(name)
    except LookupError:
        above = drive.add_folder(name)
    return str(drive.add_folder(rig.name(), above))


def _new_file(rig: Rig) -> tuple[str, str]:
    return _shared_drive(rig), rig.services.drive_writer.new_file_id()


def _begin_upload(rig: Rig, new: tuple[str, str]) -> str:
    folder, file_id = new
    return rig.services.drive_writer.begin_upload(
        file_id=file_id,
        folder_id=folder,
        name="film.mp4",
        mime_type="video/mp4",
        size_bytes=len(SMALL),
        properties={"slimreel": "job"},
    )


def _upload_begun(rig: Rig) -> str:
    return _begin_upload(rig, _new_file(rig))


def _send(rig: Rig, url: str) -> Any:
    return rig.services.drive_writer.send(url, start=0, body=SMALL, size_bytes=len(SMALL))


def _watch(rig: Rig, page_token: str) -> Any:
    return rig.services.drive.watch_changes(
        channel_id=rig.name(),
        token="t" * 32,
        address="http://127.0.0.1:9/drive/notifications",
        expires_at=datetime.now(UTC) + timedelta(days=1),
        page_token=page_token,
    )


def _read(rig: Rig) -> bytes:
    with rig.services.drive.open_range(rig.file_id, 0, rig.size_bytes - 1) as chunks:
        return b"".join(chunks)


def _part(rig: Rig) -> Callable[[], Any]:
    at, storage = _upload(rig), rig.services.storage
    etag = storage.upload_part(*at, 1, b"film")
    return lambda: storage.complete_upload(*at, {1: etag})


def _publish(rig: Rig) -> Callable[[], Any]:
    target = rig.compressed, f"compress/{rig.name()}/film.mp4"
    source = rig.temp, "jobs/1/source.mp4"
    told = {"content_type": "video/mp4", "file_name": "film.mp4"}
    return lambda: rig.services.storage.copy(source, target, **told)


def _sweep(rig: Rig) -> Callable[[], Any]:
    prefix = _deep(rig)
    return lambda: rig.services.storage.delete_prefix(rig.temp, prefix)


def _delete(rig: Rig) -> Callable[[], Any]:
    at = rig.temp, f"jobs/{rig.name()}/film.mp4"
    etag = rig.services.storage.put(*at, b"film", content_type="video/mp4")
    return lambda: rig.services.storage.delete(*at, etag=etag)


def _copy_part(rig: Rig) -> Callable[[], Any]:
    at = _upload(rig)
    source = rig.temp, "jobs/1/long.mp4"
    return lambda: rig.services.storage.copy_part(*at, 1, *source, 0, 6 * 2**20 - 1)


def _stop(rig: Rig) -> Callable[[], Any]:
    channel = _watch(rig, rig.services.drive.start_page_token())
    stop = rig.services.drive.stop_channel
    return lambda: stop(channel_id=channel.id, resource_id=channel.resource_id)


def _with(prepare: Callable[[Rig], Any], use: Callable[[Rig, Any], Any]) -> Prepare:
    def prepared(rig: Rig) -> Callable[[], Any]:
        made = prepare(rig)
        return lambda: use(rig, made)

    return prepared


def _plain(use: Callable[[Rig], Any]) -> Prepare:
    return lambda rig: lambda: use(rig)


Prepare = Callable[[Rig], Callable[[], Any]]
TOKEN = "A" * 100
SOURCE = "jobs/1/source.mp4"
NOTICE = Notice(kind="failed", workflow="compress", subject="Failed: x", body="why")

CALLS: dict[str, Prepare] = {
    "records.get": _with(_job, lambda r, j: r.services.records.get(j)),
    "records.create": _with(
        lambda r: a_job(job_id=r.name()), lambda r, j: r.services.records.create(j)
    ),
    "records.update": _with(
        _job, lambda r, j: r.services.records.update(j, {"started_at": "now"}, only_if={"run": 1})
    ),
    "records.append_moment": _with(
        _job, lambda r, j: r.services.records.append_moment(j, 1, "fetch", "now")
    ),
    "records.mark_synced": _with(_job, lambda r, j: r.services.records.mark_synced(j, 1, "rec1")),
    "records.settle": _with(_job, lambda r, j: r.services.records.settle(j, 1)),
    "records.open_jobs": _with(_job, lambda r, _: next(r.services.records.open_jobs())),
    "records.unsynced_jobs": _with(_job, lambda r, _: next(r.services.records.unsynced_jobs())),
    "records.item_count": _plain(lambda r: r.services.records.item_count()),
    "catalogue.list_jobs": _with(
        _job, lambda r, _: r.services.catalogue.list_jobs(Asked(), limit=5)
    ),
    "catalogue.search": _with(
        _named, lambda r, _: r.services.catalogue.search("film", Asked(), limit=5)
    ),
    "catalogue.add_name": _with(
        lambda r: a_job(job_id=r.name()), lambda r, j: r.services.catalogue.add_name(j)
    ),
    "catalogue.under_way": _with(_job, lambda r, _: r.services.catalogue.under_way()),
    "catalogue.count": _with(
        Rig.name, lambda r, n: r.services.catalogue.count(tally(a_job(Status.COMPLETED)), n)
    ),
    "catalogue.tallies": _plain(lambda r: r.services.catalogue.tallies("2026", "2027")),
    "records.state": _plain(lambda r: r.services.records.state("drive#changes", "sync")),
    "records.save_state": _with(
        Rig.name, lambda r, n: r.services.records.save_state("test", n, {"a": 1})
    ),
    "records.delete_state": _with(
        Rig.name, lambda r, n: r.services.records.delete_state("test", n)
    ),
    "storage.exists": _plain(lambda r: r.services.storage.exists(r.temp, SOURCE)),
    "storage.found": _plain(lambda r: r.services.storage.found(r.temp, SOURCE)),
    "storage.size_or_none": _plain(lambda r: r.services.storage.size_or_none(r.temp, SOURCE)),
    "storage.version": _plain(lambda r: r.services.storage.version(r.temp, SOURCE)),
    "storage.size_bytes": _plain(lambda r: r.services.storage.size_bytes(r.temp, SOURCE)),
    "storage.read": _plain(lambda r: r.services.storage.read(r.temp, SOURCE)),
    "storage.read_range": _plain(lambda r: r.services.storage.read_range(r.temp, SOURCE, 0, 99)),
    "storage.chunks": _plain(lambda r: list(r.services.storage.chunks(r.temp, SOURCE))),
    "storage.put": _with(
        Rig.name,
        lambda r, n: r.services.storage.put(r.temp, f"jobs/{n}", b"x", content_type="video/mp4"),
    ),
    "storage.put_json": _with(
        Rig.name, lambda r, n: r.services.storage.put_json(r.temp, f"jobs/{n}", {})
    ),
    "storage.create_upload": _plain(_upload),
    "storage.upload_part": _with(_upload, lambda r, u: r.services.storage.upload_part(*u, 1, b"x")),
    "storage.copy_part": _copy_part,
    "storage.parts": _with(_upload, lambda r, u: r.services.storage.parts(*u)),
    "storage.complete_upload": _part,
    "storage.abort_upload": _with(_upload, lambda r, u: r.services.storage.abort_upload(*u)),
    "storage.copy": _publish,
    "storage.abort_uploads": _with(
        _deep, lambda r, prefix: r.services.storage.abort_uploads(r.temp, prefix)
    ),
    "storage.delete": _delete,
    "storage.delete_prefix": _sweep,
    "storage.presigned_url": _plain(
        lambda r: r.services.storage.presigned_url(r.temp, SOURCE, expires_s=60)
    ),
    "encoder.probe": _plain(lambda r: r.services.encoder.probe(r.source_url)),
    "encoder.create_job": _with(
        _encode,
        lambda r, s: r.services.encoder.create_job(s, job_id=r.name(), attempt=1, workflow="c"),
    ),
    "encoder.find_job": _with(
        _encoded,
        lambda r, j: r.services.encoder.find_job(source_url=r.source_url, job_id=j[0], attempt=1),
    ),
    "encoder.get_job": _with(_encoded, lambda r, j: r.services.encoder.get_job(j[1])),
    "encoder.unfinished_jobs": _plain(lambda r: r.services.encoder.unfinished_jobs()),
    "encoder.cancel_job": _with(_encoded, lambda r, j: r.services.encoder.cancel_job(j[1])),
    "flows.start": _with(Rig.name, lambda r, n: r.services.flows.start("compress", n, {})),
    "flows.history": _plain(lambda r: r.services.flows.history("compress", "unknown")),
    "flows.status": _with(Rig.name, lambda r, n: r.services.flows.status("compress", n)),
    "flows.succeed": _plain(lambda r: r.services.flows.succeed(TOKEN, {})),
    "flows.fail": _plain(lambda r: r.services.flows.fail(TOKEN, error="E", cause="c")),
    "flows.heartbeat": _plain(lambda r: r.services.flows.heartbeat(TOKEN)),
    "queues.drive_may_have_changed": _plain(
        lambda r: r.services.queues.drive_may_have_changed({"channel_id": "c"})
    ),
    "queues.look_at_desk": _with(Rig.name, lambda r, n: r.services.queues.look_at_desk(n)),
    "queues.row_is_dirty": _with(Rig.name, lambda r, n: r.services.queues.row_is_dirty(n, 1)),
    "queues.show_row_again": _with(_receipt, lambda r, h: r.services.queues.show_row_again(h, 600)),
    "queues.set_file_aside": _plain(lambda r: r.services.queues.set_file_aside("f", "n", "why")),
    "queues.set_row_aside": _plain(lambda r: r.services.queues.set_row_aside("j", "why")),
    "queues.set_unreadable_aside": _plain(
        lambda r: r.services.queues.set_unreadable_aside("x", "why")
    ),
    "callbacks.post": _plain(lambda r: r.services.callbacks.post(r.callback_url, b"{}", {})),
    "topic.publish": _plain(lambda r: r.services.topic.publish(NOTICE)),
    "secrets.get": _plain(lambda r: r.services.secrets.get("link-key")),
    "drive.get": _plain(lambda r: r.cold().drive.get(r.file_id)),  # with a token to fetch first
    "drive.list_folder": _plain(
        lambda r: list(r.services.drive.list_folder(r.cloud.drive.root_id))
    ),
    "drive.start_page_token": _plain(lambda r: r.services.drive.start_page_token()),
    "drive.changes": _with(
        lambda r: r.services.drive.start_page_token(), lambda r, t: r.services.drive.changes(t)
    ),
    "drive.folder_page": _plain(lambda r: r.services.drive.folder_page(r.cloud.drive.root_id)),
    "drive_writer.move": _with(_folder, _move),
    "drive_writer.new_file_id": _plain(lambda r: r.services.drive_writer.new_file_id()),
    "drive_writer.has_name": _plain(
        lambda r: r.services.drive_writer.has_name(r.cloud.drive.root_id, "film.mp4")
    ),
    "drive_writer.begin_upload": _with(_new_file, _begin_upload),
    "drive_writer.send": _with(_upload_begun, _send),
    "drive_writer.sent": _with(
        _upload_begun, lambda r, url: r.services.drive_writer.sent(url, len(SMALL))
    ),
    "desk.wishes": _plain(lambda r: r.services.desk.wishes()),
    "desk.watch": _plain(lambda r: r.services.desk.watch(PING)),
    "desk.renew": _with(_webhook, lambda r, w: r.services.desk.renew(w)),
    "desk.changes": _with(_webhook, lambda r, w: r.services.desk.changes(w, 1)),
    "drive.watch_changes": _with(lambda r: r.services.drive.start_page_token(), _watch),
    "drive.stop_channel": _stop,
    "drive.open_range": _plain(_read),
    "airtable.upsert": _with(
        Rig.name,
        lambda r, n: r.services.airtable.upsert([{"Job ID": n, "File Name": "film.mp4"}]),
    ),
}


@contextlib.contextmanager
def rigged(folder: Path) -> Iterator[Rig]:
    """A rig over a cloud of its own."""
    (folder / "project").mkdir()
    (folder / "project" / "app.py").write_text("")
    clip = camera_clip(folder / "film.mp4", size="320x180", duration_s=0.4)
    with (
        pytest.MonkeyPatch.context() as patch,
        Cloud(folder / "data", folder / "project", encoder="stub") as cloud,
    ):
        rig = Rig(cloud, patch, clip)
        yield rig
        rig.close()
