"""Listing against the plain definition of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug import Request
from werkzeug.test import EnvironBuilder

from slimreel.local.s3 import xml
from slimreel.local.s3.blobs import Blobs
from slimreel.local.s3.index import Index
from slimreel.local.s3.listing import list_objects, list_objects_v2
from slimreel.local.s3.model import Properties, StoredObject
from slimreel.local.s3.routing import Call
from slimreel.local.s3.store import Store

KEYS = st.lists(st.text("ab/é🎬", min_size=1, max_size=6), unique=True, max_size=12)


def expected(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    shown = set()
    for key in keys:
        if key.startswith(prefix):
            head, found, _ = key.removeprefix(prefix).partition(delimiter or "\0")
            shown.add(prefix + head + found)
    return sorted(shown, key=lambda name: name.encode())


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with TemporaryDirectory() as root:
        index = Index(Path(root) / "index.sqlite")
        yield Store(index=index, blobs=Blobs(Path(root)), region="r", account_id="1")
        index.close()


def fill(store: Store, keys: list[str]) -> str:
    bucket = f"b{len(store.index.buckets())}"
    with store.index.transaction():
        store.index.add_bucket(bucket, datetime.now(UTC))
        for key in keys:
            store.index.put_object(
                StoredObject(
                    bucket=bucket,
                    key=key,
                    blob="x",
                    size_bytes=0,
                    etag="e",
                    modified_at=datetime.now(UTC),
                    properties=Properties(headers={}),
                )
            )
    return bucket


def call(bucket: str, query: dict[str, str]) -> Call:
    request = Request(EnvironBuilder().get_environ())
    return Call(operation="", bucket=bucket, key="", query=query, request=request)


def entries(root: ElementTree.Element) -> list[str]:
    """Objects and folders of a page, in the order of the listing."""
    found = [*root.findall("Contents/Key"), *root.findall("CommonPrefixes/Prefix")]
    return sorted((element.text or "" for element in found), key=lambda name: name.encode())


@pytest.mark.parametrize("version", [1, 2])
@settings(deadline=None)
@given(
    keys=KEYS,
    prefix=st.text("ab/", max_size=2),
    delimiter=st.sampled_from(["", "/", "b", "é"]),
    max_keys=st.integers(1, 4),
)
def test_pages_add_up_to_the_listing(
    store: Store, version: int, keys: list[str], prefix: str, delimiter: str, max_keys: int
) -> None:
    bucket = fill(store, keys)
    query = {"prefix": prefix, "delimiter": delimiter, "max-keys": str(max_keys)}
    listed: list[str] = []
    while True:
        answer = (list_objects_v2 if version == 2 else list_objects)(store, call(bucket, query))
        page = xml.parsed(answer.get_data(), "ListBucketResult")
        listed += entries(page)
        assert len(entries(page)) <= max_keys
        if xml.text(page, "IsTruncated") == "false":
            break
        if version == 2:
            query["continuation-token"] = xml.text(page, "NextContinuationToken") or ""
        else:
            query["marker"] = xml.text(page, "NextMarker") or listed[-1]
    assert listed == expected(keys, prefix, delimiter)
