"""What a benchmark ran on, so that its figures can be compared."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

import imageio_ffmpeg
import psutil

_MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)


def machine() -> str:
    """One line: processor, cores, memory, system, Python, ffmpeg."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}"
    )


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def load() -> str:
    """How busy the machine is, by itself or with others' work: means over 1, 5 and 15 minutes."""
    return " ".join(f"{value:.1f}" for value in psutil.getloadavg())


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = _MODEL.search(info.read_text()) if info.exists() else None
    return " ".join(found[1].split()) if found else platform.processor() or "unknown processor"
