"""The guards: lines that keep the promises, and for each a short run that fails without it.

    python -m bench.crash.guards [NAME …]

Each guard is tried twice: with the line, and in a copy of the project without it. The run with it
must hold the invariant, the run without it must break the rule named here. What is guarded twice
cannot be shown this way and is not listed; docs/crash-matrix.md names it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.crash.boundary import ENCODED, INVOKE, Boundary, When
from bench.crash.clips import KINDS, Clip, stocked
from bench.crash.invariant import Violation, rules
from bench.crash.plan import Act, Kill, Life, Plan
from bench.crash.project import SECONDS, Edit, copy_project
from bench.crash.run import Run
from bench.crash.shelf import SHELF
from slimreel.local.faults import Fault
from slimreel.paths import PROJECT_DIR

#: Guards' runs are so short that nothing in them waits for longer.
STUCK_S = 45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """
    Attributes:
        what: what it guards against, in one sentence.
        without: the edits that take it away.
        lives: the run in which it is missed.
        breaks: rules of the invariant one of which is broken without it.
    """

    name: str
    what: str
    without: tuple[Edit, ...]
    lives: tuple[Life, ...]
    breaks: tuple[str, ...]


def _drop(kind: str, file: int = 1) -> Act:
    clip = Clip(kind=kind, variant=1)
    return Act(verb="drop", file=file, name=f"take {file}{KINDS[kind].extension}", clip=clip)


def _life(*acts: Act, faults: tuple[Fault, ...] = (), kill: Kill | None = None) -> Life:
    return Life(acts=acts, faults=faults, kill=kill)


def _kill(service: str, operation: str, when: When, nth: int = 1) -> Kill:
    return Kill(boundary=Boundary(service=service, operation=operation, when=when), nth=nth)


_PEACE = _life()
_NO_PUSH = Fault(service="drive", operation="notification", drop=True, times=1000)

GUARDS = (
    Guard(
        name="email-mark",
        what="An email that was sent is marked, and a step that is run again does not send it.",
        without=(
            Edit(
                path="chalicelib/steps/notify.py",
                old="    if mark in job.notices_sent or job.digest_since is not None:\n",
                new="    if job.digest_since is not None:\n",
            ),
            # Whoever sent it claimed it before, which alone would keep the next one for minutes.
            Edit(
                path="chalicelib/steps/notify.py",
                old="    if job.notice_claim is not None:\n",
                new="    if False:\n",
            ),
        ),
        lives=(
            _life(
                _drop("starved"),
                faults=(
                    Fault(
                        service="lambda",
                        operation=f"{INVOKE}announce",
                        drop=True,
                        after_effect=True,
                    ),
                ),
            ),
        ),
        breaks=("email",),
    ),
    Guard(
        name="open-until-told",
        what="A job stays listed as open until people were told, so that reconcile tells them.",
        without=(
            Edit(
                path="chalicelib/adapters/records.py",
                old='        if unsettled or ("status" in changes and changes["status"].is_open):\n'
                '            expression.set("open", "1")\n',
                new='        if unsettled or "status" in changes:\n'
                '            is_open = unsettled or changes["status"].is_open\n'
                '            expression.set("open", "1" if is_open else None)\n',
            ),
        ),
        lives=(_life(_drop("starved"), kill=_kill("sns", "Publish", When.BEFORE)), _PEACE),
        breaks=("email",),
    ),
    Guard(
        name="create-once",
        what="DynamoDB decides that the same drop is the same job.",
        without=(
            Edit(
                path="chalicelib/adapters/records.py",
                old='return self._put(item, "attribute_not_exists(pk)")',
                new='return self._put(item, "attribute_exists(pk) OR attribute_not_exists(pk)")',
            ),
        ),
        lives=(
            # By the time of the renaming it is over, because the stack was killed at its end.
            _life(_drop("starved"), kill=_kill("lambda", f"{INVOKE}announce", When.AFTER)),
            _life(Act(verb="rename", file=1, name="renamed.mp4")),
        ),
        breaks=("end", "stuck", "published", "email"),
    ),
    Guard(
        name="token-after-start",
        what="The change log's page token moves on after the jobs of its changes were made.",
        without=(
            Edit(
                path="chalicelib/steps/sync.py",
                old="        if not _start_new(reading, of, "
                "(change.file for change in page.changes if change.file)):\n",
                new="        token = page.next_page_token or page.new_start_page_token\n"
                "        reading.reached(of, str(token))\n"
                "        if not _start_new(reading, of, "
                "(change.file for change in page.changes if change.file)):\n",
            ),
        ),
        lives=(_life(_drop("starved"), kill=_kill("dynamodb", "PutItem", When.BEFORE)), _PEACE),
        breaks=("end", "stuck"),
    ),
    Guard(
        name="late-event",
        what="An event of attempt 1 does not end attempt 2: attempt and encode are compared.",
        without=(
            Edit(
                path="chalicelib/steps/encode_changed.py",
                old=' or str(job.attempt) != metadata.get("attempt"):\n',
                new=":\n",
            ),
            Edit(
                path="chalicelib/steps/encode_changed.py",
                old='    if job.encoder_job_id not in (None, detail["jobId"]):\n',
                new="    if False:\n",
            ),
        ),
        lives=(
            _life(
                _drop("grainy"),
                faults=(
                    Fault(service="events", operation=ENCODED, repeat_after_s=8),
                    Fault(service="mediaconvert", operation="RunJob", nth=2, delay_s=25),
                ),
            ),
        ),
        breaks=("end",),
    ),
    Guard(
        name="checksum",
        what="A copy whose bytes are not the file's is thrown away and made again.",
        without=(
            Edit(
                path="chalicelib/steps/fetch.py",
                old="        if md5 != job.md5:\n",
                new="        if False:\n",
            ),
        ),
        lives=(
            _life(
                _drop("starved"),
                faults=(Fault(service="drive", operation="files.get_media", flip_byte=2_500),),
            ),
        ),
        breaks=("published",),
    ),
    Guard(
        name="abort-uploads",
        what="Unfinished uploads are removed with everything else that was temporary.",
        without=(
            Edit(
                path="chalicelib/adapters/storage.py",
                old='            for upload in page.get("Uploads", []):\n'
                '                self.abort_upload(bucket, upload["Key"], upload["UploadId"])\n',
                new='            for upload in page.get("Uploads", []):\n                pass\n',
            ),
        ),
        lives=(
            _life(_drop("heavy"), kill=_kill("s3", "CreateMultipartUpload", When.AFTER)),
            _PEACE,
        ),
        breaks=("left over",),
    ),
    Guard(
        name="sweep",
        what="What a push missed is found by the sweep.",
        without=(
            Edit(
                path="chalicelib/triggers.py",
                old="    swept(services(), sync(services()))\n",
                new="    swept(services(), 0)\n",
            ),
        ),
        lives=(_life(_drop("starved"), faults=(_NO_PUSH,)),),
        breaks=("end", "stuck"),
    ),
    Guard(
        name="requeue-rows",
        what="Rows whose message was lost are queued again.",
        without=(
            Edit(
                path="chalicelib/triggers.py",
                old="    requeue(services())\n",
                new="    pass\n",
            ),
        ),
        lives=(
            _life(
                _drop("starved"),
                faults=(
                    Fault(service="airtable", operation="records.upsert", status=503, times=500),
                ),
                kill=_kill("lambda", f"{INVOKE}announce", When.AFTER),
            ),
            _PEACE,
        ),
        breaks=("stuck",),
    ),
)


def tried(
    guard: Guard, folder: Path, *, removed: bool, project: Path = PROJECT_DIR
) -> list[Violation]:
    """What a guard's run finds, with the guard or without it.

    Raises:
        EditMissed: the guard's lines are not in the project.
    """
    edits = (*SECONDS, *(guard.without if removed else ()))
    run = Run(
        Plan(seed=0, lives=guard.lives),
        project=copy_project(folder / "project", edits, source=project),
        folder=folder,
        shelf=stocked(SHELF),
        stuck_s=STUCK_S,
    )
    outcome = run.play()
    for kill in outcome.missed:
        outcome.findings.say("not reached", str(kill), "the run shows nothing")
    return outcome.findings.violations


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.crash.guards", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which guards (default: all)")
    parser.add_argument("--project", type=Path, default=PROJECT_DIR, metavar="DIR")
    options = parser.parse_args(argv)
    chosen = [guard for guard in GUARDS if not options.names or guard.name in options.names]
    missed = 0
    for guard in chosen:
        begun = time.monotonic()
        kept = _found(guard, removed=False, project=options.project)
        lost = _found(guard, removed=True, project=options.project)
        good = not kept and any(rule in guard.breaks for rule in rules(lost))
        missed += not good
        print(
            f"{'ok    ' if good else 'MISSED'} {guard.name:20} with it: {_said(kept)}; "
            f"without: {_said(lost)}  ({time.monotonic() - begun:.0f} s)",
            flush=True,
        )
    print(f"guards: {len(chosen) - missed} of {len(chosen)} are missed when they are gone")
    return 1 if missed else 0


def _found(guard: Guard, *, removed: bool, project: Path) -> list[Violation]:
    SHELF.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="crash-guard-", dir=SHELF.parent.parent))
    try:
        return tried(guard, folder, removed=removed, project=project)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _said(violations: list[Violation]) -> str:
    return "; ".join(map(str, violations[:3])) or "nothing wrong"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
