"""`python -m slimreel.workflows [DIR]`: one problem per line and exit 1, or how many are valid."""

from __future__ import annotations

import argparse
from pathlib import Path

from slimreel.workflows import FLOW_SUFFIX, validate_all


def main(arguments: list[str] | None = None) -> int:
    """Check a folder of workflows; 0 when all can be used."""
    parser = argparse.ArgumentParser(prog="python -m slimreel.workflows", description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", default=Path("workflows"))
    directory: Path = parser.parse_args(arguments).directory
    count = len([*directory.glob(f"*{FLOW_SUFFIX}")])
    if not count:
        print(f"{directory}: folder: there is no *{FLOW_SUFFIX} file here")
        return 1
    if not (directory.resolve().parent / "app.py").is_file():
        print(f"{directory}: folder: there is no app.py beside it, whose functions flows call")
        return 1
    problems = validate_all(directory)
    for problem in problems:
        print(problem)
    if problems:
        return 1
    print(f"{count} {'workflow is' if count == 1 else 'workflows are'} valid.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
