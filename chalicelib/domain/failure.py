"""From what a flow caught to what people read."""

from __future__ import annotations

import json

#: Errors whose message was written for people.
_SAID_PLAINLY = ("Rejected", "EncoderFault", "Temporary")
_DETAILS_LIMIT = 2000


def failure(error: str, cause: str) -> tuple[str, str]:
    """A sentence for people, and details for the engineer.

    Args:
        error: the error's name as Step Functions caught it.
        cause: usually the JSON a failed Lambda function left, sometimes plain text.

    >>> failure("Rejected", '{"errorMessage": "The file is empty."}')
    ('The file is empty.', 'Rejected: The file is empty.')
    """
    message = _message(cause)
    details = f"{error}: {message}"[:_DETAILS_LIMIT]
    if error in _SAID_PLAINLY and message:
        return message, details
    if error in ("States.Timeout", "States.HeartbeatTimeout", "Sandbox.Timedout"):
        return "It took far longer than expected and was stopped. Try it again.", details
    return "Something unexpected went wrong on our side. Nothing is wrong with your file.", details


def _message(cause: str) -> str:
    try:
        said = json.loads(cause)
    except ValueError:
        return cause
    return str(said.get("errorMessage", cause)) if isinstance(said, dict) else cause
