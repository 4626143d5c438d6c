"""API Gateway: requests become REST proxy events, answers become responses."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from werkzeug.test import Client
from werkzeug.wrappers import Request

from slimreel.local.awslambda.errors import throttled
from slimreel.local.awslambda.invocations import Outcome
from slimreel.local.gateway import Gateway

URI = (
    "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/"
    "arn:aws:lambda:eu-west-1:123456789012:function:{}/invocations"
)
OK = {"statusCode": 200, "body": "fine"}


class FakeLambda:
    """Answers with what a test sets, and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.answers: dict[str, Callable[[Any], Any]] = {"api": lambda event: OK}

    def invoke(self, reference: str, payload: bytes) -> Outcome:
        event = json.loads(payload)
        self.calls.append((reference, event))
        answer = self.answers[reference](event)
        if isinstance(answer, Outcome):
            return answer
        return Outcome(payload=json.dumps(answer).encode(), request_id="r")

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = self.calls[-1][1]
        return found


def failed(message: str = "boom") -> Outcome:
    payload = json.dumps({"errorMessage": message, "errorType": "Exception"}).encode()
    return Outcome(payload=payload, request_id="r", function_error="Unhandled")


def openapi(**more: Any) -> dict[str, Any]:
    proxy = {"x-amazon-apigateway-integration": {"type": "aws_proxy", "uri": URI.format("api")}}
    token = {
        "type": "apiKey",
        "name": "X-Key",
        "in": "header",
        "x-amazon-apigateway-authtype": "custom",
        "x-amazon-apigateway-authorizer": {"type": "token", "authorizerUri": URI.format("gate")},
    }
    iam = {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "x-amazon-apigateway-authtype": "awsSigv4",
    }
    return {
        "swagger": "2.0",
        "paths": {
            "/": {"get": proxy},
            "/v/{job}": {"get": proxy, "post": proxy},
            "/v/latest": {"get": {**proxy, "operationId": "latest"}},
            "/jobs/{job}/parts/{part}": {"put": proxy},
            "/guarded/{name}": {"get": {**proxy, "security": [{"gate": []}]}},
            "/signed": {
                "get": {**proxy, "security": [{"sigv4": []}]},
                "post": {**proxy, "security": [{"sigv4": []}]},
            },
            "/signed/{name}": {"get": {**proxy, "security": [{"sigv4": []}]}},
            "/cors": {
                "options": {
                    "x-amazon-apigateway-integration": {
                        "type": "mock",
                        "responses": {
                            "default": {
                                "responseParameters": {
                                    "method.response.header.Access-Control-Allow-Origin": "'*'"
                                }
                            }
                        },
                    }
                }
            },
        },
        "securityDefinitions": {"gate": token, "sigv4": iam},
        "x-amazon-apigateway-binary-media-types": ["application/octet-stream", "image/*"],
        **more,
    }


@pytest.fixture
def functions() -> FakeLambda:
    return FakeLambda()


@pytest.fixture
def web(functions: FakeLambda) -> Client:
    gateway = Gateway(functions, timeout_s=0.2)  # type: ignore[arg-type]
    gateway.load(openapi(), "api")
    return Client(Request.application(gateway.handle))


def get(web: Client, path: str, **more: Any) -> Any:
    raw = {"RAW_URI": path}
    return web.open(path, environ_overrides=raw, **{"method": "GET", **more})


