"""Frozen dataclasses to plain data and back, for records and JSON.

`to_plain` gives dicts, lists, strings, numbers, booleans and None; `from_plain` rebuilds the
dataclass from its type hints. Unknown keys are ignored, so that a newer record can be read by
older code during a deployment; missing ones take the field's default, or None where the field may
be None, because `to_plain` leaves those out.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")


#: Plain already. By exact type: an enum's member may be a text, too.
_PLAIN = frozenset((str, int, float, bool, type(None)))


def to_plain(value: Any) -> Any:
    """Plain data for a dataclass, tuple, enum, mapping or scalar; None fields are left out."""
    if type(value) in _PLAIN:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((name, getattr(value, name)) for name in _names(type(value)))
        return {name: to_plain(item) for name, item in pairs if item is not None}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


@functools.cache
def _names(cls: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]


def from_plain(cls: type[T], data: Mapping[str, Any]) -> T:
    """Rebuild a `cls` dataclass.

    Raises:
        KeyError: a field that has no default and cannot be None is missing.
    """
    values: dict[str, Any] = {}
    for name, build, is_needed, may_be_none in _fields(cls):  # type: ignore[arg-type]
        if name in data:
            value = data[name]
            values[name] = value if build is None or value is None else build(value)
        elif is_needed:
            if not may_be_none:
                raise KeyError(f"{cls.__name__} needs {name!r}")
            values[name] = None
    return cls(**values)


#: Rebuilds one value that is not None.
Build = Callable[[Any], Any]


@functools.cache
def _fields(cls: Hashable) -> tuple[tuple[str, Build | None, bool, bool], ...]:
    """Of each field: its name, how its value is rebuilt, whether it lacks a default, and whether it
    may be None. Looked up once: a record has some fifty fields, and every step reads one or two.
    """
    hints = typing.get_type_hints(cls)
    missing = dataclasses.MISSING
    return tuple(
        (
            field.name,
            _build(hints[field.name]),
            field.default is missing and field.default_factory is missing,
            type(None) in typing.get_args(hints[field.name]),
        )
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
    )


@functools.cache
def _build(hint: Hashable) -> Build | None:
    """None for what plain data holds as it is: most fields of a record, and a call for each would
    be most of what reading one takes.
    """
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        wanted = [part for part in typing.get_args(hint) if part is not type(None)]
        return _build(wanted[0])
    if origin is tuple:
        item = _build(typing.get_args(hint)[0])
        return tuple if item is None else functools.partial(_tuple, item)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        item = _build(typing.get_args(hint)[1])
        return dict if item is None else functools.partial(_mapping, item)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return functools.partial(from_plain, hint)
    return hint if hint is int or hint is float else None


def _tuple(item: Build, value: Iterable[Any]) -> tuple[Any, ...]:
    return tuple([None if part is None else item(part) for part in value])


def _mapping(item: Build, value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: None if part is None else item(part) for key, part in value.items()}
