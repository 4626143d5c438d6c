"""One call of the API, read and checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from werkzeug import Request, Response

from slimreel.local.drive import fields
from slimreel.local.drive.contract import Method
from slimreel.local.drive.errors import JSON_TYPE, Refusal, invalid_value, not_modelled
from slimreel.local.drive.oauth import Identity
from slimreel.local.drive.resources import MODELLED_FIELDS
from slimreel.local.drive.uploads import json_object
from slimreel.local.faults import Fault

#: Parameters that exist and would change the answer, but are not modelled.
_NOT_MODELLED = frozenset(
    (
        "access_token",
        "callback",
        "corpus",
        "includeLabels",
        "includePermissionsForView",
        "keepRevisionForever",
        "oauth_token",
        "ocrLanguage",
        "upload_protocol",
        "useContentAsIndexableText",
    )
)
#: Where `driveId` is.
_OF_ONE_DRIVE = frozenset(("changes.getStartPageToken", "changes.list"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to one method of the API.

    Attributes:
        ids: what the path names ("fileId").
        args: the query parameters, typed as the contract says.
        fault: what a test wants to go wrong with the body.
    """

    request: Request
    method: Method
    ids: dict[str, str]
    args: dict[str, Any]
    identity: Identity
    is_upload: bool
    fault: Fault | None

    @property
    def email(self) -> str:
        return self.identity.person.email

    def body(self) -> dict[str, Any]:
        """Return the JSON object in the request's body."""
        return json_object(self.request.get_data())

    def mask(self, default: fields.Mask, schema_name: str) -> fields.Mask:
        """Return what the caller wants to see of the answer.

        Raises:
            Refusal: 400 for fields that do not exist, 501 for some that are not modelled.
        """
        text = self.args.get("fields")
        if not text:
            return default
        mask = fields.parse(text)
        fields.check(mask, schema_name, MODELLED_FIELDS)
        return mask


def check_scope_of_search(
    args: dict[str, Any], operation: str, has_log: Callable[[str], bool]
) -> None:
    """Refuse what concerns other spaces and parameters not modelled.

    Args:
        has_log: whether an id is that of a shared drive whose log the account may read.

    Raises:
        Refusal: 404, no such shared drive; 400; or 501.
    """
    for name in _NOT_MODELLED & args.keys():
        if args[name]:
            raise not_modelled(f"the parameter {name!r}")
    drive_id = args.get("driveId") or args.get("teamDriveId")
    if drive_id and not has_log(str(drive_id)):
        message = f"Shared drive not found: {drive_id}"
        raise Refusal(404, "notFound", message, parameter="driveId")
    if drive_id and not (args.get("driveId") and operation in _OF_ONE_DRIVE):
        raise not_modelled(f"the parameter 'driveId' of {operation}")
    if args.get("spaces", "drive") != "drive":
        raise not_modelled("spaces other than 'drive'")
    match args.get("corpora", "user"):
        case "user" | "allDrives":
            return
        case "drive":
            message = "The driveId parameter must be specified if corpora is set to drive."
            raise Refusal(400, "invalid", message, parameter="driveId")
        case "domain":
            raise not_modelled("corpora=domain")
        case _:
            raise invalid_value("corpora")


def answer(body: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body, indent=1), status, content_type=JSON_TYPE)
