"""The faults of the stand-in cloud: which call they strike, what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slimreel.local.faults import Fault, Faults


def test_a_fault_strikes_the_nth_call_and_those_after_it() -> None:
    faults = Faults()
    faults.add(Fault(service="s3", operation="UploadPart", nth=2, times=2, status=503))
    struck = [faults.take("s3", name) for name in ("UploadPart", "GetObject", *["UploadPart"] * 3)]
    assert [fault is not None for fault in struck] == [False, False, True, True, False]


def test_strikes_are_written_down(tmp_path: Path) -> None:
    log = tmp_path / "faults.jsonl"
    faults = Faults(log)
    faults.add(Fault(service="drive", operation="files.get", status=500))
    faults.take("drive", "files.list")
    faults.take("drive", "files.get")
    [line] = map(json.loads, log.read_text().splitlines())
    assert line.pop("at") > 1e9
    assert line == {"service": "drive", "operation": "files.get", "status": 500}


def test_only_a_leader_of_its_group_can_be_told_to_die(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpgrp", lambda: os.getpid() + 1)
    with pytest.raises(RuntimeError, match="own process group"):
        Faults().add(Fault(service="s3", kill=True))


DYING = """
import subprocess, sys
from pathlib import Path
from slimreel.local.faults import Fault, Faults
faults = Faults(Path(sys.argv[1]))
after = sys.argv[2] == "after"
faults.add(Fault(service="s3", operation="PutObject", kill=True, after_effect=after))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
faults.take("s3", "GetObject"); faults.done()
print("called", flush=True)
faults.take("s3", "PutObject")
print("worked", flush=True)
faults.done()
print("answered", flush=True)
"""


@pytest.mark.parametrize(("when", "last_word"), [("before", "called"), ("after", "worked")])
def test_a_kill_takes_the_whole_group_at_its_moment(
    tmp_path: Path, when: str, last_word: str
) -> None:
    log = tmp_path / "faults.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(log), when],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
    )
    child, *words = done.stdout.split()
    assert (done.returncode, words[-1]) == (-signal.SIGKILL, last_word), done.stderr
    until = time.monotonic() + 30
    while not _gone(int(child)) and time.monotonic() < until:
        time.sleep(0.01)
    assert _gone(int(child))
    [line] = map(json.loads, log.read_text().splitlines())
    assert line["kill"] is True


def _gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # dead; whoever inherited it has not looked yet
