"""EventBridge rules as moto keeps them, and what a target gets of an event."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from moto.events.utils import EventTemplateParser

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.awslambda.functions import Function
from slimreel.local.moto_app import Moto

Envelope = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An enabled rule of the default bus. `targets` are PutTargets entries."""

    name: str
    arn: str
    schedule: str | None
    targets: tuple[dict[str, Any], ...]


class Rules:
    """Reads the rules afresh each time: they are few, and moto's own objects lie in memory."""

    def __init__(self, moto: Moto) -> None:
        self._moto = moto

    def matching(self, event: Envelope) -> list[Rule]:
        """The rules whose event pattern matches."""
        with self._moto.locks["events"]:
            return [
                _snapshot(rule)
                for rule in self._enabled()
                if rule.event_pattern.dump() and rule.event_pattern.matches_event(event)
            ]

    def scheduled(self) -> list[Rule]:
        with self._moto.locks["events"]:
            return [_snapshot(rule) for rule in self._enabled() if rule.scheduled_expression]

    def named(self, name: str) -> Rule:
        """
        Raises:
            KeyError: there is no such rule.
        """
        with self._moto.locks["events"]:
            return _snapshot(self._bus().rules[name])

    def _enabled(self) -> list[Any]:
        return [rule for rule in self._bus().rules.values() if rule.state != "DISABLED"]

    def _bus(self) -> Any:
        return self._moto.backend("events", ACCOUNT_ID, REGION).event_buses["default"]


def _snapshot(rule: Any) -> Rule:
    return Rule(
        name=rule.name,
        arn=rule.arn,
        schedule=rule.scheduled_expression,
        targets=tuple(copy.deepcopy(rule.targets)),
    )


def input_for(target: dict[str, Any], event: Envelope) -> Any:
    """What a target receives: the event, a constant, a part of it, or a text made from it."""
    if target.get("Input"):
        return json.loads(target["Input"])
    if target.get("InputPath"):
        return _at(event, target["InputPath"])
    transformer = target.get("InputTransformer")
    if transformer:
        return EventTemplateParser.parse(
            input_template=transformer["InputTemplate"],
            input_paths_map=transformer.get("InputPathsMap", {}),
            event={"ingestion-time": event["time"], **event},
        )
    return event


def _at(event: Envelope, path: str) -> Any:
    """`$.detail.name` and the like."""
    found: Any = event
    for key in path.removeprefix("$").strip(".").split("."):
        if key:
            found = found.get(key) if isinstance(found, dict) else None
    return found


def may_invoke(function: Function, rule_arn: str) -> bool:
    """Whether the function's resource policy lets EventBridge invoke it for this rule."""
    for statement in function.policy.values():
        principal = statement["Principal"].get("Service")
        if principal != "events.amazonaws.com":
            continue
        if not fnmatchcase("lambda:InvokeFunction", statement["Action"]):
            continue
        source = statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", "*")
        if fnmatchcase(rule_arn, source):
            return True
    return False
