"""What a cold start costs: the unpacked package in bare interpreters.

    python -m bench.coldstart [--package build] [--runs 9]

Importing `app`, side by side with `import boto3`, and each function's first call while three videos
go through the pipeline, one of them broken: every function runs from the package in a process that
nothing was preloaded into, with boto3 as Lambda's runtime has it and nothing else of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import imageio_ffmpeg

from bench import command
from bench.cold import ColdServer
from bench.machine import load, machine, today
from bench.passage import NoPassage, send
from chalicelib.domain.job import Status
from chalicelib.domain.search import SHORTEST_S
from slimreel.clip import generate
from slimreel.local.cloud import Cloud
from slimreel.local.deployment import Deployment, deploy
from slimreel.packaging import CODE, build
from slimreel.paths import PROJECT_DIR

IMPORT_LIMIT_S, RSS_LIMIT_BYTES = 0.150, 60_000_000
ZIP_LIMIT_BYTES, UNPACKED_LIMIT_BYTES = 16_000_000, 55_000_000
#: What the answer to a Drive push must not wait for.
HEAVY = ("google", "googleapiclient", "pyairtable", "pydantic", "requests")
#: What of site-packages stands for Lambda's own runtime.
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
#: Called while the stage is deployed: the push channel's first notification, and what opens it.
WARM_BY_NOW = ("api_handler", "drive_changed", "renew_channel")
COMPLETED = Status.COMPLETED
PREFIX = "slimreel-local-"
#: Events of an end are handled within a moment; the rest is patience with a busy machine.
HEARD_WITHIN_S = 60.0
SCHEDULED = ("sweep_drive", "renew_channel", "reconcile_jobs", "requeue_rows")

_PROBE = """
import json, re, sys, time
from pathlib import Path
sys.path[:0] = {path}
started = time.perf_counter()
import {module}
took = time.perf_counter() - started
heavy = [name for name in {heavy} if name in sys.modules]
# Of this program alone: getrusage counts what the process was before it became this program.
peak_kb = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(json.dumps([took, int(peak_kb) * 1024, heavy]))
"""
_REPORT = re.compile(
    r"REPORT .*?Duration: ([\d.]+) ms.*?Max Memory Used: (\d+) MB.*?Init Duration: ([\d.]+) ms"
)


def runtime(folder: Path) -> Path:
    """A folder that holds boto3 and what it needs, as Lambda's runtime does."""
    import boto3

    here = Path(boto3.__file__).parent.parent
    folder.mkdir()
    for name in RUNTIME:
        (folder / name).symlink_to(here / name)
    return folder


def imported(module: str, path: list[Path]) -> tuple[float, int, list[str]]:
    """Seconds, peak memory in bytes and heavy modules loaded, in a fresh interpreter."""
    program = _PROBE.format(path=[str(p) for p in path], module=module, heavy=HEAVY)
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    took_s, rss_bytes, heavy = json.loads(run.stdout)
    return took_s, rss_bytes, heavy


def first_calls(deployment: Deployment) -> list[tuple[str, float, float, int]]:
    """Of every function: name, ms of its import, ms of its first call, MB at most."""
    found = []
    for path in sorted(deployment.logs_dir.glob("*.log")):
        reports = [*_REPORT.finditer(path.read_text())]
        if reports:
            report = reports[-1]  # one that was under way before may have ended meanwhile
            name = path.stem.removeprefix(PREFIX)
            found.append((name, float(report[3]), float(report[1]), int(report[2])))
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.coldstart")
    parser.add_argument("--package", type=Path, metavar="DIR", help="(default: builds one)")
    parser.add_argument("--runs", type=int, default=9, metavar="N")
    options = parser.parse_args(arguments)
    print(f"{today()}, {machine()}\npython -m bench.coldstart --runs {options.runs}")
    with command.scratch() as folder:
        package = options.package
        if package is None:
            print("Packaging …", flush=True)
            package = build(PROJECT_DIR, "prod", folder / "build").folder
        task = folder / "task"
        with zipfile.ZipFile(package / CODE) as packed:
            packed.extractall(task)
            unpacked_bytes = sum(entry.file_size for entry in packed.infolist())
        zip_bytes = (package / CODE).stat().st_size
        print(f"Load average {load()}\n")
        path = [task, runtime(folder / "runtime")]
        pairs = [(imported("app", path), imported("boto3", path)) for _ in range(options.runs)]
        app_s = statistics.median(app[0] for app, _ in pairs)
        boto3_s = statistics.median(boto3[0] for _, boto3 in pairs)
        rss_bytes = max(app[1] for app, _ in pairs)
        heavy = pairs[0][0][2]
        calls = _run_cold(task, path[1], folder)
    rows: list[tuple[str, ...]] = [
        (name, f"{import_ms:.0f}", f"{call_ms:.0f}", str(mb))
        for name, import_ms, call_ms, mb in calls
    ]
    print(command.table(("function", "import ms", "first call ms", "MB"), rows))
    checks = {
        f"zip {zip_bytes / 1e6:.1f} MB (≤ 16)": zip_bytes <= ZIP_LIMIT_BYTES,
        f"unpacked {unpacked_bytes / 1e6:.1f} MB (≤ 55)": unpacked_bytes <= UNPACKED_LIMIT_BYTES,
        f"import app {app_s * 1e3:.0f} ms (≤ 150 when idle), {app_s / boto3_s:.2f} times boto3's "
        f"{boto3_s * 1e3:.0f} ms": app_s <= IMPORT_LIMIT_S or app_s <= boto3_s,
        f"memory {rss_bytes / 1e6:.0f} MB (≤ 60)": rss_bytes <= RSS_LIMIT_BYTES,
        f"importing app loads none of {', '.join(HEAVY)}": not heavy,
    }
    print()
    for text, good in checks.items():
        print(f"{'✓' if good else '✗'} {text}")
    missed = sum(not good for good in checks.values())
    print(
        f"\ncoldstart: import app {app_s * 1e3:.0f} ms, {rss_bytes / 1e6:.0f} MB; "
        f"{len(calls)} functions' first calls; {missed} of {len(checks)} goals missed"
    )
    return 1 if missed else 0


