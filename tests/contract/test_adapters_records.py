"""Job records under conditions: DynamoDB's adapter, and the fake that other tests use for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from chalicelib.adapters.records import Below, Outside
from chalicelib.adapters.records import Records as DynamoRecords
from chalicelib.domain.job import (
    Contender,
    Fetched,
    Job,
    Moment,
    Outcome,
    Request,
    Restored,
    Status,
)
from chalicelib.domain.review import Approval, Review
from chalicelib.domain.verdict import Decision, Verdict
from chalicelib.domain.write_back import WriteBack
from tests import fakes
from tests.examples import JOB_ID, a_job, a_measurement, a_plan, some_facts

TEMPLATE = Path(__file__).resolve().parents[2] / ".chalice" / "resources.yaml"


def table_of_the_template() -> dict[str, Any]:
    """The properties of the jobs table, as CreateTable takes them."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
    resources = yaml.load(TEMPLATE.read_text(), Loader=Loader)["Resources"]
    wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    return {name: resources["JobsTable"]["Properties"][name] for name in wanted}


@pytest.fixture(scope="module")
def table() -> Iterator[Any]:
    with mock_aws():
        resource = boto3.resource(
            "dynamodb",
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        yield resource.create_table(TableName="jobs", **table_of_the_template())


@pytest.fixture
def dynamo(table) -> DynamoRecords:
    """The real adapter on an empty table."""
    for item in table.scan()["Items"]:
        table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
    return DynamoRecords(table)


@pytest.fixture(params=["dynamodb", "fake"])
def records(request) -> Any:
    return fakes.Records() if request.param == "fake" else request.getfixturevalue("dynamo")


def everything() -> Job:
    """A job with something in every field, floats and empties too."""
    known = {
        "md5": "0" * 32,
        "uploader": "Ánna 🎬 «ملف»\n'\"",
        "source_url": "",
        "uploaded_at": "2026-05-04T09:30:00.000Z",
        "started_at": "2026-05-04T09:30:00.000Z",
        "completed_at": "2026-05-04T09:30:00.000Z",
        "step": "publish",
        "timeline": (Moment(step="fetch", at="2026-05-04T09:30:00.000Z"),),
        "fetched": Fetched(upload_id="u", part_size_bytes=16 * 2**20, done_bytes=2**40),
        "source_key": "jobs/x/source.mov",
        "facts": some_facts(),
        "plan": a_plan(),
        "task_token": "t" * 1024,
        "encoder_job_id": "1-a",
        "encode_percent": 0,
        "outcome": Outcome(
            attempt=1, encoder_job_id="1-a", status="ERROR", qvbr_average=7.999, warnings=(1, 2)
        ),
        "restored": Restored(restored=True, fields=("title",), lost=()),
        "result_key": "r",
        "result_size_bytes": 2**53,
        "encoder_ssim_mean": 0.1 + 0.2,
        "measurement": a_measurement(notes=("a", "")),
        "verdict": Verdict(decision=Decision.ACCEPT, reason="ok", problems=()),
        "published_key": "p",
        "published_size_bytes": 0,
        "cost_usd": 1e-6,
        "earlier_cost_usd": 0.5,
        "earlier_size_bytes": 7,
        "saved_bytes": 9,
        "ended_in": "fetch",
        "searching": True,
        "reason": "r",
        "error": "e",
        "revision_id": "0B1",
        "withdrawn_at": "2026-05-04T09:30:00.000Z",
        "left_at": "2026-05-04T09:30:00.000Z",
        "dropped_again_at": "2026-05-04T09:30:00.000Z",
        "wanted_preset": "high",
        "requests": (Request(action="retry", by="anna", at="2026-05-04T09:30:00.000Z", run=2),),
        "waiting": "w",
        "reserved_for": 1,
        "runner_up": Contender(
            plan=a_plan(),
            measurement=a_measurement(),
            restored=Restored(restored=False, reason="none"),
            result_key="r",
            result_size_bytes=1,
        ),
        "published_run": 1,
        "copy_under_way": "c",
        "litter": ("k",),
        "notices_sent": ("1:completed",),
        "notice_claim": "1:completed 2026-05-04T09:30:00.000Z x",
        "row_id": "rec",
        "wants_original": "w",
        "digest_since": "2026-05-04T09:30:00.000Z",
        "review": Review(number=1, choice="Approve", run=1, by="m", at="t", answer="a"),
        "approved": Approval(run=1, by="m", at="2026-05-04T09:30:00.000Z"),
        "result_deleted": "d",
        "encode_claim": "c",
        "write_back": WriteBack(run=1, file_id="f", wrote=("m",), tries=2, waits_alone=True),
    }
    job = a_job(**known)
    assert not [f.name for f in fields(Job) if getattr(job, f.name) is None]
    return job


def test_a_job_comes_back_as_it_was(records) -> None:
    assert records.create(everything())
    assert records.get(JOB_ID) == everything()


def test_an_unknown_job_is_none(records) -> None:
    assert records.get("unknown") is None
    assert records.update("unknown", {"step": "x"}) is None
    assert records.get("unknown") is None  # an update makes no record


def test_the_first_creation_wins(records) -> None:
    assert records.create(a_job(file_name="first.mp4"))
    assert not records.create(a_job(file_name="second.mp4"))
    assert records.get(JOB_ID).file_name == "first.mp4"


def test_an_update_answers_with_the_whole_job(records) -> None:
    records.create(a_job(row_version=1))
    job = records.update(JOB_ID, {"attempt": 2, "plan": a_plan()})
    assert (job.attempt, job.plan, job.row_version) == (2, a_plan(), 2)
    assert records.get(JOB_ID) == job


def test_none_clears_a_field(records) -> None:
    records.create(a_job(task_token="t", verdict=None))
    assert records.update(JOB_ID, {"task_token": None, "verdict": None}).task_token is None
    assert records.get(JOB_ID).task_token is None


def test_what_the_row_does_not_show_leaves_its_version(records) -> None:
    records.create(a_job(row_version=1))
    assert records.update(JOB_ID, {"encode_percent": 5}, row=False).row_version == 1


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"run": 1}, True),
        ({"run": 2}, False),
        ({"run": 1, "attempt": 0}, True),
        ({"run": 1, "attempt": 1}, False),
        ({"outcome": None}, True),
        ({"md5": None}, False),
        ({"status": Status.PROCESSING}, True),
        ({"status": (Status.PROCESSING, Status.RETRYING)}, True),
        ({"status": (Status.FAILED, Status.RETRYING)}, False),
        ({"encode_percent": Below(50)}, True),
        ({"encode_percent": Below(40)}, False),
        ({"result_size_bytes": Below(1)}, True),
        ({"encode_percent": Outside(40, 40)}, False),
        ({"encode_percent": Outside(41, 60)}, True),
        ({"encode_percent": Outside(20, 39)}, True),
        ({"result_size_bytes": Outside(20, 30)}, True),
    ],
)
def test_a_condition_decides(records, condition: dict[str, Any], holds: bool) -> None:
    records.create(a_job(md5="0" * 32, encode_percent=40))
    before = records.get(JOB_ID)
    after = records.update(JOB_ID, {"step": "changed"}, only_if=condition)
    assert (after is not None) == holds
    assert (records.get(JOB_ID) != before) == holds


