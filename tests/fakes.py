"""The outside world in memory: what `Services` reaches, with the same methods and failures.

`tests/contract/test_adapters_*.py` hold `Records` and `Storage` here to what the real adapters do.
A `Peril` kills the process before one call of an adapter.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.adapters.airtable_desk import LogPage, Webhook, Wishes
from chalicelib.adapters.drive_errors import (
    ChannelIdTaken,
    DownloadCut,
    DriveUnavailable,
    FileExists,
    FileGone,
    PageTokenInvalid,
    UploadGone,
)
from chalicelib.adapters.metrics import Metrics
from chalicelib.adapters.records import Below, Outside
from chalicelib.adapters.secrets import SecretMissing
from chalicelib.adapters.storage import Found, ObjectExists, ObjectMissing, ObjectVersion
from chalicelib.config import settings
from chalicelib.domain.codec import from_plain, to_plain
from chalicelib.domain.drive import FOLDER_TYPE, Change, ChangePage, Channel, DriveFile
from chalicelib.domain.job import Job, Status
from chalicelib.domain.job_list import (
    Asked,
    JobSummary,
    Place,
    Sort,
    UnderWay,
    name_words,
    rarest_first,
    words,
)
from chalicelib.domain.notice import Notice
from chalicelib.domain.review import Wish
from chalicelib.domain.tally import Amounts, Kind, Tally
from chalicelib.services import Services

INBOX = "inbox-folder-id"
TEMP, COMPRESSED = "temp", "compressed"
#: Where people may submit from.
SUBMITTED = "films"
ENVIRONMENT = {
    "STAGE": "test",
    "TEMP_BUCKET": TEMP,
    "COMPRESSED_BUCKET": COMPRESSED,
    "PUBLIC_URL": "https://slimreel.example/api",
    "SUBMIT_BUCKETS": SUBMITTED,
    "AIRTABLE_BASE_ID": "appTest",
    "AIRTABLE_TABLE": "Videos",
    "AIRTABLE_ROW_LIMIT": "50000",
}


def aws_error(code: str, operation: str = "Call", status: int = 400) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)


class Killed(BaseException):
    """The process is gone: no `except Exception` sees this."""


class Peril:
    """Kills the process at the `at`-th call of any adapter. Dead stays dead until `revive`."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.calls: list[str] = []
        self.dead = False

    def call(self, name: str, work: Any) -> Any:
        if self.dead:
            raise Killed
        self.calls.append(name)
        if len(self.calls) == self.at:
            self.dead = True
            raise Killed
        return work()

    def revive(self) -> None:
        self.dead = False

    def about(self, name: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """What the next call is given, for those who want to know."""


class Perilous:
    """An adapter under a `Peril`."""

    def __init__(self, name: str, adapter: Any, peril: Peril) -> None:
        self._name, self._adapter, self._peril = name, adapter, peril

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._adapter, name)

        def call(*args: Any, **options: Any) -> Any:
            self._peril.about(f"{self._name}.{name}", args, options)
            return self._peril.call(f"{self._name}.{name}", lambda: method(*args, **options))

        return call


class Failing:
    """Mixed into a fake: exceptions to raise from its next calls, by method."""

    def __init__(self) -> None:
        self.failures: dict[str, list[BaseException]] = {}

    def fail_next(self, method: str, *errors: BaseException) -> None:
        self.failures.setdefault(method, []).extend(errors)

    def _may_fail(self, method: str) -> None:
        if self.failures.get(method):
            raise self.failures[method].pop(0)


