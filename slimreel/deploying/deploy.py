"""`slimreel deploy`: bring a stage to what this checkout says."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from slimreel.deploying import CannotDeploy, stack_name
from slimreel.deploying.account import Account
from slimreel.deploying.artefacts import ensure_bucket, upload_template
from slimreel.deploying.follow import End, follow, is_busy, last_event
from slimreel.deploying.parameters import merged, outputs_of, values_of
from slimreel.deploying.progress import Progress
from slimreel.deploying.stacks import ChangeSet, change_set, described, discard
from slimreel.deploying.words import dangers, in_words

Ask = Callable[[str], bool]

#: What API Gateway calls an API; any other address is a person's own.
_GATEWAY = re.compile(r"https://[a-z0-9]+\.execute-api\.[a-z0-9-]+\.amazonaws\.com")
#: The stack never came to life; all that can be done with it is to delete it.
_STILLBORN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be deployed.

    Attributes:
        package: the folder that `slimreel package` filled.
        from_file, from_flags: parameters by name.
        may_replace: logical ids of buckets and tables that may be replaced or removed.
    """

    stage: str
    package: Path
    from_file: Mapping[str, str] = field(default_factory=dict)
    from_flags: Mapping[str, str] = field(default_factory=dict)
    may_replace: Collection[str] = ()


class Stopped(Exception):
    """A person pressed Ctrl-C, or said no; the message says how things stand.

    Attributes:
        goes_on: CloudFormation is at work, whether anybody looks or not.
    """

    def __init__(self, message: str, *, goes_on: bool = False) -> None:
        super().__init__(message)
        self.goes_on = goes_on


def deploy(account: Account, wanted: Wanted, *, ask: Ask, console: Console) -> dict[str, str]:
    """Bring the stage's stack to what `wanted` says.

    Safe to repeat and to interrupt: what goes on already is followed to its end first.

    Args:
        ask: whether a person agrees; called once what would happen has been shown.

    Returns:
        The stack's outputs.

    Raises:
        CannotDeploy: it failed, or was refused; see its message.
        Stopped: see there.
    """
    client, name = account.client("cloudformation"), stack_name(wanted.stage)
    _settle(account, wanted.stage, ask=ask, console=console)
    bucket, made = ensure_bucket(account)
    if made:
        console.print(f"Made the bucket {bucket} for code and templates.")
    template, url = upload_template(
        account, wanted.package, bucket, lambda text: console.print(f"{text} …", markup=False)
    )
    stack = described(client, name)
    parameters = merged(
        template.get("Parameters", {}),
        stage=wanted.stage,
        from_file={**account.parameters, **wanted.from_file},
        from_flags=wanted.from_flags,
        present=values_of(stack or {}),
    )
    changes = change_set(client, name, template_url=url, parameters=parameters, stage=wanted.stage)
    if changes is None:
        console.print("Nothing changes: the stage is as this checkout says.")
    else:
        _agree(account, changes, wanted, ask=ask, console=console)
        _execute(account, changes, console)
    _tell_own_address(account, wanted, console)
    stack = described(client, name)
    return outputs_of(stack or {})


def follow_to_the_end(
    account: Account, stack_id: str, console: Console, *, since: str, expected: int = 0
) -> End:
    """Show what goes on with a stack until it ends.

    Raises:
        Stopped: by Ctrl-C; CloudFormation goes on.
    """
    client = account.client("cloudformation")
    try:
        with Progress(console, expected) as progress:
            return follow(client, stack_id, since=since, listener=progress.event)
    except KeyboardInterrupt:
        raise Stopped(
            "CloudFormation goes on without you. To see how it ends, run the same command again: "
            "it follows what goes on first.",
            goes_on=True,
        ) from None


def failed(what: str, end: End, console_url: str = "") -> CannotDeploy:
    """The error that tells of an end that was not a good one."""
    lines = [f"{what} failed, and the stack is now {end.status}."]
    lines += [f"First cause: {end.cause}"] if end.cause else []
    lines += [f"Next: {end.next_step}"] if end.next_step else []
    return CannotDeploy("\n".join(lines + ([console_url] if console_url else [])))


