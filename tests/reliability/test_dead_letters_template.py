"""Nothing that fails each time may vanish: every way in has a dead-letter queue, every such queue
an alarm. Read from the one template, so that a new queue, rule or schedule cannot go without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from slimreel.local import REGION
from slimreel.local.stack import apply
from slimreel.template import cloudformation

ROOT = Path(__file__).resolve().parents[2]
Properties = dict[str, Any]


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return cloudformation(ROOT, "dev")


def of_type(template: dict[str, Any], kind: str) -> dict[str, Properties]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def named(value: Any) -> str:
    """The resource that a GetAtt or Ref is about."""
    return str(value["Fn::GetAtt"][0] if "Fn::GetAtt" in value else value["Ref"])


def dead_letter_queues(template: dict[str, Any]) -> dict[str, set[str]]:
    """Each queue that takes what failed, with what fails into it."""
    found: dict[str, set[str]] = {}
    for name, queue in of_type(template, "AWS::SQS::Queue").items():
        if "RedrivePolicy" in queue:
            target = named(queue["RedrivePolicy"]["deadLetterTargetArn"])
            found.setdefault(target, set()).add(name)
    for name, rule in of_type(template, "AWS::Events::Rule").items():
        for target in rule["Targets"]:
            queue_name = named(target["DeadLetterConfig"]["Arn"])
            found.setdefault(queue_name, set()).add(name)
    for invoke in of_type(template, "AWS::Lambda::EventInvokeConfig").values():
        queue_name = named(invoke["DestinationConfig"]["OnFailure"]["Destination"])
        found.setdefault(queue_name, set()).add(named(invoke["FunctionName"]))
    return found


def test_every_queue_gives_up_into_another_which_keeps_longer(template: dict[str, Any]) -> None:
    queues = of_type(template, "AWS::SQS::Queue")
    dead = dead_letter_queues(template)
    for name, queue in queues.items():
        assert ("RedrivePolicy" in queue) != (name in dead), name
        if name in dead:
            # SQS counts a dead letter's age from when it was first sent.
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
            assert queue["MessageRetentionPeriod"] == 14 * 86400
        else:
            assert queue.get("MessageRetentionPeriod", 4 * 86400) < 14 * 86400
            target = queues[named(queue["RedrivePolicy"]["deadLetterTargetArn"])]
            assert target.get("FifoQueue") == queue.get("FifoQueue"), name


def test_every_rule_and_schedule_has_a_queue_for_what_it_cannot_deliver(
    template: dict[str, Any],
) -> None:
    rules = of_type(template, "AWS::Events::Rule")
    assert len(rules) >= 6
    policies = of_type(template, "AWS::SQS::QueuePolicy").values()
    for name, rule in rules.items():
        for target in rule["Targets"]:
            queue = named(target["DeadLetterConfig"]["Arn"])
            [statement] = [
                statement
                for policy in policies
                if {"Ref": queue} in policy["Queues"]
                for statement in policy["PolicyDocument"]["Statement"]
                if statement["Effect"] == "Allow"
            ]
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            allowed = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
            assert {"Fn::GetAtt": [name, "Arn"]} in allowed, name


def test_every_function_called_without_an_answer_has_a_queue_for_what_it_fails_on(
    template: dict[str, Any],
) -> None:
    called = {
        named(target["Arn"])
        for rule in of_type(template, "AWS::Events::Rule").values()
        for target in rule["Targets"]
    }
    covered = {
        named(invoke["FunctionName"]): invoke["DestinationConfig"]["OnFailure"]["Destination"]
        for invoke in of_type(template, "AWS::Lambda::EventInvokeConfig").values()
    }
    assert called == set(covered)
    for function, queue in covered.items():
        role = template["Resources"][f"{function}Role"]["Properties"]
        statements = [s for p in role["Policies"] for s in p["PolicyDocument"]["Statement"]]
        assert any(
            s["Resource"] == queue and "sqs:SendMessage" in s["Action"] for s in statements
        ), function


def test_every_dead_letter_queue_rings_an_alarm_that_somebody_hears(
    template: dict[str, Any],
) -> None:
    alarms = {
        named(alarm["Dimensions"][0]["Value"]): alarm
        for alarm in of_type(template, "AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
    }
    assert set(alarms) == set(dead_letter_queues(template))
    for alarm in alarms.values():
        assert (alarm["Namespace"], alarm["Statistic"]) == ("AWS/SQS", "Maximum")
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
        assert alarm["Dimensions"][0]["Name"] == "QueueName"
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
        assert "slimreel redrive" in alarm["AlarmDescription"]
    [subscription] = [
        s
        for s in of_type(template, "AWS::SNS::Subscription").values()
        if s["TopicArn"] == {"Ref": "AlarmTopic"}
    ]
    assert subscription["Endpoint"] == {"Ref": "AlarmEmail"}


def test_the_local_cloud_has_the_alarms_too(template: dict[str, Any]) -> None:
    wanted = {"AWS::CloudWatch::Alarm", "AWS::SQS::Queue", "AWS::SNS::Topic"}
    resources = {
        n: r
        for n, r in template["Resources"].items()
        if r["Type"] in wanted and "Condition" not in r
    }
    part = {"Resources": resources, "Parameters": template["Parameters"]}
    with mock_aws():
        keys = {"aws_access_key_id": "t", "aws_secret_access_key": "t"}
        clients = {n: boto3.client(n, REGION, **keys) for n in ("sqs", "sns", "cloudwatch")}
        for _ in range(2):  # the second time changes nothing
            stack = apply(part, parameters={"Stage": "local"}, client=clients.__getitem__)
        alarms = clients["cloudwatch"].describe_alarms()["MetricAlarms"]
    alarms = [alarm for alarm in alarms if alarm["Namespace"] == "AWS/SQS"]
    assert len(alarms) == len(dead_letter_queues(template))
    for alarm in alarms:
        assert alarm["AlarmName"] in stack.resources.values()
        [dimension] = alarm["Dimensions"]
        assert any(ref.endswith(dimension["Value"]) for ref in stack.resources.values())