class Records(Failing):
    """Items by key, changed under conditions, as the one DynamoDB table holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[tuple[str, str], dict[str, Any]] = {}

    def get(self, job_id: str) -> Job | None:
        self._may_fail("get")
        return self._read(job_id)

    def create(self, job: Job) -> bool:
        self._may_fail("create")
        key = (f"job#{job.job_id}", "job")
        if key in self.items:
            return False
        marks = {"open": "1"} if job.status.is_open else {}
        self.items[key] = {**_stored(job), **marks, "unsynced": "1", "listed": "1"}
        return True

    def update(
        self,
        job_id: str,
        changes: Mapping[str, Any],
        *,
        only_if: Mapping[str, Any] | None = None,
        row: bool = True,
        unsettled: bool = False,
    ) -> Job | None:
        self._may_fail("update")
        changes = dict(changes)
        if unsettled or ("status" in changes and changes["status"].is_open):
            changes["open"] = "1"
        if row:
            changes["unsynced"] = "1"
        key = (f"job#{job_id}", "job")
        if key not in self.items:
            return None
        item = self._change(key, changes, only_if or {}, {"row_version": 1} if row else {})
        return from_plain(Job, item) if item else None

    def append_moment(
        self, job_id: str, run: int, step: str, at: str, *, ended: bool = False
    ) -> Job | None:
        self._may_fail("append_moment")
        item = self.items.get((f"job#{job_id}", "job"))
        if item is None or item["run"] != run or item.get("step") == step:
            return None
        if not (ended or Status(item["status"]).is_open):
            return None
        item["step"] = step
        moment = {"step": step, "at": at, "run": run}
        item["timeline"] = [*item.get("timeline", []), moment]
        return self._read(job_id)

    def _read(self, job_id: str) -> Job | None:
        item = self.items.get((f"job#{job_id}", "job"))
        return from_plain(Job, item) if item else None

    def mark_synced(self, job_id: str, row_version: int, row_id: str) -> None:
        self._may_fail("mark_synced")
        key = (f"job#{job_id}", "job")
        shown = {"synced_version": row_version, "row_id": row_id}
        if not self._change(key, {**shown, "unsynced": None}, {"row_version": row_version}, {}):
            self._change(key, shown, {}, {})

    def settle(self, job_id: str, run: int, *, only_if: Mapping[str, Any] | None = None) -> None:
        self._may_fail("settle")
        conditions = {"run": run, **(only_if or {})}
        self._change((f"job#{job_id}", "job"), {"open": None}, conditions, {})

    def open_jobs(self) -> Iterator[Job]:
        self._may_fail("open_jobs")
        return self._marked("open")

    def unsynced_jobs(self) -> Iterator[Job]:
        return self._marked("unsynced")

    def item_count(self) -> int:
        return len(self.items)

    def state(self, pk: str, sk: str) -> dict[str, Any]:
        self._may_fail("state")
        return dict(self.items.get((pk, sk), {}))

    def save_state(
        self,
        pk: str,
        sk: str,
        changes: Mapping[str, Any],
        *,
        only_if: Mapping[str, Any] | None = None,
        add: Mapping[str, int] | None = None,
    ) -> dict[str, Any] | None:
        self._may_fail("save_state")
        return self._change((pk, sk), changes, only_if or {}, add or {})

    def delete_state(self, pk: str, sk: str) -> None:
        self.items.pop((pk, sk), None)

    def _change(
        self,
        key: tuple[str, str],
        changes: Mapping[str, Any],
        only_if: Mapping[str, Any],
        add: Mapping[str, int],
    ) -> dict[str, Any] | None:
        now = self.items.get(key, {"pk": key[0], "sk": key[1]})
        if not all(_holds(now.get(name), wanted) for name, wanted in only_if.items()):
            return None
        new = {**now, **{name: _stored(value) for name, value in changes.items()}}
        for name, amount in add.items():
            new[name] = new.get(name, 0) + amount
        self.items[key] = {name: value for name, value in new.items() if value is not None}
        return dict(self.items[key])

    def _marked(self, mark: str) -> Iterator[Job]:
        marked = [item for item in self.items.values() if mark in item]
        return iter([from_plain(Job, i) for i in sorted(marked, key=lambda i: i["updated_at"])])


class Catalogue(Failing):
    """The same items, looked through."""

    def __init__(self, items: dict[tuple[str, str], dict[str, Any]]) -> None:
        super().__init__()
        self._items = items
        self._words: dict[str, tuple[str, str]] = {}
        self._tallies: dict[Kind, Amounts] = {}
        self._counted: set[str] = set()

    def list_jobs(
        self, asked: Asked, *, limit: int, after: Place | None = None
    ) -> tuple[list[JobSummary], Place | None]:
        self._may_fail("list_jobs")
        by = {Sort.LARGEST: "size_bytes", Sort.MOST_SAVED: "saved_bytes"}
        name = by.get(asked.sort, "created_at")
        items = [item for item in self._items.values() if item.get("listed") and name in item]
        items.sort(
            key=lambda item: (item[name], item["job_id"]), reverse=asked.sort is not Sort.OLDEST
        )
        if after is not None:
            place = [(item[name], item["job_id"]) for item in items]
            items = items[place.index((after.at, after.job_id)) + 1 :]
        found = [item for item in items if asked.fits(from_plain(JobSummary, item))]
        page = [from_plain(JobSummary, item) for item in found[:limit]]
        if len(found) <= limit:
            return page, None
        return page, Place(at=found[limit - 1][name], job_id=found[limit - 1]["job_id"])

    def search(
        self, text: str, asked: Asked, *, limit: int, after: str | None = None
    ) -> tuple[list[JobSummary], str | None]:
        self._may_fail("search")
        wanted = words(text)
        found = {}
        longest = next(iter(rarest_first(wanted)), "\0")
        longest += "#" if len(longest) == 1 else ""
        for key in sorted(self._words, reverse=True):
            job_id, name = self._words[key]
            fits = all(any(w.startswith(one) for w in name.split()) for one in wanted)
            if (after is None or key < after) and key.startswith(longest) and fits:
                found.setdefault(job_id, key)
        ids = list(found)[:limit]
        jobs = [from_plain(JobSummary, self._items[f"job#{job_id}", "job"]) for job_id in ids]
        return [job for job in jobs if asked.fits(job)], (
            found[ids[-1]] if len(found) > limit else None
        )

    def add_name(self, job: Job) -> None:
        self._may_fail("add_name")
        name = " ".join(name_words(job.file_name))
        for word in name_words(job.file_name):
            self._words[f"{word}#{job.created_at}#{job.job_id}"] = (job.job_id, name)

    def under_way(self) -> list[UnderWay]:
        self._may_fail("under_way")
        found = [from_plain(UnderWay, item) for item in self._items.values() if "open" in item]
        return sorted((job for job in found if job.status.is_open), key=lambda job: job.created_at)

    def count(self, tally: Tally, mark: str) -> None:
        self._may_fail("count")
        at = tally.kind.key + mark
        if at in self._counted:
            return
        self._counted.add(at)
        before, more = self._tallies.get(tally.kind, Amounts()), tally.amounts
        self._tallies[tally.kind] = Amounts(
            **{f.name: getattr(before, f.name) + getattr(more, f.name) for f in fields(Amounts)}
        )

    def tallies(self, since: str, until: str) -> list[Tally]:
        self._may_fail("tallies")
        return [
            Tally(kind=kind, amounts=amounts)
            for kind, amounts in sorted(self._tallies.items(), key=lambda one: one[0].key)
            if since <= kind.day <= until
        ]


def _stored(value: Any) -> Any:
    """As it comes back from a database: plain, and never the same object."""
    plain = to_plain(value)
    if plain is None or isinstance(plain, str | int | float):
        return plain
    return json.loads(json.dumps(plain))


def _holds(value: Any, wanted: Any) -> bool:
    if wanted is None:
        return value is None
    if isinstance(wanted, tuple):
        return value in [_stored(option) for option in wanted]
    if isinstance(wanted, Below):
        return value is None or value < wanted.value
    if isinstance(wanted, Outside):
        return value is None or value < wanted.low or value > wanted.high
    return bool(value == _stored(wanted))


@dataclass
class _Upload:
    bucket: str
    key: str
    content_type: str
    parts: dict[int, bytes] = field(default_factory=dict)


class Storage(Failing):
    """Buckets of bytes, with multipart uploads. Errors are botocore's."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[tuple[str, str], bytes] = {}
        self.types: dict[tuple[str, str], str] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.uploads: dict[str, _Upload] = {}
        self.sent: list[int] = []  # the number of every part that was uploaded
        self.reads: list[tuple[int, int]] = []  # start and length of every range
        self._uploads_made = 0
        self.copy_takes_invocations = 1
        #: In buckets that keep versions: the current one's id.
        self.version_ids: dict[tuple[str, str], str] = {}
        self.archived: set[tuple[str, str]] = set()

    def exists(self, bucket: str, key: str) -> bool:
        return self.size_or_none(bucket, key) is not None

    def size_or_none(self, bucket: str, key: str) -> int | None:
        there = self.found(bucket, key)
        return None if there is None else there.size_bytes

    def found(self, bucket: str, key: str) -> Found | None:
        body = self.objects.get((bucket, key))
        return None if body is None else Found(size_bytes=len(body), etag=_etag(body))

    def version(self, bucket: str, key: str) -> ObjectVersion:
        self._may_fail("version")
        at = bucket, key
        if at not in self.objects:
            raise ObjectMissing("404")
        return ObjectVersion(
            size_bytes=len(self.objects[at]),
            etag=_etag(self.objects[at]),
            version_id=self.version_ids.get(at),
            content_type=self.types[at],
            modified_at=datetime(2026, 5, 4, 9, 0, tzinfo=UTC),
            is_archived=at in self.archived,
        )

    def size_bytes(self, bucket: str, key: str) -> int:
        if (bucket, key) not in self.objects:
            raise aws_error("404", "HeadObject", 404)
        return len(self.objects[bucket, key])

    def read(self, bucket: str, key: str) -> bytes:
        if (bucket, key) not in self.objects:
            raise aws_error("NoSuchKey", "GetObject", 404)
        return self.objects[bucket, key]

    def read_range(
        self, bucket: str, key: str, start: int, length: int, *, etag: str | None = None
    ) -> bytes:
        self._may_fail("read_range")
        self.reads.append((start, length))
        body = self.read(bucket, key)
        if etag not in (None, _etag(body)):
            raise aws_error("PreconditionFailed", "GetObject", 412)
        if start >= len(body) or length < 1:
            raise aws_error("InvalidRange", "GetObject", 416)
        return body[start : start + length]

    def chunks(self, bucket: str, key: str, chunk_bytes: int = 2**20) -> Iterator[bytes]:
        body = self.read(bucket, key)
        return iter([body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes)])

    def put(
        self, bucket: str, key: str, body: bytes, *, content_type: str, replace: bool = True
    ) -> str:
        self._may_fail("put")
        if not replace and (bucket, key) in self.objects:
            raise ObjectExists("PreconditionFailed")
        self.objects[bucket, key] = bytes(body)
        self.types[bucket, key] = content_type
        return _etag(body)

    def put_json(self, bucket: str, key: str, value: Any) -> None:
        self.put(bucket, key, json.dumps(value).encode(), content_type="application/json")

    def create_upload(self, bucket: str, key: str, *, content_type: str, **headers: str) -> str:
        self._uploads_made += 1
        upload_id = f"upload-{self._uploads_made}"
        self.uploads[upload_id] = _Upload(bucket, key, content_type)
        return upload_id

    def upload_part(self, bucket: str, key: str, upload_id: str, number: int, body: bytes) -> str:
        self._may_fail("upload_part")
        self._upload(bucket, key, upload_id).parts[number] = bytes(body)
        self.sent.append(number)
        return _etag(body)

    def copy_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        source_bucket: str,
        source_key: str,
        start: int,
        end_inclusive: int,
    ) -> str:
        self._may_fail("copy_part")
        body = self.read(source_bucket, source_key)[start : end_inclusive + 1]
        return self.upload_part(bucket, key, upload_id, number, body)

    def parts(self, bucket: str, key: str, upload_id: str) -> dict[int, tuple[str, int]]:
        parts = self._upload(bucket, key, upload_id).parts
        return {number: (_etag(body), len(body)) for number, body in sorted(parts.items())}

    def complete_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Mapping[int, str],
        *,
        replace: bool = True,
    ) -> str:
        self._may_fail("complete_upload")
        upload = self._upload(bucket, key, upload_id)
        if not parts or any(_etag(upload.parts.get(n, b"?")) != etag for n, etag in parts.items()):
            raise aws_error("InvalidPart", "CompleteMultipartUpload")
        body = b"".join(upload.parts[number] for number in sorted(parts))
        etag = self.put(bucket, key, body, content_type=upload.content_type, replace=replace)
        del self.uploads[upload_id]
        return etag

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        self._upload(bucket, key, upload_id)
        del self.uploads[upload_id]

    def copy(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        *,
        content_type: str,
        file_name: str,
        under_way: str | None = None,
        begun: Callable[[str], None] | None = None,
        seconds_left: Callable[[], float] = lambda: math.inf,
        etag: str | None = None,
        version_id: str | None = None,
    ) -> bool:
        self._may_fail("copy")
        if version_id is not None and version_id != self.version_ids.get(source):
            raise aws_error("NoSuchVersion", "CopyObject", 404)
        if source not in self.objects:
            raise aws_error("NoSuchKey", "CopyObject", 404)
        if etag is not None and etag != _etag(self.objects[source]):
            raise aws_error("PreconditionFailed", "CopyObject", 412)
        if self.copy_takes_invocations > 1:
            if begun and under_way is None:
                begun("a copy under way")
            self.copy_takes_invocations -= 1
            return False
        self.put(*target, self.read(*source), content_type=content_type)
        self.names[target] = file_name
        return True

    def delete(self, bucket: str, key: str, *, etag: str) -> None:
        self._may_fail("delete")
        body = self.objects.get((bucket, key))
        if body is not None and _etag(body) == etag:
            del self.objects[bucket, key]

    def delete_prefix(self, bucket: str, prefix: str) -> None:
        self._may_fail("delete_prefix")
        for at in [at for at in self.objects if at[0] == bucket and at[1].startswith(prefix)]:
            del self.objects[at]
        self.abort_uploads(bucket, prefix)

    def abort_uploads(self, bucket: str, prefix: str) -> None:
        for upload_id, upload in list(self.uploads.items()):
            if upload.bucket == bucket and upload.key.startswith(prefix):
                del self.uploads[upload_id]

    def presigned_url(
        self, bucket: str, key: str, *, expires_s: int, file_name: str | None = None
    ) -> str:
        return f"https://{bucket}.s3.example/{key}?X-Amz-Expires={expires_s}&name={file_name}"

    def _upload(self, bucket: str, key: str, upload_id: str) -> _Upload:
        upload = self.uploads.get(upload_id)
        if upload is None or (upload.bucket, upload.key) != (bucket, key):
            raise aws_error("NoSuchUpload", "ListParts", 404)
        return upload


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


