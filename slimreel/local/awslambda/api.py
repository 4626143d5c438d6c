"""The Lambda API over HTTP, parsed and answered by botocore's own description of it."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator
from moto.core.parse import RestJSONParser
from moto.core.request import Request as MotoRequest
from moto.core.routing import get_service_router
from moto.core.serialize import RestJSONSerializer
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Request, Response

from slimreel.local.awslambda.environments import Closing
from slimreel.local.awslambda.errors import LambdaError, conflict, invalid, not_found, unsupported
from slimreel.local.awslambda.functions import Function
from slimreel.local.faults import Faults

if TYPE_CHECKING:
    from slimreel.local.awslambda.service import AwsLambda

log = logging.getLogger("slimreel.local.lambda")

Params = dict[str, Any]

#: Lambda keeps so many executions for functions that reserve none.
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
UNRESERVED_AT_LEAST = 100


class Api:
    """One method per operation; an operation without one is a 501."""

    def __init__(
        self,
        service: AwsLambda,
        *,
        faults: Faults,
        queue_visibility_s: Callable[[str], float] | None,
    ) -> None:
        self._service = service
        self._functions = service.functions
        self._mappings = service.mappings
        self._layers = service.layers
        self._faults = faults
        self._queue_visibility_s = queue_visibility_s
        self._operations: dict[str, Callable[[Params], Any]] = {
            "CreateFunction": self._create_function,
            "UpdateFunctionConfiguration": self._update_configuration,
            "UpdateFunctionCode": self._update_code,
            "GetFunction": self._get_function,
            "GetFunctionConfiguration": self._get_configuration,
            "ListFunctions": self._list_functions,
            "DeleteFunction": self._delete_function,
            "AddPermission": self._add_permission,
            "RemovePermission": self._remove_permission,
            "GetPolicy": self._get_policy,
            "CreateEventSourceMapping": self._create_mapping,
            "GetEventSourceMapping": self._get_mapping,
            "ListEventSourceMappings": self._list_mappings,
            "UpdateEventSourceMapping": self._update_mapping,
            "DeleteEventSourceMapping": self._delete_mapping,
            "PutFunctionEventInvokeConfig": self._put_event_invoke,
            "GetFunctionEventInvokeConfig": self._get_event_invoke,
            "DeleteFunctionEventInvokeConfig": self._delete_event_invoke,
            "PutFunctionConcurrency": self._put_concurrency,
            "GetFunctionConcurrency": self._get_concurrency,
            "DeleteFunctionConcurrency": self._delete_concurrency,
            "GetAccountSettings": self._account_settings,
            "PublishLayerVersion": self._layers.publish,
            "GetLayerVersion": self._get_layer,
            "ListLayerVersions": self._list_layers,
            "DeleteLayerVersion": self._delete_layer,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTags": self._list_tags,
        }

    def handle(self, request: Request) -> Response:
        body = request.get_data()
        try:
            operation, uri_params = _route(request)
            params = _parse(operation, uri_params, request, body)
            if operation.name == "Invoke":
                return self._invoke(params, body)
            return self._perform(operation, params)
        except LambdaError as refusal:
            if refusal.status == 501:
                log.warning("501 %s %s: %s", request.method, request.path, refusal.message)
            return _error(refusal)

    def _perform(self, operation: OperationModel, params: Params) -> Response:
        perform = self._operations.get(operation.name)
        if perform is None:
            raise unsupported(operation.name)
        fault = self._faults.take("lambda", operation.name)
        refusal = None
        if fault is not None and fault.status is not None:
            refusal = LambdaError(fault.status, fault.code, fault.message)
            if not fault.after_effect:
                raise refusal
        result = perform(params)
        if refusal is not None:
            raise refusal
        answer = RestJSONSerializer(operation).serialize(result or {})
        return Response(
            answer["body"],
            status=answer["status_code"],
            headers={**answer["headers"], "x-amzn-RequestId": str(uuid.uuid4())},
        )

    # Invocation ---------------------------------------------------------------------------

    def _invoke(self, params: Params, body: bytes) -> Response:
        kind = params.get("InvocationType", "RequestResponse")
        name = params["FunctionName"]
        if kind == "Event":
            request_id = self._service.invoke_async(name, body)
            return Response(status=202, headers={"x-amzn-RequestId": request_id})
        if kind == "DryRun":
            self._functions.get(name)
            return Response(status=204)
        try:
            outcome = self._service.invoke(name, body)
        except Closing:
            raise LambdaError(503, "ServiceException", "The cloud is shutting down.") from None
        headers = {"x-amzn-RequestId": outcome.request_id, "X-Amz-Executed-Version": "$LATEST"}
        if outcome.function_error:
            headers["X-Amz-Function-Error"] = outcome.function_error
        return Response(outcome.payload, headers=headers, mimetype="application/json")

    # Functions ----------------------------------------------------------------------------

    def _create_function(self, params: Params) -> Params:
        self._layers.check(params.get("Layers") or [])
        return self._functions.create(params).configuration

    def _update_configuration(self, params: Params) -> Params:
        self._layers.check(params.get("Layers") or [])
        return self._functions.update_configuration(params).configuration

    def _update_code(self, params: Params) -> Params:
        return self._functions.update_code(params).configuration

    def _get_function(self, params: Params) -> Params:
        function = self._functions.get(params["FunctionName"])
        found: Params = {
            "Configuration": function.configuration,
            "Code": {"RepositoryType": "S3", "Location": "file:the-project-directory"},
        }
        if function.tags:
            found["Tags"] = function.tags
        if function.reserved_concurrency is not None:
            found["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved_concurrency}
        return found

    def _get_configuration(self, params: Params) -> Params:
        return self._functions.get(params["FunctionName"]).configuration

    def _list_functions(self, params: Params) -> Params:
        return {"Functions": [function.configuration for function in self._functions.all()]}

    def _delete_function(self, params: Params) -> None:
        self._functions.delete(params["FunctionName"])

    # Layers -------------------------------------------------------------------------------

    def _get_layer(self, params: Params) -> Params:
        return self._layers.get(params["LayerName"], params["VersionNumber"])

    def _delete_layer(self, params: Params) -> None:
        self._layers.delete(params["LayerName"], params["VersionNumber"])

    def _list_layers(self, params: Params) -> Params:
        return {"LayerVersions": self._layers.versions(params["LayerName"])}

    # Permissions --------------------------------------------------------------------------

    def _add_permission(self, params: Params) -> Params:
        function = self._functions.get(params["FunctionName"])
        statement_id = params["StatementId"]
        if statement_id in function.policy:
            raise conflict(
                f"The statement id ({statement_id}) provided already exists. "
                "Please provide a new statement id, or remove the existing statement."
            )
        statement = _statement(function, params)
        function.policy[statement_id] = statement
        return {"Statement": json.dumps(statement)}

    def _remove_permission(self, params: Params) -> None:
        function = self._functions.get(params["FunctionName"])
        if function.policy.pop(params["StatementId"], None) is None:
            raise not_found(f"Statement {params['StatementId']} is not found in resource policy.")

    def _get_policy(self, params: Params) -> Params:
        function = self._functions.get(params["FunctionName"])
        if not function.policy:
            raise not_found("The resource you requested does not exist.")
        policy = {
            "Version": "2012-10-17",
            "Id": "default",
            "Statement": list(function.policy.values()),
        }
        return {
            "Policy": json.dumps(policy),
            "RevisionId": function.configuration["RevisionId"],
        }

    # Event source mappings ----------------------------------------------------------------

    def _create_mapping(self, params: Params) -> Params:
        function = self._functions.get(params["FunctionName"])
        self._check_visibility(params.get("EventSourceArn", ""), function)
        return self._mappings.create(params, function_arn=function.arn)

    def _get_mapping(self, params: Params) -> Params:
        return self._mappings.get(params["UUID"])

    def _list_mappings(self, params: Params) -> Params:
        found = self._mappings.all()
        if "EventSourceArn" in params:
            found = [one for one in found if one["EventSourceArn"] == params["EventSourceArn"]]
        if "FunctionName" in params:
            arn = self._functions.get(params["FunctionName"]).arn
            found = [one for one in found if one["FunctionArn"] == arn]
        return {"EventSourceMappings": found}

    def _update_mapping(self, params: Params) -> Params:
        name = params.get("FunctionName")
        function_arn = self._functions.get(name).arn if name else None
        return self._mappings.update(params["UUID"], params, function_arn=function_arn)

    def _delete_mapping(self, params: Params) -> Params:
        return self._mappings.delete(params["UUID"])

    def _check_visibility(self, queue_arn: str, function: Function) -> None:
        """AWS refuses a queue that would hand a message out again while it is worked on."""
        if self._queue_visibility_s is None or not queue_arn.startswith("arn:aws:sqs:"):
            return
        visibility_s = self._queue_visibility_s(queue_arn)
        if visibility_s < function.timeout_s:
            raise invalid(
                f"Queue visibility timeout: {visibility_s:.0f} seconds is less than Function "
                f"timeout: {function.timeout_s} seconds"
            )

    # Asynchronous invocation --------------------------------------------------------------

    def _put_event_invoke(self, params: Params) -> Params:
        function = self._functions.get(params["FunctionName"])
        for side in (params.get("DestinationConfig") or {}).values():
            arn = (side or {}).get("Destination") or ""
            if arn and arn.split(":")[2] not in ("sqs", "sns"):
                raise unsupported(f"the destination {arn}")
        members = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
        function.event_invoke = {
            member: params[member] for member in members if params.get(member) is not None
        }
        return self._get_event_invoke(params)

    def _get_event_invoke(self, params: Params) -> Params:
        function = self._functions.get(params["FunctionName"])
        if function.event_invoke is None:
            raise not_found(f"The function {function.arn} doesn't have an EventInvokeConfig")
        return {**function.event_invoke, "FunctionArn": f"{function.arn}:$LATEST"}

    def _delete_event_invoke(self, params: Params) -> None:
        self._functions.get(params["FunctionName"]).event_invoke = None

    def _put_concurrency(self, params: Params) -> Params:
        function = self._functions.get(params["FunctionName"])
        wanted = int(params["ReservedConcurrentExecutions"])
        if self._unreserved(without=function.name) - wanted < UNRESERVED_AT_LEAST:
            raise invalid(
                "Specified ReservedConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_AT_LEAST}]."
            )
        function.reserved_concurrency = wanted
        return {"ReservedConcurrentExecutions": function.reserved_concurrency}

    def _unreserved(self, *, without: str = "") -> int:
        """What is left of the account's quota for functions that reserve nothing."""
        reserved = (f.reserved_concurrency or 0 for f in self._functions.all() if f.name != without)
        return self._service.concurrency_quota - sum(reserved)

    def _account_settings(self, _: Params) -> Params:
        functions = self._functions.all()
        return {
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": self._service.concurrency_quota,
                "UnreservedConcurrentExecutions": self._unreserved(),
            },
            "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": len(functions)},
        }

    def _get_concurrency(self, params: Params) -> Params:
        reserved = self._functions.get(params["FunctionName"]).reserved_concurrency
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def _delete_concurrency(self, params: Params) -> None:
        self._functions.get(params["FunctionName"]).reserved_concurrency = None

    # Tags ---------------------------------------------------------------------------------

    def _tag(self, params: Params) -> None:
        self._functions.get(params["Resource"]).tags.update(params["Tags"])

    def _untag(self, params: Params) -> None:
        tags = self._functions.get(params["Resource"]).tags
        for key in params["TagKeys"]:
            tags.pop(key, None)

    def _list_tags(self, params: Params) -> Params:
        return {"Tags": self._functions.get(params["Resource"]).tags}