def test_a_field_may_be_changed_under_its_own_condition(records) -> None:
    records.create(a_job(encode_percent=40))
    only_if = {"encode_percent": Below(60)}
    assert records.update(JOB_ID, {"encode_percent": 60}, only_if=only_if).encode_percent == 60
    assert records.update(JOB_ID, {"encode_percent": 60}, only_if=only_if) is None


def test_moments_are_added(records) -> None:
    records.create(a_job())
    records.append_moment(JOB_ID, 1, "fetch", "2026-05-04T09:30:00.000Z")
    records.append_moment(JOB_ID, 1, "inspect", "2026-05-04T09:31:00.000Z")
    records.append_moment(JOB_ID, 2, "publish", "2026-05-04T09:32:00.000Z")  # of another run
    records.append_moment("unknown", 1, "fetch", "2026-05-04T09:30:00.000Z")
    assert records.get("unknown") is None
    job = records.get(JOB_ID)
    assert [moment.step for moment in job.timeline] == ["fetch", "inspect"]
    assert job.step == "inspect"


def test_a_moment_is_added_once_and_to_a_job_that_goes_on(records) -> None:
    records.create(a_job())
    assert records.append_moment(JOB_ID, 1, "fetch", "t").step == "fetch"
    assert records.append_moment(JOB_ID, 1, "fetch", "t") is None
    records.update(JOB_ID, {"status": Status.COMPLETED})
    assert records.append_moment(JOB_ID, 1, "verify", "t") is None
    announced = records.append_moment(JOB_ID, 1, "announce", "t", ended=True)
    assert [moment.step for moment in announced.timeline] == ["fetch", "announce"]


# What still needs care


def listed(jobs: Iterator[Job]) -> list[str]:
    return sorted(job.job_id[0] for job in jobs)


def test_open_until_settled(records) -> None:
    """A job that ended stays listed until its people were told."""
    records.create(a_job(job_id="a" * 20))
    records.create(a_job(job_id="b" * 20))
    records.update("a" * 20, {"status": Status.COMPLETED})
    assert listed(records.open_jobs()) == ["a", "b"]
    records.settle("a" * 20, 1)
    assert listed(records.open_jobs()) == ["b"]


