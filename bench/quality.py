"""What aiming at a quality is worth: our search beside what people use now, at one score.

    python -m bench.quality [--clips FOLDER] [--seconds 20] [--metric SSIM] [--target 0.95]
                            [--out FOLDER]

For every clip: the search's choice; the lowest level by binary search with full encodes; the lowest
level that is good enough for every clip; HandBrake's presets at an equal score. All without sound.
Encodes are the MediaConvert stand-in's, scores a plain ffmpeg's. What was encoded and scored is
kept, so a run that was interrupted goes on, and another target costs only what it needs besides.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import command
from bench.machine import load, machine, today
from bench.rating import clips, handbrake, plot
from bench.rating.encodes import NO_CAP_BPS, Dial, Encoded, timed
from bench.rating.shelf import Shelf, digest
from chalicelib.domain import dial, prediction, search
from chalicelib.domain.codec import from_plain, to_plain
from chalicelib.domain.errors import Rejected
from chalicelib.domain.leaner import LEAST_SHARE, MARGIN_DB
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.search import Search, Target
from slimreel import offline

#: How far from the target counts as met.
NEAR = {"SSIM": 0.005, "VMAF": 1.0}
TARGETS = {"SSIM": 0.95, "VMAF": 93.0}
#: Encodes that a binary search takes to find one of the dial's levels.
BINARY = math.ceil(math.log2(len(dial.LEVELS)))
#: What the default workflow makes of one film at most (`policy.max_attempts`).
MOST_ENCODES = 3
#: All films strung together: one long enough for the search's work to be bounded.
MEDLEY = "all of them, as one film"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One clip's figures.

    Attributes:
        search: what the samples came to, and the level chosen.
        first, final: the encode at that level; and what is published, at a corrected one perhaps.
        again_cpu_s: of each further encode.
        best: the lowest level that reaches the target; None where none does.
        exact_bytes: what a dial without steps would need, interpolated.
        search_cpu_s: of all samples.
    """

    name: str
    duration_s: float
    search: Search
    first: Encoded
    final: Encoded
    again_cpu_s: tuple[float, ...]
    best: Encoded | None
    exact_bytes: float | None
    search_cpu_s: float
    picked: dict[str, handbrake.Picked]


def measure(name: str, shelf: Shelf, target: Target, *, with_handbrake: bool) -> tuple[Row, Dial]:
    """Raises: Rejected, EncodeFailed: it is no film the encoder reads."""
    facts = offline.facts_of(shelf.clip)
    duration_s, video = facts.picture_s, facts.video
    if duration_s is None or video is None:
        raise Rejected("It has no picture, or no length.")
    plan = Plan(
        route=Route.SEARCH,
        preset="bench",
        reasons=("Measured.",),
        qvbr_level=8,
        max_bitrate_bps=NO_CAP_BPS,
        tuning="SINGLE_PASS_HQ",
        width=video.display_width // 2 * 2,
        height=video.display_height // 2 * 2,
        scaled=bool(video.display_width % 2 or video.display_height % 2),
        search=search.sampling(
            target,
            duration_s,
            facts.activity,
            size=(video.display_width, video.display_height),
        ),
    )
    points, search_cpu_s = _sampled(shelf, plan, facts)
    assert plan.search is not None
    found = _chosen(plan.search, points, target, duration_s)
    tried = Dial(shelf=shelf, facts=facts, plan=plan, metric=target.metric)
    assert found.level is not None
    first = tried.at(found.level)
    final, again_cpu_s = _corrected(tried, found, first, target)
    best = tried.lowest(target.mean)
    picked = {}
    if with_handbrake and name != MEDLEY:
        for preset in handbrake.PRESETS:
            picked[preset] = handbrake.pick(preset, shelf, metric=target.metric, target=target.mean)
    row = Row(
        name=name,
        duration_s=duration_s,
        search=found,
        first=first,
        final=final,
        again_cpu_s=again_cpu_s,
        best=best,
        exact_bytes=tried.bytes_at(target.mean),
        search_cpu_s=search_cpu_s,
        picked=picked,
    )
    return row, tried


