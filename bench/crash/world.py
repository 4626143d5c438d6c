"""What an outsider sees: Drive, S3, Airtable, mail, DynamoDB, Step Functions, MediaConvert."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import requests

from bench.crash.people import google_drive
from bench.crash.stack import Ready

KEY_FIELD, TABLE = "Job ID", "Videos"
_OPEN = ("SUBMITTED", "PROGRESSING")
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """An S3 object, read to its end."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """An email as it lies in the mailbox.

    Attributes:
        kind: by its subject: "completed", "kept", "failed" or "cancelled".
        at: when it was delivered, seconds since 1970.
    """

    job_id: str
    kind: str
    subject: str
    at: float


class World:
    """One running stack, looked at from outside."""

    def __init__(self, ready: Ready) -> None:
        self._ready = ready
        self._s3 = ready.client("s3")
        self.temp_bucket = ready.resource("TempBucket")
        self.published_bucket = ready.resource("CompressedBucket")

    # Is anything still moving?

    def unrest(self) -> list[str]:
        """What still has to happen by itself; empty when nothing has."""
        return [
            *(f"execution {name} runs" for name in self.executions("RUNNING")),
            *(f"encode {job['Id']} is {job['Status']}" for job in self.encodes(*_OPEN)),
            *(f"job {job['pk']} is {what}" for job in self.jobs() for what in _unsettled(job)),
            *(f"{count} messages in {queue}" for queue, count in self.queued().items() if count),
        ]

    def under_way(self) -> set[tuple[str, str]]:
        """Open jobs, each with the step it is in."""
        return {(job["pk"], job.get("step", "")) for job in self.jobs() if "open" in job}

    def executions(self, status: str) -> list[str]:
        states = self._ready.client("stepfunctions")
        machine = self._ready.output("CompressFlowArn")
        pages = states.get_paginator("list_executions").paginate(
            stateMachineArn=machine, statusFilter=status
        )
        return [one["name"] for page in pages for one in page["executions"]]

    def encodes(self, *statuses: str) -> list[dict[str, Any]]:
        """MediaConvert's jobs; all of them where no status is given."""
        pages = self._ready.client("mediaconvert").get_paginator("list_jobs").paginate()
        jobs = [job for page in pages for job in page["Jobs"]]
        return [job for job in jobs if not statuses or job["Status"] in statuses]

    def jobs(self) -> list[dict[str, Any]]:
        """Every job record, as plain strings: {"pk": "job#…", "status": …, "open": …, …}."""
        dynamodb = self._ready.client("dynamodb")
        pages = dynamodb.get_paginator("scan").paginate(
            TableName=self._ready.resource("JobsTable"), ConsistentRead=True
        )
        items = [item for page in pages for item in page["Items"]]
        return [_flat(item) for item in items if item["sk"]["S"] == "job"]

    def queued(self) -> dict[str, int]:
        """Messages by queue, dead letters left out."""
        sqs = self._ready.client("sqs")
        counts = {}
        for name in ("DriveQueue", "RowsQueue"):
            url = self._ready.resource(name)
            names = ("", "NotVisible", "Delayed")
            asked = [f"ApproximateNumberOfMessages{name}" for name in names]
            told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=asked)["Attributes"]
            counts[name] = sum(int(told[one]) for one in asked)
        return counts

    def dead_letters(self) -> dict[str, int]:
        sqs = self._ready.client("sqs")
        counts: dict[str, int] = {}
        for url in sqs.list_queues().get("QueueUrls", []):
            if "-dead" in url:
                told = sqs.get_queue_attributes(
                    QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
                )
                counts[url.rpartition("/")[2]] = int(
                    told["Attributes"]["ApproximateNumberOfMessages"]
                )
        return counts

    # What is there

    def objects(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def fetched(self, bucket: str, key: str, target: Path) -> Object:
        """Download an object to `target`."""
        body = self._s3.get_object(Bucket=bucket, Key=key)["Body"]
        return _written(key, iter(lambda: body.read(_BLOCK_BYTES), b""), target)

    def open_uploads(self) -> list[str]:
        found = []
        for bucket in (self.temp_bucket, self.published_bucket):
            pages = self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
            found += [f"{bucket}/{one['Key']}" for page in pages for one in page.get("Uploads", [])]
        return found

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Airtable's rows by job id."""
        from pyairtable import Api

        api = Api(str(self._ready.told["airtable_token"]), endpoint_url=self._ready.endpoint_url)
        table = api.table(str(self._ready.told["airtable_base_id"]), TABLE)
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in table.all():
            rows[record["fields"].get(KEY_FIELD, "")].append(record["fields"])
        return rows

    def followed(self, link: str, target: Path) -> Object:
        """What a person gets who clicks on a link in a row.

        Raises:
            requests.HTTPError: it is dead.
        """
        with requests.get(link, stream=True, timeout=60) as answer:
            answer.raise_for_status()
            return _written(link, answer.iter_content(_BLOCK_BYTES), target)

    def mails(self) -> list[Mail]:
        return [*_mails(Path(str(self._ready.told["mail_dir"])))]

    def drive_files(self) -> dict[str, dict[str, Any]]:
        """Every file in Drive that is no folder, by id: name, trashed, and sha256 of its bytes."""
        found = {}
        with google_drive(self._ready) as drive:
            files, token = drive.files(), None
            while True:
                page = files.list(
                    q="mimeType != 'application/vnd.google-apps.folder'",
                    pageToken=token,
                    pageSize=1000,
                    fields="nextPageToken,files(id,name,trashed)",
                ).execute()
                for file in page["files"]:
                    content = files.get_media(fileId=file["id"]).execute()
                    found[file["id"]] = {**file, "sha256": hashlib.sha256(content).hexdigest()}
                token = page.get("nextPageToken")
                if token is None:
                    return found


def _unsettled(job: dict[str, Any]) -> Iterator[str]:
    if "open" in job:
        yield f"not settled ({job.get('status')}, step {job.get('step')})"
    if "unsynced" in job:
        yield "not in its row"


def _written(name: str, blocks: Iterator[bytes], target: Path) -> Object:
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
    return Object(key=name, size_bytes=target.stat().st_size, sha256=digest.hexdigest())


def _flat(item: dict[str, Any]) -> dict[str, Any]:
    return {name: next(iter(value.values())) for name, value in item.items()}


_JOB = re.compile(r"^Job ([0-9a-f]{20}), workflow", re.MULTILINE)


def _mails(folder: Path) -> Iterator[Mail]:
    for path in sorted(folder.glob("*.eml")):
        mail = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
        body = mail.get_body(("plain",))
        named = _JOB.search(body.get_content().replace("\r\n", "\n") if body else "")
        subject = str(mail["Subject"])
        yield Mail(
            job_id=named[1] if named else "",
            kind=_kind(subject),
            subject=subject,
            at=path.stat().st_mtime,
        )


def _kind(subject: str) -> str:
    if subject.startswith("Failed: "):
        return "failed"
    if subject.startswith("Original kept: "):
        return "kept"
    if subject.startswith("Cancelled: "):
        return "cancelled"
    return "completed" if re.match(r"[0-9.,<]+ ?% smaller: ", subject) else f"? {subject}"


def told_of(data_dir: Path) -> Counter[tuple[str, str]]:
    """(job id, kind) of every email that a dead stack had marked as sent, read from its disk."""
    marks: Counter[tuple[str, str]] = Counter()
    with closing(sqlite3.connect(data_dir / "moto.sqlite")) as db:
        for (text,) in db.execute("SELECT item FROM items"):
            item = json.loads(text)
            job_id = item["pk"]["S"].removeprefix("job#")
            for mark in item.get("notices_sent", {}).get("L", []):
                marks[job_id, mark["S"].partition(":")[2]] += 1
    return marks
