"""What CloudFormation does when a change set is executed or a stack deleted, told by events.

Making and changing is the applier's (`slimreel.local.stack`), which brings every resource of a
template to what it should be; this file adds what a deployment has beyond that: an order of
events, the way back after a failure, and taking away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from slimreel.local.cloudformation.record import (
    ChangeSet,
    Record,
    Records,
    Resource,
    add_event,
    living,
    now,
)
from slimreel.local.stack import Stack, StackError, apply
from slimreel.local.stack.kinds import Gateway, Made
from slimreel.local.stack.order import creation_order
from slimreel.local.stack.removal import remove

_STACK = "AWS::CloudFormation::Stack"
#: Deletion policies that keep a resource; the second one does not where its making is rolled back.
#: Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
RETAINED = ("Retain", "RetainExceptOnCreate")


class Work:
    """Carries out one operation at a time on a stack. Every step is on disk before the next."""

    def __init__(
        self, records: Records, *, client: Callable[[str], Any], gateway: Gateway | None
    ) -> None:
        self._records, self._client, self._gateway = records, client, gateway

    def create(self, record: Record, change_set: ChangeSet) -> None:
        self._stack(record, "CREATE_IN_PROGRESS", "User Initiated")
        try:
            stack = self._applied(record, change_set, {*change_set.template["Resources"]})
        except StackError as failure:
            self._roll_back_creation(record, failure)
            return
        self._settle(record, change_set, stack)
        self._stack(record, "CREATE_COMPLETE")

    def update(self, record: Record, change_set: ChangeSet) -> None:
        before = {one.logical_id: one.physical_id for one in living(record)}
        self._stack(record, "UPDATE_IN_PROGRESS", "User Initiated")
        touched = {change["ResourceChange"]["LogicalResourceId"] for change in change_set.changes}
        try:
            stack = self._applied(record, change_set, touched)
        except StackError as failure:
            self._roll_back_update(record, before, touched, failure)
            return
        self._stack(record, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        old = record.template
        self._take_away_old(record, before, stack, change_set.template)
        for name in _deletion_order(old, [one for one in before if one not in stack.resources]):
            self._delete(record, record.resources[name])
        self._settle(record, change_set, stack)
        self._stack(record, "UPDATE_COMPLETE")

    def delete(self, record: Record, retain: Sequence[str]) -> None:
        self._stack(record, "DELETE_IN_PROGRESS", "User Initiated")
        failed = []
        for name in _deletion_order(record.template, [one.logical_id for one in living(record)]):
            resource = record.resources[name]
            if name in retain:
                resource.deletion_policy = "Retain"
            if not self._delete(record, resource):
                failed.append(name)
        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            self._stack(record, "DELETE_FAILED", reason)
            return
        record.deleted_at = now()
        self._stack(record, "DELETE_COMPLETE")

    def adopt(
        self, record: Record, template: Mapping[str, Any], parameters: Mapping[str, str]
    ) -> Stack:
        """Apply without a change set, and note what came of it.

        Raises:
            StackError: nothing is noted then.
        """
        made: dict[str, Made] = {}
        stack = apply(
            template,
            parameters=parameters,
            client=self._client,
            gateway=self._gateway,
            stack_name=record.name,
            watch=lambda name, _, one: made.update({name: one} if one else {}),
        )
        record.template = record.sam = dict(template)
        record.parameters = {
            name: str(parameters.get(name, about.get("Default", "")))
            for name, about in template.get("Parameters", {}).items()
        }
        record.resources = {
            name: Resource(
                logical_id=name,
                type=template["Resources"][name]["Type"],
                status="CREATE_COMPLETE",
                physical_id=physical_id,
                attributes=dict(made[name].attributes),
                deletion_policy=template["Resources"][name].get("DeletionPolicy", "Delete"),
                at=now(),
            )
            for name, physical_id in stack.resources.items()
        }
        record.outputs, record.updated_at = dict(stack.outputs), now()
        record.status, record.pending, record.change_sets = "UPDATE_COMPLETE", "", {}
        self._records.save(record)
        return stack

    def bring_back(self, record: Record) -> None:
        """Make a stack's resources anew that were only in the memory of a process now gone."""

        def watch(name: str, _: str, made: Made | None) -> None:
            if made is not None:
                resource = record.resources[name]
                resource.physical_id, resource.attributes = made.ref, dict(made.attributes)

        apply(
            record.template,
            parameters=record.parameters,
            client=self._client,
            gateway=self._gateway,
            stack_name=record.name,
            watch=watch,
        )
        self._records.save(record)

    def _applied(self, record: Record, change_set: ChangeSet, touched: set[str]) -> Stack:
        """The template applied, to the resources in `touched` alone.

        Raises:
            StackError: with the resource marked as failed.
        """
        begun: list[str] = []
        resources = change_set.template["Resources"]

        def watch(name: str, kind: str, made: Made | None) -> None:
            begun.append(name)
            is_new = name not in record.resources or record.resources[name].status in (
                "DELETE_COMPLETE",
                "CREATE_IN_PROGRESS",
            )
            verb = "CREATE" if is_new else "UPDATE"
            resource = record.resources.get(name)
            if resource is None or resource.status == "DELETE_COMPLETE":
                resource = Resource(logical_id=name, type=kind, status="CREATE_IN_PROGRESS")
                record.resources[name] = resource
            resource.deletion_policy = resources[name].get("DeletionPolicy", "Delete")
            if made is not None:
                resource.physical_id, resource.attributes = made.ref, dict(made.attributes)
            phase = "IN_PROGRESS" if made is None else "COMPLETE"
            self._mark(record, resource, f"{verb}_{phase}")

        try:
            return apply(
                change_set.template,
                parameters=change_set.parameters,
                client=self._client,
                gateway=self._gateway,
                stack_name=record.name,
                watch=watch,
                untouched=_untouched(record, touched),
            )
        except StackError as failure:
            if begun:  # it is about the last one, or was found out before the first
                resource = record.resources[begun[-1]]
                verb = "CREATE" if resource.status.startswith("CREATE_IN") else "UPDATE"
                self._mark(record, resource, f"{verb}_FAILED", str(failure))
            raise

    def _roll_back_creation(self, record: Record, failure: StackError) -> None:
        failed = [one.logical_id for one in living(record) if one.status == "CREATE_FAILED"]
        reason = f"The following resource(s) failed to create: [{', '.join(failed)}]. "
        reason = reason if failed else str(failure)
        self._stack(record, "ROLLBACK_IN_PROGRESS", f"{reason}Rollback requested by user.")
        change_set = record.change_sets[record.pending]
        left = []
        for name in _deletion_order(change_set.template, [r.logical_id for r in living(record)]):
            if not self._delete(record, record.resources[name], undone=True):
                left.append(name)
        record.template, record.parameters = change_set.template, change_set.parameters
        self._stack(record, "ROLLBACK_FAILED" if left else "ROLLBACK_COMPLETE")

    def _roll_back_update(
        self, record: Record, before: Mapping[str, str], touched: set[str], failure: StackError
    ) -> None:
        failed = [one.logical_id for one in living(record) if one.status.endswith("FAILED")]
        reason = f"The following resource(s) failed to update: [{', '.join(failed)}]. "
        self._stack(record, "UPDATE_ROLLBACK_IN_PROGRESS", reason if failed else str(failure))
        self._back(record, before, touched & {*before})

    def roll_back_again(self, record: Record) -> None:
        """Undo an update once more: everything that was there before it, as it was."""
        before = [one.logical_id for one in living(record)]
        before = [name for name in before if name in record.template["Resources"]]
        self._stack(record, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
        self._back(record, before, {*before})

    def _back(self, record: Record, before: Collection[str], touched: set[str]) -> None:
        old = ChangeSet(
            name="",
            id="",
            type="UPDATE",
            status="",
            execution="",
            created_at="",
            template=record.template,
            parameters=record.parameters,
        )
        try:
            self._applied(record, old, touched)
        except StackError as again:
            self._stack(record, "UPDATE_ROLLBACK_FAILED", str(again))
            return
        self._stack(record, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        for resource in [one for one in living(record) if one.logical_id not in before]:
            self._delete(record, resource, undone=True)
        self._stack(record, "UPDATE_ROLLBACK_COMPLETE")

    def _take_away_old(
        self,
        record: Record,
        before: Mapping[str, str],
        stack: Stack,
        template: Mapping[str, Any],
    ) -> None:
        """What was replaced: it has another physical id now."""
        for name, physical_id in before.items():
            if name in stack.resources and stack.resources[name] != physical_id:
                about = template["Resources"][name]
                if about.get("UpdateReplacePolicy") == "Retain":
                    continue
                old = Resource(
                    logical_id=name, type=about["Type"], status="", physical_id=physical_id
                )
                self._delete(record, old)

    def _delete(self, record: Record, resource: Resource, *, undone: bool = False) -> bool:
        """
        Args:
            undone: what made it is rolled back.
        """
        kept = resource.deletion_policy in (("Retain",) if undone else RETAINED)
        if kept or not resource.physical_id:
            self._mark(record, resource, "DELETE_SKIPPED" if kept else "DELETE_COMPLETE")
            return True
        self._mark(record, resource, "DELETE_IN_PROGRESS")
        try:
            remove(resource.type, resource.physical_id, client=self._client, gateway=self._gateway)
        except StackError as problem:
            self._mark(record, resource, "DELETE_FAILED", str(problem))
            return False
        self._mark(record, resource, "DELETE_COMPLETE")
        return True

    def _settle(self, record: Record, change_set: ChangeSet, stack: Stack) -> None:
        """The change set's template is the stack's from now on."""
        record.sam, record.template = change_set.sam, change_set.template
        record.parameters, record.tags = change_set.parameters, change_set.tags
        record.capabilities = change_set.capabilities
        record.outputs = dict(stack.outputs)
        record.updated_at = now()

    def _mark(self, record: Record, resource: Resource, status: str, reason: str = "") -> None:
        resource.status, resource.reason, resource.at = status, reason, now()
        add_event(
            record,
            logical_id=resource.logical_id,
            physical_id=resource.physical_id,
            kind=resource.type,
            status=status,
            reason=reason,
        )
        self._records.save(record)

    def _stack(self, record: Record, status: str, reason: str = "") -> None:
        record.status, record.reason = status, reason
        if not record.is_busy:
            record.pending = ""
        add_event(
            record,
            logical_id=record.name,
            physical_id=record.id,
            kind=_STACK,
            status=status,
            reason=reason,
        )
        self._records.save(record)


def _untouched(record: Record, touched: set[str]) -> dict[str, Made]:
    """What stays as it is. The parts of an API are one document, published together."""
    whole = "AWS::ApiGateway::"
    api = any(
        one.type.startswith(whole) for name, one in record.resources.items() if name in touched
    )
    return {
        one.logical_id: Made(ref=one.physical_id, attributes=one.attributes)
        for one in living(record)
        if one.logical_id not in touched
        and one.status.endswith("_COMPLETE")
        and not (api and one.type.startswith(whole))
    }


def _deletion_order(template: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Those who need others first."""
    resources = template.get("Resources", {})
    order = creation_order(resources, elsewhere={*template.get("Parameters", {})})
    return [name for name in reversed(order) if name in names]
