"""The MediaConvert REST API: requests in, answers out. Media work happens elsewhere."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from werkzeug import Request, Response

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.faults import Fault, Faults
from slimreel.local.mediaconvert import (
    model,
    naming,
    probe,
    queues,
    reading,
    rules,
    supported,
    validate,
)
from slimreel.local.mediaconvert.errors import (
    ApiError,
    BadRequest,
    Conflict,
    Flaw,
    NotDoneHere,
    NotFound,
    Unprocessable,
    Unreadable,
)
from slimreel.local.mediaconvert.job import Job, new_id
from slimreel.local.mediaconvert.schedule import Schedule
from slimreel.local.mediaconvert.stub import Stub
from slimreel.local.mediaconvert.work import MayRole, ObjectStore

_log = logging.getLogger("slimreel.local.mediaconvert")

#: A reused ClientRequestToken returns the first job for this long.
#: Source: https://docs.aws.amazon.com/mediaconvert/latest/apireference/idempotency.html
_TOKEN_S = 60.0
_PAGE = 20
_Item = TypeVar("_Item")


class MediaConvert:
    """MediaConvert for one account and Region, doing its work with ffmpeg.

    Jobs outlive the object: their records are in `work_dir`. Call `resume` once events can be
    delivered, to run again what an earlier process left unfinished.

    Args:
        emit: gets every complete EventBridge event, from worker threads.
        encoder: "stub" makes real outputs as fast as it can, for load tests; see `stub`.
        clock: epoch seconds; a test may bend time for tokens and status updates.
        may: what jobs' roles are asked for, before their files are touched.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        emit: Callable[[dict[str, Any]], None],
        work_dir: Path,
        faults: Faults,
        region: str = REGION,
        account_id: str = ACCOUNT_ID,
        concurrent_jobs: int = 1,
        encoder: Literal["ffmpeg", "stub"] = "ffmpeg",
        clock: Callable[[], float] = time.time,
        may: MayRole = lambda role, action, url: True,
    ) -> None:
        self._arn = f"arn:aws:mediaconvert:{region}:{account_id}:"
        self._store, self._faults, self._clock = store, faults, clock
        self._queues = queues.Queues(arn_prefix=f"{self._arn}queues/", now_s=clock())
        self._tags: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, tuple[float, Job]] = {}
        self._schedule = Schedule(
            store=store,
            emit=emit,
            work_dir=work_dir,
            faults=faults,
            queues=self._queues,
            region=region,
            account_id=account_id,
            concurrent_jobs=concurrent_jobs,
            clock=clock,
            stub=Stub(work_dir / "stub") if encoder == "stub" else None,
            may=may,
        )
        self._operations: dict[str, Callable[[_Call], dict[str, Any]]] = {
            "CancelJob": self._cancel_job,
            "CreateJob": self._create_job,
            "CreateQueue": self._create_queue,
            "DeleteQueue": self._delete_queue,
            "DescribeEndpoints": self._describe_endpoints,
            "GetJob": self._get_job,
            "GetQueue": self._get_queue,
            "ListJobs": self._list_jobs,
            "ListQueues": self._list_queues,
            "ListTagsForResource": self._list_tags,
            "Probe": self._probe,
            "SearchJobs": self._list_jobs,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "UpdateQueue": self._update_queue,
        }

    def resume(self) -> int:
        """Run again what an earlier process left unfinished; returns how many jobs."""
        return self._schedule.resume()

    def close(self) -> None:
        """Stop running jobs, end every ffmpeg, join the workers."""
        self._schedule.close()

    def percent(self, job_id: str) -> int | None:
        """How far a job is, as GetJob would say; None before it begins."""
        job = self._schedule.get(job_id)
        return None if job is None else job.percent

    def commands(self, job_id: str) -> list[list[str]]:
        """Every ffmpeg command run for a job, to be run again in an empty directory.

        Raises:
            KeyError: no such job.
        """
        return [argv for argv, _ in self.timed_commands(job_id)]

    def timed_commands(self, job_id: str) -> list[tuple[list[str], float | None]]:
        """The same with the wall seconds each took; None for one that did not end well."""
        job = self._schedule.get(job_id)
        if job is None:
            raise KeyError(job_id)
        return [(list(argv), seconds) for argv, seconds in job.commands]

    def handle(self, request: Request) -> Response:
        """Answer one HTTP request."""
        call = model.match(request.method, request.path)
        if call is None:
            _log.warning("no such operation: %s %s", request.method, request.path)
            return _failure(NotFound(f"No operation at {request.method} {request.path}"))
        fault = self._faults.take("mediaconvert", call.operation)
        if fault is not None and fault.status is not None and not fault.after_effect:
            return _faulty(fault)
        try:
            response = self._answer(call, request)
        except ApiError as error:
            if isinstance(error, NotDoneHere):
                _log.warning("%s is not done here: %s", call.operation, error.message)
            response = _failure(error)
        if fault is not None and fault.status is not None:
            return _faulty(fault)
        if fault is not None and fault.cut_body_at_byte is not None:
            return _cut(response, fault.cut_body_at_byte)
        return response

    def _answer(self, call: model.Call, request: Request) -> Response:
        operation = self._operations.get(call.operation)
        if operation is None:
            raise NotDoneHere(f"{call.operation} is not implemented by this stand-in.")
        values = _input(call, request)
        return _json(call.status, operation(_Call(values=values, host_url=request.host_url)))

    # Jobs

    def _create_job(self, call: _Call) -> dict[str, Any]:
        body = call.values
        _refuse(rules.check(body))
        missing = supported.not_done(body)
        if missing:
            raise NotDoneHere("This stand-in does not do: " + " | ".join(missing))
        with self._schedule.lock:
            queue = self._queues.get(body.get("queue") or "Default")
            token = body.setdefault("clientRequestToken", str(uuid.uuid4()))
            known = self._tokens.get(token)
            now_s = self._clock()
            if known is not None and now_s - known[0] < _TOKEN_S:
                return {"job": known[1].to_wire()}
            job_id = new_id(now_s)
            job = Job(
                number=self._schedule.next_number(),
                job_id=job_id,
                arn=f"{self._arn}jobs/{job_id}",
                queue_arn=queue.arn,
                body=body,
                now_s=now_s,
            )
            self._tokens[token] = (now_s, job)
            self._tags[job.arn] = dict(body.get("tags") or {})
            answer = {"job": job.to_wire()}
            self._schedule.submit(job)
            return answer

    def _job(self, job_id: str) -> Job:
        job = self._schedule.get(job_id)
        if job is None:
            raise NotFound(f"The job with id {job_id} was not found.")
        return job

    def _get_job(self, call: _Call) -> dict[str, Any]:
        return {"job": self._job(call.values["id"]).to_wire()}

    def _cancel_job(self, call: _Call) -> dict[str, Any]:
        job = self._job(call.values["id"])
        if not self._schedule.cancel(job):
            # What the service answers here is not documented; 409 is the modelled code that fits.
            raise Conflict(f"The job with id {job.id} is already in status {job.status}.")
        return {}

    def _list_jobs(self, call: _Call) -> dict[str, Any]:
        """ListJobs, and SearchJobs, which adds `inputFile`."""
        query = call.values
        found = [job for job in self._schedule.jobs() if self._matches(job, query)]
        if query.get("order", "DESCENDING") == "DESCENDING":
            found.reverse()
        page, token = _page(found, query, lambda job: str(job.number))
        answer: dict[str, Any] = {"jobs": [job.to_wire() for job in page]}
        return answer | ({"nextToken": token} if token else {})

    def _matches(self, job: Job, query: dict[str, Any]) -> bool:
        if query.get("status") and job.status != query["status"]:
            return False
        if query.get("queue") and job.queue_arn not in (
            query["queue"],
            f"{self._arn}queues/{query['queue']}",
        ):
            return False
        part = query.get("inputFile")
        return not part or any(part in item["fileInput"] for item in job.settings["inputs"])

    # Probe

    def _probe(self, call: _Call) -> dict[str, Any]:
        files = call.values.get("inputFiles") or []
        return {"probeResults": [self._probe_one(item.get("fileUrl") or "") for item in files]}

    def _probe_one(self, url: str) -> dict[str, Any]:
        if not url.startswith("s3://"):
            raise NotDoneHere(f"Probe of [{url}]: only s3:// URLs are done here.")
        bucket, key = naming.split(url)
        try:
            path = self._store.object_path(bucket, key)
        except KeyError as error:
            raise NotFound(f"Unable to open input file [{url}]: HeadObject failed") from error
        try:
            found = reading.read(path, count_frames=False)
        except Unreadable as error:
            if error.flaw is Flaw.NOT_MEDIA:
                # The code for a file that is no media at all is not documented.
                raise BadRequest(f"Unable to probe [{url}]: {error.flaw.value}") from error
            raise Unprocessable(f"Unable to probe [{url}]: {error.flaw.value}") from error
        stat = path.stat()
        # The S3 ETag is the bucket's business; this one only changes when the file does.
        etag = hashlib.md5(f"{stat.st_size}-{stat.st_mtime_ns}".encode()).hexdigest()
        return probe.result(found, etag=etag, last_modified_s=stat.st_mtime, name=key)

    # Queues

    def _create_queue(self, call: _Call) -> dict[str, Any]:
        with self._schedule.lock:
            queue = self._queues.create(call.values, self._clock())
            self._tags[queue.arn] = dict(call.values.get("tags") or {})
            self._schedule.wake()
            return {"queue": self._queue_wire(queue)}

    def _queue_wire(self, queue: queues.Queue) -> dict[str, Any]:
        return queues.to_wire(queue, self._schedule.jobs())

    def _get_queue(self, call: _Call) -> dict[str, Any]:
        return {"queue": self._queue_wire(self._queues.get(call.values["name"]))}

    def _list_queues(self, call: _Call) -> dict[str, Any]:
        query = call.values
        found = self._queues.all()
        if query.get("listBy") == "NAME":
            found.sort(key=lambda queue: queue.name)
        if query.get("order") == "DESCENDING":
            found.reverse()
        page, token = _page(found, query, lambda queue: queue.name)
        answer: dict[str, Any] = {"queues": [self._queue_wire(queue) for queue in page]}
        return answer | ({"nextToken": token} if token else {})

    def _update_queue(self, call: _Call) -> dict[str, Any]:
        with self._schedule.lock:
            queue = self._queues.update(call.values["name"], call.values, self._clock())
            self._schedule.wake()
            return {"queue": self._queue_wire(queue)}

    def _delete_queue(self, call: _Call) -> dict[str, Any]:
        with self._schedule.lock:
            self._queues.delete(call.values["name"], self._schedule.jobs())
            return {}

    # Tags and endpoints

    def _tags_of(self, arn: str) -> dict[str, str]:
        if arn not in self._tags and arn.startswith(f"{self._arn}queues/"):
            self._tags[self._queues.get(arn).arn] = {}
        if arn not in self._tags:
            raise NotFound(f"Resource not found: {arn}")
        return self._tags[arn]

    def _list_tags(self, call: _Call) -> dict[str, Any]:
        arn = call.values["arn"]
        return {"resourceTags": {"arn": arn, "tags": dict(self._tags_of(arn))}}

    def _tag(self, call: _Call) -> dict[str, Any]:
        self._tags_of(call.values["arn"]).update(call.values["tags"])
        return {}

    def _untag(self, call: _Call) -> dict[str, Any]:
        tags = self._tags_of(call.values["arn"])
        for key in call.values.get("tagKeys") or []:
            tags.pop(key, None)
        return {}

    def _describe_endpoints(self, call: _Call) -> dict[str, Any]:
        """Deprecated: the regional endpoint is the endpoint."""
        return {"endpoints": [{"url": call.host_url.rstrip("/")}]}


