"""What was made already, on disk, so that an interrupted run goes on where it stopped.

A film lies beside its figures (JSON); the figures are written last and whole, so what has them is
complete. Names tell the clip and all that decides what comes of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rating.score import score, video_bytes


def digest(*said: Any) -> str:
    """A short name for any plain data."""
    text = json.dumps(said, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The folder of one clip.

    Attributes:
        clip: what results are held against.
    """

    folder: Path
    clip: Path

    def figures(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What was found out before under a name, or is now."""
        path = self.folder / f"{name}.json"
        if path.exists():
            found = json.loads(path.read_text())
            assert isinstance(found, dict)
            return found
        made = make()
        self._write(path, made)
        return made

    def film(self, name: str, make: Callable[[Path], float]) -> dict[str, Any]:
        """A result's `size_bytes` (of the picture) and `cpu_s`.

        Args:
            make: writes the film to the path it is given; the processor time that took.
        """
        film = self.folder / f"{name}.mp4"

        def fresh() -> dict[str, Any]:
            cpu_s = make(film)
            return {"cpu_s": round(cpu_s, 2), "size_bytes": video_bytes(film)}

        return self.figures(name, fresh)

    def score(self, name: str, metric: str) -> float:
        """Of the film of that name against the clip."""
        film = self.folder / f"{name}.mp4"
        found = self.figures(f"{name}-{metric}", lambda: {"score": score(film, self.clip, metric)})
        return float(found["score"])

    def _write(self, path: Path, figures: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(".part")
        whole.write_text(json.dumps(figures))
        whole.replace(path)
