"""Which operation a path-style request is.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from werkzeug import Request

from slimreel.local.s3.errors import S3Error, not_implemented

# Every query parameter that turns a request into another operation, known here or not.
_SUBRESOURCES = frozenset(
    {
        "accelerate",
        "acl",
        "analytics",
        "attributes",
        "cors",
        "delete",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "metadataConfiguration",
        "metadataTable",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "renameObject",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "session",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versioning",
        "versions",
        "website",
        "annotation",
        "abac",
    }
)

_BUCKET_OPERATIONS = {
    ("PUT", None): "CreateBucket",
    ("HEAD", None): "HeadBucket",
    ("DELETE", None): "DeleteBucket",
    ("POST", "delete"): "DeleteObjects",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "lifecycle"): "GetBucketLifecycleConfiguration",
    ("PUT", "lifecycle"): "PutBucketLifecycleConfiguration",
    ("DELETE", "lifecycle"): "DeleteBucketLifecycle",
    ("GET", "encryption"): "GetBucketEncryption",
    ("PUT", "encryption"): "PutBucketEncryption",
    ("DELETE", "encryption"): "DeleteBucketEncryption",
    ("GET", "publicAccessBlock"): "GetPublicAccessBlock",
    ("PUT", "publicAccessBlock"): "PutPublicAccessBlock",
    ("DELETE", "publicAccessBlock"): "DeletePublicAccessBlock",
    ("GET", "policy"): "GetBucketPolicy",
    ("PUT", "policy"): "PutBucketPolicy",
    ("DELETE", "policy"): "DeleteBucketPolicy",
    ("GET", "versioning"): "GetBucketVersioning",
    ("PUT", "versioning"): "PutBucketVersioning",
    ("GET", "tagging"): "GetBucketTagging",
    ("PUT", "tagging"): "PutBucketTagging",
    ("DELETE", "tagging"): "DeleteBucketTagging",
    ("GET", "ownershipControls"): "GetBucketOwnershipControls",
    ("PUT", "ownershipControls"): "PutBucketOwnershipControls",
    ("DELETE", "ownershipControls"): "DeleteBucketOwnershipControls",
    ("GET", "notification"): "GetBucketNotificationConfiguration",
    ("PUT", "notification"): "PutBucketNotificationConfiguration",
    ("GET", "cors"): "GetBucketCors",
    ("PUT", "cors"): "PutBucketCors",
    ("DELETE", "cors"): "DeleteBucketCors",
}

_OBJECT_OPERATIONS = {
    ("GET", None): "GetObject",
    ("HEAD", None): "HeadObject",
    ("DELETE", None): "DeleteObject",
    ("GET", "tagging"): "GetObjectTagging",
    ("PUT", "tagging"): "PutObjectTagging",
    ("DELETE", "tagging"): "DeleteObjectTagging",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("GET", "uploadId"): "ListParts",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}


class Denials(Protocol):
    """Messages for a caller who may not; None where it may."""

    def of_call(self) -> str | None: ...
    def of_deleting(self, key: str) -> str | None: ...
    def of_hearing_of_absence(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, understood. `bucket` and `key` are "" where the operation has none.

    Attributes:
        denials: what its caller may not; None where it may do all.
    """

    operation: str
    bucket: str
    key: str
    query: dict[str, str]
    request: Request
    denials: Denials | None = None

    def header(self, name: str) -> str | None:
        return self.request.headers.get(name)


def understood(request: Request) -> Call:
    """The call `request` makes.

    Raises:
        S3Error: NotImplemented for what the stand-in does not know, InvalidURI for a bad path.
    """
    bucket, key = _bucket_and_key(request)
    query = dict(parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True))
    subresource = next((name for name in query if name in _SUBRESOURCES), None)
    operation = _operation(request, bucket, key, query, subresource)
    if operation is None:
        level = "object" if key else "bucket" if bucket else "service"
        shown = f"?{subresource}" if subresource else ""
        raise not_implemented(f"{request.method}{shown} on {level} level")
    return Call(operation=operation, bucket=bucket, key=key, query=query, request=request)


def _operation(
    request: Request, bucket: str, key: str, query: dict[str, str], subresource: str | None
) -> str | None:
    method = request.method
    if method == "OPTIONS" and bucket:
        return "PreflightRequest"
    if not bucket:
        return "ListBuckets" if method == "GET" and subresource is None else None
    if not key:
        if method == "GET" and subresource is None:
            return "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"
        return _BUCKET_OPERATIONS.get((method, subresource))
    if method == "PUT" and subresource in (None, "uploadId"):
        copies = "x-amz-copy-source" in request.headers
        if subresource is None:
            return "CopyObject" if copies else "PutObject"
        return "UploadPartCopy" if copies else "UploadPart"
    return _OBJECT_OPERATIONS.get((method, subresource))


def _bucket_and_key(request: Request) -> tuple[str, str]:
    try:
        bucket, _, key = path_bytes(request).removeprefix(b"/").decode("utf-8").partition("/")
    except UnicodeDecodeError as error:
        raise S3Error("InvalidURI", "Couldn't parse the specified URI.") from error
    return bucket, key


def path_bytes(request: Request) -> bytes:
    """The path, percent-decoded and nothing else.

    Not `request.path`: that one replaces what is not UTF-8, and S3 keys are exact.
    """
    target: str = request.environ.get("REQUEST_URI", "").partition("?")[0]
    if not target:  # a server that only has the decoded path
        return bytes(request.environ.get("PATH_INFO", "").encode("latin-1"))
    if not target.startswith("/"):  # the absolute form that proxies use
        target = urlsplit(target).path
    return unquote_to_bytes(target.encode("latin-1"))
