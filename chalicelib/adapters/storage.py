"""S3, as far as we use it: ranged reads, multipart uploads, server-side copies."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
COPY_LIMIT_BYTES = 5 * 2**30
#: 10,000 of them are 5 TB, S3's limit.
COPY_PART_BYTES = 512 * 2**20
#: S3 copies a part at some 100 MB/s; one at a time, a film of 100 GB would outlast an invocation.
#: Ten at a time, which is how many connections a client keeps, are some 800 GB in one.
COPIES_AT_A_TIME = 10


#: What S3 answers to a conditional write when there is an object already, or one just coming.
#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_EXISTS = ("PreconditionFailed", "ConditionalRequestConflict")


#: Classes of which objects cannot be read at once.
#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")


class ObjectExists(Exception):
    """A write that must not replace anything found an object of its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object. Its ETag changes with its content."""

    size_bytes: int
    etag: str


class ObjectMissing(Exception):
    """There is no such object, or we may not see it: without a right to list, S3 does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectVersion:
    """An object as it is now.

    Attributes:
        version_id: None where its bucket keeps no versions.
        is_archived: it cannot be read until somebody restores it.
    """

    size_bytes: int
    etag: str
    version_id: str | None
    content_type: str
    modified_at: datetime
    is_archived: bool


class Storage:
    """Thin over a boto3 S3 client; errors are botocore's."""

    def __init__(self, client: Any) -> None:
        self._s3 = client

    def exists(self, bucket: str, key: str) -> bool:
        return self.size_or_none(bucket, key) is not None

    def size_or_none(self, bucket: str, key: str) -> int | None:
        there = self.found(bucket, key)
        return None if there is None else there.size_bytes

    def found(self, bucket: str, key: str) -> Found | None:
        listed = self._s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", [])
        if not listed or listed[0]["Key"] != key:
            return None
        return Found(size_bytes=int(listed[0]["Size"]), etag=str(listed[0]["ETag"]))

    def version(self, bucket: str, key: str) -> ObjectVersion:
        """What is there now.

        Raises:
            ObjectMissing
        """
        try:
            head = self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            # An answer to HEAD has no body; 400 is for an object under a customer's own key.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403, 404):
                raise ObjectMissing(error.response["Error"].get("Code", "")) from error
            raise
        version_id = str(head.get("VersionId") or "null")
        restored = 'ongoing-request="false"' in str(head.get("Restore", ""))
        return ObjectVersion(
            size_bytes=int(head["ContentLength"]),
            etag=str(head["ETag"]),
            version_id=None if version_id == "null" else version_id,
            content_type=str(head.get("ContentType") or ""),
            modified_at=head["LastModified"],
            is_archived=head.get("StorageClass") in _ARCHIVES and not restored,
        )

    def size_bytes(self, bucket: str, key: str) -> int:
        return int(self._s3.head_object(Bucket=bucket, Key=key)["ContentLength"])

    def read_range(
        self, bucket: str, key: str, start: int, length: int, *, etag: str | None = None
    ) -> bytes:
        """Args: etag: read from an object that has this ETag, or fail with PreconditionFailed."""
        span = f"bytes={start}-{start + length - 1}"
        condition = {} if etag is None else {"IfMatch": etag}
        body = self._s3.get_object(Bucket=bucket, Key=key, Range=span, **condition)["Body"]
        return bytes(body.read())

    def read(self, bucket: str, key: str) -> bytes:
        return bytes(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def chunks(self, bucket: str, key: str, chunk_bytes: int = 2**20) -> Iterator[bytes]:
        body = self._s3.get_object(Bucket=bucket, Key=key)["Body"]
        yield from body.iter_chunks(chunk_bytes)

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes | bytearray,
        *,
        content_type: str,
        replace: bool = True,
    ) -> str:
        """Returns the ETag.

        Raises:
            ObjectExists: there is an object already, and it is not to be replaced.
        """
        with _translated():
            answer = self._s3.put_object(
                Bucket=bucket, Key=key, Body=body, ContentType=content_type, **_unless(replace)
            )
        return str(answer["ETag"])

    def put_json(self, bucket: str, key: str, value: Any) -> None:
        self.put(bucket, key, json.dumps(value).encode(), content_type="application/json")

    def create_upload(self, bucket: str, key: str, *, content_type: str, **headers: str) -> str:
        answer = self._s3.create_multipart_upload(
            Bucket=bucket, Key=key, ContentType=content_type, **headers
        )
        return str(answer["UploadId"])

    def upload_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: bytes | bytearray
    ) -> str:
        answer = self._s3.upload_part(
            Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
        )
        return str(answer["ETag"])

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
        *,
        etag: str | None = None,
        version_id: str | None = None,
    ) -> str:
        """Args: etag: copy from an object that has this ETag, or fail with PreconditionFailed."""
        condition = {} if etag is None else {"CopySourceIfMatch": etag}
        version = {} if version_id is None else {"VersionId": version_id}
        answer = self._s3.upload_part_copy(
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": source_bucket, "Key": source_key, **version},
            CopySourceRange=f"bytes={start}-{end_inclusive}",
            **condition,
        )
        return str(answer["CopyPartResult"]["ETag"])

    def parts(self, bucket: str, key: str, upload_id: str) -> dict[int, tuple[str, int]]:
        """Part number to (ETag, size) of what has been uploaded so far.

        Raises:
            botocore ClientError NoSuchUpload: the upload was completed, aborted or expired.
        """
        pages = self._s3.get_paginator("list_parts").paginate(
            Bucket=bucket, Key=key, UploadId=upload_id
        )
        return {
            part["PartNumber"]: (part["ETag"], part["Size"])
            for page in pages
            for part in page.get("Parts", [])
        }

    def complete_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Mapping[int, str],
        *,
        replace: bool = True,
    ) -> str:
        """Make the object of its parts; its ETag.

        Args:
            parts: part number to ETag.

        Raises:
            ObjectExists: there is an object already, and it is not to be replaced.
        """
        listed = [{"PartNumber": n, "ETag": etag} for n, etag in sorted(parts.items())]
        with _translated():
            answer = self._s3.complete_multipart_upload(
                Bucket=bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": listed},
                **_unless(replace),
            )
        return str(answer["ETag"])

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        self._s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)

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
        """Copy an object inside S3, multipart above 5 GiB. Downloads get `file_name`.

        Args:
            under_way: what `begun` was told when this copy was begun; it goes on with the parts
                that are missing, if the source is still the same.
            begun: told what to go on with later. Without it a copy that fails leaves nothing.
            seconds_left: no part is begun when this is used up.
            etag, version_id: copy this version, or fail with PreconditionFailed or NoSuchVersion.

        Returns:
            False when the time was up before the copy was whole.
        """
        headers = {"ContentDisposition": content_disposition(file_name)}
        version = {} if version_id is None else {"VersionId": version_id}
        head = self._s3.head_object(Bucket=source[0], Key=source[1], **version)
        size_bytes, now = int(head["ContentLength"]), str(head["ETag"])
        # Its tags stay with the original: to copy them would take more rights on both sides.
        condition = (
            {} if etag is None else {"CopySourceIfMatch": etag, "TaggingDirective": "REPLACE"}
        )
        etag = etag or now
        if size_bytes <= COPY_LIMIT_BYTES:
            self._s3.copy_object(
                Bucket=target[0],
                Key=target[1],
                CopySource={"Bucket": source[0], "Key": source[1], **version},
                MetadataDirective="REPLACE",
                ContentType=content_type,
                **condition,
                **headers,
            )
            return True
        upload_id, have = self._copied_so_far(target, etag, under_way)
        if upload_id is None:
            upload_id = self.create_upload(*target, content_type=content_type, **headers)
            if begun:
                begun(f"{etag} {upload_id}")
        try:
            have |= self._copied(
                source, target, upload_id, size_bytes, etag, have, seconds_left, version_id
            )
            if len(have) < len(copy_ranges(size_bytes)):
                return False
            self.complete_upload(*target, upload_id, have)
        except BaseException:
            if begun is None:
                self.abort_upload(*target, upload_id)
            raise
        return True

    def _copied_so_far(
        self, target: tuple[str, str], etag: str, under_way: str | None
    ) -> tuple[str | None, dict[int, str]]:
        """The upload to go on with, and the ETags of its parts; None where there is none."""
        if under_way is None:
            return None, {}
        of, _, upload_id = under_way.partition(" ")
        try:
            if of == etag:
                parts = self.parts(*target, upload_id)
                return upload_id, {number: part for number, (part, _) in parts.items()}
            self.abort_upload(*target, upload_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
        return None, {}

    def _copied(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        upload_id: str,
        size_bytes: int,
        etag: str,
        have: Mapping[int, str],
        seconds_left: Callable[[], float],
        version_id: str | None,
    ) -> dict[int, str]:
        """Copy what is missing, several parts at a time, while there is time; ETag by number."""

        def one(number: int, start: int, end: int) -> str | None:
            if seconds_left() <= 0:
                return None
            which = {} if version_id is None else {"version_id": version_id}
            return self.copy_part(
                *target, upload_id, number, *source, start, end, etag=etag, **which
            )

        with ThreadPoolExecutor(COPIES_AT_A_TIME) as pool:
            running = {
                number: pool.submit(one, number, start, end)
                for number, (start, end) in enumerate(copy_ranges(size_bytes), start=1)
                if number not in have
            }
            try:
                done = {number: part.result() for number, part in running.items()}
            finally:
                pool.shutdown(cancel_futures=True)  # after a failure, start no further part
        return {number: part for number, part in done.items() if part is not None}

    def delete(self, bucket: str, key: str, *, etag: str) -> None:
        """Remove an object if it is still the one of this ETag, and not another's in its place."""
        try:
            self._s3.delete_object(Bucket=bucket, Key=key, IfMatch=etag)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "NoSuchKey"):
                raise

    def delete_prefix(self, bucket: str, prefix: str) -> None:
        """Remove everything below a prefix, unfinished uploads too.

        Raises:
            botocore ClientError: of the first object that S3 did not remove.
        """
        for page in self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix
        ):
            keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if keys:
                _all_removed(
                    self._s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
                )
        self.abort_uploads(bucket, prefix)

    def abort_uploads(self, bucket: str, prefix: str) -> None:
        """End every unfinished upload below a prefix; what it has of its parts is gone."""
        for page in self._s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, Prefix=prefix
        ):
            for upload in page.get("Uploads", []):
                self.abort_upload(bucket, upload["Key"], upload["UploadId"])

    def presigned_url(
        self, bucket: str, key: str, *, expires_s: int, file_name: str | None = None
    ) -> str:
        parameters = {"Bucket": bucket, "Key": key}
        if file_name:
            parameters["ResponseContentDisposition"] = content_disposition(file_name)
        return str(
            self._s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=expires_s)
        )


def _all_removed(answer: Mapping[str, Any]) -> None:
    """S3 answers 200 to this even where it removed nothing.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    """
    for problem in answer.get("Errors", []):
        raise ClientError({**answer, "Error": problem}, "DeleteObjects")


def _unless(replace: bool) -> dict[str, str]:
    return {} if replace else {"IfNoneMatch": "*"}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _EXISTS:
            raise ObjectExists(error.response["Error"]["Code"]) from error
        raise


def copy_ranges(size_bytes: int) -> list[tuple[int, int]]:
    """Inclusive byte ranges of `COPY_PART_BYTES` that cover the object."""
    starts = range(0, size_bytes, COPY_PART_BYTES)
    return [(start, min(start + COPY_PART_BYTES, size_bytes) - 1) for start in starts]


def content_disposition(file_name: str) -> str:
    """A download header for any file name. Source: RFC 6266 and RFC 8187."""
    return f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
