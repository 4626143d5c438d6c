"""User pools: who may sign in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from slimreel.local.stack.kinds import Kind, Made, Order, has_code
from slimreel.local.stack.shapes import ANY, Ignored

_POOL = {
    "AccountRecoverySetting": ANY,
    "AdminCreateUserConfig": ANY,
    "AutoVerifiedAttributes": ANY,
    "DeletionProtection": ANY,
    "MfaConfiguration": ANY,
    "Policies": ANY,
    "UserPoolName": ANY,
    "UsernameAttributes": ANY,
    "EnabledMfas": Ignored("nobody sets up a second factor at the stand-in's sign-in page"),
}
_CLIENT_PROPERTIES = (
    "AccessTokenValidity",
    "AllowedOAuthFlows",
    "AllowedOAuthFlowsUserPoolClient",
    "AllowedOAuthScopes",
    "CallbackURLs",
    "ClientName",
    "EnableTokenRevocation",
    "ExplicitAuthFlows",
    "GenerateSecret",
    "IdTokenValidity",
    "LogoutURLs",
    "PreventUserExistenceErrors",
    "ReadAttributes",
    "RefreshTokenValidity",
    "SupportedIdentityProviders",
    "TokenValidityUnits",
    "UserPoolId",
)


def _user_pool(order: Order) -> Made:
    cognito = order.client("cognito-idp")
    name = order.name("UserPoolName")
    wanted = order.picked(*(set(_POOL) - {"UserPoolName", "EnabledMfas"}))
    pool_id = _found(cognito, "user_pools", "Name", name, "Id")
    if pool_id is None:
        pool_id = cognito.create_user_pool(PoolName=name, **wanted)["UserPool"]["Id"]
    else:
        keys = set(wanted) - {"UsernameAttributes"}  # a pool's user names cannot change
        cognito.update_user_pool(UserPoolId=pool_id, **{key: wanted[key] for key in keys})
    arn = cognito.describe_user_pool(UserPoolId=pool_id)["UserPool"]["Arn"]
    return Made(ref=pool_id, attributes={"Arn": arn, "UserPoolId": pool_id})


def _client(order: Order) -> Made:
    cognito = order.client("cognito-idp")
    pool_id = order.properties["UserPoolId"]
    name = order.name("ClientName")
    wanted = {**order.picked(*_CLIENT_PROPERTIES), "ClientName": name}
    client_id = _found(
        cognito, "user_pool_clients", "ClientName", name, "ClientId", UserPoolId=pool_id
    )
    if client_id is None:
        made = cognito.create_user_pool_client(**wanted)["UserPoolClient"]
        return Made(ref=made["ClientId"])
    wanted.pop("GenerateSecret", None)
    cognito.update_user_pool_client(ClientId=client_id, **wanted)
    return Made(ref=client_id)


def _group(order: Order) -> Made:
    cognito = order.client("cognito-idp")
    wanted = order.picked("UserPoolId", "GroupName", "Description", "Precedence")
    try:
        cognito.create_group(**wanted)
    except ClientError as error:
        if not has_code(error, "GroupExistsException"):
            raise
        cognito.update_group(**wanted)
    return Made(ref=order.properties["GroupName"])


def _domain(order: Order) -> Made:
    cognito = order.client("cognito-idp")
    domain = order.properties["Domain"]
    if not cognito.describe_user_pool_domain(Domain=domain)["DomainDescription"]:
        cognito.create_user_pool_domain(**order.picked("UserPoolId", "Domain"))
    return Made(ref=domain)


def _found(
    cognito: Any, listing: str, by: str, wanted: str, give: str, **within: str
) -> str | None:
    """The id of the one with this name, if there is one."""
    pages = cognito.get_paginator(f"list_{listing}").paginate(
        PaginationConfig={"PageSize": 60}, **within
    )
    key = "".join(word.capitalize() for word in listing.split("_"))
    found: Iterator[str] = (
        str(one[give]) for page in pages for one in page[key] if one[by] == wanted
    )
    return next(found, None)


KINDS = {
    "AWS::Cognito::UserPool": Kind(shape=_POOL, create=_user_pool),
    "AWS::Cognito::UserPoolClient": Kind(
        shape=dict.fromkeys(_CLIENT_PROPERTIES, ANY),
        create=_client,
        required=("UserPoolId", "ClientName"),
    ),
    "AWS::Cognito::UserPoolGroup": Kind(
        shape={"UserPoolId": ANY, "GroupName": ANY, "Description": ANY, "Precedence": ANY},
        create=_group,
        required=("UserPoolId", "GroupName"),
    ),
    "AWS::Cognito::UserPoolDomain": Kind(
        shape={"UserPoolId": ANY, "Domain": ANY},
        create=_domain,
        required=("UserPoolId", "Domain"),
    ),
}
