"""What `slimreel up` tells: a line when a job begins, a line when it ends, nothing twice."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from chalicelib.domain.job import Job, Moment, Status
from chalicelib.domain.plan import Route
from slimreel.board import MOST_ROWS, Board
from slimreel.watch import title, titles
from tests.examples import a_job, a_plan


class Screen:
    def __init__(self, *, terminal: bool) -> None:
        self._file = io.StringIO()
        console = Console(
            file=self._file, force_terminal=terminal, width=100, highlight=False, color_system=None
        )
        self.board = Board(console, percent={"encode-1": 48}.get)

    def lines(self) -> list[str]:
        return self._file.getvalue().splitlines()

    def drawn(self) -> str:
        console = Console(file=io.StringIO(), width=100, record=True, highlight=False)
        console.print(self.board._view())
        return console.export_text()


@pytest.fixture
def screen() -> Screen:
    return Screen(terminal=False)


def done(job: Job, status: Status, **facts: object) -> Job:
    return replace(job, status=status, **facts)  # type: ignore[arg-type]


def test_a_job_is_a_line_when_it_begins_and_one_when_it_ends(screen: Screen) -> None:
    job = a_job(file_name="Scene 4.mov", size_bytes=93_300_000)
    for step in ("register", "fetch", "encode"):
        screen.board.show(replace(job, step=step), None)
    ended = done(
        job, Status.COMPLETED, published_size_bytes=2_400_000, reason="97 % smaller; checked."
    )
    for _ in range(2):  # later writes, such as of its row, are no news
        screen.board.show(ended, Path("/results/Scene 4.mp4"))
    assert screen.lines() == [
        "▸ Scene 4.mov  93.3 MB",
        "✓ Scene 4.mov  93.3 MB → 2.4 MB  97 % smaller; checked.  → /results/Scene 4.mp4",
    ]


def test_every_end_is_said(screen: Screen) -> None:
    for status in (Status.KEPT_ORIGINAL, Status.FAILED, Status.CANCELLED):
        job = a_job(job_id=status.name, file_name="a.mp4", size_bytes=1)
        screen.board.known(job)
        screen.board.show(done(job, status, reason="Because."), None)
    assert screen.lines() == [
        "= a.mp4  original kept: Because.",
        "✗ a.mp4  Because.",
        "– a.mp4  Because.",
    ]


def test_a_new_run_begins_and_ends_anew(screen: Screen) -> None:
    job = done(a_job(file_name="a.mp4", size_bytes=1), Status.FAILED, reason="No.")
    screen.board.known(job)
    again = replace(job, run=2, status=Status.PROCESSING, reason=None)
    screen.board.show(again, None)
    screen.board.show(done(again, Status.FAILED, reason="No."), None)
    assert screen.lines() == ["▸ a.mp4  1 bytes", "✗ a.mp4  No."]


def test_a_name_cannot_play_tricks_with_the_terminal(screen: Screen) -> None:
    screen.board.show(a_job(file_name="[red]a\x1b[2J\nb.mp4", size_bytes=1), None)
    assert screen.lines() == ["▸ [red]a�[2J�b.mp4  1 bytes"]


def test_in_a_terminal_jobs_on_their_way_are_drawn() -> None:
    screen = Screen(terminal=True)
    assert "Drop a video" in screen.drawn()
    at = (Moment(step="encode", at="2026-05-04T09:30:00.000Z"),)
    job = a_job(file_name="Scene 4.mov", step="encode", encoder_job_id="encode-1", timeline=at)
    screen.board.show(job, None)
    assert "Scene 4.mov" in screen.drawn() and "48 %" in screen.drawn()
    for number in range(MOST_ROWS + 2):
        screen.board.known(a_job(job_id=f"{number}", file_name=f"{number}.mp4"))
    assert "and 3 more" in screen.drawn()


def test_an_encode_of_samples_is_told_from_one_of_the_film(screen: Screen) -> None:
    job = a_job(file_name="a.mp4", size_bytes=1, step="encode")
    searching = replace(job, plan=a_plan(route=Route.SEARCH))
    assert title("encode", searching) == "Encode samples with MediaConvert"
    assert title("encode", job) == title("encode", searching, "restore")
    assert title("encode", job, "choose") == "Encode samples with MediaConvert"
    for one, words in ((job, "Encode with"), (searching, "Encode samples with")):
        screen.board.show(one, None)
        assert f"{words} MediaConvert" in screen.drawn()


def test_every_step_of_a_timeline_has_its_words() -> None:
    steps = ("register", "plan", "encode", "choose", "encode")
    timeline = tuple(Moment(step=step, at="2026-05-04T09:30:00.000Z") for step in steps)
    assert titles(a_job(timeline=())) == []  # nothing has begun yet
    assert titles(a_job(timeline=timeline)) == [
        "Take the job on",
        "Decide on settings",
        "Encode samples with MediaConvert",
        "Choose the setting its samples promise most for",
        "Encode with MediaConvert",
    ]
