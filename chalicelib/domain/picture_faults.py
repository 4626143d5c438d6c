"""Pictures of the result that are blank or stand still where those of the source do not.

Both films are seen as small pictures (`frames.py`), in which an encode, however coarse, differs
little from its source: docs/verification.md has the figures of 40 encodes of public films, from
which the numbers here keep their distance. What is blank, or stands still, in both is no fault.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from chalicelib.domain.frames import Frame
from chalicelib.domain.text import clock

#: A small picture is blank when its darkest and brightest spots are this near to each other, ...
FLAT = 8.0
#: ... and something is lost when the source's is this far from it, on average (10 of 255 steps).
LOST_ERROR = 100.0
#: A frame that is as it should be.
FITTING_ERROR = 50.0
#: A blank frame or two count only between fitting ones: at a cut or a flash the films may be out of
#: step by a frame. More than this is no such thing.
ALONE_S, ALONE_FRAMES = 0.1, 2
#: A frame is the same as the one before below this mean difference: little but rounding.
SAME = 0.1
#: A picture that stands for less than this is a stutter at most ...
FROZEN_S = 0.5
#: ... and what moves meanwhile in the source must be seen: by so much the difference has to grow,
#: and to so many times what it was.
MOVED_ERROR, MOVED_TIMES = 6.0, 3.0
#: The whole film's brightness or colour is another above this mean squared difference (6 steps), if
#: its frames are alike otherwise: tiny pictures that are coded coarsely differ as much.
SHIFTED_ERROR, ALIKE_SSIM = 36.0, 0.9
FAULTS_KEPT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFault:
    """A stretch of the result whose picture is not the source's.

    Attributes:
        kind: "black", "white", "green", "blank" (another colour) or "frozen".
    """

    kind: str
    start_s: float
    end_s: float

    @property
    def sentence(self) -> str:
        lasting = f"for {self.end_s - self.start_s:.2f} s at {clock(self.start_s)}"
        if self.kind == "frozen":
            return f"the picture stands still {lasting}, where the original moves"
        looks = "of one colour" if self.kind == "blank" else self.kind
        return f"the picture is {looks} {lasting}, where the original is not"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSum:
    """What was seen of a film so far, small enough to be stored between invocations.

    Attributes:
        ssim, luma_error, chroma_error: sums over `frames`.
        more: faults beyond the first `FAULTS_KEPT`.
    """

    frames: int = 0
    ssim: float = 0.0
    luma_error: float = 0.0
    chroma_error: float = 0.0
    faults: tuple[PictureFault, ...] = ()
    more: int = 0

    def add(self, frames: Sequence[Frame], start_s: float) -> PictureSum:
        """With a stretch that begins at `start_s` of the film."""
        found = (*self.faults, *picture_faults(frames, start_s))
        return PictureSum(
            frames=self.frames + len(frames),
            ssim=self.ssim + math.fsum(frame.ssim for frame in frames),
            luma_error=self.luma_error + math.fsum(frame.luma_error for frame in frames),
            chroma_error=self.chroma_error + math.fsum(frame.chroma_error for frame in frames),
            faults=found[:FAULTS_KEPT],
            more=self.more + len(found[FAULTS_KEPT:]),
        )

    def problems(self, *, tone_mapped: bool = False) -> tuple[str, ...]:
        """In sentences.

        Args:
            tone_mapped: the encoder turned high dynamic range into standard range. No two do so
                alike, so brightness and colours say nothing.
        """
        said = [
            fault.sentence
            for fault in self.faults
            if not (tone_mapped and fault.kind in ("white", "blank"))
        ]
        if self.more:
            said.append(f"{self.more} more stretches like these")
        if self.ssim <= ALIKE_SSIM * self.frames or said or tone_mapped:
            return tuple(said)
        if self.luma_error > SHIFTED_ERROR * self.frames:
            return ("the picture is brighter or darker than the original's throughout",)
        if self.chroma_error > SHIFTED_ERROR * self.frames:
            return ("the picture has other colours than the original's throughout",)
        return ()


def picture_faults(frames: Sequence[Frame], start_s: float = 0.0) -> tuple[PictureFault, ...]:
    """Faults of a stretch of frames that follow each other, in order of time."""
    ends_s = _ends_s(frames)
    found = [
        PictureFault(
            kind=kind,
            start_s=round(start_s + frames[first].time_s, 3),
            end_s=round(start_s + ends_s[last], 3),
        )
        for kind, first, last in (*_blank(frames, ends_s), *_frozen(frames, ends_s))
    ]
    return tuple(sorted(found, key=lambda fault: fault.start_s))


def _ends_s(frames: Sequence[Frame]) -> list[float]:
    """The last is taken to last as long as the one before."""
    times_s = [frame.time_s for frame in frames]
    last_s = times_s[-1] - times_s[-2] if len(times_s) > 1 else 0.0
    return [*times_s[1:], *(time_s + last_s for time_s in times_s[-1:])]


def _blank(frames: Sequence[Frame], ends_s: Sequence[float]) -> Iterator[tuple[str, int, int]]:
    for is_lost, first, last in _runs([_is_lost(frame) for frame in frames]):
        if is_lost and (
            (last - first >= ALONE_FRAMES and ends_s[last] - frames[first].time_s > ALONE_S)
            or all(_fits(frames[n]) for n in (first - 1, last + 1) if 0 <= n < len(frames))
        ):
            yield _colour(frames[first]), first, last


def _is_lost(frame: Frame) -> bool:
    is_flat = frame.brightest - frame.darkest <= FLAT
    return is_flat and max(frame.luma_error, frame.chroma_error) >= LOST_ERROR


def _fits(frame: Frame) -> bool:
    return max(frame.luma_error, frame.chroma_error) <= FITTING_ERROR


def _colour(frame: Frame) -> str:
    """Limited range: black is 16, white 235, no colour 128. Zeros in all planes show as green."""
    if max(abs(frame.blue - 128), abs(frame.red - 128)) <= 10:
        return "black" if frame.luma <= 32 else "white" if frame.luma >= 219 else "blank"
    return "green" if frame.blue < 112 and frame.red < 112 else "blank"


def _frozen(frames: Sequence[Frame], ends_s: Sequence[float]) -> Iterator[tuple[str, int, int]]:
    """From the frame that stays to the last that repeats it. Blank ones are told of already."""
    same = [n > 0 and frame.motion <= SAME for n, frame in enumerate(frames)]
    for is_same, second, last in _runs(same):
        first = second - 1
        if not is_same or ends_s[last] - frames[first].time_s < FROZEN_S or _is_lost(frames[last]):
            continue
        before = frames[first].luma_error
        most = max(frame.luma_error for frame in frames[second : last + 1])
        if most - before >= MOVED_ERROR and most >= MOVED_TIMES * before:
            yield "frozen", first, last


def _runs(values: Iterable[bool]) -> Iterator[tuple[bool, int, int]]:
    """Value, first and last place of each run of equal values."""
    for value, run in groupby(enumerate(values), key=lambda item: item[1]):
        places = [place for place, _ in run]
        yield value, places[0], places[-1]
