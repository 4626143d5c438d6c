"""`make audit` tells findings, all clear, and nobody-could-be-asked apart."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).resolve().parents[2] / ".ci" / "audit"
CLEAN = {"name": "boto3", "version": "1", "vulns": []}
FLAWED = {"name": "moto", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "rich", "skip_reason": "Dependency not found on PyPI"}


def audited(folder: Path, answers: dict[str, list[dict[str, Any]]]) -> tuple[int, str]:
    """Run the script with a pip-audit that answers this for each service, nothing for others."""
    (folder / ".ci").mkdir()
    shutil.copy(AUDIT, folder / ".ci")
    (folder / "requirements-audit.txt").touch()
    tool = folder / ".slimreel" / "audit" / "bin" / "pip-audit"
    tool.parent.mkdir(parents=True)
    tool.write_text(
        f"#!{sys.executable}\nimport json, sys\nanswers = {json.dumps(answers)}\n"
        "options = dict(zip(sys.argv, sys.argv[1:]))\n"
        "found = answers.get(options['--vulnerability-service'])\n"
        "if found is None:\n    sys.exit('no answer')\n"
        "open(options['--output'], 'w').write(json.dumps({'dependencies': found}))\n"
        "sys.exit(any(one.get('vulns') for one in found))\n"
    )
    tool.chmod(0o755)
    done = subprocess.run(
        [folder / ".ci" / "audit"],
        capture_output=True,
        text=True,
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ({"pypi": [CLEAN]}, 0, "1 of 1 packages audited, 0 vulnerabilities"),
        ({"pypi": [CLEAN, FLAWED]}, 1, "moto 2: CVE-1, fixed in 3"),
        ({"osv": [FLAWED]}, 1, "moto 2: CVE-1"),
        ({}, 3, "NOT AUDITED"),
        # A mirror that has packages and no advisories: pip-audit itself ends with "none found".
        ({"pypi": [UNKNOWN]}, 3, "NOT AUDITED"),
        ({"pypi": [CLEAN, UNKNOWN]}, 3, "It does not know: rich"),
        ({"pypi": [UNKNOWN], "osv": [CLEAN]}, 0, "osv: 1 of 1 packages audited"),
        ({"pypi": [UNKNOWN, FLAWED]}, 1, "CVE-1"),
    ],
)
def test_silence_is_not_taken_for_good_news(
    tmp_path: Path, answers: dict[str, list[dict[str, Any]]], status: int, said: str
) -> None:
    found, words = audited(tmp_path, answers)
    assert found == status, words
    assert said in words
