"""Checks the settings file beside a flow: what starts it and how far it may go."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from chalicelib.domain.workflow import NOTICE_KINDS
from chalicelib.domain.write_back import BESIDE
from slimreel.workflows.problem import Problem

#: Drive ids are opaque; these are the characters and the least length seen in them.
_FOLDER = re.compile(r"[A-Za-z0-9_-]{10,}|\$\{[A-Z][A-Z0-9_]*\}")
_KEYS: Mapping[str, Collection[str]] = {
    "start": ("drive_folder",),
    "policy": (
        "preset",
        "compress_above_bytes",
        "min_savings_percent",
        "max_attempts",
        "max_output_bytes",
    ),
    "notify": ("kinds", "digest_after", "digest_minutes", "weekly"),
    "review": ("done_folder",),
    "write_back": ("to", "suffix"),
}
#: Of a name; Drive names that are synced to a computer have room for 255 bytes.
SUFFIX_LIMIT = 40
#: Lowest and highest value. Drive holds no file above 5 TiB
#: (https://support.google.com/drive/answer/37603); each attempt pays for a whole encode.
_LIMITS: Mapping[str, tuple[float, float]] = {
    "compress_above_bytes": (0, 5 * 1024**4),
    "min_savings_percent": (0, 99),
    "max_attempts": (1, 5),
    "max_output_bytes": (1_000_000, 5 * 1024**4),
}


def settings_problems(path: Path, presets: Collection[str]) -> list[Problem]:
    """The problems of one settings file."""
    return [Problem(file=path, where=w, message=m) for w, m in _problems(path, presets)]


def _problems(path: Path, presets: Collection[str]) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        yield "file", "the flow needs this settings file: what starts it, and with which preset"
        return
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"at line (\d+)", str(error))
        yield (f"line {line[1]}" if line else "file"), f"this is not TOML: {error}"
        return
    yield from _keys(settings)
    start, policy, notify, review, back = (_section(settings, name) for name in _KEYS)
    yield from _start(start)
    yield from _preset(policy, presets)
    yield from _limits(policy)
    yield from _kinds(notify)
    yield from _digest(notify)
    yield from _folders("review", review)
    yield from _way_back(back)


def _section(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = settings.get(name)
    return section if isinstance(section, dict) else {}


def _keys(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, section in settings.items():
        if name not in _KEYS:
            yield name, f"unknown section; there are {_listed(_KEYS)}"
        elif not isinstance(section, dict):
            yield name, f"this is a section, written [{name}]"
        else:
            for key in section:
                if key not in _KEYS[name]:
                    yield f"{name}.{key}", f"unknown key; [{name}] has {_listed(_KEYS[name])}"


def _start(start: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    folder = start.get("drive_folder")
    if folder is None:
        yield "start.drive_folder", "missing: the Drive folder whose videos start this workflow"
    else:
        yield from _folders("start", start)


def _folders(name: str, section: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Of a section in which every setting is a Drive folder."""
    for key in _KEYS[name]:
        folder = section.get(key)
        if key in section and (not isinstance(folder, str) or not _FOLDER.fullmatch(folder)):
            yield (
                f"{name}.{key}",
                f"{folder!r} is neither a Drive folder id (the end of the folder's web address) nor"
                " a parameter of the stage such as ${DRIVE_INBOX_FOLDER}",
            )


def _way_back(back: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    to, suffix = back.get("to"), back.get("suffix")
    if "to" in back and (not isinstance(to, str) or not (to == BESIDE or _FOLDER.fullmatch(to))):
        yield (
            "write_back.to",
            f"{to!r} is neither {BESIDE!r}, nor a Drive folder id, nor a parameter of the stage "
            "such as ${DRIVE_RESULTS_FOLDER}",
        )
    if "suffix" in back and not (
        isinstance(suffix, str)
        and len(suffix) <= SUFFIX_LIMIT
        and suffix.isprintable()
        and "/" not in suffix
    ):
        yield (
            "write_back.suffix",
            f"{suffix!r} is not a text of at most {SUFFIX_LIMIT} characters on one line without /",
        )


def _preset(policy: Mapping[str, Any], presets: Collection[str]) -> Iterator[tuple[str, str]]:
    preset = policy.get("preset")
    if preset is None:
        yield "policy.preset", f"missing; choose one of {_listed(presets)}"
    elif not isinstance(preset, str) or preset not in presets:
        yield "policy.preset", f"unknown preset {preset!r}; there are {_listed(presets)}"


def _limits(policy: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, (lowest, highest) in _LIMITS.items():
        value = policy.get(key, lowest)
        whole = key != "min_savings_percent"
        # bool is an int in Python, and `true` is not a number here
        is_number = isinstance(value, int if whole else (int, float)) and not isinstance(
            value, bool
        )
        if not is_number:
            yield f"policy.{key}", f"{value!r} is not a {'whole ' if whole else ''}number"
        elif not lowest <= value <= highest:
            yield f"policy.{key}", f"{value} is out of range, {lowest} to {highest}"


def _digest(notify: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, highest in (("digest_after", 1000), ("digest_minutes", 24 * 60)):
        value = notify.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
            yield f"notify.{key}", f"{value!r} is not a whole number from 1 to {highest}"
    if not isinstance(notify.get("weekly", False), bool):
        yield "notify.weekly", f"{notify['weekly']!r} is not true or false"


def _kinds(notify: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kinds = notify.get("kinds", [])
    if not isinstance(kinds, list):
        yield "notify.kinds", f"{kinds!r} is not a list; there are {_listed(NOTICE_KINDS)}"
        return
    for kind in kinds:
        if kind not in NOTICE_KINDS:
            yield "notify.kinds", f"unknown kind {kind!r}; there are {_listed(NOTICE_KINDS)}"


def _listed(names: Collection[str]) -> str:
    # in the order a person wrote them, or sorted where there is none
    return ", ".join(sorted(names) if isinstance(names, (set, frozenset)) else names)
