"""The workflows for n8n: well formed, whole, and without anybody's secrets.

That a real n8n imports and runs them is shown by `make n8n`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "workflows" / "n8n"
FILES = sorted(FOLDER.glob("*.json"))
#: Of n8n 1.123: nodes we use, and the newest version each had by then that we rely on.
KNOWN = {
    "n8n-nodes-base.googleDriveTrigger": 1,
    "n8n-nodes-base.webhook": 2,
    "n8n-nodes-base.set": 3.4,
    "n8n-nodes-base.httpRequest": 4.2,
    "n8n-nodes-base.if": 2.2,
    "n8n-nodes-base.wait": 1.1,
    "n8n-nodes-base.airtable": 2.1,
    "n8n-nodes-base.slack": 2.3,
}
_NAMED = re.compile(r"\$\('([^']+)'\)")


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(request.param.read_text())  # type: ignore[no-any-return]


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def targets(workflow: dict[str, Any]) -> dict[str, list[str]]:
    return {
        name: [one["node"] for output in outputs["main"] for one in output]
        for name, outputs in workflow["connections"].items()
    }


def test_there_are_workflows() -> None:
    assert [file.stem for file in FILES] == ["drive-to-slimreel", "s3-to-slimreel"]


def test_they_have_what_the_command_of_n8n_does_not_add() -> None:
    """`n8n import:workflow` refuses a file without; the editor would make up both."""
    workflows = [json.loads(file.read_text()) for file in FILES]
    for one in workflows:
        assert re.fullmatch(r"[A-Za-z0-9]{16}", one["id"])
        assert str(UUID(one["versionId"])) == one["versionId"]
    for key in ("id", "versionId"):
        assert len({one[key] for one in workflows}) == len(workflows)


def test_nodes_are_known_and_named_once(workflow: dict[str, Any]) -> None:
    nodes = workflow["nodes"]
    for key in ("name", "id"):
        assert len({node[key] for node in nodes}) == len(nodes)
    assert {node["type"]: node["typeVersion"] for node in nodes}.items() <= KNOWN.items()


def test_connections_lead_from_the_trigger_to_every_node(workflow: dict[str, Any]) -> None:
    names = {node["name"] for node in workflow["nodes"]}
    leads = targets(workflow)
    assert set(leads) <= names and {n for to in leads.values() for n in to} <= names
    trigger = workflow["nodes"][0]
    assert trigger["type"].endswith(("Trigger", "webhook"))
    met, ahead = set(), [trigger["name"]]
    while ahead:
        met.add(name := ahead.pop())
        ahead += [one for one in leads.get(name, []) if one not in met]
    assert met == names


def test_both_ends_of_a_question_lead_somewhere(workflow: dict[str, Any]) -> None:
    for node in workflow["nodes"]:
        if node["type"].endswith(".if"):
            outputs = workflow["connections"][node["name"]]["main"]
            assert [len(output) for output in outputs] == [1, 1], node["name"]


def test_expressions_name_nodes_that_are_there(workflow: dict[str, Any]) -> None:
    names = {node["name"] for node in workflow["nodes"]}
    named = {name for text in texts(workflow["nodes"]) for name in _NAMED.findall(text)}
    assert named and named <= names


def test_the_submission_says_where_to_be_called_back(workflow: dict[str, Any]) -> None:
    [submit] = [n for n in workflow["nodes"] if n["name"] == "Submit to Slimreel"]
    body = submit["parameters"]["jsonBody"]
    assert "callback_url: $execution.resumeUrl" in body
    [wait] = [n for n in workflow["nodes"] if n["type"].endswith(".wait")]
    assert (wait["parameters"]["resume"], wait["parameters"]["httpMethod"]) == ("webhook", "POST")
    assert wait["parameters"]["limitWaitTime"] and wait["webhookId"]


def test_they_hold_no_secrets_and_nobodys_ids(workflow: dict[str, Any]) -> None:
    for node in workflow["nodes"]:
        assert "credentials" not in node, "credentials are chosen after the import"
    assert "instanceId" not in workflow["meta"], "n8n's own exports name the n8n they are of"
    said = " ".join(texts(workflow))
    assert not re.search(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|xox[abp]-|\bpat[A-Za-z0-9]{14}\.", said)
    assert "YOUR-API-ID" in said and "appXXXXXXXXXXXXXX" in said
    assert workflow["active"] is False