def _sampled(shelf: Shelf, plan: Plan, facts: MediaFacts) -> tuple[tuple[search.Point, ...], float]:
    """What the samples came to, and their processor time."""
    assert plan.search is not None

    def encode() -> dict[str, Any]:
        folder = shelf.folder / "samples"
        points, cpu_s = timed(lambda: offline.encode_samples(shelf.clip, plan, facts, folder))
        shutil.rmtree(folder)
        return {"points": to_plain(points), "cpu_s": round(cpu_s, 2)}

    figures = shelf.figures(f"samples-{digest(to_plain(plan.search))}", encode)
    return tuple(from_plain(search.Point, one) for one in figures["points"]), figures["cpu_s"]


def _chosen(
    searched: Search, points: Sequence[search.Point], target: Target, duration_s: float
) -> Search:
    full = replace(searched, points=tuple(points))
    found = prediction.chosen(full, target, duration_s=duration_s, other_bytes=0)
    return found or prediction.at_level(full, dial.HIGHEST, duration_s=duration_s, other_bytes=0)


def _corrected(
    tried: Dial, found: Search, first: Encoded, target: Target
) -> tuple[Encoded, tuple[float, ...]]:
    """As the pipeline does with a measured score that misses the target, and with one of a short
    film that is better than it has to be: what is published, and the processor time of every
    further encode."""
    if first.score < target.mean:
        return _raised(tried, found, first, target)
    moved = _through(first, found, target)
    lower = moved.lowest(target, margin_db=MARGIN_DB) or first.level
    if 1 - moved.bps_at(lower) / moved.bps_at(first.level) < LEAST_SHARE:
        return first, ()
    again = tried.at(lower)
    is_leaner = again.score >= target.mean and again.size_bytes < first.size_bytes
    return (again if is_leaner else first), (again.cpu_s,)


def _raised(
    tried: Dial, found: Search, first: Encoded, target: Target
) -> tuple[Encoded, tuple[float, ...]]:
    made = [first]
    while made[-1].score < target.mean and len(made) < MOST_ENCODES:
        if made[-1].level >= dial.HIGHEST:
            break
        moved = _through(made[-1], found, target)
        made.append(tried.at(moved.lowest(target, above=made[-1].level) or dial.HIGHEST))
    return made[-1], tuple(encoded.cpu_s for encoded in made[1:])


def _through(encoded: Encoded, found: Search, target: Target) -> prediction.Curves:
    curves = prediction.curves(target.metric, found.points)
    return curves.shifted(encoded.level, encoded.score, None)


# The report


def report(measured: Sequence[tuple[Row, Dial]], target: Target, seconds: float) -> str:
    """The page, in Markdown. The medley is no clip of its own in the totals."""
    rows = [row for row, _ in measured]
    clips_only = [(row, one) for row, one in measured if row.name != MEDLEY]
    reachable = [(row, one) for row, one in clips_only if row.best]
    fixed = max(row.best.level for row, _ in reachable if row.best)
    fixed_bytes = {row.name: one.at(fixed).size_bytes for row, one in reachable}
    lines = [
        f"{target.metric} ≥ {target.mean:g}, first {seconds:g} s of {len(clips_only)} clips, "
        f"{today()}, {machine()}.",
        f"Load while it ran: {load()}. {handbrake.version() if handbrake.is_there() else ''}",
        "",
        command.table(_TARGET_HEAD, [_target_cells(row, target) for row in rows]),
        "",
        command.table(_BYTES_HEAD, [_bytes_cells(row, fixed_bytes.get(row.name)) for row in rows]),
        "",
        *_aims([row for row, _ in reachable], target, fixed, fixed_bytes),
    ]
    return "\n".join(lines) + "\n"


_TARGET_HEAD = (
    "clip", "s", "predicted", "level", "achieved", "error", "in the end: level", "achieved",
    "error", "encodes", "search work", "CPU s: search", "encodes",
)  # fmt: skip


