from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug import Request
from werkzeug.test import EnvironBuilder

from slimreel.local.iam.needs import (
    UnknownCall,
    of_aws_call,
    of_request,
    of_s3,
    to_delete,
    to_hear_of_absence,
)
from slimreel.local.iam.policies import Need, UnknownPolicy, allowing, grants
from slimreel.local.moto_app import AwsCall
from slimreel.local.s3.routing import understood

ACCOUNT = "eu-west-1:123456789012"


def statement(**members: Any) -> dict[str, Any]:
    told = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::films/jobs/*"}
    return told | members


def allowed(need: Need, *statements: dict[str, Any]) -> bool:
    return allowing(grants({"Version": "2012-10-17", "Statement": [*statements]}), need) is not None


READ = Need(action="s3:GetObject", resource="arn:aws:s3:::films/jobs/1/source.mp4")


# Policies


def test_what_is_not_allowed_is_denied() -> None:
    assert allowed(READ, statement())
    assert not allowed(READ)
    assert not allowed(READ, statement(Action=["s3:PutObject", "s3:DeleteObject"]))
    assert not allowed(READ, statement(Resource="arn:aws:s3:::films/other/*"))
    assert not allowed(READ, statement(Resource="arn:aws:s3:::films"))


def test_a_denial_beats_every_permission() -> None:
    deny = statement(Effect="Deny", Resource="*")
    assert not allowed(READ, statement(), deny)
    assert allowed(READ, statement(), statement(Effect="Deny", Action="s3:PutObject"))


def test_an_arn_does_not_cover_an_action_without_a_resource() -> None:
    probe = Need(action="mediaconvert:Probe", resource="*")
    assert allowed(probe, statement(Action="mediaconvert:Probe", Resource="*"))
    arn = f"arn:aws:mediaconvert:{ACCOUNT}:queues/slimreel"
    assert not allowed(probe, statement(Action="mediaconvert:Probe", Resource=arn))


def test_dots_and_brackets_in_names_are_plain_characters() -> None:
    fifo = statement(Action="sqs:SendMessage", Resource=f"arn:aws:sqs:{ACCOUNT}:rows.fifo")
    assert not allowed(
        Need(action="sqs:SendMessage", resource=f"arn:aws:sqs:{ACCOUNT}:rowsXfifo"), fifo
    )


def test_every_condition_must_hold() -> None:
    prefix = statement(
        Action="s3:ListBucket",
        Resource="arn:aws:s3:::films",
        Condition={"StringLike": {"s3:prefix": ["jobs/*", "tmp/*"]}},
    )

    def listing(**context: str) -> Need:
        told = {f"s3:{name}": value for name, value in context.items()}
        return Need(action="s3:ListBucket", resource="arn:aws:s3:::films", context=told)

    assert allowed(listing(prefix="jobs/1/"), prefix)
    assert not allowed(listing(prefix="other/"), prefix)
    assert not allowed(listing(), prefix), "a key that is absent matches nothing"


@pytest.mark.parametrize(
    "members",
    [
        {"NotAction": "s3:*"},
        {"Principal": "*"},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    ],
)
def test_what_is_not_understood_is_not_taken_for_nothing(members: dict[str, Any]) -> None:
    with pytest.raises(UnknownPolicy):
        grants({"Statement": [statement(**members)]})


# Needs


def aws(service: str, operation: str, body: str, content_type: str = "json") -> AwsCall:
    environ = {"CONTENT_TYPE": content_type}
    return AwsCall(service=service, operation=operation, body=body.encode(), environ=environ)


@pytest.mark.parametrize(
    ("call", "action", "resource"),
    [
        (
            aws("dynamodb", "UpdateItem", '{"TableName": "jobs"}'),
            "dynamodb:UpdateItem",
            f"arn:aws:dynamodb:{ACCOUNT}:table/jobs",
        ),
        (
            aws("dynamodb", "BatchWriteItem", '{"RequestItems": {"jobs": []}}'),
            "dynamodb:BatchWriteItem",
            f"arn:aws:dynamodb:{ACCOUNT}:table/jobs",
        ),
        (
            aws("dynamodb", "Query", '{"TableName": "jobs", "IndexName": "open"}'),
            "dynamodb:Query",
            f"arn:aws:dynamodb:{ACCOUNT}:table/jobs/index/open",
        ),
        (
            aws("sqs", "SendMessageBatch", '{"QueueUrl": "http://x/123456789012/rows.fifo"}'),
            "sqs:SendMessage",
            f"arn:aws:sqs:{ACCOUNT}:rows.fifo",
        ),
        (
            aws(
                "sns",
                "Publish",
                "TopicArn=arn%3Aaws%3Asns%3Atopic",
                "application/x-www-form-urlencoded",
            ),
            "sns:Publish",
            "arn:aws:sns:topic",
        ),
        (aws("states", "SendTaskSuccess", '{"taskToken": "t"}'), "states:SendTaskSuccess", "*"),
        (aws("states", "StartExecution", '{"stateMachineArn": "m"}'), "states:StartExecution", "m"),
        (
            aws("ssm", "GetParameter", '{"Name": "/slimreel/dev/link-key"}'),
            "ssm:GetParameter",
            f"arn:aws:ssm:{ACCOUNT}:parameter/slimreel/dev/link-key",
        ),
    ],
)
def test_a_call_needs_its_action_on_its_resource(call: AwsCall, action: str, resource: str) -> None:
    assert of_aws_call(call) == [Need(action=action, resource=resource)]


@pytest.mark.parametrize(
    "call",
    [
        aws("dynamodb", "DeleteTable", '{"TableName": "jobs"}'),
        aws("sqs", "PurgeQueue", '{"QueueUrl": "http://x/1/rows.fifo"}'),
        aws("iam", "CreateUser", "Action=CreateUser"),
    ],
)
def test_what_nobody_has_judged_yet_is_not_let_through(call: AwsCall) -> None:
    with pytest.raises(UnknownCall):
        of_aws_call(call)


def test_nor_is_a_service_that_no_function_needs_today() -> None:
    with pytest.raises(UnknownCall, match="lambda:POST"):
        of_request("lambda", http("POST", "/2015-03-31/functions/f/invocations"))


def http(method: str, path: str, **options: Any) -> Request:
    return Request(EnvironBuilder(path, method=method, **options).get_environ())


def test_an_encode_is_created_with_a_role_that_may_be_lent() -> None:
    body = json.dumps({"queue": "arn:q", "role": "arn:aws:iam::1:role/encoder"})
    create, lend = of_request("mediaconvert", http("POST", "/2017-08-29/jobs", data=body))
    assert (create.action, create.resource) == ("mediaconvert:CreateJob", "arn:q")
    assert (lend.action, lend.resource) == ("iam:PassRole", "arn:aws:iam::1:role/encoder")
    assert lend.context == {"iam:PassedToService": "mediaconvert.amazonaws.com"}


def test_a_queue_by_its_name_is_its_arn() -> None:
    (need,) = of_request("mediaconvert", http("GET", "/2017-08-29/jobs?queue=slimreel"))
    assert need.resource == f"arn:aws:mediaconvert:{ACCOUNT}:queues/slimreel"


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/films/a.mp4", "s3:GetObject"),
        ("HEAD", "/films/a.mp4", "s3:GetObject"),
        ("PUT", "/films/a.mp4?partNumber=1&uploadId=u", "s3:PutObject"),
        ("POST", "/films/a.mp4?uploads", "s3:PutObject"),
        ("GET", "/films/a.mp4?uploadId=u", "s3:ListMultipartUploadParts"),
        ("DELETE", "/films/a.mp4?uploadId=u", "s3:AbortMultipartUpload"),
    ],
)
def test_object_calls_of_s3(method: str, path: str, action: str) -> None:
    assert of_s3(understood(http(method, path))) == [
        Need(action=action, resource="arn:aws:s3:::films/a.mp4")
    ]


def test_a_copy_reads_one_object_and_writes_another() -> None:
    copy = http("PUT", "/films/b%20c.mp4", headers={"x-amz-copy-source": "temp/jobs/a%20b.mp4"})
    assert of_s3(understood(copy)) == [
        Need(action="s3:PutObject", resource="arn:aws:s3:::films/b c.mp4"),
        Need(action="s3:GetObject", resource="arn:aws:s3:::temp/jobs/a b.mp4"),
    ]


def test_listings_tell_their_prefix() -> None:
    (need,) = of_s3(understood(http("GET", "/films?list-type=2&prefix=jobs%2F1")))
    assert (need.action, need.context) == ("s3:ListBucket", {"s3:prefix": "jobs/1"})
    (need,) = of_s3(understood(http("GET", "/films?uploads")))
    assert (need.action, need.context) == ("s3:ListBucketMultipartUploads", {})


def test_keys_of_one_deletion_are_judged_one_by_one() -> None:
    assert of_s3(understood(http("POST", "/films?delete"))) == []
    assert to_delete("films", "jobs/1") == Need(
        action="s3:DeleteObject", resource="arn:aws:s3:::films/jobs/1"
    )


def test_only_who_may_list_hears_that_there_is_nothing() -> None:
    assert to_hear_of_absence(understood(http("GET", "/films/a.mp4"))) == Need(
        action="s3:ListBucket", resource="arn:aws:s3:::films"
    )
    assert to_hear_of_absence(understood(http("DELETE", "/films/a.mp4"))) is None
