"""Figures and times as people read them, and the one format of time stamps."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal

#: Line breaks, control characters and halves of characters that no encoding takes.
_NO_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: They turn the direction of all text after them, ours too.
_TURNS_TEXT = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def iso(moment: datetime) -> str:
    """UTC as every record has it, for example `2026-05-04T09:30:00.250Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def seconds_between(start: str, end: str) -> float:
    """0 where a clock was set back in between."""
    return max(0.0, (parse_iso(end) - parse_iso(start)).total_seconds())


def human_size(size_bytes: int) -> str:
    """Decimal units, as Drive and Finder show them.

    >>> human_size(1_234_567)
    '1.2 MB'
    """
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(size) < (1000 if unit == "bytes" else 999.95):  # which would read 1000.0
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def rate_words(bitrate_bps: float) -> str:
    """
    >>> rate_words(640_000), rate_words(4_250_000)
    ('640 kbit/s', '4.2 Mbit/s')
    """
    if bitrate_bps < 1_000_000:
        return f"{bitrate_bps / 1e3:.0f} kbit/s"
    return f"{bitrate_bps / 1e6:.1f} Mbit/s"


def percent(share: float) -> str:
    """A share as whole percent, and never 0 or 100 where that is not quite true.

    >>> percent(0.617), percent(0.998)
    ('62 %', '99.8 %')
    """
    whole = f"{100 * share:.0f}"
    if 0 < share < 1 and whole in ("0", "100"):
        return f"{min(max(100 * share, 0.1), 99.9):.1f} %"
    return f"{whole} %"


def rounded_down(value: float, decimals: int) -> str:
    """For a value that missed a limit: rounded to the nearest it could read as if it had not.

    >>> rounded_down(0.9499, 3)
    '0.949'
    """
    return str(Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_FLOOR))


def clock(seconds: float) -> str:
    """A moment of a film.

    >>> clock(3.04), clock(75.5), clock(3723)
    ('0:03.0', '1:15.5', '1:02:03.0')
    """
    tenths = round(10 * max(0.0, seconds))
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def one_line(text: str) -> str:
    """Text that others chose, such as a file name, so that it cannot pass for lines of ours.

    >>> one_line("a\\nWhy: b")
    'a Why: b'
    """
    return "".join(
        " " if unicodedata.category(c) in _NO_LINE or c in _TURNS_TEXT else c for c in text
    )


def minutes_and_seconds(start: str, end: str) -> str:
    """How long between two time stamps: `12 s`, `3 min 5 s`."""
    seconds = round(seconds_between(start, end))
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60} s"
