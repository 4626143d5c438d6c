"""The settings of a stage, read from the environment here and nowhere else."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from chalicelib.domain.money import Prices, prices
from chalicelib.domain.preset import Preset, presets
from chalicelib.domain.workflow import Workflow, workflow

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "chalicelib" / "data"
WORKFLOWS = ROOT / "workflows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Names, addresses and limits of this stage. The template sets every one of them.

    Attributes:
        sign_in_url, sign_in_client_id: the user pool's own pages, and what our web pages are
            called there.
        keep_originals: let the copy of an original stay until the bucket expires it, so that people
            can compare.
        reconcile_settle_s, sync_lease_s: 0 for what the steps themselves say.
        airtable_poll_minutes: how often the table is looked at where no webhook tells of changes.
        max_cost_per_day_usd: what all encodes begun in a day of UTC may cost by our estimate; None
            for no limit.
        airtable_row_limit: rows that the base may have by its plan; 0 for no limit.
        submit_buckets: S3 buckets from which videos may be submitted.
        callback_origins: may be called back although they are not public, or not HTTPS.
    """

    stage: str
    jobs_table: str
    temp_bucket: str
    compressed_bucket: str
    drive_queue_url: str
    rows_queue_url: str
    drive_dead_letters_url: str
    rows_dead_letters_url: str
    notice_topic_arn: str
    encoder_queue_arn: str
    encoder_role_arn: str
    flow_arn_prefix: str
    public_url: str
    drive_api_url: str
    airtable_api_url: str
    airtable_base_id: str
    airtable_table: str
    secrets_prefix: str
    ffmpeg: str
    log_level: str
    sign_in_url: str = ""
    sign_in_client_id: str = ""
    keep_originals: bool = False
    reconcile_settle_s: float = 0.0
    sync_lease_s: float = 0.0
    max_cost_per_day_usd: float | None = None
    airtable_row_limit: int = 0
    airtable_poll_minutes: float = 60.0
    submit_buckets: tuple[str, ...] = ()
    callback_origins: tuple[str, ...] = ()


def settings(env: Mapping[str, str] = os.environ) -> Settings:
    """Settings from environment variables. Missing ones become empty strings, because a function
    is only given what it needs.
    """
    return Settings(
        stage=env.get("STAGE", ""),
        jobs_table=env.get("JOBS_TABLE", ""),
        temp_bucket=env.get("TEMP_BUCKET", ""),
        compressed_bucket=env.get("COMPRESSED_BUCKET", ""),
        drive_queue_url=env.get("DRIVE_QUEUE_URL", ""),
        rows_queue_url=env.get("ROWS_QUEUE_URL", ""),
        drive_dead_letters_url=env.get("DRIVE_DEAD_LETTERS_URL", ""),
        rows_dead_letters_url=env.get("ROWS_DEAD_LETTERS_URL", ""),
        notice_topic_arn=env.get("NOTICE_TOPIC_ARN", ""),
        encoder_queue_arn=env.get("ENCODER_QUEUE_ARN", ""),
        encoder_role_arn=env.get("ENCODER_ROLE_ARN", ""),
        flow_arn_prefix=env.get("FLOW_ARN_PREFIX", ""),
        public_url=env.get("PUBLIC_URL", ""),
        drive_api_url=env.get("DRIVE_API_URL") or "https://www.googleapis.com/",
        airtable_api_url=env.get("AIRTABLE_API_URL") or "https://api.airtable.com",
        airtable_base_id=env.get("AIRTABLE_BASE_ID", ""),
        airtable_table=env.get("AIRTABLE_TABLE", ""),
        secrets_prefix=env.get("SECRETS_PREFIX", ""),
        ffmpeg=env.get("FFMPEG") or "/opt/bin/ffmpeg",
        log_level=env.get("LOG_LEVEL") or "INFO",
        sign_in_url=env.get("SIGN_IN_URL", ""),
        sign_in_client_id=env.get("SIGN_IN_CLIENT_ID", ""),
        keep_originals=env.get("KEEP_ORIGINALS") == "yes",
        reconcile_settle_s=float(env.get("RECONCILE_SETTLE_S") or 0),
        sync_lease_s=float(env.get("SYNC_LEASE_S") or 0),
        max_cost_per_day_usd=_number(env.get("MAX_COST_PER_DAY", "")),
        airtable_row_limit=int(env.get("AIRTABLE_ROW_LIMIT") or 0),
        airtable_poll_minutes=_number(env.get("AIRTABLE_POLL_MINUTES", "")) or 60.0,
        submit_buckets=_names(env.get("SUBMIT_BUCKETS", "")),
        callback_origins=_names(env.get("CALLBACK_ORIGINS", "")),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _number(text: str) -> float | None:
    return float(text) if text.strip() else None


@cache
def all_presets() -> dict[str, Preset]:
    return presets(tomllib.loads((DATA / "presets.toml").read_text()))


@cache
def price_table() -> Prices:
    return prices(tomllib.loads((DATA / "prices.toml").read_text()))


@cache
def flow(workflow: str) -> dict[str, Any]:
    """The States Language file of a workflow.

    Raises:
        OSError: there is no such workflow.
    """
    return dict(json.loads((WORKFLOWS / f"{workflow}.asl.json").read_text()))


@cache
def all_workflows() -> dict[str, Workflow]:
    """Every workflow in `workflows/`, by name; its folder may come from the environment."""
    return {
        path.stem: workflow(path.stem, tomllib.loads(path.read_text()), os.environ)
        for path in sorted(WORKFLOWS.glob("*.toml"))
    }
