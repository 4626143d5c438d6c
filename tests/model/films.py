"""Films whose bytes say what becomes of them, and the encoder, probe and measurement that read it.

A source is `<story>|<serial>|…`, a result names the attempt and the md5 of the source it was made
of: so a result that is broken, or of another source, is found out by comparing, as in life. Samples
for a search are never any good, so that a plan is made without them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chalicelib.domain.errors import Rejected
from chalicelib.domain.job import Status
from chalicelib.domain.measurement import Measurement
from chalicelib.domain.media import MediaFacts
from chalicelib.measuring import Clip, Progress
from tests.examples import a_measurement, a_score, a_video, some_facts
from tests.fakes import TEMP, Encoder, Storage, event

#: What becomes of a film when nothing goes wrong.
STORIES = {
    "good": Status.COMPLETED,
    "long": Status.COMPLETED,  # measuring it takes two invocations
    "low": Status.COMPLETED,  # its first whole encode is not good enough
    "hopeless": Status.KEPT_ORIGINAL,  # nor is any other
    "hdr": Status.KEPT_ORIGINAL,
    "no decoder": Status.KEPT_ORIGINAL,
    "fault": Status.COMPLETED,  # the encoder fails once, by its own fault
    "faults": Status.FAILED,  # and again and again
    "broken": Status.FAILED,  # which the probe sees
    "rotten": Status.FAILED,  # which only the encoder sees
}
LENGTH_BYTES = 120


def film(story: str, serial: int) -> bytes:
    return f"{story}|{serial}|".encode().ljust(LENGTH_BYTES, b".")


def story_of(content: bytes) -> str:
    return content.partition(b"|")[0].decode()


def is_result(body: bytes, source: bytes, attempt: int) -> bool:
    return body.startswith(_result(source, attempt))


def _result(source: bytes, attempt: int) -> bytes:
    return f"{attempt}:{hashlib.md5(source).hexdigest()}:".encode()


class Mediaconvert(Encoder):
    """MediaConvert over the storage: probes, encodes, and says what it did.

    Attributes:
        events: `detail` of what happened, for whoever delivers them.
    """

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self._storage = storage
        self.events: list[dict[str, Any]] = []

    def probe(self, url: str) -> dict[str, Any]:
        source = self._storage.read(TEMP, url.removeprefix(f"s3://{TEMP}/"))
        if story_of(source) == "broken":
            raise Rejected("The video is damaged or incomplete.")
        return {"story": story_of(source)}

    def create_job(
        self, settings: Mapping[str, Any], *, job_id: str, attempt: int, workflow: str
    ) -> str:
        made = super().create_job(settings, job_id=job_id, attempt=attempt, workflow=workflow)
        self.events.append(event(self.jobs[-1], "PROGRESSING"))
        return made

    def cancel_job(self, encoder_job_id: str) -> None:
        found = [job for job in self.jobs if job["Id"] == encoder_job_id]
        if found and found[0]["Status"] == "SUBMITTED":
            self.events.append(self.end(encoder_job_id, "CANCELED"))

    @property
    def waiting(self) -> list[dict[str, Any]]:
        return [job for job in self.jobs if job["Status"] == "SUBMITTED"]

    def work(self, job: dict[str, Any]) -> None:
        """Do this job to its end."""
        attempt, settings = int(job["UserMetadata"]["attempt"]), job["Settings"]
        source_key = settings["Inputs"][0]["FileInput"].removeprefix(f"s3://{TEMP}/")
        if not self._storage.exists(TEMP, source_key):
            self.events.append(self.end(job["Id"], "ERROR", errorCode=1404, errorMessage="x"))
            return
        source = self._storage.read(TEMP, source_key)
        key = _target(settings)
        if key is None:
            self.events.append(self.end(job["Id"], "COMPLETE"))
            return
        is_first = self._is_first(job)
        code = _error_code(story_of(source), is_first)
        if code is not None:
            self.events.append(self.end(job["Id"], "ERROR", errorCode=code, errorMessage="x"))
            return
        body = _result(source, attempt) + (b"first" if is_first else b"")
        self._storage.put(TEMP, key, body, content_type="video/mp4")
        self.events.append(event(job, "STATUS_UPDATE", jobProgress={"jobPercentComplete": 40}))
        self.events.append(self.end(job["Id"], "COMPLETE"))

    def _is_first(self, job: dict[str, Any]) -> bool:
        """Whether it is the job's first attempt at the whole film."""
        mine = job["UserMetadata"]["job_id"]
        whole = [j for j in self.jobs if _target(j["Settings"])]
        mine_first = next(j for j in whole if j["UserMetadata"]["job_id"] == mine)
        return bool(mine_first["UserMetadata"]["attempt"] == job["UserMetadata"]["attempt"])


def _target(settings: Mapping[str, Any]) -> str | None:
    """The key of the encoded film; None when only samples are encoded."""
    group = settings["OutputGroups"][0]["OutputGroupSettings"]["FileGroupSettings"]
    key = str(group["Destination"]).removeprefix(f"s3://{TEMP}/")
    return f"{key}.mp4" if key.endswith("/encoded") else None


def _error_code(story: str, is_first: bool) -> int | None:
    if story == "faults" or (story == "fault" and is_first):
        return 1999
    return {"no decoder": 1030, "rotten": 1075}.get(story)


def facts(probed: Mapping[str, Any], size_bytes: int) -> MediaFacts:
    """300 MB and a minute, because a film of 120 bytes is not worth a plan."""
    video = a_video(hdr="HDR10") if probed["story"] == "hdr" else a_video()
    return some_facts(video=video, size_bytes=300_000_000)


def measuring(storage: Storage) -> Any:
    """`chalicelib.measuring.measure` over the storage."""

    def measure(
        ffmpeg: Any,
        *,
        source: Clip,
        result: Clip,
        sampling: Any,
        progress: Progress | None,
        remaining_s: Any,
    ) -> Measurement | Progress:
        original = storage.read(TEMP, urlsplit(source.url).path[1:])
        made = storage.read(TEMP, urlsplit(result.url).path[1:])
        if story_of(original) == "long" and progress is None:
            return Progress(windows_done=1)
        attempt = int(made.partition(b":")[0])
        if not is_result(made, original, attempt):
            return a_measurement(decode_errors=1, first_errors=("not this film",))
        story = story_of(original)
        low = story == "hopeless" or (story == "low" and made.endswith(b"first"))
        return a_measurement(score=a_score(mean=0.90)) if low else a_measurement()

    return measure
