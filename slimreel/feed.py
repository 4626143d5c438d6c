"""What happens to jobs, as it happens: read from the journal, so that nobody has to ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from chalicelib.domain.codec import from_plain
from chalicelib.domain.job import Job
from slimreel.local.journal import Attributes, Journal

_FROM_WIRE = TypeDeserializer()


class Feed:
    """The jobs of one table. Use from one thread.

    Begins with every job there is; see `known`.
    """

    def __init__(self, journal: Journal, table: str) -> None:
        self._journal, self._table = journal, table
        self._lock = threading.Condition()
        self._changed: dict[str, Attributes] = {}
        journal.listen(self._hear)

    def known(self) -> Iterator[Job]:
        """Every job, in the order in which they came."""
        return (job_in(item) for item in self._journal.items(self._table) if _is_job(item))

    def changed(self, wait_s: float) -> list[Job]:
        """The jobs that changed since the last call, each as it is now.

        Args:
            wait_s: for the first change.
        """
        with self._lock:
            self._lock.wait_for(lambda: bool(self._changed), timeout=wait_s)
            items, self._changed = self._changed, {}
        return [job_in(item) for item in items.values()]

    def wake(self) -> None:
        """Let a waiting `changed` return."""
        with self._lock:
            self._lock.notify_all()

    def _hear(self, table: str, item: Attributes | None) -> None:
        if table == self._table and item is not None and _is_job(item):
            with self._lock:
                self._changed[item["pk"]["S"]] = item
                self._lock.notify_all()


def job_in(item: Attributes) -> Job:
    """The job in an item in DynamoDB's JSON."""
    return from_plain(Job, {name: _plain(_FROM_WIRE.deserialize(v)) for name, v in item.items()})


def _is_job(item: Attributes) -> bool:
    return item.get("sk") == {"S": "job"} and item["pk"]["S"].startswith("job#")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value
