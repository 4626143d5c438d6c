"""Everything the copy benchmark runs between: films, source, sink, and a table for the job."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chalicelib.adapters.records import Records
from chalicelib.domain import keys
from chalicelib.domain.job import Job, Status
from chalicelib.domain.text import iso
from slimreel.local import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from slimreel.local.cloud import Cloud

BUCKET = "temp"
_TABLE = "jobs"
_MARK_EVERY_BYTES = 4 * 2**20
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A file that is a hole but for a mark every 4 MiB, which says where it stands."""

    path: Path
    size_bytes: int
    md5: str


def make_film(folder: Path, size_bytes: int) -> Film:
    path = folder / f"{size_bytes}.mov"
    with path.open("wb") as file:
        for at in range(0, size_bytes - 16, _MARK_EVERY_BYTES):
            file.seek(at)
            file.write(at.to_bytes(16, "big"))
        file.truncate(size_bytes)
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    about = {
        "id": path.name,
        "name": path.name,
        "mimeType": "video/quicktime",
        "size": str(size_bytes),
        "md5Checksum": md5,
        "parents": ["inbox"],
        "capabilities": {"canDownload": True},
    }
    path.with_suffix(".json").write_text(json.dumps(about))
    return Film(path=path, size_bytes=size_bytes, md5=md5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where copies are made.

    Attributes:
        environment: of a process that runs the Fetch step between source and sink.
    """

    folder: Path
    source_url: str
    sink_url: str
    records: Records
    environment: dict[str, str]

    def new_job(self, film: Film) -> Job:
        job_id = keys.job_id("compress", film.path.name, film.md5)
        now = iso(datetime.now(UTC))
        job = Job(
            job_id=job_id,
            workflow="compress",
            run=1,
            status=Status.PROCESSING,
            file_id=film.path.name,
            folder_id="inbox",
            file_name=film.path.name,
            mime_type="video/quicktime",
            version_key=film.md5,
            md5=film.md5,
            size_bytes=film.size_bytes,
            created_at=now,
            updated_at=now,
        )
        if not self.records.create(job):
            raise RuntimeError(f"{film.path.name} was copied before.")
        return job

    def job(self, job_id: str) -> Job:
        job = self.records.get(job_id)
        assert job is not None
        return job

    def sent(self) -> list[tuple[int, int]]:
        """Start and length of what the source sent since it was asked last."""
        return [(start, length) for start, length in ask(f"{self.source_url}/sent")]

    def stored_parts(self) -> dict[int, int]:
        """Size of each part in the one open upload, by number; empty without one."""
        uploads = ask(f"{self.sink_url}/-/open")
        return {int(n): size for n, size in uploads[0].items()} if uploads else {}

    def differs(self, film: Film, key: str) -> str | None:
        """What is wrong with the object in the sink; None when it is the film, byte by byte."""
        made = ask(f"{self.sink_url}/-/parts").get(f"{BUCKET}/{key}")
        if made is None:
            return "there is no copy"
        with film.path.open("rb", buffering=0) as source:
            for path in made:
                with Path(path).open("rb", buffering=0) as part:
                    while block := part.read(_BLOCK_BYTES):
                        if block != source.read(len(block)):
                            return f"bytes differ before {source.tell()}"
            return None if source.tell() == film.size_bytes else "the copy is too short"

    def forget(self, key: str) -> None:
        request = urllib.request.Request(f"{self.sink_url}/{BUCKET}/{key}", method="DELETE")
        urllib.request.urlopen(request).close()


def ask(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


@contextmanager
def place(folder: Path, project_dir: Path) -> Iterator[Place]:
    """Source, sink and a DynamoDB, until the block ends."""
    films, parts = folder / "films", folder / "parts"
    films.mkdir()
    parts.mkdir()
    with ExitStack() as closing:
        source_url = closing.enter_context(_server("bench.copying.source", films, project_dir))
        sink_url = closing.enter_context(_server("bench.copying.sink", parts, project_dir))
        cloud = closing.enter_context(Cloud(folder / "cloud", project_dir))
        yield Place(
            folder=films,
            source_url=source_url,
            sink_url=sink_url,
            records=Records(_table(cloud)),
            environment=_environment(cloud, source_url, sink_url, project_dir),
        )


@contextmanager
def _server(module: str, folder: Path, project_dir: Path) -> Iterator[str]:
    command = [sys.executable, "-m", module, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=project_dir) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _table(cloud: Cloud) -> Any:
    database = cloud.resource("dynamodb")
    columns = ("pk", "sk")
    return database.create_table(
        TableName=_TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in columns],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )


def _environment(cloud: Cloud, source_url: str, sink_url: str, project_dir: Path) -> dict[str, str]:
    credentials = {
        "type": "authorized_user",
        "refresh_token": "bench",
        "client_id": "bench",
        "client_secret": "bench",
        "token_uri": f"{source_url}/token",
    }
    cloud.client("ssm").put_parameter(
        Name="/bench/google-credentials", Value=json.dumps(credentials), Type="SecureString"
    )
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(project_dir),
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ENDPOINT_URL_S3": sink_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "JOBS_TABLE": _TABLE,
        "TEMP_BUCKET": BUCKET,
        "DRIVE_API_URL": f"{source_url}/",
        "SECRETS_PREFIX": "/bench/",
    }
