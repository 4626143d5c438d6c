"""What people look through: DynamoDB's adapter, and the fake that other tests use for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters.catalogue import Catalogue as DynamoCatalogue
from chalicelib.domain.job import Job, Status
from chalicelib.domain.job_list import Asked, Place, Sort
from chalicelib.domain.tally import tally
from tests import fakes
from tests.contract.test_adapters_records import dynamo, table  # noqa: F401  # fixtures
from tests.examples import a_job, a_plan


class Both:
    """The jobs, and how they are looked through."""

    def __init__(self, records: Any, catalogue: Any) -> None:
        self.records, self.catalogue = records, catalogue

    def create(self, job: Job) -> None:
        assert self.records.create(job)
        self.catalogue.add_name(job)


@pytest.fixture(params=["dynamodb", "fake"])
def shelf(request: pytest.FixtureRequest) -> Both:
    if request.param == "fake":
        records = fakes.Records()
        return Both(records, fakes.Catalogue(records.items))
    made = request.getfixturevalue("dynamo")
    return Both(made, DynamoCatalogue(request.getfixturevalue("table")))


def a_list(shelf: Both) -> None:
    """Ten jobs a minute apart but for two, every third failed, every other an archive's."""
    for number in range(10):
        shelf.create(
            a_job(
                Status.FAILED if number % 3 == 0 else Status.COMPLETED,
                job_id=f"{number:020d}",
                workflow="archive" if number % 2 else "compress",
                created_at=f"2026-05-{4 + number // 5:02d}T09:{max(number, 1):02d}:00.000Z",
                reason="Because.",
                plan=a_plan(),
                file_name=f"Szene {number} Ünlü-take.mov",
                size_bytes=1000 - 10 * number,
                saved_bytes=number if number > 4 else None,
                published_size_bytes=1000 - 11 * number if number > 4 else None,
                uploader="Anna@example.com" if number < 3 else None,
            )
        )


def pages(shelf: Both, limit: int, **wanted: Any) -> list[list[int]]:
    after: Place | None = None
    found = []
    while True:
        jobs, after = shelf.catalogue.list_jobs(Asked(**wanted), limit=limit, after=after)
        found.append([int(job.job_id) for job in jobs])
        if after is None:
            return found


def flat(pages: list[list[int]]) -> list[int]:
    return [number for page in pages for number in page]


def test_jobs_are_listed_newest_first_page_by_page(shelf: Both) -> None:
    a_list(shelf)
    [first, *others] = pages(shelf, 4)
    assert first == [9, 8, 7, 6]
    assert [len(page) for page in others] == [4, 2]
    assert sorted([*first, *flat(others)]) == [*range(10)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"status": Status.FAILED}, [9, 6, 3, 0]),
        ({"workflow": "archive"}, [9, 7, 5, 3, 1]),
        ({"workflow": "archive", "status": Status.FAILED}, [9, 3]),
        ({"workflow": "unknown"}, []),
        ({"status": Status.CANCELLED}, []),
        ({"uploader": "anna@EXAMPLE.com"}, [2, 1, 0]),
        ({"uploader": "anna@example.com", "status": Status.FAILED}, [0]),
        ({"until": "2026-05-04"}, [4, 3, 2, 1, 0]),
        ({"since": "2026-05-05"}, [9, 8, 7, 6, 5]),
        ({"since": "2026-05-05", "until": "2026-05-05", "status": Status.FAILED}, [9, 6]),
        ({"min_saved_percent": 0.7}, [9, 8, 7]),
        ({"sort": Sort.OLDEST}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"sort": Sort.LARGEST}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"sort": Sort.MOST_SAVED}, [9, 8, 7, 6, 5]),
        ({"sort": Sort.LARGEST, "uploader": "anna@example.com"}, [0, 1, 2]),
        ({"sort": Sort.LARGEST, "since": "2026-05-05", "workflow": "archive"}, [5, 7, 9]),
    ],
)
def test_a_list_of_some(shelf: Both, wanted: dict[str, Any], found: list[int]) -> None:
    a_list(shelf)
    by_time = wanted.get("sort", Sort.NEWEST) in (Sort.NEWEST, Sort.OLDEST)
    for limit in (2, 50):
        listed = flat(pages(shelf, limit, **wanted))
        # Two jobs came in the same moment: which of them is first is nobody's promise.
        assert (sorted(listed) if by_time else listed) == (sorted(found) if by_time else found)