def _target_cells(row: Row, target: Target) -> tuple[str, ...]:
    """What was wanted, promised and reached, and the work that took."""
    digits = 4 if target.metric == "SSIM" else 2
    cells = [row.name, f"{row.duration_s:.0f}", f"{row.search.predicted_mean or 0:.{digits}f}"]
    for encoded in (row.first, row.final):
        off = encoded.score - target.mean
        cells += [dial.label(encoded.level), f"{encoded.score:.{digits}f}", f"{off:+.{digits}f}"]
    encodes_s = row.first.cpu_s + sum(row.again_cpu_s)
    return (
        *cells,
        str(1 + len(row.again_cpu_s)),
        f"{100 * row.search.work_share:.0f} %",
        f"{row.search_cpu_s:.0f}",
        f"{encodes_s:.0f}",
    )


_BYTES_HEAD = (
    "kB", "ours", "predicted", "search alone", "best on dial", "more than best", "without steps",
    "one fixed level", "Fast 1080p30", "= score", "HQ 1080p30", "= score",
)  # fmt: skip


def _bytes_cells(row: Row, fixed_bytes: int | None) -> tuple[str, ...]:
    """What it came to, beside the other ways."""
    cells = [
        row.name,
        _kb(row.final.size_bytes),
        _kb(row.search.predicted_bytes),
        _kb(row.first.size_bytes),
        _kb(row.best.size_bytes if row.best else None),
        _more(row.final.size_bytes, row.best.size_bytes if row.best else None),
        _kb(row.exact_bytes),
        _kb(fixed_bytes),
    ]
    for name in handbrake.PRESETS:
        picked = row.picked.get(name)
        cells += [_kb(picked.size_bytes if picked else None)]
        cells += [_kb(picked.equal_bytes if picked else None)]
    return tuple(cells)


def _more(own: float, other: float | None) -> str:
    return "–" if other is None else f"{100 * (own / other - 1):+.0f} %"


def _kb(size_bytes: float | None) -> str:
    return "–" if size_bytes is None else f"{size_bytes / 1000:.0f}"


def _aims(rows: list[Row], target: Target, fixed: float, fixed_bytes: dict[str, int]) -> list[str]:
    best = sum(row.best.size_bytes for row in rows if row.best)
    all_fixed = sum(fixed_bytes.values())
    lines = []
    for what, encoded in (
        ("search alone", [row.first for row in rows]),
        ("in the end", [row.final for row in rows]),
    ):
        near = sum(_is_met(one, target) for one in encoded)
        above = sum(one.score >= target.mean for one in encoded)
        own = sum(one.size_bytes for one in encoded)
        very = sum(row.best == one for row, one in zip(rows, encoded, strict=True))
        lines.append(
            f"- {what}: within ±{NEAR[target.metric]:g} of the target, or above it at the dial's "
            f"lowest level: {near} of {len(rows)} clips; not below it: {above}; at the very level "
            f"that is just good enough: {very}; {own / 1000:.0f} "
            f"kB, {_more(own, best)} against the lowest level that is good enough for each, "
            f"{_more(own, all_fixed)} against level {dial.label(fixed)} for all"
        )
    own = sum(row.final.size_bytes for row in rows)
    for name in handbrake.PRESETS:
        pairs = [(row.final.size_bytes, row.picked[name]) for row in rows if name in row.picked]
        equal = [(size, pick.equal_bytes) for size, pick in pairs if pick.equal_bytes]
        if pairs and equal:
            as_is = _more(sum(s for s, _ in pairs), sum(p.size_bytes for _, p in pairs))
            same = _more(sum(s for s, _ in equal), sum(b for _, b in equal))
            lines.append(
                f"- against HandBrake's {name}: {as_is} as it is, {same} at an equal score "
                f"({len(equal)} clips)"
            )
    again = [cpu_s for row in rows for cpu_s in row.again_cpu_s]
    search_s, first_s = sum(r.search_cpu_s for r in rows), sum(r.first.cpu_s for r in rows)
    lines.append(
        f"- processor time: one encode of each {first_s:.0f} s, samples {search_s:.0f} s, "
        f"{len(again)} further encodes {sum(again):.0f} s; a binary search by full encodes would "
        f"take {BINARY} of each, {BINARY * first_s:.0f} s"
    )
    return lines


def _is_met(encoded: Encoded, target: Target) -> bool:
    off = encoded.score - target.mean
    at_the_end = off > 0 and encoded.level == dial.LOWEST
    return abs(off) <= NEAR[target.metric] or at_the_end


