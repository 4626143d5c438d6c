"""The way back: what was given up is told in a sentence, and is done once it is sent back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slimreel.__main__ import main
from slimreel.local.cloud import Cloud
from slimreel.redrive import CannotRedrive, Redrive, about

ROLE = "arn:aws:iam::123456789012:role/any"
APP = '''
import json, os

def works(event, context):
    """Fails until somebody has repaired it."""
    with open(f"{context.function_name}.events", "a") as out:
        out.write(json.dumps(event) + "\\n")
    if not os.path.exists("repaired"):
        raise KeyError("jobId")
'''


class Stage:
    """A small stage on a stand-in cloud: two queues, a function, and where they give up."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.sqs = cloud, cloud.client("sqs")
        self.redrive = Redrive(cloud.client, "test")
        self.dead = {name: self._queue(f"{name}-dead") for name in ("drive-events", "events")}
        self.dead["rows"] = self._queue("rows-dead.fifo", FifoQueue="true")
        self.drive = self._queue("drive-events", dead="drive-events")
        self.rows = self._queue("rows.fifo", dead="rows", FifoQueue="true")
        self.function = "slimreel-test-encode_changed"
        functions = cloud.client("lambda")
        functions.create_function(
            FunctionName=self.function,
            Runtime="python3.11",
            Role=ROLE,
            Handler="app.works",
            Code={"ZipFile": b"x"},
            Timeout=5,
        )
        functions.put_function_event_invoke_config(
            FunctionName=self.function,
            DestinationConfig={"OnFailure": {"Destination": self.arn(self.dead["events"])}},
        )

    def _queue(self, name: str, *, dead: str | None = None, **attributes: str) -> str:
        if dead:
            policy = {"deadLetterTargetArn": self.arn(self.dead[dead]), "maxReceiveCount": 1}
            attributes["RedrivePolicy"] = json.dumps(policy)
        made = self.sqs.create_queue(QueueName=f"slimreel-test-{name}", Attributes=attributes)
        return str(made["QueueUrl"])

    def arn(self, url: str) -> str:
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def put(self, url: str, body: Any, group: str | None = None) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        fifo = {"MessageGroupId": group, "MessageDeduplicationId": text[:128]} if group else {}
        self.sqs.send_message(QueueUrl=url, MessageBody=text, **fifo)

    def taken(self, url: str) -> list[str]:
        """What is in a queue, taken out of it."""
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in found]

    def handled(self) -> list[dict[str, Any]]:
        path = self.cloud.project_dir / f"{self.function}.events"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def named(self, name: str) -> Any:
        return next(queue for queue in self.redrive.look() if queue.name == name)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    project = tmp_path_factory.mktemp("project")
    (project / "app.py").write_text(APP)
    data = tmp_path_factory.mktemp("data")
    with Cloud(data, project, async_retry_delays_s=(0.01, 0.01)) as cloud:
        (data / "port").write_text(cloud.endpoint_url.rpartition(":")[2])
        yield Stage(cloud)


def until(condition: Callable[[], Any], *, seconds: float = 10.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)
    return found


def test_what_we_set_aside_and_what_sqs_did_go_back_alike(stage: Stage) -> None:
    """SQS knows no origin of what we sent to the dead letters ourselves."""
    aside = {"file_id": "1AbC", "file_name": "Szene 4.mov", "reason": "ValidationException"}
    stage.put(stage.dead["drive-events"], aside)
    stage.put(stage.drive, {"channel_id": "c", "message": "7"})
    stage.sqs.receive_message(QueueUrl=stage.drive, VisibilityTimeout=0)
    assert stage.sqs.receive_message(QueueUrl=stage.drive).get("Messages", []) == []
    for _ in range(2):  # looking changes nothing
        dead = stage.named("drive-events")
        assert dead.count == len(dead.letters) == 2
    told = sorted(letter.about for letter in dead.letters)
    assert told[0].startswith("A hint of Drive's")
    assert "“Szene 4.mov” (1AbC) could not be started: ValidationException" in told[1]
    assert 0 <= dead.oldest_s < 60
    assert stage.redrive.send_back(dead).moved == 2
    assert len(stage.taken(stage.drive)) == 2
    assert stage.named("drive-events").count == 0


def test_rows_go_back_to_their_fifo_queue(stage: Stage) -> None:
    ids = [f"{number:020x}" for number in range(12)]  # more than one receive gives
    for job_id in ids:
        aside = {"job_id": job_id, "reason": "KeyError: 'Resolution'"}
        stage.put(stage.dead["rows"], aside, group="rows")
    dead = stage.named("rows")
    assert dead.count == 12
    assert "could not be made: KeyError: 'Resolution'" in dead.letters[0].about
    moved = stage.redrive.send_back(dead)
    assert (moved.moved, moved.problems) == (12, ())
    back = [json.loads(body)["job_id"] for _ in range(2) for body in stage.taken(stage.rows)]
    assert back == ids


