"""Which failures of an AWS call pass by themselves.

boto3 has tried such a call eight times when its error arrives here; what remains is an outage or
a throttle that lasts, which a later try meets better than a quick one.
"""

from __future__ import annotations

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
