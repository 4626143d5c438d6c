"""Least privilege: every call a function was seen to make is allowed, and nothing else is.

calls.json holds each call of each function, recorded in whole stages with every fault the matrix
knows. Here each is made once more, by the real adapter, on the stand-in cloud, under the policies
of the function's own role. The stand-in enforces those in `slimreel up` and in every end-to-end
test likewise, so a permission that is missing fails there, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from chalicelib.adapters import storage as storage_module
from chalicelib.adapters.catalogue import index_of
from chalicelib.domain.encoding import job_settings
from slimreel.local.iam import Used
from slimreel.template import cloudformation, logical_id
from tests.examples import a_plan
from tests.fakes import COMPRESSED, SUBMITTED
from tests.reliability import calls
from tests.reliability.calls import MadeCall
from tests.reliability.rare import EVERY_LIST
from tests.reliability.rig import CALLS, Rig, rigged

ROOT = Path(__file__).resolve().parents[2]
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "ForbiddenException"}
MIB = 2**20

#: What Lambda does itself with a function's role; no code of ours makes these calls.
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
READS_ITS_QUEUE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
SENDS_WHAT_IT_GAVE_UP = {"sqs:SendMessage"}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return cloudformation(ROOT, "local")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rigged(tmp_path_factory.mktemp("rig")) as rig:
        for name, size_bytes in (("source", 100), ("long", 6 * MIB), ("longer", 11 * MIB)):
            mine = () if name == "source" else (rig.temp,)
            for bucket in (rig.compressed, SUBMITTED, *mine):
                key, body = f"jobs/1/{name}.mp4", bytes(size_bytes)
                rig.services.storage.put(bucket, key, body, content_type="video/mp4")
        yield rig


@pytest.fixture(scope="module")
def used(rig: Rig) -> set[Used]:
    """What of the policies the recorded calls need, each made under its function's role."""
    made = calls.read()
    refused = [f"{one.function}: {one.call}: {why}" for one in made if (why := refusal(rig, one))]
    assert not refused, "\n".join(refused)
    return rig.cloud.guard.used


def role_of(function: str) -> str:
    identifier = "ApiHandler" if function == calls.API else logical_id(function)
    return f"slimreel-local-{identifier}Role"


def refusal(rig: Rig, made: MadeCall) -> str | None:
    """What keeps a function from making this call; None where nothing does."""
    for act in ways(rig, made):
        with rig.cloud.guard.acting_as(role_of(made.function)):
            try:
                act()
            except ClientError as error:
                if error.response["Error"]["Code"] not in DENIED:
                    raise
                return str(error)
    return None


def ways(rig: Rig, made: MadeCall) -> Iterator[Callable[[], Any]]:
    """The call in each way it may go; what it has to find is there by then."""
    services = rig.services
    match made.call:
        case "secrets.get":
            yield lambda: services.secrets.get(made.about)
        case "catalogue.list_jobs":
            [asked] = [one for one in EVERY_LIST if index_of(one) == made.about]
            yield lambda: services.catalogue.list_jobs(asked, limit=5)
        case "storage.presigned_url":
            # Opened by somebody who has no key, with what the function may do.
            bucket = rig.compressed if made.about == COMPRESSED else rig.temp
            yield lambda: opened(
                services.storage.presigned_url(bucket, "jobs/1/long.mp4", expires_s=60)
            )
        case "storage.copy" if made.about.startswith(SUBMITTED):
            pass
        case _:
            with about(rig, made):
                act = CALLS[made.call](rig)
            yield lambda: _about(rig, made, act)
    if made.call == "storage.copy":
        yield from copies_in_parts(rig, made)


def _about(rig: Rig, made: MadeCall, act: Callable[[], Any]) -> Any:
    with about(rig, made):
        return act()


@contextmanager
def about(rig: Rig, made: MadeCall) -> Iterator[None]:
    """The rig's calls are about the temporary bucket, unless that is another one."""
    before = rig.temp
    if made.about in (COMPRESSED, SUBMITTED):
        rig.temp = rig.compressed if made.about == COMPRESSED else SUBMITTED
    try:
        yield
    finally:
        rig.temp = before


def opened(url: str) -> None:
    answer = requests.get(url, timeout=10)
    if answer.status_code == 403:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": answer.text}}, "GetObject")
    assert answer.status_code == 200


def copies_in_parts(rig: Rig, made: MadeCall) -> Iterator[Callable[[], Any]]:
    """Of a film above 5 GiB: begun and gone on with; and begun, and given up for another film."""
    source, target = (rig.temp, "jobs/1/longer.mp4"), (rig.compressed, "compress/1/film.mp4")
    if made.about.startswith(SUBMITTED):
        source, target = (SUBMITTED, "jobs/1/longer.mp4"), (rig.temp, "jobs/1/copied.mp4")
        small = SUBMITTED, "jobs/1/long.mp4"
        how = {"content_type": "video/mp4", "file_name": "film.mp4"}
        yield lambda: rig.services.storage.copy(small, target, **how)
    told = {"content_type": "video/mp4", "file_name": "film.mp4"}
    begun: list[str] = []

    def copied(**options: Any) -> bool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage_module, "COPY_LIMIT_BYTES", 5 * MIB)
            patch.setattr(storage_module, "COPY_PART_BYTES", 6 * MIB)
            return rig.services.storage.copy(source, target, **told, **options)

    yield lambda: copied(begun=begun.append, seconds_left=lambda: 0.0)
    yield lambda: copied(under_way=begun[0])
    yield lambda: copied(begun=begun.append, seconds_left=lambda: 0.0)
    yield lambda: copied(under_way=f"another {begun[1].partition(' ')[2]}")


