"""Lambda functions, their layers, who may call them and what calls them."""

from __future__ import annotations

from botocore.exceptions import ClientError

from slimreel.local.stack.kinds import Kind, Made, Order, arn, has_code, tags_by_key
from slimreel.local.stack.shapes import ANY

_CONFIGURATION = (
    "Description",
    "Environment",
    "Handler",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "Timeout",
    "TracingConfig",
)
_MAPPING = (
    "BatchSize",
    "Enabled",
    "FunctionName",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "ScalingConfig",
)
_INVOKE_CONFIG = (
    "DestinationConfig",
    "FunctionName",
    "MaximumEventAgeInSeconds",
    "MaximumRetryAttempts",
    "Qualifier",
)


def _function(order: Order) -> Made:
    functions = order.client("lambda")
    name = order.name("FunctionName")
    configuration = order.picked(*_CONFIGURATION)
    try:
        functions.create_function(
            FunctionName=name,
            Tags=tags_by_key(order.properties.get("Tags", [])),
            **order.picked("Code", "Architectures"),
            **configuration,
        )
    except ClientError as error:
        if not has_code(error, "ResourceConflictException"):
            raise
        functions.update_function_configuration(FunctionName=name, **configuration)
    reserved = order.properties.get("ReservedConcurrentExecutions")
    if reserved is not None:
        functions.put_function_concurrency(
            FunctionName=name,
            ReservedConcurrentExecutions=int(reserved),  # a parameter's value is text
        )
    return Made(ref=name, attributes={"Arn": arn("lambda", f"function:{name}")})


_LAYER = ("CompatibleArchitectures", "CompatibleRuntimes", "Description", "LicenseInfo")


def _layer(order: Order) -> Made:
    """A new version, unless the latest says the same of itself: no content is laid out here."""
    functions = order.client("lambda")
    name, about = order.name("LayerName"), order.picked(*_LAYER)
    published = functions.list_layer_versions(LayerName=name)["LayerVersions"][:1]
    if not published or any(published[0].get(key) != value for key, value in about.items()):
        content = order.properties["Content"]
        published = [functions.publish_layer_version(LayerName=name, Content=content, **about)]
    return Made(ref=published[0]["LayerVersionArn"])


def _permission(order: Order) -> Made:
    statement = order.logical_id
    allowed = order.picked("Action", "FunctionName", "Principal", "SourceAccount", "SourceArn")
    try:
        order.client("lambda").add_permission(StatementId=statement, **allowed)
    except ClientError as error:
        # The statement of this name is there from an earlier run.
        if not has_code(error, "ResourceConflictException"):
            raise
    return Made(ref=statement)


def _event_source_mapping(order: Order) -> Made:
    functions = order.client("lambda")
    source, function = order.properties["EventSourceArn"], order.properties["FunctionName"]
    existing = functions.list_event_source_mappings(EventSourceArn=source, FunctionName=function)
    wanted = order.picked(*_MAPPING)
    if existing["EventSourceMappings"]:
        identifier = existing["EventSourceMappings"][0]["UUID"]
        functions.update_event_source_mapping(UUID=identifier, **wanted)
    else:
        made = functions.create_event_source_mapping(EventSourceArn=source, **wanted)
        identifier = made["UUID"]
    return Made(ref=identifier, attributes={"Id": identifier})


def _invoke_config(order: Order) -> Made:
    order.client("lambda").put_function_event_invoke_config(**order.picked(*_INVOKE_CONFIG))
    return Made(ref=order.logical_id)


def _names(*names: str) -> dict[str, object]:
    return dict.fromkeys(names, ANY)


KINDS = {
    "AWS::Lambda::Function": Kind(
        shape=_names(
            "Architectures",
            "Code",
            "FunctionName",
            "ReservedConcurrentExecutions",
            "Tags",
            *_CONFIGURATION,
        ),
        create=_function,
        required=("Code", "Handler", "Role", "Runtime"),
    ),
    "AWS::Lambda::LayerVersion": Kind(
        shape={**_names("LayerName", *_LAYER), "Content": _names("S3Bucket", "S3Key")},
        create=_layer,
        required=("Content",),
    ),
    "AWS::Lambda::Permission": Kind(
        shape=_names("Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"),
        create=_permission,
        required=("Action", "FunctionName", "Principal"),
    ),
    "AWS::Lambda::EventSourceMapping": Kind(
        shape=_names("EventSourceArn", *_MAPPING),
        create=_event_source_mapping,
        required=("EventSourceArn", "FunctionName"),
    ),
    "AWS::Lambda::EventInvokeConfig": Kind(
        shape=_names(*_INVOKE_CONFIG), create=_invoke_config, required=("FunctionName", "Qualifier")
    ),
}
