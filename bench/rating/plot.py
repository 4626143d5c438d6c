"""Rate-quality curves as one SVG: a small diagram for each clip."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _MARGIN, _COLUMNS = 280, 190, 34, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """Scores over kbit/s.

    Attributes:
        full: full encodes; predicted: what the samples promise; named: single encodes by name.
    """

    title: str
    target: float
    full: Sequence[tuple[float, float]]
    predicted: Sequence[tuple[float, float]]
    named: dict[str, tuple[float, float]]


COLOURS = {"chosen": "#c2410c", "HandBrake Fast": "#0f766e", "HandBrake HQ": "#1d4ed8"}


def svg(diagrams: Sequence[Diagram], metric: str) -> str:
    """A whole SVG file."""
    rows = -(-len(diagrams) // _COLUMNS)
    width, height = _COLUMNS * _WIDTH, rows * _HEIGHT + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="9">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_legend(metric),
    ]
    for number, diagram in enumerate(diagrams):
        x, y = number % _COLUMNS * _WIDTH, number // _COLUMNS * _HEIGHT + 24
        parts += [f'<g transform="translate({x} {y})">', *_diagram(diagram), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(metric: str) -> Iterator[str]:
    entries = {
        f"{metric} over kbit/s: full encodes": "#111827",
        "predicted from samples": "#9ca3af",
        **COLOURS,
    }
    x = 10
    for name, colour in entries.items():
        yield f'<circle cx="{x}" cy="12" r="3" fill="{colour}"/>'
        yield f'<text x="{x + 6}" y="15">{escape(name)}</text>'
        x += 22 + 5 * len(name)


def _diagram(diagram: Diagram) -> Iterator[str]:
    points = [*diagram.full, *diagram.predicted, *diagram.named.values()]
    left, right = (f(math.log2(x) for x, _ in points) for f in (min, max))
    low = min(*(y for _, y in points), diagram.target)
    high = max(*(y for _, y in points), diagram.target)

    def at(point: tuple[float, float]) -> tuple[float, float]:
        across = (math.log2(point[0]) - left) / max(right - left, 1e-9)
        up = (point[1] - low) / max(high - low, 1e-9)
        x = _MARGIN + across * (_WIDTH - _MARGIN - 12)
        return round(x, 1), round(_HEIGHT - 26 - up * (_HEIGHT - 52), 1)

    yield f'<text x="{_MARGIN}" y="12" font-weight="bold">{escape(diagram.title)}</text>'
    _, line = at((2**left, diagram.target))
    yield f'<path d="M{_MARGIN} {line}H{_WIDTH - 12}" stroke="#fca5a5" stroke-dasharray="3 2"/>'
    for value in (low, high):
        _, y = at((2**left, value))
        yield f'<text x="{_MARGIN - 4}" y="{y + 3}" text-anchor="end">{value:.3g}</text>'
    for power, anchor in ((left, "start"), (right, "end")):
        x, _ = at((2**power, low))
        yield f'<text x="{x}" y="{_HEIGHT - 10}" text-anchor="{anchor}">{2**power:.0f}</text>'
    for curve, colour in ((diagram.predicted, "#9ca3af"), (diagram.full, "#111827")):
        places = [at(point) for point in sorted(curve)]
        if places:
            path = "L".join(f"{x} {y}" for x, y in places)
            yield f'<path d="M{path}" fill="none" stroke="{colour}"/>'
            yield from (f'<circle cx="{x}" cy="{y}" r="1.8" fill="{colour}"/>' for x, y in places)
    for name, point in diagram.named.items():
        x, y = at(point)
        yield f'<circle cx="{x}" cy="{y}" r="3.2" fill="{COLOURS[name]}"/>'
