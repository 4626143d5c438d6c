"""Who may call: what a verified caller is worth, and what every route asks for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import app as app_module
from chalicelib.api.access import Caller, Role, allowed, caller, machines, people
from chalicelib.domain.control import NotAllowed

#: Public, because they check their caller themselves, each in a way of its own; and the pages' own
#: files, which hold no data.
PUBLIC = {
    ("POST", "/airtable/notifications"),
    ("POST", "/drive/notifications"),
    ("GET", "/v/{job_id}"),
    ("GET", "/health"),
    ("GET", "/app"),
    ("GET", "/app/{version}/{name}"),
}
CLIENT = "pages-client"


def request(**context: Any) -> Any:
    return SimpleNamespace(context=context)


def person(**claims: Any) -> Any:
    token = {"aud": CLIENT, "token_use": "id", "email": "anna@example.com", **claims}
    return request(authorizer={"claims": token})


def test_every_route_but_the_public_ones_asks_machines_or_people() -> None:
    for path, methods in app_module.app.routes.items():
        for method, route in methods.items():
            wanted = people if path.startswith("/web/") else machines
            if (method, path) in PUBLIC:
                assert route.authorizer is None
            else:
                assert route.authorizer is wanted, (method, path)


def test_whatever_a_machine_can_do_a_person_can() -> None:
    routes = {(m, path) for path, methods in app_module.app.routes.items() for m in methods}
    for method, path in routes:
        if path.startswith("/jobs"):
            assert (method, f"/web{path}") in routes


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::123456789012:user/people/anna", "anna"),
        ("arn:aws:sts::123456789012:assumed-role/Studio/anna@example.com", "anna@example.com"),
        ("arn:aws:iam::123456789012:root", "root"),
        (None, "someone"),
    ],
)
def test_a_machine_is_called_by_its_arn(arn: str | None, name: str) -> None:
    assert caller(request(identity={"userArn": arn})) == Caller(name=name, role=Role.ADMIN)


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ("viewer", Role.VIEWER),
        ("viewer,admin", Role.ADMIN),
        ("[viewer operator]", Role.OPERATOR),
        ("administrators", None),
        ("", None),
        (None, None),
    ],
)
def test_a_person_may_do_what_their_highest_group_may(groups: str | None, role: Any) -> None:
    claims = {"cognito:groups": groups} if groups is not None else {}
    assert caller(person(**claims)) == Caller(name="anna@example.com", role=role)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("needed", list(Role))
def test_each_role_may_do_what_those_before_it_may(role: Role, needed: Role) -> None:
    who = person(**{"cognito:groups": role.name.lower()})
    if role >= needed:
        assert allowed(who, needed, client_id=CLIENT).role is role
    else:
        with pytest.raises(NotAllowed, match=f"takes the group {needed.name.lower()}"):
            allowed(who, needed, client_id=CLIENT)


@pytest.mark.parametrize(
    ("claims", "client_id", "says"),
    [
        ({"aud": "another client"}, CLIENT, "not made for these pages"),
        ({"token_use": "access"}, CLIENT, "not made for these pages"),
        ({"aud": ""}, "", "not made for these pages"),
        ({}, CLIENT, "anna@example.com is signed in, but in none of the groups"),
    ],
)
def test_a_token_that_is_not_for_us(claims: Any, client_id: str, says: str) -> None:
    groups = {"cognito:groups": "admin"} if claims else {}
    with pytest.raises(NotAllowed, match=says):
        allowed(person(**groups, **claims), Role.VIEWER, client_id=client_id)
