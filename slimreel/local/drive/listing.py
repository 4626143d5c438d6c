"""Order and pages of files.list."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from slimreel.local.drive.errors import invalid_value, not_modelled
from slimreel.local.drive.records import Record

#: "Several hours". Source: files.list `pageToken` in Drive's discovery document.
_PAGE_TOKEN_LIFE_S = 3 * 3600.0

_KEYS: dict[str, Callable[[Record], Any]] = {
    "createdTime": lambda record: record.created_ms,
    "folder": lambda record: not record.is_folder,
    "modifiedTime": lambda record: record.modified_ms,
    "name": lambda record: record.name.casefold(),
    "name_natural": lambda record: [
        (0, int(part), "") if part.isdigit() else (1, 0, part.casefold())
        for part in re.split(r"([0-9]+)", record.name)
        if part
    ],
    "quotaBytesUsed": lambda record: record.size_bytes or 0,
    "recency": lambda record: max(record.created_ms, record.modified_ms),
    "starred": lambda record: not record.starred,
}
_NOT_MODELLED = frozenset(("modifiedByMeTime", "sharedWithMeTime", "viewedByMeTime"))


def ordered(records: Sequence[Record], order_by: str) -> list[Record]:
    """Sort by Drive's `orderBy`: keys between commas, each may be followed by ` desc`.

    Raises:
        Refusal: 400 for a key Drive does not have, 501 for one that is not modelled.
    """
    answer = list(records)
    for item in reversed([part.split() for part in order_by.split(",")] if order_by else []):
        if not item or len(item) > 2 or item[1:] not in ([], ["desc"]):
            raise invalid_value("orderBy")
        if item[0] in _NOT_MODELLED:
            raise not_modelled(f"ordering by {item[0]}")
        key = _KEYS.get(item[0])
        if key is None:
            raise invalid_value("orderBy")
        answer.sort(key=key, reverse=len(item) == 2)
    return answer


class Pages:
    """Page tokens: each stands for what is left of one search. They end with the process."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[str, list[str], float]] = {}

    def open(self, token: str, search: str) -> list[str]:
        """Return the ids that `token` stands for.

        Raises:
            Refusal: 400, unknown, too old, or from a different search.
        """
        asked, ids, until_s = self._left.get(token, ("", [], 0.0))
        if asked != search or until_s < time.time():
            raise invalid_value("pageToken")
        return ids

    def keep(self, search: str, ids: list[str]) -> str:
        token = "~!!~" + secrets.token_urlsafe(80)
        self._left[token] = (search, ids, time.time() + _PAGE_TOKEN_LIFE_S)
        return token
