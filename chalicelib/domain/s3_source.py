"""A video that is submitted from S3: its address, and whether it is one for us.

Which version is meant is settled when it is submitted: by the object's version id where its bucket
keeps versions, else by its ETag, which changes with the content. An upload of the same name is
another version, and a job of its own.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from chalicelib.domain.control import BadRequest
from chalicelib.domain.drive import VIDEO_EXTENSIONS

SCHEME = "s3://"
KEY_LIMIT_BYTES = 1024
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    bucket: str
    key: str

    @property
    def url(self) -> str:
        """`s3://bucket/key`, which is also the job's file id."""
        return f"{SCHEME}{self.bucket}/{self.key}"

    @property
    def file_name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def page_url(self) -> str:
        """The object in AWS's console, for who may sign in there."""
        where = quote(self.bucket, safe="")
        return f"https://s3.console.aws.amazon.com/s3/object/{where}?prefix={quote(self.key)}"


def is_s3(file_id: str) -> bool:
    return file_id.startswith(SCHEME)


def s3_address(url: str) -> S3Address:
    """
    Raises:
        BadRequest: it is no address of an object.

    >>> s3_address("s3://films/raw/Take 3.mov").file_name
    'Take 3.mov'
    """
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise BadRequest("The address is s3://bucket/key, with the name of an S3 bucket.")
    if not key or key.endswith("/"):
        raise BadRequest("The address names no file: s3://bucket/key, with the whole key.")
    if len(key.encode(errors="replace")) > KEY_LIMIT_BYTES or not key.isprintable():
        raise BadRequest(
            f"The key is longer than {KEY_LIMIT_BYTES} bytes, or has characters that do not print."
        )
    return S3Address(bucket=bucket, key=key)


def why_not_allowed(bucket: str, submit_buckets: tuple[str, ...]) -> str | None:
    """Why nothing is submitted from a bucket; None where it may be."""
    if bucket in submit_buckets:
        return None
    if not submit_buckets:
        return (
            "Nothing can be submitted from S3 here: no bucket was named for it. "
            "Whoever runs Slimreel names some in the parameter SubmitBuckets."
        )
    return (
        f"Nothing can be submitted from the bucket {bucket}. Whoever runs Slimreel can add it to "
        "the parameter SubmitBuckets."
    )


def why_not_video(address: S3Address, *, content_type: str, size_bytes: int) -> str | None:
    """Why an object is nothing to process; None for what is meant as a video."""
    _, dot, extension = address.file_name.strip().lower().rpartition(".")
    if not content_type.lower().startswith("video/") and dot + extension not in VIDEO_EXTENSIONS:
        return f"{address.file_name!r} is not a video ({content_type!r})."
    return "The object is empty." if size_bytes == 0 else None
