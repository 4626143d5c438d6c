"""`slimreel doctor`: is everything as it must be for a dropped video to come out smaller?

Each check looks at one thing from outside, changes nothing, and says what is wrong and exactly
what to do next. `slimreel setup` asks for what these checks miss.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """`NOTE`: it works, and is worth knowing. `UNKNOWN`: it could not be looked at."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name, such as "google-key".
        said: a sentence for a person.
        next_step: what to do, as exactly as can be said; empty where there is nothing to do.
    """

    check: str
    verdict: Verdict
    said: str
    next_step: str = ""

    def as_json(self) -> dict[str, str]:
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "said": self.said,
            "next_step": self.next_step,
        }


def ok(check: str, said: str) -> Finding:
    return Finding(check, Verdict.OK, said)


def note(check: str, said: str, next_step: str = "") -> Finding:
    return Finding(check, Verdict.NOTE, said, next_step)


def wrong(check: str, said: str, next_step: str) -> Finding:
    return Finding(check, Verdict.WRONG, said, next_step)


def unknown(check: str, said: str, next_step: str = "") -> Finding:
    return Finding(check, Verdict.UNKNOWN, said, next_step)
