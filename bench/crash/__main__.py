"""python -m bench.crash: see the package."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.crash.clips import stocked
from bench.crash.plan import make_plan
from bench.crash.project import SECONDS, copy_project
from bench.crash.report import as_json, screen, summary
from bench.crash.run import Outcome, Run
from bench.crash.shelf import SHELF
from slimreel.paths import PROJECT_DIR

#: The usual exit status of a program ended by Ctrl-C.
INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    shelf = stocked(SHELF)
    outcomes = []
    for seed in range(options.seed, options.seed + options.runs):
        outcome = _run(seed, options, shelf)
        print(f"{screen(outcome)}\n\n{summary(outcome)}", flush=True)
        outcomes.append(outcome)
    if options.json:
        options.json.write_text(json.dumps([as_json(outcome) for outcome in outcomes], indent=2))
    failed = [str(outcome.plan.seed) for outcome in outcomes if not outcome.passed]
    if failed:
        print(f"Failing seeds: {', '.join(failed)}. Again: make crash SEED={failed[0]}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench.crash", description="Kill the local stack at every boundary, then look."
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--runs", type=int, default=1, help="each with the next seed")
    parser.add_argument("--jobs", type=int, default=200, help="files dropped or replaced in a run")
    parser.add_argument("--kills", type=int, default=64, help="deaths of the stack in a run")
    parser.add_argument(
        "--minutes",
        type=float,
        default=float("inf"),
        metavar="N",
        help="begin no further violent life after so long (default: play the whole plan)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep everything of a failing run there"
    )
    parser.add_argument(
        "--project",
        type=Path,
        default=PROJECT_DIR,
        metavar="DIR",
        help="the checkout to try (default: this one)",
    )
    parser.add_argument("--plan", action="store_true", help="print the plan and do nothing")
    return parser


def _run(seed: int, options: argparse.Namespace, shelf: Path) -> Outcome:
    plan = make_plan(seed, jobs=options.jobs, kills=options.kills)
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir=SHELF.parent.parent))
    keep = False
    try:
        run = Run(
            plan,
            project=copy_project(folder / "project", SECONDS, source=options.project),
            folder=folder,
            shelf=shelf,
            violent_s=60 * options.minutes,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
        outcome = run.play()
        keep = not outcome.passed
        return outcome
    except Exception:
        keep = True
        raise
    finally:
        if keep and options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, options.keep / f"seed-{seed}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)  # or a stack would outlive us
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nStopped; everything started here has been cleaned up.", file=sys.stderr)
        sys.exit(INTERRUPTED)