def test_settling_an_old_run_leaves_the_new_one_listed(records) -> None:
    records.create(a_job(job_id="a" * 20))
    records.update("a" * 20, {"status": Status.FAILED})
    records.settle("a" * 20, 1)
    records.update("a" * 20, {"status": Status.PROCESSING, "run": 2})
    records.settle("a" * 20, 1)
    records.settle("unknown", 1)
    assert listed(records.open_jobs()) == ["a"]
    assert records.get("unknown") is None


def test_open_jobs_come_whole_and_the_stalest_first(records) -> None:
    records.create(a_job(job_id="a" * 20, updated_at="2026-05-04T09:30:00.002Z"))
    records.create(a_job(job_id="b" * 20, updated_at="2026-05-04T09:30:00.001Z", plan=a_plan()))
    assert [job.job_id[0] for job in records.open_jobs()] == ["b", "a"]
    assert next(iter(records.open_jobs())) == records.get("b" * 20)


def test_a_job_created_in_its_end_is_not_open(records) -> None:
    records.create(a_job(Status.CANCELLED))
    assert listed(records.open_jobs()) == []


def test_a_row_is_marked_until_its_latest_version_is_written(records) -> None:
    records.create(a_job(job_id="a" * 20, row_version=1))
    assert listed(records.unsynced_jobs()) == ["a"]
    records.mark_synced("a" * 20, 1, "rec1")
    assert listed(records.unsynced_jobs()) == []
    records.update("a" * 20, {"reason": "x"})
    assert listed(records.unsynced_jobs()) == ["a"]
    records.update("a" * 20, {"reason": "y"})
    records.mark_synced("a" * 20, 2, "rec1")  # the record had moved on to 3
    job = records.get("a" * 20)
    assert (job.row_version, job.synced_version, job.row_id) == (3, 2, "rec1")
    assert listed(records.unsynced_jobs()) == ["a"]


def test_every_page_of_an_index_is_read(dynamo, table) -> None:
    """DynamoDB gives 1 MB at a time."""
    for number in range(5):
        dynamo.create(a_job(job_id=f"{number:020d}", error="x" * 300_000))
    assert "LastEvaluatedKey" in table.query(
        IndexName="open-jobs",
        KeyConditionExpression="#a = :one",
        ExpressionAttributeNames={"#a": "open"},
        ExpressionAttributeValues={":one": "1"},
    )
    assert len(listed(dynamo.open_jobs())) == 5


# Small states

PLACE = ("drive#changes", "sync")


def test_a_state_that_is_not_there_is_empty(records) -> None:
    assert records.state(*PLACE) == {}


def test_states_are_merged_and_counted(records) -> None:
    assert records.save_state(*PLACE, {}, add={"hints": 1})["hints"] == 1
    assert records.save_state(*PLACE, {"page_token": "7"}, add={"hints": 1})["hints"] == 2
    state = records.state(*PLACE)
    assert (state["hints"], state["page_token"]) == (2, "7")
    records.delete_state(*PLACE)
    records.delete_state(*PLACE)
    assert records.state(*PLACE) == {}


def test_the_name_of_a_state_may_hold_what_an_id_of_google_may(records) -> None:
    place = "page_token#0A-b_c.D"
    records.save_state(*PLACE, {place: "7", "drives": {"1-f_": "0A-b_c.D", "2": ""}})
    assert records.save_state(*PLACE, {place: "8"}, only_if={place: "7"})
    state = records.state(*PLACE)
    assert (state[place], state["drives"]) == ("8", {"1-f_": "0A-b_c.D", "2": ""})
    records.save_state(*PLACE, {place: None})
    assert place not in records.state(*PLACE)


def test_a_lease_is_taken_by_one(records) -> None:
    now = 1_800_000_000.123456
    taken = {"lease_until": now + 240, "owner": "first"}
    assert records.save_state(*PLACE, taken, only_if={"lease_until": Outside(now, now + 480)})
    theirs = {"lease_until": now + 240, "owner": "second"}
    free = {"lease_until": Outside(now, now + 480)}
    assert records.save_state(*PLACE, theirs, only_if=free) is None
    assert records.state(*PLACE)["owner"] == "first"
    later = {"lease_until": Outside(now + 241, now + 721)}
    assert records.save_state(*PLACE, theirs, only_if=later)
    assert records.save_state(*PLACE, {"lease_until": 0}, only_if={"owner": "first"}) is None
    freed = records.save_state(*PLACE, {"lease_until": 0}, only_if={"owner": "second"})
    assert freed["lease_until"] == 0