def _route(request: Request) -> tuple[OperationModel, Params]:
    """The operation a request asks for, and the parameters in its path."""
    # Invoke takes any content type; for routing, all of this API is REST-JSON.
    environ = {**request.environ, "CONTENT_TYPE": "application/json"}
    try:
        operation, uri_params = get_service_router("lambda").match(MotoRequest(environ))
    except NotFound:
        raise unsupported(f"{request.method} {request.path}") from None
    return operation, dict(uri_params)


def _parse(operation: OperationModel, uri: Params, request: Request, body: bytes) -> Params:
    is_invoke = operation.name == "Invoke"  # its body is the payload itself
    parsed: Params = RestJSONParser(operation).parse(
        {
            "method": request.method,
            "values": request.args,
            "headers": request.headers,
            "body": b"" if is_invoke else body,
            "url_path": request.path,
            "url_params": uri,
        }
    )
    problems = list(_violations(parsed, operation.input_shape, "")) if operation.input_shape else []
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise LambdaError(400, "ValidationException", count + "; ".join(problems))
    return parsed


def _violations(params: Params, shape: StructureShape, path: str) -> list[str]:
    report = ParamValidator().validate(params, shape)
    if report.has_errors():
        return [report.generate_report()]
    return _beyond_model(params, shape, path)


