"""docs/reliability.md and calls.json: written from the matrix by `make reliability`, read back."""

from __future__ import annotations

import logging
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.reliability import calls
from tests.reliability.matrix import COLUMNS, DOCUMENT, MADE, Matrix, Row
from tests.reliability.rare import RARE
from tests.reliability.rig import rigged
from tests.reliability.stage import Stage

TEST = "../tests/reliability/test_fault_matrix.py"
#: What each function is, in the order of a job's life.
FUNCTIONS = {
    "drive_notification": "the webhook that Drive's push comes to",
    "drive_changed": "reads the change log; fed by the queue of hints",
    "register": "first step",
    "fetch": "step: the copy from Drive",
    "inspect": "step: what the film is made of",
    "plan": "step: what to do with it",
    "encode": "step: submits to MediaConvert and waits",
    "choose": "step: reads what the search found",
    "encode_changed": "on MediaConvert's events",
    "restore": "step: metadata",
    "measure": "step: compares result and source",
    "verify": "step: the verdict",
    "publish": "step: the copy to the compressed bucket",
    "write_back": "step: the result into Google Drive, where the workflow wants it there",
    "announce": "step: status, row, email",
    "fail": "step: closes a job that failed",
    "execution_ended": "on executions that failed, timed out or were aborted",
    "rows_changed": "writes Airtable rows; fed by the queue of dirty rows",
    "table_changed": "the webhook that Airtable's pings come to",
    "sweep_drive": "schedule, every 15 min",
    "renew_channel": "schedule, every 6 h",
    "reconcile_jobs": "schedule, every 5 min",
    "requeue_rows": "schedule, every 10 min",
    "video": "the permanent link to a result",
}
_CELL = re.compile(rf"\[(?P<text>[^\]]+)\]\({re.escape(TEST)}#(?P<id>[^)]+)\)")

INTRODUCTION = Path(__file__).with_name("introduction.md")


def written(matrix: Matrix) -> str:
    """The whole document; every cell is run for it."""
    by_function: dict[str, list[Row]] = {}
    for row in matrix.rows:
        by_function.setdefault(row.function, []).append(row)
    order = [*FUNCTIONS, *sorted(set(by_function) - set(FUNCTIONS))]
    sections = [_section(name, by_function[name], matrix) for name in order if name in by_function]
    return "\n".join([INTRODUCTION.read_text(encoding="utf-8"), *sections])


def _section(function: str, rows: list[Row], matrix: Matrix) -> str:
    about = FUNCTIONS.get(function, "a person's request over HTTP")
    lines = [
        f"### `{function}`: {about}",
        "",
        f"| call | {' | '.join(COLUMNS.values())} |",
        f"|---|{'---|' * len(COLUMNS)}",
    ]
    for row in sorted(rows, key=lambda row: (row.operation, row.call)):
        service, operation = row.operation
        cells = (f"[{_cell(matrix, row, c)}]({TEST}#{row.id}-{c})" for c in COLUMNS)
        lines.append(f"| {service}.{operation} (`{row.call}`) | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cell(matrix: Matrix, row: Row, column: str) -> str:
    try:
        return matrix.cell(row, column)
    except AssertionError as problem:
        raise AssertionError(f"{row.id}-{column}: {problem}") from problem


def recorded_calls() -> str:
    """What calls.json says, once every cell was run in this process."""
    import app

    for story in RARE:
        with pytest.MonkeyPatch.context() as patch:
            stage = Stage(patch)
            story(stage)
            MADE.update(stage.made)
    handlers = [*app.app.event_sources, *app.app.pure_lambda_functions]
    return calls.told(MADE, [handler.name for handler in handlers])


def read(document: Path = DOCUMENT) -> Mapping[str, str]:
    """What each cell of the committed document says, by test id."""
    text = document.read_text(encoding="utf-8") if document.exists() else ""
    return {cell["id"]: cell["text"] for cell in _CELL.finditer(text)}


def main() -> None:
    """Write the document anew."""
    logging.disable(logging.CRITICAL)  # faults by the thousand
    with (
        tempfile.TemporaryDirectory(prefix="slimreel-") as folder,
        rigged(Path(folder)) as rig,
    ):
        text = written(Matrix(rig))
    DOCUMENT.write_text(text, encoding="utf-8")
    calls.RECORD.write_text(recorded_calls(), encoding="utf-8")
    print(f"{DOCUMENT}: {len(read())} cells", file=sys.stderr)


if __name__ == "__main__":
    main()