def test_proxy_event(web: Client, functions: FakeLambda) -> None:
    get(
        web,
        "/api/v/a%20b%2Fc?x=1&x=2%20y&empty=",
        headers=[("X-One", "1"), ("User-Agent", "tester")],
    )
    assert functions.calls[-1][0] == "api"
    event = functions.event
    assert event["resource"] == "/v/{job}"
    assert event["path"] == "/v/a%20b%2Fc"
    assert event["pathParameters"] == {"job": "a%20b%2Fc"}  # REST APIs do not decode it
    assert event["httpMethod"] == "GET"
    assert event["queryStringParameters"] == {"x": "2 y", "empty": ""}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2 y"], "empty": [""]}
    assert event["headers"]["X-One"] == "1"
    assert event["multiValueHeaders"]["X-One"] == ["1"]
    assert event["headers"]["X-Forwarded-Proto"] == "http"
    assert event["stageVariables"] is None
    assert event["body"] is None and event["isBase64Encoded"] is False
    context = event["requestContext"]
    assert (context["stage"], context["resourcePath"]) == ("api", "/v/{job}")
    assert context["path"] == "/api/v/a%20b%2Fc"
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert context["identity"]["userAgent"] == "tester"
    assert context["requestId"] and context["accountId"] == "123456789012"


def test_no_parameters_are_null(web: Client, functions: FakeLambda) -> None:
    get(web, "/api/")
    event = functions.event
    assert event["resource"] == "/"
    assert event["queryStringParameters"] is None
    assert event["multiValueQueryStringParameters"] is None
    assert event["pathParameters"] is None


def test_literal_segment_beats_a_parameter(web: Client, functions: FakeLambda) -> None:
    get(web, "/api/v/latest")
    assert functions.event["resource"] == "/v/latest"
    get(web, "/api/jobs/7/parts/3", method="PUT")
    assert functions.event["pathParameters"] == {"job": "7", "part": "3"}


def test_text_and_binary_bodies(web: Client, functions: FakeLambda) -> None:
    get(web, "/api/v/x", method="POST", data='{"ü": 1}'.encode(), content_type="application/json")
    assert (functions.event["body"], functions.event["isBase64Encoded"]) == ('{"ü": 1}', False)
    get(web, "/api/v/x", method="POST", data=b"\xff\x00", content_type="image/png")
    assert functions.event["isBase64Encoded"] is True
    assert base64.b64decode(functions.event["body"]) == b"\xff\x00"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/nothing"), ("DELETE", "/api/v/x"), ("GET", "/api/v/x/y"), ("GET", "/apix")],
)
def test_unknown_route_is_refused_as_api_gateway_does(
    web: Client, functions: FakeLambda, method: str, path: str
) -> None:
    response = get(web, path, method=method)
    assert (response.status_code, response.json) == (
        403,
        {"message": "Missing Authentication Token"},
    )
    assert functions.calls == []


def test_answer_of_the_function(web: Client, functions: FakeLambda) -> None:
    functions.answers["api"] = lambda event: {
        "statusCode": 302,
        "headers": {"Location": "https://example.com", "X-N": 5, "X-B": True},
        "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
    }
    response = get(web, "/api/")
    assert response.status_code == 302 and response.text == ""
    assert response.headers["Location"] == "https://example.com"
    assert (response.headers["X-N"], response.headers["X-B"]) == ("5", "true")
    assert response.headers.getlist("Set-Cookie") == ["a=1", "b=2"]


def test_binary_answer_needs_a_matching_accept(web: Client, functions: FakeLambda) -> None:
    encoded = base64.b64encode(b"\x89PNG").decode()
    functions.answers["api"] = lambda event: {
        "statusCode": 200,
        "body": encoded,
        "isBase64Encoded": True,
    }
    matching = get(web, "/api/", headers={"Accept": "image/png, text/html"})
    assert matching.data == b"\x89PNG"
    other = get(web, "/api/", headers={"Accept": "text/html, image/png"})
    assert other.text == encoded


@pytest.mark.parametrize(
    "answer",
    [
        failed(),
        "text",
        {"body": "no status"},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": "many"},
        None,
    ],
    ids=["error", "string", "no status", "object body", "bad status", "null"],
)
def test_broken_function_is_a_502(web: Client, functions: FakeLambda, answer: Any) -> None:
    functions.answers["api"] = lambda event: answer
    response = get(web, "/api/")
    assert (response.status_code, response.json) == (502, {"message": "Internal server error"})


