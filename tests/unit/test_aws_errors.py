"""AWS calls: what passes by itself, and answers that end in the middle."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
)

from chalicelib import services as services_module
from chalicelib.adapters.aws_errors import in_words, passes
from chalicelib.adapters.encoder import Encoder
from tests.fakes import aws_error

URL = "https://dynamodb.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    "error",
    [
        aws_error("ProvisionedThroughputExceededException"),
        aws_error("ThrottlingException"),
        aws_error("SlowDown", status=503),
        aws_error("InternalServerError", status=500),
        aws_error("ExecutionLimitExceeded"),
        aws_error("TooManyRequestsException", status=429),
        ReadTimeoutError(endpoint_url=URL),
        ConnectTimeoutError(endpoint_url=URL),
        EndpointConnectionError(endpoint_url=URL),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
)
def test_an_outage_passes(error: Exception) -> None:
    assert passes(error)
    assert in_words(error).startswith("AWS ") and URL not in in_words(error)


@pytest.mark.parametrize(
    "error",
    [
        aws_error("AccessDeniedException", status=403),
        aws_error("ValidationException"),
        aws_error("NoSuchKey", status=404),
        NoCredentialsError(),
        KeyError("x"),
    ],
)
def test_a_refusal_does_not(error: Exception) -> None:
    assert not passes(error)


class HalfServer:
    """Announces a whole answer and hangs up in the middle; counts the questions."""

    def __init__(self) -> None:
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                self.asked += 1
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        body = b'{"jobs": [{"id": "1700000000000-abcdef"}]}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body[:9])

    def close(self) -> None:
        self._socket.close()


class SilentServer(HalfServer):
    """Hangs up without a word, as a proxy does after its time-out."""

    def _answer(self, connection: socket.socket) -> None:
        pass


@contextmanager
def serving(server: HalfServer, patch: pytest.MonkeyPatch) -> Iterator[Encoder]:
    patch.setenv("AWS_ENDPOINT_URL", server.url)
    patch.setenv("AWS_ACCESS_KEY_ID", "t")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "t")
    patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    client = services_module._client("mediaconvert")
    try:
        yield Encoder(client, queue_arn="arn:aws:mediaconvert:r:1:queues/q", role_arn="role")
    finally:
        client.close()
        server.close()


def test_half_a_list_of_jobs_is_not_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encode that is not found is made a second time."""
    with (
        serving(HalfServer(), monkeypatch) as encoder,
        pytest.raises(IncompleteReadError),
    ):
        encoder.find_job(source_url="s3://temp/film.mov", job_id="1", attempt=1)


def test_an_encode_whose_answer_was_lost_is_not_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MediaConvert knows its request token for a minute only; we look for the job instead."""
    server = SilentServer()
    with serving(server, monkeypatch) as encoder:
        with pytest.raises(Exception) as caught:
            encoder.create_job({"Inputs": []}, job_id="1", attempt=1, workflow="compress")
        assert passes(caught.value) and not isinstance(caught.value, ClientError)
    assert server.asked == 1
