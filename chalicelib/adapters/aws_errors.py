"""Which failures of an AWS call pass by themselves, and one that nobody else notices.

boto3 has tried such a call eight times when its error arrives here; what remains is an outage or
a throttle that lasts, which a later try meets better than a quick one.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

#: Beside statuses of 500 and above, and 429.
#: Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_THROTTLES = frozenset(
    (
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "ExecutionLimitExceeded",
        "KmsThrottled",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "Throttled",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    )
)


def passes(error: BaseException) -> bool:
    """Whether the same call may well succeed in some minutes."""
    if isinstance(error, ClientError):
        answer = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status == 429 or status >= 500 or answer["Error"].get("Code") in _THROTTLES
    return isinstance(
        error, ConnectionError | HTTPClientError | IncompleteReadError | ResponseStreamingError
    )


def in_words(error: BaseException) -> str:
    """One sentence for people; the engineer finds the rest in the log."""
    if isinstance(error, ClientError):
        code = error.response["Error"].get("Code", "no code")
        return f"AWS could not do it just now ({error.operation_name}: {code})."
    return f"AWS did not answer ({type(error).__name__})."


def refuse_half_answers(client: Any) -> None:
    """Have a boto3 client fail with IncompleteReadError where an answer ends before its length.

    Without this, botocore (seen in 1.44 with urllib3 2.8) takes an answer whose connection broke
    for a whole one: half a list of jobs is then an empty list, and a job is made a second time.
    Answers that are streamed are checked as they are read.
    """
    client.meta.events.register("before-parse", _check_length)


def _check_length(*, operation_model: Any, response_dict: Any, **_: Any) -> None:
    body, announced = response_dict["body"], response_dict["headers"].get("content-length")
    if announced is None or not isinstance(body, bytes) or operation_model.http["method"] == "HEAD":
        return
    if len(body) != int(announced):
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=int(announced))
