from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from slimreel.local.s3 import xml
from slimreel.local.s3.errors import S3Error
from slimreel.local.s3.lifecycle import Due, expiry, rules_of, storage_class_at, with_rule_ids
from slimreel.local.s3.model import Properties, StoredObject

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def stored(key: str = "k", size_bytes: int = 1, **tags: str) -> StoredObject:
    return StoredObject(
        bucket="b",
        key=key,
        blob="x",
        size_bytes=size_bytes,
        etag="e",
        modified_at=NOON,
        properties=Properties(headers={}, tags=tags),
    )


def document(*rules: xml.Content) -> bytes:
    return xml.document("LifecycleConfiguration", [("Rule", rule) for rule in rules])


def rule(filter_: xml.Content, *actions: tuple[str, xml.Content], name: str = "r") -> xml.Content:
    return [("ID", name), ("Filter", filter_), ("Status", "Enabled"), *actions]


EXPIRE = ("Expiration", [("Days", 1)])


@pytest.mark.parametrize(
    "created_at, due",
    [
        # The documented example: 10:30 on day 0, 3 days, midnight at the end of the third.
        (datetime(2014, 1, 15, 10, 30, tzinfo=UTC), datetime(2014, 1, 19, tzinfo=UTC)),
        (datetime(2014, 1, 15, tzinfo=UTC), datetime(2014, 1, 18, tzinfo=UTC)),
    ],
)
def test_days_run_to_the_next_midnight(created_at: datetime, due: datetime) -> None:
    assert Due(days=3).moment(created_at) == due


def test_earliest_rule_wins() -> None:
    later = rule([], ("Expiration", [("Date", "2026-03-01T00:00:00Z")]), name="later")
    rules = rules_of(document(later, rule([], EXPIRE, name="soon")))
    assert expiry(rules, stored()) == (datetime(2026, 2, 2, tzinfo=UTC), "soon")


@pytest.mark.parametrize(
    "filter_, covered",
    [
        ([("Prefix", "")], True),
        ([("Prefix", "k")], True),
        ([("Prefix", "K")], False),
        ([("Tag", [("Key", "a"), ("Value", "1")])], True),
        ([("Tag", [("Key", "a"), ("Value", "2")])], False),
        ([("And", [("Prefix", "k"), ("ObjectSizeGreaterThan", 99)])], True),
        ([("And", [("Prefix", "k"), ("ObjectSizeGreaterThan", 100)])], False),
        ([("ObjectSizeLessThan", 101)], True),
        ([("ObjectSizeLessThan", 100)], False),
    ],
)
def test_filters(filter_: xml.Content, covered: bool) -> None:
    rules = rules_of(document(rule(filter_, EXPIRE)))
    assert (expiry(rules, stored(size_bytes=100, a="1")) is not None) == covered


def test_last_due_transition_counts() -> None:
    steps = [
        ("Transition", [("Days", days), ("StorageClass", name)])
        for days, name in ((90, "DEEP_ARCHIVE"), (30, "STANDARD_IA"))
    ]
    rules = rules_of(document(rule([], *steps)))
    large = stored(size_bytes=1 << 20)
    classes = [storage_class_at(rules, large, NOON + timedelta(days=d)) for d in (1, 40, 100)]
    assert classes == ["STANDARD", "STANDARD_IA", "DEEP_ARCHIVE"]
    assert storage_class_at(rules, stored(size_bytes=1), NOON + timedelta(days=99)) == "STANDARD"


@pytest.mark.parametrize(
    "broken, code",
    [
        (b"<LifecycleConfiguration/>", "MalformedXML"),
        (b"<Other/>", "MalformedXML"),
        (b"<LifecycleConfiguration>", "MalformedXML"),
        (b"<!DOCTYPE x [<!ENTITY y 'z'>]><LifecycleConfiguration/>", "MalformedXML"),
        (document([("Status", "Enabled"), EXPIRE]), "MalformedXML"),
        (document([("Status", "On"), ("Prefix", ""), EXPIRE]), "MalformedXML"),
        (document(rule([], EXPIRE), rule([], EXPIRE)), "InvalidArgument"),
        (document(rule([], ("Expiration", [("Days", -1)]))), "InvalidArgument"),
        (document(rule([], ("Expiration", [("Date", "2026-03-01T01:00:00Z")]))), "InvalidArgument"),
        (document(rule([])), "InvalidRequest"),
    ],
)
def test_broken_rules_are_refused(broken: bytes, code: str) -> None:
    with pytest.raises(S3Error, match=code):
        rules_of(broken)


def test_rules_without_an_id_get_one() -> None:
    nameless = document([("Status", "Enabled"), ("Prefix", ""), EXPIRE])
    named = with_rule_ids(nameless)
    (first,), (second,) = rules_of(named), rules_of(named)
    assert first.id == second.id != ""
