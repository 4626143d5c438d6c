"""What a bucket can be told: lifecycle, encryption, policy, tags and the other documents.

Documents are checked and kept as they came. Lifecycle, encryption, tags and CORS have effect;
policies, public access blocks and ownership are kept only, since everyone here is the owner.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from werkzeug import Response

from slimreel.local.s3 import body, lifecycle, xml
from slimreel.local.s3.errors import S3Error, not_implemented
from slimreel.local.s3.properties import checked_tags
from slimreel.local.s3.responses import document_answer, empty_answer
from slimreel.local.s3.routing import Call
from slimreel.local.s3.store import Store

MAX_BUCKET_TAGS = 50
MAX_POLICY_BYTES = 20 << 10
MAX_CORS_RULES = 100
_METHODS = frozenset({"GET", "PUT", "HEAD", "POST", "DELETE"})

BLOCK_ALL_PUBLIC_ACCESS = xml.document(
    "PublicAccessBlockConfiguration",
    [
        ("BlockPublicAcls", True),
        ("IgnorePublicAcls", True),
        ("BlockPublicPolicy", True),
        ("RestrictPublicBuckets", True),
    ],
)
_ENCRYPT_WITH_S3_KEYS = xml.document(
    "ServerSideEncryptionConfiguration",
    [
        (
            "Rule",
            [
                ("ApplyServerSideEncryptionByDefault", [("SSEAlgorithm", "AES256")]),
                ("BucketKeyEnabled", False),
            ],
        )
    ],
)


def put_lifecycle(store: Store, call: Call) -> Response:
    document = lifecycle.with_rule_ids(_received(store, call, "LifecycleConfiguration"))
    lifecycle.rules_of(document)
    store.index.put_setting(call.bucket, "lifecycle", document)
    return empty_answer(
        headers={"x-amz-transition-default-minimum-object-size": "all_storage_classes_128K"}
    )


def put_encryption(store: Store, call: Call) -> Response:
    document = _received(store, call, "ServerSideEncryptionConfiguration")
    root = xml.parsed(document, "ServerSideEncryptionConfiguration")
    algorithm = xml.text(root, "Rule/ApplyServerSideEncryptionByDefault/SSEAlgorithm")
    if algorithm not in ("AES256", "aws:kms", "aws:kms:dsse"):
        raise xml.malformed()
    if algorithm == "AES256" and root.find(".//KMSMasterKeyID") is not None:
        raise S3Error(
            "InvalidArgument",
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms",
        )
    store.index.put_setting(call.bucket, "encryption", document)
    return empty_answer()


def put_public_access_block(store: Store, call: Call) -> Response:
    return _keep(store, call, "publicAccessBlock", "PublicAccessBlockConfiguration")


def put_ownership(store: Store, call: Call) -> Response:
    document = _received(store, call, "OwnershipControls")
    ownership = xml.text(xml.parsed(document, "OwnershipControls"), "Rule/ObjectOwnership")
    store.index.put_setting(call.bucket, "ownershipControls", ownership_document(ownership or ""))
    return empty_answer()


def put_tagging(store: Store, call: Call) -> Response:
    document = _received(store, call, "Tagging")
    checked_tags(tag_pairs(xml.parsed(document, "Tagging")), limit=MAX_BUCKET_TAGS)
    store.index.put_setting(call.bucket, "tagging", document)
    return empty_answer(204)


def put_cors(store: Store, call: Call) -> Response:
    document = _received(store, call, "CORSConfiguration")
    rules = xml.parsed(document, "CORSConfiguration").findall("CORSRule")
    if not 1 <= len(rules) <= MAX_CORS_RULES:
        raise xml.malformed()
    for rule in rules:
        methods = {method.text for method in rule.findall("AllowedMethod")}
        if not methods or not rule.findall("AllowedOrigin"):
            raise xml.malformed()
        for method in sorted(str(method) for method in methods - _METHODS):
            raise S3Error(
                "InvalidRequest",
                f"Found unsupported HTTP method in CORS config. Unsupported method is {method}",
            )
    store.index.put_setting(call.bucket, "cors", document)
    return empty_answer()


def put_versioning(store: Store, call: Call) -> Response:
    document = _received(store, call, "VersioningConfiguration")
    status = xml.text(xml.parsed(document, "VersioningConfiguration"), "Status")
    if status in ("Enabled", "Suspended"):
        raise not_implemented(f"versioning (Status {status})")
    raise S3Error(
        "IllegalVersioningConfigurationException",
        "The Versioning element must be specified",
        status=400,
    )


def put_notification(store: Store, call: Call) -> Response:
    document = _received(store, call, "NotificationConfiguration")
    if len(xml.parsed(document, "NotificationConfiguration")):
        raise not_implemented("event notifications (only an empty configuration)")
    return empty_answer()


def put_policy(store: Store, call: Call) -> Response:
    store.require_bucket(call.bucket)
    document = body.document(call.request)
    try:
        policy = json.loads(document)
    except ValueError as error:
        raise S3Error(
            "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'"
        ) from error
    if not isinstance(policy, dict) or not policy.get("Statement"):
        raise S3Error("MalformedPolicy", "Missing required field Statement")
    if len(document) > MAX_POLICY_BYTES:
        raise S3Error("MalformedPolicy", "Policy exceeds the maximum allowed document size.")
    store.index.put_setting(call.bucket, "policy", document)
    return empty_answer(204)


def get_policy(store: Store, call: Call) -> Response:
    document = _stored(store, call, "policy")
    if document is None:
        raise S3Error("NoSuchBucketPolicy", "The bucket policy does not exist")
    return Response(document, content_type="application/json")


@dataclass(frozen=True, slots=True)
class Get:
    """Reads the setting `name`; without one, answers `default` or the error `missing`."""

    name: str
    missing: tuple[str, str] | None = None
    default: bytes = b""

    def __call__(self, store: Store, call: Call) -> Response:
        document = _stored(store, call, self.name)
        if document is None and self.missing is not None:
            raise S3Error(*self.missing)
        return document_answer(document or self.default)


@dataclass(frozen=True, slots=True)
class Delete:
    """Forgets the setting `name`."""

    name: str

    def __call__(self, store: Store, call: Call) -> Response:
        store.require_bucket(call.bucket)
        store.index.delete_setting(call.bucket, self.name)
        return empty_answer(204)


def tag_pairs(root: ElementTree.Element) -> list[tuple[str, str]]:
    """The (key, value) pairs of a Tagging document."""
    if root.find("TagSet") is None:
        raise xml.malformed()
    return [
        (xml.text(tag, "Key") or "", xml.text(tag, "Value") or "")
        for tag in root.findall("TagSet/Tag")
    ]


def tagging_document(tags: Mapping[str, str]) -> bytes:
    shown = [("Tag", [("Key", name), ("Value", value)]) for name, value in tags.items()]
    return xml.document("Tagging", [("TagSet", shown)])


def ownership_document(ownership: str) -> bytes:
    """Raises S3Error: MalformedXML for an ownership S3 does not have."""
    if ownership not in ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"):
        raise xml.malformed()
    return xml.document("OwnershipControls", [("Rule", [("ObjectOwnership", ownership)])])


# What new buckets get.
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
NEW_BUCKET = {
    "publicAccessBlock": BLOCK_ALL_PUBLIC_ACCESS,
    "ownershipControls": ownership_document("BucketOwnerEnforced"),
}

OPERATIONS: dict[str, Callable[[Store, Call], Response]] = {
    "PutBucketLifecycleConfiguration": put_lifecycle,
    "GetBucketLifecycleConfiguration": Get(
        "lifecycle",
        ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    ),
    "DeleteBucketLifecycle": Delete("lifecycle"),
    "PutBucketEncryption": put_encryption,
    "GetBucketEncryption": Get("encryption", default=_ENCRYPT_WITH_S3_KEYS),
    "DeleteBucketEncryption": Delete("encryption"),
    "PutPublicAccessBlock": put_public_access_block,
    "GetPublicAccessBlock": Get(
        "publicAccessBlock",
        (
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found",
        ),
    ),
    "DeletePublicAccessBlock": Delete("publicAccessBlock"),
    "PutBucketOwnershipControls": put_ownership,
    "GetBucketOwnershipControls": Get(
        "ownershipControls",
        ("OwnershipControlsNotFoundError", "The bucket ownership controls were not found"),
    ),
    "DeleteBucketOwnershipControls": Delete("ownershipControls"),
    "PutBucketTagging": put_tagging,
    "GetBucketTagging": Get("tagging", ("NoSuchTagSet", "The TagSet does not exist")),
    "DeleteBucketTagging": Delete("tagging"),
    "PutBucketCors": put_cors,
    "GetBucketCors": Get(
        "cors", ("NoSuchCORSConfiguration", "The CORS configuration does not exist")
    ),
    "DeleteBucketCors": Delete("cors"),
    "PutBucketVersioning": put_versioning,
    "GetBucketVersioning": Get("versioning", default=xml.document("VersioningConfiguration", None)),
    "PutBucketNotificationConfiguration": put_notification,
    "GetBucketNotificationConfiguration": Get(
        "notification", default=xml.document("NotificationConfiguration", None)
    ),
    "PutBucketPolicy": put_policy,
    "GetBucketPolicy": get_policy,
    "DeleteBucketPolicy": Delete("policy"),
}


def _keep(store: Store, call: Call, name: str, root_name: str) -> Response:
    document = _received(store, call, root_name)
    store.index.put_setting(call.bucket, name, document)
    return empty_answer()


def _received(store: Store, call: Call, root_name: str) -> bytes:
    store.require_bucket(call.bucket)
    document = body.document(call.request)
    xml.parsed(document, root_name)
    return document


def _stored(store: Store, call: Call, name: str) -> bytes | None:
    store.require_bucket(call.bucket)
    return store.index.setting(call.bucket, name)
