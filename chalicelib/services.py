"""Everything a step can reach, built once per warm Lambda.

Adapters are made when first used, so a function pays only for the libraries it needs. Tests
build `Services` with their own adapters.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from chalicelib.config import Settings, settings
from chalicelib.domain.link import video_link

if TYPE_CHECKING:
    from chalicelib.adapters.airtable import Airtable
    from chalicelib.adapters.airtable_desk import Desk
    from chalicelib.adapters.callbacks import Callbacks
    from chalicelib.adapters.catalogue import Catalogue
    from chalicelib.adapters.drive import Drive
    from chalicelib.adapters.drive_writer import DriveWriter
    from chalicelib.adapters.encoder import Encoder
    from chalicelib.adapters.ffmpeg import Ffmpeg
    from chalicelib.adapters.flows import Flows
    from chalicelib.adapters.messages import Queues, Topic
    from chalicelib.adapters.metrics import Metrics
    from chalicelib.adapters.records import Records
    from chalicelib.adapters.secrets import Secrets
    from chalicelib.adapters.storage import Storage
    from chalicelib.domain.job import Job


class Services:
    """The adapters of one stage."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def now(self) -> datetime:
        """The time in UTC: the only clock by which anything is decided or written down."""
        return datetime.now(UTC)

    @cached_property
    def records(self) -> Records:
        from chalicelib.adapters.records import Records

        return Records(self._table)

    @cached_property
    def catalogue(self) -> Catalogue:
        from chalicelib.adapters.catalogue import Catalogue

        return Catalogue(self._table)

    @cached_property
    def _table(self) -> Any:
        import boto3

        from chalicelib.adapters.aws_errors import refuse_half_answers

        database = boto3.resource("dynamodb", config=_config("dynamodb"))
        refuse_half_answers(database.meta.client)
        return database.Table(self.settings.jobs_table)

    @cached_property
    def storage(self) -> Storage:
        from chalicelib.adapters.storage import Storage

        return Storage(_client("s3"))

    @cached_property
    def encoder(self) -> Encoder:
        from chalicelib.adapters.encoder import Encoder

        return Encoder(
            _client("mediaconvert"),
            queue_arn=self.settings.encoder_queue_arn,
            role_arn=self.settings.encoder_role_arn,
        )

    @cached_property
    def flows(self) -> Flows:
        from chalicelib.adapters.flows import Flows

        return Flows(_client("stepfunctions"), arn_prefix=self.settings.flow_arn_prefix)

    @cached_property
    def queues(self) -> Queues:
        from chalicelib.adapters.messages import Queues

        return Queues(
            _client("sqs"),
            drive_queue_url=self.settings.drive_queue_url,
            rows_queue_url=self.settings.rows_queue_url,
            drive_dead_letters_url=self.settings.drive_dead_letters_url,
            rows_dead_letters_url=self.settings.rows_dead_letters_url,
        )

    @cached_property
    def topic(self) -> Topic:
        from chalicelib.adapters.messages import Topic

        return Topic(_client("sns"), arn=self.settings.notice_topic_arn)

    @cached_property
    def metrics(self) -> Metrics:
        from chalicelib.adapters.metrics import Metrics

        return Metrics(stage=self.settings.stage)

    @cached_property
    def secrets(self) -> Secrets:
        from chalicelib.adapters.secrets import Secrets

        return Secrets(_client("ssm"), prefix=self.settings.secrets_prefix)

    def link_to(self, job: Job) -> str:
        """The lasting link to a job's result, which is good once there is one."""
        return video_link(self.settings.public_url, job.job_id, self.link_key, job.link_number)

    @cached_property
    def link_key(self) -> str:
        return self.secrets.get("link-key")

    @cached_property
    def callback_key(self) -> str:
        return self.secrets.get("callback-key")

    @cached_property
    def callbacks(self) -> Callbacks:
        from chalicelib.adapters.callbacks import Callbacks

        return Callbacks(allowed_origins=self.settings.callback_origins)

    @cached_property
    def drive(self) -> Drive:
        from chalicelib.adapters.drive import Drive

        return Drive(
            credentials_json=self.secrets.get("google-credentials"),
            api_url=self.settings.drive_api_url,
        )

    @cached_property
    def drive_writer(self) -> DriveWriter:
        from chalicelib.adapters.drive_writer import DriveWriter

        return DriveWriter(
            credentials_json=self.secrets.get("google-credentials"),
            api_url=self.settings.drive_api_url,
        )

    @cached_property
    def airtable(self) -> Airtable:
        from chalicelib.adapters.airtable import Airtable

        return Airtable(
            token=self.secrets.get("airtable-token"),
            api_url=self.settings.airtable_api_url,
            base_id=self.settings.airtable_base_id,
            table=self.settings.airtable_table,
        )

    @cached_property
    def desk(self) -> Desk:
        from chalicelib.adapters.airtable_desk import Desk

        return Desk(self.airtable, now=self.now)

    @cached_property
    def ffmpeg(self) -> Ffmpeg:
        from chalicelib.adapters.ffmpeg import Ffmpeg

        return Ffmpeg(self.settings.ffmpeg)


@cache
def services() -> Services:
    """The one instance of this Lambda."""
    return Services(settings())


def _client(name: str) -> Any:
    import boto3

    from chalicelib.adapters.aws_errors import refuse_half_answers

    client = boto3.client(name, config=_config(name))
    refuse_half_answers(client)
    return client


def _config(name: str) -> Any:
    """How a client meets throttling: with full jitter, many attempts and a cap.

    Source: https://docs.aws.amazon.com/boto3/latest/guide/retries.html ("standard" mode waits a
    random share of an exponential delay of at most 20 s).
    """
    from botocore.config import Config

    return Config(
        retries={"mode": "standard", "max_attempts": 8},
        connect_timeout=5,
        read_timeout=60,
        # Presigned URLs of the older kind do not work in newer Regions.
        signature_version="s3v4" if name == "s3" else None,
    )
