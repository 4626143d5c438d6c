"""`python -m bench.corpus`: the whole corpus and its table; exit status 1 where a rule broke."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg

from bench import command
from bench.corpus import damaged, disguised, lying, weird
from bench.corpus.canary import Canary
from bench.corpus.film import ANY, Film
from bench.corpus.run import Ending, run
from bench.corpus.workshop import Workshop
from bench.machine import load, machine, today
from chalicelib.domain.drive import VIDEO_EXTENSIONS
from slimreel.local.deployment import deployed
from slimreel.paths import PROJECT_DIR

KINDS = {
    "Damaged": damaged.films,
    "Lying": lying.films,
    "Disguised": disguised.films,
    "Strange but sound": weird.films,
}
#: A real clip may be minutes of 1080p.
CLIP_LIMIT_S = 1800.0


def main(argv: list[str]) -> int:
    options = _options(argv)
    begun = time.monotonic()
    with command.scratch() as folder, Canary(_secret(folder)) as canary:
        shop = Workshop(folder / "made", secret_path=canary.path, secret_url=canary.url)
        groups = {} if options.clips_only else _made(shop, folder, options.only)
        groups |= _clips(options.clips, options.only)
        canary.touched()
        total = sum(map(len, groups.values()))
        print(f"{total} films on {machine()}; load {load()}", flush=True)
        with deployed(folder / "cloud", PROJECT_DIR, encoder_concurrency=2) as cloud:
            endings = {
                kind: run(cloud, films, canary=canary, at_once=options.at_once, told=_tell)
                for kind, films in groups.items()
            }
    seconds = time.monotonic() - begun
    text = _document(endings, seconds)
    if options.out:
        options.out.write_text(text)
    broken = [one for found in endings.values() for one in found if one.problems]
    print(f"\n{total} films in {seconds / 60:.0f} min; rules broken by {len(broken)}.")
    return 1 if broken else 0


_HEAD = (
    "| film | size | end | saved | SSIM ours / plain | s | reason |",
    "|---|---:|---|---:|---:|---:|---|",
)


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.corpus")
    parser.add_argument("--clips", type=Path, help="a folder of real films, or of such folders")
    parser.add_argument("--clips-only", action="store_true", help="no made films")
    parser.add_argument("--only", default="", help="films with this in their name")
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--out", type=Path, help="where the table is written")
    return parser.parse_args(argv)


def _secret(folder: Path) -> Path:
    """A film that would go through, were it ever read."""
    shop = Workshop(folder, secret_path=folder, secret_url="")
    path = folder / "secret.mp4"
    path.write_bytes(shop.sound("first.mp4"))
    return path


def _made(shop: Workshop, folder: Path, only: str) -> dict[str, list[tuple[Film, Path]]]:
    groups: dict[str, list[tuple[Film, Path]]] = {}
    for kind, films in KINDS.items():
        for number, film in enumerate(films()):
            if only in film.name:
                path = folder / f"{kind}-{number}"
                path.write_bytes(film.make(shop))
                groups.setdefault(kind, []).append((film, path))
    return groups


def _clips(root: Path | None, only: str) -> dict[str, list[tuple[Film, Path]]]:
    """The films in a folder and in the folders in it."""
    groups: dict[str, list[tuple[Film, Path]]] = {}
    folders = [root, *sorted(filter(Path.is_dir, root.iterdir()))] if root else []
    for folder in folders:
        for path in sorted(filter(Path.is_file, folder.iterdir())):
            if only in path.name and path.suffix in VIDEO_EXTENSIONS:
                film = Film(name=path.name, make=lambda _: b"", ends=ANY, limit_s=CLIP_LIMIT_S)
                groups.setdefault(f"Real clips: {folder.name}", []).append((film, path))
    return groups


def _tell(ending: Ending) -> None:
    status = ending.status.value if ending.status else "NO END"
    print(f"{ending.seconds:6.1f} s  {status:14}  {ending.film.name}: {ending.reason}")
    for problem in ending.problems:
        print(f"          BROKEN: {problem}")
    if ending.problems and ending.details:
        print(f"          {ending.details}")
    sys.stdout.flush()


def _document(endings: dict[str, list[Ending]], seconds: float) -> str:
    every = [one for found in endings.values() for one in found]
    broken = sum(bool(one.problems) for one in every)
    lines = [
        "# The hostile corpus",
        "",
        f"{today()}, `make corpus CLIPS=…`, {len(every)} films in {seconds / 60:.0f} minutes.",
        f"{machine()}. A busy machine: the seconds say that nothing hangs, not how fast it is.",
        "",
        "Every film goes through the whole pipeline on the stand-in cloud, from the drop in Drive "
        "to the email. For each of them must hold: it ends in time, in a way that suits it, with a "
        "sentence for people in one row and one email; the original's bytes are as they were; "
        "nothing it leads to was opened or called (a watched file, a listening socket); what is "
        "published as it is has the original's SHA-256; what is published smaller decodes without "
        "a complaint, with the same tracks and lengths, by a plain ffmpeg "
        f"({imageio_ffmpeg.get_ffmpeg_version()}) that shares no code with Slimreel, and its SSIM "
        "is within 0.01 of the one Slimreel reports (0.05 where the original itself is damaged: "
        "ffmpeg patches such pictures a little differently each time).",
        "",
        f"**Rules broken: {broken}.**",
    ]
    for kind, found in endings.items():
        lines += ["", f"## {kind}", "", *_table(found)]
    return "\n".join(lines) + "\n"


def _table(endings: Sequence[Ending]) -> list[str]:
    rows = list(_HEAD)
    for one in endings:
        saved = ""
        if one.ssim is not None and one.published_bytes is not None:
            saved = f"{1 - one.published_bytes / one.size_bytes:.0%}"
        scores = f"{one.ssim:.4f} / {one.judged_ssim:.4f}" if one.ssim and one.judged_ssim else ""
        status = one.status.value if one.status else "no end"
        reason = " ".join([one.reason, *(f"**BROKEN: {problem}**" for problem in one.problems)])
        cells = [one.film.name, _kb(one.size_bytes), status, saved, scores, f"{one.seconds:.0f}"]
        rows.append("| " + " | ".join([*cells, reason.replace("|", "\\|")]) + " |")
    return rows


def _kb(size_bytes: int) -> str:
    return f"{size_bytes / 1000:,.1f} kB"


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    sys.exit(command.run(main))
