"""Job records and sync state in DynamoDB. One table; `pk`/`sk` say what an item is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from chalicelib.domain.codec import from_plain, to_plain
from chalicelib.domain.job import Job, Status
from chalicelib.domain.job_list import uploader_key

LOG = logging.getLogger(__name__)

#: Written with every job so that two sparse indexes find what still needs care.
OPEN_INDEX, UNSYNCED_INDEX = "open-jobs", "unsynced-rows"
#: Holds every job once.
LIST_INDEX = "jobs-by-time"


class Records:
    """Reads and conditional writes.

    Every write returns the job as it then is, or None when the condition did not hold.
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def get(self, job_id: str) -> Job | None:
        item = self._table.get_item(Key=_job_key(job_id), ConsistentRead=True).get("Item")
        return _job(item) if item else None

    def create(self, job: Job) -> bool:
        """Write a new job. False when there is one with this id already."""
        item = {**_job_key(job.job_id), **_attributes(to_plain(job)), **_index_marks(job.status)}
        item |= {"unsynced": "1", "listed": "1"}
        if uploader := uploader_key(job.uploader):  # an empty text is no key
            item["by_uploader"] = uploader
        return self._put(item, "attribute_not_exists(pk)")

    def update(
        self,
        job_id: str,
        changes: Mapping[str, Any],
        *,
        only_if: Mapping[str, Any] | None = None,
        row: bool = True,
        unsettled: bool = False,
    ) -> Job | None:
        """Set fields of a job; a value of None removes the field.

        Args:
            only_if: fields and the values they must have now; a tuple means "one of these",
                None means "not set".
            row: whether what Airtable shows has changed.
            unsettled: have `open_jobs` list it, although it may have ended, until it is settled.
        """
        expression = _Expression()
        for name, value in changes.items():
            expression.set(name, to_plain(value))
        if unsettled or ("status" in changes and changes["status"].is_open):
            expression.set("open", "1")
        if row:
            expression.add("row_version", 1)
            expression.set("unsynced", "1")
        expression.require("pk", _EXISTS)
        for name, wanted in (only_if or {}).items():
            expression.require(name, wanted)
        attributes = self._update(_job_key(job_id), expression)
        return _job(attributes) if attributes else None

    def append_moment(
        self, job_id: str, run: int, step: str, at: str, *, ended: bool = False
    ) -> Job | None:
        """Add to the job's timeline that this run of it goes into a step.

        Args:
            ended: also when the job has ended.

        Returns:
            The job as it then is; None, and nothing added, when it is of another run, has ended,
            or is in that step already.
        """
        expression = _Expression()
        expression.set("step", step)
        expression.append("timeline", {"step": step, "at": at, "run": run})
        expression.require("run", run)
        expression.require("step", Other(step))
        if not ended:
            expression.require("status", tuple(one for one in Status if one.is_open))
        attributes = self._update(_job_key(job_id), expression)
        return _job(attributes) if attributes else None

    def mark_synced(self, job_id: str, row_version: int, row_id: str) -> None:
        """The row shows `row_version` now; nothing is dirty unless the job has moved on."""
        expression = _Expression()
        expression.set("synced_version", row_version)
        expression.set("row_id", row_id)
        expression.set("unsynced", None)
        expression.require("row_version", row_version)
        if self._update(_job_key(job_id), expression) is None:
            still_dirty = _Expression()
            still_dirty.set("synced_version", row_version)
            still_dirty.set("row_id", row_id)
            self._update(_job_key(job_id), still_dirty)

    def settle(self, job_id: str, run: int, *, only_if: Mapping[str, Any] | None = None) -> None:
        """This run has ended and everybody was told: nothing is left for `open_jobs` to find."""
        expression = _Expression()
        expression.set("open", None)
        expression.require("run", run)
        for name, wanted in (only_if or {}).items():
            expression.require(name, wanted)
        self._update(_job_key(job_id), expression)

    def open_jobs(self) -> Iterator[Job]:
        """Jobs that have not ended, and those that have but are not settled."""
        return self._indexed(OPEN_INDEX, "open")

    def unsynced_jobs(self) -> Iterator[Job]:
        return self._indexed(UNSYNCED_INDEX, "unsynced")

    def item_count(self) -> int:
        """Roughly how many jobs there are. DynamoDB counts anew about every six hours.

        Of an index that holds each of them once: the table has smaller items too.
        Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GlobalSecondaryIndexDescription.html
        """
        client, name = self._table.meta.client, self._table.name
        table = client.describe_table(TableName=name)["Table"]
        indexes = table["GlobalSecondaryIndexes"]
        [listed] = [index for index in indexes if index["IndexName"] == LIST_INDEX]
        return int(listed.get("ItemCount") or table["ItemCount"])  # a new index was not counted yet

    def state(self, pk: str, sk: str) -> dict[str, Any]:
        """A small item that is not a job: sync state, a channel. Empty when there is none."""
        item = self._table.get_item(Key={"pk": pk, "sk": sk}, ConsistentRead=True).get("Item")
        return plain(item) if item else {}

    def save_state(
        self,
        pk: str,
        sk: str,
        changes: Mapping[str, Any],
        *,
        only_if: Mapping[str, Any] | None = None,
        add: Mapping[str, int] | None = None,
    ) -> dict[str, Any] | None:
        """Set fields of such an item; None when the condition did not hold."""
        expression = _Expression()
        for name, value in changes.items():
            expression.set(name, value)
        for name, amount in (add or {}).items():
            expression.add(name, amount)
        for name, wanted in (only_if or {}).items():
            expression.require(name, wanted)
        return self._update({"pk": pk, "sk": sk}, expression)

    def delete_state(self, pk: str, sk: str) -> None:
        self._table.delete_item(Key={"pk": pk, "sk": sk})

    def _put(self, item: dict[str, Any], condition: str) -> bool:
        try:
            self._table.put_item(Item=item, ConditionExpression=condition)
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _update(self, key: dict[str, str], expression: _Expression) -> dict[str, Any] | None:
        try:
            answer = self._table.update_item(Key=key, ReturnValues="ALL_NEW", **expression.built())
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return None
        return dict(plain(answer["Attributes"]))

    def _indexed(self, index: str, attribute: str) -> Iterator[Job]:
        query: dict[str, Any] = {
            "IndexName": index,
            "KeyConditionExpression": "#a = :one",
            "ExpressionAttributeNames": {"#a": attribute},
            "ExpressionAttributeValues": {":one": "1"},
        }
        while True:
            page = self._table.query(**query)
            yield from _readable(page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


_EXISTS = object()


class _Expression:
    """An UpdateExpression being put together."""

    def __init__(self) -> None:
        self._sets: list[str] = []
        self._removes: list[str] = []
        self._adds: list[str] = []
        self._conditions: list[str] = []
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def set(self, name: str, value: Any) -> None:
        if value is None:
            self._removes.append(self._name(name))
        else:
            self._sets.append(f"{self._name(name)} = {self._value(value)}")

    def add(self, name: str, amount: int) -> None:
        self._adds.append(f"{self._name(name)} {self._value(amount)}")

    def append(self, name: str, item: Mapping[str, Any]) -> None:
        key, none, items = self._name(name), self._value([]), self._value([item])
        self._sets.append(f"{key} = list_append(if_not_exists({key}, {none}), {items})")

    def require(self, name: str, wanted: Any) -> None:
        if wanted is _EXISTS:
            self._conditions.append(f"attribute_exists({self._name(name)})")
        elif wanted is None:
            self._conditions.append(f"attribute_not_exists({self._name(name)})")
        elif isinstance(wanted, tuple):
            options = ", ".join(self._value(to_plain(option)) for option in wanted)
            self._conditions.append(f"{self._name(name)} IN ({options})")
        elif isinstance(wanted, Other):
            key, value = self._name(name), self._value(wanted.value)
            self._conditions.append(f"(attribute_not_exists({key}) OR {key} <> {value})")
        elif isinstance(wanted, Below):
            key, value = self._name(name), self._value(wanted.value)
            self._conditions.append(f"(attribute_not_exists({key}) OR {key} < {value})")
        elif isinstance(wanted, Outside):
            key, low, high = self._name(name), self._value(wanted.low), self._value(wanted.high)
            self._conditions.append(
                f"(attribute_not_exists({key}) OR {key} < {low} OR {key} > {high})"
            )
        else:
            self._conditions.append(f"{self._name(name)} = {self._value(to_plain(wanted))}")

    def built(self) -> dict[str, Any]:
        parts = (
            ("SET", self._sets),
            ("REMOVE", self._removes),
            ("ADD", self._adds),
        )
        built: dict[str, Any] = {
            "UpdateExpression": " ".join(f"{verb} {', '.join(x)}" for verb, x in parts if x),
            "ExpressionAttributeNames": {short: name for name, short in self._names.items()},
        }
        if self._values:
            built["ExpressionAttributeValues"] = self._values
        if self._conditions:
            built["ConditionExpression"] = " AND ".join(self._conditions)
        return built

    def _name(self, name: str) -> str:
        # By number: a place in a shared drive's log is named by the drive's id, which may hold any
        # character, and DynamoDB takes few here.
        return self._names.setdefault(name, f"#n{len(self._names)}")

    def _value(self, value: Any) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = _attributes(value)
        return placeholder


class Below:
    """A condition: the field is not set, or smaller than this."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Other:
    """A condition: the field is not set, or is something else than this."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Outside:
    """A condition: the field is not set, or smaller than `low`, or greater than `high`."""

    def __init__(self, low: Any, high: Any) -> None:
        self.low, self.high = low, high


def _job_key(job_id: str) -> dict[str, str]:
    return {"pk": f"job#{job_id}", "sk": "job"}


def _index_marks(status: Status) -> dict[str, str]:
    return {"open": "1"} if status.is_open else {}


def _job(item: Mapping[str, Any]) -> Job:
    return from_plain(Job, plain(item))


def _readable(items: Iterable[Mapping[str, Any]]) -> Iterator[Job]:
    """The jobs among these records; one that cannot be read must not hide those behind it."""
    for item in items:
        try:
            yield _job(item)
        except (KeyError, TypeError, ValueError):
            LOG.exception("the record %s cannot be read", item.get("pk"))


def _attributes(value: Any) -> Any:
    """Plain data as DynamoDB takes it: floats become Decimals."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {key: _attributes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_attributes(item) for item in value]
    return value


def plain(value: Any) -> Any:
    """And back: whole Decimals become ints."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    return value
