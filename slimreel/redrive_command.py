"""The command `slimreel redrive`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from slimreel.paths import UP_DIR
from slimreel.redrive import CannotRedrive, DeadLetters, Moved, Redrive

EVERYTHING = "all"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "redrive",
        help="list what was given up, and try it again",
        description="Say what lies in the dead-letter queues of a stage, in a sentence each. With "
        "the name of a queue, have everything in it tried again. Uses your AWS credentials.",
    )
    command.add_argument(
        "queue", nargs="?", metavar="QUEUE", help=f"try its messages again; “{EVERYTHING}” for all"
    )
    command.add_argument("--stage", default="dev", help="(default: %(default)s)")
    command.add_argument(
        "--local",
        nargs="?",
        type=Path,
        const=UP_DIR,
        metavar="DIR",
        help="of the running `slimreel up` with this data directory (default: .slimreel/up)",
    )
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """0 when all is said or done, 1 when something could not be sent back, 2 when nothing could."""
    try:
        redrive = Redrive(_client(options.local), "local" if options.local else options.stage)
        queues = redrive.look()
        chosen = _chosen(queues, options.queue)
        moved = [redrive.send_back(queue) for queue in chosen if queue.count]
    except CannotRedrive as problem:
        console.print(str(problem), style="red", soft_wrap=True)
        return 2
    if options.json:
        print(json.dumps(_as_data(queues, moved), indent=2))
    else:
        _print_queues(queues, console)
        _print_moved(moved, chosen, console)
    return 1 if any(one.problems for one in moved) else 0


def _chosen(queues: Sequence[DeadLetters], wanted: str | None) -> list[DeadLetters]:
    if wanted is None:
        return []
    chosen = [queue for queue in queues if wanted in (queue.name, EVERYTHING)]
    if not chosen:
        names = ", ".join(queue.name for queue in queues)
        raise CannotRedrive(f"There is no queue {wanted!r}; there are {names}.")
    return chosen


def _client(local: Path | None) -> Callable[[str], Any]:
    import boto3
    from botocore.config import Config

    retries = Config(retries={"mode": "standard", "total_max_attempts": 4})
    if local is None:
        return lambda service: boto3.client(service, config=retries)
    from slimreel.local import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY

    try:
        port = int((local / "port").read_text())
    except (OSError, ValueError) as problem:
        raise CannotRedrive(f"No `slimreel up` has run with {local}: {problem}") from problem
    return lambda service: boto3.client(
        service,
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        config=retries,
    )


def _as_data(queues: Sequence[DeadLetters], moved: Sequence[Moved]) -> dict[str, Any]:
    return {
        "queues": [{**asdict(queue), "oldest_s": queue.oldest_s} for queue in queues],
        "moved": [asdict(one) for one in moved],
    }


def _print_queues(queues: Sequence[DeadLetters], console: Console) -> None:
    for queue in queues:
        if not queue.count:
            console.print(f"{queue.name}: nothing was given up", style="dim")
            continue
        oldest = f", the oldest for {age(queue.oldest_s)}" if queue.oldest_s is not None else ""
        console.print(f"{queue.name}: {queue.count} given up{oldest}", style="bold")
        for letter in queue.letters:
            # Names and reasons are others' words: no markup in them.
            console.print(f"  {age(letter.age_s):>6}  {letter.about}", markup=False, soft_wrap=True)
        if queue.count > len(queue.letters):
            console.print(f"          and {queue.count - len(queue.letters)} more")


def _print_moved(moved: Sequence[Moved], chosen: Sequence[DeadLetters], console: Console) -> None:
    if not chosen:
        console.print("\n`slimreel redrive QUEUE` has everything in a queue tried again.")
    for one in moved:
        console.print(f"{one.name}: {one.moved} sent back to be tried again", style="green")
        for problem in one.problems:
            console.print(f"  {problem}", style="red", markup=False, soft_wrap=True)


def age(seconds: float | None) -> str:
    """
    >>> age(50), age(7200), age(200_000)
    ('50 s', '2 h', '2 d')
    """
    if seconds is None:
        return "?"
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"
