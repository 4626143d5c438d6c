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
from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Plain data for a dataclass, tuple, enum, mapping or scalar; None fields are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: to_plain(item) for name, item in pairs if item is not None}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(cls: type[T], data: Mapping[str, Any]) -> T:
    """Rebuild a `cls` dataclass.

    Raises:
        KeyError: a field that has no default and cannot be None is missing.
    """
    values: dict[str, Any] = {}
    for name, build, is_needed, may_be_none in _fields(cls):  # type: ignore[arg-type]
        if name in data:
            values[name] = build(data[name])
        elif is_needed:
            if not may_be_none:
                raise KeyError(f"{cls.__name__} needs {name!r}")
            values[name] = None
    return cls(**values)


#: Rebuilds one value from plain data.
Build = Callable[[Any], Any]


@functools.cache
def _fields(cls: Hashable) -> tuple[tuple[str, Build, bool, bool], ...]:
    """Of each field: its name, how its value is rebuilt, whether it lacks a default, and whether it
    may be None. Looked up once: a record has some fifty fields, and every step reads one or two.
    """
    hints = typing.get_type_hints(cls)
    missing = dataclasses.MISSING
    return tuple(
        (
            field.name,
            _or_none(_build(hints[field.name])),
            field.default is missing and field.default_factory is missing,
            type(None) in typing.get_args(hints[field.name]),
        )
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
    )


def _or_none(build: Build) -> Build:
    return lambda value: None if value is None else build(value)


@functools.cache
def _build(hint: Hashable) -> Build:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        wanted = [part for part in typing.get_args(hint) if part is not type(None)]
        return _or_none(_build(wanted[0]))
    if origin is tuple:
        item = _or_none(_build(typing.get_args(hint)[0]))
        return lambda value: tuple(item(part) for part in value)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        item = _or_none(_build(typing.get_args(hint)[1]))
        return lambda value: {key: item(part) for key, part in value.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return functools.partial(from_plain, hint)
    if hint is int or hint is float:
        return hint
    return lambda value: value
