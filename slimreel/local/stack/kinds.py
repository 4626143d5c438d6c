"""What a resource type is to the applier: the properties it knows and how it is created."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ClientError

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.stack.shapes import Shape


class Gateway(Protocol):
    """The API Gateway stand-in, as far as the applier needs it."""

    def load(self, openapi_body: Mapping[str, Any], stage_name: str, /) -> object:
        """Serve this API from now on, under `/<stage_name>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where resources are created, and what they must know of each other.

    Attributes:
        client: a boto3 client of the local cloud for a service name.
        gateway: None where there is nothing to serve HTTP; an API is then refused.
        stack_name: what generated names begin with.
        api_bodies: OpenAPI documents by RestApi id, until a stage publishes them.
    """

    client: Callable[[str], Any]
    gateway: Gateway | None
    stack_name: str
    api_bodies: dict[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One resource to create, its properties resolved."""

    logical_id: str
    properties: Mapping[str, Any]
    site: Site

    def client(self, service: str) -> Any:
        return self.site.client(service)

    def name(self, given_by: str = "") -> str:
        """The physical name: the property `given_by`, or one from stack and logical id."""
        return str(self.properties.get(given_by) or f"{self.site.stack_name}-{self.logical_id}")

    def picked(self, *names: str) -> dict[str, Any]:
        """The properties of these names that are present."""
        return {name: self.properties[name] for name in names if name in self.properties}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A resource that now exists.

    Attributes:
        ref: what `Ref` gives, and the physical id.
        attributes: what `Fn::GetAtt` gives, by attribute name.
    """

    ref: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One resource type.

    Attributes:
        shape: the properties it may have.
        create: makes the resource, or brings an existing one up to date.
        required: the properties it must have.
    """

    shape: Shape
    create: Callable[[Order], Made]
    required: tuple[str, ...] = ()


def arn(service: str, resource: str) -> str:
    """The ARN of a resource in the local account."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


def has_code(error: ClientError, *codes: str) -> bool:
    """Whether a service's error carries one of these codes."""
    return error.response.get("Error", {}).get("Code") in codes


def tags_by_key(tags: list[dict[str, str]]) -> dict[str, str]:
    """CloudFormation's tag list as the mapping that several services take."""
    return {tag["Key"]: tag["Value"] for tag in tags}
