"""Which bucket names and keys S3 takes.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

import ipaddress
import re

from slimreel.local.s3.errors import S3Error

MAX_KEY_BYTES = 1024

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_new_bucket_name(name: str) -> None:
    """Raises S3Error: InvalidBucketName."""
    if (
        _NAME.fullmatch(name) is None
        or ".." in name
        or _is_ip_address(name)
        or name.startswith(_RESERVED_PREFIXES)
        or name.endswith(_RESERVED_SUFFIXES)
    ):
        raise S3Error(
            "InvalidBucketName",
            "The specified bucket is not valid.",
            details={"BucketName": name},
        )


def check_key(key: str) -> None:
    """Raises S3Error: KeyTooLongError."""
    size_bytes = len(key.encode("utf-8"))
    if size_bytes > MAX_KEY_BYTES:
        raise S3Error(
            "KeyTooLongError",
            "Your key is too long",
            details={"Size": size_bytes, "MaxSizeAllowed": MAX_KEY_BYTES},
        )


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
