"""Input clips: from `HH:MM:SS:FF` to seconds on the input's own clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from slimreel.local.mediaconvert.errors import JobError

_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;])(\d\d)(?:@(\d+(?:\.\d+)?)(?::(\d+))?)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """`start_s` and `duration_s` on the file's timeline, which starts at 0."""

    start_s: Fraction
    duration_s: Fraction


def frames(timecode: str, rate: Fraction) -> int:
    """Frame number a timecode names; `;` counts drop frame.

    Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/timecode-input.html
    """
    found = _TIMECODE.match(timecode)
    if found is None:
        raise ValueError(f"not a timecode: {timecode}")
    if found[6]:
        rate = Fraction(found[6]) / Fraction(found[7] or 1)
    hours, minutes, seconds, frame = (int(found[n]) for n in (1, 2, 3, 5))
    base = -(-rate.numerator // rate.denominator)  # 29.97 counts as 30
    total_minutes = hours * 60 + minutes
    count = (total_minutes * 60 + seconds) * base + frame
    if found[4] == ";" and base % 30 == 0:
        count -= base // 15 * (total_minutes - total_minutes // 10)
    return count


def clips(
    input_settings: dict[str, Any], *, rate: Fraction, duration_s: float, start_timecode: str | None
) -> tuple[Clip, ...]:
    """The clips of an input, in their order; none for the whole file.

    Raises:
        JobError: 1060, a clip lies outside the input.
    """
    zero = _zero_frame(input_settings, rate, start_timecode)
    last = round(Fraction(duration_s) * rate) - 1
    return tuple(
        _clip(asked, rate, zero, last) for asked in input_settings.get("inputClippings") or ()
    )


def _clip(asked: dict[str, str], rate: Fraction, zero: int, last: int) -> Clip:
    start_text, end_text = asked.get("startTimecode"), asked.get("endTimecode")
    first = frames(start_text, rate) - zero if start_text else 0
    end = frames(end_text, rate) - zero if end_text else last
    if not 0 <= first <= end or first > last or end > last + 1:
        raise JobError(
            1060,
            f"The clipping region [{start_text or ''}] to [{end_text or ''}] was not found in "
            "input number [1]",
        )
    return Clip(start_s=first / rate, duration_s=(end - first + 1) / rate)


def _zero_frame(input_settings: dict[str, Any], rate: Fraction, start_timecode: str | None) -> int:
    """The number the input's first frame carries; EMBEDDED is the service's default."""
    source = input_settings.get("timecodeSource", "EMBEDDED")
    if source == "SPECIFIEDSTART":
        return frames(input_settings.get("timecodeStart", "00:00:00:00"), rate)
    if source == "EMBEDDED" and start_timecode and _TIMECODE.match(start_timecode):
        return frames(start_timecode, rate)
    return 0