def test_throttled_function_is_a_500(web: Client, functions: FakeLambda) -> None:
    def throttles(event: Any) -> Any:
        raise throttled()

    functions.answers["api"] = throttles
    assert get(web, "/api/").status_code == 500


def test_slow_function_is_a_504(web: Client, functions: FakeLambda) -> None:
    functions.answers["api"] = lambda event: time.sleep(0.4)
    response = get(web, "/api/")
    assert (response.status_code, response.json) == (
        504,
        {"message": "Endpoint request timed out"},
    )


def test_body_over_ten_megabytes_is_a_413(web: Client, functions: FakeLambda) -> None:
    response = get(web, "/api/v/x", method="POST", data=b"x" * (10 * 1024 * 1024 + 1))
    assert response.status_code == 413
    assert functions.calls == []


def test_preflight_is_answered_without_the_function(web: Client, functions: FakeLambda) -> None:
    response = get(web, "/api/cors", method="OPTIONS")
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert functions.calls == []


def policy(effect: str, resource: str | list[str]) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    return {
        "principalId": "someone",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"team": "dub"},
    }


def test_token_authorizer_lets_through_with_its_context(web: Client, functions: FakeLambda) -> None:
    functions.answers["gate"] = lambda event: policy("Allow", ["arn:*/api/GET/guarded/*"])
    assert get(web, "/api/guarded/x", headers={"X-Key": "k"}).status_code == 200
    (gate, asked), (_, event) = functions.calls
    assert gate == "gate"
    assert asked["type"] == "TOKEN" and asked["authorizationToken"] == "k"
    assert asked["methodArn"].startswith("arn:aws:execute-api:eu-west-1:123456789012:")
    assert asked["methodArn"].endswith("/api/GET/guarded/x")
    assert event["requestContext"]["authorizer"] == {"principalId": "someone", "team": "dub"}


@pytest.mark.parametrize(
    ("headers", "answer", "status"),
    [
        ({}, policy("Allow", "*"), 401),
        ({"X-Key": "k"}, policy("Deny", "*"), 403),
        ({"X-Key": "k"}, policy("Allow", "arn:*/api/GET/other"), 403),
        ({"X-Key": "k"}, failed("Unauthorized"), 401),
        ({"X-Key": "k"}, failed("bug"), 500),
    ],
    ids=["no token", "deny", "not this route", "unauthorized", "broken"],
)
def test_token_authorizer_refuses(
    web: Client, functions: FakeLambda, headers: dict[str, str], answer: Any, status: int
) -> None:
    functions.answers["gate"] = lambda event: answer
    assert get(web, "/api/guarded/x", headers=headers).status_code == status
    assert all(name == "gate" for name, _ in functions.calls)


