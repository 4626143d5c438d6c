"""The CloudFormation stand-in by boto3, which parses every answer by the service's own model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slimreel.local.cloudformation import CloudFormation
from slimreel.local.faults import Fault, Faults
from tests.deploying.conftest import Place

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "${Prefix}-queue"}}}
BUCKET = {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"}
PREFIX = {"Prefix": {"Type": "String", "Default": "small"}}


def template(**resources: Any) -> dict[str, Any]:
    return {
        "Parameters": PREFIX,
        "Resources": resources,
        "Outputs": {"First": {"Value": {"Ref": next(iter(resources))}}},
    }


class Stack:
    """One stack, changed by change sets as a person would."""

    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name
        self._number = 0

    def plan(self, body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        self._number += 1
        more.setdefault("ChangeSetType", "UPDATE" if self.exists else "CREATE")
        made = self.client.create_change_set(
            StackName=self.name,
            ChangeSetName=f"change-{self._number}",
            TemplateBody=json.dumps(body),
            **more,
        )
        return dict(self.client.describe_change_set(ChangeSetName=made["Id"]))

    def execute(self, plan: Mapping[str, Any]) -> str:
        self.client.execute_change_set(ChangeSetName=plan["ChangeSetId"])
        return self.settled()

    def settled(self) -> str:
        for _ in range(1000):
            status = self.told()["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                return str(status)
            time.sleep(0.02)
        raise AssertionError(f"{self.name} does not settle")

    def told(self) -> dict[str, Any]:
        return dict(self.client.describe_stacks(StackName=self.id)["Stacks"][0])

    @property
    def exists(self) -> bool:
        return any(
            one["StackName"] == self.name and one["StackStatus"] != "REVIEW_IN_PROGRESS"
            for one in self.client.describe_stacks()["Stacks"]
        )

    @property
    def id(self) -> str:
        found = [
            one["StackId"]
            for one in self.client.list_stacks()["StackSummaries"]
            if one["StackName"] == self.name
        ]
        return str(found[0])

    def events(self) -> list[tuple[str, str]]:
        """Oldest first."""
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=self.id)
        events = [event for page in pages for event in page["StackEvents"]]
        return [(e["LogicalResourceId"], e["ResourceStatus"]) for e in reversed(events)]


@pytest.fixture
def stack(place: Place, request: pytest.FixtureRequest) -> Iterator[Stack]:
    name = request.node.name.replace("_", "-")[:40].rstrip("-")
    stack = Stack(place.client("cloudformation"), name)
    yield stack
    place.cloud.faults.clear()
    stack.client.delete_stack(StackName=name)


def changes(plan: Mapping[str, Any]) -> dict[str, tuple[str, str | None]]:
    told = [change["ResourceChange"] for change in plan["Changes"]]
    return {one["LogicalResourceId"]: (one["Action"], one.get("Replacement")) for one in told}


def test_a_stack_is_made_changed_and_deleted_by_its_own_words(stack: Stack) -> None:
    plan = stack.plan(template(Queue=QUEUE))
    assert changes(plan) == {"Queue": ("Add", None)}
    assert stack.told()["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert stack.execute(plan) == "CREATE_COMPLETE"
    told = stack.told()
    assert told["Outputs"][0]["OutputValue"].endswith("/small-queue")
    assert told["Parameters"] == [{"ParameterKey": "Prefix", "ParameterValue": "small"}]
    assert stack.events() == [
        (stack.name, "REVIEW_IN_PROGRESS"),
        (stack.name, "CREATE_IN_PROGRESS"),
        ("Queue", "CREATE_IN_PROGRESS"),
        ("Queue", "CREATE_COMPLETE"),
        (stack.name, "CREATE_COMPLETE"),
    ]
    slow = {**QUEUE, "Properties": {**QUEUE["Properties"], "VisibilityTimeout": 60}}
    plan = stack.plan(template(Queue=slow, Bucket=BUCKET))
    assert changes(plan) == {"Queue": ("Modify", "False"), "Bucket": ("Add", None)}
    assert stack.execute(plan) == "UPDATE_COMPLETE"
    stack.client.delete_stack(StackName=stack.name)
    assert stack.settled() == "DELETE_COMPLETE"
    assert ("Bucket", "DELETE_SKIPPED") in stack.events()
    with pytest.raises(ClientError, match="does not exist"):
        stack.client.describe_stacks(StackName=stack.name)


def test_nothing_new_is_a_change_set_that_failed(stack: Stack) -> None:
    stack.execute(stack.plan(template(Queue=QUEUE)))
    plan = stack.plan(template(Queue=QUEUE))
    assert (plan["Status"], plan["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "didn't contain changes" in plan["StatusReason"]
    with pytest.raises(stack.client.exceptions.InvalidChangeSetStatusException):
        stack.execute(plan)


def test_what_cannot_change_in_place_is_replaced_says_the_registry(stack: Stack) -> None:
    stack.execute(stack.plan(template(Queue=QUEUE)))
    parameters = [{"ParameterKey": "Prefix", "ParameterValue": "other"}]
    plan = stack.plan(template(Queue=QUEUE), Parameters=parameters)
    [change] = [change["ResourceChange"] for change in plan["Changes"]]
    assert (change["Replacement"], change["PolicyAction"]) == ("True", "ReplaceAndDelete")
    [detail] = change["Details"]
    assert detail["Target"] == {
        "Attribute": "Properties",
        "Name": "QueueName",
        "RequiresRecreation": "Always",
    }
    assert detail["ChangeSource"] == "ParameterReference"
    with pytest.raises(ClientError, match="does not do replacing Queue"):
        stack.execute(plan)


def test_a_removed_resource_goes_after_the_rest_is_there(stack: Stack, place: Place) -> None:
    stack.execute(stack.plan(template(Queue=QUEUE, Bucket={"Type": "AWS::S3::Bucket"})))
    plan = stack.plan(template(Queue=QUEUE))
    assert changes(plan) == {"Bucket": ("Remove", None)}
    assert stack.execute(plan) == "UPDATE_COMPLETE"
    names = [bucket["Name"] for bucket in place.client("s3").list_buckets()["Buckets"]]
    assert f"{stack.name}-bucket" not in names


def test_a_creation_that_fails_is_undone_and_can_only_be_deleted(
    stack: Stack, place: Place
) -> None:
    place.cloud.faults.add(
        Fault(service="sqs", operation="CreateQueue", status=400, code="Nope", message="no queue")
    )
    plan = stack.plan(template(Bucket={"Type": "AWS::S3::Bucket"}, Queue=QUEUE))
    assert stack.execute(plan) == "ROLLBACK_COMPLETE"
    assert ("Queue", "CREATE_FAILED") in stack.events()
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        stack.plan(template(Queue=QUEUE), ChangeSetType="UPDATE")
    with pytest.raises(ClientError, match="already exists"):
        stack.plan(template(Queue=QUEUE), ChangeSetType="CREATE")


NEW_ONLY = {"Type": "AWS::S3::Bucket", "DeletionPolicy": "RetainExceptOnCreate"}
NO_QUEUE = Fault(service="sqs", operation="CreateQueue", status=400, code="Nope")


def buckets(stack: Stack, place: Place) -> set[str]:
    names = [bucket["Name"] for bucket in place.client("s3").list_buckets()["Buckets"]]
    return {one.removeprefix(f"{stack.name}-") for one in names if one.startswith(stack.name)}


def test_what_is_retained_but_on_creation_goes_only_when_its_creation_is_undone(
    stack: Stack, place: Place
) -> None:
    place.cloud.faults.add(NO_QUEUE)
    last = {**QUEUE, "DependsOn": ["New", "Kept"]}
    assert stack.execute(stack.plan(template(New=NEW_ONLY, Kept=BUCKET, Queue=last))) == (
        "ROLLBACK_COMPLETE"
    )
    assert buckets(stack, place) == {"kept"}
    stack.client.delete_stack(StackName=stack.name)
    assert stack.settled() == "DELETE_COMPLETE"

    # The same in an update
    stack.execute(stack.plan(template(First={"Type": "AWS::SQS::Queue"})))
    place.cloud.faults.add(NO_QUEUE)
    more = template(First={"Type": "AWS::SQS::Queue"}, New=NEW_ONLY, Queue=last, Kept=BUCKET)
    assert stack.execute(stack.plan(more)) == "UPDATE_ROLLBACK_COMPLETE"
    assert buckets(stack, place) == {"kept"}

    # Once there, it stays: when it is taken out, and with the whole stack.
    plain = template(First={"Type": "AWS::SQS::Queue"})
    stack.execute(stack.plan(template(**plain["Resources"], New=NEW_ONLY)))
    plan = stack.plan(plain)
    assert plan["Changes"][0]["ResourceChange"]["PolicyAction"] == "Retain"
    assert stack.execute(plan) == "UPDATE_COMPLETE"
    assert buckets(stack, place) == {"kept", "new"}


def test_a_protected_pool_stands_in_the_way_of_a_roll_back(stack: Stack, place: Place) -> None:
    pool = {
        "Type": "AWS::Cognito::UserPool",
        "DeletionPolicy": "RetainExceptOnCreate",
        "Properties": {"UserPoolName": stack.name, "DeletionProtection": "ACTIVE"},
    }
    place.cloud.faults.add(NO_QUEUE)
    last = {**QUEUE, "DependsOn": ["Pool"]}
    assert stack.execute(stack.plan(template(Pool=pool, Queue=last))) == "ROLLBACK_FAILED"
    assert ("Pool", "DELETE_FAILED") in stack.events()


def test_an_update_that_fails_leaves_what_was_there(stack: Stack, place: Place) -> None:
    def waiting(seconds: int) -> dict[str, Any]:
        return {**QUEUE, "Properties": {**QUEUE["Properties"], "VisibilityTimeout": seconds}}

    stack.execute(stack.plan(template(Queue=waiting(45))))
    place.cloud.faults.add(
        Fault(service="dynamodb", operation="CreateTable", status=400, code="LimitExceeded")
    )
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        },
    }
    plan = stack.plan(template(Queue=waiting(61), Table=table))
    assert stack.execute(plan) == "UPDATE_ROLLBACK_COMPLETE"
    url = stack.told()["Outputs"][0]["OutputValue"]
    asked = place.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert asked["Attributes"]["VisibilityTimeout"] == "45"


def test_a_bucket_that_holds_something_stops_the_deletion(stack: Stack, place: Place) -> None:
    stack.execute(stack.plan(template(Bucket={"Type": "AWS::S3::Bucket"})))
    s3, name = place.client("s3"), f"{stack.name}-bucket"
    s3.put_object(Bucket=name, Key="film", Body=b"x")
    stack.client.delete_stack(StackName=stack.name)
    assert stack.settled() == "DELETE_FAILED"
    s3.delete_object(Bucket=name, Key="film")
    stack.client.delete_stack(StackName=stack.name)
    assert stack.settled() == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"Parameters": [{"ParameterKey": "Nope", "ParameterValue": "x"}]}, "do not exist"),
        (
            {"Parameters": [{"ParameterKey": "Prefix", "UsePreviousValue": True}]},
            "not in the previous template",
        ),
        ({"TemplateBody": "{"}, "Template format error"),
        ({"TemplateBody": json.dumps({"Resources": {}})}, "At least one Resources member"),
        ({"TemplateBody": "x" * 60_000}, "length less than or equal to 51200"),
        ({"ImportExistingResources": True}, "does not do ImportExistingResources"),
    ],
)
def test_what_cannot_be_taken_is_refused(stack: Stack, wrong: dict[str, Any], said: str) -> None:
    asked = {
        "StackName": stack.name[:40],
        "ChangeSetName": "wrong",
        "ChangeSetType": "CREATE",
        "TemplateBody": json.dumps(template(Queue=QUEUE)),
        **wrong,
    }
    with pytest.raises(ClientError, match=said):
        stack.client.create_change_set(**asked)


def test_roles_need_the_capability(stack: Stack) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}
    with pytest.raises(stack.client.exceptions.InsufficientCapabilitiesException):
        stack.plan(template(Role=role))


def test_after_a_restart_stacks_are_known_and_a_begun_one_is_finished(
    place: Place, tmp_path: Path
) -> None:
    """Only the records are read again; SQS is the cloud's, and forgets with it."""

    def started() -> CloudFormation:
        return CloudFormation(tmp_path, client=place.client, gateway=None, faults=Faults())

    first = started()
    first.adopt("kept", template(Queue=QUEUE), {"Prefix": "kept"})
    url = place.client("sqs").get_queue_url(QueueName="kept-queue")["QueueUrl"]
    place.client("sqs").delete_queue(QueueUrl=url)
    again = started()
    again.resume()
    found = again.stack("kept")
    assert found is not None and found.resources == {"Queue": url}
    assert place.client("sqs").get_queue_url(QueueName="kept-queue")["QueueUrl"] == url