def _settle(account: Account, stage: str, *, ask: Ask, console: Console) -> None:
    """Get the stack into a state from which it can be updated or made."""
    client, name = account.client("cloudformation"), stack_name(stage)
    stack = described(client, name)
    if stack is not None and is_busy(stack["StackStatus"]):
        console.print(f"{name} is {stack['StackStatus']}: following that first.")
        follow_to_the_end(account, stack["StackId"], console, since="")
        stack = described(client, name)
    if stack is None:
        return
    status = stack["StackStatus"]
    if status in _STILLBORN:
        console.print(
            f"The first attempt to make {name} failed and was undone ({status}). What is left of "
            "it must be deleted before the next."
        )
        if not ask("Delete the failed attempt and go on?"):
            raise Stopped("Nothing was changed.")
        since = last_event(client, stack["StackId"])
        client.delete_stack(StackName=stack["StackId"])
        end = follow_to_the_end(account, stack["StackId"], console, since=since)
        if not end.is_good:
            raise failed("Deleting the failed attempt", end)
    elif status == "UPDATE_ROLLBACK_FAILED":
        console.print("An update failed, and so did undoing it. Undoing it is tried once more.")
        if not ask("Try?"):
            raise Stopped("Nothing was changed.")
        since = last_event(client, stack["StackId"])
        client.continue_update_rollback(StackName=stack["StackId"])
        end = follow_to_the_end(account, stack["StackId"], console, since=since)
        if end.status != "UPDATE_ROLLBACK_COMPLETE":
            raise failed("Undoing the update", end)
    elif status == "DELETE_FAILED":
        raise CannotDeploy(
            f"{name} is half deleted. Finish that first: slimreel destroy --stage {stage}"
        )


def _agree(
    account: Account, changes: ChangeSet, wanted: Wanted, *, ask: Ask, console: Console
) -> None:
    """Show the changes and ask.

    Raises:
        CannotDeploy: films or records would be lost, and nobody said that they may be.
        Stopped: the answer was no.
    """
    client = account.client("cloudformation")
    console.print(
        f"What changes in {stack_name(wanted.stage)}, account {account.account_id}, "
        f"{account.region}:"
    )
    for line in (*changes.settings, *in_words(changes.changes)):
        style = "bold red" if line.startswith(("!", "-")) else ""
        console.print(Text(f"  {line}", style=style), soft_wrap=True)
    refused = {
        name: sentence
        for name, sentence in dangers(changes.changes).items()
        if name not in wanted.may_replace
    }
    if refused:
        discard(client, changes)
        flags = " ".join(f"--may-replace {name}" for name in refused)
        raise CannotDeploy(
            "REFUSED, because films or records would be lost from view:\n"
            + "\n".join(refused.values())
            + f"\nIf that is what you want, deploy again with {flags}."
        )
    if not ask("Apply these changes?"):
        discard(client, changes)
        raise Stopped("Nothing was changed.")


def _execute(account: Account, changes: ChangeSet, console: Console) -> None:
    client = account.client("cloudformation")
    since = last_event(client, changes.stack_id)
    client.execute_change_set(ChangeSetName=changes.id)
    end = follow_to_the_end(
        account, changes.stack_id, console, since=since, expected=len(changes.changes)
    )
    if not end.is_good:
        raise failed("Making the stack" if changes.creates else "The update", end)


def _tell_own_address(account: Account, wanted: Wanted, console: Console) -> None:
    """PublicUrl follows the API's address, which is known only once the API is there.

    The functions need it, and the API needs the functions: so it takes a second, short update.
    A `PublicUrl` that a person set, a domain of their own say, stays.
    """
    client, name = account.client("cloudformation"), stack_name(wanted.stage)
    stack: dict[str, Any] = described(client, name) or {}
    values, url = values_of(stack), account.api_url(outputs_of(stack))
    if "PublicUrl" in {**wanted.from_file, **wanted.from_flags} or not url:
        return
    present = values.get("PublicUrl", url)
    ours = not present or account.is_stand_in or _GATEWAY.match(present)
    if present == url or not ours:
        return
    parameters = [
        {"ParameterKey": one, "UsePreviousValue": True} for one in values if one != "PublicUrl"
    ]
    parameters.append({"ParameterKey": "PublicUrl", "ParameterValue": url})
    changes = change_set(client, name, template_url=None, parameters=parameters, stage=wanted.stage)
    if changes is not None:
        console.print(f"Now the functions are told their address, {url}:")
        _execute(account, changes, console)
