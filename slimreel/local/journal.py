"""What moto keeps in memory and must not forget: DynamoDB's tables and items, SSM's parameters.

Every successful write is on disk before its answer leaves: as the item it led to, in SQLite with a
write-ahead log. So SQLite does what a journal needs: a write is there whole or not at all, one torn
by the end of the process is left out, and the file grows with the items, not with the writes.
Nothing that was answered is lost when the process is killed; when the machine loses power, the last
moments may be (the log is handed to the system, not fsynced), and what is left is still consistent.

A write that the disk does not take is undone in memory and answered with an error.
"""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType, Item
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from slimreel.local import ACCESS_KEY_ID, ACCOUNT_ID, REGION
from slimreel.local.aws_errors import json_error
from slimreel.local.front import Front
from slimreel.local.moto_app import AwsCall, Moto, NotKept

log = logging.getLogger("slimreel.local.journal")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    seq INTEGER PRIMARY KEY, service TEXT NOT NULL, operation TEXT NOT NULL, about TEXT NOT NULL,
    body BLOB NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS items (
    seq INTEGER PRIMARY KEY, table_name TEXT NOT NULL, key TEXT NOT NULL, item TEXT NOT NULL,
    UNIQUE (table_name, key));
"""
_ITEM_WRITES = frozenset(
    {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
)
#: Kept as they came, in order. Of those marked True the last one says everything.
_TABLE_WRITES: Mapping[str, bool] = {
    "CreateTable": True,
    "UpdateTable": False,
    "UpdateTimeToLive": True,
    "UpdateContinuousBackups": True,
    "TagResource": False,
    "UntagResource": False,
}
#: Writes whose effect cannot be told from the call; nothing here needs them.
_NOT_KEPT = (
    "BatchExecuteStatement",
    "ExecuteStatement",
    "ExecuteTransaction",
    "ImportTable",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
)
_TARGETS = {"dynamodb": "DynamoDB_20120810", "ssm": "AmazonSSM"}

ItemKey = tuple[str, str]  # table, and the key attributes as JSON
Attributes = dict[str, Any]  # an item in DynamoDB's JSON
#: Hears of a kept item: table and the item as it now is; None when it was deleted.
Listener = Callable[[str, Attributes | None], None]


class Journal:
    """Replays what is on disk into an empty `moto`, and from then on follows it.

    Args:
        path: the SQLite file; made when missing.
    """

    def __init__(self, path: Path, *, moto: Moto, front: Front) -> None:
        self._moto = moto
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _SCHEMA)
        self._replay()
        moto.observe("dynamodb", self._written)
        moto.observe("ssm", self._parameter_written)
        for operation in _NOT_KEPT:
            front.intercept("dynamodb", operation, _refuse)

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of every item from now on. It must be quick: the writer waits for it."""
        self._listeners.append(listener)

    def items(self, table: str) -> Iterator[Attributes]:
        """Every item of a table, in the order in which they were first written."""
        rows = self._rows("SELECT item FROM items WHERE table_name = ? ORDER BY seq", table)
        return (json.loads(item) for (item,) in rows)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # Back into memory ---------------------------------------------------------------------

    def _replay(self) -> None:
        calls = self._rows("SELECT service, operation, about, body, at FROM calls ORDER BY seq")
        for service, operation, about, body, at in calls:
            response = self._moto.call(_call(service, operation, body))
            if response.status_code >= 300:
                reason = response.get_data(as_text=True)
                raise RuntimeError(f"{operation} of {about} cannot be repeated: {reason}")
            if operation == "CreateTable":
                created_at = datetime.fromtimestamp(at, UTC)
                self._table(about).created_at = created_at.replace(tzinfo=None)  # as moto has it
        for table, item in self._rows("SELECT table_name, item FROM items ORDER BY seq"):
            _put(self._table(table), json.loads(item))

    def _table(self, name: str) -> Any:
        return self._moto.backend("dynamodb", ACCOUNT_ID, REGION).tables[name]

    # Onto the disk ------------------------------------------------------------------------

    def _written(self, call: AwsCall, response: Response) -> None:
        """Raises: NotKept; the call's effect on items is undone."""
        if call.operation in _ITEM_WRITES:
            self._keep_items(set(self._touched(call.operation, json.loads(call.body))))
        elif call.operation in _TABLE_WRITES or call.operation == "DeleteTable":
            self._keep_call(call, _table_name(json.loads(call.body)))

    def _touched(self, operation: str, body: Mapping[str, Any]) -> Iterator[ItemKey]:
        match operation:
            case "PutItem":
                yield self._key(body["TableName"], body["Item"])
            case "UpdateItem" | "DeleteItem":
                yield self._key(body["TableName"], body["Key"])
            case "BatchWriteItem":
                for table, requests in body["RequestItems"].items():
                    for request in requests:
                        [(kind, about)] = request.items()
                        named = about["Item"] if kind == "PutRequest" else about["Key"]
                        yield self._key(table, named)
            case "TransactWriteItems":
                for one in body["TransactItems"]:
                    [(kind, about)] = one.items()
                    if kind != "ConditionCheck":
                        named = about["Item"] if kind == "Put" else about["Key"]
                        yield self._key(about["TableName"], named)

    def _key(self, table: str, attributes: Mapping[str, Any]) -> ItemKey:
        name = table.rpartition("/")[2]  # a table may be named by its ARN
        names = self._table(name).table_key_attrs
        key = [_canonical(attributes[one]) for one in names]
        return name, json.dumps(key, separators=(",", ":"))

    def _keep_items(self, keys: Iterable[ItemKey]) -> None:
        now = {key: _found(self._table(key[0]), json.loads(key[1])) for key in keys}
        try:
            with self._lock, self._db:
                self._db.execute("BEGIN IMMEDIATE")
                for (table, key), item in now.items():
                    self._save(table, key, item)
        except sqlite3.Error as problem:
            self._undo(now)
            raise NotKept(f"The write could not be kept on disk: {problem}") from problem
        for (table, _), item in now.items():
            for listener in self._listeners:
                listener(table, item)

    def _save(self, table: str, key: str, item: Attributes | None) -> None:
        if item is None:
            self._db.execute("DELETE FROM items WHERE table_name = ? AND key = ?", (table, key))
            return
        self._db.execute(
            "INSERT INTO items (table_name, key, item) VALUES (?, ?, ?)"
            " ON CONFLICT (table_name, key) DO UPDATE SET item = excluded.item",
            (table, key, json.dumps(item, separators=(",", ":"))),
        )

    def _undo(self, keys: Iterable[ItemKey]) -> None:
        """What is on disk is what was answered; bring memory back to it."""
        for table, key in keys:
            rows = self._rows("SELECT item FROM items WHERE table_name = ? AND key = ?", table, key)
            kept = json.loads(rows[0][0]) if rows else None
            if kept is None:
                self._table(table).delete_item(*_types(self._table(table), json.loads(key)))
            else:
                _put(self._table(table), kept)

    def _keep_call(self, call: AwsCall, about: str) -> None:
        try:
            with self._lock, self._db:
                self._db.execute("BEGIN IMMEDIATE")
                if call.operation == "DeleteTable":
                    self._db.execute(
                        "DELETE FROM calls WHERE service = 'dynamodb' AND about = ?", (about,)
                    )
                    self._db.execute("DELETE FROM items WHERE table_name = ?", (about,))
                else:
                    self._save_call(call, about, only_last=_TABLE_WRITES[call.operation])
        except sqlite3.Error as problem:
            raise NotKept(f"The change could not be kept on disk: {problem}") from problem

    def _save_call(self, call: AwsCall, about: str, *, only_last: bool) -> None:
        if only_last:
            self._db.execute(
                "DELETE FROM calls WHERE service = ? AND operation = ? AND about = ?",
                (call.service, call.operation, about),
            )
        at = time.time()
        if call.operation == "CreateTable":
            at = self._table(about).created_at.replace(tzinfo=UTC).timestamp()
        self._db.execute(
            "INSERT INTO calls (service, operation, about, body, at) VALUES (?, ?, ?, ?, ?)",
            (call.service, call.operation, about, call.body, at),
        )

    def _parameter_written(self, call: AwsCall, _: Response) -> None:
        """A parameter comes back with its last value; its history and version begin anew."""
        body = json.loads(call.body)
        if call.operation not in ("PutParameter", "DeleteParameter", "DeleteParameters"):
            return
        names = body["Names"] if call.operation == "DeleteParameters" else [body["Name"]]
        try:
            with self._lock, self._db:
                self._db.execute("BEGIN IMMEDIATE")
                for name in names:
                    self._db.execute(
                        "DELETE FROM calls WHERE service = 'ssm' AND about = ?", (name,)
                    )
                if call.operation == "PutParameter":
                    again = json.dumps({**body, "Overwrite": True}).encode()
                    self._save_call(_call("ssm", "PutParameter", again), names[0], only_last=False)
        except sqlite3.Error as problem:
            raise NotKept(f"The parameter could not be kept on disk: {problem}") from problem

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()


