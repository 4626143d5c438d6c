"""What goes to AWS, built here: the functions' zip, the ffmpeg layer and the template.

    sources ─► staged copy ─► chalice package --merge-template ─► trimmed zip + sam.yaml
    imageio-ffmpeg's wheel for Linux ───────────────────────────► ffmpeg layer

The same sources and the same Python give the same bytes: dependencies are pinned by
`constraints.txt`, files are sorted and carry no times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slimreel.packaging.layer import ffmpeg_layer
from slimreel.packaging.staging import stage_sources
from slimreel.packaging.trim import Size, trim
from slimreel.template import REGION, merge_template

TEMPLATE, CODE, LAYER = "sam.yaml", "deployment.zip", "ffmpeg-layer.zip"

#: Chalice's command, by the interpreter that runs this one, wherever its script may be.
_CHALICE = "import sys; from chalice.cli import main; sys.exit(main())"


class PackagingFailed(Exception):
    """Chalice or pip refused; the message holds the last lines of what it said."""


@dataclass(frozen=True, slots=True)
class Built:
    """What lies in `folder` now."""

    folder: Path
    code: Size
    layer: Size


def build(
    project_dir: Path, stage: str, folder: Path, say: Callable[[str], None] = lambda _: None
) -> Built:
    """Write `sam.yaml`, `deployment.zip` and `ffmpeg-layer.zip` into `folder`.

    The packages are those of the Python that runs this, for Lambda's Linux on x86_64: what AWS
    will run is named in the template.

    Raises:
        slimreel.template.BadTemplate: the project does not add up to a template.
        PackagingFailed: a dependency could not be had, or Chalice could not package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="slimreel-package-") as scratch:
        staged, out = Path(scratch, "project"), Path(scratch, "out")
        stage_sources(project_dir, staged)
        merge = Path(scratch, "merge.json")
        added = merge_template(staged, stage, layer_location=f"./{LAYER}")
        merge.write_text(json.dumps(added, sort_keys=True))
        say("Chalice packages the app and its dependencies")
        _chalice_package(staged, stage, merge, out, project_dir / "constraints.txt")
        say("Unneeded files go, bytecode comes")
        code = trim(out / "deployment.zip", folder / CODE)
        (out / "sam.yaml").replace(folder / TEMPLATE)
        say("The ffmpeg layer")
        layer = ffmpeg_layer(folder / LAYER, project_dir / "constraints.txt")
    return Built(folder=folder, code=code, layer=layer)


def _chalice_package(staged: Path, stage: str, merge: Path, out: Path, pins: Path) -> None:
    command = [sys.executable, "-c", _CHALICE, "package", "--stage", stage]
    options = ["--merge-template", str(merge), "--template-format", "yaml", str(out)]
    environment = {
        **os.environ,
        "AWS_DEFAULT_REGION": os.environ.get("AWS_DEFAULT_REGION", REGION),
        "PIP_CONSTRAINT": str(pins),
    }
    # Chalice imports app.py: what that leaves behind must not land in the zip.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    run = subprocess.run(
        [*command, *options], cwd=staged, env=environment, capture_output=True, text=True
    )
    if run.returncode:
        said = (run.stdout + run.stderr).strip().splitlines()[-12:]
        raise PackagingFailed("chalice package failed:\n" + "\n".join(said))
