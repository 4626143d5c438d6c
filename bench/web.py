"""The web app's questions with ten thousand jobs: how long each takes, and what it reads.

The real routes, handlers and adapters, in this process, on moto's DynamoDB. moto goes through all
items of an index in Python, so the times say more about moto than about DynamoDB. The read units
are DynamoDB's own, worked out from how many items a call looked at and how large they are; they do
not depend on the machine. It fails where a question reads more than its share.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import os
import random
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.machine import machine
from chalicelib.domain.codec import to_plain
from chalicelib.domain.job import Job, Status
from chalicelib.domain.job_list import name_words, uploader_key
from chalicelib.domain.tally import Amounts, Tally, tally
from slimreel.paths import PROJECT_DIR as ROOT

#: Half a unit reads 4 KB where the newest write may be missing, as in every index.
#: Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
UNIT_BYTES = 4096
PEOPLE = tuple(f"person{number}@lumen.studio" for number in range(12))
OPEN, CLIENT, TABLE = 40, "pages", "jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One address, and the read units it may take."""

    name: str
    path: str
    most_units: float


def questions(day: str) -> tuple[Question, ...]:
    jobs = "/web/jobs"
    return (
        Question(name="list, newest", path=jobs, most_units=5),
        Question(name="list, next page", path=f"{jobs}?limit=100", most_units=10),
        Question(name="list, failed", path=f"{jobs}?status=Failed", most_units=5),
        Question(name="list, one uploader", path=f"{jobs}?uploader={PEOPLE[3]}", most_units=5),
        Question(
            name="list, one workflow on one day",
            path=f"{jobs}?workflow=archive&since={day}&until={day}",
            most_units=5,
        ),
        Question(name="list, most saved", path=f"{jobs}?sort=most_saved", most_units=5),
        Question(name="search, a rare name", path=f"{jobs}?search=take+5077", most_units=10),
        Question(name="search, a common word", path=f"{jobs}?search=scene", most_units=60),
        Question(name="graph, what is under way", path="/web/now", most_units=5),
        Question(name="graph, its shape", path="/web/workflows", most_units=0),
        Question(name="savings, 90 days", path="/web/savings?days=90", most_units=400),
    )


def some_jobs(count: int, now: datetime) -> Iterator[Job]:
    """Jobs as a studio has them, over the last 90 days."""
    chance = random.Random(1)  # the same each time
    for number in range(count):
        at = now - timedelta(seconds=90 * 86400 * (count - number) / count)
        text = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        status = Status.PROCESSING if number >= count - OPEN else _ending(chance)
        size = int(chance.lognormvariate(20, 1))
        published = None
        if status in (Status.COMPLETED, Status.KEPT_ORIGINAL):
            kept = status is Status.KEPT_ORIGINAL
            published = size if kept else int(size * chance.uniform(0.05, 0.6))
        yield Job(
            job_id=f"{number:020x}",
            workflow="archive" if number % 7 == 0 else "compress",
            run=1,
            status=status,
            file_id=f"file-{number}",
            folder_id="folder",
            file_name=f"Scene {number % 90} take {number}.mov",
            mime_type="video/quicktime",
            version_key=f"md5:{number}",
            size_bytes=size,
            uploader=PEOPLE[number % len(PEOPLE)],
            created_at=text,
            updated_at=text,
            completed_at=None if status.is_open else text,
            step="encode" if status.is_open else "announce",
            published_size_bytes=published,
            published_run=None if published is None else 1,
            saved_bytes=None if published is None else size - published,
            cost_usd=0.05,
            reason="87 % smaller; all checks passed." if published else None,
            # What a record holds beside what lists show: plan, facts, measurement, timeline.
            error="x" * 6000,
        )


def _ending(chance: random.Random) -> Status:
    endings = (Status.COMPLETED, Status.KEPT_ORIGINAL, Status.FAILED, Status.CANCELLED)
    return chance.choices(endings, (85, 8, 5, 2))[0]


def _items(jobs: list[Job]) -> Iterator[dict[str, Any]]:
    for job in jobs:
        marks = {"open": "1"} if job.status.is_open else {}
        uploader = uploader_key(job.uploader)
        about = {"pk": f"job#{job.job_id}", "sk": "job", "listed": "1", "by_uploader": uploader}
        yield {**to_plain(job), **about, **marks}
        words = name_words(job.file_name)
        for word in words:
            yield {
                "pk": f"word#{word[:2]}",
                "sk": f"{word}#{job.created_at}#{job.job_id}",
                "name": " ".join(words),
                "job_id": job.job_id,
            }


def _tallies(jobs: list[Job]) -> Iterator[dict[str, Any]]:
    sums: dict[str, tuple[Tally, int]] = {}
    for job in jobs:
        if job.status.is_open:
            continue
        one = tally(job)
        before, runs = sums.get(one.kind.key, (Tally(kind=one.kind, amounts=Amounts()), 0))
        more = Amounts(
            jobs=before.amounts.jobs + 1,
            source_bytes=before.amounts.source_bytes + one.amounts.source_bytes,
            published_bytes=before.amounts.published_bytes + one.amounts.published_bytes,
            cost_micro_usd=before.amounts.cost_micro_usd + one.amounts.cost_micro_usd,
        )
        sums[one.kind.key] = Tally(kind=one.kind, amounts=more), runs + 1
    for key, (one, runs) in sums.items():
        marks = {f"{number:020x}-1" for number in range(runs)}
        kind, amounts = to_plain(one.kind), to_plain(one.amounts)
        yield {"pk": "tallies", "sk": key, **kind, **amounts, "counted": marks}


