"""What people look through: jobs listed, sorted and found by name, and figures by day.

Everything is read from an index of the jobs table or from small items kept for it; nothing scans.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chalicelib.adapters.records import plain
from chalicelib.domain.codec import from_plain, to_plain
from chalicelib.domain.job import Job
from chalicelib.domain.job_list import (
    Asked,
    JobSummary,
    Place,
    Sort,
    UnderWay,
    name_words,
    rarest_first,
    uploader_key,
    words,
)
from chalicelib.domain.tally import Amounts, Kind, Tally

TIME, STATUS, WORKFLOW, UPLOADER = (
    "jobs-by-time",
    "jobs-by-status",
    "jobs-by-workflow",
    "jobs-by-uploader",
)
SIZE, SAVING, UNDER_WAY = "jobs-by-size", "jobs-by-saving", "jobs-under-way"
#: A page is what so many queries of at most 1 MB gave, although fewer than wanted.
ROUNDS = 3
#: What BatchGetItem takes.
BATCH = 100
_SUMMARY = (
    *("job_id", "run", "workflow", "status", "created_at", "file_name", "size_bytes", "uploader"),
    *("completed_at", "published_size_bytes", "cost_usd", "reason", "waiting", "ended_in"),
)
_TALLIES = "tallies"


class Catalogue:
    """Thin over a boto3 table."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def list_jobs(
        self, asked: Asked, *, limit: int, after: Place | None = None
    ) -> tuple[list[JobSummary], Place | None]:
        """A page of jobs, and where the next begins; None after the last.

        A page may hold fewer than `limit` although more follow, where few are of the kind asked
        for.
        """
        index, name, value = _index(asked)
        ranged = _RANGES.get(index, "created_at")
        query = _query(index, name, value, asked, ranged)
        if after is not None:
            key = {"pk": f"job#{after.job_id}", "sk": "job", name: value, ranged: after.at}
            query["ExclusiveStartKey"] = key
        if "FilterExpression" not in query and asked.min_saved_percent is None:
            query["Limit"] = limit + 1
        found: list[tuple[JobSummary, Place]] = []
        last = None
        for _ in range(ROUNDS):
            page = self._table.query(**query)
            for item in map(plain, page["Items"]):
                summary = from_plain(JobSummary, item)
                if asked.fits(summary):
                    found.append((summary, _place(item, ranged)))
            last = page.get("LastEvaluatedKey")
            if last is None or len(found) > limit:
                break
            query["ExclusiveStartKey"] = last
        jobs = [summary for summary, _ in found[:limit]]
        if len(found) > limit:
            return jobs, found[limit - 1][1]
        return jobs, _place(plain(last), ranged) if last else None

    def search(
        self, text: str, asked: Asked, *, limit: int, after: str | None = None
    ) -> tuple[list[JobSummary], str | None]:
        """Jobs whose file's name has words that begin with those of `text`; newest first for each
        word that was found.

        Args:
            after: what the page before this gave.
        """
        wanted = rarest_first(words(text))
        if not wanted:
            return [], None
        query: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :word)",
            "ExpressionAttributeValues": {":pk": _shelf(wanted[0]), ":word": wanted[0]},
            "ScanIndexForward": False,
            "Limit": limit if len(wanted) == 1 else 10 * limit,
        }
        if after is not None:
            query["ExclusiveStartKey"] = {"pk": _shelf(wanted[0]), "sk": after}
        ids: dict[str, None] = {}
        last = None
        for _ in range(ROUNDS):
            page = self._table.query(**query)
            ids |= dict.fromkeys(
                str(item["job_id"])
                for item in page["Items"]
                if all(_has_word(item["name"], word) for word in wanted[1:])
            )
            last = page.get("LastEvaluatedKey")
            if last is None or ids:
                break
            query["ExclusiveStartKey"] = last
        jobs = [job for job in self._summaries(list(ids)) if asked.fits(job)]
        return jobs, str(last["sk"]) if last else None

    def add_name(self, job: Job) -> None:
        """Let a job be found by the words of its file's name. Safe to repeat."""
        name = " ".join(name_words(job.file_name))
        items = [
            {
                "pk": _shelf(word),
                "sk": f"{word}#{job.created_at}#{job.job_id}",
                "name": name,
                "job_id": job.job_id,
            }
            for word in name_words(job.file_name)
        ]
        requests = {self._table.name: [{"PutRequest": {"Item": item}} for item in items]}
        while items and requests:
            answer = self._table.meta.client.batch_write_item(RequestItems=requests)
            requests = answer.get("UnprocessedItems") or {}

    def under_way(self) -> list[UnderWay]:
        """Every open job, oldest first."""
        query: dict[str, Any] = {
            "IndexName": UNDER_WAY,
            "KeyConditionExpression": "#o = :one",
            "ExpressionAttributeNames": {"#o": "open"},
            "ExpressionAttributeValues": {":one": "1"},
        }
        found = [from_plain(UnderWay, item) for item in self._pages(query)]
        return [job for job in found if job.status.is_open]

    def count(self, tally: Tally, mark: str) -> None:
        """Add a run to the figures of its day, once.

        Args:
            mark: names the run.
        """
        kind, amounts = to_plain(tally.kind), to_plain(tally.amounts)
        names = {f"#{name}": name for name in (*kind, *amounts, "counted")}
        values = {f":{name}": value for name, value in (kind | amounts).items()}
        sets = ", ".join(f"#{name} = :{name}" for name in kind)
        adds = ", ".join(f"#{name} :{name}" for name in amounts)
        try:
            self._table.update_item(
                Key={"pk": _TALLIES, "sk": tally.kind.key},
                UpdateExpression=f"SET {sets} ADD {adds}, #counted :marks",
                ConditionExpression="NOT contains(#counted, :mark)",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={**values, ":marks": {mark}, ":mark": mark},
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return  # it was counted before

    def tallies(self, since: str, until: str) -> list[Tally]:
        """The figures of these days of UTC, both included."""
        query = {
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :since AND :until",
            "ExpressionAttributeValues": {
                ":pk": _TALLIES,
                ":since": since,
                ":until": until + "#~",
            },
            "ProjectionExpression": ", ".join(f"#{name}" for name in _TALLY),
            "ExpressionAttributeNames": {f"#{name}": name for name in _TALLY},
        }
        return [
            Tally(kind=from_plain(Kind, item), amounts=from_plain(Amounts, item))
            for item in self._pages(query)
        ]

    def _pages(self, query: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
        while True:
            page = self._table.query(**query)
            yield from map(plain, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _summaries(self, job_ids: list[str]) -> Iterable[JobSummary]:
        """In the order of the ids; those that are gone are left out."""
        found: dict[str, JobSummary] = {}
        for at in range(0, len(job_ids), BATCH):
            keys = [{"pk": f"job#{job_id}", "sk": "job"} for job_id in job_ids[at : at + BATCH]]
            wanted: dict[str, Any] = {
                self._table.name: {
                    "Keys": keys,
                    "ProjectionExpression": ", ".join(f"#{name}" for name in _SUMMARY),
                    "ExpressionAttributeNames": {f"#{name}": name for name in _SUMMARY},
                }
            }
            while wanted:
                answer = self._table.meta.client.batch_get_item(RequestItems=wanted)
                for item in answer["Responses"].get(self._table.name, []):
                    found[str(item["job_id"])] = from_plain(JobSummary, plain(item))
                wanted = answer.get("UnprocessedKeys") or {}
        return [found[job_id] for job_id in job_ids if job_id in found]


def index_of(asked: Asked) -> str:
    """The name of the index that a list is read from."""
    return _index(asked)[0]


_RANGES = {SIZE: "size_bytes", SAVING: "saved_bytes"}
_TALLY = (
    *("day", "workflow", "preset", "uploader", "status", "cause"),
    *("jobs", "source_bytes", "published_bytes", "cost_micro_usd"),
)


def _index(asked: Asked) -> tuple[str, str, str]:
    """The index that holds the fewest others than those asked for, and its key."""
    if asked.sort is Sort.LARGEST:
        return SIZE, "listed", "1"
    if asked.sort is Sort.MOST_SAVED:
        return SAVING, "listed", "1"
    if uploader := uploader_key(asked.uploader):
        return UPLOADER, "by_uploader", uploader
    if asked.status is not None:
        return STATUS, "status", asked.status.value
    if asked.workflow is not None:
        return WORKFLOW, "workflow", asked.workflow
    return TIME, "listed", "1"


def _query(index: str, name: str, value: str, asked: Asked, ranged: str) -> dict[str, Any]:
    names, values = {"#k": name}, {":k": value}
    condition, filters = "#k = :k", []
    since, until = asked.since or "0", (asked.until or "9") + "~"
    if ranged == "created_at" and (asked.since or asked.until):
        condition += " AND #c BETWEEN :since AND :until"
        names["#c"] = "created_at"
        values |= {":since": since, ":until": until}
    for attribute, wanted in (("status", asked.status), ("workflow", asked.workflow)):
        if wanted is not None and attribute != name:
            filters.append(f"#{attribute} = :{attribute}")
            names[f"#{attribute}"] = attribute
            values[f":{attribute}"] = str(wanted)
    if ranged != "created_at" and (asked.since or asked.until or asked.uploader):
        # The rest is looked at one by one; the condition only says that a page may be thin.
        filters.append("#c BETWEEN :since AND :until")
        names["#c"] = "created_at"
        values |= {":since": since, ":until": until}
    query: dict[str, Any] = {
        "IndexName": index,
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ScanIndexForward": asked.sort is Sort.OLDEST,
    }
    if filters:
        query["FilterExpression"] = " AND ".join(filters)
    return query


def _place(item: Mapping[str, Any], ranged: str) -> Place:
    job_id = str(item.get("job_id") or str(item["pk"]).removeprefix("job#"))
    at = item[ranged]
    return Place(at=int(at) if ranged in _RANGES.values() else str(at), job_id=job_id)


def _shelf(word: str) -> str:
    """Where words that begin alike lie, in their order."""
    return f"word#{word[:2]}"


def _has_word(name: Any, beginning: str) -> bool:
    return any(word.startswith(beginning) for word in str(name).split(" "))
