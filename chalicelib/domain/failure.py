"""From what a flow caught to what people read."""

from __future__ import annotations

import json
import re

#: Errors whose message was written for people.
_SAID_PLAINLY = ("Rejected", "EncoderFault", "Temporary", "Exhausted")
_DETAILS_LIMIT = 2000
_STACK_TRACE = re.compile(r'Traceback \(most recent call last\)|^\s*File "[^"]*", line \d', re.M)


def failure(error: str, cause: str) -> tuple[str, str]:
    """A sentence for people, and details for the engineer.

    Args:
        error: the error's name as Step Functions caught it.
        cause: usually the JSON a failed Lambda function left, sometimes plain text.

    >>> failure("Rejected", '{"errorMessage": "The file is empty."}')
    ('The file is empty.', 'Rejected: The file is empty.')
    """
    message, more = _said(cause)
    details = f"{error}: {cause if message is None else message}{more}"[:_DETAILS_LIMIT]
    if error in _SAID_PLAINLY and message and not _STACK_TRACE.search(message):
        return message, details
    if error in ("States.Timeout", "States.HeartbeatTimeout", "Sandbox.Timedout"):
        return "It took far longer than expected and was stopped. Try it again.", details
    return "Something unexpected went wrong on our side. Your file is untouched.", details


def _said(cause: str) -> tuple[str | None, str]:
    """What the error said, None where the cause is data without a message; and what it said to the
    engineer only.
    """
    try:
        said = json.loads(cause)
    except (ValueError, RecursionError):
        return cause, ""
    if not isinstance(said, dict) or not isinstance(said.get("errorMessage"), str):
        return None, ""
    details = said.get("errorDetails")
    return said["errorMessage"], f" ({details})" if isinstance(details, str) else ""
