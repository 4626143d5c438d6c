"""CloudFormation's query protocol, parsed and written by botocore's own model of the service."""

from __future__ import annotations

import uuid
from functools import cache
from typing import Any

import botocore.session
from botocore.validate import ParamValidator
from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import QueryParser
from moto.core.serialize import QuerySerializer
from werkzeug.wrappers import Request, Response

from slimreel.local.aws_errors import query_error
from slimreel.local.cloudformation.errors import Refused, invalid

Params = dict[str, Any]


@cache
def service_model() -> Any:
    """moto's facade of botocore's model (API version 2010-05-15)."""
    loader = botocore.session.get_session().get_component("data_loader")
    return ServiceModel(loader.load_service_model("cloudformation", "service-2"), "cloudformation")


def parsed(request: Request) -> tuple[Any, Params]:
    """The operation a request asks for, and its parameters.

    Raises:
        Refused: no such operation, or parameters the model does not have it take.
    """
    form = request.form.to_dict()
    action = form.get("Action", "")
    if action not in service_model().operation_names:
        raise Refused("InvalidAction", f"Could not find operation {action}")
    operation: OperationModel = service_model().operation_model(action)
    params: Params = QueryParser(operation, map_type=dict).parse({"values": form})
    if operation.input_shape is not None:
        report = ParamValidator().validate(params, operation.input_shape)
        if report.has_errors():
            raise invalid(report.generate_report())
    return operation, params


def answer(operation: Any, result: Params) -> Response:
    written = QuerySerializer(operation).serialize(result)
    headers = {**written["headers"], "x-amzn-RequestId": str(uuid.uuid4())}
    return Response(written["body"], status=written["status_code"], headers=headers)


def error(refusal: Refused) -> Response:
    return query_error(refusal.status, refusal.code, refusal.message)
