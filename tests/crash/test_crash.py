"""The crash matrix: its plan, its model, its edits, and a short run of the whole.

The long one is `make crash`, the proof that each guard is missed when it is gone `make guards`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.crash import boundary
from bench.crash.boundary import STEPS, When, function
from bench.crash.clips import Clip, End
from bench.crash.guards import GUARDS
from bench.crash.invariant import Deaths
from bench.crash.model import Model, job_id_of
from bench.crash.plan import Plan, make_plan
from bench.crash.project import SECONDS, Edit, EditMissed
from bench.crash.world import Mail
from chalicelib.domain import keys
from slimreel.paths import PROJECT_DIR


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(1, jobs=200, kills=64)


def test_a_seed_is_a_plan(plan: Plan) -> None:
    assert make_plan(1, jobs=200, kills=64) == plan
    assert make_plan(2, jobs=200, kills=64).digest != plan.digest


def test_every_edge_of_every_step_is_in_the_plan(plan: Plan) -> None:
    planned = {life.kill.boundary for life in plan.lives if life.kill}
    assert {function(step, when) for step in STEPS for when in When} <= planned
    assert planned <= set(boundary.everything())
    drops = [act for act in plan.acts if act.verb in ("drop", "replace")]
    assert len(drops) == 200


def test_a_plan_replaces_renames_and_bins_only_what_was_dropped(plan: Plan) -> None:
    dropped: set[int] = set()
    for act in plan.acts:
        if act.verb == "drop":
            assert act.file not in dropped
            dropped.add(act.file)
        assert act.file in dropped


def test_faults_are_bounded_so_that_no_job_may_fail_of_them(plan: Plan) -> None:
    encoder_faults = [
        fault for life in plan.lives for fault in life.faults if fault.operation == "RunJob"
    ]
    assert len(encoder_faults) <= 2
    assert all(fault.times <= 3 for life in plan.lives for fault in life.faults)
    assert plan.lives[-1].faults == ()


def test_the_model_names_jobs_as_the_project_does() -> None:
    assert job_id_of("file-1", "d41d8cd9") == keys.job_id("compress", "file-1", "d41d8cd9")


def test_what_was_replaced_may_have_ended_or_not(tmp_path: Path) -> None:
    for name in ("film-1.mp4", "starved-1.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    model = Model(tmp_path)
    model.arrived("f", "a.mp4", Clip(kind="film", variant=1))
    model.arrived("f", "a.mp4", Clip(kind="starved", variant=1))
    old, new = model.versions.values()
    assert old.ends == {End.COMPLETED, End.FAILED, End.NO_JOB}
    assert new.ends == {End.KEPT}
    assert model.current == {"f": new}


def a_mail(at: float) -> Mail:
    return Mail(job_id="j", kind="failed", subject="Failed: x", at=at)


def test_a_second_email_is_excused_by_a_death_before_its_mark_only() -> None:
    deaths = Deaths()
    deaths.at.append(5.0)
    deaths.told.append({("j", "failed"): 0})
    assert deaths.excuses(a_mail(4), a_mail(9))
    assert not deaths.excuses(a_mail(6), a_mail(9))
    deaths.told[0]["j", "failed"] = 1
    assert not deaths.excuses(a_mail(4), a_mail(9))


def edits() -> list[Edit]:
    return [*SECONDS, *(edit for guard in GUARDS for edit in guard.without)]


@pytest.mark.parametrize("edit", edits(), ids=lambda edit: f"{edit.path}:{edit.old.strip()[:30]}")
def test_every_line_an_edit_changes_is_there(edit: Edit) -> None:
    text = (PROJECT_DIR / edit.path).read_text()
    assert edit.applied_to(text) != text


def test_the_guide_names_every_guard_and_rule() -> None:
    text = (PROJECT_DIR / "docs" / "crash-matrix.md").read_text()
    for guard in GUARDS:
        assert f"| `{guard.name}` | {guard.what} | {', '.join(guard.breaks)} |" in text
        assert all(rule in text for rule in guard.breaks)


def test_an_edit_of_what_is_not_there_fails() -> None:
    with pytest.raises(EditMissed):
        Edit(path="x.py", old="a line\n", new="").applied_to("another line\n")
    with pytest.raises(EditMissed):
        Edit(path="x.py", old="a", new="b").applied_to("aa")


@pytest.mark.timeout(600)  # a machine that does other things takes its time
def test_the_invariant_holds_after_a_death() -> None:
    argv = [sys.executable, "-m", "bench.crash", "--seed", "9", "--kills", "1", "--jobs", "2"]
    done = subprocess.run(argv, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=590)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kills" in done.stdout
