"""What lies still and what travels is encrypted, and nothing is open that need not be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slimreel.template import cloudformation

ROOT = Path(__file__).resolve().parents[2]
TLS_ONLY = {"Bool": {"aws:SecureTransport": "false"}}
#: They are for strangers, and check their callers themselves or hold no data.
PUBLIC = {
    # Google and Airtable have no AWS identity: the handlers check a token, and an HMAC signature.
    *{("POST", "/drive/notifications"), ("POST", "/airtable/notifications")},
    *{("GET", "/v/{job_id}"), ("GET", "/health")},
    *{("GET", "/app"), ("GET", "/app/{version}/{name}")},
}
#: CloudWatch cannot use Amazon's own key of SNS, and what an alarm says is in this template.
NOT_OURS_TO_ENCRYPT = {"AlarmTopic"}


@pytest.fixture(scope="module")
def resources() -> dict[str, dict[str, Any]]:
    return dict(cloudformation(ROOT, "dev")["Resources"])


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: one.get("Properties", {}) for name, one in resources.items() if one["Type"] == kind
    }


def refusing_plain_http(
    resources: dict[str, dict[str, Any]], kind: str, member: str
) -> dict[str, set[str]]:
    """What must come by TLS, by the resources whose policy says so."""
    found: dict[str, set[str]] = {}
    for policy in of_type(resources, kind).values():
        holders = policy[member]
        for holder in holders if isinstance(holders, list) else [holders]:
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Deny" and statement.get("Condition") == TLS_ONLY:
                    assert statement["Principal"] == "*"
                    found.setdefault(holder["Ref"], set()).add(statement["Action"])
    return found


def test_every_bucket_is_private_encrypted_and_reached_by_tls_only(
    resources: dict[str, dict[str, Any]],
) -> None:
    buckets = of_type(resources, "AWS::S3::Bucket")
    refusing = refusing_plain_http(resources, "AWS::S3::BucketPolicy", "Bucket")
    assert refusing == {name: {"s3:*"} for name in buckets}
    for name, bucket in buckets.items():
        assert list(bucket["PublicAccessBlockConfiguration"].values()) == [True] * 4, name
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"], name


def test_no_policy_of_a_bucket_queue_or_topic_lets_everyone_in(
    resources: dict[str, dict[str, Any]],
) -> None:
    for kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        for name, policy in of_type(resources, kind).items():
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    assert statement["Principal"] != "*", name
                    assert statement["Condition"], name


def test_every_queue_is_encrypted_and_reached_by_tls_only(
    resources: dict[str, dict[str, Any]],
) -> None:
    queues = of_type(resources, "AWS::SQS::Queue")
    assert all(queue["SqsManagedSseEnabled"] for queue in queues.values())
    refusing = refusing_plain_http(resources, "AWS::SQS::QueuePolicy", "Queues")
    assert refusing == {name: {"sqs:*"} for name in queues}


def test_topics_are_encrypted_and_reached_by_tls_only(
    resources: dict[str, dict[str, Any]],
) -> None:
    topics = of_type(resources, "AWS::SNS::Topic").keys() - NOT_OURS_TO_ENCRYPT
    refusing = refusing_plain_http(resources, "AWS::SNS::TopicPolicy", "Topics")
    assert refusing == {name: {"sns:Publish"} for name in topics}
    for name in topics:
        assert resources[name]["Properties"]["KmsMasterKeyId"] == "alias/aws/sns"


def test_logs_are_json_and_no_library_may_be_talkative(
    resources: dict[str, dict[str, Any]],
) -> None:
    """At DEBUG botocore logs whole answers, and so the secrets SSM gives."""
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        assert function["LoggingConfig"] == {"LogFormat": "JSON", "ApplicationLogLevel": "WARN"}
        assert function["Environment"]["Variables"]["LOG_LEVEL"] == {"Ref": "LogLevel"}, name


def test_no_secret_is_in_the_template(resources: dict[str, dict[str, Any]]) -> None:
    """Functions are told where their secrets are, and read them from SSM."""
    for function in of_type(resources, "AWS::Lambda::Function").values():
        for variable in function["Environment"]["Variables"]:
            assert not any(word in variable for word in ("TOKEN", "SECRET_", "PASSWORD", "_KEY"))
    assert "{{resolve:" not in json.dumps(resources)


def test_every_route_but_the_public_ones_has_an_authorizer(
    resources: dict[str, dict[str, Any]],
) -> None:
    (api,) = of_type(resources, "AWS::ApiGateway::RestApi").values()
    open_to_all = {
        (method.upper(), path)
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
        if method != "options" and not operation.get("security")
    }
    assert open_to_all == PUBLIC
