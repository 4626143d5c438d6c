"""Figures and times as people read them, and the one format of time stamps."""

from __future__ import annotations

from datetime import UTC, datetime


def now_iso() -> str:
    """The time in UTC as every record has it, for example `2026-05-04T09:30:00.250Z`."""
    return iso(datetime.now(UTC))


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def seconds_between(start: str, end: str) -> float:
    return (parse_iso(end) - parse_iso(start)).total_seconds()


def human_size(size_bytes: int) -> str:
    """Decimal units, as Drive and Finder show them.

    >>> human_size(1_234_567)
    '1.2 MB'
    """
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def minutes_and_seconds(start: str, end: str) -> str:
    """How long between two time stamps: `12 s`, `3 min 5 s`."""
    seconds = round(seconds_between(start, end))
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60} s"
