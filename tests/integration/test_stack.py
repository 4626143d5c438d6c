"""The template applied to moto, read back through the API of each service."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from slimreel.local import REGION
from slimreel.local.stack import Stack, apply
from slimreel.local.stack.errors import (
    BadReference,
    Circular,
    NeedsReplacement,
    NotCreated,
    Unsupported,
)
from slimreel.template import CODE_LOCATION, LAYER_LOCATION, cloudformation

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = {
    "Stage": "local",
    "NoticeEmail": "you@example.com",
    "AlarmEmail": "engineer@example.com",
    "DriveInboxFolder": "folder-12345",
    "AirtableBaseId": "app12345678901234",
    "AlarmCostPerDay": "20",
    "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/film-key",
    "ResultsStorageClass": "INTELLIGENT_TIERING",
    "SubmitBuckets": "films",
}


class MediaConvertQueues:
    """The queue calls of a boto3 MediaConvert client."""

    def __init__(self) -> None:
        self.queues: dict[str, dict[str, Any]] = {}

    def create_queue(self, *, Name: str, **settings: Any) -> None:
        if Name in self.queues:
            error = {"Code": "ConflictException", "Message": "Queue already exists"}
            raise ClientError({"Error": error}, "CreateQueue")
        arn = f"arn:aws:mediaconvert:{REGION}:123456789012:queues/{Name}"
        self.queues[Name] = {"Arn": arn, "Name": Name, **settings}

    def update_queue(self, *, Name: str, **settings: Any) -> dict[str, Any]:
        self.queues[Name].update(settings)
        return self.get_queue(Name=Name)

    def get_queue(self, *, Name: str) -> dict[str, Any]:
        return {"Queue": self.queues[Name]}


class Gateway:
    def __init__(self) -> None:
        self.apis: dict[str, Mapping[str, Any]] = {}

    def load(self, openapi_body: Mapping[str, Any], stage_name: str) -> None:
        self.apis[stage_name] = openapi_body


class Account:
    """An empty AWS account, and what the template is applied with."""

    def __init__(self) -> None:
        self.mediaconvert = MediaConvertQueues()
        self._clients: dict[str, Any] = {"mediaconvert": self.mediaconvert}
        self.gateway = Gateway()
        # moto's Lambda wants to see the code; the stand-in runs the project's own.
        s3 = self.client("s3")
        for location in (CODE_LOCATION, LAYER_LOCATION):
            bucket, key = location.removeprefix("s3://").split("/", 1)
            with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
                region = {"LocationConstraint": REGION}
                s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
            s3.put_object(Bucket=bucket, Key=key, Body=b"")

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(service, region_name=REGION)
        return self._clients[service]

    def apply(
        self, template: Mapping[str, Any], parameters: Mapping[str, str] = PARAMETERS
    ) -> Stack:
        return apply(template, parameters=parameters, client=self.client, gateway=self.gateway)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return cloudformation(ROOT, "local")


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_ACCESS_KEY_ID", "local")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "local")
        yield


@pytest.fixture(scope="module")
def account(aws: None) -> Account:
    return Account()


@pytest.fixture(scope="module")
def stack(account: Account, template: dict[str, Any]) -> Stack:
    """The whole template, applied twice: the second time must change nothing."""
    first = account.apply(template)
    second = account.apply(template)
    assert second == first
    return second


def of_resources(resources: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    return {"Resources": resources, **sections}


# What exists afterwards


def test_every_resource_exists_and_outputs_name_them(
    stack: Stack, template: dict[str, Any]
) -> None:
    assert set(stack.resources) == set(template["Resources"])
    assert set(stack.outputs) == set(template["Outputs"])
    assert stack.outputs["TempBucketName"] == stack.resources["TempBucket"]
    assert stack.outputs["CompressFlowArn"].endswith(":stateMachine:slimreel-local-compress")


def test_bucket_settings_arrive(account: Account, stack: Stack) -> None:
    s3, bucket = account.client("s3"), stack.resources["TempBucket"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert [rule.get("Expiration") for rule in rules] == [{"Days": 7}, None]
    assert rules[1]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    default = encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": PARAMETERS["KmsKeyArn"]}
    kept = s3.get_bucket_lifecycle_configuration(Bucket=stack.resources["CompressedBucket"])
    transitions = [rule["Transitions"] for rule in kept["Rules"] if "Transitions" in rule]
    assert transitions == [[{"StorageClass": "INTELLIGENT_TIERING", "Days": 0}]]
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert policy["Statement"][0]["Resource"] == [
        f"arn:aws:s3:::{bucket}",
        f"arn:aws:s3:::{bucket}/*",
    ]


def test_the_table_has_its_indexes_recovery_and_expiry(account: Account, stack: Stack) -> None:
    dynamodb, name = account.client("dynamodb"), stack.resources["JobsTable"]
    table = dynamodb.describe_table(TableName=name)["Table"]
    indexes = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
    assert {"open-jobs", "unsynced-rows"} <= indexes
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    assert recovery == "ENABLED"
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert ttl == {"AttributeName": "expires_at", "TimeToLiveStatus": "ENABLED"}


def test_queues_hide_redrive_and_stay_in_order(account: Account, stack: Stack) -> None:
    sqs = account.client("sqs")

    def attributes(queue: str) -> dict[str, str]:
        url = stack.resources[queue]
        return dict(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])

    rows, dead = attributes("RowsQueue"), attributes("RowsDeadLetters")
    assert (rows["VisibilityTimeout"], rows["FifoQueue"]) == ("720", "true")
    redrive = json.loads(rows["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead["QueueArn"]
    policy = json.loads(attributes("EventDeadLetters")["Policy"])
    rules = policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"]
    events = account.client("events")
    ours = [name for name in stack.resources if name.endswith("Event")]
    arns = [events.describe_rule(Name=stack.resources[name])["Arn"] for name in ours]
    assert sorted(rules) == sorted(arns)


def test_functions_get_the_resources_addresses(account: Account, stack: Stack) -> None:
    function = account.client("lambda").get_function_configuration(
        FunctionName="slimreel-local-fetch"
    )
    variables = function["Environment"]["Variables"]
    assert variables["JOBS_TABLE"] == stack.resources["JobsTable"]
    assert variables["DRIVE_QUEUE_URL"] == stack.resources["DriveQueue"]
    assert variables["ENCODER_QUEUE_ARN"] == stack.outputs["EncoderQueueArn"]
    assert variables["DRIVE_INBOX_FOLDER"] == "folder-12345"
    assert variables["SECRETS_PREFIX"] == "/slimreel/local/"
    assert stack.outputs["CompressFlowArn"] == variables["FLOW_ARN_PREFIX"] + "compress"
    assert (function["Handler"], function["MemorySize"]) == ("app.fetch", 1024)


def test_queues_call_their_functions_in_batches_that_may_fail_in_part(
    account: Account, stack: Stack
) -> None:
    mappings = account.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert sorted(mapping["FunctionArn"].split(":")[-1] for mapping in mappings) == [
        "slimreel-local-drive_changed",
        "slimreel-local-rows_changed",
    ]
    assert {mapping["BatchSize"] for mapping in mappings} == {10}


def test_events_reach_their_functions_and_undelivered_ones_the_dead_letters(
    account: Account, stack: Stack
) -> None:
    events, rule = account.client("events"), stack.resources["EncodeChangedEncodeChangedEvent"]
    pattern = json.loads(events.describe_rule(Name=rule)["EventPattern"])
    assert pattern["detail"]["queue"] == [stack.outputs["EncoderQueueArn"]]
    (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
    assert target["Arn"].endswith(":function:slimreel-local-encode_changed")
    assert target["DeadLetterConfig"]["Arn"].endswith(":slimreel-local-events-dead")
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 60
    invoke = account.client("lambda").get_function_event_invoke_config(
        FunctionName="slimreel-local-encode_changed", Qualifier="$LATEST"
    )
    assert (
        invoke["DestinationConfig"]["OnFailure"]["Destination"] == target["DeadLetterConfig"]["Arn"]
    )
    sweep = events.describe_rule(Name=stack.resources["SweepDriveSweepDriveEvent"])
    assert sweep["ScheduleExpression"].startswith("rate(")


def test_the_flow_calls_real_functions(account: Account, stack: Stack) -> None:
    machine = account.client("stepfunctions").describe_state_machine(
        stateMachineArn=stack.resources["CompressFlow"]
    )
    written = json.loads((ROOT / "workflows" / "compress.asl.json").read_text())
    definition = json.loads(machine["definition"])
    assert set(definition["States"]) == set(written["States"])
    register = definition["States"]["Register"]["Resource"]
    assert register == f"arn:aws:lambda:{REGION}:123456789012:function:slimreel-local-register"
    assert "${" not in machine["definition"]


def test_roles_carry_their_policies(account: Account, stack: Stack) -> None:
    iam, role = account.client("iam"), stack.resources["EncodeRole"]
    document = iam.get_role_policy(RoleName=role, PolicyName="EncodeRolePolicy")["PolicyDocument"]
    lent = {s["Sid"]: s["Resource"] for s in document["Statement"]}["LendRole"]
    assert lent == iam.get_role(RoleName=stack.resources["EncoderRole"])["Role"]["Arn"]


def test_notices_of_the_chosen_kinds_are_mailed(account: Account, stack: Stack) -> None:
    attributes = account.client("sns").get_subscription_attributes(
        SubscriptionArn=stack.resources["NoticeEmailSubscription"]
    )["Attributes"]
    assert (attributes["Protocol"], attributes["Endpoint"]) == ("email", "you@example.com")
    assert json.loads(attributes["FilterPolicy"]) == {
        "kind": ["completed", "kept", "failed", "cancelled", "alert", "digest", "summary"]
    }


def test_the_gateway_serves_the_api_with_its_functions(account: Account, stack: Stack) -> None:
    body = account.gateway.apis["api"]
    assert "/drive/notifications" in body["paths"]
    assert "function:slimreel-local-api_handler/invocations" in json.dumps(body)
    assert account.mediaconvert.queues["slimreel-local"]["PricingPlan"] == "ON_DEMAND"


# Applying again


def test_a_changed_template_changes_what_exists(
    account: Account, stack: Stack, template: dict[str, Any]
) -> None:
    changed = copy.deepcopy(template)
    changed["Resources"]["DriveQueue"]["Properties"]["VisibilityTimeout"] = 900
    changed["Resources"]["Plan"]["Properties"]["MemorySize"] = 1024
    changed["Resources"]["EncoderQueue"]["Properties"]["Status"] = "PAUSED"
    account.apply(changed)
    url = stack.resources["DriveQueue"]
    answer = account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert answer["Attributes"]["VisibilityTimeout"] == "900"
    functions = account.client("lambda")
    plan = functions.get_function_configuration(FunctionName="slimreel-local-plan")
    assert plan["MemorySize"] == 1024
    assert account.mediaconvert.queues["slimreel-local"]["Status"] == "PAUSED"
    account.apply(template)


def test_a_table_with_other_keys_is_not_taken_for_ours(account: Account, stack: Stack) -> None:
    key = [{"AttributeName": "id", "KeyType": "HASH"}]
    other = {
        "TableName": stack.resources["JobsTable"],
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": key,
    }
    with pytest.raises(NeedsReplacement, match="Jobs: the table that is kept here has other keys"):
        account.apply(
            of_resources({"Jobs": {"Type": "AWS::DynamoDB::Table", "Properties": other}}), {}
        )


def test_a_kept_table_gets_the_indexes_of_a_newer_template(account: Account) -> None:
    def table(*indexes: str) -> dict[str, Any]:
        names = ["id", *indexes]
        return of_resources(
            {
                "Kept": {
                    "Type": "AWS::DynamoDB::Table",
                    "Properties": {
                        "BillingMode": "PAY_PER_REQUEST",
                        "AttributeDefinitions": [
                            {"AttributeName": name, "AttributeType": "S"} for name in names
                        ],
                        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                        "GlobalSecondaryIndexes": [
                            {
                                "IndexName": f"by-{name}",
                                "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}],
                                "Projection": {"ProjectionType": "ALL"},
                            }
                            for name in indexes
                        ],
                    },
                }
            }
        )

    dynamodb = account.client("dynamodb")
    name = account.apply(table("old", "day"), {}).resources["Kept"]
    dynamodb.put_item(TableName=name, Item={"id": {"S": "1"}, "month": {"S": "May"}})
    account.apply(table("day", "month"), {})
    found = dynamodb.query(
        TableName=name,
        IndexName="by-month",
        KeyConditionExpression="#m = :may",
        ExpressionAttributeNames={"#m": "month"},
        ExpressionAttributeValues={":may": {"S": "May"}},
    )
    assert found["Count"] == 1
    indexes = dynamodb.describe_table(TableName=name)["Table"]["GlobalSecondaryIndexes"]
    assert {index["IndexName"] for index in indexes} == {"by-day", "by-month"}


def test_without_an_address_nobody_is_subscribed(
    account: Account, template: dict[str, Any]
) -> None:
    made = account.apply(template, {**PARAMETERS, "NoticeEmail": ""})
    assert "NoticeEmailSubscription" not in made.resources


# What is refused, before anything is created


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        (
            {"Type": "AWS::CloudWatch::CompositeAlarm"},
            "Thing has the type AWS::CloudWatch::CompositeAlarm, unknown here.",
        ),
        (
            {"Type": "AWS::SQS::Queue", "Properties": {"KmsMasterKeyId": "k"}},
            "Thing (AWS::SQS::Queue) has the property KmsMasterKeyId, unknown here.",
        ),
        (
            {
                "Type": "AWS::S3::Bucket",
                "Properties": {"LifecycleConfiguration": {"Rules": [{"TagFilters": []}]}},
            },
            "Thing (AWS::S3::Bucket) has the property LifecycleConfiguration.Rules[0].TagFilters,"
            " unknown here.",
        ),
        (
            {"Type": "AWS::SQS::Queue", "UpdatePolicy": {}},
            "Thing has the member UpdatePolicy, unknown here.",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_name(
    account: Account, resource: dict[str, Any], message: str
) -> None:
    first = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "must-not-be-made"}}
    with pytest.raises(Unsupported) as refusal:
        account.apply(of_resources({"First": first, "Thing": resource}), {})
    assert str(refusal.value) == message
    queues = account.client("sqs").list_queues(QueueNamePrefix="must-not-be-made")
    assert "QueueUrls" not in queues


def test_an_unknown_section(account: Account) -> None:
    with pytest.raises(Unsupported, match="The template has the section Transform"):
        account.apply(of_resources({}, Transform="AWS::Serverless-2016-10-31"), {})


def test_an_unknown_function(account: Account) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::ImportValue": "q"}}}
    with pytest.raises(Unsupported, match="The function Fn::ImportValue is not known"):
        account.apply(of_resources({"Q": queue}), {})


def test_an_unknown_attribute(account: Account) -> None:
    topic = {"Type": "AWS::SNS::Topic"}
    with pytest.raises(Unsupported, match=r"T \(AWS::SNS::Topic\) has the attribute Color"):
        account.apply(
            of_resources({"T": topic}, Outputs={"C": {"Value": {"Fn::GetAtt": "T.Color"}}}), {}
        )


def test_an_api_that_nobody_would_serve(account: Account) -> None:
    api = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": {}}}
    with pytest.raises(Unsupported, match="no gateway was given to serve it"):
        apply(of_resources({"Api": api}), parameters={}, client=account.client)


def test_a_required_property(account: Account) -> None:
    with pytest.raises(BadReference, match=r"R \(AWS::IAM::Role\) lacks the property Assume"):
        account.apply(of_resources({"R": {"Type": "AWS::IAM::Role"}}), {})


def test_a_reference_to_nothing(account: Account) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Nmae"}}}
    with pytest.raises(BadReference, match="Q refers to Nmae, which is not there"):
        account.apply(of_resources({"Q": queue}), {})


def test_resources_that_need_each_other(account: Account) -> None:
    def queue(other: str) -> dict[str, Any]:
        return {
            "Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": {"Fn::Sub": f"${{{other}}}"}},
        }

    with pytest.raises(Circular, match=r"need each other: (A -> B -> A|B -> A -> B)"):
        account.apply(of_resources({"A": queue("B"), "B": queue("A")}), {})


def test_a_flow_with_a_name_left_open(account: Account) -> None:
    flow = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"DefinitionString": '{"Resource": "${encode}"}', "RoleArn": "arn:role"},
    }
    with pytest.raises(BadReference, match=r"F: the definition uses \$\{encode\}, not substituted"):
        account.apply(of_resources({"F": flow}), {})


def test_what_the_cloud_refuses_names_the_resource(account: Account) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "no spaces allowed"}}
    with pytest.raises(NotCreated, match=r"Q \(AWS::SQS::Queue\) was not created: .*InvalidParam"):
        account.apply(of_resources({"Q": queue}), {})


# Parameters, conditions and functions


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        ({}, {"Stag": "x"}, "The template has no parameter Stag."),
        ({"Stage": {"Type": "String"}}, {}, "Parameter Stage has no value and no default."),
        (
            {"Stage": {"Type": "String", "AllowedPattern": "[a-z]+"}},
            {"Stage": "Dev1"},
            "Parameter Stage: 'Dev1' does not match [a-z]+.",
        ),
        (
            {"Size": {"Type": "Number", "AllowedValues": [1, 2]}},
            {"Size": "3"},
            "Parameter Size: '3' is not one of [1, 2].",
        ),
    ],
)
def test_parameters_are_checked(
    account: Account, declared: dict[str, Any], given: dict[str, str], message: str
) -> None:
    with pytest.raises(BadReference) as refusal:
        account.apply(of_resources({}, Parameters=declared), given)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Ref": "Stage"}, "dev"),
        ({"Ref": "AWS::Region"}, REGION),
        ({"Fn::Sub": "a-${Stage}-${AWS::AccountId}-${!kept}"}, "a-dev-123456789012-${kept}"),
        ({"Fn::Sub": ["${Own}-${Stage}", {"Own": {"Ref": "Stage"}}]}, "dev-dev"),
        ({"Fn::Join": ["/", ["a", {"Ref": "Stage"}]]}, "a/dev"),
        ({"Fn::Select": ["1", {"Ref": "Kinds"}]}, "kept"),
        ({"Fn::Select": [0, {"Fn::Split": ["v", {"Ref": "Stage"}]}]}, "de"),
        ({"Fn::If": ["IsDev", "yes", "no"]}, "yes"),
        ({"Fn::If": ["IsOther", "yes", {"Ref": "Stage"}]}, "dev"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "small"]}, "1"),
        ({"Fn::Join": ["", ["a", {"Ref": "AWS::NoValue"}, "b"]]}, "ab"),
    ],
)
def test_functions_give_what_cloudformation_gives(
    account: Account, expression: dict[str, Any], value: str
) -> None:
    made = account.apply(
        of_resources(
            {},
            Parameters={
                "Stage": {"Type": "String", "Default": "dev"},
                "Kinds": {"Type": "CommaDelimitedList", "Default": "completed, kept"},
            },
            Mappings={"Sizes": {"dev": {"small": 1}}},
            Conditions={
                "IsDev": {"Fn::Equals": [{"Ref": "Stage"}, "dev"]},
                "IsOther": {
                    "Fn::Or": [{"Fn::Not": [{"Condition": "IsDev"}]}, {"Fn::Equals": [1, 2]}]
                },
            },
            Outputs={
                "Value": {"Value": expression},
                "Absent": {"Value": "x", "Condition": "IsOther"},
            },
        ),
        {},
    )
    assert made.outputs == {"Value": value}
