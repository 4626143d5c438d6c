"""What ffmpeg found out about each compared frame, read from what its filters print.

Source: https://ffmpeg.org/ffmpeg-filters.html#metadata, #ssim, #psnr, #signalstats-1, #libvmaf-1
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame of the result beside the source's of that time.

    All but `ssim` are of small pictures of both, of 8 bits: what the eye takes in at a glance, with
    neither grain nor fine texture.

    Attributes:
        time_s: when it is shown, from the start of the compared stretch.
        ssim: "All", of the frames as they are.
        luma_error, chroma_error: mean squared difference to the source's; the larger of the two
            chroma planes' counts.
        darkest, brightest: luma of the result's.
        luma, blue, red: its averages (Y, U, V).
        motion: mean difference of its luma to the frame before; 0 for the first.
    """

    time_s: float
    ssim: float
    luma_error: float = 0.0
    chroma_error: float = 0.0
    darkest: float = 16.0
    brightest: float = 235.0
    luma: float = 128.0
    blue: float = 128.0
    red: float = 128.0
    motion: float = 1.0


#: What is wanted of some forty lines a frame.
_LINES = re.compile(
    rb"^(?:frame:\d+ [^\n]*\bpts_time:(?P<time>-?[\d.]+(?:e[-+]\d+)?)\s*"
    rb"|lavfi\.(?:ssim|psnr\.mse|signalstats)\."
    rb"(?P<name>All|y|u|v|YMIN|YMAX|YAVG|UAVG|VAVG|YDIF)=(?P<value>[-\w.+]+))\r?$",
    re.MULTILINE,
)
#: The first line of libvmaf's log as CSV.
_VMAF_HEAD = "Frame,"


@dataclass(slots=True)
class FrameLines:
    """Reads what `metadata=print` writes, in pieces of any length."""

    _frames: list[Frame] = field(default_factory=list)
    _time_s: float | None = None
    _figures: dict[str, float] = field(default_factory=dict)
    _rest: bytes = b""

    def feed(self, data: bytes) -> None:
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        self._read(whole + newline)

    def frames(self) -> list[Frame]:
        """All frames that were scored, in order."""
        rest, self._rest = self._rest, b""
        self._read(rest)
        self._end_frame()
        return self._frames

    def _read(self, lines: bytes) -> None:
        for found in _LINES.finditer(lines):
            time_s, name, value = found.groups()
            try:
                number = float(time_s or value)
            except ValueError:
                continue  # not what ffmpeg prints
            if name is not None:
                self._figures[name.decode()] = number
            else:
                self._end_frame()
                self._time_s = number

    def _end_frame(self) -> None:
        if self._time_s is not None and "All" in self._figures:
            self._frames.append(_frame(self._time_s, MappingProxyType(self._figures)))
        self._time_s, self._figures = None, {}


@dataclass(slots=True)
class VmafLines:
    """Reads libvmaf's log as CSV from among other lines.

    Attributes:
        scores: one per frame, in order.
    """

    scores: list[float] = field(default_factory=list)
    _column: int | None = None

    def feed(self, line: str) -> None:
        head = line.find(_VMAF_HEAD)
        if head >= 0 and "vmaf" in (columns := line[head:].split(",")):
            self._column = columns.index("vmaf")
        elif self._column is not None:
            cells = line.split(",")
            if cells[0].isdigit() and len(cells) > self._column:
                self._add(cells[self._column])

    def _add(self, cell: str) -> None:
        try:
            score = float(cell)
        except ValueError:
            return
        self.scores.append(score if math.isfinite(score) else 0.0)


def _frame(time_s: float, figures: Mapping[str, float]) -> Frame:
    return Frame(
        time_s=time_s,
        ssim=figures["All"],
        luma_error=figures.get("y", 0.0),
        chroma_error=max(figures.get("u", 0.0), figures.get("v", 0.0)),
        darkest=figures.get("YMIN", 16.0),
        brightest=figures.get("YMAX", 235.0),
        luma=figures.get("YAVG", 128.0),
        blue=figures.get("UAVG", 128.0),
        red=figures.get("VAVG", 128.0),
        motion=figures.get("YDIF", 1.0),
    )
