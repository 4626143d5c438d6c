"""Airtable's pings: only those our webhook signed have anything looked at."""

from __future__ import annotations

import json

import pytest

from chalicelib.api import table_changes
from chalicelib.steps.desk import STATE
from slimreel.local.airtable.webhooks import ping, signature
from tests.fakes import World

SECRET = "c2VjcmV0LW9mLW91cnM="
OURS = "ach00000000000001"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    world.records.save_state(*STATE, {"webhook_id": OURS, "secret": SECRET})
    monkeypatch.setattr(table_changes, "services", lambda: world.services)
    return world


def test_a_signed_ping_has_the_table_looked_at(world: World) -> None:
    body = ping("app1", OURS, 1.8e9)
    for _ in range(2):
        answer = table_changes.receive({"X-Airtable-Content-MAC": signature(SECRET, body)}, body)
        assert answer.status_code == 204 and answer.body == ""
    assert len(set(world.queues.desk)) == 1  # the queue takes the same one once


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("", ping("app1", OURS, 1.8e9)),
        ("hmac-sha256=00", ping("app1", OURS, 1.8e9)),
        ("hmac-sha256=ü", ping("app1", OURS, 1.8e9)),
        (signature("d3Jvbmc=", ping("app1", OURS, 1.8e9)), ping("app1", OURS, 1.8e9)),
        (signature(SECRET, ping("app1", OURS, 1.8e9)), ping("app1", OURS, 1.9e9)),
        (signature(SECRET, ping("app1", "ach2", 1.8e9)), ping("app1", "ach2", 1.8e9)),
        (signature(SECRET, b"[]"), b"[]"),
        (signature(SECRET, b"{"), b"{"),
        (signature(SECRET, b"x" * 5000), b"x" * 5000),
    ],
)
def test_anything_else_is_refused(world: World, header: str, body: bytes) -> None:
    assert table_changes.receive({"x-airtable-content-mac": header}, body).status_code == 403
    assert world.queues.desk == []


@pytest.mark.parametrize("state", [{}, {"webhook_id": None, "secret": None}, {"secret": "%%%"}])
def test_without_a_webhook_no_ping_is_ours(world: World, state: dict[str, str]) -> None:
    world.records.delete_state(*STATE)
    world.records.save_state(*STATE, state)
    body = json.dumps({"webhook": {"id": "None"}}).encode()
    given = {"X-Airtable-Content-MAC": signature("", body)}
    assert table_changes.receive(given, body).status_code == 403
