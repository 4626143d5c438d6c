"""Token, base, table and fields; and how long the plan will last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from chalicelib.domain.job_list import Asked
from chalicelib.domain.text import parse_iso
from slimreel.airtable import SetupFailed, look
from slimreel.doctor import Finding, note, ok, wrong
from slimreel.doctor.site import AIRTABLE_TOKEN, Site

TOKEN_PAGE = "https://airtable.com/create/tokens"
#: Measured on the stand-in cloud: a film of 2 s took 7 calls, one of 25 s, which is searched by
#: samples, 8. Videos that go through at the same time share calls.
CALLS_PER_VIDEO = 8
_WINDOW = timedelta(days=7)
_SOON_DAYS = 30
#: Calls a month by the rows of a plan: they go together.
#: Source: https://support.airtable.com/docs/airtable-plans
_CALLS_A_MONTH = {1000: 1000, 50_000: 100_000}


def base(site: Site) -> Iterator[Finding]:
    again = f"slimreel setup --stage {site.stage}"
    base_id = site.setting("AirtableBaseId")
    if not base_id:
        yield note("airtable", "AirtableBaseId is empty: no rows are kept.", again)
        return
    token = site.airtable_token
    if token is None:
        yield wrong(
            "airtable",
            f"No token is stored in {site.secret_path(AIRTABLE_TOKEN)}.",
            f"Make one at {TOKEN_PAGE}, then {again}",
        )
        return
    try:
        seen = look(
            token=token,
            base_id=base_id,
            table=site.setting("AirtableTable"),
            api_url=site.setting("AirtableApiUrl"),
        )
    except SetupFailed as problem:
        yield wrong("airtable", f"{problem}", again)
        return
    if seen.table_id is None:
        yield wrong("airtable", f"The base has no table {site.setting('AirtableTable')}.", again)
    elif seen.missing_fields:
        fields = ", ".join(seen.missing_fields)
        yield wrong("airtable", f"The table lacks {fields}: rows are refused.", again)
    elif seen.by_hand:
        yield wrong("airtable", seen.by_hand[0], "Do that in Airtable, and look again.")
    else:
        yield ok("airtable", f"The table {seen.table_name} has every field, and may be written.")


def room(site: Site) -> Iterator[Finding]:
    """Calls a day, and days until the base is full, at the pace of the last week."""
    limit = int(float(site.setting("AirtableRowLimit") or 0))
    if not site.setting("AirtableBaseId") or not limit:
        return
    now, recent, total = datetime.now(UTC), 0, 0
    place = None
    while True:
        jobs, place = site.catalogue.list_jobs(Asked(), limit=1000, after=place)
        total += len(jobs)
        recent += sum(parse_iso(job.created_at) > now - _WINDOW for job in jobs)
        if place is None:
            break
    a_day = recent / _WINDOW.days
    calls, left = a_day * CALLS_PER_VIDEO, max(limit - total, 0)
    days = left / a_day if a_day else None
    allowed = _CALLS_A_MONTH.get(limit)
    said = (
        f"{a_day:.1f} videos a day: about {calls:.0f} calls a day, {total} of {limit} rows used"
        + (f", full in {days:.0f} days." if days is not None else ".")
    )
    bigger = (
        "Move old rows to another base, or take a bigger plan and deploy with --parameter "
        "AirtableRowLimit=…"
    )
    if not left or (days is not None and days < _SOON_DAYS):
        yield wrong("airtable-room", said, bigger)
    elif allowed is not None and calls * 30 > allowed:
        yield wrong("airtable-room", f"{said} The plan allows {allowed} calls a month.", bigger)
    else:
        yield ok("airtable-room", said)
