"""Event source mappings: which queue feeds which function, and how."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from slimreel.local.awslambda.errors import conflict, invalid, not_found, unsupported

Mapping = dict[str, Any]  # an EventSourceMappingConfiguration of the API

_REFUSED = (
    "FilterCriteria",
    "DestinationConfig",
    "ProvisionedPollerConfig",
    "SourceAccessConfigurations",
    "StartingPosition",
)


class Mappings:
    """All mappings by id. `changed` is called after every change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mappings: dict[str, Mapping] = {}
        self.changed: Callable[[], None] = lambda: None

    def create(self, params: dict[str, Any], *, function_arn: str) -> Mapping:
        source = params.get("EventSourceArn") or ""
        if not source.startswith("arn:aws:sqs:"):
            raise unsupported(f"an event source other than SQS ({source or 'none given'})")
        _refuse(params)
        mapping: Mapping = {
            "UUID": str(uuid.uuid4()),
            "BatchSize": 10,
            "MaximumBatchingWindowInSeconds": 0,
            "FunctionResponseTypes": [],
            "EventSourceArn": source,
            "FunctionArn": function_arn,
            "State": "Enabled",
            "StateTransitionReason": "USER_INITIATED",
        }
        _apply(mapping, params)
        with self._lock:
            for other in self._mappings.values():
                if (other["EventSourceArn"], other["FunctionArn"]) == (source, function_arn):
                    raise conflict(
                        "The event source arn and function provided mapping already exists. "
                        f"Please update or delete the existing mapping with UUID {other['UUID']}"
                    )
            self._mappings[mapping["UUID"]] = mapping
        self.changed()
        return dict(mapping)

    def get(self, mapping_id: str) -> Mapping:
        with self._lock:
            if mapping_id not in self._mappings:
                raise not_found("The resource you requested does not exist.")
            return dict(self._mappings[mapping_id])

    def all(self) -> list[Mapping]:
        with self._lock:
            return [dict(mapping) for mapping in self._mappings.values()]

    def update(
        self, mapping_id: str, params: dict[str, Any], *, function_arn: str | None
    ) -> Mapping:
        _refuse(params)
        mapping = self.get(mapping_id)
        if function_arn is not None:
            mapping["FunctionArn"] = function_arn
        _apply(mapping, params)
        with self._lock:
            self._mappings[mapping_id] = mapping
        self.changed()
        return dict(mapping)

    def delete(self, mapping_id: str) -> Mapping:
        mapping = self.get(mapping_id)
        with self._lock:
            self._mappings.pop(mapping_id, None)
        self.changed()
        return {**mapping, "State": "Deleting"}


def is_fifo(mapping: Mapping) -> bool:
    return str(mapping["EventSourceArn"]).endswith(".fifo")


def _refuse(params: dict[str, Any]) -> None:
    for member in _REFUSED:
        if params.get(member):
            raise unsupported(f"{member} of an event source mapping")


def _apply(mapping: Mapping, params: dict[str, Any]) -> None:
    for member in (
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "FunctionResponseTypes",
        "ScalingConfig",
    ):
        if params.get(member) is not None:
            mapping[member] = params[member]
    if params.get("Enabled") is not None:
        mapping["State"] = "Enabled" if params["Enabled"] else "Disabled"
    _check_batching(mapping)
    mapping["LastModified"] = datetime.now(UTC).replace(tzinfo=None)


def _check_batching(mapping: Mapping) -> None:
    """The limits of https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
    batch, window_s = mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]
    if is_fifo(mapping) and batch > 10:
        raise invalid("Maximum batch size for FIFO queues is 10.")
    if is_fifo(mapping) and window_s:
        raise invalid("Batching window is not supported for FIFO queues.")
    if batch > 10 and window_s < 1:
        raise invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size "
            "is greater than 10"
        )
