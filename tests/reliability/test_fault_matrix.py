"""Each cell of docs/reliability.md, run; and no outside call without a row of its own.

When one of these fails because the code does something else now, and rightly: `make reliability`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability import calls, document
from tests.reliability.matrix import COLUMNS, Matrix, recorded
from tests.reliability.rig import CALLS, SERVICES, rigged

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = document.read()


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with rigged(tmp_path_factory.mktemp("rig")) as rig:
        matrix = Matrix(rig)
        assert matrix.rows, "the stories make no call"
        yield matrix


@pytest.mark.parametrize("cell", DOCUMENTED)
def test_cell(matrix: Matrix, cell: str) -> None:
    """What the document says is what happens, and every promise is kept."""
    row, column = matrix.at(cell)
    assert matrix.cell(row, column) == DOCUMENTED[cell]


def test_every_recorded_call_has_a_row_and_every_row_was_recorded(matrix: Matrix) -> None:
    made = {f"{row.id}-{column}" for row in matrix.rows for column in COLUMNS}
    assert made == set(DOCUMENTED), "run `make reliability`"


def test_the_document_is_what_the_tests_say(matrix: Matrix) -> None:
    assert document.written(matrix) == document.DOCUMENT.read_text(encoding="utf-8")
    # Now every cell was run, so all calls that functions make were seen.
    committed = calls.RECORD.read_text(encoding="utf-8")
    assert document.recorded_calls() == committed, "run `make reliability`"


def used_calls() -> set[str]:
    """Every `adapter.method` that the code calls, read from its source."""
    found = set()
    for path in (ROOT / "chalicelib").rglob("*.py"):
        if path.parent.name in ("adapters", "domain", "mp4"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name.strip("_") in SERVICES and node.func.attr != "token_urlsafe":  # Python's own
                found.add(f"{name.strip('_')}.{node.func.attr}")
    return found


def test_no_call_in_the_source_is_missing_from_the_stories() -> None:
    assert used_calls() - {call for _, call in recorded()} == set()


def test_every_call_of_the_stories_can_be_made_on_the_rig() -> None:
    assert {call for _, call in recorded()} <= set(CALLS)
