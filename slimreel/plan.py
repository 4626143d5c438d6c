"""`slimreel plan`: what would happen to videos, what they would come to, and what it would cost.

A file of this machine is looked into, and short samples of it are encoded here, as a run would do
on MediaConvert. Of a Drive folder only what Drive tells is known, so its figures are guesses.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chalicelib.config import all_presets, all_workflows, price_table
from chalicelib.domain import dial
from chalicelib.domain.choice import decide
from chalicelib.domain.codec import to_plain
from chalicelib.domain.drive import DriveFile, is_video
from chalicelib.domain.errors import Rejected, SlimreelError
from chalicelib.domain.media import MediaFacts, VideoTrack
from chalicelib.domain.money import estimated, months_to_pay_back
from chalicelib.domain.ordinary import shown
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.planner import make_plan
from chalicelib.domain.prior import likely_bytes
from chalicelib.domain.text import human_size, one_line
from chalicelib.domain.workflow import Workflow
from slimreel import offline

if TYPE_CHECKING:
    from chalicelib.adapters.drive import Drive

_WORDS = {
    Route.SEARCH: "compress",
    Route.ENCODE: "compress",
    Route.KEEP: "keep the original",
    Route.REJECT: "refuse",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dry:
    """What would happen to one video.

    Attributes:
        plan: as the pipeline would record it; None where nobody could look.
        sampled: the prediction comes from samples of this very film, not from ordinary ones.
        predicted_bytes: of what would be published; None where nothing would.
        months: until the storage that is saved has paid for the encode.
        problem: why nobody could look.
    """

    name: str
    size_bytes: int
    plan: Plan | None = None
    sampled: bool = False
    predicted_bytes: int | None = None
    cost_usd: float = 0.0
    months: float | None = None
    problem: str | None = None

    @property
    def saved_bytes(self) -> int:
        return self.size_bytes - self.predicted_bytes if self.predicted_bytes is not None else 0


def of_file(path: Path, preset: str, workflow: Workflow, *, quick: bool = False) -> Dry:
    """Look into a file and, unless `quick`, encode samples of it in a temporary folder."""
    size_bytes = path.stat().st_size
    try:
        facts = offline.facts_of(path)
        plan = estimated(make_plan(facts, all_presets()[preset], workflow), facts, price_table())
        if plan.route is Route.SEARCH and not quick:
            with tempfile.TemporaryDirectory() as folder:
                points = offline.encode_samples(path, plan, facts, Path(folder))
            searched = plan.cost.search_usd if plan.cost else 0.0
            plan = estimated(decide(plan, points, facts, workflow), facts, price_table())
            return _dry(path.name, facts, plan, searched_usd=searched)
    except (Rejected, offline.EncodeFailed) as problem:
        return Dry(name=path.name, size_bytes=size_bytes, problem=str(problem))
    return _dry(path.name, facts, plan)


def of_drive(file: DriveFile, preset: str, workflow: Workflow) -> Dry:
    """What can be said from Drive's listing alone."""
    size_bytes = file.size_bytes or 0
    if file.video_duration_s is None:
        problem = "Google Drive has not looked into this video yet."
        return Dry(name=file.name, size_bytes=size_bytes, problem=problem)
    video = VideoTrack(
        codec="AVC",
        width=file.video_width or 1920,
        height=file.video_height or 1080,
        duration_s=file.video_duration_s,
    )
    facts = MediaFacts(
        container="mp4",
        duration_s=file.video_duration_s,
        size_bytes=size_bytes,
        video=video,
        video_tracks=1,
        audio=(),
        data_tracks=0,
    )
    plan = make_plan(facts, all_presets()[preset], workflow)
    return _dry(file.name, facts, estimated(plan, facts, price_table()))


def of_folder(drive: Drive, folder_id: str, preset: str, workflow: Workflow) -> list[Dry]:
    """Every video of a Drive folder."""
    files = [file for file in drive.list_folder(folder_id) if is_video(file)]
    return [of_drive(file, preset, workflow) for file in files]


def _dry(name: str, facts: MediaFacts, plan: Plan, *, searched_usd: float = 0.0) -> Dry:
    """`searched_usd` is spent on samples even where they show that the original is better kept."""
    sampled = plan.search is not None and plan.search.is_over
    predicted = plan.search.predicted_bytes if sampled and plan.search else None
    if plan.route in (Route.KEEP, Route.REJECT):
        predicted = facts.size_bytes if plan.route is Route.KEEP else None
    elif predicted is None:
        predicted = likely_bytes(plan, facts)
    cost_usd = plan.cost.usd if plan.cost else searched_usd
    saved = facts.size_bytes - predicted if predicted is not None else 0
    return Dry(
        name=name,
        size_bytes=facts.size_bytes,
        plan=plan,
        sampled=sampled,
        predicted_bytes=predicted,
        cost_usd=round(cost_usd, 6),
        months=months_to_pay_back(cost_usd, saved, price_table()),
    )


# What is printed


def as_json(found: Sequence[Dry]) -> str:
    """Documented in docs/plan.md."""
    videos = [
        {**dataclasses.asdict(dry), "plan": to_plain(dry.plan) if dry.plan else None}
        for dry in found
    ]
    return json.dumps({"videos": videos, "total": _total(found)}, indent=2, ensure_ascii=False)


