"""One job: what was asked, how far it is, how it ended."""

from __future__ import annotations

import secrets
import string
import threading
from collections import Counter
from typing import Any

from slimreel.local.mediaconvert.encode import Stop

#: Members of a CreateJob request that a job echoes as they came, with the service's defaults.
_ECHOED: dict[str, Any] = {
    "accelerationSettings": {"mode": "DISABLED"},
    "billingTagsSource": "JOB",
    "hopDestinations": [],
    "priority": 0,
    "statusUpdateInterval": "SECONDS_60",
    "userMetadata": {},
}
FINAL = frozenset({"COMPLETE", "CANCELED", "ERROR"})


def new_id(now_s: float) -> str:
    """A job id in the service's form: epoch milliseconds, a dash, six letters or digits."""
    alphabet = string.ascii_lowercase + string.digits
    return f"{round(now_s * 1000)}-{''.join(secrets.choice(alphabet) for _ in range(6))}"


class Job:
    """The state of one job. Change it through its methods: they hold its lock.

    Attributes:
        number: position in submit order, unique in one stand-in.
        commands: every ffmpeg command line run for it, and seconds each took (None: unfinished).
    """

    def __init__(
        self,
        *,
        number: int,
        job_id: str,
        arn: str,
        queue_arn: str,
        body: dict[str, Any],
        now_s: float,
    ) -> None:
        self.number = number
        self.id = job_id
        self.arn = arn
        self.queue_arn = queue_arn
        self.body = body
        self.submitted_s = now_s
        self.stop = Stop()
        self.cancelled = False
        self.commands: list[tuple[tuple[str, ...], float | None]] = []
        self.lock = threading.RLock()
        self.status = "SUBMITTED"
        self.phase: str | None = None
        self.percent: int | None = None
        self.started_s: float | None = None
        self.finished_s: float | None = None
        self.error: tuple[int, str] | None = None
        self.warnings: Counter[int] = Counter()
        self.messages: list[str] = []
        self.output_groups: list[dict[str, Any]] = []
        self.retry_count = 0

    @property
    def priority(self) -> int:
        return int(self.body.get("priority") or 0)

    @property
    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.body["settings"]
        return settings

    @property
    def user_metadata(self) -> dict[str, str]:
        return dict(self.body.get("userMetadata") or {})

    @property
    def update_interval_s(self) -> int:
        name = str(self.body.get("statusUpdateInterval") or _ECHOED["statusUpdateInterval"])
        return int(name.removeprefix("SECONDS_"))

    def begin(self, now_s: float) -> bool:
        """SUBMITTED to PROGRESSING; False when it was cancelled meanwhile."""
        with self.lock:
            if self.status != "SUBMITTED":
                return False
            self.status, self.phase, self.started_s, self.percent = (
                "PROGRESSING",
                "PROBING",
                now_s,
                0,
            )
            return True

    def reach(self, phase: str, percent: int) -> None:
        """Progress never goes back."""
        with self.lock:
            self.phase = phase
            self.percent = max(self.percent or 0, percent)

    def warn(self, code: int, text: str) -> None:
        with self.lock:
            self.warnings[code] += 1
            self.messages.append(text)

    def cancel(self, now_s: float) -> str | None:
        """Cancel; returns the status before, None when it was over already."""
        with self.lock:
            before = self.status
            if before in FINAL:
                return None
            self.cancelled = True
            if before == "SUBMITTED":
                self.status, self.finished_s = "CANCELED", now_s
        self.stop.press()
        return before

    def finish(
        self,
        status: str,
        now_s: float,
        *,
        error: tuple[int, str] | None = None,
        output_groups: list[dict[str, Any]] | None = None,
    ) -> None:
        with self.lock:
            self.status, self.finished_s, self.error = status, now_s, error
            self.output_groups = output_groups or []
            if status == "COMPLETE":
                self.percent = 100

    def to_wire(self) -> dict[str, Any]:
        """The job as GetJob answers it. Settings are echoed as submitted, without defaults."""
        with self.lock:
            wire = {name: self.body.get(name, default) for name, default in _ECHOED.items()}
            disabled = wire["accelerationSettings"].get("mode") == "DISABLED"
            wire |= {
                "arn": self.arn,
                "id": self.id,
                "createdAt": int(self.submitted_s),
                "clientRequestToken": self.body.get("clientRequestToken"),
                "role": self.body["role"],
                "queue": self.queue_arn,
                "settings": self.settings,
                "status": self.status,
                "accelerationStatus": "NOT_APPLICABLE" if disabled else "NOT_ACCELERATED",
                "timing": self._timing(),
                "messages": {"info": [], "warning": list(self.messages)},
            }
            return wire | self._progress()

    def _timing(self) -> dict[str, int]:
        times = {
            "submitTime": self.submitted_s,
            "startTime": self.started_s,
            "finishTime": self.finished_s,
        }
        return {name: int(value) for name, value in times.items() if value is not None}

    def _progress(self) -> dict[str, Any]:
        wire: dict[str, Any] = {}
        if self.status == "PROGRESSING":
            wire |= {"currentPhase": self.phase, "retryCount": self.retry_count}
        if self.percent is not None and self.status in ("PROGRESSING", "COMPLETE"):
            wire["jobPercentComplete"] = self.percent
        if self.warnings:
            wire["warnings"] = self.warning_groups()
        if self.error is not None:
            wire |= {"errorCode": self.error[0], "errorMessage": self.error[1]}
        if self.status == "COMPLETE":
            wire["outputGroupDetails"] = [_polled(group) for group in self.output_groups]
        return wire

    def warning_groups(self) -> list[dict[str, int]]:
        return [{"code": code, "count": count} for code, count in sorted(self.warnings.items())]

    def to_record(self) -> dict[str, Any]:
        """What must outlive the process."""
        with self.lock:
            return {
                "number": self.number, "id": self.id, "arn": self.arn, "queue": self.queue_arn,
                "body": self.body, "submitted_s": self.submitted_s, "status": self.status,
                "started_s": self.started_s, "finished_s": self.finished_s, "error": self.error,
                "warnings": dict(self.warnings), "messages": self.messages,
                "output_groups": self.output_groups, "retry_count": self.retry_count,
                "commands": self.commands,
            }  # fmt: skip

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Job:
        """A job of an earlier process. One that was not over is SUBMITTED again."""
        job = cls(
            number=record["number"], job_id=record["id"], arn=record["arn"],
            queue_arn=record["queue"], body=record["body"], now_s=record["submitted_s"],
        )  # fmt: skip
        job.retry_count = record["retry_count"]
        if record["status"] not in FINAL:
            job.retry_count += record["status"] == "PROGRESSING"
            return job
        job.started_s = record["started_s"]
        job.warnings = Counter({int(code): n for code, n in record["warnings"].items()})
        job.messages = record["messages"]
        job.commands = [(tuple(argv), seconds) for argv, seconds in record["commands"]]
        error = record["error"]
        job.finish(
            record["status"],
            record["finished_s"],
            error=(error[0], error[1]) if error else None,
            output_groups=record["output_groups"],
        )
        return job


def _polled(group: dict[str, Any]) -> dict[str, Any]:
    """GetJob shows durations and sizes only; paths, bitrate and quality are in the event."""
    details = []
    for output in group["outputDetails"]:
        detail: dict[str, Any] = {"durationInMs": output["durationInMs"]}
        if "videoDetails" in output:
            video = output["videoDetails"]
            detail["videoDetails"] = {k: video[k] for k in ("heightInPx", "widthInPx")}
        details.append(detail)
    return {"outputDetails": details}
