"""HDR10's static metadata as ffmpeg prints it, and whether a result has its source's.

Source: https://ffmpeg.org/ffmpeg-filters.html#showinfo; SMPTE ST 2086, CTA-861.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_SAID = re.compile(
    r"side data - (?P<kind>Mastering display|Content light level) metadata: (?P<text>.{1,300})"
)


@dataclass(slots=True)
class LightLines:
    """Reads what the showinfo filter prints of a picture; later pictures change nothing."""

    said: dict[str, str] = field(default_factory=dict)

    def feed(self, line: str) -> None:
        if found := _SAID.search(line):
            self.said.setdefault(found["kind"], found["text"].strip())

    @property
    def text(self) -> str | None:
        """All of it on one line; None where there is none."""
        return "; ".join(self.said[kind] for kind in sorted(self.said)) or None


def light_problems(
    before: str | None, after: str | None, *, stays_hdr: bool, is_hdr: bool
) -> Iterator[str]:
    """What is wrong with a result's static metadata, in sentences.

    Args:
        before, after: of the source and the result.
        stays_hdr: both are HDR; `is_hdr`: the result is.
    """
    if after is not None and not is_hdr:
        yield "the picture is SDR and still has the metadata of an HDR screen"
    elif stays_hdr and before is not None and after != before:
        what = "is missing" if after is None else "is not the original's"
        yield f"the HDR10 metadata (mastering display, light levels) {what}"
