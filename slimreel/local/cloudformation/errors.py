"""What CloudFormation answers instead of a result."""

from __future__ import annotations


class Refused(Exception):
    """An error answer. `code` as botocore's model or the service's common errors name it."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def invalid(message: str) -> Refused:
    return Refused("ValidationError", message)


def no_stack(name: str) -> Refused:
    """Source of the wording: what boto3 users quote for DescribeStacks of an unknown name."""
    return invalid(f"Stack with id {name} does not exist")


def no_change_set(name: str) -> Refused:
    return Refused("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", status=404)


def unsupported(what: str) -> Refused:
    return Refused("NotImplemented", f"The stand-in does not do {what}.", status=501)