def _table_name(body: Mapping[str, Any]) -> str:
    return str(body.get("TableName") or body["ResourceArn"]).rpartition("/")[2]


def _types(table: Any, key: list[Any]) -> tuple[DynamoType, DynamoType | None]:
    return DynamoType(key[0]), DynamoType(key[1]) if table.has_range_key else None


def _found(table: Any, key: list[Any]) -> Attributes | None:
    item = table.get_item(*_types(table, key))
    return None if item is None else {name: _plain(value) for name, value in item.attrs.items()}


def _plain(value: Any) -> Any:
    """A value of moto's as DynamoDB's JSON has it; moto's own way leaves some binaries bytes."""
    if isinstance(value, DynamoType):
        return {value.type: _plain(value.value)}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _canonical(key: Attributes) -> Attributes:
    """Numbers are equal however they are written."""
    if "N" not in key:
        return key
    return {"N": format(Decimal(key["N"]).normalize(), "f")}


def _put(table: Any, attributes: Attributes) -> None:
    """Past moto's checks, which were passed when the item was written, and cost 1 ms each."""
    hash_key, range_key = _types(table, [attributes[name] for name in table.table_key_attrs])
    item = Item(hash_key, range_key, {})
    for name, value in attributes.items():
        dict.__setitem__(item.attrs, name, DynamoType(value))
    if range_key is not None:
        table.items[hash_key][range_key] = item
    else:
        table.items[hash_key] = item


def _call(service: str, operation: str, body: bytes) -> AwsCall:
    """A call as a client would have sent it."""
    scope = f"Credential={ACCESS_KEY_ID}/20260101/{REGION}/{service}/aws4_request"
    headers = Headers(
        {
            "Authorization": f"AWS4-HMAC-SHA256 {scope}",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"{_TARGETS[service]}.{operation}",
        }
    )
    environ = EnvironBuilder(method="POST", path="/", headers=headers, data=body).get_environ()
    return AwsCall(service=service, operation=operation, body=body, environ=environ)


def _refuse(call: AwsCall) -> Response:
    log.warning("501 dynamodb.%s: its effect could not be kept", call.operation)
    return json_error(501, "NotImplemented", f"The stand-in does not do {call.operation}.")