def _beyond_model(value: Any, shape: Shape, path: str) -> list[str]:
    """What botocore leaves to the service: enumerations and upper bounds."""
    if isinstance(shape, StructureShape):
        return [
            problem
            for member, member_value in value.items()
            for problem in _beyond_model(member_value, shape.members[member], f"{path}.{member}")
        ]
    if isinstance(shape, ListShape):
        return [
            problem
            for index, item in enumerate(value)
            for problem in _beyond_model(item, shape.member, f"{path}.{index + 1}")
        ]
    if isinstance(shape, MapShape):
        return [
            problem
            for key, item in value.items()
            for problem in _beyond_model(item, shape.value, f"{path}.{key}")
        ]
    refusal = f"Value '{value}' at '{path[1:]}' failed to satisfy constraint: Member must "
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        return [f"{refusal}satisfy enum value set: {shape.enum}"]
    most = shape.metadata.get("max")
    if most is not None and isinstance(value, int) and value > most:
        return [f"{refusal}have value less than or equal to {most}"]
    if most is not None and isinstance(value, str) and len(value) > most:
        return [f"{refusal}have length less than or equal to {most}"]
    return []


def _statement(function: Function, params: Params) -> dict[str, Any]:
    principal = params["Principal"]
    is_service = principal.endswith(".amazonaws.com")
    statement: dict[str, Any] = {
        "Sid": params["StatementId"],
        "Effect": "Allow",
        "Principal": {"Service" if is_service else "AWS": principal},
        "Action": params["Action"],
        "Resource": function.arn,
    }
    condition: dict[str, dict[str, str]] = {}
    if params.get("SourceArn"):
        condition["ArnLike"] = {"AWS:SourceArn": params["SourceArn"]}
    if params.get("SourceAccount"):
        condition["StringEquals"] = {"AWS:SourceAccount": params["SourceAccount"]}
    if condition:
        statement["Condition"] = condition
    return statement


def _error(refusal: LambdaError) -> Response:
    side = "User" if refusal.status < 500 else "Service"
    return Response(
        json.dumps({"Type": side, "Message": refusal.message, "message": refusal.message}),
        status=refusal.status,
        headers={"x-amzn-ErrorType": refusal.code, "x-amzn-RequestId": str(uuid.uuid4())},
        mimetype="application/json",
    )