def diagram(row: Row, tried: Dial, target: Target) -> plot.Diagram:
    def kbps(size_bytes: float) -> float:
        return size_bytes * 8 / row.duration_s / 1000

    full = [(kbps(e.size_bytes), e.score) for e in tried.made.values()]
    curves = prediction.curves(target.metric, row.search.points)
    levels = [level for level in dial.LEVELS if level in tried.made]
    promised = [(curves.bps_at(level) / 1000, curves.mean_at(level)) for level in levels]
    named = {"chosen": (kbps(row.final.size_bytes), row.final.score)}
    for name, label in zip(handbrake.PRESETS, ("HandBrake Fast", "HandBrake HQ"), strict=True):
        if name in row.picked:
            pick = row.picked[name]
            named[label] = (kbps(pick.size_bytes), pick.score)
    return plot.Diagram(
        title=row.name, target=target.mean, full=full, predicted=promised, named=named
    )


def main(argv: Sequence[str]) -> int:
    args = _parser().parse_args(argv)
    films = list(_films(args))
    if not films:
        print("No film was found.", file=sys.stderr)
        return 2
    for target in _targets(args):
        wanted = handbrake.is_there() and not args.skip_handbrake
        measured = list(_measured(films, target, with_handbrake=wanted))
        if not measured:
            print("No film could be measured.", file=sys.stderr)
            return 2
        page = report(measured, target, args.seconds)
        print(f"\n{page}")
        if args.out:
            stem = f"quality-{target.metric.lower()}"
            title = f"# The quality bench at {target.metric} {target.mean:g}"
            picture = f"![Rate and quality of every clip]({stem}.svg)"
            (args.out / f"{stem}.md").write_text(f"{title}\n\n{page}\n{picture}\n")
            drawn = [diagram(row, tried, target) for row, tried in measured]
            (args.out / f"{stem}.svg").write_text(plot.svg(drawn, target.metric))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=Path, help="a folder of films (default: drawn ones)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each film (%(default)s)")
    parser.add_argument("--metric", choices=sorted(TARGETS), help="(default: one after the other)")
    parser.add_argument("--target", type=float, help="mean score (SSIM 0.95, VMAF 93)")
    parser.add_argument("--only", default="", help="film names that contain this")
    parser.add_argument("--skip-handbrake", action="store_true", help="its presets take long")
    parser.add_argument("--out", type=Path, help="a folder for tables and plots")
    parser.add_argument(
        "--keep",
        type=Path,
        default=command.CLIPS.parent / "bench-quality",
        help="what was made so far; delete it once the stand-in encodes otherwise (%(default)s)",
    )
    return parser


def _targets(args: argparse.Namespace) -> list[Target]:
    metrics = [args.metric] if args.metric else list(TARGETS)
    return [Target(metric=metric, mean=args.target or TARGETS[metric]) for metric in metrics]


def _films(args: argparse.Namespace) -> Iterator[tuple[str, Shelf]]:
    """Names and shelves of the films that are asked for."""
    folder = args.clips
    if folder is None:
        folder = args.keep / "drawn"
        folder.mkdir(parents=True, exist_ok=True)
        clips.draw(folder, seconds=args.seconds)
    films = clips.cut(folder, args.keep / "clips", seconds=args.seconds)
    names = digest([clip.name for _, clip in films])
    medley = args.keep / "clips" / f"medley-{names}.mp4"
    clips.medley([clip for _, clip in films], medley)
    for name, clip in [*films, (MEDLEY, medley)]:
        if args.only in name:
            yield name, Shelf(args.keep / clip.stem, clip)


def _measured(
    films: Sequence[tuple[str, Shelf]], target: Target, *, with_handbrake: bool
) -> Iterator[tuple[Row, Dial]]:
    for name, shelf in films:
        try:
            row, tried = measure(name, shelf, target, with_handbrake=with_handbrake)
        except (Rejected, offline.EncodeFailed) as problem:
            print(f"{name}: left out: {problem}", file=sys.stderr)
            continue
        print(command.table(_TARGET_HEAD, [_target_cells(row, target)]), flush=True)
        yield row, tried


if __name__ == "__main__":
    sys.exit(command.run(lambda argv: main(argv)))
