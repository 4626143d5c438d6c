"""Each test breaks a valid workflow in one way and shows the message a person gets."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slimreel.workflows import functions_of, presets_of, validate, validate_all
from slimreel.workflows.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = {"register", "encode", "fail"}
PRESETS = {"balanced", "high"}
CAUGHT = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Fail"}]
FLOW: dict[str, Any] = {
    "StartAt": "Register",
    "States": {
        "Register": {
            "Type": "Task",
            "Resource": "${register}",
            "TimeoutSeconds": 60,
            "ResultSelector": {"size.$": "$.size"},
            "ResultPath": "$.register",
            "Catch": CAUGHT,
            "Next": "Worth it?",
        },
        "Worth it?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.register.size", "NumericGreaterThan": 9, "Next": "Encode"}],
            "Default": "Done",
        },
        "Encode": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {
                "FunctionName": "${encode}",
                "Payload": {"token.$": "$$.Task.Token", "job_id.$": "$.job_id"},
            },
            "TimeoutSeconds": 7200,
            "HeartbeatSeconds": 600,
            "ResultPath": None,
            "Catch": CAUGHT,
            "Next": "Done",
        },
        "Done": {"Type": "Succeed"},
        "Fail": {
            "Type": "Task",
            "Resource": "${fail}",
            "TimeoutSeconds": 60,
            "ResultPath": None,
            "Next": "Failed",
        },
        "Failed": {"Type": "Fail"},
    },
}
SETTINGS = """
[start]
drive_folder = "${DRIVE_INBOX_FOLDER}"
[policy]
preset = "balanced"
compress_above_bytes = 5_000_000_000
min_savings_percent = 10
max_attempts = 3
[notify]
kinds = ["completed", "failed"]
"""

States = dict[str, Any]


def problems(tmp_path: Path, flow: str, settings: str = SETTINGS) -> list[str]:
    file = tmp_path / "demo.asl.json"
    file.write_text(flow)
    file.with_name("demo.toml").write_text(settings)
    found = validate(file, functions=FUNCTIONS, presets=PRESETS)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in found]


def broken(tmp_path: Path, change: Callable[[States], Any]) -> list[str]:
    """The problems of the valid flow after one change to its states."""
    flow = copy.deepcopy(FLOW)
    change(flow["States"])
    return problems(tmp_path, json.dumps(flow))


def test_a_valid_workflow_has_no_problems(tmp_path: Path) -> None:
    assert problems(tmp_path, json.dumps(FLOW)) == []


def test_the_projects_own_workflows_are_valid() -> None:
    assert validate_all(ROOT / "workflows") == []


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    assert problems(tmp_path, '{\n  "StartAt": "A",\n}') == [
        "demo.asl.json: line 3: this is not JSON: Expecting property name enclosed in double"
        " quotes (column 1)"
    ]


def test_a_state_defined_twice(tmp_path: Path) -> None:
    assert problems(tmp_path, '{"States": {"A": {}, "A": {}}}') == [
        "demo.asl.json: file: the key 'A' appears twice in one object"
    ]


def test_no_states_at_all(tmp_path: Path) -> None:
    assert problems(tmp_path, "[]") == ["demo.asl.json: flow: there are no States here"]


def test_a_state_of_an_unknown_type(tmp_path: Path) -> None:
    found = broken(tmp_path, lambda s: s["Done"].update(Type="Success"))
    assert found[0] == (
        "demo.asl.json: Done: a state needs a Type, one of Task, Choice, Parallel, Map, Pass,"
        " Wait, Succeed, Fail"
    )


def test_an_unknown_function(tmp_path: Path) -> None:
    found = broken(tmp_path, lambda s: s["Register"].update(Resource="${registr}"))
    assert found == [
        "demo.asl.json: Register: app.py has no @app.lambda_function 'registr'; did you mean"
        " 'register'?"
    ]


def test_a_task_that_calls_something_else_than_a_function(tmp_path: Path) -> None:
    resource = "arn:aws:states:::dynamodb:putItem"
    assert broken(tmp_path, lambda s: s["Register"].update(Resource=resource)) == [
        "demo.asl.json: Register.Resource: a task calls a function of app.py: Resource is ${name},"
        " or arn:aws:states:::lambda:invoke[.waitForTaskToken] with FunctionName ${name} in"
        " Parameters"
    ]


def test_an_unreachable_state(tmp_path: Path) -> None:
    found = broken(tmp_path, lambda s: s.update(Orphan={"Type": "Pass", "Next": "Done"}))
    assert found == ["demo.asl.json: Orphan: no state leads here"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda s: s["Encode"].update(Next="Don"), "Encode.Next"),
        (lambda s: s["Worth it?"].update(Default="Don"), "Worth it?.Default"),
        (lambda s: s["Worth it?"]["Choices"][0].update(Next="Don"), "Worth it?.Choices[0].Next"),
        (lambda s: s["Encode"]["Catch"].append({"Next": "Don"}), "Encode.Catch[1].Next"),
    ],
)
def test_a_way_to_a_state_that_is_not_there(
    tmp_path: Path, change: Callable[[States], Any], where: str
) -> None:
    message = f"demo.asl.json: {where}: there is no state 'Don'; did you mean 'Done'?"
    assert message in broken(tmp_path, change)


def test_a_start_that_is_not_there(tmp_path: Path) -> None:
    found = problems(tmp_path, json.dumps({**FLOW, "StartAt": "Begin"}))
    assert "demo.asl.json: StartAt: there is no state 'Begin'" in found


def test_a_state_that_leads_nowhere(tmp_path: Path) -> None:
    found = broken(tmp_path, lambda s: s["Encode"].pop("Next"))
    assert "demo.asl.json: Encode: a state needs either Next or End: true" in found


def test_a_choice_without_default(tmp_path: Path) -> None:
    found = broken(tmp_path, lambda s: s["Worth it?"].pop("Default"))
    assert found == [
        "demo.asl.json: Worth it?: a Choice without Default fails when no choice matches; add one"
    ]


def test_a_flow_without_an_end(tmp_path: Path) -> None:
    loop = {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Wait", "Seconds": 1, "Next": "A"}}
    assert problems(tmp_path, json.dumps({"StartAt": "A", "States": loop})) == [
        "demo.asl.json: flow: no state ends this: add a Succeed, a Fail or End: true"
    ]


def test_a_loop_that_only_an_error_leaves(tmp_path: Path) -> None:
    found = broken(tmp_path, lambda s: s["Encode"].update(Next="Encode"))
    assert found == ["demo.asl.json: Encode: from here the flow goes round for ever: Encode"]


def test_a_loop_with_a_way_out_is_fine(tmp_path: Path) -> None:
    assert broken(tmp_path, lambda s: s["Encode"].update(Next="Worth it?")) == []


def test_a_task_without_catch(tmp_path: Path) -> None:
    assert broken(tmp_path, lambda s: s["Register"].pop("Catch")) == [
        "demo.asl.json: Register: a Task needs a Catch for States.ALL that leads to the failure"
        " step"
    ]


def test_a_task_that_catches_some_errors_only(tmp_path: Path) -> None:
    catch = [{**CAUGHT[0], "ErrorEquals": ["States.Timeout"]}]
    found = broken(tmp_path, lambda s: s["Register"].update(Catch=catch))
    assert found == [
        "demo.asl.json: Register: a Task needs a Catch for States.ALL that leads to the failure"
        " step"
    ]


def test_an_error_that_is_swallowed(tmp_path: Path) -> None:
    catch = [{**CAUGHT[0], "Next": "Done"}]
    found = broken(tmp_path, lambda s: s["Register"].update(Catch=catch))
    assert found == [
        "demo.asl.json: Register.Catch[0]: from 'Done' an error never reaches the failure step (a"
        " task that calls ${fail}, or a Fail state), so the job would end in silence"
    ]


def test_states_all_before_another_catcher(tmp_path: Path) -> None:
    catch = [*CAUGHT, {**CAUGHT[0], "ErrorEquals": ["Rejected"]}]
    found = broken(tmp_path, lambda s: s["Register"].update(Catch=catch))
    assert found == [
        "demo.asl.json: Register.Catch[0]: States.ALL must stand alone and in the last entry of"
        " Catch"
    ]


def test_an_error_that_replaces_the_state(tmp_path: Path) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Fail"}]
    found = broken(tmp_path, lambda s: s["Register"].update(Catch=catch))
    assert found == [
        "demo.asl.json: Register.Catch[0]: the error replaces the whole state, so the next step no"
        ' longer knows its job; add "ResultPath": "$.error"'
    ]


def test_the_failure_step_needs_no_catch_but_not_as_a_normal_step(tmp_path: Path) -> None:
    found = broken(tmp_path, lambda s: s["Worth it?"].update(Default="Fail"))
    assert found == [
        "demo.asl.json: Fail: a Task needs a Catch for States.ALL that leads to the failure step"
    ]


def test_a_task_without_timeout(tmp_path: Path) -> None:
    assert broken(tmp_path, lambda s: s["Register"].pop("TimeoutSeconds")) == [
        "demo.asl.json: Register: a Task without TimeoutSeconds can hang for a year; add one"
    ]


def test_a_waiting_task_without_heartbeat(tmp_path: Path) -> None:
    assert broken(tmp_path, lambda s: s["Encode"].pop("HeartbeatSeconds")) == [
        "demo.asl.json: Encode: a task that waits for a token needs HeartbeatSeconds, to notice"
        " silence"
    ]


def test_a_heartbeat_that_comes_too_late(tmp_path: Path) -> None:
    assert broken(tmp_path, lambda s: s["Encode"].update(HeartbeatSeconds=7200)) == [
        "demo.asl.json: Encode: HeartbeatSeconds 7200 must be below TimeoutSeconds 7200"
    ]


def test_a_token_that_is_not_passed_on(tmp_path: Path) -> None:
    found = broken(tmp_path, lambda s: s["Encode"]["Parameters"]["Payload"].pop("token.$"))
    assert found == [
        "demo.asl.json: Encode: it waits for a token that it does not pass on ($$.Task.Token)"
    ]


def test_a_result_that_goes_whole_into_the_state(tmp_path: Path) -> None:
    assert broken(tmp_path, lambda s: s["Register"].pop("ResultSelector")) == [
        "demo.asl.json: Register: the whole result goes into the state; the state may hold 256"
        ' KiB, so keep ids only: add "ResultPath": null, or a ResultSelector that picks single'
        " fields"
    ]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("$", "$ is the whole result; the state may hold 256 KiB, so keep ids only and pick"),
        ("$.parts[*].etag", "$.parts[*].etag gives a list of any length"),
        ("$..id", "$..id gives a list of any length"),
        ("$.parts[?(@.size > 1)]", "$.parts[?(@.size > 1)] gives a list of any length"),
        ("$.parts[0:9]", "$.parts[0:9] gives a list of any length"),
        ("States.JsonToString($.a)", "States.JsonToString gives a value of any size"),
        ("States.Format('{}', $)", "States.Format('{}', $) is the whole result"),
    ],
)
def test_a_selector_that_picks_too_much(tmp_path: Path, expression: str, message: str) -> None:
    found = broken(
        tmp_path, lambda s: s["Register"].update(ResultSelector={"a": {"b.$": expression}})
    )
    assert len(found) == 1
    assert found[0].startswith(f"demo.asl.json: Register.ResultSelector.a.b: {message}")


@pytest.mark.parametrize("expression", ["$.a.b", "$['a']", "$.a[0]", "$$.Execution.Id"])
def test_a_selector_that_picks_one_field_is_fine(tmp_path: Path, expression: str) -> None:
    change = {"b.$": expression}
    assert broken(tmp_path, lambda s: s["Register"].update(ResultSelector=change)) == []


def test_the_payload_of_an_invocation_is_the_whole_result(tmp_path: Path) -> None:
    found = broken(
        tmp_path,
        lambda s: s["Register"].update(
            Resource="arn:aws:states:::lambda:invoke",
            Parameters={"FunctionName": "${register}"},
            ResultSelector={"all.$": "$.Payload", "size.$": "$.Payload.size"},
        ),
    )
    assert len(found) == 1
    assert "Register.ResultSelector.all: $.Payload is the whole result" in found[0]


@pytest.mark.parametrize(
    ("change", "copied"),
    [
        ({"ResultPath": "$.before"}, "$ into itself ($.before)"),
        ({"Parameters": {"before.$": "$"}}, "$ into itself ($.before)"),
        (
            {"ResultPath": "$.a", "Parameters": {"history.$": "$.a"}},
            "$.a into itself ($.a.history)",
        ),
    ],
)
def test_a_pass_that_nests_the_state_in_itself(
    tmp_path: Path, change: dict[str, Any], copied: str
) -> None:
    again = {"Type": "Pass", "Next": "Worth it?", **change}

    def loop(states: States) -> None:
        states["Encode"]["Next"] = "Again"
        states["Again"] = again

    assert broken(tmp_path, loop) == [
        f"demo.asl.json: Again: copies {copied}, larger with every pass; the state may hold 256"
        " KiB, so keep ids only"
    ]


def test_a_pass_that_counts_is_fine(tmp_path: Path) -> None:
    count = {"attempt.$": "States.MathAdd($.attempt, 1)", "job_id.$": "$.job_id"}

    def loop(states: States) -> None:
        states["Encode"]["Next"] = "Again"
        states["Again"] = {"Type": "Pass", "Parameters": count, "Next": "Worth it?"}

    assert broken(tmp_path, loop) == []


def test_jsonata(tmp_path: Path) -> None:
    found = broken(tmp_path, lambda s: s["Done"].update(QueryLanguage="JSONata"))
    assert found == ["demo.asl.json: Done: JSONata cannot run on a laptop; write paths in JSONPath"]
    assert problems(tmp_path, json.dumps({**FLOW, "QueryLanguage": "JSONata"})) == [
        "demo.asl.json: flow: JSONata cannot run on a laptop; write paths in JSONPath"
    ]


def test_branches_are_checked_like_flows(tmp_path: Path) -> None:
    measure = {
        "Type": "Task",
        "Resource": "${measure}",
        "TimeoutSeconds": 60,
        "ResultPath": None,
        "Next": "Nowhere",
    }
    both = {
        "Type": "Parallel",
        "Branches": [{"StartAt": "Measure", "States": {"Measure": measure}}],
        "ResultPath": None,
        "Catch": CAUGHT,
        "Next": "Done",
    }

    def branch(states: States) -> None:
        states["Encode"]["Next"] = "Both"
        states["Both"] = both

    assert broken(tmp_path, branch) == [
        "demo.asl.json: Both.Branches[0].Measure: app.py has no @app.lambda_function 'measure'",
        "demo.asl.json: Both.Branches[0].Measure.Next: there is no state 'Nowhere'",
    ]


def test_a_flow_without_settings(tmp_path: Path) -> None:
    file = tmp_path / "demo.asl.json"
    file.write_text(json.dumps(FLOW))
    (found,) = validate(file, functions=FUNCTIONS, presets=PRESETS)
    assert str(found) == (
        f"{tmp_path}/demo.toml: file: the flow needs this settings file: what starts it, and with"
        " which preset"
    )


def test_settings_without_a_flow(tmp_path: Path) -> None:
    (tmp_path / "demo.toml").write_text(SETTINGS)
    (found,) = validate_all(tmp_path, functions=FUNCTIONS, presets=PRESETS)
    assert str(found).endswith("there is no demo.asl.json beside these settings")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("preset", "preset =", "line 5: this is not TOML: Invalid value (at line 5, column 10)"),
        ('"balanced"', '"best"', "policy.preset: unknown preset 'best'; there are balanced, high"),
        ('"balanced"', "[]", "policy.preset: unknown preset []; there are balanced, high"),
        ('preset = "balanced"', "", "policy.preset: missing; choose one of balanced, high"),
        (
            "${DRIVE_INBOX_FOLDER}",
            "Inbox",
            "start.drive_folder: 'Inbox' is neither a Drive folder id (the end of the folder's web"
            " address) nor a parameter of the stage such as ${DRIVE_INBOX_FOLDER}",
        ),
        (
            'drive_folder = "${DRIVE_INBOX_FOLDER}"',
            "",
            "start.drive_folder: missing: the Drive folder whose videos start this workflow",
        ),
        (
            "[policy]",
            '[write_back]\nto = "there"\n[policy]',
            "write_back.to: 'there' is neither 'beside', nor a Drive folder id, nor a parameter of"
            " the stage such as ${DRIVE_RESULTS_FOLDER}",
        ),
        (
            "[policy]",
            '[write_back]\nto = "beside"\nsuffix = "/x"\n[policy]',
            "write_back.suffix: '/x' is not a text of at most 40 characters on one line without /",
        ),
        (
            "max_attempts",
            "max_attemps",
            "policy.max_attemps: unknown key; [policy] has preset, compress_above_bytes,"
            " min_savings_percent, max_attempts",
        ),
        ("[notify]", "[mail]", "mail: unknown section; there are start, policy, notify"),
        ("= 3", "= 9", "policy.max_attempts: 9 is out of range, 1 to 5"),
        ("= 3", "= true", "policy.max_attempts: True is not a whole number"),
        ("= 10", "= 100", "policy.min_savings_percent: 100 is out of range, 0 to 99"),
        ("5_000", "-5_000", "policy.compress_above_bytes: -5000000000 is out of range, 0 to"),
        (
            '"failed"',
            '"lost"',
            "notify.kinds: unknown kind 'lost'; there are started, completed, kept, failed",
        ),
        ('["completed", "failed"]', '"failed"', "notify.kinds: 'failed' is not a list; there are"),
    ],
)
def test_settings(tmp_path: Path, old: str, new: str, message: str) -> None:
    (found,) = problems(tmp_path, json.dumps(FLOW), SETTINGS.replace(old, new, 1))
    assert found.startswith(f"demo.toml: {message}")


def test_a_folder_id_of_ones_own_is_fine(tmp_path: Path) -> None:
    settings = SETTINGS.replace("${DRIVE_INBOX_FOLDER}", "1a-B_2cDeFgHiJkLmNoPqRsTuVwXyZ0123")
    assert problems(tmp_path, json.dumps(FLOW), settings) == []


def test_flows_may_call_steps_and_no_other_triggers(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "@app.on_sqs_message(queue='q')\ndef changed(event): ...\n"
        "@app.lambda_function()\ndef fetch(event, context): ...\n"
        "@app.lambda_function(name='plan')\ndef plan_it(event, context): ...\n"
        "def helper(): ...\n"
    )
    assert functions_of(tmp_path) == {"fetch", "plan"}


def test_presets_are_those_of_the_data_file() -> None:
    assert "balanced" in presets_of(ROOT)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT / "workflows")]) == 0
    assert capsys.readouterr().out.endswith("valid.\n")

    (tmp_path / "app.py").write_text("@app.lambda_function()\ndef register(e, c): ...\n")
    folder = tmp_path / "workflows"
    folder.mkdir()
    presets = tmp_path / "chalicelib" / "data" / "presets.toml"
    presets.parent.mkdir(parents=True)
    presets.write_text("[balanced]\n")
    (folder / "demo.asl.json").write_text("{")
    (folder / "demo.toml").write_text(SETTINGS)
    assert main([str(folder)]) == 1
    assert capsys.readouterr().out.startswith(f"{folder}/demo.asl.json: line 1: this is not JSON")


def test_the_command_on_a_folder_without_workflows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{tmp_path}: folder: there is no *.asl.json file here\n"
