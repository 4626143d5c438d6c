"""An encoder for load and crash tests: real files, made as fast as they can be.

The fastest preset, in one pass; and what the same bytes came to under the same settings is kept
and handed out again. Everything around it (validation, probing, events, metrics, storing) is the
same as with the real encoder. The results are valid and pass verification; their size says nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from slimreel.local.mediaconvert.render import Rendering
from slimreel.local.mediaconvert.video import VideoPlan

#: Encoder -> its fastest preset.
_FASTEST = {"libx264": "ultrafast", "libx265": "ultrafast", "libsvtav1": "13"}


class Stub:
    """Results by content and settings, in `folder`, where they stay for later runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def hurried(self, rendering: Rendering) -> Rendering:
        """The same output, made by the encoder's fastest preset in one pass."""
        if rendering.video is None:
            return rendering
        return replace(rendering, video=_hurried(rendering.video))

    def key(self, rendering: Rendering, argvs: Sequence[Sequence[str]]) -> str:
        """Equal for the same source bytes under the same commands."""
        path = str(rendering.source.path)
        with rendering.source.path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        text = "\0".join(part.replace(path, content) for argv in argvs for part in argv)
        return hashlib.sha256(text.encode()).hexdigest()

    def recall(self, key: str, folder: Path) -> bool:
        """Put the files of an earlier run into `folder`; False when there was none."""
        kept = self._folder / key
        if not kept.is_dir():
            return False
        for file in kept.iterdir():
            _same(file, folder / file.name)
        return True

    def keep(self, key: str, folder: Path) -> None:
        """Remember the files in `folder`; whole, or not at all."""
        draft = self._folder / f".{uuid.uuid4().hex}"
        draft.mkdir()
        for file in folder.iterdir():
            if file.is_file() and file.suffix != ".pid":
                _same(file, draft / file.name)
        try:
            draft.rename(self._folder / key)
        except OSError:  # another worker was faster with the same
            shutil.rmtree(draft)

    def clean(self) -> None:
        """Remove what a killed process left half-kept."""
        for draft in self._folder.glob(".*"):
            shutil.rmtree(draft)


def _hurried(plan: VideoPlan) -> VideoPlan:
    options = list(plan.encoder)
    codec = options[options.index("-c:v") + 1]
    options[options.index("-preset") + 1] = _FASTEST[codec]
    return replace(plan, encoder=tuple(options), two_pass=False)


def _same(source: Path, target: Path) -> None:
    """A second name for a file; a copy where there are none. Neither is ever written to again."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
