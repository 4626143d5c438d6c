"""Which calls to AWS each function makes: calls.json, written by `make reliability` from every cell
of the fault matrix, undisturbed stories and those in which something goes wrong alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from chalicelib.adapters.catalogue import index_of
from tests.fakes import COMPRESSED, SUBMITTED, TEMP

RECORD = Path(__file__).with_name("calls.json")
#: Adapters of AWS; the others' services know nothing of IAM.
ADAPTERS = ("records", "catalogue", "storage", "encoder", "flows", "queues", "topic", "secrets")
#: Everything that is asked for over HTTP is one function.
API = "api_handler"


class MadeCall(NamedTuple):
    """One kind of call that a function makes.

    Attributes:
        function: as app.py calls it.
        call: adapter and method.
        about: which bucket or buckets, which secret, which index; "" where the method decides it.
    """

    function: str
    call: str
    about: str


def made_call(
    function: str, call: str, args: tuple[Any, ...], options: Mapping[str, Any]
) -> MadeCall:
    adapter, _, method = call.partition(".")
    about = ""
    if adapter == "storage":
        about = "+".join(_buckets(args))
    elif adapter == "secrets":
        about = str(args[0])
    elif method == "list_jobs":
        about = index_of(args[0])
    return MadeCall(function, call, about)


def _buckets(args: Iterable[Any]) -> Iterator[str]:
    for arg in args:
        if isinstance(arg, tuple):
            yield from _buckets(arg)
        elif arg in (TEMP, COMPRESSED, SUBMITTED):
            yield arg


def told(made: Iterable[MadeCall], functions: Iterable[str]) -> str:
    """The record's text.

    Args:
        functions: those of app.py; what is none of them is a request to the API.
    """
    known = set(functions)
    by_function: dict[str, dict[str, set[str]]] = {}
    for one in made:
        if one.call.partition(".")[0] in ADAPTERS:
            function = one.function if one.function in known else API
            by_function.setdefault(function, {}).setdefault(one.call, set()).add(one.about)
    plain = {
        function: {call: sorted(about) for call, about in sorted(calls.items())}
        for function, calls in sorted(by_function.items())
    }
    return json.dumps(plain, indent=1) + "\n"


def read() -> list[MadeCall]:
    """The committed record."""
    return [
        MadeCall(function, call, about)
        for function, calls in json.loads(RECORD.read_text(encoding="utf-8")).items()
        for call, abouts in calls.items()
        for about in abouts
    ]
