"""MediaConvert's stand-in for one file of this machine, without a server: what a file is made of,
and what a job makes of it. For dry runs and benchmarks."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from chalicelib.domain import keys
from chalicelib.domain.encoding import modifier, search_settings
from chalicelib.domain.errors import Rejected
from chalicelib.domain.media import MediaFacts, facts_from_probe
from chalicelib.domain.mp4 import Mp4Error, Pictures, Survey, pictures, survey
from chalicelib.domain.plan import Plan
from chalicelib.domain.points import point
from chalicelib.domain.search import Point
from chalicelib.steps.choose import frame_scores
from slimreel.local import ACCOUNT_ID
from slimreel.local.mediaconvert import probe, source, work
from slimreel.local.mediaconvert.errors import JobError, Unreadable
from slimreel.local.mediaconvert.job import Job

_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/encoder"
_BUCKET = "files"
#: Every job and attempt here is the first of its folder.
_JOB_ID = "0" * keys.JOB_ID_LENGTH


class EncodeFailed(Exception):
    """The stand-in ended a job with an error; the message is its own."""


def facts_of(path: Path) -> MediaFacts:
    """What a file is made of, as the step Inspect finds it.

    Raises:
        Rejected: it is damaged or no video at all.
    """
    try:
        found = source.read(path)
    except Unreadable as problem:
        raise Rejected("The file is not a video we can read.") from problem
    answer = probe.result(found, etag="", last_modified_s=0.0, name=path.name)
    facts = facts_from_probe(_renamed(answer, str.upper), path.stat().st_size)
    told = _survey(path)
    return replace(
        facts,
        writer=told.writer,
        activity=told.activity,
        beside=told.beside,
        odd_turn=told.odd_turn,
        pace=told.pace,
    )


def encode_samples(path: Path, plan: Plan, facts: MediaFacts, folder: Path) -> tuple[Point, ...]:
    """Encode a search's samples and read what came of them, as the steps Encode and Choose do.

    Raises:
        EncodeFailed: the encoder refuses the file.
    """
    assert plan.search is not None and facts.video is not None
    settings = search_settings(
        plan,
        plan.search,
        source_url=_url(path.name),
        destination_url=_url(keys.samples_url_key(_JOB_ID, 1)),
        frame_rate=facts.video.frame_rate,
    )
    encode(path, settings, folder)
    found = []
    for level in plan.search.levels:
        film = folder / keys.sample_key(_JOB_ID, 1, modifier(level))
        metric = plan.search.metric
        table = folder / keys.sample_metric_key(_JOB_ID, 1, modifier(level), metric)
        scores = frame_scores(table.read_text())
        size_bytes = film.stat().st_size
        found.append(point(plan.search, level, scores, _pictures(film), size_bytes))
    return tuple(found)


def encode(path: Path, settings: Mapping[str, Any], folder: Path) -> None:
    """Run one job's settings (boto3's spelling) on a file; outputs land in `folder` by their keys.

    Raises:
        EncodeFailed: the encoder refuses the file.
    """
    job = Job(
        number=1,
        job_id="1-a",
        arn="arn",
        queue_arn="queue",
        body={"role": _ROLE, "settings": _renamed(dict(settings), str.lower)},
        now_s=0.0,
    )
    job.settings["inputs"][0]["fileInput"] = _url(path.name)
    report = work.Report(
        opened=lambda url, found: None,
        warned=lambda code, text: None,
        progress=lambda phase, whole, part, frames: None,
    )
    scratch = folder / "work"
    try:
        work.perform(
            job,
            store=_Folder(path, folder),
            account_id=ACCOUNT_ID,
            folder=scratch,
            report=report,
        )
    except JobError as error:
        raise EncodeFailed(error.message) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Folder:
    """One file in, a folder out."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder

    def object_path(self, bucket: str, key: str) -> Path:
        return self._path

    def put_file(self, bucket: str, key: str, path: Path, *, content_type: str) -> None:
        target = self._folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)

    def has_bucket(self, bucket: str) -> bool:
        return True


def _url(key: str) -> str:
    return f"s3://{_BUCKET}/{key}"


def _survey(path: Path) -> Survey:
    try:
        with path.open("rb") as file:
            return survey(lambda start, length: _at(file, start, length), path.stat().st_size)
    except Mp4Error:
        return Survey()


def _pictures(path: Path) -> Pictures | None:
    with path.open("rb") as file:
        return pictures(lambda start, length: _at(file, start, length), path.stat().st_size)


def _at(file: Any, start: int, length: int) -> bytes:
    file.seek(start)
    return bytes(file.read(length))


def _renamed(value: Any, change: Any) -> Any:
    """Members by boto3's names, or by those of the wire: only the first letter differs. Names that
    we gave ("Audio Selector 1") are no members."""
    if isinstance(value, Mapping):
        return {
            change(name[:1]) + name[1:] if name.isidentifier() else name: _renamed(item, change)
            for name, item in value.items()
        }
    return [_renamed(item, change) for item in value] if isinstance(value, list) else value
