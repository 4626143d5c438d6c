"""The grid page: what is in a table, for a person."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader
from werkzeug import Response

from slimreel.local.airtable.store import Column, Record, Store, Table

MAX_ROWS = 500
"""Rows on the page, newest first: more would be slow to draw."""

NUMERIC = frozenset(["number", "percent", "currency", "duration", "rating"])

SCRIPT = Path(__file__).with_name("grid.js").read_text("utf-8")
_SCRIPT_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
# Cells hold file names from strangers: no script on this page may run but the one of that content.
_POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_SCRIPT_HASH}'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pill:
    """A select option; `hue` is the first part of Airtable's colour name."""

    name: str
    hue: str
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell, ready to be drawn: text, a link, or pills, one of which may be chosen."""

    text: str = ""
    href: str | None = None
    pills: tuple[Pill, ...] = ()
    kind: str = "text"  # text, long, number, time
    field_id: str = ""
    field_name: str = ""
    options: tuple[str, ...] = ()  # of a select, which can be chosen from


def render(
    store: Store,
    *,
    base_id: str | None,
    table_id: str | None,
    calls: int,
    monthly_calls: int | None,
) -> Response:
    """The page for one table. A base or table that is not there is the first one."""
    bases = store.bases()
    base = next((base for base in bases if base[0] == base_id), bases[0] if bases else None)
    tables = store.tables(base[0]) if base else []
    table = next(
        (table for table in tables if table_id in (table.id, table.name)),
        tables[0] if tables else None,
    )
    records = store.newest_records(table.id, MAX_ROWS) if table else []
    html = TEMPLATES.get_template("grid.html").render(
        bases=bases,
        base=base,
        tables=tables,
        table=table,
        rows=[(record, _cells(table, record)) for record in records] if table else [],
        row_count=store.count_in_table(table.id) if table else 0,
        summary=_summary(store, table) if table else (),
        numeric=NUMERIC,
        calls=calls,
        monthly_calls=monthly_calls,
    )
    # Ours, and put in last: in what was escaped, nobody else can have written this.
    html = html.replace("<!-- script -->", f"<script>{SCRIPT}</script>")
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


def _cells(table: Table, record: Record) -> list[Cell]:
    return [cell(column, record.cells.get(column.id)) for column in table.columns]


def cell(column: Column, value: Any) -> Cell:
    """How a value looks."""
    if column.type == "singleSelect":
        return Cell(
            pills=(_pill(column, value),) if value is not None else (),
            field_id=column.id,
            field_name=column.name,
            options=tuple(choice["name"] for choice in (column.options or {})["choices"]),
        )
    if value is None:
        return Cell(kind="number" if column.type in NUMERIC else "text")
    if column.type == "multipleSelects":
        return Cell(pills=tuple(_pill(column, name) for name in value))
    if column.type in NUMERIC:
        return Cell(text=_number(column, value), kind="number")
    if column.type == "url":
        return Cell(text=_short_url(value), href=_safe_href(value))
    if column.type == "dateTime":
        return Cell(text=_time(value), kind="time")
    if column.type == "checkbox":
        return Cell(text="✓")
    long = column.type in ("multilineText", "richText")
    return Cell(text=value, kind="long" if long else "text")


def _number(column: Column, value: float) -> str:
    options = column.options or {}
    precision = options.get("precision", 0)
    if column.type == "percent":
        return f"{value * 100:,.{precision}f} %"
    if column.type == "currency":
        return f"{options['symbol']}{value:,.{precision}f}"
    if column.type == "duration":
        minutes, seconds = divmod(round(value), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return f"{value:,.{precision}f}"


def _time(value: str) -> str:
    return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M:%S}"


def _safe_href(url: str) -> str | None:
    """The URL if it is one for the web: a javascript: link must not become clickable."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    return url.strip() if parts.scheme in ("http", "https") and parts.netloc else None


def _short_url(url: str) -> str:
    return url.strip().removeprefix("https://").removeprefix("http://")


def _pill(column: Column, name: str, count: int = 0) -> Pill:
    choices: Sequence[dict[str, Any]] = (column.options or {}).get("choices", [])
    colour = next((choice["color"] for choice in choices if choice["name"] == name), "grayLight2")
    hue = colour.removesuffix("Bright").removesuffix("Light1").removesuffix("Light2")
    return Pill(name=name, hue=hue.removesuffix("Dark1"), count=count)


def _summary(store: Store, table: Table) -> tuple[Pill, ...]:
    """How many rows have each value of the table's first select field, over all rows."""
    column = next((column for column in table.columns if column.type == "singleSelect"), None)
    if column is None:
        return ()
    counts = Counter(
        record.cells[column.id] for record in store.records(table.id) if column.id in record.cells
    )
    names = [choice["name"] for choice in (column.options or {})["choices"]]
    return tuple(_pill(column, name, counts[name]) for name in names if counts[name])
