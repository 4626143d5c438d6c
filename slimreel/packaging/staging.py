"""The files that Chalice shall see: a copy without what a checkout gathers over time."""

from __future__ import annotations

import shutil
from pathlib import Path

_NOISE = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "deployments", "n8n")


def stage_sources(project_dir: Path, target: Path) -> None:
    """Copy what a package is made of into the new folder `target`.

    Chalice packs `app.py` and `chalicelib/` only; what lies in `vendor/` lands at the zip's root,
    and so the workflows with their settings travel there.
    """
    target.mkdir(parents=True)
    for name in ("app.py", "requirements.txt"):
        shutil.copyfile(project_dir / name, target / name)
    shutil.copytree(project_dir / "chalicelib", target / "chalicelib", ignore=_NOISE)
    shutil.copytree(project_dir / ".chalice", target / ".chalice", ignore=_NOISE)
    for folder in (target, target / "vendor"):
        shutil.copytree(project_dir / "workflows", folder / "workflows", ignore=_NOISE)
