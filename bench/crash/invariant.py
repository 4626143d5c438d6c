"""The invariant: what must hold once everything is quiet, whatever happened before."""

from __future__ import annotations

import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import requests

from bench.crash.clips import End
from bench.crash.model import WORKFLOW, Model, Version
from bench.crash.world import Mail, World

#: The email that goes with each end.
_KINDS = {
    End.COMPLETED: "completed",
    End.KEPT: "kept",
    End.FAILED: "failed",
    End.CANCELLED: "cancelled",
}
#: A result that saves less than a tenth is never published (workflows/compress.toml).
_WORTH_HAVING = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Violation:
    """Something that must not be. `rule` is one of the names in docs/crash-matrix.md."""

    rule: str
    about: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.about}: {self.what}"


@dataclass
class Deaths:
    """What is known about emails at each death of the stack, oldest first.

    Attributes:
        at: when it died, seconds since 1970.
        told: the (job, kind) that were marked as sent on the dead stack's disk.
    """

    at: list[float] = field(default_factory=list)
    told: list[Counter[tuple[str, str]]] = field(default_factory=list)

    def excuses(self, first: Mail, second: Mail) -> bool:
        """Whether a stack died between an email's leaving and its mark: nobody can know then
        whether it left.
        """
        return any(
            first.at <= died_at <= second.at and not told[first.job_id, first.kind]
            for died_at, told in zip(self.at, self.told, strict=True)
        )


@dataclass
class Findings:
    """
    Attributes:
        ends: how many versions ended in which way.
        second_emails: excused ones; see `Deaths.excuses`.
    """

    violations: list[Violation] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    second_emails: list[str] = field(default_factory=list)

    def say(self, rule: str, about: str, what: str) -> None:
        self.violations.append(Violation(rule=rule, about=about, what=what))


def check(world: World, model: Model, deaths: Deaths, folder: Path) -> Findings:
    """Compare the world with the model.

    Args:
        folder: for downloads; what is in it afterwards is of no use.
    """
    findings = Findings()
    check = _Check(world, model, deaths, folder, findings)
    check.jobs()
    check.nothing_else()
    check.temporary()
    check.encodes()
    check.drive()
    return findings