def test_a_list_shows_what_a_row_of_it_needs(shelf: Both) -> None:
    a_list(shelf)
    changes = {"status": Status.PROCESSING, "run": 2, "reason": None, "ended_in": "fetch"}
    shelf.records.update(f"{9:020d}", changes)
    [job], _ = shelf.catalogue.list_jobs(Asked(), limit=1)
    assert (job.job_id, job.run, job.status) == (f"{9:020d}", 2, Status.PROCESSING)
    assert (job.size_bytes, job.reason, job.ended_in) == (910, None, "fetch")
    failed, _ = shelf.catalogue.list_jobs(Asked(status=Status.FAILED), limit=9)
    assert [int(job.job_id) for job in failed] == [6, 3, 0]


def test_a_job_that_came_while_somebody_turned_the_page(shelf: Both) -> None:
    a_list(shelf)
    first, after = shelf.catalogue.list_jobs(Asked(), limit=2)
    shelf.create(a_job(job_id="a" * 20, created_at="2026-05-06T10:00:00.000Z"))
    shelf.records.update(first[1].job_id, {"status": Status.CANCELLED})
    second, _ = shelf.catalogue.list_jobs(Asked(), limit=2, after=after)
    assert [int(job.job_id) for job in second] == [7, 6]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("szene 7", [7]),
        ("SZ 3 unl", [3]),
        ("take", [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("ake", []),
        ("mov", []),
        ("...", []),
        ("t", []),  # a single letter is a word of its own
    ],
)
def test_a_name_is_found_by_the_beginnings_of_its_words(
    shelf: Both, text: str, found: list[int]
) -> None:
    a_list(shelf)
    jobs, _ = shelf.catalogue.search(text, Asked(), limit=20)
    listed = [int(job.job_id) for job in jobs]
    assert sorted(listed, reverse=True) == found


def test_what_was_found_goes_on_and_can_be_narrowed(shelf: Both) -> None:
    a_list(shelf)
    found, after = [], None
    while True:
        jobs, after = shelf.catalogue.search("szene", Asked(), limit=4, after=after)
        found += [int(job.job_id) for job in jobs]
        if after is None:
            break
    assert sorted(found) == [*range(10)]
    failed, _ = shelf.catalogue.search("szene", Asked(status=Status.FAILED), limit=20)
    assert sorted(int(job.job_id) for job in failed) == [0, 3, 6, 9]


def test_a_name_can_be_added_twice(shelf: Both) -> None:
    job = a_job(file_name="one two.mov")
    shelf.create(job)
    shelf.catalogue.add_name(job)
    assert len(shelf.catalogue.search("one", Asked(), limit=9)[0]) == 1
    shelf.catalogue.add_name(a_job(file_name="….mov"))  # nothing to find it by


def test_open_jobs_are_under_way(shelf: Both) -> None:
    shelf.create(a_job(job_id="1" * 20, created_at="2026-05-04T09:00:00.000Z", step="fetch"))
    shelf.create(a_job(Status.RETRYING, job_id="2" * 20, encode_percent=40))
    shelf.create(a_job(Status.FAILED, job_id="3" * 20))
    shelf.records.update("2" * 20, {"step": "encode"})
    first, second = sorted(shelf.catalogue.under_way(), key=lambda job: job.job_id)
    assert (first.step, second.step, second.encode_percent) == ("fetch", "encode", 40)
    shelf.records.update("1" * 20, {"status": Status.COMPLETED})
    assert [job.job_id for job in shelf.catalogue.under_way()] == ["2" * 20]


def ended(**more: Any) -> Job:
    return a_job(
        Status.COMPLETED,
        completed_at="2026-05-04T10:00:00.000Z",
        size_bytes=1000,
        published_size_bytes=300,
        published_run=1,
        cost_usd=0.1,
        plan=a_plan(),
        uploader="Anna",
        **more,
    )


def test_a_run_is_added_once_however_often_it_is_told(shelf: Both) -> None:
    one = tally(ended())
    for mark in ("a-1", "a-1", "b-1", "a-1"):
        shelf.catalogue.count(one, mark)
    [sums] = shelf.catalogue.tallies("2026-05-04", "2026-05-04")
    assert sums.kind == one.kind
    assert (sums.amounts.jobs, sums.amounts.source_bytes) == (2, 2000)
    assert (sums.amounts.published_bytes, sums.amounts.cost_micro_usd) == (600, 200_000)


def test_figures_are_of_the_days_asked_for(shelf: Both) -> None:
    for day in (3, 4, 5, 6):
        job = replace(ended(), completed_at=f"2026-05-0{day}T10:00:00.000Z")
        shelf.catalogue.count(tally(job), f"{day}-1")
    found = shelf.catalogue.tallies("2026-05-04", "2026-05-05")
    assert [sums.kind.day for sums in found] == ["2026-05-04", "2026-05-05"]
    assert shelf.catalogue.tallies("2027-01-01", "2027-02-01") == []
