"""What a change set says: how a template with its parameters differs from what is there.

Both sides are resolved as far as they can be without making anything; what only a made resource
can tell is written `<name>` or `<name.attribute>`, and so is the same on both sides until the
resource it tells of is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slimreel.local.cloudformation.replacement import recreation
from slimreel.local.stack import pseudo_parameters
from slimreel.local.stack.parameters import parameter_values
from slimreel.local.stack.values import NO_VALUE, Resolver, references

#: Beside the properties, what CloudFormation compares of a resource.
_ATTRIBUTES = ("DeletionPolicy", "UpdateReplacePolicy", "Metadata")


@dataclass(frozen=True, slots=True)
class Resolved:
    """One template with its parameters, as far as it is known beforehand.

    Attributes:
        resources: those whose condition holds: `{Type, Properties, DeletionPolicy …}`.
        expressions: their properties before resolution, to tell where a change comes from.
    """

    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    expressions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)


def resolved(
    template: Mapping[str, Any], parameters: Mapping[str, str], stack_name: str
) -> Resolved:
    """
    Raises:
        StackError: a parameter's value is not allowed, or the template names what is not there.
    """
    values = {
        **pseudo_parameters(stack_name),
        **parameter_values(template.get("Parameters", {}), parameters),
    }
    resolver = Resolver(
        ref=lambda name: values.get(name, f"<{name}>"),
        attribute=lambda name, attribute: f"<{name}.{attribute}>",
        conditions=template.get("Conditions", {}),
        mappings=template.get("Mappings", {}),
    )

    def wanted(item: Mapping[str, Any]) -> bool:
        return "Condition" not in item or bool(resolver.condition(item["Condition"]))

    kept = {name: one for name, one in template.get("Resources", {}).items() if wanted(one)}
    return Resolved(
        resources={
            name: {
                **{key: one[key] for key in ("Type", *_ATTRIBUTES) if key in one},
                "Properties": resolver.value(one.get("Properties", {})),
            }
            for name, one in kept.items()
        },
        expressions={name: one.get("Properties", {}) for name, one in kept.items()},
        outputs={
            name: resolver.value(one["Value"])
            for name, one in template.get("Outputs", {}).items()
            if wanted(one) and resolver.value(one["Value"]) is not NO_VALUE
        },
    )


def differences(
    old: Resolved, new: Resolved, physical_ids: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The changes as DescribeChangeSet lists them: removed, changed and added resources."""
    replaced: set[str] = set()
    while True:  # what refers to a replaced resource changes, too, and may be replaced in turn
        known = len(replaced)
        found = _modified(old, new, replaced)
        if len(replaced) == known:
            break
    changes = []
    for name in sorted({*old.resources, *new.resources}):
        if name not in new.resources:
            policy = old.resources[name].get("DeletionPolicy", "Delete")
            kept = policy in ("Retain", "RetainExceptOnCreate")
            retained = {"PolicyAction": "Retain" if kept else "Delete"}
            changes.append(_change("Remove", name, old, physical_ids, **retained))
        elif name not in old.resources:
            changes.append(_change("Add", name, new, {}))
        elif name in found:
            changes.append(_change("Modify", name, new, physical_ids, **found[name]))
    return changes


def _change(
    action: str, name: str, side: Resolved, physical_ids: Mapping[str, str], **more: Any
) -> dict[str, Any]:
    about: dict[str, Any] = {
        "Action": action,
        "LogicalResourceId": name,
        "ResourceType": side.resources[name]["Type"],
        "Scope": [],
        "Details": [],
        **more,
    }
    if physical_ids.get(name):
        about["PhysicalResourceId"] = physical_ids[name]
    return {"Type": "Resource", "ResourceChange": about}


def _modified(old: Resolved, new: Resolved, replaced: set[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for name in {*old.resources} & {*new.resources}:
        details = [*_details(name, old, new, replaced)]
        if not details:
            continue
        needs = {detail["Target"]["RequiresRecreation"] for detail in details}
        kind = old.resources[name]["Type"] != new.resources[name]["Type"]
        always = kind or "Always" in needs
        if always:
            replaced.add(name)
        found[name] = {
            "Scope": sorted({detail["Target"]["Attribute"] for detail in details}),
            "Details": details,
            "Replacement": (
                "True" if always else "Conditional" if "Conditionally" in needs else "False"
            ),
        }
        policy = new.resources[name].get("UpdateReplacePolicy", "Delete")
        if always:
            found[name]["PolicyAction"] = (
                "ReplaceAndRetain" if policy == "Retain" else "ReplaceAndDelete"
            )
    return found


def _details(name: str, old: Resolved, new: Resolved, replaced: set[str]) -> list[dict[str, Any]]:
    before, after = old.resources[name], new.resources[name]
    kind, details = after["Type"], []
    properties = {*before["Properties"], *after["Properties"]}
    for one in sorted(properties):
        was, will = before["Properties"].get(one), after["Properties"].get(one)
        expression = new.expressions[name].get(one)
        used = {*references(expression)}
        if was != will:
            same = old.expressions[name].get(one) == expression
            source = "ParameterReference" if same and used else "DirectModification"
            details.append(_detail(one, recreation(kind, one, was, will), "Static", source))
        elif used & replaced:
            needs = recreation(kind, one, was, _touched(will))
            details.append(_detail(one, needs, "Dynamic", "ResourceReference"))
    for one in _ATTRIBUTES:
        if before.get(one) != after.get(one):
            detail = _detail(one, "Never", "Static", "DirectModification")
            target = {"Attribute": one, "RequiresRecreation": "Never"}
            details.append({**detail, "Target": target})
    return details


def _touched(value: Any) -> Any:
    """The value with every text in it different: what it will be is not known yet."""
    if isinstance(value, dict):
        return {key: _touched(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_touched(one) for one in value]
    return f"{value}?"


def _detail(name: str, needs: str, evaluation: str, source: str) -> dict[str, Any]:
    return {
        "Target": {"Attribute": "Properties", "Name": name, "RequiresRecreation": needs},
        "Evaluation": evaluation,
        "ChangeSource": source,
    }
