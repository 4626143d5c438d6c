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
from collections.abc import Hashable, Mapping
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
    hints = _hints(cls)  # type: ignore[arg-type]  # a class is hashable
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.name in data:
            values[field.name] = _build(hints[field.name], data[field.name])
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            if type(None) not in typing.get_args(hints[field.name]):
                raise KeyError(f"{cls.__name__} needs {field.name!r}")
            values[field.name] = None
    return cls(**values)


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        wanted = [part for part in typing.get_args(hint) if part is not type(None)]
        return _build(wanted[0], value)
    if origin is tuple:
        item = typing.get_args(hint)[0]
        return tuple(_build(item, part) for part in value)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        item = typing.get_args(hint)[1]
        return {key: _build(item, part) for key, part in value.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, value)
    if hint is int or hint is float:
        return hint(value)
    return value
