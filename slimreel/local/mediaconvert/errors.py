"""What can go wrong, by who gets to hear of it.

    ApiError                 the HTTP call fails, no job is touched
    ├── BadRequest           400
    ├── NotFound             404
    ├── Conflict             409
    ├── Unprocessable        422, Probe only: recognised as media but corrupt
    └── NotDoneHere          501: the real service may do it, this stand-in does not
    JobError                 the job was accepted and ends in ERROR with a documented code
    Unreadable               a file could not be opened; callers turn it into one of the above
    Stopped                  the job was cancelled, or the stand-in is shutting down

Source of codes: https://docs.aws.amazon.com/mediaconvert/latest/ug/mediaconvert_error_codes.html
"""

from __future__ import annotations

from enum import Enum


class ApiError(Exception):
    """An error answer: `status`, the code sent in `x-amzn-ErrorType`, and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class BadRequest(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(400, "BadRequestException", message)


class NotFound(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(404, "NotFoundException", message)


class Conflict(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(409, "ConflictException", message)


class Unprocessable(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(422, "UnprocessableEntityException", message)


class NotDoneHere(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(501, "NotImplementedException", message)


class JobError(Exception):
    """A job that ends in ERROR with `code` and `message`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Flaw(Enum):
    """Why a file could not be opened."""

    NOT_MEDIA = "No parser found for container"
    NO_MOOV = "no moov box found in file"
    CORRUPT = "container structure is broken"


class Unreadable(Exception):
    """A file that could not be opened; `detail` is what the demuxer said."""

    def __init__(self, flaw: Flaw, detail: str = "") -> None:
        super().__init__(f"{flaw.value}{': ' if detail else ''}{detail}")
        self.flaw = flaw


class Stopped(Exception):
    """Work was interrupted on purpose."""