def _total(found: Sequence[Dry]) -> dict[str, Any]:
    return {
        "videos": len(found),
        "size_bytes": sum(dry.size_bytes for dry in found),
        "saved_bytes": sum(dry.saved_bytes for dry in found),
        "cost_usd": round(sum(dry.cost_usd for dry in found), 4),
        "prices_as_of": price_table().as_of,
    }


def as_table(found: Sequence[Dry]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("video, and what would happen", overflow="fold", ratio=1)
    for head in ("now", "then", "saved", "quality", "cost", "pays back in"):
        table.add_column(head, justify="right", no_wrap=True)
    for dry in found:
        table.add_row(*_cells(dry))
    total = _total(found)
    table.add_section()
    table.add_row(
        f"{total['videos']} videos",
        human_size(total["size_bytes"]),
        "",
        human_size(total["saved_bytes"]),
        "",
        f"${total['cost_usd']:.4f}",
        "",
    )
    return table


def _cells(dry: Dry) -> Iterator[str | Text]:
    lines = (_what(dry), *_lost(dry))
    yield Text.assemble(
        one_line(dry.name), *(part for line in lines for part in ("\n", (line, "dim")))
    )
    yield human_size(dry.size_bytes)
    about = "" if dry.sampled or not _encodes(dry) else "~ "
    yield "" if dry.predicted_bytes is None else about + human_size(dry.predicted_bytes)
    yield about + human_size(dry.saved_bytes) if dry.saved_bytes else ""
    yield _quality(dry)
    yield f"${dry.cost_usd:.4f}" if dry.cost_usd else ""
    yield f"{dry.months:,.0f} months" if dry.months is not None and dry.cost_usd else ""


def _quality(dry: Dry) -> str:
    search = dry.plan.search if dry.plan else None
    if search is None or search.predicted_mean is None or not _encodes(dry):
        return ""
    return f"{search.metric} {shown(search.predicted_mean, search.metric)}"


def _encodes(dry: Dry) -> bool:
    return dry.plan is not None and dry.plan.route in (Route.SEARCH, Route.ENCODE)


def _what(dry: Dry) -> str:
    if dry.plan is None:
        return f"nobody can tell: {dry.problem}"
    if not _encodes(dry):
        return f"{_WORDS[dry.plan.route]}: {dry.plan.reasons[0]}"
    if dry.plan.route is Route.SEARCH:
        return f"{_WORDS[dry.plan.route]}, at a level that samples will tell"
    assert dry.plan.qvbr_level is not None
    return f"{_WORDS[dry.plan.route]} at QVBR level {dial.label(dry.plan.qvbr_level)}"


def _lost(dry: Dry) -> Iterator[str]:
    if dry.plan is not None and _encodes(dry):
        yield from (f"not carried over: {one_line(loss)}" for loss in dry.plan.losses)


# The command


def run(options: argparse.Namespace, console: Console) -> int:
    """Do what `slimreel.plan_command` parsed; the exit status."""
    workflow = all_workflows().get(options.workflow)
    if workflow is None:
        known = ", ".join(all_workflows())
        console.print(f"There is no workflow {options.workflow}; there are {known}.", style="red")
        return 2
    preset = options.preset or workflow.preset
    problem = _bad_options(options, preset)
    if problem is not None:
        console.print(problem, style="red", soft_wrap=True, markup=False)
        return 2
    try:
        found = _found(options, preset, workflow)
    except SlimreelError as error:
        console.print(str(error), style="red", soft_wrap=True, markup=False)
        return 2
    found.sort(key=lambda dry: -dry.saved_bytes)
    if options.json:
        print(as_json(found))
    else:
        console.print(as_table(found))
        _notes(found, console)
    return 0 if any(dry.plan is not None for dry in found) else 1


def _bad_options(options: argparse.Namespace, preset: str) -> str | None:
    if bool(options.files) == bool(options.folder):
        return "Give the paths of videos, or --folder with the id of a Drive folder."
    if preset not in all_presets():
        return f"There is no preset {preset}; there are {', '.join(all_presets())}."
    if options.folder and options.credentials is None:
        return "Reading a Drive folder needs --credentials, a service account's key file."
    for path in (*options.files, *([options.credentials] if options.folder else [])):
        if not Path(path).is_file():
            return f"There is no file {path}."
    return None


def _found(options: argparse.Namespace, preset: str, workflow: Workflow) -> list[Dry]:
    if options.folder:
        from chalicelib.adapters.drive import Drive

        key = Path(options.credentials).read_text()
        drive = Drive(credentials_json=key, api_url=options.drive_url)
        return of_folder(drive, options.folder, preset, workflow)
    return [of_file(path, preset, workflow, quick=options.quick) for path in options.files]


def _notes(found: Sequence[Dry], console: Console) -> None:
    if any(_encodes(dry) and not dry.sampled for dry in found):
        console.print("~ guessed from ordinary films; yours may need several times more or less.")
    console.print(f"Costs are estimates from the price table of {price_table().as_of}.")