class Drive(Failing):
    """Files with their bytes, a change log that keeps a file's last change, push channels."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, DriveFile] = {}
        self.contents: dict[str, bytes] = {}
        self.folders: dict[str, DriveFile] = {}
        self.add_folder(INBOX)
        self.log: dict[str, int] = {}  # file id to the place of its last change
        self.oldest_token = 1
        self.closed_drives: set[str | None] = set()  # shared drives we are no member of
        self.tells_twice = False  # whether our own log has what is in the log of a shared drive
        self.page_size = 1000
        self.ranges: list[tuple[int, int]] = []  # every range that was asked for
        self.cuts: list[int] = []  # after how many bytes the next downloads break
        self.rubbish = 0  # so many of the next downloads are not the file's bytes
        self.channels: dict[str, Channel] = {}
        self.tokens: dict[str, str] = {}  # of the channels, by their ids
        self.stopped: list[str] = []
        self.ends_channels_early_by = timedelta()
        self._place = 0

    def add(self, name: str, content: bytes, *, file_id: str | None = None, **facts: Any) -> str:
        file_id = file_id or f"file-{len(self.files) + 1}"
        plain: dict[str, Any] = {
            "file_id": file_id,
            "name": name,
            "mime_type": "video/mp4",
            "size_bytes": len(content),
            "md5": hashlib.md5(content).hexdigest(),
            "head_revision_id": None,
            "parents": (INBOX,),
            "trashed": False,
            "can_download": True,
            "owner_email": None,
            "uploader": "Anna",
            "created_at": datetime(2026, 5, 4, tzinfo=UTC),
            "modified_at": None,
            "web_view_url": f"https://drive.example/{file_id}",
            "shortcut_target_id": None,
            "video_duration_s": None,
        }
        self.files[file_id] = DriveFile(**plain | facts)
        self.contents[file_id] = content
        self.touch(file_id)
        return file_id

    def replace(self, file_id: str, content: bytes) -> None:
        facts = {"size_bytes": len(content), "md5": hashlib.md5(content).hexdigest()}
        if self.files[file_id].head_revision_id is not None:
            facts["head_revision_id"] = f"revision-{self._place + 1}"
        self.change(file_id, **facts)
        self.contents[file_id] = content

    def change(self, file_id: str, **facts: Any) -> None:
        self.files[file_id] = replace(self.files[file_id], **facts)
        self.touch(file_id)

    def touch(self, file_id: str) -> None:
        self._place += 1
        self.log[file_id] = self._place

    def get(self, file_id: str) -> DriveFile:
        self._may_fail("get")
        if file_id in self.folders:
            return self.folders[file_id]
        if file_id not in self.files:
            raise FileGone("The file is gone.", status=404)
        return self.files[file_id]

    def add_folder(self, folder_id: str, **facts: Any) -> None:
        """One that nobody hears of."""
        plain: dict[str, Any] = dict.fromkeys(field.name for field in fields(DriveFile))
        plain |= {"name": folder_id, "mime_type": FOLDER_TYPE, "parents": (), "trashed": False}
        plain |= {"can_download": True, "can_add": True, "file_id": folder_id}
        self.folders[folder_id] = DriveFile(**plain | facts)

    def list_folder(self, folder_id: str) -> Iterator[DriveFile]:
        self._may_fail("list_folder")
        there = [f for f in self.files.values() if folder_id in f.parents and not f.trashed]
        return iter(there)

    def folder_page(
        self, folder_id: str, page_token: str | None = None
    ) -> tuple[list[DriveFile], str | None]:
        files = [*self.list_folder(folder_id)]
        start = int(page_token or 0)
        end = start + self.page_size
        return files[start:end], str(end) if end < len(files) else None

    def start_page_token(self, drive_id: str | None = None) -> str:
        self._may_see_log(drive_id)
        return f"{drive_id or ''}{self._place + 1}"

    def changes(self, page_token: str, drive_id: str | None = None) -> ChangePage:
        self._may_fail("changes" if drive_id is None else f"changes of {drive_id}")
        name = drive_id or ""
        if not page_token.startswith(name) or drive_id in self.closed_drives:
            raise PageTokenInvalid("That is no token of this log.", status=404)
        first = int(page_token.removeprefix(name))
        if first < self.oldest_token:
            raise PageTokenInvalid("Google Drive no longer knows our place.", status=404)
        since = sorted(
            (at, id) for id, at in self.log.items() if at >= first and self._tells(drive_id, id)
        )
        page, more = since[: self.page_size], since[self.page_size :]
        return ChangePage(
            changes=tuple(
                Change(file_id=file_id, removed=False, file=self.files[file_id])
                for _, file_id in page
            ),
            next_page_token=f"{name}{more[0][0]}" if more else None,
            new_start_page_token=None if more else self.start_page_token(drive_id),
        )

    def _tells(self, drive_id: str | None, file_id: str) -> bool:
        """A shared drive's log tells of what is in it; the account's own may do so, too."""
        of = self.files[file_id].shared_drive_id
        if drive_id is None:
            return of is None or of in self.closed_drives or self.tells_twice
        return of == drive_id

    def _may_see_log(self, drive_id: str | None) -> None:
        if drive_id in self.closed_drives:
            raise FileGone(f"Shared drive not found: {drive_id}", status=404)

    def watch_changes(
        self, *, channel_id: str, token: str, address: str, expires_at: datetime, page_token: str
    ) -> Channel:
        self._may_fail("watch_changes")
        if channel_id in self.channels:
            raise ChannelIdTaken("There is a channel of this id.", status=400)
        ends = expires_at - self.ends_channels_early_by
        channel = Channel(id=channel_id, resource_id=f"resource-{channel_id}", expires_at=ends)
        self.channels[channel_id], self.tokens[channel_id] = channel, token
        return channel

    def stop_channel(self, *, channel_id: str, resource_id: str) -> None:
        self._may_fail("stop_channel")
        self.stopped.append(channel_id)
        self.channels.pop(channel_id, None)

    @contextmanager
    def open_range(self, file_id: str, start: int, end_inclusive: int) -> Iterator[Iterator[bytes]]:
        self._may_fail("open_range")
        if not 0 <= start <= end_inclusive:
            raise ValueError(f"No such byte range: {start}-{end_inclusive}.")
        self.ranges.append((start, end_inclusive))
        yield self._sent(self.contents[file_id][start : end_inclusive + 1])

    def _sent(self, body: bytes) -> Iterator[bytes]:
        cut = self.cuts.pop(0) if self.cuts else None
        received = body if cut is None else body[:cut]
        if self.rubbish:
            self.rubbish, received = self.rubbish - 1, received[::-1]
        yield from (received[at : at + 4] for at in range(0, len(received), 4))
        if cut is not None:
            raise DownloadCut("The connection broke.", received_bytes=len(received))


class Encoder(Failing):
    """MediaConvert without its request tokens: what is created twice is there twice."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[dict[str, Any]] = []
        self.probed: dict[str, Any] = {}

    def probe(self, url: str) -> dict[str, Any]:
        self._may_fail("probe")
        return self.probed

    def create_job(
        self, settings: Mapping[str, Any], *, job_id: str, attempt: int, workflow: str
    ) -> str:
        self._may_fail("create_job")
        self.jobs.append(
            {
                "Id": f"encode-{len(self.jobs) + 1}",
                "Status": "SUBMITTED",
                "Settings": dict(settings),
                "UserMetadata": {
                    "job_id": job_id,
                    "attempt": str(attempt),
                    "workflow": workflow,
                },
            }
        )
        return str(self.jobs[-1]["Id"])

    def find_job(self, *, source_url: str, job_id: str, attempt: int) -> dict[str, Any] | None:
        for job in self.jobs:
            metadata, of = job["UserMetadata"], job["Settings"]["Inputs"][0]["FileInput"]
            if (metadata["job_id"], metadata["attempt"], of) == (job_id, str(attempt), source_url):
                return job
        return None

    def unfinished_jobs(self) -> set[str]:
        self._may_fail("unfinished_jobs")
        return {job["Id"] for job in self.jobs if job["Status"] in ("SUBMITTED", "PROGRESSING")}

    def get_job(self, encoder_job_id: str) -> dict[str, Any]:
        self._may_fail("get_job")
        found = [job for job in self.jobs if job["Id"] == encoder_job_id]
        if not found:
            raise aws_error("NotFoundException", "GetJob", 404)
        return found[0]

    def cancel_job(self, encoder_job_id: str) -> None:
        self._may_fail("cancel_job")
        for job in self.jobs:
            if job["Id"] == encoder_job_id and job["Status"] in ("SUBMITTED", "PROGRESSING"):
                job["Status"] = "CANCELED"

    def end(self, encoder_job_id: str, status: str, **facts: Any) -> dict[str, Any]:
        """The job ends; returns the detail of the event that says so."""
        job = self.get_job(encoder_job_id)
        job["Status"] = status
        if "errorCode" in facts:
            job |= {"ErrorCode": facts["errorCode"], "ErrorMessage": facts.get("errorMessage")}
        return event(job, status, **facts)


