"""What was found of a result's sound beside its source's, and what to hold against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chalicelib.domain.text import clock

#: Correlation below which it is another sound. The best of all shifts of two unrelated voices is
#: 0.3 to 0.5.
ANOTHER = 0.55
#: How late or early sound may be. EBU R37 allows a whole chain of production 40 ms early and 60 ms
#: late; this is one link of it. A frame of AAC, which encoders get wrong, is 21 ms.
#: Source: https://tech.ebu.ch/docs/r/r037.pdf
LATE_S = 0.030
#: By how much that may change in the course of a film: nothing an encoder does explains more.
DRIFT_S = 0.020


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was found of one audio track at one place.

    Attributes:
        at_s: the middle of the place, from the first frame shown.
        shift_s: how much later than in the source its sound comes; None where nobody can tell.
        likeness: the correlation at that shift, or the best there is; None where either film is
            silent or steady.
        like_track: the source's other track that it is more like than its own.
        other_channels: its channels are those of the source in another order.
        silent_s: where it is silent and the source is not: start and end.
    """

    track: int
    at_s: float
    shift_s: float | None = None
    likeness: float | None = None
    like_track: int | None = None
    other_channels: bool = False
    silent_s: tuple[float, ...] = ()


def sound_problems(found: Sequence[Reading]) -> tuple[str, ...]:
    """What is wrong with the sound, in sentences."""
    problems: list[str] = []
    for track in sorted({reading.track for reading in found}):
        own = [reading for reading in found if reading.track == track]
        problems += (f"audio track {track} {said}" for said in _track_problems(own))
    return tuple(problems)


def _track_problems(found: Sequence[Reading]) -> Iterator[str]:
    for silent_s in (reading.silent_s for reading in found):
        for start_s, end_s in zip(silent_s[::2], silent_s[1::2], strict=True):
            yield (
                f"is silent for {end_s - start_s:.1f} s at {clock(start_s)}, where the original "
                "is not"
            )
    told = [reading for reading in found if reading.likeness is not None]
    shifts = [(reading.at_s, reading.shift_s) for reading in told if reading.shift_s is not None]
    others = [reading.like_track for reading in told if reading.like_track is not None]
    if 2 * len(others) > len(told) and len(set(others)) == 1:
        yield f"has the sound of the original's audio track {others[0]}"
        return
    if len(told) > 1 and all((reading.likeness or 0.0) < ANOTHER for reading in told):
        yield "does not sound like the original's"
    if any(reading.other_channels for reading in found):
        yield "has its channels (left and right, say) in another order"
    if said := _shift_problem(shifts):
        yield said


def _shift_problem(shifts: Sequence[tuple[float, float]]) -> str | None:
    """Late, early, or drifting."""
    if not shifts:
        return None
    least, most = (pick(shifts, key=lambda shift: shift[1]) for pick in (min, max))
    if most[1] - least[1] > DRIFT_S:
        first, last = sorted((least, most))
        return (
            f"drifts against the picture by {1000 * (most[1] - least[1]):.0f} ms: "
            f"{_moved(first)}, {_moved(last)}"
        )
    middle = sorted(shift for _, shift in shifts)[len(shifts) // 2]
    if abs(middle) <= LATE_S:
        return None
    late = "late" if middle > 0 else "early"
    return (
        f"comes {1000 * abs(middle):.0f} ms too {late} for the picture "
        f"({1000 * LATE_S:.0f} ms are allowed)"
    )


def _moved(shift: tuple[float, float]) -> str:
    at_s, by_s = shift
    late = "late" if by_s >= 0 else "early"
    return f"{1000 * abs(by_s):.0f} ms {late} at {clock(at_s)}"
