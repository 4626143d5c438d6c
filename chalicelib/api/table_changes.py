"""The webhook Airtable's pings come to: somebody changed something in the table.

A ping says neither who nor what, so it is only passed on; whose it is says its signature.
Source: https://airtable.com/developers/web/api/webhooks-overview
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from chalice.app import Response

from chalicelib.services import Services, services

log = logging.getLogger(__name__)

SIGNATURE = "x-airtable-content-mac"
#: A ping is some 150 bytes.
LIMIT_BYTES = 4096
_SHAPE = re.compile(r"hmac-sha256=[0-9a-f]{64}")


def receive(headers: Mapping[str, str], body: bytes) -> Response:
    """Have the table looked at. A ping that our webhook did not sign starts nothing."""
    given = {name.lower(): value for name, value in headers.items()}
    reach = services()
    if not _is_signed(reach, given.get(SIGNATURE, ""), body):
        log.warning("a ping was refused: its signature is wrong")
        return Response({"message": "The signature is wrong."}, status_code=403)
    # The same ping again, signature and all, counts once; Airtable repeats and merges them, too.
    reach.queues.look_at_desk(given[SIGNATURE])
    return Response("", status_code=204, headers={"Content-Type": "text/plain"})


def _is_signed(reach: Services, signature: str, body: bytes) -> bool:
    from chalicelib.steps.desk import STATE  # which loads what only the rows' writer needs

    if len(body) > LIMIT_BYTES or not _SHAPE.fullmatch(signature):
        return False
    known: Mapping[str, Any] = reach.records.state(*STATE)
    secret, webhook_id = known.get("secret"), known.get("webhook_id")
    if not secret or not webhook_id:
        return False
    try:
        key = base64.b64decode(str(secret), validate=True)
    except binascii.Error:
        return False
    wanted = "hmac-sha256=" + hmac.new(key, body, "sha256").hexdigest()
    return hmac.compare_digest(wanted, signature) and _webhook(body) == webhook_id


def _webhook(body: bytes) -> str | None:
    try:
        ping = json.loads(body)
        return str(ping["webhook"]["id"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