def event(encoder_job: Mapping[str, Any], status: str, **facts: Any) -> dict[str, Any]:
    """The `detail` of a 'MediaConvert Job State Change'."""
    return {
        "jobId": encoder_job["Id"],
        "status": status,
        "userMetadata": dict(encoder_job["UserMetadata"]),
        **facts,
    }


class Flows(Failing):
    """Executions by name, and tasks that wait for their tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.executions: dict[str, str] = {}
        self.started: list[tuple[str, str, dict[str, Any]]] = []
        self.waiting: set[str] = set()
        self.answers: list[tuple[str, str, Any]] = []  # token, "succeed" or the error, what it said
        self.beats: list[str] = []

    def start(self, workflow: str, name: str, state: Mapping[str, Any]) -> None:
        self._may_fail("start")
        if name not in self.executions:
            self.executions[name] = "RUNNING"
            self.started.append((workflow, name, dict(state)))

    def status(self, workflow: str, name: str) -> str | None:
        self._may_fail("status")
        return self.executions.get(name)

    def history(self, workflow: str, name: str) -> list[dict[str, Any]] | None:
        """Every execution is forgotten."""
        self._may_fail("history")
        return None

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        self._may_fail("succeed")
        return self._answer(token, "succeed", dict(output))

    def fail(self, token: str, *, error: str, cause: str) -> bool:
        self._may_fail("fail")
        return self._answer(token, error, cause)

    def heartbeat(self, token: str) -> bool:
        if token in self.waiting:
            self.beats.append(token)
        return token in self.waiting

    def _answer(self, token: str, how: str, said: Any) -> bool:
        if token not in self.waiting:
            return False
        self.waiting.remove(token)
        self.answers.append((token, how, said))
        return True


class Queues(Failing):
    def __init__(self) -> None:
        super().__init__()
        self.hints: list[dict[str, str]] = []
        self.dirty: list[tuple[str, int]] = []
        self.desk: list[str] = []
        self.shown_again: list[tuple[str, float]] = []
        self.files_aside: list[tuple[str, str]] = []  # file id and reason
        self.rows_aside: list[tuple[str, str]] = []  # job id, or the unreadable body, and reason

    def set_file_aside(self, file_id: str, file_name: str, reason: str) -> None:
        self._may_fail("set_file_aside")
        self.files_aside.append((file_id, reason))

    def set_row_aside(self, job_id: str, reason: str) -> None:
        self._may_fail("set_row_aside")
        self.rows_aside.append((job_id, reason))

    def set_unreadable_aside(self, body: str, reason: str) -> None:
        self._may_fail("set_unreadable_aside")
        self.rows_aside.append((body, reason))

    def drive_may_have_changed(self, hint: Mapping[str, str]) -> None:
        self._may_fail("drive_may_have_changed")
        self.hints.append(dict(hint))

    def look_at_desk(self, hint: str) -> None:
        self._may_fail("look_at_desk")
        self.desk.append(hint)

    def row_is_dirty(self, job_id: str, row_version: int) -> None:
        self._may_fail("row_is_dirty")
        self.dirty.append((job_id, row_version))

    def show_row_again(self, receipt_handle: str, after_s: float) -> None:
        self.shown_again.append((receipt_handle, after_s))


class Topic(Failing):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Notice] = []

    def publish(self, notice: Notice) -> None:
        self._may_fail("publish")
        self.sent.append(notice)


class Airtable(Failing):
    """Rows by job id; each call's rows are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, Any]] = {}
        self.calls: list[list[str]] = []

    def upsert(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        self.calls.append([str(row["Job ID"]) for row in rows])
        if len(rows) > 10:
            raise ValueError(f"{len(rows)} rows; one call takes 10")
        self._may_fail("upsert")
        for row in rows:
            self.rows.setdefault(str(row["Job ID"]), {}).update(row)
        return {str(row["Job ID"]): f"rec{row['Job ID']}" for row in rows}


class Desk(Failing):
    """The table as people use it: `choose` is what a person does; over the rows of an `Airtable`.

    Attributes:
        webhooks: when each ends, by its id; pings are for the tests to make.
    """

    def __init__(self, airtable: Airtable, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._airtable, self._now = airtable, now
        self.webhooks: dict[str, datetime] = {}
        self.log: list[tuple[str, str]] = []  # row and who changed it
        self._made = 0

    def choose(self, job_id: str, choice: str, *, by: str = "Mia") -> None:
        self._airtable.rows[job_id]["Review"] = choice
        self.log.append((f"rec{job_id}", by))

    def wishes(self) -> Wishes:
        self._may_fail("wishes")
        found = [
            Wish(
                row_id=f"rec{job_id}",
                job_id=job_id,
                choice=str(row["Review"]),
                answer=str(row.get("Review Answer") or ""),
            )
            for job_id, row in self._airtable.rows.items()
            if row.get("Review")
        ]
        return Wishes(found=tuple(found))

    def watch(self, url: str) -> Webhook:
        self._may_fail("watch")
        self._made += 1
        webhook_id, ends_at = f"ach{self._made}", self._now() + timedelta(days=7)
        self.webhooks = {webhook_id: ends_at}
        return Webhook(webhook_id=webhook_id, secret="c2VjcmV0", ends_at=ends_at)

    def renew(self, webhook_id: str) -> datetime | None:
        self._may_fail("renew")
        if self.webhooks.get(webhook_id, self._now()) <= self._now():
            return None
        self.webhooks[webhook_id] = self._now() + timedelta(days=7)
        return self.webhooks[webhook_id]

    def changes(self, webhook_id: str, cursor: int) -> LogPage:
        self._may_fail("changes")
        names = dict(self.log[cursor - 1 :])
        return LogPage(cursor=len(self.log) + 1, names=names)


@dataclass
class _DriveUpload:
    new: dict[str, Any]
    size_bytes: int
    replaces: bool
    body: bytes = b""
    is_over: bool = False


class DriveWriter(Failing):
    """Moves the files of a `Drive`, and puts new ones there."""

    def __init__(self, drive: Drive) -> None:
        super().__init__()
        self._drive = drive
        self.uploads: dict[str, _DriveUpload] = {}
        self.cuts: list[int] = []  # after how many bytes the next pieces break off
        self.rubbish = 0  # so many of the next uploads arrive as something else
        self._ids = 0

    def move(self, file_id: str, *, into: str, out_of: Sequence[str]) -> None:
        self._may_fail("move")
        if file_id not in self._drive.files:
            raise FileGone("The file is gone.", status=404)
        self._drive.change(file_id, parents=(into,))

    def new_file_id(self) -> str:
        self._may_fail("new_file_id")
        self._ids += 1
        return f"made-{self._ids}"

    def has_name(self, folder_id: str, name: str) -> bool:
        self._may_fail("has_name")
        there = [f for f in self._drive.files.values() if folder_id in f.parents and not f.trashed]
        return any(file.name == name for file in there)

    def begin_upload(
        self,
        *,
        file_id: str,
        folder_id: str | None,
        name: str,
        mime_type: str,
        size_bytes: int,
        properties: Mapping[str, str],
    ) -> str:
        self._may_fail("begin_upload")
        replaces = folder_id is None
        if file_id in self._drive.files and not replaces:
            raise FileExists("There is one.", status=409, code="fileIdInUse")
        new = {"file_id": file_id, "name": name, "parents": (folder_id,), "mime_type": mime_type}
        marked = {"of_job": properties["slimreel"]}
        url = f"https://drive.example/upload/{len(self.uploads) + 1}"
        self.uploads[url] = _DriveUpload(new | marked, size_bytes, replaces)
        return url

    def send(
        self, session_url: str, *, start: int, body: bytes, size_bytes: int
    ) -> DriveFile | int:
        self._may_fail("send")
        upload = self._upload(session_url)
        assert upload.size_bytes == size_bytes and start <= len(upload.body)
        cut = self.cuts.pop(0) if self.cuts else None
        upload.body = upload.body[:start] + (body if cut is None else body[:cut])
        if cut is not None:
            raise DriveUnavailable("The connection broke.")
        return self._reached(upload)

    def sent(self, session_url: str, size_bytes: int) -> DriveFile | int:
        self._may_fail("sent")
        return self._reached(self._upload(session_url))

    def _upload(self, session_url: str) -> _DriveUpload:
        if session_url not in self.uploads:
            raise UploadGone("Google Drive has forgotten the upload.", status=404)
        return self.uploads[session_url]

    def _reached(self, upload: _DriveUpload) -> DriveFile | int:
        file_id = upload.new["file_id"]
        if len(upload.body) < upload.size_bytes:
            return len(upload.body)
        if not upload.is_over:
            if file_id in self._drive.files and not upload.replaces:
                raise FileExists("There is one.", status=409, code="fileIdInUse")
            content = upload.body
            if self.rubbish:
                self.rubbish, content = self.rubbish - 1, content[::-1]
            if upload.replaces:
                self._drive.replace(file_id, content)
            else:
                self._drive.add(upload.new["name"], content, **self._without_name(upload.new))
            upload.is_over = True
        return self._drive.files[file_id]

    def _without_name(self, new: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in new.items() if key != "name"}


class Callbacks(Failing):
    """What was sent where: address, body, headers."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        self._may_fail("post")
        self.sent.append((url, body, dict(headers)))


class Secrets:
    def __init__(self, **values: str) -> None:
        self.values = values

    def get(self, name: str) -> str:
        if name not in self.values:
            raise SecretMissing(f"There is no SSM parameter {name}. Create it as a SecureString.")
        return self.values[name]


@dataclass
class World:
    """Every fake, and `Services` over them."""

    peril: Peril = field(default_factory=Peril)
    records: Records = field(default_factory=Records)
    catalogue: Catalogue = field(init=False)
    storage: Storage = field(default_factory=Storage)
    drive: Drive = field(default_factory=Drive)
    encoder: Encoder = field(default_factory=Encoder)
    flows: Flows = field(default_factory=Flows)
    queues: Queues = field(default_factory=Queues)
    topic: Topic = field(default_factory=Topic)
    airtable: Airtable = field(default_factory=Airtable)
    callbacks: Callbacks = field(default_factory=Callbacks)
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)
    #: What the processes' clocks show.
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        #: Lines for CloudWatch, as they would be in the functions' logs.
        self.metric_lines: list[str] = []
        self.metrics = Metrics(stage="test", write=self.metric_lines.append)
        self.catalogue = Catalogue(self.records.items)
        self.desk = Desk(self.airtable, lambda: self.now())
        self.drive_writer = DriveWriter(self.drive)
        self.services = self.new_process()

    def new_process(self, peril: Peril | None = None) -> Services:
        """Services as a cold Lambda makes them, over the same outside world."""
        peril = peril or self.peril
        made = Services(settings(self.environment))
        for name in (
            "records",
            "catalogue",
            "storage",
            "drive",
            "encoder",
            "flows",
            "queues",
            "topic",
            "airtable",
            "desk",
            "drive_writer",
            "callbacks",
        ):
            setattr(made, name, Perilous(name, getattr(self, name), peril))
        made.metrics = self.metrics
        made.secrets = Secrets(**{"link-key": "key", "callback-key": "signing"})
        made.ffmpeg = None
        made.now = lambda: self.now()
        return made

    def job(self, job_id: str) -> Job:
        job = self.records.get(job_id)
        assert job is not None
        return job

    def with_job(self, job: Job) -> Job:
        assert self.records.create(job)
        return self.job(job.job_id)
