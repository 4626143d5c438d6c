"""The stand-in's webhooks, spoken to by pyairtable, and our own adapter over both."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from pyairtable import Api
from pyairtable.models import WebhookNotification

from chalicelib.adapters.airtable import Airtable as Rows
from chalicelib.adapters.airtable import AirtableRefused
from chalicelib.adapters.airtable_desk import Desk
from chalicelib.domain.row import FIELDS
from slimreel.airtable import setup
from slimreel.local.airtable import ALL_SCOPES, Airtable
from slimreel.local.faults import Fault, Faults
from tests.contract.airtable_server import TOKEN, Clock, running

LIMITED = "patLimited.0000"
WEEK_S = 7 * 86400


@dataclass
class Listener:
    """Where pings arrive."""

    url: str = ""
    pings: list[tuple[str, str]] = field(default_factory=list)  # header and body
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def next(self) -> tuple[str, str]:
        assert self.came.acquire(timeout=10)
        return self.pings[-1]


@pytest.fixture
def listener() -> Iterator[Listener]:
    heard = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.pings.append((self.headers["X-Airtable-Content-MAC"], body.decode()))
            self.send_response(204)
            self.end_headers()
            heard.came.release()

        def log_message(self, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    heard.url = f"http://127.0.0.1:{server.server_port}/ping"
    yield heard
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Office:
    """A base with our table, a row in it, and the clock it lives by."""

    stand_in: Airtable
    url: str
    clock: Clock
    faults: Faults
    base_id: str
    table_id: str
    row_id: str

    def api(self, token: str = TOKEN) -> Api:
        return Api(token, endpoint_url=self.url, retry_strategy=None, timeout=(3, 5))

    def desk(self, token: str = TOKEN) -> Desk:
        rows = Rows(token=token, api_url=self.url, base_id=self.base_id, table=self.table_id)
        return Desk(rows, now=lambda: datetime.fromtimestamp(self.clock.now_s, UTC))

    def choose(self, choice: str | None, by: str = "Mia") -> None:
        self.stand_in.edit(self.base_id, self.table_id, self.row_id, {"Review": choice}, by=by)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    faults, clock = Faults(), Clock()
    tokens = {TOKEN: ALL_SCOPES, LIMITED: ALL_SCOPES - {"webhook:manage"}}
    with running(tmp_path, faults, clock=clock, tokens=tokens) as (stand_in, url):
        base_id = stand_in.create_base("Studio")
        made = setup(token=TOKEN, base_id=base_id, api_url=url, sleep=lambda _: None)
        api = Api(TOKEN, endpoint_url=url, retry_strategy=None)
        record = api.table(base_id, made.table_id).create({"Job ID": "job1", "File Name": "a.mov"})
        office = Office(stand_in, url, clock, faults, base_id, made.table_id, record["id"])
        yield office


def spec(**filters: Any) -> Any:
    return {"options": {"filters": {"dataTypes": ["tableData"], **filters}}}


def test_a_ping_is_signed_and_says_nothing_but_that(office: Office, listener: Listener) -> None:
    base = office.api().base(office.base_id)
    made = base.add_webhook(listener.url, spec())
    office.choose("Approve")
    header, body = listener.next()
    told = WebhookNotification.from_request(body, header, made.mac_secret_base64)
    assert (told.base.id, told.webhook.id) == (office.base_id, made.id)
    assert set(json.loads(body)) == {"base", "webhook", "timestamp"}
    with pytest.raises(ValueError, match="MAC"):
        WebhookNotification.from_request(body, header, "d3Jvbmc=")
    (webhook,) = base.webhooks()
    (payload,) = webhook.payloads()
    assert payload.action_metadata is not None
    assert payload.action_metadata.source == "client"
    assert payload.action_metadata.source_metadata["user"]["name"] == "Mia"
    (changed,) = payload.changed_tables_by_id[office.table_id].changed_records_by_id.values()
    (value,) = changed.current.cell_values_by_field_id.values()
    assert value["name"] == "Approve" and value["id"].startswith("sel")


def test_only_what_is_watched_is_told(office: Office, listener: Listener) -> None:
    base = office.api().base(office.base_id)
    table = office.api().table(office.base_id, office.table_id)
    review = next(f.id for f in table.schema().fields if f.name == "Review")
    wanted = spec(
        recordChangeScope=office.table_id, watchDataInFieldIds=[review], fromSources=["client"]
    )
    base.add_webhook(listener.url, wanted)
    (webhook,) = base.webhooks()
    table.update(office.row_id, {"Review": "Approve"})  # by the API
    office.stand_in.edit(
        office.base_id, office.table_id, office.row_id, {"File Name": "b.mov"}, by="Mia"
    )
    assert list(webhook.payloads()) == []
    office.choose(None)
    (payload,) = webhook.payloads()
    (changed,) = payload.changed_tables_by_id[office.table_id].changed_records_by_id.values()
    assert changed.current.cell_values_by_field_id == {review: None}
    listener.next()
    assert len(listener.pings) == 1


def test_the_log_is_read_by_cursor_and_page(office: Office) -> None:
    base = office.api().base(office.base_id)
    base.add_webhook("https://studio.example/ping", spec())
    (webhook,) = base.webhooks()
    for number in range(60):
        office.choose("Approve" if number % 2 else "Redo better")
    assert [payload.cursor for payload in webhook.payloads()] == list(range(1, 61))
    assert [payload.cursor for payload in webhook.payloads(cursor=59)] == [59, 60]
    assert list(webhook.payloads(cursor=61)) == []


def test_a_webhook_ends_after_a_week_unless_it_is_renewed(office: Office) -> None:
    base = office.api().base(office.base_id)
    made = base.add_webhook("https://studio.example/ping", spec())
    assert made.expiration_time is not None
    (webhook,) = base.webhooks()
    office.clock.now_s += WEEK_S - 60
    webhook.extend_expiration()
    office.clock.now_s += WEEK_S - 60
    office.choose("Approve")
    assert len(list(webhook.payloads())) == 1  # which also lets it live on
    office.clock.now_s += WEEK_S + 60
    office.choose("Redo better")
    (webhook,) = base.webhooks()
    assert not webhook.is_hook_enabled
    with pytest.raises(requests.HTTPError):
        webhook.extend_expiration()
    webhook.delete()
    assert base.webhooks() == []


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://studio.example/ping", spec()),
        ("nonsense", spec()),
        ("https://studio.example/ping", {"options": {}}),
        ("https://studio.example/ping", spec(fromSources=["nobody"])),
    ],
)
def test_a_webhook_that_makes_no_sense_is_refused(office: Office, url: str, wanted: Any) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = requests.post(
        f"{office.url}/v0/bases/{office.base_id}/webhooks",
        headers=headers,
        json={"notificationUrl": url, "specification": wanted},
        timeout=5,
    )
    assert answer.status_code == 422


def test_the_eleventh_webhook_is_refused(office: Office) -> None:
    base = office.api().base(office.base_id)
    for _ in range(10):
        base.add_webhook("https://studio.example/ping", spec())
    with pytest.raises(requests.HTTPError, match="422"):
        base.add_webhook("https://studio.example/ping", spec())


def test_a_ping_that_is_lost_stays_in_the_log(office: Office, listener: Listener) -> None:
    base = office.api().base(office.base_id)
    base.add_webhook(listener.url, spec())
    office.faults.add(Fault(service="airtable", operation="notification", drop=True))
    office.choose("Approve")
    while office.faults.waiting():
        pass
    office.choose("Redo better")
    listener.next()
    (webhook,) = base.webhooks()
    assert len(list(webhook.payloads())) == 2 and len(listener.pings) == 1


# Our adapter


def test_wishes_are_rows_with_one_of_our_choices(office: Office) -> None:
    desk = office.desk()
    assert desk.wishes().found == ()
    office.choose("Redo better")
    (wish,) = desk.wishes().found
    assert (wish.row_id, wish.job_id, wish.choice, wish.by) == (
        office.row_id,
        "job1",
        "Redo better",
        None,
    )
    table = office.api().table(office.base_id, office.table_id)
    table.update(office.row_id, {"Review": "Maybe"}, typecast=True)  # an option of their own
    assert desk.wishes().found == ()


def test_our_webhook_tells_who_and_takes_the_place_of_its_like(
    office: Office, listener: Listener
) -> None:
    desk = office.desk()
    lost = desk.watch(listener.url)
    made = desk.watch(listener.url)
    (webhook,) = office.api().base(office.base_id).webhooks()
    assert webhook.id == made.webhook_id != lost.webhook_id
    office.choose("Approve", by="Noa")
    page = desk.changes(made.webhook_id, 1)
    assert (dict(page.names), page.cursor, page.there_is_more) == (
        {office.row_id: "Noa"},
        2,
        False,
    )
    assert desk.changes(made.webhook_id, page.cursor).names == {}
    webhook.disable_notifications()
    assert desk.renew(made.webhook_id) is not None
    assert office.api().base(office.base_id).webhooks()[0].are_notifications_enabled
    office.clock.now_s += WEEK_S + 60
    assert desk.renew(made.webhook_id) is None
    assert office.stand_in.too_fast == 0


def test_without_the_scope_there_is_no_webhook_but_wishes_are_read(office: Office) -> None:
    desk = office.desk(LIMITED)
    office.choose("Approve")
    with pytest.raises(AirtableRefused):
        desk.watch("https://studio.example/ping")
    assert len(desk.wishes().found) == 1
    report = setup(token=LIMITED, base_id=office.base_id, api_url=office.url, sleep=lambda _: None)
    assert any("webhook:manage" in task for task in report.by_hand)


def test_a_table_without_the_field_says_what_to_do(tmp_path: Path) -> None:
    with running(tmp_path) as (stand_in, url):
        base_id = stand_in.create_base("Old")
        base = Api(TOKEN, endpoint_url=url, retry_strategy=None).base(base_id)
        old = [f.as_airtable() for f in FIELDS if not f.name.startswith("Review")]
        table = base.create_table("Videos", old)
        rows = Rows(token=TOKEN, api_url=url, base_id=base_id, table=table.id)
        desk = Desk(rows, now=lambda: datetime.now(UTC))
        with pytest.raises(AirtableRefused):
            desk.wishes()
        with pytest.raises(AirtableRefused, match="airtable setup"):
            desk.watch("https://studio.example/ping")
