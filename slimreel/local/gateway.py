"""API Gateway: `/<stage>/*` becomes a REST API proxy event for the function behind the route.

The routes come from the same OpenAPI document that the template gives to API Gateway. Calls to
routes with IAM authorization are verified (`gateway_signature`), and so are the tokens of a Cognito
user pool (`gateway_tokens`). Not imitated: throttling, caching, request validation, API keys,
policies.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request, Response

from slimreel.local import ACCESS_KEY_ID, ACCOUNT_ID, REGION, SECRET_ACCESS_KEY
from slimreel.local.awslambda import AwsLambda
from slimreel.local.awslambda.environments import Closing
from slimreel.local.awslambda.errors import LambdaError
from slimreel.local.awslambda.invocations import Outcome
from slimreel.local.gateway_signature import SignatureRefused, verify
from slimreel.local.gateway_tokens import Keys, TokenRefused, as_texts
from slimreel.local.gateway_tokens import verify as verify_token

log = logging.getLogger("slimreel.local.gateway")

BODY_LIMIT_BYTES = 10 * 1024 * 1024
#: Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
INTEGRATION_TIMEOUT_S = 29.0
API_ID = "localapi00"
#: Whose key the local account's is: whoever sits at this machine.
USER_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/you"
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch"})
_FUNCTION = re.compile(r"functions/arn:aws:lambda:[^:]*:[^:]*:function:([^/:]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """Who must agree before a route is called.

    Attributes:
        kind: "token" (a function), "iam", "cognito", or another that has no stand-in.
        header: the header the token is in.
        pools: ARNs of the user pools whose tokens are taken.
    """

    kind: str
    function: str = ""
    header: str = "Authorization"
    pools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one resource.

    Attributes:
        path: the resource, for example "/v/{job}".
        function: the name of the function behind it; empty for a mock integration.
        mock: the answer of a mock integration (CORS preflight).
    """

    method: str
    path: str
    function: str
    authorizers: tuple[Authorizer, ...] = ()
    mock: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """An answer API Gateway gives by itself."""

    def __init__(
        self, status: int, message: str | None, *, key: str = "message", error_type: str = ""
    ) -> None:
        super().__init__(message)
        self.response = _json({key: message}, status)
        if error_type:
            self.response.headers["x-amzn-ErrorType"] = error_type


