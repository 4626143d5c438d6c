"""Rewrite Chalice's zip: leave out what no function reads, add bytecode, fix times and order."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

#: The earliest time a zip can hold.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_DISCOVERY = PurePosixPath("googleapiclient/discovery_cache/documents")
#: The only Google API that is called; the client finds its description here, offline.
_KEPT_DOCUMENTS = ("drive.v3.json",)
#: What pip brings and nothing imports: the first two are google-auth's for keys of the library
#: `rsa`, where it does not use cryptography as for ours; the third is cffi's for building.
_NEVER_IMPORTED = ("pyasn1", "pyasn1_modules", "pycparser")
#: For type checkers, for the compiler of protocol buffers, for pip.
_NEVER_READ = (".pyi", ".proto", ".dist-info/RECORD")


@dataclass(frozen=True, slots=True)
class Size:
    """Of one zip."""

    packed_bytes: int
    unpacked_bytes: int


def trim(source: Path, target: Path) -> Size:
    """Write the deployment package as Lambda shall get it.

    Lambda's /var/task cannot be written, so without bytecode in the zip every cold start would
    compile all of it. The hash-based kind that is never checked does not depend on file times.
    """
    with tempfile.TemporaryDirectory(prefix="slimreel-trim-") as folder:
        with zipfile.ZipFile(source) as packed:
            packed.extractall(folder, [n for n in packed.namelist() if _is_needed(n)])
        _compile(Path(folder))
        return pack(Path(folder), target)


def pack(folder: Path, target: Path) -> Size:
    """Zip a folder so that the same files give the same bytes."""
    unpacked_bytes = 0
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as packed:
        for path in _files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=_NO_TIME)
            mode = 0o755 if os.access(path, os.X_OK) else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            unpacked_bytes += path.stat().st_size
            packed.writestr(entry, path.read_bytes(), compresslevel=9)
    partial.replace(target)
    return Size(packed_bytes=target.stat().st_size, unpacked_bytes=unpacked_bytes)


def _is_needed(name: str) -> bool:
    path = PurePosixPath(name)
    if path.is_relative_to(_DISCOVERY):
        return path.name in _KEPT_DOCUMENTS
    if path.parts[0].partition("-")[0] in _NEVER_IMPORTED:  # the package, or its .dist-info
        return False
    return not name.endswith(("/", *_NEVER_READ))


def _files(folder: Path) -> Iterator[Path]:
    return iter(sorted(path for path in folder.rglob("*") if path.is_file()))


def _compile(folder: Path) -> None:
    """In a process of its own: what bytecode looks like depends on what the compiler saw before."""
    command = [sys.executable, "-m", "compileall", "-q", "-j", "1"]
    # The paths in tracebacks shall be those of Lambda, not of this temporary folder.
    options = ["--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/var/task"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run([*command, *options, str(folder)], check=True, env=environment)
