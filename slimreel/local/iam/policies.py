"""Policies, and whether they allow a call.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any


class UnknownPolicy(Exception):
    """A policy says something that is not understood here; it must not be taken for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a caller must be allowed for one call, or for a part of it.

    Attributes:
        action: "s3:GetObject".
        resource: an ARN; "*" for an action of which IAM knows no resource.
        context: condition keys of the call, as far as it has them.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One action on one resource that a policy allows, or denies.

    Attributes:
        action, resource: as written, with their wildcards.
        conditions: operator, key and values, of which one must match; all conditions must hold.
    """

    allows: bool
    action: str
    resource: str
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def covers(self, need: Need) -> bool:
        # Actions are not case-sensitive, resources are.
        return (
            _like(self.action.lower(), need.action.lower())
            and _like(self.resource, need.resource)
            and all(_holds(*condition, need.context) for condition in self.conditions)
        )


def grants(document: Mapping[str, Any]) -> list[Grant]:
    """Every action and resource of a policy document, each for itself.

    Raises:
        UnknownPolicy: it uses more of the language than is understood here.
    """
    return [grant for statement in _listed(document["Statement"]) for grant in _of(statement)]


def allowing(known: Iterable[Grant], need: Need) -> Grant | None:
    """The first grant that allows it; None where none does, or another one denies it."""
    covering = [grant for grant in known if grant.covers(need)]
    if any(not grant.allows for grant in covering):
        return None
    return next(iter(covering), None)


_MEMBERS = {"Sid", "Effect", "Action", "Resource", "Condition"}


def _of(statement: Mapping[str, Any]) -> Iterable[Grant]:
    unknown = set(statement) - _MEMBERS
    if unknown:
        raise UnknownPolicy(f"The statement {statement} has {', '.join(sorted(unknown))}.")
    conditions = tuple(
        (operator, key, tuple(_listed(values)))
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )
    for operator, _, _ in conditions:
        if operator not in _OPERATORS:
            raise UnknownPolicy(f"The condition {operator} is unknown here.")
    for action in _listed(statement["Action"]):
        for resource in _listed(statement["Resource"]):
            yield Grant(
                allows=statement["Effect"] == "Allow",
                action=action,
                resource=resource,
                conditions=conditions,
            )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _holds(operator: str, key: str, wanted: tuple[str, ...], context: Mapping[str, str]) -> bool:
    """A key that the call does not have matches nothing."""
    return key in context and any(_OPERATORS[operator](one, context[key]) for one in wanted)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    escaped = re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.DOTALL)


def _like(pattern: str, text: str) -> bool:
    return _pattern(pattern).fullmatch(text) is not None


_OPERATORS = {
    "StringEquals": lambda wanted, has: wanted == has,
    "StringLike": _like,
    "ArnEquals": _like,  # AWS treats the two alike
    "ArnLike": _like,
}