class Gateway:
    """One REST API, published under one stage.

    Args:
        secrets: the account's secret keys by access key id.
        jwks: gets the document of a user pool's public keys, by the pool's id.
    """

    def __init__(
        self,
        awslambda: AwsLambda,
        *,
        timeout_s: float = INTEGRATION_TIMEOUT_S,
        secrets: Mapping[str, str] | None = None,
        jwks: Callable[[str], bytes] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lambda = awslambda
        self._timeout_s = timeout_s
        self._secrets = secrets or {ACCESS_KEY_ID: SECRET_ACCESS_KEY}
        self._jwks = jwks
        self._keys: dict[str, Keys] = {}
        self._now = now
        self.stage = ""
        self.routes: tuple[Route, ...] = ()
        self._binary_types: tuple[str, ...] = ()

    def load(self, openapi: Mapping[str, Any], stage: str) -> None:
        """Serve this API from now on, under `/<stage>`.

        Raises:
            ValueError: an integration or authorizer that has no stand-in.
        """
        schemes = _authorizers(openapi)
        self.routes = tuple(_routes(openapi, schemes))
        self._binary_types = tuple(openapi.get("x-amazon-apigateway-binary-media-types", ()))
        self.stage = stage

    def load_routes(
        self, routes: Sequence[tuple[str, str]], stage: str, function: str = "api_handler"
    ) -> None:
        """Serve these (method, path) pairs without authorizers, all by one function."""
        self.routes = tuple(
            Route(method=method.upper(), path=path, function=function) for method, path in routes
        )
        self.stage = stage

    def handle(self, request: Request) -> Response:
        """Answer one request below `/<stage>/`."""
        try:
            return self._answer(request)
        except Refused as refused:
            return refused.response

    def _answer(self, request: Request) -> Response:
        raw_path = str(request.environ.get("RAW_URI") or request.path).partition("?")[0]
        path = raw_path.removeprefix(f"/{self.stage}") or "/"
        found = self._find(request.method, path)
        if not self.stage or not raw_path.startswith(f"/{self.stage}") or found is None:
            raise Refused(
                403,
                "Missing Authentication Token",
                error_type="MissingAuthenticationTokenException",
            )
        route, parameters = found
        if (request.content_length or 0) > BODY_LIMIT_BYTES:
            raise Refused(413, f"HTTP content length exceeded {BODY_LIMIT_BYTES} bytes.")
        if not route.function:
            return Response("", headers=dict(route.mock))
        event = self._event(request, route, path, parameters)
        for authorizer in route.authorizers:
            if authorizer.kind == "iam":
                event["requestContext"]["identity"] |= self._signer(request, raw_path)
            elif authorizer.kind == "cognito":
                claims = self._bearer(authorizer, event["headers"])
                event["requestContext"]["authorizer"] = {"claims": claims}
            else:
                event["requestContext"]["authorizer"] = self._authorize(authorizer, event)
        return self._respond(self._call(route.function, event), request)

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route for a path; a literal segment beats a parameter."""
        matches = []
        for route in self.routes:
            parameters = _match(route.path, path)
            if route.method == method and parameters is not None:
                matches.append((len(parameters), route, parameters))
        if not matches:
            return None
        _, route, parameters = min(matches, key=lambda match: match[0])
        return route, parameters

    def _call(self, function: str, event: dict[str, Any]) -> Outcome:
        """Invoke and wait for at most the integration time-out."""
        results: list[Outcome | Exception] = []
        payload = json.dumps(event).encode()

        def invoke() -> None:
            try:
                results.append(self._lambda.invoke(function, payload))
            except (LambdaError, Closing) as failure:
                results.append(failure)

        thread = threading.Thread(target=invoke, name=f"http-{function}", daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        if not results:
            raise Refused(504, "Endpoint request timed out")
        if isinstance(results[0], Exception):
            log.warning("%s %s: %s", event.get("httpMethod"), event.get("path"), results[0])
            raise Refused(500, "Internal server error")
        return results[0]

    def _respond(self, outcome: Outcome, request: Request) -> Response:
        if outcome.function_error is not None:
            log.warning("the function behind %s failed: %s", request.path, outcome.payload[:500])
            raise Refused(502, "Internal server error")
        reply = json.loads(outcome.payload)
        try:
            return self._response(reply, request)
        except (TypeError, ValueError, KeyError, AttributeError, binascii.Error):
            log.warning("malformed proxy response for %s: %.200s", request.path, reply)
            raise Refused(502, "Internal server error") from None

    def _response(self, reply: Any, request: Request) -> Response:
        headers = Headers()
        for name, value in (reply.get("headers") or {}).items():
            headers[name] = _text(value)
        for name, values in (reply.get("multiValueHeaders") or {}).items():
            headers.setlist(name, [_text(value) for value in values])
        body: str | bytes = reply.get("body") or ""
        if not isinstance(body, str):
            raise TypeError("A proxy response's body is a string.")
        if reply.get("isBase64Encoded") and self._is_binary(request.headers.get("Accept", "")):
            body = base64.b64decode(body, validate=True)
        headers.setdefault("Content-Type", "application/json")
        headers["x-amzn-RequestId"] = str(uuid.uuid4())
        return Response(body, status=int(reply["statusCode"]), headers=headers)

    def _is_binary(self, media_types: str) -> bool:
        """API Gateway goes by the first media type named."""
        first = media_types.partition(",")[0].partition(";")[0].strip().lower()
        return any(first and fnmatchcase(first, pattern) for pattern in self._binary_types)

    # The event ----------------------------------------------------------------------------

    def _event(
        self, request: Request, route: Route, path: str, parameters: dict[str, str]
    ) -> dict[str, Any]:
        headers: dict[str, list[str]] = {}
        for name, value in request.headers:
            headers.setdefault(name, []).append(value)
        headers.setdefault("X-Forwarded-For", [request.remote_addr or "127.0.0.1"])
        headers.setdefault("X-Forwarded-Proto", [request.scheme])
        headers.setdefault("X-Forwarded-Port", [request.host.rpartition(":")[2]])
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(
            request.query_string.decode(errors="replace"), keep_blank_values=True
        ):
            query.setdefault(name, []).append(value)
        body, is_base64 = self._body(request)
        return {
            "resource": route.path,
            "path": path,
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in headers.items()},
            "multiValueHeaders": headers,
            "queryStringParameters": {k: v[-1] for k, v in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": parameters or None,
            "stageVariables": None,
            "requestContext": self._context(request, route, path),
            "body": body,
            "isBase64Encoded": is_base64,
        }

    def _body(self, request: Request) -> tuple[str | None, bool]:
        data = request.get_data()
        if len(data) > BODY_LIMIT_BYTES:
            raise Refused(413, f"HTTP content length exceeded {BODY_LIMIT_BYTES} bytes.")
        if not data:
            return None, False
        if self._is_binary(request.headers.get("Content-Type", "")):
            return base64.b64encode(data).decode(), True
        return data.decode("utf-8", errors="replace"), False

    def _context(self, request: Request, route: Route, path: str) -> dict[str, Any]:
        moment = datetime.now(UTC)
        return {
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": request.host.partition(":")[0],
            "domainPrefix": API_ID,
            "extendedRequestId": uuid.uuid4().hex[:16],
            "httpMethod": request.method,
            "identity": {
                "accessKey": None,
                "accountId": None,
                "caller": None,
                "cognitoAuthenticationProvider": None,
                "cognitoAuthenticationType": None,
                "cognitoIdentityId": None,
                "cognitoIdentityPoolId": None,
                "principalOrgId": None,
                "sourceIp": request.remote_addr or "127.0.0.1",
                "user": None,
                "userAgent": request.headers.get("User-Agent"),
                "userArn": None,
            },
            "path": f"/{self.stage}{path}",
            "protocol": request.environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            "requestId": str(uuid.uuid4()),
            "requestTime": moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": round(moment.timestamp() * 1000),
            "resourceId": f"{abs(hash(route.path)):x}"[:6],
            "resourcePath": route.path,
            "stage": self.stage,
        }

    # Authorizers --------------------------------------------------------------------------

    def _signer(self, request: Request, raw_path: str) -> dict[str, Any]:
        """Who signed a call, as the event's identity says it; raises when nobody we know did."""
        try:
            access_key_id = verify(
                request, raw_path=raw_path, region=REGION, secrets=self._secrets, now=self._now()
            )
        except SignatureRefused as refused:
            raise Refused(403, refused.message, error_type=refused.error_type) from refused
        return {
            "accessKey": access_key_id,
            "accountId": ACCOUNT_ID,
            "caller": "AIDALOCALLOCALLOCALL",
            "user": "AIDALOCALLOCALLOCALL",
            "userArn": USER_ARN,
        }

    def _bearer(self, authorizer: Authorizer, headers: Mapping[str, str]) -> dict[str, str]:
        """The claims of a user pool's token; raises when it is not a good one of a pool we take."""
        given = {name.lower(): value for name, value in headers.items()}
        token = given.get(authorizer.header.lower(), "")
        problem = TokenRefused("Unauthorized")
        for arn in authorizer.pools:
            region, pool_id = arn.split(":")[3], arn.rpartition("/")[2]
            issuer = f"https://cognito-idp.{region}.amazonaws.com/{pool_id}"
            try:
                keys = self._keys_of(pool_id)
                return as_texts(verify_token(token, issuer=issuer, keys=keys, now=self._now()))
            except TokenRefused as refused:
                problem = refused
        raise Refused(401, str(problem), error_type="UnauthorizedException") from problem

    def _keys_of(self, pool_id: str) -> Keys:
        jwks = self._jwks
        if jwks is None:
            raise Refused(500, None)
        return self._keys.setdefault(pool_id, Keys(lambda: jwks(pool_id), clock=time.monotonic))

    def _authorize(self, authorizer: Authorizer, event: dict[str, Any]) -> dict[str, Any]:
        """The context an authorizer lets through with; raises when it does not."""
        headers = {name.lower(): value for name, value in event["headers"].items()}
        token = headers.get(authorizer.header.lower())
        if not token:
            raise Refused(401, "Unauthorized")
        arn = (
            f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{API_ID}/{self.stage}/"
            f"{event['httpMethod']}{event['path']}"
        )
        asked = {"type": "TOKEN", "authorizationToken": token, "methodArn": arn}
        outcome = self._call(authorizer.function, asked)
        answer = json.loads(outcome.payload)
        if outcome.function_error is not None:
            if answer.get("errorMessage") == "Unauthorized":
                raise Refused(401, "Unauthorized")
            log.warning("the authorizer %s failed: %s", authorizer.function, answer)
            raise Refused(500, None)
        if not _allows(answer, arn):
            denial = "User is not authorized to access this resource"
            raise Refused(403, denial, key="Message")
        return {"principalId": answer["principalId"], **(answer.get("context") or {})}


# The document ----------------------------------------------------------------------------------


def _routes(openapi: Mapping[str, Any], schemes: Mapping[str, Authorizer]) -> list[Route]:
    found = []
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                found.append(_route(method.upper(), path, operation, schemes))
            elif method == "x-amazon-apigateway-any-method":
                raise ValueError(f"{path}: a catch-all method has no stand-in.")
    return found


def _route(
    method: str, path: str, operation: Mapping[str, Any], schemes: Mapping[str, Authorizer]
) -> Route:
    integration = operation["x-amazon-apigateway-integration"]
    kind = str(integration["type"]).lower()
    if kind == "mock":
        return Route(method=method, path=path, function="", mock=_mock_headers(integration))
    if kind != "aws_proxy":
        raise ValueError(f"{method} {path}: the integration {kind} has no stand-in.")
    function = _FUNCTION.search(integration["uri"])
    if function is None:
        raise ValueError(f"{method} {path}: {integration['uri']!r} names no function.")
    names = [name for requirement in operation.get("security", ()) for name in requirement]
    unknown = [name for name in names if name not in schemes]
    if unknown:
        raise ValueError(f"{method} {path}: the authorizer {unknown[0]} has no stand-in.")
    return Route(
        method=method,
        path=path,
        function=function.group(1),
        authorizers=tuple(schemes[name] for name in names),
    )


def _mock_headers(integration: Mapping[str, Any]) -> dict[str, str]:
    responses = integration.get("responses", {})
    parameters = responses.get("default", {}).get("responseParameters", {})
    prefix = "method.response.header."
    return {
        name.removeprefix(prefix): str(value).strip("'")
        for name, value in parameters.items()
        if name.startswith(prefix)
    }


def _authorizers(openapi: Mapping[str, Any]) -> dict[str, Authorizer]:
    """The security schemes that can be imitated, by name."""
    schemes = openapi.get("securityDefinitions") or openapi.get("components", {}).get(
        "securitySchemes", {}
    )
    found = {}
    for name, scheme in schemes.items():
        if scheme.get("x-amazon-apigateway-authtype") == "awsSigv4":
            found[name] = Authorizer(kind="iam")
        custom = scheme.get("x-amazon-apigateway-authorizer", {})
        if custom.get("type") == "cognito_user_pools":
            pools = tuple(str(arn) for arn in custom["providerARNs"])
            found[name] = Authorizer(kind="cognito", header=scheme["name"], pools=pools)
        function = _FUNCTION.search(str(custom.get("authorizerUri", "")))
        if custom.get("type") == "token" and function is not None:
            found[name] = Authorizer(
                kind="token", function=function.group(1), header=scheme["name"]
            )
    return found


def _allows(answer: Any, arn: str) -> bool:
    """Whether an authorizer's policy allows the method; a Deny wins."""
    verdicts = set()
    for statement in answer["policyDocument"]["Statement"]:
        resources = statement["Resource"]
        for resource in [resources] if isinstance(resources, str) else resources:
            if fnmatchcase(arn, resource):
                verdicts.add(statement["Effect"])
    return verdicts == {"Allow"}


def _match(template: str, path: str) -> dict[str, str] | None:
    """The parameters of a path, still percent-encoded as API Gateway passes them on."""
    wanted, given = template.strip("/").split("/"), path.strip("/").split("/")
    if len(wanted) != len(given):
        return None
    parameters = {}
    for pattern, segment in zip(wanted, given, strict=True):
        if pattern.startswith("{"):
            if not segment:
                return None
            parameters[pattern.strip("{}")] = segment
        elif pattern != segment:
            return None
    return parameters


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _json(body: Mapping[str, Any], status: int) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(json.dumps(body), status=status, headers=headers, mimetype="application/json")
