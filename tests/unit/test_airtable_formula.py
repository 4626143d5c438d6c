"""filterByFormula: what it keeps, and what it refuses."""

from __future__ import annotations

import pytest

from slimreel.local.airtable.errors import Refusal
from slimreel.local.airtable.formula import row_filter
from slimreel.local.airtable.store import Column, Record, Table

TYPES = {
    "Name": "singleLineText",
    "Size": "number",
    "Done": "checkbox",
    "When": "dateTime",
    "Tags": "multipleSelects",
    "we}ird": "singleLineText",
}
TABLE = Table(
    id="tbl1",
    base_id="app1",
    name="Videos",
    description=None,
    view_id="viw1",
    columns=tuple(
        Column(id=f"fld{number}", name=name, type=kind)
        for number, (name, kind) in enumerate(TYPES.items())
    ),
)
FULL = Record(
    id="rec1",
    created_time="2026-01-01T00:00:00.000Z",
    cells={
        "fld0": "a.mov",
        "fld1": 5,
        "fld2": True,
        "fld3": "2026-09-01T07:00:00.000Z",
        "fld4": ["hdr", "4k"],
        "fld5": "x",
    },
)
EMPTY = Record(id="rec2", created_time="2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize(
    "formula",
    [
        "{Name}='a.mov'",
        '{Name} = "a.mov"',
        "{fld0}='a.mov'",
        "Name='a.mov'",
        "{we\\}ird}='x'",
        "'a.mov'={Name}",
        "{Size}>4",
        "{Size}>=5",
        "{Size}",
        "{Done}",
        "{Done}=TRUE()",
        "{Done}=1",
        "NOT({Done}=FALSE())",
        "AND({Size}=5, {Done}, {Name}!='')",
        "OR({Size}=1, {Size}=5)",
        "({Size}=5)",
        "FIND('.mov', {Name})",
        "FIND('.mov', {Name})=2",
        "FIND('4k', {Tags})",
        "{Tags}='hdr, 4k'",
        "RECORD_ID()='rec1'",
        "record_id()='rec1'",
        "{When}=DATETIME_PARSE('2026-09-01T09:00:00+02:00')",
        "{When}>DATETIME_PARSE('2026-08-31')",
        "{Name}!=BLANK()",
    ],
)
def test_what_keeps_the_full_row_and_drops_the_empty_one(formula: str) -> None:
    keeps = row_filter(formula, TABLE)
    assert (keeps(FULL), keeps(EMPTY)) == (True, False)


@pytest.mark.parametrize(
    "formula", ["{Size}<=5.0", "{Size}>-1", "{Name}!='b'", "FIND('a', {Name}, 2)=0", "RECORD_ID()"]
)
def test_an_empty_cell_counts_as_zero_and_as_no_text(formula: str) -> None:
    keeps = row_filter(formula, TABLE)
    assert (keeps(FULL), keeps(EMPTY)) == (True, True)


@pytest.mark.parametrize(
    "formula",
    [
        "{Name}=''",
        "{Name}=BLANK()",
        "{Size}=0",
        "NOT({Done})",
        "{When}<DATETIME_PARSE('2026-08-31')",
        "NOT({Name})",
    ],
)
def test_what_keeps_the_empty_row_only(formula: str) -> None:
    keeps = row_filter(formula, TABLE)
    assert (keeps(FULL), keeps(EMPTY)) == (False, True)


@pytest.mark.parametrize(
    "formula", ["{Size}>'a'", "{Name}=1", "DATETIME_PARSE('never')", "FIND(1, {Name})", "0", "''"]
)
def test_an_error_or_nothing_drops_every_row(formula: str) -> None:
    keeps = row_filter(formula, TABLE)
    assert not keeps(FULL)


@pytest.mark.parametrize(
    "formula",
    [
        "{Nope}=1",
        "{Name",
        "{Name}=",
        "{Name}='a",
        "{Name}='a' 'b'",
        "AND()",
        "NOT(1, 2)",
        "LOWER({Name})='a'",
        "{Size}+1=6",
        "1=1=1",
        "FIND('a')",
        ")",
    ],
)
def test_what_is_not_a_known_formula_is_refused(formula: str) -> None:
    with pytest.raises(Refusal) as refusal:
        row_filter(formula, TABLE)
    assert refusal.value.kind == "INVALID_FILTER_BY_FORMULA"


def test_a_date_is_not_compared_with_text() -> None:
    with pytest.raises(Refusal) as refusal:
        row_filter("{When}='2026-09-01'", TABLE)(FULL)
    assert refusal.value.status == 501
