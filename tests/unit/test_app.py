"""The shape of the app: handlers Lambda can find, imports that stay cheap and point inward."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import app as app_module

ROOT = Path(app_module.__file__).parent


def test_every_handler_string_resolves_to_the_handler() -> None:
    # Chalice packages strings that Lambda cannot resolve without a word of warning.
    app = app_module.app
    handlers = [*app.event_sources, *app.pure_lambda_functions, *app.builtin_auth_handlers]
    assert len(handlers) >= 19
    for handler in handlers:
        module, function = handler.handler_string.rsplit(".", 1)
        assert module == "app"
        assert getattr(importlib.import_module(module), function) is app.handler_map[handler.name]


def test_every_step_of_the_flow_is_a_function_of_the_app() -> None:
    names = {handler.name for handler in app_module.app.pure_lambda_functions}
    for name in names:
        module = importlib.import_module(f"chalicelib.steps.{name}")
        assert callable(getattr(module, name))
    for flow in (ROOT / "workflows").glob("*.asl.json"):
        states = json.loads(flow.read_text())["States"].values()
        used = {
            str(state.get("Parameters", {}).get("FunctionName", state["Resource"])).strip("${}")
            for state in states
            if state["Type"] == "Task"
        }
        assert used <= names


def test_importing_the_app_loads_no_heavy_library() -> None:
    # Every function imports app.py, so what it imports is paid at each cold start.
    heavy = ("boto3", "botocore", "googleapiclient", "google.auth", "pyairtable", "pydantic")
    code = f"import app, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


RINGS = """
import sys, app
from chalicelib.adapters import messages, metrics, records  # the ones it has in Lambda
from chalicelib.api import notifications
from tests.fakes import World

world = World()
channel = {"token": "secret", "valid_until": "2999-01-01T00:00:00.000Z"}
world.records.save_state("channel#ours", "channel", channel)
notifications.services = lambda: world.services
headers = {"X-Goog-Channel-ID": "ours", "X-Goog-Channel-Token": "secret"}
event = {
    "requestContext": {"resourcePath": "/drive/notifications", "httpMethod": "POST"},
    "headers": {**headers, "X-Goog-Resource-State": "change", "Content-Type": "application/json"},
    "multiValueQueryStringParameters": None,
    "pathParameters": None,
    "stageVariables": None,
    "body": "",
    "isBase64Encoded": False,
}
heavy = ("googleapiclient", "google.auth", "pyairtable", "pydantic", "requests", "cryptography")
print(app.app(event, None)["statusCode"], len(world.queues.hints))
print([name for name in heavy if name in sys.modules])
"""


def test_answering_drives_push_loads_no_heavy_library() -> None:
    """Drive gives up on a webhook that is slow, and its first call may come to a cold function."""
    done = subprocess.run(
        [sys.executable, "-c", RINGS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["200 1", "[]"]


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("chalicelib/domain", {"chalicelib.domain"}),
        ("chalicelib/adapters", {"chalicelib.domain", "chalicelib.adapters"}),
        ("chalicelib", {"chalicelib"}),
    ],
)
def test_dependencies_point_inward(folder: str, allowed: set[str]) -> None:
    outside = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / folder).rglob("*.py")
        for name in imported(path)
        if name.partition(".")[0] in ("chalicelib", "slimreel", "tests", "app")
        and not any(name == room or name.startswith(room + ".") for room in allowed)
    ]
    assert outside == []


def test_the_domain_imports_the_standard_library_only() -> None:
    foreign = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "chalicelib/domain").rglob("*.py")
        for name in imported(path)
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "chalicelib", "__future__"}
    ]
    assert foreign == []


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names