class _Call:
    """Validated input of one operation, in wire names."""

    __slots__ = ("host_url", "values")

    def __init__(self, *, values: dict[str, Any], host_url: str) -> None:
        self.values = values
        self.host_url = host_url


def _input(call: model.Call, request: Request) -> dict[str, Any]:
    """Path, query and body as one input, checked against the model.

    Raises:
        BadRequest: with every broken rule, as the service joins them.
    """
    values: dict[str, Any] = dict(call.uri)
    values |= _query(call, request)
    if request.method in ("POST", "PUT"):
        values |= _body(request)
    if call.shape is not None:
        _refuse(validate.check(call.shape, values))
    return {name: value for name, value in values.items() if value is not None}


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise BadRequest("The request could not be interpreted.") from error
    if not isinstance(body, dict):
        raise BadRequest("The request could not be interpreted.")
    return body


def _query(call: model.Call, request: Request) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, member in (call.shape.members if call.shape is not None else {}).items():
        if member.serialization.get("location") != "querystring":
            continue
        wire = validate.wire_name(name, member)
        text = request.args.get(wire)
        if text is not None:
            number = member.type_name == "integer" and text.lstrip("-").isdigit()
            values[wire] = int(text) if number else text
    return values


def _refuse(violations: Iterator[validate.Violation]) -> None:
    found = list(dict.fromkeys(str(violation) for violation in violations))
    if found:
        raise BadRequest(" | ".join(found))


