"""CloudFormation: stacks and change sets in front of the template applier.

Speaks the real query API, held to botocore's model. A change set runs SAM's own transform, is
compared with what is there, and says what would be added, changed, replaced and removed by AWS's
registry of what can change in place. Executed, it goes on in the background and tells by events.
Not imitated: nested stacks, imports, drift, stack policies and sets, rollback triggers, hooks
(501). Replacing a bucket, table or queue is refused when it is executed, because names here are
fixed; and a property that a template no longer names keeps the value it had.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from werkzeug.wrappers import Request, Response

from slimreel.local.cloudformation import show, wire
from slimreel.local.cloudformation.changes import Resolved, differences, resolved
from slimreel.local.cloudformation.errors import (
    Refused,
    invalid,
    no_change_set,
    no_stack,
    unsupported,
)
from slimreel.local.cloudformation.record import (
    REVIEW,
    ChangeSet,
    Record,
    Records,
    add_event,
    living,
    now,
)
from slimreel.local.cloudformation.work import Work
from slimreel.local.faults import Faults
from slimreel.local.stack import Stack, StackError
from slimreel.local.stack.kinds import Gateway, arn
from slimreel.local.stack.parameters import parameter_values

log = logging.getLogger("slimreel.local.cloudformation")

Params = dict[str, Any]

#: Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
BODY_LIMIT_BYTES, URL_LIMIT_BYTES = 51_200, 1_000_000
TRANSFORM = "AWS::Serverless-2016-10-31"
NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)
_NAMES_ARE_FIXED = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::SQS::Queue")
_TEMPLATE_URL = re.compile(r"https?://([^/]+)/(.+)")
#: Members of CreateChangeSet that are carried out; any other is a 501.
_KNOWN = {
    "StackName",
    "ChangeSetName",
    "ChangeSetType",
    "TemplateBody",
    "TemplateURL",
    "UsePreviousTemplate",
    "Parameters",
    "Capabilities",
    "Tags",
    "Description",
    "ClientToken",
}


class CloudFormation:
    """One account's stacks in one Region.

    Args:
        folder: where the stacks' records lie.
        client: a boto3 client of the cloud for a service name.
        gateway: serves the REST APIs of stacks.
    """

    def __init__(
        self,
        folder: Path,
        *,
        client: Callable[[str], Any],
        gateway: Gateway | None,
        faults: Faults,
    ) -> None:
        self._records = Records(folder)
        self._client, self._faults = client, faults
        self._work = Work(self._records, client=client, gateway=gateway)
        self._threads: list[threading.Thread] = []
        self._operations: Mapping[str, Callable[[Params], Params]] = {
            "CreateChangeSet": self._create_change_set,
            "DescribeChangeSet": self._describe_change_set,
            "DeleteChangeSet": self._delete_change_set,
            "ListChangeSets": self._list_change_sets,
            "ExecuteChangeSet": self._execute_change_set,
            "DescribeStacks": self._describe_stacks,
            "DescribeStackEvents": self._describe_events,
            "DescribeStackResources": self._describe_resources,
            "ListStackResources": self._list_resources,
            "ListStacks": self._list_stacks,
            "GetTemplate": self._get_template,
            "DeleteStack": self._delete_stack,
            "ContinueUpdateRollback": self._continue_rollback,
        }

    def handle(self, request: Request) -> Response:
        try:
            operation, params = wire.parsed(request)
            fault = self._faults.take("cloudformation", operation.name)
            if fault is not None and fault.status is not None and not fault.after_effect:
                raise Refused(fault.code, fault.message, status=fault.status)
            perform = self._operations.get(operation.name)
            if perform is None:
                raise unsupported(operation.name)
            result = perform(params)
            if fault is not None and fault.status is not None:
                raise Refused(fault.code, fault.message, status=fault.status)
            return wire.answer(operation, result)
        except Refused as refusal:
            if refusal.status == 501:
                log.warning("501 cloudformation: %s", refusal.message)
            return wire.error(refusal)

    def close(self) -> None:
        """Wait for what goes on; each step is on disk, so a killed one is taken up by `resume`."""
        for thread in self._threads:
            thread.join()

    def stack(self, name: str) -> Stack | None:
        """What a living stack consists of."""
        record = self._records.find(name)
        if record is None or record.status == REVIEW:
            return None
        return Stack(
            resources={one.logical_id: one.physical_id for one in living(record)},
            outputs=dict(record.outputs),
        )

    def adopt(self, name: str, template: Mapping[str, Any], parameters: Mapping[str, str]) -> Stack:
        """Bring a stack to this template at once, without a change set.

        Raises:
            StackError: as the applier says.
        """
        record = self._records.find(name) or self._records.new(name, "CREATE_COMPLETE")
        return self._work.adopt(record, template, parameters)

    def resume(self) -> None:
        """After a restart: make again what only lived in memory, and go on with what was begun."""
        for record in reversed(self._records.all()):
            if record.is_deleted or record.status in (REVIEW, "ROLLBACK_COMPLETE"):
                continue
            if record.status == "DELETE_IN_PROGRESS":
                self._begin(self._work.delete, record, [])
            elif record.is_busy and record.pending in record.change_sets:
                creates = record.status in ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
                work = self._work.create if creates else self._work.update
                self._begin(work, record, record.change_sets[record.pending])
            else:
                self._work.bring_back(record)

    # Change sets --------------------------------------------------------------------------

    def _create_change_set(self, params: Params) -> Params:
        unknown = sorted({*params} - _KNOWN)
        if unknown:
            raise unsupported(f"{', '.join(unknown)} of CreateChangeSet")
        with self._records.lock:
            record = self._target(params)
            change_set = self._worked_out(record, params)
            record.change_sets[change_set.name] = change_set
            self._records.save(record)
            return {"Id": change_set.id, "StackId": record.id}

    def _target(self, params: Params) -> Record:
        """The stack a change set is for; a new one under review where it creates one."""
        name, kind = params["StackName"], params.get("ChangeSetType", "UPDATE")
        record = self._records.find(name)
        if kind == "CREATE":
            if record is not None and record.status != REVIEW:
                raise invalid(f"Stack [{name}] already exists and cannot be created again.")
            if record is None:
                record = self._records.new(name, REVIEW)
                self._reviewed(record)
        elif kind != "UPDATE":
            raise unsupported(f"change sets of type {kind}")
        elif record is None or record.status == REVIEW:
            raise invalid(f"Stack [{name}] does not exist")
        elif not record.status.endswith(("_COMPLETE",)) or record.status == "ROLLBACK_COMPLETE":
            state = f"is in {record.status} state and can not be updated."
            raise invalid(f"Stack:{record.id} {state}")
        if params["ChangeSetName"] in record.change_sets:
            raise Refused(
                "AlreadyExistsException", f"ChangeSet {params['ChangeSetName']} already exists"
            )
        return record

    def _reviewed(self, record: Record) -> None:
        add_event(
            record,
            logical_id=record.name,
            physical_id=record.id,
            kind="AWS::CloudFormation::Stack",
            status=REVIEW,
            reason="User Initiated",
        )

    def _worked_out(self, record: Record, params: Params) -> ChangeSet:
        sam = self._template(record, params)
        given = _parameters(sam, params.get("Parameters", []), record)
        change_set = ChangeSet(
            name=params["ChangeSetName"],
            id=arn("cloudformation", f"changeSet/{params['ChangeSetName']}/{uuid.uuid4()}"),
            type=params.get("ChangeSetType", "UPDATE"),
            status="FAILED",
            execution="UNAVAILABLE",
            created_at=now(),
            sam=sam,
            parameters=given,
            tags={tag["Key"]: tag["Value"] for tag in params.get("Tags", [])},
            capabilities=params.get("Capabilities", []),
        )
        _check_capabilities(sam, change_set.capabilities)
        try:
            change_set.template = _transformed(sam)
            new = resolved(change_set.template, given, record.name)
            old = Resolved()
            if record.template:
                old = resolved(record.template, record.parameters, record.name)
            physical = {one.logical_id: one.physical_id for one in living(record)}
            change_set.changes = differences(old, new, physical)
        except StackError as problem:
            raise invalid(f"Template error: {problem}") from problem
        changed = change_set.changes or old.outputs != new.outputs
        if changed or change_set.tags != record.tags:
            change_set.status, change_set.execution = "CREATE_COMPLETE", "AVAILABLE"
        else:
            change_set.reason = NO_CHANGES
        return change_set

    def _template(self, record: Record, params: Params) -> Params:
        if params.get("UsePreviousTemplate"):
            return record.sam
        if "TemplateBody" in params:
            return _loaded(params["TemplateBody"].encode(), BODY_LIMIT_BYTES)
        if "TemplateURL" not in params:
            raise invalid("Either Template URL or Template Body must be specified.")
        return _loaded(self._fetched(params["TemplateURL"]), URL_LIMIT_BYTES)

    def _fetched(self, url: str) -> bytes:
        found = _TEMPLATE_URL.fullmatch(url)
        if not found:
            raise invalid("TemplateURL must be a supported URL.")
        host, path = found[1], found[2]
        # Virtual-hosted (bucket.s3.region.amazonaws.com/key) or path style (…/bucket/key).
        bucket, _, rest = host.partition(".s3.")
        key = path
        if not rest:
            bucket, _, key = path.partition("/")
        try:
            body: bytes = self._client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise invalid(f"S3 error: {error.response['Error']['Message']}") from error
        return body

    def _describe_change_set(self, params: Params) -> Params:
        record, change_set = self._found(params)
        return show.change_set(record, change_set, params.get("NextToken"))

    def _delete_change_set(self, params: Params) -> Params:
        with self._records.lock:
            try:
                record, change_set = self._found(params)
            except Refused:
                return {}
            if record.pending == change_set.name:
                raise Refused("InvalidChangeSetStatus", "The change set is being executed.")
            del record.change_sets[change_set.name]
            self._records.save(record)
            return {}

    def _list_change_sets(self, params: Params) -> Params:
        record = self._known(params["StackName"])
        sets = record.change_sets.values()
        return {"Summaries": [show.change_set_summary(record, one) for one in sets]}

    def _execute_change_set(self, params: Params) -> Params:
        with self._records.lock:
            record, change_set = self._found(params)
            if change_set.execution != "AVAILABLE":
                said = f"ChangeSet [{change_set.id}] cannot be executed in its current status of "
                raise Refused("InvalidChangeSetStatus", f"{said}[{change_set.status}]")
            if record.is_busy:
                raise invalid(f"Stack:{record.id} is in {record.status} state.")
            for change in change_set.changes:
                about = change["ResourceChange"]
                if about.get("Replacement") == "True" and about["ResourceType"] in _NAMES_ARE_FIXED:
                    raise unsupported(f"replacing {about['LogicalResourceId']}")
            change_set.execution = "EXECUTE_IN_PROGRESS"
            record.pending = change_set.name
            creates = change_set.type == "CREATE"
            record.status = "CREATE_IN_PROGRESS" if creates else "UPDATE_IN_PROGRESS"
            self._records.save(record)
            self._begin(self._work.create if creates else self._work.update, record, change_set)
            return {}

    def _begin(self, work: Callable[..., None], record: Record, *more: Any) -> None:
        def run() -> None:
            try:
                work(record, *more)
            except Exception:
                log.exception("CloudFormation failed at %s; it stays %s", record.id, record.status)

        thread = threading.Thread(target=run, name=f"cloudformation-{record.name}", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    # Stacks -------------------------------------------------------------------------------

    def _known(self, name: str) -> Record:
        record = self._records.find(name)
        if record is None:
            raise no_stack(name)
        return record

    def _found(self, params: Params) -> tuple[Record, ChangeSet]:
        name = params["ChangeSetName"]
        if name.startswith("arn:"):
            for record in self._records.all():
                for change_set in record.change_sets.values():
                    if change_set.id == name:
                        return record, change_set
            raise no_change_set(name)
        record = self._known(params.get("StackName", ""))
        if name not in record.change_sets:
            raise no_change_set(name)
        return record, record.change_sets[name]

    def _describe_stacks(self, params: Params) -> Params:
        if "StackName" in params:
            return {"Stacks": [show.stack(self._known(params["StackName"]))]}
        living_ones = [one for one in self._records.all() if not one.is_deleted]
        return {"Stacks": [show.stack(one) for one in living_ones]}

    def _describe_events(self, params: Params) -> Params:
        return show.events(self._known(params["StackName"]), params.get("NextToken"))

    def _describe_resources(self, params: Params) -> Params:
        record = self._known(params["StackName"])
        wanted = params.get("LogicalResourceId")
        found = [one for name, one in record.resources.items() if wanted in (None, name)]
        return {"StackResources": [show.resource(record, one) for one in found]}

    def _list_resources(self, params: Params) -> Params:
        return show.resources(self._known(params["StackName"]), params.get("NextToken"))

    def _list_stacks(self, params: Params) -> Params:
        wanted = params.get("StackStatusFilter")
        found = [one for one in self._records.all() if not wanted or one.status in wanted]
        return {"StackSummaries": [show.summary(one) for one in found]}

    def _get_template(self, params: Params) -> Params:
        record = self._known(params["StackName"])
        original = params.get("TemplateStage", "Original") == "Original"
        body = record.sam if original and record.sam else record.template
        return {"TemplateBody": json.dumps(body), "StagesAvailable": ["Original", "Processed"]}

    def _delete_stack(self, params: Params) -> Params:
        with self._records.lock:
            record = self._records.find(params["StackName"])
            if record is None or record.is_deleted or record.status == "DELETE_IN_PROGRESS":
                return {}
            if record.is_busy:
                raise invalid(f"Stack [{record.id}] cannot be deleted while in {record.status}")
            retain = params.get("RetainResources", [])
            if retain and record.status != "DELETE_FAILED":
                raise invalid(
                    "Invalid operation on stack: specify which resources to retain only when the "
                    "stack is in the DELETE_FAILED state."
                )
            record.status = "DELETE_IN_PROGRESS"
            self._records.save(record)
            self._begin(self._work.delete, record, retain)
            return {}

    def _continue_rollback(self, params: Params) -> Params:
        with self._records.lock:
            record = self._known(params["StackName"])
            if record.status != "UPDATE_ROLLBACK_FAILED":
                raise invalid(f"Stack [{record.id}] is in {record.status} state.")
            if params.get("ResourcesToSkip"):
                raise unsupported("ResourcesToSkip of ContinueUpdateRollback")
            record.status = "UPDATE_ROLLBACK_IN_PROGRESS"
            self._records.save(record)
            self._begin(self._work.roll_back_again, record)
            return {}


def _loaded(body: bytes, limit_bytes: int) -> Params:
    import yaml
    from chalice.package import YAMLTemplateSerializer

    if len(body) > limit_bytes:
        raise invalid(f"Member must have length less than or equal to {limit_bytes}")
    try:
        try:
            loaded = json.loads(body)  # YAML's reader takes it, too, in a hundred times the time
        except ValueError:
            loaded = YAMLTemplateSerializer().load_template(body.decode(), "template")
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise invalid(f"Template format error: {problem}") from problem
    if not isinstance(loaded, dict) or not loaded.get("Resources"):
        raise invalid("Template format error: At least one Resources member must be defined.")
    return json.loads(json.dumps(loaded))  # type: ignore[no-any-return]  # anchors share dicts


def _transformed(sam: Params) -> Params:
    transform = sam.get("Transform")
    if transform is None:
        return sam
    if transform not in (TRANSFORM, [TRANSFORM]):
        raise unsupported(f"the transform {transform}")
    return json.loads(_translated(json.dumps(sam)))  # type: ignore[no-any-return]


@lru_cache(maxsize=4)
def _translated(sam: str) -> str:
    """SAM's transform, which takes half a second, and is the same for every parameter."""
    from slimreel.template import translate

    template = translate(json.loads(sam))
    template.pop("Transform", None)
    return json.dumps(template)