def _run_cold(task: Path, boto: Path, folder: Path) -> list[tuple[str, float, float, int]]:
    """Videos through functions that all start cold, from the package alone.

    A short one, one that is long enough to be searched by samples, and one that fails. Results go
    to Drive, too.
    """
    clip, searched, broken = (folder / f"{name}.mov" for name in ("clip", "searched", "broken"))
    generate(clip, 2.0)
    _film(searched, SHORTEST_S + 2)
    broken.write_bytes(b"no film" * 1000)
    beside = {"DriveResultsFolder": "beside"}  # into a person's Drive: robots can own nothing
    project = task_project(task)
    with (
        Cloud(folder / "cloud", project) as cloud,
        closing(deploy(cloud, project, parameters=beside, as_person=True)) as deployment,
    ):
        environments = deployment.cloud.awslambda._environments
        environments._server = ColdServer(boto, environments._server)  # type: ignore[assignment]
        for path in deployment.logs_dir.glob("*.log"):
            path.write_text("")
        for name in WARM_BY_NOW:  # a new revision begins in a new process
            deployment.cloud.client("lambda").update_function_configuration(
                FunctionName=PREFIX + name, Description="cold"
            )
        for video, status in ((clip, COMPLETED), (searched, COMPLETED), (broken, Status.FAILED)):
            job = send(deployment, video).job
            if job.status is not status:
                raise NoPassage(f"{video} ended as {job.status}: {job.reason} {job.error}")
        for function in SCHEDULED:
            deployment.invoke(function)
        return _all_called(deployment)


def _all_called(deployment: Deployment) -> list[tuple[str, float, float, int]]:
    """The first calls, once every function has had one: what events start comes a little later."""
    functions = deployment.cloud.client("lambda").list_functions()["Functions"]
    end = time.monotonic() + HEARD_WITHIN_S
    while len(called := first_calls(deployment)) < len(functions):
        if time.monotonic() > end:
            names = {one["FunctionName"].removeprefix(PREFIX) for one in functions}
            raise NoPassage(f"Never called: {', '.join(names - {name for name, *_ in called})}.")
        time.sleep(0.5)
    return called


def _film(path: Path, duration_s: float) -> None:
    """Small and grainy, so that it pays to make it smaller."""
    picture = f"testsrc2=size=640x360:rate=25:duration={duration_s},noise=c0s=6:c0f=t+u"
    sound = f"sine=frequency=440:sample_rate=48000:duration={duration_s}"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"),
            *("-f", "lavfi", "-i", f"{picture},format=yuv420p", "-f", "lavfi", "-i", sound),
            *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "6", "-c:a", "aac"),
            f"file:{path}",
        ],
        check=True,
        capture_output=True,
    )


def task_project(task: Path) -> Path:
    """The unpacked package, with what only deploying reads beside it."""
    shutil.copytree(PROJECT_DIR / ".chalice", task / ".chalice", dirs_exist_ok=True)
    return task


if __name__ == "__main__":
    sys.exit(command.run(main))