def of_type(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [r["Properties"] for r in template["Resources"].values() if r["Type"] == kind]


def lambdas_own(template: dict[str, Any]) -> dict[str, set[tuple[str, str]]]:
    """Action and resource of what Lambda does itself, by role."""
    found: dict[str, set[tuple[str, str]]] = {}
    queues = {
        name: resource["Properties"]["QueueName"]["Fn::Sub"].replace("${Stage}", "local")
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::SQS::Queue"
    }

    def add(function: str, actions: set[str], resource: str) -> None:
        role = template["Resources"][function]["Properties"]["Role"]["Fn::GetAtt"][0]
        parts = found.setdefault(f"slimreel-local-{role}", set())
        parts.update((action, resource) for action in actions)

    def queue_arn(name: str) -> str:
        return f"arn:aws:sqs:eu-west-1:123456789012:{queues[name]}"

    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Lambda::Function":
            function = resource["Properties"]["FunctionName"]["Fn::Sub"].replace(
                "${Stage}", "local"
            )
            group = f"log-group:/aws/lambda/{function}:*"
            add(name, LOGS, f"arn:aws:logs:eu-west-1:123456789012:{group}")
            add(name, TRACES, "*")
    for mapping in of_type(template, "AWS::Lambda::EventSourceMapping"):
        queue = mapping["EventSourceArn"]["Fn::Sub"][2:].removesuffix(".Arn}")
        add(mapping["FunctionName"]["Ref"], READS_ITS_QUEUE, queue_arn(queue))
    for invoke in of_type(template, "AWS::Lambda::EventInvokeConfig"):
        queue = invoke["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0]
        add(invoke["FunctionName"]["Ref"], SENDS_WHAT_IT_GAVE_UP, queue_arn(queue))
    return found


def test_only_functions_that_exist_were_seen(template: dict[str, Any]) -> None:
    functions = {
        properties["FunctionName"]["Fn::Sub"].removeprefix("slimreel-${Stage}-")
        for properties in of_type(template, "AWS::Lambda::Function")
    }
    assert {one.function for one in calls.read()} <= functions


def test_every_call_is_allowed_and_no_permission_goes_unused(
    rig: Rig, template: dict[str, Any], used: set[Used]
) -> None:
    own = lambdas_own(template)
    granted, needed = set(), set()
    for role in own:
        granted |= rig.cloud.guard.everything(role)
        needed |= {Used(role, action, resource) for action, resource in own[role]}
    needed |= used
    # The stand-in keeps no versions of objects; a bucket of somebody's may.
    needed |= {
        replace(o, action="s3:GetObjectVersion") for o in used if f":{SUBMITTED}/" in o.resource
    }
    assert granted - needed == set(), "nobody needs these"
    assert {one for one in needed if one.role in own} - granted == set()


def test_the_encoder_reads_and_writes_temporary_files_and_no_others(rig: Rig) -> None:
    good = encoded(rig, source=rig.source_url, bucket=rig.temp)
    assert (good["Status"], good.get("ErrorMessage")) == ("COMPLETE", None)
    elsewhere = f"s3://{rig.compressed}/jobs/1/long.mp4"
    for source, bucket in ((elsewhere, rig.temp), (rig.source_url, rig.compressed)):
        bad = encoded(rig, source=source, bucket=bucket)
        assert (bad["Status"], bad["ErrorCode"]) == ("ERROR", 1401)
    role = rig.services.encoder._role_arn.rpartition("/")[2]
    used = {one for one in rig.cloud.guard.used if one.role == role}
    assert used == rig.cloud.guard.everything(role)


def encoded(rig: Rig, *, source: str, bucket: str) -> dict[str, Any]:
    """The MediaConvert job, once it has ended."""
    plan = a_plan(width=320, height=180, max_bitrate_bps=500_000)
    target = f"s3://{bucket}/jobs/{rig.name()}/encoded"
    settings = job_settings(plan, source_url=source, destination_url=target)
    made = rig.services.encoder.create_job(settings, job_id=rig.name(), attempt=1, workflow="c")
    while (job := rig.services.encoder.get_job(made))["Status"] in ("SUBMITTED", "PROGRESSING"):
        time.sleep(0.05)
    return job


def test_what_a_role_is_not_given_it_may_not(rig: Rig) -> None:
    """That the test above can fail: a step that reads films cannot remove one."""
    delete = MadeCall("inspect", "storage.delete_prefix", "temp")
    assert "not authorized to perform: s3:ListBucket" in str(refusal(rig, delete))
    publish = MadeCall("verify", "topic.publish", "")
    assert "AuthorizationError" in str(refusal(rig, publish))