def signed(
    path: str = "/api/signed",
    *,
    method: str = "GET",
    key: tuple[str, str] = ("test", "test"),
    region: str = "eu-west-1",
    service: str = "execute-api",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> dict[str, str]:
    """Headers as botocore signs them."""
    request = AWSRequest(method, f"http://localhost{path}", data=body, headers=headers or {})
    SigV4Auth(Credentials(*key), service, region).add_auth(request)
    return dict(request.headers)


def test_a_signed_call_comes_in_with_its_signer(web: Client, functions: FakeLambda) -> None:
    assert get(web, "/api/signed", headers=signed()).status_code == 200
    identity = functions.event["requestContext"]["identity"]
    assert identity["accessKey"] == "test"
    assert identity["userArn"] == "arn:aws:iam::123456789012:user/you"


@pytest.mark.parametrize(
    "path",
    [
        "/api/signed?b=2&a=1&a=0&c=",
        "/api/signed?page=%3D%2B%20%2F&x=%C3%A4~%2A",
        "/api/signed/%2e%2e%2Fa%20b",
    ],
)
def test_queries_and_paths_are_signed_as_they_are_sent(web: Client, path: str) -> None:
    assert get(web, path, headers=signed(path)).status_code == 200


def test_the_body_is_signed_too(web: Client) -> None:
    body, headers = b'{"force": true}', {"Content-Type": "application/json"}
    good = signed(method="POST", body=body, headers=headers)
    path = "/api/signed"
    assert get(web, path, method="POST", data=body, headers=good).status_code == 200
    changed = get(web, path, method="POST", data=b'{"force": null}', headers=good)
    assert changed.status_code == 403
    assert changed.headers["x-amzn-ErrorType"] == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("headers", "error_type", "says"),
    [
        ({}, "MissingAuthenticationToken", "Missing Authentication Token"),
        ({"Authorization": "Bearer x"}, "MissingAuthenticationToken", "Missing Authentication"),
        (
            {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/r/execute-api/aws4_request"},
            "IncompleteSignature",
            "requires 'Signature' parameter. Authorization header requires 'SignedHeaders'",
        ),
        (
            {
                "X-Amz-Date": "20260101T000000Z",
                "Authorization": "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=0",
            },
            "IncompleteSignature",
            "exactly 5 slash-delimited elements",
        ),
        (lambda: signed(key=("test", "wrong")), "InvalidSignature", "does not match the signature"),
        (lambda: signed(key=("AKIA", "test")), "UnrecognizedClient", "token included in the"),
        (lambda: signed(region="us-east-1"), "InvalidSignature", "region, not 'us-east-1'"),
        (lambda: signed(service="s3"), "InvalidSignature", "correct service: 'execute-api'"),
        (lambda: signed("/api/other"), "InvalidSignature", "The Canonical String for this"),
        (lambda: signed(method="POST"), "InvalidSignature", "does not match"),
        (lambda: {**signed(), "Host": "elsewhere"}, "InvalidSignature", "does not match"),
    ],
)
def test_other_calls_are_refused_as_api_gateway_refuses_them(
    web: Client, functions: FakeLambda, headers: Any, error_type: str, says: str
) -> None:
    refused = get(web, "/api/signed", headers=headers() if callable(headers) else headers)
    assert refused.status_code == 403
    assert refused.headers["x-amzn-ErrorType"] == error_type + "Exception"
    assert says in refused.json["message"]
    assert functions.calls == []


@pytest.mark.parametrize(
    ("minutes", "says"),
    [
        (4, None),
        (-4, None),
        (6, "Signature expired: "),
        (-6, "Signature not yet current: "),
    ],
)
def test_a_signature_holds_for_five_minutes(
    functions: FakeLambda, minutes: int, says: str | None
) -> None:
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    gateway = Gateway(functions, now=lambda: now)  # type: ignore[arg-type]
    gateway.load(openapi(), "api")
    answer = get(Client(Request.application(gateway.handle)), "/api/signed", headers=signed())
    assert answer.status_code == (403 if says else 200)
    assert says is None or answer.json["message"].startswith(says)


def test_a_public_route_asks_nobody(web: Client) -> None:
    assert get(web, "/api/v/x", headers={"Authorization": "AWS4-whatever"}).status_code == 200


def test_document_with_what_has_no_stand_in_is_refused() -> None:
    gateway = Gateway(FakeLambda())  # type: ignore[arg-type]
    http = {"get": {"x-amazon-apigateway-integration": {"type": "http_proxy", "uri": "http://x"}}}
    with pytest.raises(ValueError, match="http_proxy"):
        gateway.load(openapi(paths={"/x": http}), "api")
    guarded = {"get": {**openapi()["paths"]["/"]["get"], "security": [{"cognito": []}]}}
    with pytest.raises(ValueError, match="cognito"):
        gateway.load(openapi(paths={"/x": guarded}), "api")


def test_plain_route_list(functions: FakeLambda) -> None:
    gateway = Gateway(functions)  # type: ignore[arg-type]
    gateway.load_routes([("get", "/x/{y}")], "api", function="api")
    web = Client(Request.application(gateway.handle))
    assert get(web, "/api/x/1").status_code == 200
    assert functions.event["pathParameters"] == {"y": "1"}
