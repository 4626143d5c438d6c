"""What the Lambda API answers when it refuses.

LambdaError
├── by status and code, as https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html lists
└── raised through the small constructors below
"""

from __future__ import annotations


class LambdaError(Exception):
    """A refusal with its HTTP status, AWS error code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    @property
    def retryable(self) -> bool:
        """Whether the caller may succeed later with the same request."""
        return self.status == 429 or self.status >= 500


def not_found(what: str) -> LambdaError:
    return LambdaError(404, "ResourceNotFoundException", what)


def conflict(message: str) -> LambdaError:
    return LambdaError(409, "ResourceConflictException", message)


def invalid(message: str) -> LambdaError:
    return LambdaError(400, "InvalidParameterValueException", message)


def throttled() -> LambdaError:
    return LambdaError(429, "TooManyRequestsException", "Rate Exceeded.")


def too_large(limit_bytes: int) -> LambdaError:
    message = f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation"
    return LambdaError(413, "RequestTooLargeException", message)


def unsupported(what: str) -> LambdaError:
    return LambdaError(501, "NotImplemented", f"The Lambda stand-in cannot do this: {what}.")
