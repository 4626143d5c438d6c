"""The jobs table, read where the stand-in cloud keeps it.

A test that waits looks twenty times a second. Through boto3, HTTP and moto a look costs more than
most calls of the pipeline it waits for, and the tests that ran beside it were the slower for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.cloud import Cloud


class Glance:
    """What `Records.get` needs of a boto3 table, and no more."""

    def __init__(self, cloud: Cloud, table_name: str) -> None:
        self._moto = cloud.moto
        self._table_name = table_name
        self._read = TypeDeserializer().deserialize

    def get_item(self, *, Key: Mapping[str, str], ConsistentRead: bool) -> dict[str, Any]:
        keys = {name: {"S": value} for name, value in Key.items()}
        with self._moto.locks["dynamodb"]:
            backend = self._moto.backend("dynamodb", ACCOUNT_ID, REGION)
            item = backend.get_item(self._table_name, keys)
            attributes = item.to_json()["Attributes"] if item is not None else None
        return {} if attributes is None else {"Item": self._read({"M": attributes})}
