"""Silence in a result that its source does not have, from what ffmpeg's `silencedetect` prints.

The result must be much quieter to count as silent (`GONE_DB`) than the source to count as sounding
(`HEARD_DB`): no encode takes 15 dB away, so what is nearly silent is never blamed.

Source: https://ffmpeg.org/ffmpeg-filters.html#silencedetect
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.domain.text import clock

GONE_DB, HEARD_DB = -65, -50
#: A second without sound is noticed; the source's pauses are looked for more closely.
GONE_S, PAUSE_S = 1.0, 0.5
#: Of a result, which are stored, and of a source, which are not. Clean tracks of dialogue are
#: silent for a second some five times a minute, and ten times for half of one.
RESULT_KEPT, SOURCE_KEPT = 2_000, 100_000
#: Of what is missed, in words.
TOLD = 5
#: Channels that fall silent this near to each other do so together.
_TOGETHER_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A stretch of one channel in which there is no sound, counted from the first frame shown."""

    track: int
    channel: int
    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


_LINE = re.compile(
    r"\[silencedetect@a(\d+) @ 0x[0-9a-f]+\] \[info\] (?:channel: (\d+) \| )?"
    r"silence_(start|end): (-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)"
)


def detector(track: int, *, is_source: bool) -> str:
    """The filter for one track; 1 for the first. Gaps are filled before, as players do.

    16 kHz is enough: what an encoder may cut off at the top of hearing is not missed.
    """
    noise_db, least_s = (HEARD_DB, PAUSE_S) if is_source else (GONE_DB, GONE_S)
    found = f"silencedetect@a{track}=noise={noise_db}dB:duration={least_s}:mono=1"
    return f"aresample=16000:async=1:min_hard_comp=0.1,{found}"


@dataclass(slots=True)
class SilenceLines:
    """Reads what the detectors print on stderr at `-v level+info`.

    Attributes:
        limit: the first so many are kept.
        is_whole: the film's sound was all decoded, so there is no silence but these.
    """

    limit: int = RESULT_KEPT
    is_whole: bool = False
    found: list[Silence] = field(default_factory=list)
    _begun: dict[tuple[int, int], float] = field(default_factory=dict)

    def feed(self, line: str) -> None:
        told = _LINE.match(line)
        if told is None or len(self.found) >= self.limit:
            return
        where = int(told[1]), int(told[2] or 0)
        if told[3] == "start":
            self._begun[where] = float(told[4])
        elif where in self._begun:
            start_s = self._begun.pop(where)
            self.found.append(
                Silence(track=where[0], channel=where[1], start_s=start_s, end_s=float(told[4]))
            )


def missed(
    result: Iterable[Silence], source: Sequence[Silence], ends_s: dict[int, tuple[float, float]]
) -> tuple[Silence, ...]:
    """What is silent in the result alone for `GONE_S` and more.

    Args:
        ends_s: start and end of each of the source's tracks. Outside of it there is no sound.
    """
    if len(source) >= SOURCE_KEPT:
        return ()  # nobody knows where else it is silent
    quiet = _apart(source)
    return tuple(
        left
        for silence in result
        if silence.track in ends_s
        for left in _without(
            silence, quiet.get((silence.track, silence.channel), []), *ends_s[silence.track]
        )
        if left.length_s >= GONE_S
    )


def _apart(silences: Iterable[Silence]) -> dict[tuple[int, int], list[Silence]]:
    """The silences of each track and channel in order, those that meet or overlap as one."""
    found: dict[tuple[int, int], list[Silence]] = {}
    for silence in sorted(silences, key=lambda one: one.start_s):
        known = found.setdefault((silence.track, silence.channel), [])
        if known and silence.start_s <= known[-1].end_s:
            known[-1] = replace(known[-1], end_s=max(known[-1].end_s, silence.end_s))
        else:
            known.append(silence)
    return found


def _without(
    silence: Silence, quiet: Sequence[Silence], first_s: float, last_s: float
) -> Iterator[Silence]:
    """What of a silence lies where the source's channel sounds, which is quiet at times."""
    first = bisect_left(quiet, silence.start_s, key=lambda one: one.end_s)
    after = bisect_left(quiet, silence.end_s, key=lambda one: one.start_s)
    spans = [(one.start_s, one.end_s) for one in quiet[first:after]]
    at_s = max(silence.start_s, first_s)
    for start_s, end_s in [*spans, (min(silence.end_s, last_s), silence.end_s)]:
        if start_s > at_s:
            yield Silence(track=silence.track, channel=silence.channel, start_s=at_s, end_s=start_s)
        at_s = max(at_s, end_s)


def silence_problems(
    silences: Sequence[Silence], channels: dict[int, int | None]
) -> tuple[str, ...]:
    """In sentences.

    Args:
        channels: how many each track has.
    """
    said: list[str] = []
    left = sorted(silences, key=lambda one: (one.track, one.start_s, one.channel))
    while left:
        first = left[0]
        group = [one for one in left if _is_with(one, first)]
        left = [one for one in left if not _is_with(one, first)]
        silent = {one.channel for one in group}
        whose = f"audio track {first.track}"
        if len(silent) < (channels.get(first.track) or 1):
            numbers = ", ".join(str(channel + 1) for channel in sorted(silent))
            whose = f"channel{'s' if len(silent) > 1 else ''} {numbers} of {whose}"
        verb = "are" if whose.startswith("channels") else "is"
        said.append(
            f"{whose} {verb} silent for {max(one.length_s for one in group):.1f} s at "
            f"{clock(first.start_s)}, where the original is not"
        )
    more = len(said) - TOLD
    return (*said[:TOLD], *([f"{more} more silences like these"] if more > 0 else []))


def _is_with(one: Silence, other: Silence) -> bool:
    return one.track == other.track and abs(one.start_s - other.start_s) <= _TOGETHER_S
