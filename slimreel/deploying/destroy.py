"""`slimreel destroy`: take a stage out of an account. Films and records stay unless told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console

from slimreel.deploying import CannotDeploy, stack_name
from slimreel.deploying.account import Account
from slimreel.deploying.deploy import Ask, Stopped, failed, follow_to_the_end
from slimreel.deploying.follow import is_busy, last_event
from slimreel.deploying.stacks import described
from slimreel.deploying.words import counted, kind

TEMP, FILMS, JOBS = "TempBucket", "CompressedBucket", "JobsTable"
#: The stage's name, typed by a person; None where nobody is there to type.
Typed = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """What is to go beside what is always taken away."""

    stage: str
    delete_videos: bool = False
    delete_jobs: bool = False


@dataclass(slots=True)
class Holdings:
    """What a stage holds that a stack's deletion does not settle by itself.

    Attributes:
        stack_id: of the living stack; None when it is gone and only what was kept is left.
        physical: names of the buckets and the table, by logical id, as far as they still exist.
        types: of every resource the stack's deletion takes away.
        kept: what the deletion left, in words.
    """

    stack_id: str | None
    physical: dict[str, str]
    types: list[str]
    kept: list[str] = field(default_factory=list)


def destroy(
    account: Account, wanted: Farewell, *, ask: Ask, typed: Typed, console: Console
) -> None:
    """
    Raises:
        CannotDeploy: it failed, or was refused.
        Stopped: by a person.
    """
    client, name = account.client("cloudformation"), stack_name(wanted.stage)
    stack = described(client, name)
    if stack is not None and is_busy(stack["StackStatus"]):
        console.print(f"{name} is {stack['StackStatus']}: following that first.")
        follow_to_the_end(account, stack["StackId"], console, since="")
    held = _holdings(account, name)
    if held.stack_id is None and not held.physical:
        console.print(f"There is no {name} in account {account.account_id}, {account.region}.")
        return
    _say(account, held, wanted, console)
    _agree(held, wanted, ask=ask, typed=typed)
    if held.stack_id is not None:
        held.kept = _delete_stack(account, held, console)
    if wanted.delete_videos and FILMS in held.physical:
        count = _empty(account, held.physical[FILMS])
        account.client("s3").delete_bucket(Bucket=held.physical[FILMS])
        console.print(f"Deleted the bucket {held.physical[FILMS]} with {_videos(count)}.")
    if wanted.delete_jobs and JOBS in held.physical:
        account.client("dynamodb").delete_table(TableName=held.physical[JOBS])
        console.print(f"Deleted the table {held.physical[JOBS]}.")
    _farewell(held, wanted, console)


def _holdings(account: Account, name: str) -> Holdings:
    client = account.client("cloudformation")
    stack = described(client, name)
    physical: dict[str, str] = {}
    if stack is not None:
        resources = _resources(client, stack["StackId"])
        for one in resources:
            if one["LogicalResourceId"] in (TEMP, FILMS, JOBS) and one.get("PhysicalResourceId"):
                physical[one["LogicalResourceId"]] = one["PhysicalResourceId"]
        gone = ("DELETE_COMPLETE", "DELETE_SKIPPED")
        types = [one["ResourceType"] for one in resources if one["ResourceStatus"] not in gone]
        for logical_id in [*physical]:
            if not _exists(account, logical_id, physical[logical_id]):
                del physical[logical_id]
        return Holdings(stack["StackId"], physical, types)
    # A deleted stack is remembered for 90 days, and with it what it left behind.
    pages = client.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
    for page in pages:
        for old in page["StackSummaries"]:
            if old["StackName"] != name:
                continue
            for one in _resources(client, old["StackId"]):
                logical_id, left = one["LogicalResourceId"], one.get("PhysicalResourceId", "")
                known = logical_id in (FILMS, JOBS) and logical_id not in physical
                if known and left and _exists(account, logical_id, left):
                    physical[logical_id] = left
    return Holdings(None, physical, [])


def _resources(client: Any, stack_id: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return [one for page in pages for one in page["StackResourceSummaries"]]


def _exists(account: Account, logical_id: str, physical_id: str) -> bool:
    try:
        if logical_id == JOBS:
            account.client("dynamodb").describe_table(TableName=physical_id)
        else:
            account.client("s3").head_bucket(Bucket=physical_id)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404 or error.response["Error"]["Code"] == "ResourceNotFoundException":
            return False
        raise
    return True


def _say(account: Account, held: Holdings, wanted: Farewell, console: Console) -> None:
    where = f"account {account.account_id}, {account.region}"
    if held.stack_id is not None:
        console.print(f"What goes from {stack_name(wanted.stage)}, {where}:")
        console.print(f"  - {counted(held.types)}", soft_wrap=True)
        if TEMP in held.physical:
            count = _count(account, held.physical[TEMP])
            console.print(
                f"  - {count} temporary files (copies of sources, pieces); originals are in Drive",
                soft_wrap=True,
            )
    else:
        console.print(f"The stack is gone already; this is left of it in {where}:")
    if FILMS in held.physical:
        films = _videos(_count(account, held.physical[FILMS]))
        verb = "DELETED" if wanted.delete_videos else "kept"
        style = "bold red" if wanted.delete_videos else ""
        console.print(f"  - {verb}: {films} in {held.physical[FILMS]}", style=style)
    if JOBS in held.physical:
        table = account.client("dynamodb").describe_table(TableName=held.physical[JOBS])["Table"]
        verb = "DELETED" if wanted.delete_jobs else "kept"
        style = "bold red" if wanted.delete_jobs else ""
        about = f"some {table.get('ItemCount', 0)} records"  # counted by DynamoDB every six hours
        console.print(f"  - {verb}: {about} of jobs in {held.physical[JOBS]}", style=style)
    console.print("Google Drive and Airtable are not touched.")


def _agree(held: Holdings, wanted: Farewell, *, ask: Ask, typed: Typed) -> None:
    losing = (wanted.delete_videos and FILMS in held.physical) or (
        wanted.delete_jobs and JOBS in held.physical
    )
    if losing:
        said = typed(f"This cannot be undone. Type {wanted.stage} to go on: ")
        if said is None:
            raise CannotDeploy(
                "Deleting videos or jobs must be confirmed by the stage's name: --confirm "
                f"{wanted.stage}"
            )
        if said.strip() != wanted.stage:
            raise Stopped("That is not the stage's name. Nothing was deleted.")
    elif held.stack_id is None:
        raise Stopped(
            "To delete that, too: slimreel destroy with --delete-videos, --delete-jobs or both."
        )
    elif not ask("Delete it?"):
        raise Stopped("Nothing was deleted.")


def _delete_stack(account: Account, held: Holdings, console: Console) -> list[str]:
    """What was left, because the template says that it stays."""
    client, stack_id = account.client("cloudformation"), held.stack_id
    if TEMP in held.physical:  # CloudFormation deletes no bucket that holds something
        _empty(account, held.physical[TEMP])
    since = last_event(client, str(stack_id))
    client.delete_stack(StackName=stack_id)
    end = follow_to_the_end(account, str(stack_id), console, since=since, expected=len(held.types))
    if not end.is_good:
        raise failed("Deleting the stack", end)
    return [
        f"{kind(one['ResourceType'])} {one['PhysicalResourceId']}"
        for one in _resources(client, str(stack_id))
        if one["ResourceStatus"] == "DELETE_SKIPPED"
    ]


def _farewell(held: Holdings, wanted: Farewell, console: Console) -> None:
    console.print("Done.")
    gone = [
        held.physical.get(name)
        for name, is_gone in ((FILMS, wanted.delete_videos), (JOBS, wanted.delete_jobs))
        if is_gone
    ]
    kept = [one for one in held.kept if one.split()[-1] not in gone]
    if kept:
        console.print(f"Kept: {', '.join(kept)}.", soft_wrap=True)
        console.print(
            f"To delete videos and jobs later: slimreel destroy --stage {wanted.stage} "
            "--delete-videos --delete-jobs",
            soft_wrap=True,
        )
    console.print(
        f"Left as well: the secrets below /slimreel/{wanted.stage}/ in SSM Parameter Store, and "
        "the bucket of packages. Drive's channel ends by itself within a week.",
        soft_wrap=True,
    )


def _videos(count: int) -> str:
    return "1 video" if count == 1 else f"{count} videos"


def _count(account: Account, bucket: str) -> int:
    pages = account.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return sum(page.get("KeyCount", 0) for page in pages)


def _empty(account: Account, bucket: str) -> int:
    """Delete every object and give up every unfinished upload; how many objects there were."""
    s3, count = account.client("s3"), 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        keys = [{"Key": one["Key"]} for one in page.get("Contents", [])]
        if keys:
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            if answer.get("Errors"):
                first = answer["Errors"][0]
                raise CannotDeploy(
                    f"{bucket}: {first['Key']} could not be deleted: {first['Message']}"
                )
            count += len(keys)
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    return count