def _stored(value: Any) -> dict[str, Any]:
    """A value in DynamoDB's JSON."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, set):
        return {"SS": sorted(value)}
    if isinstance(value, list):
        return {"L": [_stored(one) for one in value]}
    return {"S": str(value)}


def put(items: list[dict[str, Any]]) -> None:
    """Straight into moto's table: through boto3 it would take minutes."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.dynamodb.models import dynamodb_backends

    table = dynamodb_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].tables[TABLE]
    for item in items:
        table.put_item({name: _stored(value) for name, value in item.items() if value is not None})


@dataclass
class Meter:
    """Adds up the units that calls read.

    Attributes:
        item_bytes: how large an item is on average, by index; the table itself by "".
    """

    item_bytes: Mapping[str, float]
    units: float = 0.0
    asked: dict[str, Any] = field(default_factory=dict)

    def before(self, params: Mapping[str, Any], **_: Any) -> None:
        self.asked = json.loads(params["body"])

    def after(self, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
        if model.name == "Query":
            bytes_each = self.item_bytes[self._kind()]
            looked_at = parsed["ScannedCount"] * bytes_each
            self.units += math.ceil(looked_at / UNIT_BYTES) / 2
        elif model.name == "BatchGetItem":
            keys = sum(len(about["Keys"]) for about in self.asked["RequestItems"].values())
            self.units += keys * math.ceil(self.item_bytes["job"] / UNIT_BYTES) / 2
        elif model.name == "GetItem":
            self.units += math.ceil(self.item_bytes["job"] / UNIT_BYTES)

    def _kind(self) -> str:
        if "IndexName" in self.asked:
            return str(self.asked["IndexName"])
        key = self.asked["ExpressionAttributeValues"][":pk"]["S"]
        return "word" if key.startswith("word#") else "tally"


def average_bytes(items: list[dict[str, Any]], indexes: list[dict[str, Any]]) -> dict[str, float]:
    """How large an item is, in the table by kind and in each index: names and values as text."""

    def weighed(those: list[dict[str, Any]]) -> float:
        return sum(len(json.dumps(one, default=str)) for one in those) / max(1, len(those))

    kinds = {"job": "job#", "word": "word#", "tally": "tallies"}
    found = {
        kind: weighed([one for one in items if one["pk"].startswith(begins)])
        for kind, begins in kinds.items()
    }
    for index in indexes:
        keys = [part["AttributeName"] for part in index["KeySchema"]]
        carried = {*keys, "pk", "sk", *index["Projection"].get("NonKeyAttributes", ())}
        there = [one for one in items if all(key in one for key in keys)]
        cut = [{name: one[name] for name in one if name in carried} for one in there]
        found[index["IndexName"]] = weighed(cut)
    return found


def token() -> str:
    claims = {
        "aud": CLIENT,
        "token_use": "id",
        "email": "you@example.com",
        "cognito:username": "u",
        "cognito:groups": "viewer",
    }
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.x"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.web", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=20, help="how often each is asked")
    options = parser.parse_args(argv)
    print(machine(), flush=True)
    warnings.simplefilter("ignore", UserWarning)  # chalice.test verifies no tokens, and says so
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "JOBS_TABLE": TABLE,
        "SIGN_IN_CLIENT_ID": CLIENT,
    }
    return measure(options.jobs, options.times)


def measure(count: int, times: int) -> int:
    import boto3
    from chalice.test import Client
    from moto import mock_aws

    from app import app
    from chalicelib.api import jobs as jobs_api
    from chalicelib.api import web
    from chalicelib.config import settings
    from chalicelib.services import Services
    from slimreel.template import cloudformation

    properties = cloudformation(ROOT, "local")["Resources"]["JobsTable"]["Properties"]
    wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    now = datetime.now(UTC)
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName=TABLE, **{name: properties[name] for name in wanted}
        )
        made = list(some_jobs(count, now))
        items = [*_items(made), *_tallies(made)]
        put(items)
        print(f"{count} jobs, {len(items)} items", flush=True)
        reach = Services(settings(os.environ))
        for module in (jobs_api, web):
            vars(module)["services"] = lambda: reach
        vars(web)["REMEMBERED_S"] = -1.0  # each look is one
        meter = Meter(average_bytes(items, properties["GlobalSecondaryIndexes"]))
        events = reach.catalogue._table.meta.client.meta.events
        events.register("before-call.dynamodb", meter.before)
        events.register("after-call.dynamodb", meter.after)
        with Client(app, project_dir=str(ROOT)) as client:
            return report(client, meter, times, f"{now - timedelta(days=30):%Y-%m-%d}")


def report(client: Any, meter: Meter, times: int, day: str) -> int:
    print(f"{'':32} {'p50 ms':>8} {'p95 ms':>8} {'read units':>11} {'kB':>7}")
    too_much = 0
    for question in questions(day):
        took, units, size = [], 0.0, 0
        for _ in range(times):
            meter.units, begun = 0.0, time.perf_counter()
            answer = client.http.get(question.path, headers={"authorization": token()})
            took.append(1000 * (time.perf_counter() - begun))
            if answer.status_code != 200:
                raise RuntimeError(f"{question.path}: {answer.status_code} {answer.body[:300]}")
            units, size = max(units, meter.units), len(answer.body)
        took.sort()
        p50, p95 = took[len(took) // 2], took[min(len(took) - 1, int(0.95 * len(took)))]
        mark = "" if units <= question.most_units else f"  MORE THAN {question.most_units:g}"
        too_much += bool(mark)
        print(
            f"{question.name:32} {p50:8.0f} {p95:8.0f} {units:11.1f} {size / 1000:7.1f}{mark}",
            flush=True,
        )
    print(f"web: {too_much} of {len(questions(day))} questions read more than their share")
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
