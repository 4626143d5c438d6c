"""The control path takes faults from this machine's programs, and from nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Request

from slimreel.local.control import Control
from slimreel.local.faults import Fault, Faults


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def client(faults: Faults) -> Client:
    control = Control(faults, lambda: {("dynamodb", "PutItem"): 3})
    return Client(Request.application(control.handle))


def test_a_fault_sent_as_json_strikes(client: Client, faults: Faults) -> None:
    told = {"service": "s3", "operation": "PutObject", "nth": 2, "status": 503, "delay_s": 0}
    assert client.post("/_control/faults", json=told).status_code == 201
    assert faults.take("s3", "PutObject") is None
    struck = faults.take("s3", "PutObject")
    assert struck == Fault(service="s3", operation="PutObject", nth=2, status=503)


def test_faults_are_listed_and_cleared(client: Client, faults: Faults) -> None:
    faults.add(Fault(service="drive"))
    [listed] = client.get("/_control/faults").get_json()["faults"]
    assert listed["service"] == "drive"
    client.delete("/_control/faults", content_type="application/json")
    assert faults.waiting() == []


def test_calls_are_counted(client: Client) -> None:
    assert client.get("/_control/requests").get_json() == {"requests": {"dynamodb.PutItem": 3}}


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({}, "needs service"),
        ({"service": "s3", "statsu": 500}, "no statsu"),
        ({"service": "s3", "status": "500"}, "status is '500'"),
        ({"service": "s3", "nth": True}, "nth is True"),
        (["s3"], "not a JSON object"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(client: Client, told: Any, says: str) -> None:
    answer = client.post("/_control/faults", json=told)
    assert answer.status_code == 400
    assert says in answer.get_json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Content-Type": "text/plain"}, 415), ({"Host": "evil.example"}, 403)],
)
def test_a_web_page_cannot_send_one(
    client: Client, faults: Faults, headers: dict[str, str], status: int
) -> None:
    everything = {"Content-Type": "application/json", **headers}
    answer = client.post("/_control/faults", data='{"service": "s3"}', headers=everything)
    assert answer.status_code == status
    assert faults.waiting() == []
