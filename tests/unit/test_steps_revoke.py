"""Revoke: a link in the wrong hands leads nowhere, and there is a new one."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.api import videos
from chalicelib.domain.control import NotNow, UnknownJob
from chalicelib.domain.job import Status
from chalicelib.domain.link import video_link
from chalicelib.steps.revoke import revoke
from chalicelib.steps.rows import sync_rows
from tests.examples import JOB_ID, a_job
from tests.fakes import World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(videos, "services", lambda: world.services)
    key = f"compress/{JOB_ID}/film.mp4"
    world.with_job(a_job(Status.COMPLETED, published_key=key, published_size_bytes=1))
    return world


def opened(link: str) -> int:
    (given,) = parse_qs(urlsplit(link).query)["s"]
    return int(videos.open_link(JOB_ID, given).status_code)


def link(world: World, number: int) -> str:
    return video_link("https://slimreel.example/api", JOB_ID, "key", number)


def test_old_links_die_and_the_row_gets_the_new_one(world: World) -> None:
    assert opened(link(world, 0)) == 302
    for number in (1, 2):
        assert revoke(world.services, JOB_ID, by="anna").link_number == number
        assert [opened(link(world, n)) for n in range(4)] == [
            302 if n == number else 404 for n in range(4)
        ]
    sync_rows(world.services, [JOB_ID])
    assert world.airtable.rows[JOB_ID]["Compressed URL"] == link(world, 2)


def test_two_people_at_once_make_one_new_link(world: World) -> None:
    services, records = world.services, world.records
    job = records.get(JOB_ID)
    assert job is not None
    update = records.update

    def and_somebody_else(*args: object, **options: object) -> object:
        records.update = update
        revoke(world.services, JOB_ID, by="ben")
        return update(*args, **options)

    records.update = and_somebody_else
    assert revoke(services, JOB_ID, by="anna").link_number == 1


def test_there_must_be_something_to_revoke(world: World) -> None:
    with pytest.raises(UnknownJob):
        revoke(world.services, "f" * 20, by="anna")
    world.records.update(JOB_ID, {"published_key": None}, row=False)
    with pytest.raises(NotNow, match="no link to revoke"):
        revoke(world.services, JOB_ID, by="anna")
