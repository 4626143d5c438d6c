"""What every benchmark of the whole pipeline needs: a place, a clip, and a clean end."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.passage import NoPassage
from bench.replay import ReplayFailed
from slimreel.paths import PROJECT_DIR

#: Clips are kept here from one run to the next; `make clean` removes them.
CLIPS = PROJECT_DIR / ".slimreel" / "bench"
#: The usual exit status of a program ended by Ctrl-C.
INTERRUPTED = 130


def run(bench: Callable[[list[str]], int]) -> int:
    """Run a benchmark; its exit status. Expected failures end in one line."""
    try:
        return bench(sys.argv[1:])
    except (NoPassage, ReplayFailed) as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; everything started here has been cleaned up.", file=sys.stderr)
        return INTERRUPTED


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder beside the demo's, gone afterwards."""
    CLIPS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=CLIPS.parent) as folder:
        yield Path(folder)


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The clip of that name, made when it is not there yet."""
    clip = CLIPS / name
    if not clip.exists():
        with scratch() as folder:
            print(f"Making {name} (kept for the next time) …", flush=True)
            make(folder / name)
            (folder / name).replace(clip)
    return clip


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table, aligned; all columns but the first hold figures."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [
        [line[0].ljust(widths[0]), *(f.rjust(w) for f, w in zip(line[1:], widths[1:], strict=True))]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (padded[0], rule, *padded[1:]))
