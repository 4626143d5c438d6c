"""Who calls, and whether they may."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request, Response

from slimreel.local import ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY
from slimreel.local.aws_errors import error_like
from slimreel.local.iam.needs import (
    UnknownCall,
    of_aws_call,
    of_request,
    of_s3,
    to_delete,
    to_hear_of_absence,
)
from slimreel.local.iam.policies import Grant, Need, allowing, grants
from slimreel.local.moto_app import AwsCall, Moto
from slimreel.local.s3.routing import Call

log = logging.getLogger("slimreel.local.iam")

#: How services refuse a caller who may not, by status and code.
_REFUSALS = {
    "sqs": (403, "AccessDenied"),
    "sns": (403, "AuthorizationError"),
    "mediaconvert": (403, "ForbiddenException"),
}
_OTHERS = (400, "AccessDeniedException")


@dataclass(frozen=True, slots=True, order=True)
class Used:
    """Part of a policy that a call needed: as it is written there."""

    role: str
    action: str
    resource: str


class Guard:
    """Judges calls that come with a role's credentials.

    Attributes:
        used: every part of a policy that some call needed.
    """

    def __init__(self, moto: Moto) -> None:
        self._moto = moto
        self._lock = threading.Lock()
        self._roles: dict[str, str] = {}  # name by access key id
        self._grants: dict[str, list[Grant]] = {}  # by role
        self.used: set[Used] = set()
        moto.observe("iam", lambda _call, _answer: self._forget())

    def key_of(self, role_arn: str) -> str:
        """The access key id by which a role is known. A role that IAM does not have, as in tests
        without the template, has the account's own.
        """
        digest = base64.b32encode(hashlib.sha256(role_arn.encode()).digest()).decode()
        key, role = f"ASIA{digest[:16]}", role_arn.rpartition("/")[2]
        if key not in self._roles:
            if self._documents(role) is None:
                return ACCESS_KEY_ID
            with self._lock:
                self._roles[key] = role
        return key

    @property
    def secrets(self) -> Mapping[str, str]:
        """Secret keys by access key id, those that are made later included."""
        return _Secrets(self._roles)

    @contextmanager
    def acting_as(self, role: str) -> Iterator[None]:
        """The account's own key is this role's meanwhile: for trying out what it may."""
        with self._lock:
            self._roles[ACCESS_KEY_ID] = role
        try:
            yield
        finally:
            with self._lock:
                del self._roles[ACCESS_KEY_ID]

    def may(self, role: str, need: Need) -> bool:
        """Whether a role may; what allows it counts as used."""
        with self._lock:
            known = self._grants.get(role)
        if known is None:
            # Not under our lock: IAM tells us of changes under its own.
            documents = self._documents(role) or []
            known = [grant for one in documents for grant in grants(one)]
        grant = allowing(known, need)
        with self._lock:
            self._grants[role] = known
            if grant is not None:
                self.used.add(Used(role, grant.action, grant.resource))
        return grant is not None

    def role_may(self, role_arn: str, action: str, url: str) -> bool:
        """The same for a role that a service has borrowed, and an `s3://` URL. One that IAM does
        not have, as in tests without the template, may.
        """
        role = role_arn.rpartition("/")[2]
        need = Need(action=action, resource=f"arn:aws:s3:::{url.removeprefix('s3://')}")
        if self._documents(role) is None or self.may(role, need):
            return True
        self.words(role, need)
        return False

    def everything(self, role: str) -> set[Used]:
        """Every part of a role's policies."""
        documents = self._documents(role) or []
        known = [grant for one in documents for grant in grants(one)]
        return {Used(role, grant.action, grant.resource) for grant in known}

    def roles(self) -> list[str]:
        """Of every name."""
        with self._moto.locks["iam"]:
            return sorted(role.name for role in self._backend().roles.values())

    # Calls --------------------------------------------------------------------------------

    def refusal_of_aws_call(self, key: str | None, call: AwsCall) -> Response | None:
        """What a service that moto answers says to a caller who may not; None where it may."""
        role = self._roles.get(key or "")
        if role is None:
            return None
        message = self._denial(role, lambda: of_aws_call(call))
        return None if message is None else _refused(call.service, call.environ, message)

    def refusal_of_request(
        self, key: str | None, service: str, request: Request
    ) -> Response | None:
        """The same for services with a stand-in of their own; S3 asks for itself."""
        role = self._roles.get(key or "")
        if role is None:
            return None
        message = self._denial(role, lambda: of_request(service, request))
        return None if message is None else _refused(service, request.environ, message)

    def of_s3(self, key: str | None, call: Call) -> Denials | None:
        """What to tell a caller of S3; None where it may do all."""
        role = self._roles.get(key or "")
        return None if role is None else Denials(self, role, call)

    def _denial(self, role: str, read: Callable[[], Iterable[Need]]) -> str | None:
        try:
            needs = list(read())
        except UnknownCall as unknown:
            message = f"The stand-in cloud does not know what {unknown} needs to be allowed."
            log.warning("%s calls %s", role, message)
            return message
        for need in needs:
            if not self.may(role, need):
                return self.words(role, need)
        return None

    def words(self, role: str, need: Need) -> str:
        """As AWS says it, and into the log."""
        message = (
            f"User: arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role}/session is not authorized to"
            f" perform: {need.action} on resource: {need.resource} because no identity-based"
            f" policy allows the {need.action} action"
        )
        log.warning("%s", message)
        return message

    # Roles --------------------------------------------------------------------------------

    def _documents(self, role: str) -> list[dict[str, Any]] | None:
        """None when there is no such role."""
        with self._moto.locks["iam"]:
            for known in self._backend().roles.values():
                if known.name == role:
                    return [json.loads(document) for document in known.policies.values()]
        return None

    def _backend(self) -> Any:
        return self._moto.backend("iam", ACCOUNT_ID, "aws")

    def _forget(self) -> None:
        with self._lock:
            self._grants.clear()


class Denials:
    """What one caller of S3 is told. None where it may."""

    def __init__(self, guard: Guard, role: str, call: Call) -> None:
        self._guard, self._role, self._call = guard, role, call

    def of_call(self) -> str | None:
        return self._guard._denial(self._role, lambda: of_s3(self._call))

    def of_deleting(self, key: str) -> str | None:
        return self._of(to_delete(self._call.bucket, key))

    def of_hearing_of_absence(self) -> str | None:
        need = to_hear_of_absence(self._call)
        return None if need is None else self._of(need)

    def _of(self, need: Need) -> str | None:
        may = self._guard.may(self._role, need)
        return None if may else self._guard.words(self._role, need)


class _Secrets(Mapping[str, str]):
    """One secret is enough for a laptop: keys tell callers apart."""

    def __init__(self, roles: Mapping[str, str]) -> None:
        self._roles = roles

    def __getitem__(self, key: str) -> str:
        if key == ACCESS_KEY_ID or key in self._roles:
            return SECRET_ACCESS_KEY
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter({ACCESS_KEY_ID, *self._roles})

    def __len__(self) -> int:
        return len({ACCESS_KEY_ID, *self._roles})


def _refused(service: str, environ: Mapping[str, Any], message: str) -> Response:
    status, code = _REFUSALS.get(service, _OTHERS)
    return error_like(environ, status, code, message)
