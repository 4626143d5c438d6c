"""The stand-in cloud, composed: everything Slimreel needs of others, behind one endpoint."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.config import Config
from werkzeug.wrappers import Request, Response

from slimreel.local import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, quotas
from slimreel.local.awslambda import AwsLambda
from slimreel.local.awslambda.asynchronous import RETRY_DELAYS_S
from slimreel.local.cloudformation import CloudFormation
from slimreel.local.confirmations import PATH as CONFIRM
from slimreel.local.control import PREFIX as CONTROL
from slimreel.local.control import Control
from slimreel.local.dispatch import Dispatcher
from slimreel.local.dispatch.deliver import Deliver
from slimreel.local.faults import Faults
from slimreel.local.front import Front
from slimreel.local.gateway import Gateway
from slimreel.local.hosted_ui import PREFIX as HOSTED_UI
from slimreel.local.hosted_ui import HostedUi
from slimreel.local.http_server import Server
from slimreel.local.iam import Guard
from slimreel.local.journal import Journal
from slimreel.local.mail import Mailbox
from slimreel.local.moto_app import Moto
from slimreel.local.queues import Queues
from slimreel.local.stepfunctions import patch_interpreter

if TYPE_CHECKING:
    from slimreel.local.airtable import Airtable
    from slimreel.local.drive import Drive
    from slimreel.local.mediaconvert import MediaConvert
    from slimreel.local.s3 import S3

_one_at_a_time = threading.Lock()  # moto keeps its state in module globals


class Cloud:
    """Every stand-in on one port, for one data directory. A context manager.

    Only one may run in a process. `data_dir` holds what lasts (`s3/`, `mail/`, `mediaconvert/`,
    `airtable.sqlite`, `drive.sqlite`, `moto.sqlite`) and `logs/<function>.log`. It may end at any
    moment; the next one on the same directory goes on, with new executions and empty queues.

    Attributes:
        endpoint_url: where everything answers; what `AWS_ENDPOINT_URL` is set to.
        faults: what tests switch on to go wrong.
        requests: calls seen so far by (service, operation); see `Front`.
        guard: holds functions to their roles.
        drive_root: the folder that is somebody's Drive.
        airtable_token: opens the Airtable stand-in.
    """

    endpoint_url: str
    moto: Moto
    front: Front
    guard: Guard
    s3: S3
    mediaconvert: MediaConvert
    drive: Drive
    airtable: Airtable
    awslambda: AwsLambda
    dispatcher: Dispatcher
    gateway: Gateway
    mailbox: Mailbox
    journal: Journal
    cloudformation: CloudFormation

    def __init__(
        self,
        data_dir: Path,
        project_dir: Path,
        *,
        port: int = 0,
        drive_root: Path | None = None,
        encoder: Literal["ffmpeg", "stub"] = "ffmpeg",
        encoder_concurrency: int = 1,
        environments: int = 8,
        schedule_speed: float = 1.0,
        async_retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        mail_asks: bool = False,
    ) -> None:
        """
        Args:
            data_dir: made when missing.
            project_dir: the checkout whose `app.py` the functions run.
            port: 0 takes any free one.
            drive_root: the folder that is somebody's Drive; `drive/` in `data_dir` by default.
            encoder: "stub" for load tests; see `slimreel.local.mediaconvert.stub`.
            encoder_concurrency: MediaConvert jobs encoded at the same time.
            environments: Lambda processes kept at the same time, idle ones included.
            schedule_speed: how many times as often scheduled rules fire.
            async_retry_delays_s: pauses before Lambda tries an event again.
            mail_asks: a new subscriber confirms first, as in AWS.
        """
        self.data_dir = data_dir.resolve()
        self.faults = Faults(self.data_dir / "faults.jsonl")
        self.project_dir = project_dir.resolve()
        self.drive_root = (drive_root or self.data_dir / "drive").resolve()
        self.airtable_token = "patLocal0000000.0000000000000000000000000000000000000000"
        self._port = port
        self._encoder: Literal["ffmpeg", "stub"] = encoder
        self._encoder_concurrency = encoder_concurrency
        self._environments = environments
        self._schedule_speed = schedule_speed
        self._async_retry_delays_s = async_retry_delays_s
        self._mail_asks = mail_asks
        self._session = boto3.Session()  # one: each reads botocore's endpoint data anew (40 ms)
        self._clients: dict[str, Any] = {}
        self._clients_lock = threading.Lock()
        self._closing = ExitStack()

    def __enter__(self) -> Cloud:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests(self) -> dict[tuple[str, str], int]:
        return dict(self.front.requests)

    def account(self) -> dict[str, Any]:
        """Where this cloud is, what opens it, and what a deployment must be told of it: addresses
        and programs that in AWS are where the template says.
        """
        import imageio_ffmpeg

        return {
            "endpoint_url": self.endpoint_url,
            "region": REGION,
            "access_key_id": ACCESS_KEY_ID,
            "secret_access_key": SECRET_ACCESS_KEY,
            "drive": str(self.drive_root),
            "parameters": {
                "DriveApiUrl": self.endpoint_url + "/",
                "AirtableApiUrl": self.endpoint_url,
                "FfmpegPath": imageio_ffmpeg.get_ffmpeg_exe(),
            },
        }

    def start(self) -> None:
        """
        Raises:
            RuntimeError: another cloud runs in this process.
            OSError: the port is taken.
        """
        if not _one_at_a_time.acquire(blocking=False):
            raise RuntimeError("Another stand-in cloud runs in this process; close it first.")
        self._closing.callback(_one_at_a_time.release)
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop every thread and process; what is on disk stays."""
        self._closing.close()

    def client(self, service: str) -> Any:
        """A boto3 client of this cloud, shared and thread-safe."""
        with self._clients_lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(service, **self._aws(service))
            return self._clients[service]

    def resource(self, service: str) -> Any:
        """A boto3 resource of this cloud; make one for each thread."""
        with self._clients_lock:
            return self._session.resource(service, **self._aws(service))

    def _aws(self, service: str) -> dict[str, Any]:
        # `Config` says the retries, so that the developer's own AWS profile cannot.
        # boto3 presigns S3 URLs with the retired signature version unless told otherwise.
        config = Config(
            retries={"total_max_attempts": 3, "mode": "standard"},
            max_pool_connections=50,
            # A function may run for as long as its time-out, 15 minutes at most, and must not be
            # called a second time because it does.
            read_timeout=930 if service == "lambda" else 60,
            signature_version="s3v4" if service == "s3" else None,
        )
        return {
            "region_name": REGION,
            "endpoint_url": self.endpoint_url,
            "aws_access_key_id": ACCESS_KEY_ID,
            "aws_secret_access_key": SECRET_ACCESS_KEY,
            "config": config,
        }

    def _start(self) -> None:
        """Stand-ins from the bottom up; closing goes the other way round."""
        defer = self._closing.callback
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._quieten_interpreter()
        self.moto = Moto()
        defer(self.moto.close)
        self.guard = Guard(self.moto)
        self.front = Front(moto=self.moto, faults=self.faults, guard=self.guard)
        server = Server(self.front, port=self._port)
        defer(server.stop)
        self.endpoint_url = f"http://127.0.0.1:{server.port}"
        defer(self._close_clients)
        self.journal = Journal(self.data_dir / "moto.sqlite", moto=self.moto, front=self.front)
        defer(self.journal.close)
        queues = Queues(self.moto, self.front)
        defer(queues.close)
        self.mailbox = Mailbox(
            self.data_dir / "mail", endpoint_url=self.endpoint_url, asks=self._mail_asks
        )
        defer(self.mailbox.close)
        self._start_lambda(queues)
        self._start_others()
        self.cloudformation = CloudFormation(
            self.data_dir / "cloudformation",
            client=self.client,
            gateway=self.gateway,
            faults=self.faults,
        )
        self._route()
        server.start()
        interpreter = patch_interpreter(self.dispatcher.put_event, endpoint_url=self.endpoint_url)
        # Last in, first out: functions end before what they call, and nothing new is
        # dispatched while the rest goes down.
        defer(self.awslambda.close)
        defer(interpreter.restore)
        self.dispatcher.start()
        defer(self.dispatcher.close, wake=queues.close)
        self.drive.start_watching()
        defer(self.cloudformation.close)

    def _start_lambda(self, queues: Queues) -> None:
        deliver = Deliver(self.client)
        self.awslambda = AwsLambda(
            project_dir=self.project_dir,
            data_dir=self.data_dir,
            endpoint_url=self.endpoint_url,
            faults=self.faults,
            deliver=deliver,
            retry_delays_s=self._async_retry_delays_s,
            queue_visibility_s=queues.visibility_s,
            max_alive=self._environments,
            key_of=self.guard.key_of,
        )
        self._closing.callback(self.awslambda.close)
        self.gateway = Gateway(self.awslambda, jwks=self.moto.jwks)
        self.dispatcher = Dispatcher(
            moto=self.moto,
            front=self.front,
            awslambda=self.awslambda,
            client=self.client,
            deliver=deliver,
            faults=self.faults,
            schedule_speed=self._schedule_speed,
        )

    def _start_others(self) -> None:
        # Imported here: a test of one part need not load the others.
        from slimreel.local.airtable import Airtable
        from slimreel.local.drive import Drive
        from slimreel.local.mediaconvert import MediaConvert
        from slimreel.local.s3 import S3

        self.s3 = S3(
            self.data_dir / "s3",
            faults=self.faults,
            secrets=self.guard.secrets,
            denials=self.guard.of_s3,
        )
        self._closing.callback(self.s3.close)
        self.mediaconvert = MediaConvert(
            store=self.s3,
            emit=self.dispatcher.put_event,
            work_dir=self.data_dir / "mediaconvert",
            faults=self.faults,
            concurrent_jobs=self._encoder_concurrency,
            encoder=self._encoder,
            may=self.guard.role_may,
        )
        self._closing.callback(self.mediaconvert.close)
        self.drive_root.mkdir(parents=True, exist_ok=True)
        self.drive = Drive(
            self.drive_root,
            self.data_dir / "drive.sqlite",
            faults=self.faults,
            base_url=self.endpoint_url,
        )
        self._closing.callback(self.drive.close)
        self.airtable = Airtable(
            self.data_dir / "airtable.sqlite", faults=self.faults, tokens=self.airtable_token
        )
        self._closing.callback(self.airtable.close)

    def _route(self) -> None:
        front = self.front
        front.route_service("s3", self.s3.handle)
        front.route_service("mediaconvert", self.mediaconvert.handle)
        front.route_service("lambda", self.awslambda.handle)
        front.route_service("servicequotas", quotas.handle)
        if self.mailbox.confirmations is not None:
            front.route_path(CONFIRM, self.mailbox.confirmations.handle)
        front.route_service("cloudformation", self.cloudformation.handle)
        for prefix in ("/drive/v3", "/upload/drive/v3", "/token", "/file/d"):
            front.route_path(prefix, self.drive.handle)
        front.route_path("/v0", self.airtable.handle)
        front.route_path("/airtable", self.airtable.grid)
        front.route_path("/mail", self.mailbox.handle)
        front.route_path("/api", self.gateway.handle)
        front.route_path(HOSTED_UI, HostedUi(self.client).handle)
        front.route_path("/unsubscribe.html", _unsubscribe)
        front.route_path(CONTROL, Control(self.faults, lambda: self.requests, self.account).handle)

    def _quieten_interpreter(self) -> None:
        """moto logs each failing state as an error; failing is a state's good right."""
        logger = logging.getLogger("moto.stepfunctions.parser")
        self._closing.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL)

    def _close_clients(self) -> None:
        with self._clients_lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def _unsubscribe(_: Request) -> Response:
    message = "In AWS this link ends the subscription. Nothing is sent from this machine."
    return Response(json.dumps({"message": message}), mimetype="application/json")
