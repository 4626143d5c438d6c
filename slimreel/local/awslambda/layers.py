"""Layers as the API shows them. What is in one is not laid out: functions find programs by their
settings, which name this machine's.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.awslambda.errors import invalid, not_found

_SHOWN = ("Description", "CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo")


class Layers:
    """Numbered versions by name. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: dict[str, list[dict[str, Any]]] = {}
        self._last: dict[str, int] = {}  # a number is never given twice

    def publish(self, params: Mapping[str, Any]) -> dict[str, Any]:
        content = params["Content"]
        if not content.get("ZipFile") and not (content.get("S3Bucket") and content.get("S3Key")):
            raise invalid("Provide the layer's zip, or the bucket and key it lies at.")
        name = str(params["LayerName"])
        with self._lock:
            versions = self._versions.setdefault(name, [])
            number = self._last[name] = self._last.get(name, 0) + 1
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:layer:{name}"
            made = {
                **{member: params[member] for member in _SHOWN if params.get(member) is not None},
                "LayerArn": arn,
                "LayerVersionArn": f"{arn}:{number}",
                "Version": number,
                "CreatedDate": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
            }
            versions.append(made)
        return made

    def versions(self, name: str) -> list[dict[str, Any]]:
        """Newest first; of one that was never published there are none."""
        with self._lock:
            return self._versions.get(name, [])[::-1]

    def get(self, name: str, number: int) -> dict[str, Any]:
        for version in self.versions(name):
            if version["Version"] == number:
                return version
        raise not_found("The resource you requested does not exist.")

    def delete(self, name: str, number: int) -> None:
        """One that is not there is fine. Functions that use it go on doing so, as in AWS."""
        with self._lock:
            left = [one for one in self._versions.get(name, []) if one["Version"] != number]
            self._versions[name] = left

    def check(self, arns: list[str]) -> None:
        """Raises: LambdaError: one of this account was never published."""
        with self._lock:
            known = {v["LayerVersionArn"] for versions in self._versions.values() for v in versions}
        for arn in arns:
            if arn.split(":")[4:5] == [ACCOUNT_ID] and arn not in known:
                raise invalid(f"Layer version {arn} does not exist.")
