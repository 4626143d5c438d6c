"""What people and the engineer are told when a flow caught something."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.errors import (
    EncoderFault,
    JobClosed,
    Rejected,
    SlimreelError,
    Temporary,
    as_flow_sees_it,
)
from chalicelib.domain.failure import failure

TRACE = (
    'Traceback (most recent call last):\n  File "/var/task/app.py", line 12, in fetch\nKeyError: 1'
)
OURS = "Something unexpected went wrong on our side. Your file is untouched."


def lambda_cause(message: str, name: str = "KeyError") -> str:
    """As a failed Lambda function leaves it."""
    return json.dumps(
        {
            "errorMessage": message,
            "errorType": name,
            "requestId": "c0ffee",
            "stackTrace": ['  File "/var/task/app.py", line 12, in fetch\n    boom()\n'],
        }
    )


@pytest.mark.parametrize("error", ["Rejected", "EncoderFault", "Temporary"])
def test_what_was_written_for_people_reaches_them(error: str) -> None:
    reason, details = failure(error, lambda_cause("The file is empty.", error))
    assert reason == "The file is empty."
    assert details == f"{error}: The file is empty."


def test_what_the_encoder_said_is_for_the_engineer() -> None:
    words = "MediaConvert 1091: [s3://a-bucket/jobs/1/source.mp4] is encrypted"
    cause = json.dumps({"errorMessage": "The video is encrypted.", "errorDetails": words})
    reason, details = failure("Rejected", cause)
    assert reason == "The video is encrypted."
    assert details == f"Rejected: The video is encrypted. ({words})"


def test_a_cause_in_plain_words_will_do() -> None:
    assert failure("Rejected", "The file is empty.")[0] == "The file is empty."


@pytest.mark.parametrize("error", ["KeyError", "States.Runtime", "Lambda.Unknown", "", "Aborted"])
def test_other_errors_are_ours_and_their_words_for_the_engineer(error: str) -> None:
    reason, details = failure(error, lambda_cause("'plan'", error))
    assert reason == OURS
    assert details == f"{error}: 'plan'"


@pytest.mark.parametrize("error", ["States.Timeout", "States.HeartbeatTimeout", "Sandbox.Timedout"])
def test_a_timeout_is_called_one(error: str) -> None:
    reason, details = failure(error, "")
    assert "took far longer than expected" in reason
    assert error in details


@pytest.mark.parametrize(
    "cause",
    [
        TRACE,
        lambda_cause(f"It broke.\n{TRACE}"),
        json.dumps({"errorType": "Rejected", "stackTrace": ["File x"]}),
        json.dumps({"errorMessage": None, "stackTrace": ["File x"]}),
        json.dumps(["File x"]),
        '"a JSON string"',
        "",
    ],
)
@pytest.mark.parametrize("error", ["Rejected", "EncoderFault", "Temporary"])
def test_no_stack_trace_and_no_data_reach_people(error: str, cause: str) -> None:
    assert failure(error, cause)[0] == OURS


def test_the_engineer_gets_the_trace_all_the_same() -> None:
    assert "KeyError: 1" in failure("Rejected", TRACE)[1]
    assert "stackTrace" in failure("X", json.dumps({"stackTrace": ["File x"]}))[1]


def test_details_fit_a_cell() -> None:
    _, details = failure("KeyError", "x" * 100_000)
    assert len(details) == 2000


@pytest.mark.parametrize(
    "cause", ["[" * 100_000, '{"a":' * 50_000, "1" * 10_000, "NaN", "\x00", "\ud83c", "null", "{}"]
)
def test_hostile_causes_do_no_harm(cause: str) -> None:
    reason, details = failure("KeyError", cause)
    assert reason == OURS and details.startswith("KeyError: ")


words = st.text(max_size=200)
causes = words | st.recursive(
    st.none() | st.booleans() | words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["errorMessage", "stackTrace", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
).map(json.dumps)


@settings(deadline=None)
@given(st.sampled_from(["Rejected", "States.Timeout", "KeyError"]) | words, causes)
def test_any_error_gives_a_sentence_and_short_details(error: str, cause: str) -> None:
    reason, details = failure(error, cause)
    assert reason and len(details) <= 2000
    assert "stackTrace" not in reason or cause == reason


# the names flows match on


class DriveSaidNo(Temporary):
    """A finer kind."""


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (Temporary("a"), Temporary),
        (DriveSaidNo("a"), Temporary),
        (Rejected("a"), Rejected),
        (EncoderFault("a"), EncoderFault),
        (JobClosed("a"), JobClosed),
        (SlimreelError("a"), Rejected),
    ],
)
def test_a_flow_sees_one_of_four_kinds(raised: SlimreelError, seen: type[SlimreelError]) -> None:
    error = as_flow_sees_it(raised)
    assert type(error) is seen and str(error) == "a"
