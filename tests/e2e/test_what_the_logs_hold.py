"""No secret in any log line: of any function or stand-in, at DEBUG, faults included.

What all the other end-to-end tests left in the logs is looked through when their stand-in cloud
ends; see `conftest`.
"""

from __future__ import annotations

from pathlib import Path

from slimreel.local.faults import Fault
from tests.clips import camera_clip
from tests.e2e import leaks
from tests.e2e.conftest import Studio


def test_no_secret_is_in_any_log_line(studio: Studio, tmp_path: Path) -> None:
    cloud = studio.deployment.cloud
    studio.cold()  # warm functions know their secrets
    # What is refused is told most about.
    for service, operation in (
        ("drive", "files.get_media"),
        ("ssm", "GetParameter"),
        ("s3", "PutObject"),
        ("sns", "Publish"),
        ("airtable", "records.upsert"),
    ):
        cloud.faults.add(Fault(service=service, operation=operation, status=500))
    step = "Invoke/slimreel-local-inspect"
    cloud.faults.add(Fault(service="lambda", operation=step, status=500))
    job = studio.finished(studio.job_id(studio.drop(camera_clip(tmp_path / "traced.mp4", seed=77))))
    assert cloud.faults.waiting() == []
    kinds = {name.partition(" ")[0] for name in leaks.secrets_of(studio.deployment)}
    assert {"google", "airtable-token", "link-key", "channel", "task"} <= kinds
    log = "".join(path.read_text(errors="replace") for path in leaks.logs(studio.deployment))
    assert job.job_id in log
    assert '"level": "DEBUG"' in log or '"level": "INFO"' in log
    assert leaks.found(studio.deployment) == []
