"""What alarms and the dashboard look at is what the code reports: read from the template on one
side, from whole stages that are played through on the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.figures import NAMESPACE, UNITS
from slimreel.template import cloudformation
from tests.reliability import stories
from tests.reliability.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
#: A figure, and by what it is told apart.
Watched = tuple[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return dict(cloudformation(ROOT, "dev")["Resources"])


@pytest.fixture(scope="module")
def reported() -> set[Watched]:
    """Every figure of a film that goes well, of one that is none, and of every schedule."""
    found: set[Watched] = set()
    for story in (stories.a_film, stories.no_film):
        with pytest.MonkeyPatch.context() as patch:
            stage = Stage(patch)
            story(stage)
            for schedule in stage.schedules():
                stage.later(schedule)
            for line in map(json.loads, stage.world.metric_lines):
                for directive in line["_aws"]["CloudWatchMetrics"]:
                    assert directive["Namespace"] == NAMESPACE
                    for metric in directive["Metrics"]:
                        assert isinstance(line[metric["Name"]], int | float)
                        for dimensions in directive["Dimensions"]:
                            assert all(isinstance(line[name], str) for name in dimensions)
                            found.add((metric["Name"], tuple(dimensions)))
    return found


def of_type(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    return {n: r["Properties"] for n, r in resources.items() if r["Type"] == kind}


def alarmed(resources: dict[str, Any]) -> Iterator[tuple[str, Watched]]:
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        if alarm["Namespace"] == NAMESPACE:
            yield name, (alarm["MetricName"], tuple(d["Name"] for d in alarm["Dimensions"]))


def widgets(resources: dict[str, Any]) -> list[dict[str, Any]]:
    (dashboard,) = of_type(resources, "AWS::CloudWatch::Dashboard").values()
    return list(json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"])


def drawn(resources: dict[str, Any]) -> Iterator[Watched]:
    for widget in widgets(resources):
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == NAMESPACE:
                _, name, *dimensions = [part for part in metric if isinstance(part, str)]
                yield name, tuple(dimensions[::2])


def test_every_figure_the_code_knows_is_reported(reported: set[Watched]) -> None:
    assert {name for name, _ in reported} == set(UNITS)


def test_every_alarm_watches_a_figure_that_is_reported(
    resources: dict[str, Any], reported: set[Watched]
) -> None:
    watched = dict(alarmed(resources))
    assert set(watched) == {
        "FailuresAlarm",
        "StuckAlarm",
        "DriveSilentAlarm",
        "CostAlarm",
        "AirtableFullAlarm",
    }
    assert set(watched.values()) <= reported
    for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
        assert alarm["AlarmDescription"].endswith(".")


def test_every_line_of_the_dashboard_is_reported_and_every_figure_drawn(
    resources: dict[str, Any], reported: set[Watched]
) -> None:
    lines = set(drawn(resources))
    assert lines <= reported
    assert {name for name, _ in lines} == set(UNITS)


def test_the_dashboard_names_queues_and_alarms_that_exist(resources: dict[str, Any]) -> None:
    queues = {
        queue["QueueName"]["Fn::Sub"] for queue in of_type(resources, "AWS::SQS::Queue").values()
    }
    alarms = {
        alarm["AlarmName"]["Fn::Sub"]
        for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items()
        if "Condition" not in resources[name]
    }
    for widget in widgets(resources):
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == "AWS/SQS":
                assert metric[3] in queues
        for arn in widget["properties"].get("alarms", []):
            assert arn.rpartition("alarm:")[2] in alarms
    listed = {
        arn.rpartition("alarm:")[2]
        for w in widgets(resources)
        for arn in w["properties"].get("alarms", [])
    }
    assert listed == alarms


def test_the_widgets_do_not_overlap_and_fit_the_width(resources: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in widgets(resources):
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken, widget["properties"]["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