def _check_capabilities(sam: Params, given: list[str]) -> None:
    needs = ["CAPABILITY_AUTO_EXPAND"] if "Transform" in sam else []
    roles = any(
        str(one.get("Type", "")).startswith(("AWS::IAM::", "AWS::Serverless::"))
        for one in sam["Resources"].values()
    )
    if roles and "CAPABILITY_NAMED_IAM" not in given:
        needs.append("CAPABILITY_IAM")
    missing = [one for one in needs if one not in given]
    if missing:
        raise Refused(
            "InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(missing)}]"
        )


def _parameters(sam: Params, given: list[Params], record: Record) -> dict[str, str]:
    """Each declared parameter's text: as given, as before, or by default."""
    declared = sam.get("Parameters", {})
    values: dict[str, str] = {}
    for one in given:
        name = one["ParameterKey"]
        if one.get("UsePreviousValue"):
            if name not in record.parameters:
                raise invalid(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as "
                    "true for a parameter key not in the previous template"
                )
            if "ParameterValue" in one:
                raise invalid(f"Invalid input for parameter key {name}.")
            values[name] = record.parameters[name]
        else:
            values[name] = one.get("ParameterValue", "")
    unknown = sorted({*values} - {*declared})
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = [
        name for name, about in declared.items() if "Default" not in about and name not in values
    ]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    for name, about in declared.items():
        values.setdefault(name, str(about.get("Default", "")))
    try:
        parameter_values(declared, values)
    except StackError as problem:
        raise invalid(str(problem)) from problem
    return values
