"""Parts of the Drive stand-in that are plain functions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimreel.local.drive import disk, fields
from slimreel.local.drive.errors import Refusal
from slimreel.local.drive.library import clamp_ms, guess_type
from slimreel.local.drive.resources import rfc3339


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("id", {"id": None}),
        ("id, name", {"id": None, "name": None}),
        ("files/id", {"files": {"id": None}}),
        ("files(id,owners/me)", {"files": {"id": None, "owners": {"me": None}}}),
        ("files/id,files/name", {"files": {"id": None, "name": None}}),
        ("files(id),files", {"files": None}),
        ("*", {"*": None}),
    ],
)
def test_masks(text: str, mask: fields.Mask) -> None:
    assert fields.parse(text) == mask


@pytest.mark.parametrize(
    "text", ["", ",", "id,", "files(", "files()", "files(id", "id)", "/id", "a b"]
)
def test_texts_that_are_no_masks(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        fields.parse(text)
    assert caught.value.status == 400


def test_a_mask_reaches_into_lists() -> None:
    value = {"files": [{"id": "1", "name": "a"}, {"id": "2"}], "kind": "k"}

    assert fields.apply(fields.parse("files(name)"), value) == {"files": [{"name": "a"}, {}]}
    assert fields.apply(fields.parse("*"), value) == value
    assert fields.apply(fields.parse("*/id"), value)["files"] == [{"id": "1"}, {"id": "2"}]


@given(st.text(max_size=400))
def test_any_name_fits_on_a_disk(name: str) -> None:
    fitting = disk.fitting(name)

    assert 0 < len(fitting.encode()) <= 255
    assert not set("/\0") & set(fitting)
    assert not fitting.startswith(".")


def test_a_long_name_keeps_its_extension() -> None:
    assert disk.fitting("ü" * 300 + ".mov").endswith("ü.mov")
    assert disk.fitting("plain.mov") == "plain.mov"


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("a.MP4", "video/mp4"),
        ("a.mov", "video/quicktime"),
        ("a.mkv", "video/x-matroska"),
        ("a.pdf", "application/pdf"),
        ("data:text/html,.nothing", "application/octet-stream"),
        ("mp4", "application/octet-stream"),
    ],
)
def test_types_by_name(name: str, mime_type: str) -> None:
    assert guess_type(name) == mime_type


@given(st.integers(min_value=-(10**17), max_value=10**17))
def test_any_time_can_be_told(time_ms: int) -> None:
    told = rfc3339(clamp_ms(time_ms))

    read = datetime.fromisoformat(told)
    assert read.tzinfo == UTC
    assert len(told) == len("2026-11-21T00:00:00.000Z")