def _page(
    items: list[_Item], query: dict[str, Any], key: Callable[[_Item], str]
) -> tuple[list[_Item], str | None]:
    """One page, and the token of the next: the key of the last item shown."""
    start = 0
    if query.get("nextToken"):
        last = _decode(query["nextToken"])
        start = next((n + 1 for n, item in enumerate(items) if key(item) == last), len(items))
    size = query.get("maxResults", _PAGE)
    page = items[start : start + size]
    more = len(items) > start + size
    return page, base64.urlsafe_b64encode(key(page[-1]).encode()).decode() if more else None


def _decode(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadRequest("Invalid nextToken.") from error


def _json(status: int, body: dict[str, Any]) -> Response:
    response = Response(json.dumps(body), status=status, content_type="application/json")
    response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    return response


def _failure(error: ApiError) -> Response:
    response = _json(error.status, {"message": error.message})
    response.headers["x-amzn-ErrorType"] = error.code
    return response


def _faulty(fault: Fault) -> Response:
    assert fault.status is not None
    return _failure(ApiError(fault.status, fault.code, fault.message))


def _cut(response: Response, at_byte: int) -> Response:
    """Promise the whole body, send a part of it and close."""
    whole = response.get_data()
    cut = Response(iter([whole[:at_byte]]), status=response.status_code)
    cut.headers = response.headers
    cut.headers["Content-Length"] = str(len(whole))
    return cut
