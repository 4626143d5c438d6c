"""Creating, listing and deleting buckets."""

from __future__ import annotations

from werkzeug import Response

from slimreel.local.s3 import body, xml
from slimreel.local.s3.errors import S3Error, invalid_argument, not_implemented
from slimreel.local.s3.naming import check_new_bucket_name
from slimreel.local.s3.properties import checked_tags
from slimreel.local.s3.responses import empty_answer, xml_answer
from slimreel.local.s3.routing import Call
from slimreel.local.s3.settings import (
    MAX_BUCKET_TAGS,
    NEW_BUCKET,
    ownership_document,
    tagging_document,
)
from slimreel.local.s3.store import Store, utc_now

MAX_LISTED_BUCKETS = 10_000


def create_bucket(store: Store, call: Call) -> Response:
    check_new_bucket_name(call.bucket)
    document = body.document(call.request)
    tags = _checked_configuration(store, document)
    settings = dict(NEW_BUCKET)
    if tags is not None:
        settings["tagging"] = tags
    if ownership := call.header("x-amz-object-ownership"):
        settings["ownershipControls"] = ownership_document(ownership)
    with store.index.transaction():
        if store.index.has_bucket(call.bucket):
            raise S3Error(
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own "
                "it.",
                details={"BucketName": call.bucket},
            )
        store.index.add_bucket(call.bucket, utc_now())
        for name, setting in settings.items():
            store.index.put_setting(call.bucket, name, setting)
    return empty_answer(headers={"Location": f"/{call.bucket}"})


def _checked_configuration(store: Store, document: bytes) -> bytes | None:
    """The bucket's tags as a Tagging document, if it is created with some.

    Raises:
        S3Error: IllegalLocationConstraintException unless the bucket is meant for this region.
    """
    constraint, tags = None, []
    if document:
        root = xml.parsed(document, "CreateBucketConfiguration")
        constraint = xml.text(root, "LocationConstraint")
        for name in ("Location", "Bucket"):
            if root.find(name) is not None:
                raise not_implemented("directory buckets")
        tags = [
            (xml.text(tag, "Key") or "", xml.text(tag, "Value") or "")
            for tag in root.findall("Tags/Tag")
        ]
    # us-east-1 is the one region that is named by leaving it out.
    expected = None if store.region == "us-east-1" else store.region
    if constraint != expected:
        shown = constraint or "unspecified"
        raise S3Error(
            "IllegalLocationConstraintException",
            f"The {shown} location constraint is incompatible for the region specific endpoint "
            "this request was sent to.",
        )
    if not tags:
        return None
    return tagging_document(checked_tags(tags, limit=MAX_BUCKET_TAGS))


def head_bucket(store: Store, call: Call) -> Response:
    store.require_bucket(call.bucket)
    return empty_answer(headers={"x-amz-bucket-region": store.region})


def delete_bucket(store: Store, call: Call) -> Response:
    with store.index.transaction():
        store.require_bucket(call.bucket)
        if store.index.objects_from(call.bucket, b"", b"", 1):
            raise S3Error(
                "BucketNotEmpty",
                "The bucket you tried to delete is not empty",
                details={"BucketName": call.bucket},
            )
        blobs = store.index.delete_bucket(call.bucket)
    store.blobs.delete(blobs)
    return empty_answer(204)


def get_location(store: Store, call: Call) -> Response:
    store.require_bucket(call.bucket)
    return xml_answer("LocationConstraint", "" if store.region == "us-east-1" else store.region)


def list_buckets(store: Store, call: Call) -> Response:
    limit = call.query.get("max-buckets", str(MAX_LISTED_BUCKETS))
    if not limit.isdecimal() or not 1 <= int(limit) <= MAX_LISTED_BUCKETS:
        raise invalid_argument("max-buckets", limit, "Argument max-buckets must be 1 to 10000")
    prefix, after = call.query.get("prefix", ""), call.query.get("continuation-token", "")
    region = call.query.get("bucket-region", store.region)
    found = [
        (name, created_at)
        for name, created_at in store.index.buckets()
        if name.startswith(prefix) and name > after and region == store.region
    ]
    page = found[: int(limit)]
    return xml_answer(
        "ListAllMyBucketsResult",
        [
            ("Owner", [("ID", store.account_id)]),
            (
                "Buckets",
                [
                    (
                        "Bucket",
                        [
                            ("Name", name),
                            ("CreationDate", xml.timestamp(created_at)),
                            ("BucketRegion", store.region),
                        ],
                    )
                    for name, created_at in page
                ],
            ),
            ("Prefix", prefix or None),
            ("ContinuationToken", page[-1][0] if len(page) < len(found) else None),
        ],
    )
