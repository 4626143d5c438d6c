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
#: Colours so strong that they look pale when taken for ordinary ones: BT.2020, P3 of cinemas and
#: phones.
_WIDE = frozenset({"bt2020", "smpte431", "smpte432"})
#: From so many lines on, players take an untagged picture for BT.709, else for BT.601.
#: Source: https://mpv.io/manual/stable/#options-video-output-levels and what browsers do
HD_LINES = 720
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
    if _differ(before.primaries, after.primaries) and _WIDE & {before.primaries, after.primaries}:
        yield f"the primary colours are tagged {after.primaries} instead of {before.primaries}"


def unsaid_problems(before: Colour, after: Colour, lines: int) -> Iterator[str]:
    """What looks otherwise because the result no longer says what the source does.

    Args:
        lines: height of the result's picture, by which players guess.
    """
    if _is_said(before.matrix) and not _is_said(after.matrix):
        guess = "bt709" if lines >= HD_LINES else _SAME_MATRIX["bt470bg"]
        if _matrix(before) != guess:
            yield f"the colours are not tagged {before.matrix}, and would be taken for {guess}"
    if before.primaries in _WIDE and not _is_said(after.primaries):
        yield f"the primary colours are not tagged {before.primaries}, and would look pale"


def colour_notes(before: Colour, after: Colour) -> Iterator[str]:
    """Differences that hardly anyone sees."""
    for name, was, now in (
        ("primaries", before.primaries, after.primaries),
        ("transfer curve", before.transfer, after.transfer),
    ):
        if _is_said(was) and was != now and was not in _WIDE:
            told = f"tagged {now} instead of {was}" if _is_said(now) else f"not tagged {was}"
            yield f"The {name} of the colours: {told}."


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
    return one != other and _is_said(one) and _is_said(other)


def _is_said(name: str) -> bool:
    return name not in _UNSAID
