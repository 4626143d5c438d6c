"""Applies the translated resource template to the local cloud.

Walks CloudFormation resources in dependency order and creates each through boto3. A section, type,
property or function that is not known here stops everything before the first resource is made: a
resource that is silently different on a laptop is worse than one that is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.stack import access, alarms, flows, functions, messaging, people, storage, web
from slimreel.local.stack.errors import BadReference, NotCreated, StackError, Unsupported
from slimreel.local.stack.kinds import Gateway, Kind, Made, Order, Site, arn
from slimreel.local.stack.order import creation_order
from slimreel.local.stack.parameters import parameter_values
from slimreel.local.stack.shapes import unknown_properties
from slimreel.local.stack.values import NO_VALUE, Resolver

__all__ = ["Gateway", "Stack", "StackError", "apply", "pseudo_parameters"]

#: Told of each resource twice: before it is made (None), and with what was made.
Watch = Callable[[str, str, Made | None], None]

KINDS: Mapping[str, Kind] = {
    **storage.KINDS,
    **messaging.KINDS,
    **functions.KINDS,
    **access.KINDS,
    **alarms.KINDS,
    **flows.KINDS,
    **people.KINDS,
    **web.KINDS,
}
_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Description",
    "Conditions",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
}
# The deletion policies need nothing here: this applier deletes nothing.
_MEMBERS = {
    "Condition",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdateReplacePolicy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What was created.

    Attributes:
        resources: physical id (what `Ref` gives) by logical id.
        outputs: the template's outputs by name.
    """

    resources: Mapping[str, str]
    outputs: Mapping[str, str]


def apply(
    template: Mapping[str, Any],
    *,
    parameters: Mapping[str, str],
    client: Callable[[str], Any],
    gateway: Gateway | None = None,
    stack_name: str = "slimreel-local",
    watch: Watch = lambda *_: None,
    untouched: Mapping[str, Made] | None = None,
) -> Stack:
    """Create every resource of `template`, or bring what exists up to date.

    Args:
        template: CloudFormation without transforms, as `slimreel.template.cloudformation` gives.
        parameters: values for the template's parameters; the rest take their defaults.
        client: a boto3 client of the local cloud for a service name.
        gateway: serves the REST API; a template that has one is refused without it.
        stack_name: what the names of unnamed resources begin with.
        untouched: resources that are there and as they should be, by logical id; left alone.
        watch: called with logical id, type and None before each resource is made, then with it.

    Raises:
        StackError: nothing was created when it is `Unsupported`, `BadReference` or `Circular`
            about the template itself; `NotCreated` stops in the middle, and applying again goes on.
    """
    _check(template)
    return _Application(
        template,
        values=parameter_values(template.get("Parameters", {}), parameters),
        site=Site(client=client, gateway=gateway, stack_name=stack_name),
        watch=watch,
        untouched=untouched or {},
    ).run()


def _check(template: Mapping[str, Any]) -> None:
    _refuse_others("The template", "section", set(template) - _SECTIONS)
    for logical_id, resource in template["Resources"].items():
        _refuse_others(logical_id, "member", set(resource) - _MEMBERS)
        if resource.get("Type") not in KINDS:
            raise Unsupported(f"{logical_id} has the type {resource.get('Type')}, unknown here.")
        _check_properties(logical_id, resource["Type"], resource.get("Properties", {}))


def _refuse_others(owner: str, what: str, unknown: set[str]) -> None:
    if unknown:
        raise Unsupported(f"{owner} has the {what} {', '.join(sorted(unknown))}, unknown here.")


def _check_properties(logical_id: str, kind: str, properties: Any) -> None:
    unknown = [*unknown_properties(KINDS[kind].shape, properties)]
    if unknown:
        raise Unsupported(
            f"{logical_id} ({kind}) has the property {', '.join(unknown)}, unknown here."
        )
    missing = [name for name in KINDS[kind].required if name not in properties]
    if missing:
        raise BadReference(f"{logical_id} ({kind}) lacks the property {', '.join(missing)}.")


class _Application:
    """One run over one template."""

    def __init__(
        self,
        template: Mapping[str, Any],
        *,
        values: Mapping[str, Any],
        site: Site,
        watch: Watch,
        untouched: Mapping[str, Made],
    ) -> None:
        self._template = template
        self._watch, self._untouched = watch, untouched
        self._site = site
        self._made: dict[str, Made] = {}
        self._values = {**pseudo_parameters(site.stack_name), **values}
        self._resolver = Resolver(
            ref=self._ref,
            attribute=self._attribute,
            conditions=template.get("Conditions", {}),
            mappings=template.get("Mappings", {}),
        )

    def run(self) -> Stack:
        wanted = {
            logical_id: resource
            for logical_id, resource in self._template["Resources"].items()
            if self._is_wanted(resource)
        }
        elsewhere = {*self._values, *self._template["Resources"]}
        for logical_id in creation_order(wanted, elsewhere=elsewhere):
            if logical_id in self._untouched:
                self._made[logical_id] = self._untouched[logical_id]
                continue
            kind = wanted[logical_id]["Type"]
            self._watch(logical_id, kind, None)
            self._made[logical_id] = self._create(logical_id, wanted[logical_id])
            self._watch(logical_id, kind, self._made[logical_id])
        return Stack(
            resources={logical_id: made.ref for logical_id, made in self._made.items()},
            outputs={
                name: str(self._resolver.value(output["Value"]))
                for name, output in self._template.get("Outputs", {}).items()
                if self._is_wanted(output)
            },
        )

    def _is_wanted(self, item: Mapping[str, Any]) -> bool:
        return "Condition" not in item or self._resolver.condition(item["Condition"])

    def _create(self, logical_id: str, resource: Mapping[str, Any]) -> Made:
        kind = resource["Type"]
        properties = self._resolver.value(resource.get("Properties", {}))
        _check_properties(logical_id, kind, properties)
        order = Order(logical_id=logical_id, properties=properties, site=self._site)
        try:
            return KINDS[kind].create(order)
        except (ClientError, BotoCoreError) as error:
            raise NotCreated(f"{logical_id} ({kind}) was not created: {error}") from error

    def _ref(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        return self._resource(name).ref

    def _attribute(self, logical_id: str, name: str) -> str:
        attributes = self._resource(logical_id).attributes
        if name not in attributes:
            kind = self._template["Resources"][logical_id]["Type"]
            raise Unsupported(f"{logical_id} ({kind}) has the attribute {name}, unknown here.")
        return attributes[name]

    def _resource(self, logical_id: str) -> Made:
        if logical_id not in self._made:
            raise BadReference(f"{logical_id} is neither a parameter nor a created resource.")
        return self._made[logical_id]


def pseudo_parameters(stack_name: str) -> dict[str, Any]:
    """What `Ref` gives for the names that every template has."""
    return {
        "AWS::AccountId": ACCOUNT_ID,
        "AWS::NoValue": NO_VALUE,
        "AWS::Partition": "aws",
        "AWS::Region": REGION,
        "AWS::StackId": arn("cloudformation", f"stack/{stack_name}/local"),
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": "amazonaws.com",
    }
