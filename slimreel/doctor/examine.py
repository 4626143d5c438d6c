"""All checks in order, each after those without which it cannot be made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from slimreel.doctor import Finding, Verdict, airtable, aws, google, unknown
from slimreel.doctor.site import Site


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        needs: names of checks that must not be wrong.
    """

    name: str
    look: Callable[[Site], Iterator[Finding]]
    needs: Sequence[str] = ()


CHECKS = (
    Check("aws-account", aws.account),
    Check("lambda-quota", aws.concurrency),
    Check("mediaconvert-quota", aws.encoder_quota),
    Check("google-key", google.key),
    Check("drive-folder", google.folders, needs=("google-key",)),
    Check("drive-results", google.results, needs=("google-key",)),
    Check("airtable", airtable.base),
    Check("stack", aws.stack),
    Check("notices", aws.subscriptions, needs=("stack",)),
    Check("drive-channel", google.channel, needs=("stack", "google-key")),
    Check("given-up", aws.given_up, needs=("stack",)),
    Check("airtable-room", airtable.room, needs=("stack", "airtable")),
)


def examine(site: Site, names: Sequence[str] | None = None) -> Iterator[Finding]:
    """Findings as they are made.

    Args:
        names: only these checks; what they need is taken to be well.
    """
    ill: set[str] = set()
    for check in CHECKS:
        if names is not None and check.name not in names:
            continue
        waits = [name for name in check.needs if name in ill]
        if waits:
            ill.add(check.name)
            yield unknown(check.name, f"Cannot be looked at before {' and '.join(waits)} is well.")
            continue
        for finding in _made(check, site):
            if finding.verdict in (Verdict.WRONG, Verdict.UNKNOWN):
                ill.add(check.name)
            yield finding


def _made(check: Check, site: Site) -> Iterator[Finding]:
    try:
        yield from check.look(site)
    except ClientError as error:
        code, operation = error.response["Error"]["Code"], error.operation_name
        if "AccessDenied" in code or "NotAuthorized" in code or "Unauthorized" in code:
            yield unknown(check.name, f"Your AWS user may not call {operation}.",
                          f"Ask for the right to {operation}, or ignore this.")  # fmt: skip
        else:
            yield unknown(check.name, f"AWS answered {code} to {operation}: "
                          f"{error.response['Error'].get('Message', '')}")  # fmt: skip
    except BotoCoreError as error:
        yield unknown(check.name, f"AWS could not be asked: {error}")
