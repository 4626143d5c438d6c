"""The search language of files.list (`q`), as far as it is modelled.

`and` and `or` bind equally and are read from left to right; parentheses group.
`name contains` matches the beginning of a word only.
Source: https://developers.google.com/workspace/drive/api/guides/search-files and
https://developers.google.com/workspace/drive/api/guides/ref-search-terms
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from slimreel.local.drive.errors import Refusal, invalid_value, not_modelled
from slimreel.local.drive.records import Record

Test: TypeAlias = Callable[[Record], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<word>[A-Za-z]+)|(?P<sign>!=|<=|>=|[=<>(){}]))", re.S
)
_ORDER: dict[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NOT_MODELLED = frozenset(
    (
        "fullText",
        "viewedByMeTime",
        "writers",
        "readers",
        "sharedWithMe",
        "properties",
        "appProperties",
        "visibility",
        "shortcutDetails",
        "memberCount",
        "labels",
    )
)


def parse(text: str, root_id: str) -> Test:
    """Return the test that `text` describes. `root_id` is what `'root'` stands for.

    Raises:
        Refusal: 400 when Drive would not understand it, 501 for what is not modelled.
    """
    parser = _Parser(_tokens(text), root_id)
    test = parser.expression()
    if parser.tokens:
        raise invalid_value("q")
    return test


class _Parser:
    """Reads tokens from the front; each method consumes what it understood."""

    def __init__(self, tokens: list[str], root_id: str) -> None:
        self.tokens = tokens
        self._root_id = root_id

    def expression(self) -> Test:
        test = self._term()
        while self.tokens and self.tokens[0] in ("and", "or"):
            test = _joined(self._take(), test, self._term())
        return test

    def _term(self) -> Test:
        head = self._take()
        if head == "not":
            inner = self._term()
            return lambda record: not inner(record)
        if head == "(":
            test = self.expression()
            if self._take() != ")":
                raise invalid_value("q")
            return test
        if head.startswith("'"):
            return self._membership(_unquoted(head))
        return self._comparison(head)

    def _membership(self, value: str) -> Test:
        if self._take() != "in":
            raise invalid_value("q")
        match self._take():
            case "parents":
                parent_id = self._root_id if value == "root" else value
                return lambda record: record.parent_id == parent_id
            case "owners":
                email = value.lower()
                return lambda record: record.owner_email.lower() == email
            case name:
                raise _unknown(name)

    def _comparison(self, name: str) -> Test:
        sign, value = self._take(), self._take()
        match name:
            case "name":
                return _name(sign, _unquoted(value))
            case "mimeType":
                return _mime_type(sign, _unquoted(value))
            case "trashed" | "starred":
                return _flag(name, sign, value)
            case "modifiedTime":
                return _time(lambda record: record.modified_ms, sign, _unquoted(value))
            case "createdTime":
                return _time(lambda record: record.created_ms, sign, _unquoted(value))
            case _:
                raise _unknown(name)

    def _take(self) -> str:
        if not self.tokens:
            raise invalid_value("q")
        return self.tokens.pop(0)


def _tokens(text: str) -> list[str]:
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise invalid_value("q")
        tokens.append(match[match.lastgroup or 0])
        position = match.end()
    return tokens


def _unquoted(token: str) -> str:
    if not token.startswith("'"):
        raise invalid_value("q")
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.S)


def _joined(word: str, left: Test, right: Test) -> Test:
    if word == "and":
        return lambda record: left(record) and right(record)
    return lambda record: left(record) or right(record)


def _name(sign: str, value: str) -> Test:
    if sign == "=":
        return lambda record: record.name == value
    if sign == "!=":
        return lambda record: record.name != value
    if sign == "contains":
        start = re.compile(r"(?<!\w)" + re.escape(value), re.I)
        return lambda record: start.search(record.name) is not None
    raise invalid_value("q")


def _mime_type(sign: str, value: str) -> Test:
    if sign == "=":
        return lambda record: record.mime_type == value
    if sign == "!=":
        return lambda record: record.mime_type != value
    if sign == "contains":
        return lambda record: record.mime_type.startswith(value)
    raise invalid_value("q")


def _flag(name: str, sign: str, value: str) -> Test:
    if sign not in ("=", "!=") or value not in ("true", "false"):
        raise invalid_value("q")
    wanted = (value == "true") == (sign == "=")
    return lambda record: bool(getattr(record, name)) == wanted


def _time(moment_of: Callable[[Record], int], sign: str, value: str) -> Test:
    compare = _ORDER.get(sign)
    if compare is None:
        raise invalid_value("q")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise invalid_value("q") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    limit_ms = round(moment.timestamp() * 1000)
    return lambda record: compare(moment_of(record), limit_ms)


def _unknown(name: str) -> Refusal:
    if name in _NOT_MODELLED:
        return not_modelled(f"the search term {name!r}")
    return invalid_value("q")
