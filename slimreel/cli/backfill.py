"""`slimreel backfill --folder ID`: take what is in a Drive folder already; cost first, then ask.

The content of a file names its job. So it may be stopped and run again: what was submitted before
is the job it was, and is not paid for twice.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

from chalicelib.domain.text import human_size, one_line, percent
from slimreel.cli.api import Api, CannotAsk
from slimreel.cli.options import DONE, ENDED_ILL, add_common, print_json

if TYPE_CHECKING:
    from slimreel.plan import Dry

#: So many files that cannot be submitted in a row, and it is not the files.
PATIENCE = 10


@dataclass(slots=True)
class Outcome:
    """What became of the files."""

    submitted: list[str] = field(default_factory=list)  # job ids
    known: list[str] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "backfill",
        help="take what is in a Drive folder already",
        description="Count the videos that lie directly in a Drive folder, say what they would "
        "come to and cost, ask, and submit them one after the other. Stop and repeat it as you "
        "like: no content is processed twice.",
    )
    parser.add_argument("--folder", required=True, metavar="ID", help="of the Drive folder")
    parser.add_argument("--workflow", default="compress", help="(default: %(default)s)")
    parser.add_argument("--preset", metavar="NAME", help="in place of the workflow's")
    parser.add_argument(
        "--per-minute",
        type=_pace,
        default=60,
        metavar="N",
        help="submit so many a minute at most (default: %(default)s)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only say what it would come to")
    add_common(parser, run)


def run(api: Api, options: argparse.Namespace, console: Console) -> int:
    # Here, because loading what plans takes longer than everything else a command needs.
    from chalicelib.config import all_presets, all_workflows

    workflow = all_workflows().get(options.workflow)
    if workflow is None:
        raise CannotAsk(
            f"There is no workflow {options.workflow}; there are {_of(all_workflows())}."
        )
    preset = options.preset or workflow.preset
    if preset not in all_presets():
        raise CannotAsk(f"There is no preset {preset}; there are {_of(all_presets())}.")
    videos = [*listed(api, options.folder)]
    prediction = predicted(videos, preset, workflow)
    if not options.json:
        console.print(in_words(prediction), soft_wrap=True, markup=False)
    if not videos or options.dry_run:
        if options.json:
            print_json(prediction)
        return DONE
    if not options.yes and not _agreed(options, console):
        return ENDED_ILL
    outcome = submit_all(
        api,
        videos,
        options,
        show=console.is_terminal and not options.json,
    )
    if options.json:
        print_json({**prediction, **dataclasses.asdict(outcome)})
    else:
        for line in _report(outcome):
            console.print(line, soft_wrap=True, markup=False)
    return ENDED_ILL if outcome.refused else DONE


def listed(api: Api, folder_id: str) -> Iterator[dict[str, Any]]:
    """The videos in a folder, by the account that will read them."""
    page = None
    while True:
        answer = api.folder(folder_id, page)
        yield from answer["videos"]
        page = answer["next_page"]
        if page is None:
            return


def predicted(videos: Sequence[Mapping[str, Any]], preset: str, workflow: Any) -> dict[str, Any]:
    """What they would come to, from what Drive tells of them: a guess."""
    from chalicelib.config import price_table
    from slimreel.plan import of_drive

    dries: list[Dry] = [of_drive(_file(video), preset, workflow) for video in videos]
    return {
        "videos": len(dries),
        "size_bytes": sum(dry.size_bytes for dry in dries),
        "saved_bytes": sum(dry.saved_bytes for dry in dries),
        "cost_usd": round(sum(dry.cost_usd for dry in dries), 2),
        "unknown": sum(dry.plan is None for dry in dries),
        "preset": preset,
        "workflow": workflow.name,
        "prices_as_of": price_table().as_of,
    }


def in_words(prediction: Mapping[str, Any]) -> str:
    if not prediction["videos"]:
        return "There is no video directly in this folder."
    size, saved = prediction["size_bytes"], prediction["saved_bytes"]
    words = (
        f"{prediction['videos']} videos, {human_size(size)}. With preset {prediction['preset']} "
        f"some {human_size(saved)} ({percent(saved / size if size else 0)}) would be saved, for "
        f"about ${prediction['cost_usd']:,.2f} of MediaConvert (prices of "
        f"{prediction['prices_as_of']}). Guessed from ordinary films; yours may need several times "
        "more or less."
    )
    if prediction["unknown"]:
        words += (
            f" Of {prediction['unknown']} nothing can be said: Google Drive has not looked into "
            "them yet."
        )
    return words


def submit_all(
    api: Api, videos: Sequence[Mapping[str, Any]], options: argparse.Namespace, *, show: bool
) -> Outcome:
    """One after the other, at the pace that was asked for.

    Raises:
        CannotAsk: so many in a row failed that it is none of the files' fault.
    """
    outcome, in_a_row = Outcome(), 0
    pause_s = 60 / options.per_minute
    for video in track(videos, "Submitting", disable=not show):
        begun_s = time.monotonic()
        try:
            job, is_new = api.submit_once(
                str(video["id"]), workflow=options.workflow, preset=options.preset
            )
        except CannotAsk as problem:
            in_a_row += 1
            named = {"id": str(video["id"]), "name": str(video["name"]), "message": str(problem)}
            outcome.refused.append(named)
            if in_a_row == PATIENCE:
                raise CannotAsk(
                    f"{PATIENCE} in a row could not be submitted, the last because: {problem} "
                    f"{len(outcome.submitted)} were; run it again to go on."
                ) from problem
            continue
        in_a_row = 0
        (outcome.submitted if is_new else outcome.known).append(str(job["job_id"]))
        if is_new:
            time.sleep(max(0.0, pause_s - (time.monotonic() - begun_s)))
    return outcome


def _report(outcome: Outcome) -> Iterator[str]:
    known = f", {len(outcome.known)} were known already" if outcome.known else ""
    yield f"{len(outcome.submitted)} submitted{known}. Follow them: slimreel status"
    for one in outcome.refused:
        yield f"Not submitted: {one_line(one['name'])}: {one['message']}"


def _agreed(options: argparse.Namespace, console: Console) -> bool:
    """
    Raises:
        CannotAsk: there is nobody to ask.
    """
    if options.json or not sys.stdin.isatty():
        raise CannotAsk("Nobody can be asked here. Say --yes to submit them, or --dry-run.")
    return console.input("Submit them? [y/N] ").strip().lower() in ("y", "yes")


def _file(video: Mapping[str, Any]) -> Any:
    from chalicelib.domain.drive import DriveFile

    return DriveFile(
        file_id=video["id"],
        name=video["name"],
        mime_type="video/mp4",
        size_bytes=video["size_bytes"],
        md5=None,
        head_revision_id=None,
        parents=(),
        trashed=False,
        can_download=True,
        owner_email=None,
        uploader=None,
        created_at=None,
        modified_at=None,
        web_view_url=None,
        shortcut_target_id=None,
        video_duration_s=video["duration_s"],
        video_width=video["width"],
        video_height=video["height"],
    )


def _of(names: Mapping[str, Any]) -> str:
    return ", ".join(names)


def _pace(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 600:
        raise argparse.ArgumentTypeError("a number from 1 to 600")
    return int(text)
