"""What a caller must be allowed, read from the call as it arrives.

Only calls that functions may reasonably make are known; any other is nobody's to make here.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from werkzeug import Request

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.iam.policies import Need
from slimreel.local.mediaconvert import model
from slimreel.local.moto_app import AwsCall
from slimreel.local.s3.routing import Call


class UnknownCall(Exception):
    """What this call needs is not known here; the message names it."""


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


def of_aws_call(call: AwsCall) -> list[Need]:
    """Of a call to a service that moto answers.

    Raises:
        UnknownCall: nobody has said yet what it needs.
    """
    read = _SERVICES.get(call.service)
    if read is None:
        raise UnknownCall(f"{call.service}:{call.operation}")
    try:
        return read(call.operation, _parameters(call))
    except KeyError:
        raise UnknownCall(f"{call.service}:{call.operation}") from None


def _parameters(call: AwsCall) -> dict[str, Any]:
    text = call.body.decode(errors="replace")
    if str(call.environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form"):
        return {name: values[0] for name, values in parse_qs(text).items()}
    return dict(json.loads(text or "{}"))


def _dynamodb(operation: str, given: Mapping[str, Any]) -> list[Need]:
    if operation in ("BatchGetItem", "BatchWriteItem"):
        return [
            Need(action=f"dynamodb:{operation}", resource=_arn("dynamodb", f"table/{table}"))
            for table in given["RequestItems"]
        ]
    table = str(given["TableName"])
    arn = table if table.startswith("arn:") else _arn("dynamodb", f"table/{table}")
    index = given.get("IndexName")
    return [
        Need(
            action=f"dynamodb:{_only(operation, _TABLE_OPERATIONS)}",
            resource=f"{arn}/index/{index}" if index else arn,
        )
    ]


_TABLE_OPERATIONS = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "DescribeTable")


def _sqs(operation: str, given: Mapping[str, Any]) -> list[Need]:
    queue = str(given["QueueUrl"]).rpartition("/")[2]
    single = _only(
        operation.removesuffix("Batch"),
        (
            *("SendMessage", "ReceiveMessage", "DeleteMessage"),
            *("ChangeMessageVisibility", "GetQueueAttributes"),
        ),
    )
    return [Need(action=f"sqs:{single}", resource=_arn("sqs", queue))]


def _sns(operation: str, given: Mapping[str, Any]) -> list[Need]:
    return [Need(action=f"sns:{_only(operation, ('Publish',))}", resource=str(given["TopicArn"]))]


def _states(operation: str, given: Mapping[str, Any]) -> list[Need]:
    member = {
        "StartExecution": "stateMachineArn",
        "DescribeExecution": "executionArn",
        "GetExecutionHistory": "executionArn",
        "StopExecution": "executionArn",
        "SendTaskSuccess": None,
        "SendTaskFailure": None,
        "SendTaskHeartbeat": None,
    }[operation]
    return [Need(action=f"states:{operation}", resource=str(given[member]) if member else "*")]


def _ssm(operation: str, given: Mapping[str, Any]) -> list[Need]:
    name = str(given["Name"]).removeprefix("/")
    action = _only(operation, ("GetParameter", "PutParameter"))
    return [Need(action=f"ssm:{action}", resource=_arn("ssm", f"parameter/{name}"))]


def _only(operation: str, known: tuple[str, ...]) -> str:
    if operation not in known:
        raise KeyError(operation)
    return operation


_SERVICES: dict[str, Callable[[str, Mapping[str, Any]], list[Need]]] = {
    "dynamodb": _dynamodb,
    "sqs": _sqs,
    "sns": _sns,
    "states": _states,
    "ssm": _ssm,
}


def of_request(service: str, request: Request) -> list[Need]:
    """Of a call to a service with a stand-in of its own.

    Raises: UnknownCall.
    """
    if service != "mediaconvert":
        raise UnknownCall(f"{service}:{request.method} {request.path}")
    call = model.match(request.method, request.path)
    if call is None:
        raise UnknownCall(f"mediaconvert:{request.method} {request.path}")
    action = f"mediaconvert:{call.operation}"
    match call.operation:
        case "Probe":
            return [Need(action=action, resource="*")]
        case "GetJob" | "CancelJob":
            return [Need(action=action, resource=_arn("mediaconvert", f"jobs/{call.uri['id']}"))]
        case "ListJobs" | "SearchJobs":
            return [Need(action=action, resource=_queue(request.args.get("queue", "Default")))]
        case "CreateJob":
            body = json.loads(request.get_data())
            lent_to = {"iam:PassedToService": "mediaconvert.amazonaws.com"}
            return [
                Need(action=action, resource=_queue(body.get("queue") or "Default")),
                Need(action="iam:PassRole", resource=str(body.get("role")), context=lent_to),
            ]
    raise UnknownCall(action)


def _queue(given: str) -> str:
    return given if given.startswith("arn:") else _arn("mediaconvert", f"queues/{given}")


#: Object operations, by what each needs on the object itself.
#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
_OBJECT_ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListParts": "s3:ListMultipartUploadParts",
    "DeleteObject": "s3:DeleteObject",
}
_LISTINGS = {
    "ListObjects": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}


def of_s3(call: Call) -> list[Need]:
    """Of DeleteObjects nothing: each of its keys is judged for itself.

    Raises: UnknownCall.
    """
    bucket = f"arn:aws:s3:::{call.bucket}"
    if call.operation in _LISTINGS:
        prefix = {"s3:prefix": call.query["prefix"]} if "prefix" in call.query else {}
        return [Need(action=_LISTINGS[call.operation], resource=bucket, context=prefix)]
    if call.operation == "DeleteObjects":
        return []
    if call.operation not in _OBJECT_ACTIONS:
        raise UnknownCall(f"s3:{call.operation}")
    needs = [Need(action=_OBJECT_ACTIONS[call.operation], resource=f"{bucket}/{call.key}")]
    if source := call.header("x-amz-copy-source"):
        path = unquote(source).removeprefix("/").partition("?")[0]
        needs.append(Need(action="s3:GetObject", resource=f"arn:aws:s3:::{path}"))
    return needs


def to_delete(bucket: str, key: str) -> Need:
    """One key of DeleteObjects."""
    return Need(action="s3:DeleteObject", resource=f"arn:aws:s3:::{bucket}/{key}")


def to_hear_of_absence(call: Call) -> Need | None:
    """That there is no such object is told to those only who may list; None where to everybody.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html (permissions)
    """
    if call.operation not in ("GetObject", "HeadObject"):
        return None
    return Need(action="s3:ListBucket", resource=f"arn:aws:s3:::{call.bucket}")
