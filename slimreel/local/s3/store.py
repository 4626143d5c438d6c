"""What every operation works on, and the few steps they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from slimreel.local.s3.blobs import Blobs
from slimreel.local.s3.errors import S3Error, no_such_key
from slimreel.local.s3.index import Index
from slimreel.local.s3.lifecycle import Rule, rules_of
from slimreel.local.s3.model import StoredObject

Check = Callable[[StoredObject | None], None]
Also = Callable[[], list[str]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    index: Index
    blobs: Blobs
    region: str
    account_id: str

    def require_bucket(self, bucket: str) -> None:
        """Raises S3Error: NoSuchBucket."""
        if not self.index.has_bucket(bucket):
            raise S3Error(
                "NoSuchBucket",
                "The specified bucket does not exist",
                details={"BucketName": bucket},
            )

    def require_object(self, bucket: str, key: str) -> StoredObject:
        """Raises S3Error: NoSuchBucket or NoSuchKey."""
        self.require_bucket(bucket)
        stored = self.index.object(bucket, key)
        if stored is None:
            raise no_such_key(key)
        return stored

    def with_object(self, bucket: str, key: str, use: Callable[[StoredObject], T]) -> T:
        """What `use` makes of the object; again with its successor if it was replaced meanwhile.

        Raises:
            S3Error: NoSuchBucket or NoSuchKey.
        """
        while True:
            stored = self.require_object(bucket, key)
            try:
                return use(stored)
            except FileNotFoundError:
                current = self.index.object(bucket, key)
                if current is not None and current.blob == stored.blob:
                    raise  # not replaced: its file is truly gone

    def commit(self, stored: StoredObject, check: Check, *, also: Also = list) -> None:
        """Make `stored` the object at its key, if `check` lets it replace what is there now.

        Its blob is whole already; when the check refuses, the blob is removed again. `also` runs
        in the same transaction and returns the blobs that are then no longer needed.
        """
        try:
            with self.index.transaction():
                self.require_bucket(stored.bucket)
                current = self.index.object(stored.bucket, stored.key)
                check(current)
                self.index.put_object(stored)
                unneeded = also()
        except BaseException:
            self.blobs.delete([stored.blob])
            raise
        self.blobs.delete(unneeded if current is None else [*unneeded, current.blob])

    def delete(self, bucket: str, key: str, check: Check) -> None:
        """Delete the object, if there is one and `check` lets it go."""
        with self.index.transaction():
            current = self.index.object(bucket, key)
            check(current)
            self.index.delete_object(bucket, key)
        if current is not None:
            self.blobs.delete([current.blob])

    def change(self, stored: StoredObject) -> None:
        """Record new properties for an object whose bytes stay.

        Raises:
            S3Error: NoSuchKey when it was replaced or deleted meanwhile.
        """
        with self.index.transaction():
            current = self.index.object(stored.bucket, stored.key)
            if current is None or current.blob != stored.blob:
                raise no_such_key(stored.key)
            self.index.put_object(stored)

    def lifecycle_rules(self, bucket: str) -> tuple[Rule, ...]:
        document = self.index.setting(bucket, "lifecycle")
        return () if document is None else rules_of(document)


def with_storage_class(stored: StoredObject, storage_class: str) -> StoredObject:
    return replace(stored, properties=replace(stored.properties, storage_class=storage_class))


def with_tags(stored: StoredObject, tags: Mapping[str, str]) -> StoredObject:
    return replace(stored, properties=replace(stored.properties, tags=tags))


def utc_now() -> datetime:
    """Now, in the milliseconds S3 shows."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
