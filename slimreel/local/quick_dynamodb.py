"""moto's DynamoDB, answering with items as they are.

moto turns every answer into JSON by the service's model, looking for each member of each attribute
under several names. Items are in DynamoDB's JSON already; for calls on one item that search was
more than half of what a call costs, and most calls of the pipeline are of this kind.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from moto.dynamodb.responses import DynamoResult

_PLAIN = frozenset({"Attributes", "ConsumedCapacity", "Item"})
_CONTENT_TYPE = "application/x-amz-json-1.0"


class QuickDynamoDB:
    """The replacement, from the start until `restore`."""

    def __init__(self) -> None:
        self._original = DynamoResult.execute_result
        DynamoResult.execute_result = _answering(self._original)

    def restore(self) -> None:
        DynamoResult.execute_result = self._original


def _answering(original: Any) -> Any:
    def execute_result(result: Any, context: Any) -> Any:
        answer = result.result
        if not isinstance(answer, dict) or not _PLAIN.issuperset(answer):
            return original(result, context)
        plain = {name: value for name, value in answer.items() if value is not None}
        body = json.dumps(plain, default=_as_json)
        return 200, {"Content-Type": _CONTENT_TYPE}, body

    return execute_result


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{value!r} has no place in an item")
