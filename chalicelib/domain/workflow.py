"""A workflow's settings: the small file beside each `*.asl.json`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.errors import SlimreelError
from chalicelib.domain.write_back import BESIDE, SUFFIX

_PARAMETER = re.compile(r"^\$\{([A-Z][A-Z0-9_]*)\}$")
NOTICE_KINDS = ("started", "completed", "kept", "failed", "cancelled")
DEFAULT_KINDS = ("completed", "kept", "failed", "cancelled")


class BadWorkflow(SlimreelError):
    """A workflow's settings file cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """What starts a workflow and how far it may go.

    Attributes:
        drive_folder: the Drive folder whose videos start it; None while the stage has not set it.
        compress_above_bytes: smaller files are published as they are.
        min_savings_percent: a result that saves less is not worth having; the original is kept.
        max_attempts: encodes of one video.
        max_output_bytes: no result is larger; None for no limit.
        notify_kinds: which emails are sent, of `NOTICE_KINDS`.
        digest_after, digest_minutes: more emails than so many within so many minutes become one;
            None for one each.
        weekly: send a summary every Monday.
        done_folder: the Drive folder into which the original of an approved result is moved; None
            leaves it where it is.
        write_back_to: the Drive folder into which results are written, or `BESIDE`, which is where
            each original lies; None writes none.
        write_back_suffix: what a result is called more than its original; None for what is usual.
    """

    name: str
    drive_folder: str | None
    preset: str
    compress_above_bytes: int = 0
    min_savings_percent: float = 10
    max_attempts: int = 3
    max_output_bytes: int | None = None
    notify_kinds: tuple[str, ...] = DEFAULT_KINDS
    digest_after: int | None = None
    digest_minutes: int = 10
    weekly: bool = False
    done_folder: str | None = None
    write_back_to: str | None = None
    write_back_suffix: str | None = None

    @property
    def result_suffix(self) -> str:
        """What a result written back is called more than its original."""
        if self.write_back_suffix is not None:
            return self.write_back_suffix
        return SUFFIX if self.write_back_to == BESIDE else ""


def workflow(name: str, data: Mapping[str, Any], parameters: Mapping[str, str]) -> Workflow:
    """Settings from the parsed file; `${NAME}` folders are looked up in the stage's parameters.

    Raises:
        BadWorkflow: a section is missing or malformed, or a key or kind of email is unknown.
    """
    try:
        policy = dict(data.get("policy", {}))
        return Workflow(
            name=name,
            drive_folder=_folder(str(data["start"]["drive_folder"]), parameters),
            done_folder=_optional_folder(data.get("review", {}), "done_folder", parameters),
            **_emails(data.get("notify", {})),
            **_way_back(data.get("write_back", {}), parameters),
            **policy,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise BadWorkflow(f"workflows/{name}.toml cannot be used: {problem}") from problem


def _emails(notify: Mapping[str, Any]) -> dict[str, Any]:
    unknown = notify.keys() - {"kinds", "digest_after", "digest_minutes", "weekly"}
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
    settings = {name: value for name, value in notify.items() if name != "kinds"}
    return {"notify_kinds": _kinds(notify.get("kinds", DEFAULT_KINDS)), **settings}


def _way_back(section: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    unknown = section.keys() - {"to", "suffix"}
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
    to, suffix = section.get("to"), section.get("suffix")
    return {
        "write_back_to": None if to is None else _folder(str(to), parameters),
        "write_back_suffix": None if suffix is None else str(suffix),
    }


def _kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    named = tuple(kinds)
    unknown = [kind for kind in named if kind not in NOTICE_KINDS]
    if unknown:
        raise ValueError(f"unknown kinds of email: {unknown}")
    return named


def _optional_folder(
    section: Mapping[str, Any], name: str, parameters: Mapping[str, str]
) -> str | None:
    """The only key of a section, a folder that may be left out."""
    unknown = section.keys() - {name}
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
    value = section.get(name)
    return None if value is None else _folder(str(value), parameters)


def _folder(value: str, parameters: Mapping[str, str]) -> str | None:
    found = _PARAMETER.match(value)
    return (parameters.get(found[1]) or None) if found else value
