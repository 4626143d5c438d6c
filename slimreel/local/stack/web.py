"""The REST API: its OpenAPI document goes to the API Gateway stand-in once a stage publishes it."""

from __future__ import annotations

import hashlib

from slimreel.local.stack.errors import BadReference, Unsupported
from slimreel.local.stack.kinds import Kind, Made, Order
from slimreel.local.stack.shapes import ANY, Ignored

_ONE_ENDPOINT = Ignored("everything answers on one local port, there is no edge and no region")
_NO_COMPRESSION = Ignored("nothing is far away on a laptop; the real gateway compresses answers")
_NO_LOG = Ignored("the front logs what is asked for; the real gateway writes its own")
_NO_TRACE = Ignored("nothing collects traces on a laptop")
_NO_THROTTLE = Ignored("one person's laptop is the only caller; the real gateway throttles")


def _rest_api(order: Order) -> Made:
    if order.site.gateway is None:
        raise Unsupported(
            f"{order.logical_id} is an AWS::ApiGateway::RestApi and no gateway was"
            " given to serve it."
        )
    # Ten characters like a real id, and the same after a restart.
    identifier = hashlib.sha256(order.name().encode()).hexdigest()[:10]
    order.site.api_bodies[identifier] = order.properties["Body"]
    return Made(ref=identifier, attributes={"RestApiId": identifier, "RootResourceId": identifier})


def _deployment(order: Order) -> Made:
    return Made(ref=order.logical_id, attributes={"DeploymentId": order.logical_id})


def _stage(order: Order) -> Made:
    body = order.site.api_bodies.get(order.properties["RestApiId"])
    if body is None or order.site.gateway is None:
        raise BadReference(f"{order.logical_id}: RestApiId names no API of this template.")
    stage = order.properties["StageName"]
    order.site.gateway.load(body, stage)
    return Made(ref=stage)


def _account(order: Order) -> Made:
    return Made(ref=order.logical_id)


KINDS = {
    "AWS::ApiGateway::Account": Kind(
        shape={"CloudWatchRoleArn": _NO_LOG}, create=_account, required=("CloudWatchRoleArn",)
    ),
    "AWS::ApiGateway::RestApi": Kind(
        shape={
            "Body": ANY,
            "EndpointConfiguration": _ONE_ENDPOINT,
            "MinimumCompressionSize": _NO_COMPRESSION,
            "Parameters": _ONE_ENDPOINT,
        },
        create=_rest_api,
        required=("Body",),
    ),
    "AWS::ApiGateway::Deployment": Kind(
        shape={
            "RestApiId": ANY,
            "Description": Ignored("a deployment is a snapshot; the stage serves the body itself"),
            "StageName": Ignored("SAM's placeholder stage, never called by anyone"),
        },
        create=_deployment,
    ),
    "AWS::ApiGateway::Stage": Kind(
        shape={
            "RestApiId": ANY,
            "DeploymentId": ANY,
            "StageName": ANY,
            "MethodSettings": _NO_THROTTLE,
            "AccessLogSetting": _NO_LOG,
            "TracingEnabled": _NO_TRACE,
        },
        create=_stage,
        required=("RestApiId", "StageName"),
    ),
}