class _Check:
    def __init__(
        self, world: World, model: Model, deaths: Deaths, folder: Path, findings: Findings
    ) -> None:
        self._world, self._model, self._deaths = world, model, deaths
        self._folder, self._findings = folder, findings
        self._say = findings.say
        self._rows = world.rows()
        self._published: dict[str, list[str]] = defaultdict(list)  # keys by job id
        for key in world.objects(world.published_bucket):
            self._published[_job_in(key, f"{WORKFLOW}/")].append(key)
        self._mails: dict[str, list[Mail]] = defaultdict(list)
        for mail in world.mails():
            self._mails[mail.job_id].append(mail)
        self._films: dict[str, str | None] = {}  # sha256 -> what is wrong with the film
        self._ends: dict[str, End] = {}

    def jobs(self) -> None:
        for version in self._model.versions.values():
            end = self._end_of(version)
            self._findings.ends[end.value] += 1
            self._ends[version.job_id] = end
            if end not in version.ends:
                expected = " or ".join(sorted(end.value for end in version.ends))
                self._say("end", _name(version), f"ended as {end.value}, not {expected}")
            self._check_row(version, end)
            self._check_published(version, end)
            self._check_mails(version, end)

    def _end_of(self, version: Version) -> End:
        """By its row; how the job ended is what people see."""
        rows = self._rows.get(version.job_id, [])
        told = {row.get("Status") for row in rows}
        found = [end for end in End if end.value in told]
        return found[0] if found else End.NO_JOB

    def _check_row(self, version: Version, end: End) -> None:
        rows = self._rows.get(version.job_id, [])
        if len(rows) > 1:
            self._say("row", _name(version), f"has {len(rows)} rows")
        for row in rows:
            if end is End.NO_JOB:
                self._say("row", _name(version), f"is left at {row.get('Status')}")
            elif not row.get("Reason"):
                self._say("row", _name(version), "has no reason in its row")

    def _check_published(self, version: Version, end: End) -> None:
        keys = self._published.get(version.job_id, [])
        wanted = 1 if end in (End.COMPLETED, End.KEPT) else 0
        if len(keys) != wanted:
            self._say("published", _name(version), f"has {len(keys)} published results: {keys}")
        for key in keys:
            target = self._folder / "published"
            found = self._world.fetched(self._world.published_bucket, key, target)
            if end is End.KEPT and found.sha256 != version.sha256:
                self._say("published", _name(version), f"{key} differs from the original")
            if end is End.COMPLETED:
                self._check_film(version, key, found.sha256, target)
            if wanted:
                self._check_link(version, found.sha256)

    def _check_film(self, version: Version, key: str, sha256: str, path: Path) -> None:
        source = version.clip.path(self._model.shelf)
        if path.stat().st_size > _WORTH_HAVING * version.size_bytes:
            self._say("published", _name(version), f"{key} saves too little")
        if sha256 not in self._films:
            self._films[sha256] = _flaw(path) or _difference(path, source)
        if flaw := self._films[sha256]:
            self._say("published", _name(version), f"{key}: {flaw}")

    def _check_link(self, version: Version, sha256: str) -> None:
        for row in self._rows.get(version.job_id, []):
            link = row.get("Compressed URL", "")
            try:
                found = self._world.followed(link, self._folder / "followed")
            except requests.RequestException as dead:
                self._say("row", _name(version), f"its link is dead: {dead}")
                continue
            if found.sha256 != sha256:
                self._say("row", _name(version), "its link leads elsewhere")

    def _check_mails(self, version: Version, end: End) -> None:
        mails = self._mails.get(version.job_id, [])
        wanted = _KINDS.get(end)
        if wanted is not None and not any(mail.kind == wanted for mail in mails):
            self._say("email", _name(version), f"nobody was told that it {wanted}")
        by_kind: dict[str, list[Mail]] = defaultdict(list)
        for mail in mails:
            by_kind[mail.kind].append(mail)
        for kind, sent in by_kind.items():
            if kind != wanted:
                self._say("email", _name(version), f"ended as {end.value}; told: {kind}")
            for first, second in pairwise(sent):
                if self._deaths.excuses(first, second):
                    self._findings.second_emails.append(f"{_name(version)}: {kind}")
                else:
                    self._say("email", _name(version), f"told twice that it {kind}")

    def nothing_else(self) -> None:
        """No rows, results, emails or records about anything that was never dropped."""
        known = {job_id for job_id, end in self._ends.items() if end is not End.NO_JOB}
        records = {job["pk"].removeprefix("job#") for job in self._world.jobs()}
        for job_id in known - records:
            self._say("record", job_id, "has a row and no record")
        seen = {"rows": set(self._rows), "results": set(self._published)}
        seen |= {"emails": set(self._mails), "record": records}
        for what, about in seen.items():
            for job_id in about - known:
                self._say("stray", job_id or "nobody", f"{what} about no job")

    def temporary(self) -> None:
        for key in self._world.objects(self._world.temp_bucket):
            job_id = _job_in(key, "jobs/")
            if self._ends.get(job_id) is not End.FAILED:
                end = self._ends.get(job_id)
                self._say("left over", key, f"its job ended as {end.value if end else 'nothing'}")
        for upload in self._world.open_uploads():
            self._say("left over", upload, "an open multipart upload")

    def encodes(self) -> None:
        """Every attempt was paid for once."""
        count = Counter(
            (job["UserMetadata"]["job_id"], job["UserMetadata"]["attempt"])
            for job in self._world.encodes()
        )
        for (job_id, attempt), times in count.items():
            if times > 1:
                self._say("encode", job_id, f"attempt {attempt} was encoded {times} times")
        for trouble in self._world.unrest():
            self._say("stuck", trouble, "when everything should have been quiet")

    def drive(self) -> None:
        files = self._world.drive_files()
        for file_id, version in self._model.current.items():
            file = files.get(file_id)
            if file is None:
                self._say("original", _name(version), "is gone from Drive")
                continue
            if file["sha256"] != version.sha256:
                self._say("original", _name(version), "was changed")
            if file["name"] != self._model.names[file_id]:
                self._say("original", _name(version), f"is called {file['name']!r} now")
            if file["trashed"] != (file_id in self._model.binned):
                self._say("original", _name(version), f"in the bin: {file['trashed']}")


def _name(version: Version) -> str:
    return f"{version.job_id} ({version.clip.kind} {version.clip.variant})"


def _job_in(key: str, prefix: str) -> str:
    return key.removeprefix(prefix).partition("/")[0]


def _flaw(film: Path) -> str | None:
    """What ffmpeg says against a film when it decodes all of it; None when nothing."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-xerror", "-nostdin"]
    argv += ["-protocol_whitelist", "file", "-i", f"file:{film}", "-f", "null", "-"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    said = done.stderr.strip()
    return said or None if done.returncode == 0 else f"cannot be decoded: {said[-200:]}"


def _difference(film: Path, source: Path) -> str | None:
    """Whether pictures or tracks are missing; ours to compare, by another library than theirs."""
    ours, theirs = _counted(film), _counted(source)
    return None if ours == theirs else f"holds {dict(ours)}, its original {dict(theirs)}"


def _counted(film: Path) -> Mapping[str, Any]:
    with av.open(str(film)) as container:
        picture = container.streams.video[0]
        tracks = len(container.streams.audio)
        size = (picture.codec_context.width, picture.codec_context.height)
        frames = sum(1 for _ in container.decode(picture))
    return {"pictures": frames, "size": size, "audio tracks": tracks}


def rules(violations: list[Violation]) -> Iterator[str]:
    """Each broken rule once."""
    return iter(dict.fromkeys(one.rule for one in violations))
