"""Where the benchmark's films go: as much of S3 as a copy needs, quick enough to be no limit.

    python -m bench.copying.sink FOLDER

Every part is hashed for its ETag, as S3 does, and kept as a sparse file, so that a film that is
mostly holes takes little disk. Signatures are not looked at. Prints its port first. `GET /-/parts`
tells the files an object is made of, `GET /-/open` the sizes of the parts of open uploads, and
`GET /-/read` how many bytes of objects were read so far.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from bench.copying.server import serve

_BLOCK_BYTES = 2**20
_GRAIN_BYTES = 2**16
_NOTHING = bytes(_BLOCK_BYTES)
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_NAMED = re.compile(rb"<PartNumber>(\d+)</PartNumber>")
_KEYS = re.compile(rb"<Key>([^<]+)</Key>")


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    size_bytes: int
    md5: str


@dataclass(slots=True)
class _Upload:
    key: str
    parts: dict[int, _Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Object:
    parts: list[_Part]
    etag: str

    @property
    def size_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = _BLOCK_BYTES
    folder: ClassVar[Path]
    lock: ClassVar[threading.Lock] = threading.Lock()
    uploads: ClassVar[dict[str, _Upload]] = {}
    objects: ClassVar[dict[str, _Object]] = {}
    read_bytes: ClassVar[int] = 0

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: there is a line for every part otherwise."""

    def parse(self) -> tuple[str, dict[str, list[str]]]:
        url = urlsplit(self.path)
        return unquote(url.path).lstrip("/"), parse_qs(url.query, keep_blank_values=True)

    def do_PUT(self) -> None:
        key, query = self.parse()
        part = self._receive()
        if "partNumber" in query:
            with self.lock:
                self.uploads[query["uploadId"][0]].parts[int(query["partNumber"][0])] = part
        elif "/" in key:
            with self.lock:
                self.objects[key] = _Object([part], part.md5)
        self._answer(200, b"", ETag=f'"{part.md5}"')

    def do_POST(self) -> None:
        key, query = self.parse()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "uploads" in query:
            upload_id = uuid.uuid4().hex
            with self.lock:
                self.uploads[upload_id] = _Upload(key)
            self._xml("InitiateMultipartUploadResult", f"<UploadId>{upload_id}</UploadId>")
        elif "delete" in query:
            for name in _KEYS.findall(body):
                self._forget(f"{key.rstrip('/')}/{name.decode()}")
            self._xml("DeleteResult", "")
        else:
            self._complete(key, query["uploadId"][0], [int(n) for n in _NAMED.findall(body)])

    def do_DELETE(self) -> None:
        key, query = self.parse()
        if "uploadId" in query:
            with self.lock:
                gone = self.uploads.pop(query["uploadId"][0], _Upload(""))
            for part in gone.parts.values():
                part.path.unlink()
        else:
            self._forget(key)
        self._answer(204, b"")

    def do_HEAD(self) -> None:
        key, _ = self.parse()
        if "/" not in key.rstrip("/"):
            self._answer(200, b"")
        elif key not in self.objects:
            self._answer(404, b"")
        else:
            found = self.objects[key]
            self._answer(200, None, length=found.size_bytes, ETag=f'"{found.etag}"')

    def do_GET(self) -> None:
        key, query = self.parse()
        if key.startswith("-/"):
            self._answer(200, json.dumps(self._told(key)).encode())
        elif "uploadId" in query:
            self._list_parts(query)
        elif "uploads" in query:
            self._xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")
        elif "/" not in key.rstrip("/"):
            self._list(key.rstrip("/"), query.get("prefix", [""])[0])
        else:
            self._get(key)

    def _told(self, what: str) -> object:
        with self.lock:
            if what == "-/parts":
                return {key: [str(p.path) for p in o.parts] for key, o in self.objects.items()}
            if what == "-/open":
                return [
                    {n: p.size_bytes for n, p in u.parts.items()} for u in self.uploads.values()
                ]
            return self.read_bytes

    def _receive(self) -> _Part:
        """Read the body into a sparse file; its MD5."""
        left = int(self.headers.get("Content-Length", 0))
        path, md5, at = self.folder / uuid.uuid4().hex, hashlib.md5(usedforsecurity=False), 0
        block = bytearray(_BLOCK_BYTES)
        with path.open("wb", buffering=0) as file:
            file.truncate(left)
            while left:
                if left < len(block):
                    block = bytearray(left)
                self._read_all(block)
                md5.update(block)
                if block != _NOTHING:
                    for start in range(0, len(block), _GRAIN_BYTES):
                        grain = block[start : start + _GRAIN_BYTES]
                        if grain != _NOTHING[: len(grain)]:
                            file.seek(at + start)
                            file.write(grain)
                at, left = at + len(block), left - len(block)
        return _Part(path, at, md5.hexdigest())

    def _read_all(self, block: bytearray) -> None:
        with memoryview(block) as view:
            have = 0
            while have < len(block):
                step = self.rfile.readinto(view[have:])
                if not step:
                    raise ConnectionError("The sender hung up inside a part.")
                have += step

    def _complete(self, key: str, upload_id: str, numbers: list[int]) -> None:
        with self.lock:
            if upload_id not in self.uploads:
                self._error(404, "NoSuchUpload")
                return
            if self.headers.get("If-None-Match") == "*" and key in self.objects:
                self._error(412, "PreconditionFailed")
                return
            upload = self.uploads.pop(upload_id)
            parts = [upload.parts[number] for number in numbers]
            digests = b"".join(bytes.fromhex(part.md5) for part in parts)
            md5 = hashlib.md5(digests, usedforsecurity=False).hexdigest()
            self.objects[key] = _Object(parts, f"{md5}-{len(parts)}")
        etag = escape(f'"{md5}-{len(parts)}"')
        self._xml("CompleteMultipartUploadResult", f"<ETag>{etag}</ETag>")

    def _list_parts(self, query: dict[str, list[str]]) -> None:
        upload = self.uploads.get(query["uploadId"][0])
        if upload is None:
            self._error(404, "NoSuchUpload")
            return
        after = int(query.get("part-number-marker", ["0"])[0])
        with self.lock:
            numbers = sorted(number for number in upload.parts if number > after)
        page = numbers[:1000]
        listed = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{escape(chr(34))}{upload.parts[n].md5}"
            f"{escape(chr(34))}</ETag><Size>{upload.parts[n].size_bytes}</Size></Part>"
            for n in page
        )
        more = f"<NextPartNumberMarker>{page[-1]}</NextPartNumberMarker>" if page else ""
        truncated = str(len(numbers) > len(page)).lower()
        self._xml("ListPartsResult", f"<IsTruncated>{truncated}</IsTruncated>{more}{listed}")

    def _list(self, bucket: str, prefix: str) -> None:
        with self.lock:
            found = {k: o for k, o in self.objects.items() if k.startswith(f"{bucket}/{prefix}")}
        listed = "".join(
            f"<Contents><Key>{escape(k.partition('/')[2])}</Key><Size>{o.size_bytes}</Size>"
            f"<ETag>{escape(chr(34))}{o.etag}{escape(chr(34))}</ETag></Contents>"
            for k, o in sorted(found.items())
        )
        self._xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{listed}")

    def _get(self, key: str) -> None:
        found = self.objects.get(key)
        if found is None:
            self._error(404, "NoSuchKey")
            return
        if self.headers.get("If-Match", f'"{found.etag}"') != f'"{found.etag}"':
            self._error(412, "PreconditionFailed")
            return
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        end = int(asked[2]) + 1 if asked else found.size_bytes
        _Handler.read_bytes += end - start
        span = f"bytes {start}-{end - 1}/{found.size_bytes}"
        self._answer(206 if asked else 200, None, length=end - start, **{"Content-Range": span})
        at = 0
        for part in found.parts:
            with part.path.open("rb", buffering=0) as file:
                file.seek(max(0, start - at))
                left = min(end, at + part.size_bytes) - max(start, at)
                while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
                    self.wfile.write(block)
                    left -= len(block)
            at += part.size_bytes

    def _forget(self, key: str) -> None:
        with self.lock:
            gone = self.objects.pop(key, None)
        for part in gone.parts if gone else ():
            part.path.unlink()

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code></Error>".encode())

    def _xml(self, name: str, inside: str) -> None:
        space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        self._answer(200, f"<{name} {space}>{inside}</{name}>".encode())

    def _answer(self, status: int, body: bytes | None, *, length: int = 0, **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(length if body is None else len(body)))
        self.send_header("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT")
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(body)


if __name__ == "__main__":
    _Handler.folder = Path(sys.argv[1])
    serve(_Handler)
