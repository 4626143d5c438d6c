"""An encoder that damages what it makes, for tests: its results go through ffmpeg once more."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg

from slimreel.local.mediaconvert.work import ObjectStore


class Spoiled:
    """A store that keeps something else than it was given.

    Args:
        options: of ffmpeg's output; all tracks are mapped, and copied unless these say otherwise.
    """

    def __init__(self, store: ObjectStore, options: Sequence[str]) -> None:
        self._store, self._options = store, options

    def object_path(self, bucket: str, key: str) -> Path:
        return self._store.object_path(bucket, key)

    def has_bucket(self, bucket: str) -> bool:
        return self._store.has_bucket(bucket)

    def put_file(self, bucket: str, key: str, path: Path, *, content_type: str) -> None:
        if content_type.startswith("video/"):
            path = self._spoil(path)
        self._store.put_file(bucket, key, path, content_type=content_type)

    def _spoil(self, path: Path) -> Path:
        spoiled = path.with_name(f"spoiled{path.suffix}")
        copied = ("-map", "0", "-c", "copy", "-map_metadata", "-1", "-movflags", "+faststart")
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
        command += ["-i", f"file:{path}", *copied, *self._options, f"file:{spoiled}"]
        subprocess.run(command, check=True, capture_output=True)
        return spoiled