def test_a_function_gets_the_event_it_failed_on_once_more(stage: Stage) -> None:
    event = {
        "detail-type": "MediaConvert Job State Change",
        "detail": {"status": "COMPLETE", "userMetadata": {"job_id": "0123456789abcdef0123"}},
    }
    payload = json.dumps(event).encode()
    stage.cloud.client("lambda").invoke(
        FunctionName=stage.function, InvocationType="Event", Payload=payload
    )
    dead = until(lambda: (found := stage.named("events")).count and found)
    [letter] = dead.letters
    assert letter.about == (
        "slimreel-test-encode_changed failed 3 times (KeyError: 'jobId') on “MediaConvert Job "
        "State Change” COMPLETE of job 0123456789abcdef0123."
    )
    assert stage.handled() == [event] * 3
    (stage.cloud.project_dir / "repaired").touch()
    assert stage.redrive.send_back(dead).moved == 1
    until(lambda: len(stage.handled()) == 4)
    assert stage.handled()[-1] == event
    assert stage.named("events").count == 0


def test_what_is_none_of_ours_stays_and_is_said(stage: Stage) -> None:
    stage.put(stage.dead["events"], "no JSON at all")
    moved = stage.redrive.send_back(stage.named("events"))
    assert moved.moved == 0 and "names no function of ours" in moved.problems[0]
    stage.sqs.purge_queue(QueueUrl=stage.dead["events"])


def test_the_command_lists_and_sends_back(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", stage.cloud.endpoint_url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    stage.put(stage.dead["drive-events"], {"file_id": "1", "file_name": "[b]a", "reason": "no"})
    assert main(["redrive", "--stage", "test"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"drive-events: 1 given up, the oldest for \d+ s", said)
    assert "“[b]a” (1) could not be started: no" in said
    assert "rows: nothing was given up" in said
    assert main(["redrive", "drive-events", "--stage", "test", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["moved"] == [{"name": "drive-events", "moved": 1, "problems": []}]
    assert [json.loads(body)["file_id"] for body in stage.taken(stage.drive)] == ["1"]
    assert main(["redrive", "row", "--stage", "test"]) == 2
    assert "there are drive-events" in capsys.readouterr().out
    assert main(["redrive", "--stage", "nowhere"]) == 2
    assert "There is no queue called slimreel-nowhere-" in capsys.readouterr().out


def test_locally_it_finds_the_running_cloud_by_itself(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["redrive", "--local", str(stage.cloud.data_dir)]) == 2  # no stage local in it
    assert "slimreel-local-" in capsys.readouterr().out
    assert main(["redrive", "--local", str(tmp_path)]) == 2
    assert "No `slimreel up` has run" in capsys.readouterr().out


def test_an_account_that_cannot_be_asked_is_one_clear_line() -> None:
    import boto3

    def nobody(service: str) -> Any:
        keys = {"aws_access_key_id": "t", "aws_secret_access_key": "t"}
        where = {"endpoint_url": "http://127.0.0.1:9", "region_name": "eu-west-1"}
        return boto3.client(service, **keys, **where)

    with pytest.raises(CannotRedrive, match="could not be asked"):
        Redrive(nobody, "dev").look()


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"Body": '{"job_id": "j1"}'}, "The row of job j1 was not written."),
        (
            {"Body": '{"unreadable": "x", "reason": "The message names no job."}'},
            "A message that is none of ours: The message names no job. It reads 'x'.",
        ),
        ({"Body": "7"}, "A message that is none of ours; it reads '7'."),
        (
            {
                "Body": '{"detail-type": "Scheduled Event", "time": "2026-05-04T12:00:00Z"}',
                "MessageAttributes": {
                    "TARGET_ARN": {
                        "StringValue": "arn:aws:lambda:r:1:function:slimreel-dev-sweep_drive"
                    },
                    "ERROR_CODE": {"StringValue": "NO_PERMISSIONS"},
                    "ERROR_MESSAGE": {"StringValue": "not allowed"},
                },
            },
            "slimreel-dev-sweep_drive was never reached (NO_PERMISSIONS: not allowed) on its "
            "schedule of 2026-05-04T12:00:00Z.",
        ),
    ],
)
def test_every_kind_of_letter_has_a_sentence(message: dict[str, Any], sentence: str) -> None:
    assert about({"MessageId": "1", **message}) == sentence
