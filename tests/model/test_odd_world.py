"""Oddities of people's files, of clocks and of processes, each played through a whole stage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib import triggers
from chalicelib.domain.job import Job, Status
from tests.model.cloud import Cloud
from tests.model.fate import Fate
from tests.model.films import film
from tests.model.promises import all_jobs

FILM = film("good", 1)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    cloud = Cloud(monkeypatch)
    cloud.pass_time(0)
    yield cloud
    cloud.close()


def play(cloud: Cloud, minutes: int = 60) -> list[Job]:
    """Time passes, MediaConvert works; the jobs as they are then, oldest first."""
    for _ in range(minutes // 5):
        cloud.pass_time(300)
        for encode in cloud.encoder.waiting:
            cloud.encode(encode)
        while cloud.encoder.events:
            cloud.tell_encode(cloud.encoder.events.pop(0))
        while cloud.world.queues.dirty:
            cloud.write_rows()
    return all_jobs(cloud)


def to_fetch(cloud: Cloud) -> None:
    """Until the copy begins."""
    cloud.attempt("sweep", triggers.sweep_drive)
    [execution] = cloud.flows.running()
    while execution.state != "Fetch":
        cloud.flows.advance(execution)


def test_a_file_put_back_from_the_bin_before_it_was_copied_is_processed(cloud: Cloud) -> None:
    file_id = cloud.world.drive.add("film.mov", FILM)
    to_fetch(cloud)
    cloud.world.drive.change(file_id, trashed=True)
    [job] = play(cloud)
    assert (job.status, job.run) == (Status.FAILED, 1)
    cloud.world.drive.change(file_id, trashed=False)
    [job] = play(cloud)
    assert (job.status, job.run) == (Status.COMPLETED, 2)
    assert [notice.kind for notice in cloud.world.topic.sent] == ["failed", "completed"]


def test_content_put_back_after_a_replacement_is_processed_too(cloud: Cloud) -> None:
    file_id = cloud.world.drive.add("film.mov", FILM)
    to_fetch(cloud)
    cloud.world.drive.replace(file_id, film("good", 2))
    first, second = play(cloud)
    assert (first.status, second.status) == (Status.FAILED, Status.COMPLETED)
    cloud.world.drive.replace(file_id, FILM)
    first, second = play(cloud)
    assert (first.status, first.run) == (Status.COMPLETED, 2)
    assert (second.status, second.run) == (Status.COMPLETED, 1)


def test_a_file_that_is_back_before_its_job_was_closed_is_not_forgotten(cloud: Cloud) -> None:
    file_id = cloud.world.drive.add("film.mov", FILM)
    to_fetch(cloud)
    [execution] = cloud.flows.running()
    cloud.world.drive.change(file_id, trashed=True)
    cloud.flows.advance(execution)  # the copy finds it gone
    cloud.world.drive.change(file_id, trashed=False)
    cloud.notify()
    cloud.take_hint()  # and the log is read before Fail has come to close the job
    cloud.unprovoked.clear()
    [job] = play(cloud)
    assert (job.status, job.run) == (Status.COMPLETED, 2)


def test_renamed_and_moved_about_it_stays_one_job(cloud: Cloud) -> None:
    file_id = cloud.world.drive.add("film.mov", FILM)
    cloud.pass_time(1)
    cloud.world.drive.change(file_id, name="another name.mov", parents=("elsewhere",))
    play(cloud)
    cloud.world.drive.change(file_id, parents=("inbox-folder-id",))
    [job] = play(cloud)
    assert (job.status, job.run) == (Status.COMPLETED, 1)


@pytest.mark.parametrize("jump_s", [48 * 3600, -48 * 3600])
def test_a_clock_that_jumps_in_the_middle_stops_nothing(cloud: Cloud, jump_s: float) -> None:
    cloud.world.drive.add("film.mov", FILM)
    to_fetch(cloud)
    cloud.skew_s = jump_s
    cloud.pass_time(300)
    [encode] = cloud.encoder.waiting
    cloud.encode(encode)
    cloud.encoder.events.clear()  # so that it is reconcile that has to notice
    cloud.skew_s = 0
    [job] = play(cloud)
    assert job.status is Status.COMPLETED
    row = cloud.world.airtable.rows[job.job_id]
    assert row["Processing Time (minutes)"] >= 0
    # The clock has passed a Monday, so there may be an email about the week, too.
    [email] = [notice for notice in cloud.world.topic.sent if notice.kind != "summary"]
    assert "Took -" not in email.body


def test_a_lease_whose_holder_was_killed_is_taken_over(cloud: Cloud) -> None:
    cloud.world.drive.add("film.mov", FILM)
    cloud.notify()
    cloud.dooms["sync"] = Fate("killed", 4)
    cloud.take_hint()
    assert all_jobs(cloud) == []
    cloud.take_hint()  # the lease has not expired
    [job] = play(cloud)
    assert job.status is Status.COMPLETED


@pytest.mark.parametrize("at", range(1, 14))
def test_two_copies_of_one_file_at_once_come_to_one(cloud: Cloud, at: int) -> None:
    """One was given up while it slept, at any of its calls; the other does the work meanwhile."""
    cloud.world.drive.add("film.mov", FILM)
    to_fetch(cloud)
    cloud.dooms["fetch"] = Fate("stopped", at)
    cloud.pass_time(1)
    cloud.pass_time(120)  # the flow has called Fetch again, and gone on
    while cloud.sleepers:
        cloud.wake(cloud.sleepers[0])
    [job] = play(cloud)
    assert job.status is Status.COMPLETED
    assert not cloud.encoded_nothing and not cloud.world.storage.uploads
    assert [bucket for bucket, _ in cloud.world.storage.objects] == ["compressed"]
