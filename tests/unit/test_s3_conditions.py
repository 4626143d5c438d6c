from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimreel.local.s3.conditions import MIN_RANGE_COPY_SOURCE_BYTES, copy_span, read_span
from slimreel.local.s3.errors import S3Error

LARGE = MIN_RANGE_COPY_SOURCE_BYTES + 1


@given(size=st.integers(1, 99), first=st.integers(0, 120), last=st.integers(0, 120))
def test_read_range_is_what_slicing_gives(size: int, first: int, last: int) -> None:
    content = bytes(range(size))
    header = f"bytes={first}-{last}"
    if first >= size and last >= first:
        with pytest.raises(S3Error, match="InvalidRange"):
            read_span(header, size)
        return
    span = read_span(header, size)
    if last < first:
        assert span is None
        return
    assert span is not None
    assert content[span.offset : span.offset + span.length] == content[first : last + 1]


@given(size=st.integers(1, 99), count=st.integers(1, 120))
def test_suffix_range_is_what_slicing_gives(size: int, count: int) -> None:
    content = bytes(range(size))
    span = read_span(f"bytes=-{count}", size)
    assert span is not None
    assert content[span.offset : span.offset + span.length] == content[-count:]


@pytest.mark.parametrize("header", ["bytes=-", "bytes", "bytes=a-b", "0-5", "bytes=1", "lines=0-1"])
def test_what_is_no_range_is_ignored(header: str) -> None:
    assert read_span(header, 10) is None


def test_several_ranges_are_not_there() -> None:
    with pytest.raises(S3Error, match="NotImplemented"):
        read_span("bytes=0-1,3-4", 10)


def test_copy_range_reaches_the_last_byte_and_no_further() -> None:
    span = copy_span(f"bytes={LARGE - 3}-{LARGE - 1}", LARGE)
    assert (span.offset, span.length) == (LARGE - 3, 3)
    with pytest.raises(S3Error, match=f"source object of size: {LARGE}"):
        copy_span(f"bytes=0-{LARGE}", LARGE)


def test_copy_without_range_takes_any_source_whole() -> None:
    assert copy_span(None, 3).length == 3
