"""A file of this machine on its way to S3, from where it can be submitted."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from chalicelib.domain.control import BadRequest
from chalicelib.domain.s3_source import SCHEME, s3_address
from slimreel.cli.api import CannotAsk


def upload(client: Any, path: Path, folder: str) -> str:
    """The address of a film once it is in S3, with the credentials of whoever calls.

    Its key holds the beginning of its content's hash: no other file is ever written over, and what
    is there already is neither sent nor processed again.

    Args:
        client: boto3's, for S3.
        folder: `s3://bucket` or `s3://bucket/some/folder`.

    Raises:
        CannotAsk: the folder is no address, or the file cannot be read or sent.
    """
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        target = s3_address(f"{folder.rstrip('/')}/{digest}/{path.name}")
        if not folder.startswith(SCHEME):
            raise BadRequest("The address is s3://bucket or s3://bucket/folder.")
        if not _is_there(client, target.bucket, target.key, path.stat().st_size):
            client.upload_file(str(path), target.bucket, target.key)
    except BadRequest as problem:
        raise CannotAsk(f"{folder}: {problem}") from problem
    except OSError as problem:
        raise CannotAsk(f"{path} cannot be read: {problem.strerror}") from problem
    except (BotoCoreError, ClientError, S3UploadFailedError) as problem:
        raise CannotAsk(f"{path.name} was not uploaded: {problem}") from problem
    return target.url


def _is_there(client: Any, bucket: str, key: str, size_bytes: int) -> bool:
    from botocore.exceptions import ClientError

    try:
        return bool(client.head_object(Bucket=bucket, Key=key)["ContentLength"] == size_bytes)
    except ClientError as problem:
        # Without the right to list a bucket S3 answers 403 for what is not there.
        if problem.response["Error"]["Code"] in ("404", "403", "NoSuchKey"):
            return False
        raise
