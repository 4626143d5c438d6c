"""What should come of everything that was dropped: the model that the world is compared with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.crash.clips import Clip, End

WORKFLOW = "compress"


def job_id_of(file_id: str, md5: str) -> str:
    """The id that this content of this Drive file must have, worked out from the documentation
    (docs/architecture.md) and not by the code under test.
    """
    identity = "\n".join(("drive", file_id, md5, WORKFLOW))
    return hashlib.sha256(identity.encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One content of one Drive file.

    Attributes:
        ends: how its job may end. One for what stayed in the folder; more where a person replaced
            or binned it, maybe before anybody looked.
    """

    file_id: str
    job_id: str
    clip: Clip
    sha256: str
    size_bytes: int
    ends: frozenset[End]


@dataclass
class Model:
    """Every version there has been, and the files as they must be now."""

    shelf: Path
    versions: dict[str, Version] = field(default_factory=dict)  # by job id
    current: dict[str, Version] = field(default_factory=dict)  # by file id
    names: dict[str, str] = field(default_factory=dict)  # by file id
    binned: set[str] = field(default_factory=set)  # file ids

    def arrived(self, file_id: str, name: str, clip: Clip) -> None:
        """A file was dropped, or its content replaced."""
        before = self.current.get(file_id)
        content = clip.path(self.shelf).read_bytes()
        job_id = job_id_of(file_id, hashlib.md5(content, usedforsecurity=False).hexdigest())
        if before is not None and before.job_id != job_id:
            self._may_be_missed(before)
        known = self.versions.get(job_id)  # a file may come back to what it was
        version = Version(
            file_id=file_id,
            job_id=job_id,
            clip=clip,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            ends=known.ends if known else frozenset({clip.end}),
        )
        self.versions[job_id] = self.current[file_id] = version
        self.names[file_id] = name

    def renamed(self, file_id: str, name: str) -> None:
        self.names[file_id] = name

    def put_in_bin(self, file_id: str) -> None:
        self.binned.add(file_id)
        self._may_be_missed(self.current[file_id])

    def cancelled(self, job_id: str) -> None:
        """A person cancelled a job, and was told that it is."""
        self._end_as(self.versions[job_id], frozenset({End.CANCELLED}))

    def _may_be_missed(self, version: Version) -> None:
        """Its job may have ended before, or fail because of it, or never have begun."""
        if version.ends != {End.CANCELLED}:
            self._end_as(version, version.ends | {End.FAILED, End.NO_JOB})

    def _end_as(self, version: Version, ends: frozenset[End]) -> None:
        changed = replace(version, ends=ends)
        self.versions[version.job_id] = changed
        if self.current.get(version.file_id) == version:
            self.current[version.file_id] = changed
