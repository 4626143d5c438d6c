"""What a film's tags say of its colours, in ffmpeg's words, and when two of them mean the same.

Source of the code points' meaning: ITU-T H.273 (ISO/IEC 23091-2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: Transfer functions of high dynamic range.
HDR_TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
#: One matrix under two names: both are BT.601's.
_SAME_MATRIX = {"bt470bg": "smpte170m"}
#: Says nothing, or nothing of a picture that is stored as luma and chroma.
_UNSAID = ("", "unknown", "reserved", "gbr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """Tags of a picture track; "" where nothing is said.

    Attributes:
        range: "tv" (limited) or "pc" (full).
    """

    range: str = ""
    matrix: str = ""
    primaries: str = ""
    transfer: str = ""

    @property
    def hdr(self) -> str | None:
        """ "PQ" or "HLG"; None for standard dynamic range."""
        return HDR_TRANSFERS.get(self.transfer)


def colour_problems(before: Colour, after: Colour) -> Iterator[str]:
    """What is wrong with a result's tags, in sentences, beside a source's.

    A source that says nothing can be tagged in any way but as HDR. HDR that became SDR by tone
    mapping is another thing and must not look like this one: see `mapped_problems`.
    """
    if before.hdr != after.hdr:
        yield f"the picture is tagged {_dynamics(after)} instead of {_dynamics(before)}"
        return
    if _differ(_matrix(before), _matrix(after)):
        yield f"the colours are tagged {after.matrix} instead of {before.matrix}"
    if _differ(before.primaries, after.primaries) and "bt2020" in (
        before.primaries,
        after.primaries,
    ):
        yield f"the primary colours are tagged {after.primaries} instead of {before.primaries}"


def mapped_problems(after: Colour) -> Iterator[str]:
    """What is wrong with the tags of a result that was to become SDR."""
    if after.hdr is not None or "bt2020" in (after.primaries, after.matrix.removesuffix("nc")):
        said = "/".join((after.matrix, after.primaries, after.transfer))
        yield f"the picture became SDR and is still tagged {said}"


def _dynamics(colour: Colour) -> str:
    return f"{colour.hdr} (high dynamic range)" if colour.hdr else "SDR (standard dynamic range)"


def _matrix(colour: Colour) -> str:
    return _SAME_MATRIX.get(colour.matrix, colour.matrix)


def _differ(one: str, other: str) -> bool:
    return one != other and one not in _UNSAID and other not in _UNSAID
