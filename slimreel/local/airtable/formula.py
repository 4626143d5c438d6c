"""The part of Airtable's formula language that filters rows.

Fields, text, numbers, `= != < > <= >=`, AND OR NOT FIND RECORD_ID DATETIME_PARSE BLANK TRUE FALSE.
Anything else is refused, never guessed.
Source: https://support.airtable.com/docs/formula-field-reference
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slimreel.local.airtable import errors
from slimreel.local.airtable.store import Column, Record, Table

Value = str | float | bool | datetime | None
Node = Callable[[Record], Value]

TOKEN = re.compile(
    r"""\s*(?:
      (?P<field>\{(?:\\.|[^}\\])+\})
    | (?P<text>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<name>[A-Za-z_]\w*)
    | (?P<sign>!=|<=|>=|[=<>(),\-])
    )""",
    re.VERBOSE | re.DOTALL,
)

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


class _Error(Exception):
    """What Airtable shows as #ERROR! in a cell; a filter drops the row."""


def row_filter(formula: str, table: Table) -> Callable[[Record], bool]:
    """Compile a filterByFormula.

    Raises:
        Refusal: it does not parse, names an unknown field, or needs more than this file knows.
    """
    parser = _Parser(_tokens(formula), table)
    node = parser.whole()

    def keeps(record: Record) -> bool:
        try:
            return _truth(node(record))
        except _Error:
            return False

    return keeps


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens(formula: str) -> list[_Token]:
    tokens, at = [], 0
    while formula[at:].strip():
        match = TOKEN.match(formula, at)
        if match is None:
            raise errors.invalid_formula()
        assert match.lastgroup is not None
        tokens.append(_Token(match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


def _unescape(quoted: str) -> str:
    """The text between the first and last character, without its escapes."""
    return re.sub(r"\\(['\"{}\\])", r"\1", quoted[1:-1])


class _Parser:
    """Recursive descent: comparison over terms, functions inside."""

    def __init__(self, tokens: Sequence[_Token], table: Table) -> None:
        self._tokens = tokens
        self._table = table
        self._at = 0

    def whole(self) -> Node:
        node = self._comparison()
        if self._at < len(self._tokens):
            raise errors.invalid_formula()
        return node

    def _next(self) -> _Token:
        if self._at >= len(self._tokens):
            raise errors.invalid_formula()
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip(self, sign: str) -> bool:
        """Step over `sign` if it comes next."""
        here = self._tokens[self._at] if self._at < len(self._tokens) else None
        if here != _Token("sign", sign):
            return False
        self._at += 1
        return True

    def _comparison(self) -> Node:
        left = self._term()
        for sign, compare in COMPARE.items():
            if self._skip(sign):
                return _compared(left, self._term(), compare)
        return left

    def _term(self) -> Node:
        token = self._next()
        if token.kind == "field":
            return self._field(_unescape(token.text))
        if token.kind == "text":
            return _constant(_unescape(token.text))
        if token.kind == "number":
            return _constant(float(token.text))
        if token == _Token("sign", "-"):
            return _constant(-float(self._expect("number")))
        if token == _Token("sign", "("):
            node = self._comparison()
            self._expect("sign", ")")
            return node
        if token.kind == "name":
            return self._named(token.text)
        raise errors.invalid_formula()

    def _expect(self, kind: str, text: str | None = None) -> str:
        token = self._next()
        if token.kind != kind or text not in (None, token.text):
            raise errors.invalid_formula()
        return token.text

    def _named(self, name: str) -> Node:
        """A call, or the bare name of a field."""
        if not self._skip("("):
            return self._field(name)
        arguments: list[Node] = []
        while not self._skip(")"):
            if arguments:
                self._expect("sign", ",")
            arguments.append(self._comparison())
        return _called(name.upper(), arguments)

    def _field(self, name: str) -> Node:
        column = self._table.column(name)
        if column is None:
            raise errors.invalid_formula(f"Unknown field names: {name.lower()}")
        return lambda record: _cell(column, record)


def _constant(value: Value) -> Node:
    return lambda _: value


def _cell(column: Column, record: Record) -> Value:
    value = record.cells.get(column.id)
    if value is None:
        return None
    if column.type in ("date", "dateTime"):
        return _moment(value)
    if column.type == "multipleSelects":
        return ", ".join(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Error from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _truth(value: Value) -> bool:
    """A row stays unless the result is 0, false, "", or empty.
    Source: https://airtable.com/developers/web/api/list-records"""
    return bool(value)


def _compared(left: Node, right: Node, compare: Callable[[Any, Any], bool]) -> Node:
    def node(record: Record) -> Value:
        one, other = _alike(left(record), right(record))
        return compare(one, other)

    return node


def _alike(one: Value, other: Value) -> tuple[Any, Any]:
    """Two values of one kind. An empty cell equals "", 0 and false alike."""
    one = float(one) if isinstance(one, bool) else one
    other = float(other) if isinstance(other, bool) else other
    if one is None:
        one = _empty_like(other)
    if other is None:
        other = _empty_like(one)
    if type(one) is not type(other):
        if isinstance(one, datetime) or isinstance(other, datetime):
            raise errors.not_built("comparing a date with text; use DATETIME_PARSE in the formula")
        raise _Error
    return one, other


def _empty_like(value: Value) -> Value:
    if isinstance(value, str) or value is None:
        return ""
    # No date is earlier: an empty date cell sorts before every other.
    return 0.0 if isinstance(value, float) else datetime.min.replace(tzinfo=UTC)


def _called(name: str, arguments: list[Node]) -> Node:
    count = len(arguments)
    if name == "AND" and count:
        return lambda record: all(_truth(node(record)) for node in arguments)
    if name == "OR" and count:
        return lambda record: any(_truth(node(record)) for node in arguments)
    if name == "NOT" and count == 1:
        return lambda record: not _truth(arguments[0](record))
    if name == "FIND" and count in (2, 3):
        return lambda record: _found(*(node(record) for node in arguments))
    if name == "DATETIME_PARSE" and count == 1:
        return lambda record: _moment(str(arguments[0](record) or ""))
    constants: dict[str, Node] = {
        "RECORD_ID": lambda record: record.id,
        "BLANK": lambda _: None,
        "TRUE": lambda _: True,
        "FALSE": lambda _: False,
    }
    if name in constants and not count:
        return constants[name]
    raise errors.invalid_formula()


def _found(wanted: Value, text: Value, start: Value = 1.0) -> float:
    """Position of `wanted`, counted from 1; 0 when it is not there."""
    if not isinstance(wanted, str) or not isinstance(text, str | None):
        raise _Error
    if not isinstance(start, float):
        raise _Error
    return float((text or "").find(wanted, max(int(start) - 1, 0)) + 1)
