"""What several files here share."""

from __future__ import annotations

from tests.contract.drive_server import front, local, team

__all__ = ["front", "local", "team"]
