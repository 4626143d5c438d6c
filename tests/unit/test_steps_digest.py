"""Many emails become one, and once a week there is a summary; nothing is lost, whoever dies."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.job import Job, Status
from chalicelib.domain.review import Approval
from chalicelib.domain.text import iso
from chalicelib.steps import digest, notify, reconcile, summary
from chalicelib.steps.settle import settle
from tests.examples import a_job, a_workflow
from tests.fakes import Killed, Peril, World, aws_error

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)  # a Wednesday


@dataclass
class Office:
    """A stage on a clock of its own, whose workflow sends three emails and then digests."""

    clock: datetime = NOON
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(now=lambda: self.clock)

    def ended(self, number: int, status: Status = Status.COMPLETED, **facts: object) -> Job:
        job_id = f"{number:020x}"
        known = {"published_key": f"k{number}", "published_size_bytes": 100_000_000}
        published = known if status in (Status.COMPLETED, Status.KEPT_ORIGINAL) else {}
        at = iso(self.clock)
        job = a_job(
            Status.PROCESSING,
            job_id=job_id,
            file_name=f"Scene {number}.mov",
            **{"created_at": at, "updated_at": at, **published, **facts},
        )
        assert self.world.records.create(job)
        ends = {"status": status, "completed_at": at, "reason": "Because."}
        closed = self.world.records.update(job_id, ends)
        assert closed is not None
        settle(self.world.services, closed)
        return self.world.job(job_id)

    def later(self, minutes: float) -> None:
        self.clock += timedelta(minutes=minutes)
        reconcile.reconcile(self.world.services)

    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.world.topic.sent]

    def mentioned(self, number: int) -> int:
        return sum(f"Scene {number}.mov" in n.body for n in self.world.topic.sent)


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    flow = a_workflow(drive_folder="f", digest_after=3, digest_minutes=10, weekly=True)
    for module in (notify, digest, summary):
        monkeypatch.setattr(module, "all_workflows", lambda: {"compress": flow})
    return Office()


def test_few_are_told_one_by_one(office: Office) -> None:
    for number in range(3):
        office.ended(number)
    office.later(30)
    assert office.kinds() == ["completed"] * 3


def test_many_become_one_with_a_table(office: Office) -> None:
    ends = [Status.COMPLETED] * 6 + [Status.FAILED, Status.KEPT_ORIGINAL]
    jobs = [office.ended(number, status) for number, status in enumerate(ends)]
    assert office.kinds() == ["completed"] * 3
    assert all(job.digest_since is not None for job in jobs[3:])
    office.later(5)
    assert office.kinds() == ["completed"] * 3  # there may be more
    office.later(6)
    assert office.kinds() == ["completed"] * 3 + ["digest"]
    mail = office.world.topic.sent[-1]
    assert mail.subject == "5 videos: 3 compressed, 1 kept as it was, 1 failed"
    lines = mail.body.splitlines()
    assert "900.0 MB became 300.0 MB: 600.0 MB saved (67 %)" in mail.body
    assert [line[:14].strip() for line in lines if "Scene" in line] == [
        "failed",
        "kept as it was",
        *["compressed"] * 3,
    ]
    assert mail.body.count("https://slimreel.example/api/v/") == 4
    office.later(30)
    assert [office.mentioned(number) for number in range(8)] == [1] * 8
    assert list(office.world.records.open_jobs()) == []


def test_while_it_goes_on_each_window_has_one_email(office: Office) -> None:
    for number in range(60):
        office.ended(number)
        office.later(1)
    office.later(20)
    assert office.kinds()[:3] == ["completed"] * 3
    assert set(office.kinds()[3:]) == {"digest"} and len(office.kinds()) <= 3 + 7
    assert [office.mentioned(number) for number in range(60)] == [1] * 60
    office.later(60)
    office.ended(99)
    assert office.kinds()[-1] == "completed"


def test_one_alone_is_told_as_ever(office: Office) -> None:
    for number in range(4):
        office.ended(number)
    office.later(11)
    assert office.kinds() == ["completed"] * 4


def test_a_topic_that_takes_nothing_loses_nothing(office: Office) -> None:
    for number in range(6):
        office.ended(number)
    office.world.topic.fail_next("publish", aws_error("InternalFailure", status=500))
    office.later(11)
    assert "digest" not in office.kinds()
    office.later(11)
    assert [office.mentioned(number) for number in range(6)] == [1] * 6


def test_what_was_tried_again_meanwhile_is_left_out(office: Office) -> None:
    jobs = [office.ended(number) for number in range(6)]
    office.world.records.update(jobs[5].job_id, {"run": 2, "digest_since": None})
    office.later(11)
    assert office.mentioned(4) == 1 and office.mentioned(5) == 0


def test_a_sender_that_dies_anywhere_loses_nothing_and_repeats_once_at_most() -> None:
    flow = a_workflow(drive_folder="f", digest_after=1, digest_minutes=10)
    with pytest.MonkeyPatch.context() as patch:
        for module in (notify, digest, summary):
            patch.setattr(module, "all_workflows", lambda: {"compress": flow})
        at, died, doubled = 0, True, []
        while died:
            at += 1
            office = Office()
            for number in range(4):
                office.ended(number)
            peril = Peril(at=at)
            office.clock += timedelta(minutes=11)
            with contextlib.suppress(Killed):
                reconcile.reconcile(office.world.new_process(peril))
            died = peril.dead
            for _ in range(4):
                office.later(6)
            counts = [office.mentioned(number) for number in range(4)]
            assert min(counts) == 1, peril.calls[-2:]
            if max(counts) > 1:
                doubled.append(peril.calls[-2:])
            assert list(office.world.records.open_jobs()) == []
    # Only who dies between SNS and the one write that notes it is not known to have sent.
    assert doubled == [["topic.publish", "records.save_state"]]


# The week


def test_a_new_stage_has_no_week_behind_it(office: Office) -> None:
    office.later(1)
    assert office.kinds() == []


def test_on_monday_the_week_is_summed_up_once(office: Office) -> None:
    office.later(1)
    office.ended(1)
    office.ended(2)
    office.ended(3, Status.FAILED)
    approved = Approval(run=1, by="Mia", at=iso(office.clock))
    office.world.records.update(f"{2:020x}", {"approved": approved})
    office.clock = datetime(2026, 5, 11, 5, 59, tzinfo=UTC)
    office.later(0)
    assert "summary" not in office.kinds()
    office.later(2)
    office.later(60)
    assert office.kinds().count("summary") == 1
    mail = office.world.topic.sent[-1]
    assert mail.subject == "Week 19: 400.0 MB saved, 1 failed, 1 to review"
    assert mail.body.startswith("The week from 04 May to 10 May 2026: 2 compressed, 1 failed.")
    assert "Scene 3.mov  Because." in mail.body
    assert "Scene 1.mov  slimreel open" in mail.body and "Scene 2.mov" not in mail.body
    office.later(7 * 24 * 60)
    assert office.kinds().count("summary") == 2
    assert "no video ended" in office.world.topic.sent[-1].body


def test_a_summary_that_could_not_be_sent_comes_later(office: Office) -> None:
    office.later(1)
    office.clock += timedelta(days=7)
    office.world.topic.fail_next("publish", aws_error("InternalFailure", status=500))
    office.later(0)
    assert office.kinds() == []
    office.later(6)
    assert office.kinds() == ["summary"]


def test_who_dies_over_the_summary_leaves_it_to_the_next(office: Office) -> None:
    office.later(1)
    office.clock += timedelta(days=7)

    class DiesWriting(Peril):
        def call(self, name: str, work: Any) -> Any:
            if name == "topic.publish":
                self.at = len(self.calls) + 1
            return super().call(name, work)

    with contextlib.suppress(Killed):
        reconcile.reconcile(office.world.new_process(DiesWriting()))
    assert office.kinds() == []
    office.later(1)
    assert office.kinds() == []  # somebody may be at it
    office.later(6)
    assert office.kinds() == ["summary"]
