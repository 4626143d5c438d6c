"""The layer with ffmpeg for the one function that measures."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from slimreel.packaging.trim import Size, pack

#: What its wheels are published for. A static build runs on any Linux, so each of them will do.
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux2014_x86_64")
_BINARY = "imageio_ffmpeg/binaries/ffmpeg-linux"


class NoFfmpeg(Exception):
    """The wheel that holds ffmpeg could not be had; the message holds what pip said."""


def ffmpeg_layer(target: Path, pins: Path) -> Size:
    """Write a layer whose `bin/ffmpeg` Lambda shows as `/opt/bin/ffmpeg`.

    The binary is that of the pinned imageio-ffmpeg, whatever machine this is.

    Raises:
        NoFfmpeg: the wheel could not be downloaded, or holds no ffmpeg for Linux.
    """
    with tempfile.TemporaryDirectory(prefix="slimreel-layer-") as scratch:
        wheel = _download(Path(scratch), pins)
        root = Path(scratch, "layer")
        ffmpeg = root / "bin" / "ffmpeg"
        ffmpeg.parent.mkdir(parents=True)
        with zipfile.ZipFile(wheel) as packed:
            found = [name for name in packed.namelist() if name.startswith(_BINARY)]
            if len(found) != 1:
                raise NoFfmpeg(f"{wheel.name} holds no single ffmpeg for Linux: {found}")
            ffmpeg.write_bytes(packed.read(found[0]))
        ffmpeg.chmod(0o755)
        return pack(root, target)


def _download(folder: Path, pins: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    which = ["--no-deps", "--only-binary", ":all:"]
    for platform in _PLATFORMS:
        which += ["--platform", platform]
    where = ["--constraint", str(pins), "--dest", str(folder)]
    run = subprocess.run(
        [*command, *which, *where, "imageio-ffmpeg"], capture_output=True, text=True
    )
    wheels = sorted(folder.glob("*.whl"))
    if run.returncode or not wheels:
        raise NoFfmpeg(f"pip could not download imageio-ffmpeg for Linux:\n{run.stderr}")
    return wheels[0]
