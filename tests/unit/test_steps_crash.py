"""A process may die between any two lines: whole jobs, killed once at every call they make.

The flow is the one of `workflows/compress.asl.json`: a step that died is called again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.domain.errors import SlimreelError
from chalicelib.domain.job import Job, Status
from chalicelib.domain.measurement import Measurement
from chalicelib.steps import inspect as inspect_step
from chalicelib.steps import measure as measure_step
from chalicelib.steps import sync as sync_step
from chalicelib.steps.reconcile import reconcile
from tests.examples import a_measurement, a_score, a_video, a_workflow, some_facts
from tests.fakes import COMPRESSED, INBOX, TEMP, Killed, World, event

SOURCE = bytes(range(256)) * 4
RESULT = b"much smaller"
#: Of a film that is long enough to be sampled first.
LONG_S = 60.0
TUESDAY = datetime(2026, 5, 5, tzinfo=UTC)
LOW = a_measurement(score=a_score(mean=0.90))


@dataclass
class Story:
    """What happens to a video, and how it must end."""

    status: Status
    encodes: int = 1
    measured: tuple[Measurement, ...] = (a_measurement(),)
    endings: tuple[dict[str, Any], ...] = ()
    published: bytes | None = RESULT
    kind: str = "completed"
    lost_events: bool = False
    length_s: float = 10.0
    sample_bytes: int = 100_000


STORIES = {
    "smaller": Story(Status.COMPLETED),
    "retried at a higher level": Story(
        Status.COMPLETED, encodes=2, measured=(LOW, a_measurement())
    ),
    "no level is good enough": Story(
        Status.KEPT_ORIGINAL, encodes=2, measured=(LOW,) * 2, published=SOURCE, kind="kept"
    ),
    "the encoder fails once": Story(
        Status.COMPLETED, encodes=2, endings=({"status": "ERROR", "errorCode": 1999},)
    ),
    "the encoder keeps failing": Story(
        Status.FAILED,
        encodes=3,
        endings=({"status": "ERROR", "errorCode": 1999},) * 3,
        published=None,
        kind="failed",
    ),
    "no decoder": Story(
        Status.KEPT_ORIGINAL,
        endings=({"status": "ERROR", "errorCode": 1030},),
        published=SOURCE,
        kind="kept",
    ),
    "damaged": Story(
        Status.FAILED,
        endings=({"status": "ERROR", "errorCode": 1075},),
        published=None,
        kind="failed",
    ),
    "every event is lost": Story(Status.COMPLETED, lost_events=True),
    "searched": Story(Status.COMPLETED, encodes=2, length_s=LONG_S),
    "searched, and every event is lost": Story(
        Status.COMPLETED, encodes=2, length_s=LONG_S, lost_events=True
    ),
    "samples say that it would not pay": Story(
        Status.KEPT_ORIGINAL,
        length_s=LONG_S,
        sample_bytes=1_000_000,
        published=SOURCE,
        kind="kept",
    ),
    "the search fails once": Story(
        Status.COMPLETED,
        encodes=3,
        length_s=LONG_S,
        endings=({"status": "ERROR", "errorCode": 1999},),
    ),
    "the search cannot be made": Story(
        Status.COMPLETED,
        encodes=2,
        length_s=LONG_S,
        endings=({"status": "ERROR", "errorCode": 1060},),
    ),
    "no decoder for samples": Story(
        Status.KEPT_ORIGINAL,
        length_s=LONG_S,
        endings=({"status": "ERROR", "errorCode": 1030},),
        published=SOURCE,
        kind="kept",
    ),
}


class Cloud:
    """Step Functions, Lambda and MediaConvert, as far as one job notices them."""

    def __init__(self, world: World, story: Story) -> None:
        self.world, self.story = world, story
        self._tokens = 0
        self._endings = list(story.endings)

    def run(self, work: Callable[[], Any]) -> Any:
        """Call until it does not die."""
        for _ in range(3):
            try:
                return work()
            except Killed:
                self.world.peril.revive()
        raise AssertionError("killed more than once")

    def step(self, name: str, **state: Any) -> dict[str, Any]:
        event = {"job_id": self.job_id, "run": 1, **state}
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
        return self.run(lambda: triggers.step(name, event, context))

    def play(self) -> None:
        """From the drop to the end of the execution."""
        self.run(triggers.sweep_drive)
        self.run(triggers.sweep_drive)  # who died holding the lease is taken over
        [(_, name, state)] = self.world.flows.started
        self.job_id = state["job_id"]
        try:
            self._play()
            self.world.flows.executions[name] = "SUCCEEDED"
        except SlimreelError as error:
            cause = json.dumps({"errorMessage": str(error)})
            self.step("fail", error={"Error": type(error).__name__, "Cause": cause})
            self.world.flows.executions[name] = "FAILED"
            detail = {"name": name, "status": "FAILED", "error": "JobFailed", "cause": "x"}
            self.run(lambda: triggers.execution_ended({"detail": detail}))

    def _play(self) -> None:
        self.step("register")
        while not self.step("fetch")["done"]:
            pass
        self.step("inspect")
        route = self.step("plan")["route"]
        while route in ("search", "encode"):
            answer, said = self._encode()
            if answer == "EncoderFault":
                route = self.step("plan")["route"]
                continue
            if answer == "NoDecoder":
                break
            if answer != "succeed":
                error = type(answer, (SlimreelError,), {})
                raise error(json.loads(said)["errorMessage"])
            if route == "search":
                route = self.step("choose")["route"]
                continue
            self.step("restore")
            while not self.step("measure")["done"]:
                pass
            if self.step("verify")["decision"] != "retry_higher":
                break
        self.step("publish")
        self.step("announce")

    def _encode(self) -> tuple[str, Any]:
        """Each try of the state has a token of its own; a try that died waits for nothing."""

        def one_try() -> dict[str, Any]:
            self._tokens += 1
            flows.waiting = {f"token-{self._tokens}"}
            event = {"job_id": self.job_id, "run": 1, "token": f"token-{self._tokens}"}
            context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
            return triggers.step("encode", event, context)

        flows, encoder = self.world.flows, self.world.encoder
        self.run(one_try)
        [open_job] = [job for job in encoder.jobs if job["Status"] == "SUBMITTED"]
        self._end(open_job)
        if flows.waiting:  # nobody answered: the event was lost, or its handler
            self.run(lambda: reconcile_later(self.world))
        [answer] = [answer for answer in flows.answers if answer[0] == f"token-{self._tokens}"]
        return answer[1], answer[2]

    def _end(self, encoder_job: dict[str, Any]) -> None:
        ending = dict(self._endings.pop(0)) if self._endings else {"status": "COMPLETE"}
        if ending["status"] == "COMPLETE":
            self._write(encoder_job["Settings"]["OutputGroups"][0])
        detail = self.world.encoder.end(encoder_job["Id"], ending.pop("status"), **ending)
        if not self.story.lost_events:
            self.run(lambda: triggers.encode_changed({"detail": detail}))
            self.run(lambda: triggers.encode_changed({"detail": detail}))  # at least once

    def _write(self, group: dict[str, Any]) -> None:
        """What MediaConvert writes: the film, or samples and their scores at each level."""
        destination = group["OutputGroupSettings"]["FileGroupSettings"]["Destination"]
        begins = destination.removeprefix(f"s3://{TEMP}/")
        for output in group["Outputs"]:
            modifier = output.get("NameModifier", "")
            body = bytes(self.story.sample_bytes) if modifier else RESULT
            put = self.world.storage.put
            put(TEMP, f"{begins}{modifier}.mp4", body, content_type="video/mp4")
            if modifier:
                score = 0.9 + int(modifier[2:]) / 1e4  # 0.92 at level 2
                table = "Display_ID,Value\n" + "".join(f"{n},{score}\n" for n in range(100))
                key = f"{begins}{modifier}_SSIM.csv"
                put(TEMP, key, f"{table}Average: {score}\n".encode(), content_type="text/csv")


def reconcile_later(world: World) -> None:
    reconcile(world.new_process())


@dataclass
class Stage:
    """Plays a story once, from the beginning, in a new world.

    Always from the same moment on, so that the same calls are made each time; and it is over long
    before the next Monday, when there is an email about the week, too.
    """

    monkeypatch: pytest.MonkeyPatch
    clock: datetime = TUESDAY

    def a_long_time_later(self) -> datetime:
        self.clock += timedelta(seconds=1000)
        return self.clock

    def play(self, story: Story, at: int | None = None) -> Cloud:
        self.clock = TUESDAY
        world = World(now=self.a_long_time_later)
        triggers_services = world.services
        self.monkeypatch.setattr(triggers, "services", lambda: triggers_services)
        self.length_s = story.length_s
        measured = list(story.measured)
        by_result: dict[str, Measurement] = {}

        def measure(ffmpeg: Any, *, result: Any, **_: Any) -> Measurement:
            # The same result measures the same, however often.
            name = result.url.partition("?")[0]
            if name not in by_result:
                by_result[name] = measured.pop(0)
            return by_result[name]

        self.monkeypatch.setattr(measure_step, "go_on", measure)
        triggers.sweep_drive()
        world.drive.add("Take 3.mov", SOURCE)
        world.peril.calls.clear()
        world.peril.at = at
        cloud = Cloud(world, story)
        cloud.play()
        return cloud


@pytest.fixture
def stage(monkeypatch) -> Stage:
    stage = Stage(monkeypatch)

    flows = {"compress": a_workflow(drive_folder=INBOX)}
    monkeypatch.setattr(sync_step, "all_workflows", lambda: flows)
    monkeypatch.setattr(
        inspect_step,
        "facts_from_probe",
        lambda probed, size_bytes: some_facts(
            size_bytes=6_000_000,
            duration_s=stage.length_s,
            video=a_video(duration_s=stage.length_s, bitrate_bps=None),
        ),
    )
    return stage


def check(cloud: Cloud, story: Story, died_at: str = "", *, emails: int = 1) -> None:
    """The end is the same whatever happened on the way."""
    world = cloud.world
    job = world.job(cloud.job_id)
    assert (job.status, job.run) == (story.status, 1), died_at
    assert job.reason, died_at
    per_attempt = [encode["UserMetadata"]["attempt"] for encode in world.encoder.jobs]
    assert len(per_attempt) == len(set(per_attempt)) == story.encodes, died_at
    assert [notice.kind for notice in world.topic.sent] == [story.kind] * emails, died_at
    check_files(world, job, story, died_at)
    check_row(world, job, died_at)
    assert list(world.records.open_jobs()) == [], died_at


def check_files(world: World, job: Job, story: Story, died_at: str) -> None:
    published = [at for at in world.storage.objects if at[0] == COMPRESSED]
    if story.published is None:
        assert published == [], died_at
        assert world.storage.exists(TEMP, str(job.source_key)), died_at
        return
    assert published == [(COMPRESSED, job.published_key)], died_at
    assert world.storage.objects[published[0]] == story.published, died_at
    assert job.published_size_bytes == len(story.published), died_at
    assert not [at for at in world.storage.objects if at[0] == TEMP], died_at
    assert not world.storage.uploads, died_at


def check_row(world: World, job: Job, died_at: str) -> None:
    triggers.requeue_rows()
    body = json.dumps({"job_id": world.queues.dirty[-1][0]})
    triggers.rows_changed({"Records": [{"messageId": "1", "body": body, "receiptHandle": "h"}]})
    [row] = world.airtable.rows.values()
    assert row["Status"] == job.status.value, died_at
    assert list(world.records.unsynced_jobs()) == [], died_at


@pytest.mark.parametrize("name", STORIES)
def test_a_job_ends_the_same_wherever_it_was_killed(stage: Stage, name: str) -> None:
    story = STORIES[name]
    undisturbed = stage.play(story)
    calls = list(undisturbed.world.peril.calls)
    check(undisturbed, story)
    assert len(calls) > 30
    # To die after one call is to die before the next: nothing happens outside in between.
    for at in range(1 + told_before(stage, name, calls), len(calls) + 1):
        cloud = stage.play(story, at)
        # Between the email and the mark that it was sent, and nowhere else, there may be two.
        emails = 2 if calls[at - 2] == "topic.publish" else 1
        check(cloud, story, f"before {calls[at - 1]}, call {at}", emails=emails)


def told_before(stage: Stage, name: str, calls: list[str]) -> int:
    """How many calls are those of the plainest story, which is killed at each of them itself."""
    if name == "smaller":
        return 0
    plainest = stage.play(STORIES["smaller"]).world.peril.calls
    pairs = zip(calls, plainest, strict=False)
    return next(number for number, (one, other) in enumerate(pairs) if one != other)


def test_the_second_attempt_asks_for_more(stage: Stage) -> None:
    world = stage.play(STORIES["retried at a higher level"]).world
    levels = [
        encode["Settings"]["OutputGroups"][0]["Outputs"][0]["VideoDescription"]["CodecSettings"][
            "H264Settings"
        ]["QvbrSettings"]["QvbrQualityLevel"]
        for encode in world.encoder.jobs
    ]
    assert levels == [8, 10]


def test_a_fault_of_the_encoder_does_not_undo_a_raised_level(stage: Stage) -> None:
    story = Story(
        Status.COMPLETED,
        encodes=3,
        measured=(LOW, a_measurement()),
        endings=({"status": "COMPLETE"}, {"status": "ERROR", "errorCode": 1999}),
    )
    cloud = stage.play(story)
    check(cloud, story)
    job = cloud.world.job(cloud.job_id)
    assert job.plan is not None and job.plan.qvbr_level == 10
    assert (job.attempt, job.first_attempt, job.encoder_faults) == (3, 2, 1)


def test_a_failed_encode_is_not_charged(stage: Stage) -> None:
    good = stage.play(STORIES["smaller"])
    faulty = stage.play(STORIES["the encoder fails once"])
    twice = stage.play(STORIES["retried at a higher level"])
    costs = [cloud.world.job(cloud.job_id).cost_usd for cloud in (good, faulty, twice)]
    assert costs[0] and costs[1] == costs[0] and costs[2] == pytest.approx(2 * costs[0])


def test_the_setting_the_search_found_is_taken(stage: Stage) -> None:
    cloud = stage.play(STORIES["searched"])
    job = cloud.world.job(cloud.job_id)
    assert job.plan is not None and job.plan.search is not None
    assert [point.level for point in job.plan.search.points] == [2.0, 5.0]
    assert job.plan.qvbr_level == job.plan.search.level == 4.67
    assert job.plan.reasons[0].startswith("Setting found by search: QVBR level 4.67, predicted")
    assert (job.attempt, job.first_attempt) == (2, 2)
    [film] = cloud.world.encoder.jobs[-1]["Settings"]["OutputGroups"][0]["Outputs"]
    settings = film["VideoDescription"]["CodecSettings"]["H264Settings"]["QvbrSettings"]
    assert settings == {"QvbrQualityLevel": 4, "QvbrQualityLevelFineTune": 0.67}


def test_a_search_is_charged_once_and_a_failed_one_not_at_all(stage: Stage) -> None:
    names = ("searched", "the search fails once", "the search cannot be made")
    costs = {name: stage.play(STORIES[name]) for name in names}
    usd = {name: cloud.world.job(cloud.job_id).cost_usd for name, cloud in costs.items()}
    assert usd["searched"] == usd["the search fails once"]
    cloud = costs["searched"]
    plan = cloud.world.job(cloud.job_id).plan
    assert plan is not None and plan.cost is not None and plan.cost.search_usd > 0
    assert usd["searched"] == pytest.approx(plan.cost.usd)
    assert usd["the search cannot be made"] == pytest.approx(plan.cost.encode_usd)


def test_a_late_event_of_the_search_does_not_end_the_encode(stage: Stage) -> None:
    cloud = stage.play(STORIES["searched"])
    world = cloud.world
    job = world.job(cloud.job_id)
    world.records.update(job.job_id, {"status": Status.PROCESSING, "outcome": None})
    search, film = world.encoder.jobs
    triggers.encode_changed({"detail": event(search, "ERROR", errorCode=1999)})
    assert world.job(job.job_id).outcome is None
    triggers.encode_changed({"detail": event(film, "COMPLETE")})
    assert world.job(job.job_id).outcome is not None
