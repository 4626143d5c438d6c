"""Every dataclass of the domain survives storage, whatever is in it."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain.codec import from_plain, to_plain
from chalicelib.domain.job import Job

#: What a stored value may be made of.
SCALARS = (str, int, float, bool)


#: Modules whose dataclasses are stored, or read from data files.
MODULES = (
    "callback",
    "job",
    "material",
    "measurement",
    "mp4.beside",
    "media",
    "money",
    "notice",
    "pace",
    "plan",
    "samples",
    "preset",
    "review",
    "colour",
    "score",
    "sync",
    "search",
    "verdict",
    "workflow",
    "write_back",
)


def stored_classes() -> list[type[Any]]:
    modules = [importlib.import_module(f"chalicelib.domain.{name}") for name in MODULES]
    return [
        member
        for module in modules
        for _, member in inspect.getmembers(module, dataclasses.is_dataclass)
        if member.__module__ == module.__name__
    ]


def is_known(hint: Any) -> bool:
    """Whether values of this type are plain data, or dataclasses of it, all the way down."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        rest = [part for part in parts if part is not type(None)]
        return len(rest) == 1 and is_known(rest[0])
    if origin is tuple:
        return len(parts) == 2 and parts[1] is Ellipsis and is_known(parts[0])
    if origin is Mapping:
        return parts[0] is str and is_known(parts[1])
    if origin is typing.Literal:
        return all(isinstance(part, str) for part in parts)
    if dataclasses.is_dataclass(hint):
        return all(map(is_known, typing.get_type_hints(hint).values()))
    return hint in SCALARS or (isinstance(hint, type) and issubclass(hint, Enum))


# NaN is unequal to itself, so it could not be told whether it came back.
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False, width=32))
st.register_type_strategy(int, st.integers(-(10**15), 10**15))
st.register_type_strategy(str, st.text(max_size=8))


@pytest.mark.parametrize("cls", stored_classes(), ids=lambda cls: cls.__name__)
def test_it_is_made_of_nothing_the_codec_does_not_know(cls: type[Any]) -> None:
    assert is_known(cls)


def test_a_job_is_made_of_classes_that_are_looked_at_here() -> None:
    assert dataclasses_in(Job) - {Job} < set(stored_classes())


def dataclasses_in(hint: Any) -> set[Any]:
    if dataclasses.is_dataclass(hint):
        inner = [dataclasses_in(part) for part in typing.get_type_hints(hint).values()]
        return {hint}.union(*inner)
    return set().union(*map(dataclasses_in, typing.get_args(hint)))


#: So many fields that need not be set are set together.
AT_ONCE = 8


@cache
def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """As `st.from_type`, with at most two of everything: a whole job is a hundred fields deep in
    lists of lists, which Hypothesis needs minutes for.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values_of, parts))
    if origin is tuple:
        return st.lists(values_of(parts[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(st.text(max_size=8), values_of(parts[1]), max_size=2)
    if dataclasses.is_dataclass(hint):
        return objects_of(hint)
    return st.from_type(hint)


def objects_of(cls: Any) -> st.SearchStrategy[Any]:
    """Of what has a default, each example sets a few fields, and all of them have their turn."""
    hints = typing.get_type_hints(cls)
    made = [field for field in dataclasses.fields(cls) if field.init]
    needed = [field.name for field in made if not has_default(field)]
    others = [field.name for field in made if has_default(field)]
    turns = -(-len(others) // AT_ONCE) or 1
    chosen = [needed + others[turn::turns] for turn in range(turns)]
    return st.sampled_from(chosen).flatmap(
        lambda names: st.builds(cls, **{name: values_of(hints[name]) for name in names})
    )


def has_default(field: dataclasses.Field[Any]) -> bool:
    nothing = dataclasses.MISSING
    return field.default is not nothing or field.default_factory is not nothing


@pytest.mark.parametrize("cls", stored_classes(), ids=lambda cls: cls.__name__)
def test_a_round_trip_changes_nothing(cls: type[Any]) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values_of(cls))
    def round_trip(value: Any) -> None:
        plain = to_plain(value)
        assert from_plain(cls, json.loads(json.dumps(plain))) == value
        assert from_plain(cls, {**plain, "a key of tomorrow": [1]}) == value

    round_trip()


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(values_of(Job))
def test_a_job_survives_a_store_without_floats(job: Job) -> None:
    # DynamoDB gives 25.0 back as 25.
    stored = json.loads(json.dumps(to_plain(job)), parse_float=whole_if_it_can)
    assert from_plain(Job, stored) == job


def whole_if_it_can(text: str) -> int | float:
    return int(float(text)) if float(text).is_integer() else float(text)
