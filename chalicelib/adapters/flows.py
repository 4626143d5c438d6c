"""Step Functions: start executions, look at them, answer waiting tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain.text import iso

#: Pages of a thousand events. A history ends at 25,000, but nobody looks at that many.
#: Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
_HISTORY_PAGES = 3
#: A token that was used, timed out or belongs to an ended execution is not an error for us.
_TOO_LATE = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")


class Flows:
    """Thin over a boto3 Step Functions client."""

    def __init__(self, client: Any, *, arn_prefix: str) -> None:
        self._client = client
        self._arn_prefix = arn_prefix

    def start(self, workflow: str, name: str, state: Mapping[str, Any]) -> None:
        """Start an execution; one that has this name already is the one we wanted."""
        try:
            self._client.start_execution(
                stateMachineArn=self._arn_prefix + workflow, name=name, input=json.dumps(state)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise

    def status(self, workflow: str, name: str) -> str | None:
        """RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED; None when there is none."""
        machine = self._arn_prefix + workflow
        arn = machine.replace(":stateMachine:", ":execution:") + f":{name}"
        try:
            return str(self._client.describe_execution(executionArn=arn)["status"])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return None
            raise

    def history(self, workflow: str, name: str) -> list[dict[str, Any]] | None:
        """What happened in an execution, oldest first, times as ISO 8601; None when it is forgotten
        or there never was one. Of a very long one the beginning.
        """
        machine = self._arn_prefix + workflow
        arn = machine.replace(":stateMachine:", ":execution:") + f":{name}"
        asked: dict[str, Any] = {"executionArn": arn, "includeExecutionData": False}
        events: list[dict[str, Any]] = []
        try:
            for _ in range(_HISTORY_PAGES):
                page = self._client.get_execution_history(**asked, maxResults=1000)
                events += page["events"]
                if "nextToken" not in page:
                    break
                asked["nextToken"] = page["nextToken"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return None
            raise
        return [{**event, "timestamp": iso(event["timestamp"])} for event in events]

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        """Answer a waiting task. False when nobody waits for this token any more."""
        return self._answer(
            self._client.send_task_success, taskToken=token, output=json.dumps(output)
        )

    def fail(self, token: str, *, error: str, cause: str) -> bool:
        return self._answer(
            self._client.send_task_failure, taskToken=token, error=error, cause=cause
        )

    def heartbeat(self, token: str) -> bool:
        return self._answer(self._client.send_task_heartbeat, taskToken=token)

    def _answer(self, call: Any, **arguments: str) -> bool:
        try:
            call(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in _TOO_LATE:
                return False
            raise
        return True
