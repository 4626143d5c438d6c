"""How Drive's refusals and Google's exceptions become ours, and which are tried again."""

from __future__ import annotations

import json

import pytest
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError
from httplib2 import ServerNotFoundError

from chalicelib.adapters.drive_errors import (
    CallRefused,
    ChannelIdTaken,
    DownloadForbidden,
    DriveError,
    DriveUnavailable,
    FileChanged,
    FileGone,
    QuotaExceeded,
    RateLimited,
    classify,
)
from chalicelib.adapters.drive_http import from_answer, translated
from chalicelib.adapters.drive_retry import Retry
from chalicelib.domain.errors import Exhausted, Rejected, Temporary


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "rateLimitExceeded", RateLimited),
        (403, "userRateLimitExceeded", RateLimited),
        (403, "sharingRateLimitExceeded", RateLimited),
        (429, "", RateLimited),
        (403, "downloadQuotaExceeded", QuotaExceeded),
        (403, "dailyLimitExceeded", QuotaExceeded),
        (403, "cannotDownloadFile", DownloadForbidden),
        (403, "cannotDownloadAbusiveFile", DownloadForbidden),
        (403, "fileNotDownloadable", DownloadForbidden),
        (403, "insufficientFilePermissions", CallRefused),
        (403, "domainPolicy", CallRefused),
        (400, "badRequest", CallRefused),
        (400, "channelIdNotUnique", ChannelIdTaken),
        (401, "authError", CallRefused),
        (404, "notFound", FileGone),
        (416, "requestedRangeNotSatisfiable", FileChanged),
        (500, "internalError", DriveUnavailable),
        (502, "", DriveUnavailable),
        (503, "backendError", DriveUnavailable),
        (504, "", DriveUnavailable),
    ],
)
def test_each_answer_has_its_class(status: int, code: str, expected: type[DriveError]) -> None:
    error = classify(status, code, "words")

    assert type(error) is expected
    assert (error.status, error.code, str(error)) == (status, code, error.reason)
    assert error.reason


def test_the_flow_knows_what_to_try_again() -> None:
    assert issubclass(DriveUnavailable, Temporary)
    assert issubclass(FileChanged, Temporary)
    assert issubclass(QuotaExceeded, Exhausted)
    for lasting in (FileGone, DownloadForbidden):
        assert issubclass(lasting, Rejected)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b'"x"', b'{"error": "invalid"}', b'{"error": {"errors": []}}', b"\xff"],
)
def test_answers_that_are_no_json_are_judged_by_status(content: bytes) -> None:
    assert isinstance(from_answer(503, content), DriveUnavailable)
    assert isinstance(from_answer(403, content), CallRefused)


def test_the_reason_counts_before_the_status() -> None:
    body = {"error": {"errors": [{"reason": "rateLimitExceeded"}], "code": 403, "message": "m"}}

    assert isinstance(from_answer(403, json.dumps(body).encode()), RateLimited)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (TransportError("no route"), DriveUnavailable),
        (RefreshError("internal_failure", retryable=True), DriveUnavailable),
        (RefreshError("invalid_grant"), CallRefused),
        (DefaultCredentialsError("no"), CallRefused),
        (ServerNotFoundError("no such host"), DriveUnavailable),
        (TimeoutError("timed out"), DriveUnavailable),
        (ConnectionResetError(), DriveUnavailable),
    ],
)
def test_what_googles_clients_raise(raised: Exception, expected: type[DriveError]) -> None:
    with pytest.raises(expected), translated():
        raise raised


def test_bugs_are_not_dressed_up() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError("a bug")


def test_pauses_grow_to_the_cap_and_are_jittered() -> None:
    pauses: list[float] = []
    retry = Retry(attempts=6, base_s=1, cap_s=5, sleep=pauses.append, random=lambda: 0.5)

    def work() -> None:
        raise DriveUnavailable("busy")

    with pytest.raises(DriveUnavailable):
        retry.run(work)

    assert pauses == [0.5, 1, 2, 2.5, 2.5]
