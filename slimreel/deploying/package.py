"""The package a stage is deployed from: built anew when anything it is made of has changed."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from rich.console import Console

from slimreel.deploying import CannotDeploy

_FOLDERS = (
    (".chalice", "*"),
    ("chalicelib", "**/*"),
    ("workflows", "*"),
    ("slimreel/packaging", "*.py"),
)
_FILES = ("app.py", "requirements.txt", "constraints.txt", "slimreel/template.py")


def packaged(project_dir: Path, stage: str, console: Console) -> Path:
    """The folder with the stage's package.

    Raises:
        CannotDeploy: it could not be built.
    """
    from slimreel.packaging import PackagingFailed, build
    from slimreel.packaging.layer import NoFfmpeg
    from slimreel.template import BadTemplate

    folder = project_dir / "build" / stage
    digest, note = _digest(project_dir, stage), folder / "made-of"
    if note.exists() and note.read_text() == digest:
        console.print("Nothing has changed since the last package; it is used again.")
        return folder
    note.unlink(missing_ok=True)
    try:
        with console.status("Packaging …") as status:
            build(project_dir, stage, folder, lambda now: status.update(f"{now} …"))
    except (BadTemplate, PackagingFailed, NoFfmpeg) as problem:
        raise CannotDeploy(f"It could not be packaged: {problem}") from problem
    note.write_text(digest)
    return folder


def _digest(project_dir: Path, stage: str) -> str:
    files = [project_dir / name for name in _FILES]
    for folder, pattern in _FOLDERS:
        files += (path for path in (project_dir / folder).glob(pattern) if path.is_file())
    found = hashlib.sha256(f"{stage} {sys.version_info[:2]}".encode())
    for file in sorted(files):
        if "__pycache__" not in file.parts:
            name = file.relative_to(project_dir).as_posix()
            found.update(f"\0{name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
