"""Lifecycle rules: reading them, and what is due when.

Rules on noncurrent versions and delete markers are accepted and have nothing to act on, since
buckets here have no versions.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from xml.etree import ElementTree

from slimreel.local.s3 import xml
from slimreel.local.s3.errors import S3Error
from slimreel.local.s3.model import StoredObject, Upload

MAX_RULES = 1000
# Smaller objects stay in their class unless a rule names a size.
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
MIN_TRANSITION_BYTES = 128 << 10
_NO_OP_ACTIONS = ("NoncurrentVersionExpiration", "NoncurrentVersionTransition")


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """When an action strikes: some days after creation, or on a date."""

    days: int | None = None
    date: datetime | None = None

    def moment(self, created_at: datetime) -> datetime:
        """Days count to the next midnight UTC, as S3 counts them."""
        if self.date is not None:
            return self.date
        exact = created_at + timedelta(days=self.days or 0)
        midnight = datetime.combine(exact.date(), time(), UTC)
        return midnight if midnight == exact else midnight + timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which objects a rule is about."""

    prefix: str
    tags: Mapping[str, str]
    larger_than_bytes: int | None
    smaller_than_bytes: int | None

    def covers(self, stored: StoredObject) -> bool:
        tags = stored.properties.tags
        return (
            stored.key.startswith(self.prefix)
            and all(tags.get(name) == value for name, value in self.tags.items())
            and (self.larger_than_bytes is None or stored.size_bytes > self.larger_than_bytes)
            and (self.smaller_than_bytes is None or stored.size_bytes < self.smaller_than_bytes)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    id: str
    enabled: bool
    scope: Scope
    expiration: Due | None
    transitions: tuple[tuple[Due, str], ...]  # when, to which storage class
    abort_uploads: Due | None

    def covers(self, stored: StoredObject) -> bool:
        return self.enabled and self.scope.covers(stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What applying the rules did, as (bucket, key) pairs."""

    objects: tuple[tuple[str, str], ...]
    uploads: tuple[tuple[str, str], ...]
    transitions: tuple[tuple[str, str], ...]


def expiry(rules: Iterable[Rule], stored: StoredObject) -> tuple[datetime, str] | None:
    """When the object expires and by which rule; the earliest one wins."""
    due = [
        (rule.expiration.moment(stored.modified_at), rule.id)
        for rule in rules
        if rule.expiration is not None and rule.covers(stored)
    ]
    return min(due, default=None)


def storage_class_at(rules: Iterable[Rule], stored: StoredObject, now: datetime) -> str:
    """The storage class the object should be in by `now`."""
    due = [
        (when.moment(stored.modified_at), storage_class)
        for rule in rules
        if rule.covers(stored)
        and (rule.scope.larger_than_bytes is not None or stored.size_bytes >= MIN_TRANSITION_BYTES)
        for when, storage_class in rule.transitions
    ]
    past = [(moment, storage_class) for moment, storage_class in due if moment <= now]
    return max(past)[1] if past else stored.properties.storage_class


def upload_is_stale(rules: Iterable[Rule], upload: Upload, now: datetime) -> bool:
    return any(
        rule.enabled
        and rule.abort_uploads is not None
        and upload.key.startswith(rule.scope.prefix)
        and rule.abort_uploads.moment(upload.initiated_at) <= now
        for rule in rules
    )


def rules_of(document: bytes) -> tuple[Rule, ...]:
    """The rules in a LifecycleConfiguration document.

    Raises:
        S3Error: MalformedXML, InvalidArgument or InvalidRequest.
    """
    root = xml.parsed(document, "LifecycleConfiguration")
    elements = root.findall("Rule")
    if not 1 <= len(elements) <= MAX_RULES:
        raise xml.malformed()
    rules = tuple(_rule(element) for element in elements)
    if len({rule.id for rule in rules}) < len(rules):
        raise S3Error(
            "InvalidArgument",
            "Rule ID must be unique. Found same ID for more than one rule",
        )
    return rules


def with_rule_ids(document: bytes) -> bytes:
    """The document as S3 stores it: every rule has an ID, invented where none was given."""
    root = xml.parsed(document, "LifecycleConfiguration")
    root.set("xmlns", xml.NAMESPACE)
    for element in root.findall("Rule"):
        if not xml.text(element, "ID"):
            for empty in element.findall("ID"):
                element.remove(empty)
            ElementTree.SubElement(element, "ID").text = uuid.uuid4().hex
    return xml.serialized(root)


def _rule(element: ElementTree.Element) -> Rule:
    status, rule_id = xml.text(element, "Status"), xml.text(element, "ID") or ""
    if status not in ("Enabled", "Disabled"):
        raise xml.malformed()
    if len(rule_id) > 255:
        raise S3Error("InvalidArgument", "ID length should not exceed allowed limit of 255")
    rule = Rule(
        id=rule_id or uuid.uuid4().hex,
        enabled=status == "Enabled",
        scope=_scope(element),
        expiration=_expiration(element.find("Expiration")),
        transitions=tuple(_transition(inner) for inner in element.findall("Transition")),
        abort_uploads=_abort(element.find("AbortIncompleteMultipartUpload")),
    )
    actions = [
        rule.expiration,
        rule.transitions,
        rule.abort_uploads,
        xml.text(element, "Expiration/ExpiredObjectDeleteMarker"),
        *(element.find(name) for name in _NO_OP_ACTIONS),
    ]
    if all(action is None or action == () for action in actions):
        raise S3Error("InvalidRequest", "At least one action needs to be specified in a rule")
    sizes = (rule.scope.larger_than_bytes, rule.scope.smaller_than_bytes)
    if rule.abort_uploads is not None and (rule.scope.tags or sizes != (None, None)):
        raise S3Error(
            "InvalidRequest",
            "AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes.",
        )
    return rule


def _scope(rule: ElementTree.Element) -> Scope:
    """Prefix, tags and sizes: in Filter, in Filter/And, or the older Prefix beside them."""
    scope = rule.find("Filter/And")
    if scope is None:
        scope = rule.find("Filter")
    if scope is None:
        if rule.find("Prefix") is None:
            raise xml.malformed()
        scope = rule
    tags = scope.findall("Tag")
    return Scope(
        prefix=xml.text(scope, "Prefix") or "",
        tags={xml.text(tag, "Key") or "": xml.text(tag, "Value") or "" for tag in tags},
        larger_than_bytes=_whole(scope, "ObjectSizeGreaterThan"),
        smaller_than_bytes=_whole(scope, "ObjectSizeLessThan"),
    )


def _expiration(element: ElementTree.Element | None) -> Due | None:
    if element is None or element.find("ExpiredObjectDeleteMarker") is not None:
        return None
    return _due(element, "Expiration", least=1)


def _transition(element: ElementTree.Element) -> tuple[Due, str]:
    storage_class = xml.text(element, "StorageClass")
    if not storage_class:
        raise xml.malformed()
    return _due(element, "Transition", least=0), storage_class


def _abort(element: ElementTree.Element | None) -> Due | None:
    if element is None:
        return None
    days = _whole(element, "DaysAfterInitiation")
    if days is None:
        raise xml.malformed()
    _check_days(days, "AbortIncompleteMultipartUpload", 1)
    return Due(days=days)


def _due(element: ElementTree.Element, action: str, *, least: int) -> Due:
    days, date = _whole(element, "Days"), xml.text(element, "Date")
    if (days is None) == (date is None):
        raise xml.malformed()
    if date is None:
        assert days is not None
        _check_days(days, action, least)
        return Due(days=days)
    try:
        moment = datetime.fromisoformat(date)
    except ValueError as error:
        raise xml.malformed() from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.astimezone(UTC).time() != time():
        raise S3Error("InvalidArgument", "'Date' must be at midnight GMT")
    return Due(date=moment)


def _check_days(days: int, action: str, least: int) -> None:
    if days < least:
        kind = "positive" if least else "nonnegative"
        raise S3Error("InvalidArgument", f"'Days' for {action} action must be a {kind} integer")


def _whole(element: ElementTree.Element, path: str) -> int | None:
    value = xml.text(element, path)
    try:
        return None if value is None else int(value)
    except ValueError as error:
        raise xml.malformed() from error
