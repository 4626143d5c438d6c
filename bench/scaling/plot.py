"""How many jobs are open over time, one small diagram for each scenario, as one SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from bench.scaling.scenarios import Outcome

_WIDTH, _HEIGHT, _MARGIN, _COLUMNS = 300, 170, 48, 2
_POINTS = 240


def svg(outcomes: Sequence[Outcome]) -> str:
    """A whole SVG file."""
    rows = -(-len(outcomes) // _COLUMNS)
    width, height = _COLUMNS * _WIDTH, rows * _HEIGHT + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="9">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="13">Jobs that are open, over time</text>',
    ]
    for number, outcome in enumerate(outcomes):
        x, y = number % _COLUMNS * _WIDTH, number // _COLUMNS * _HEIGHT + 20
        parts += [f'<g transform="translate({x} {y})">', *_diagram(outcome), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _diagram(outcome: Outcome) -> Iterator[str]:
    # Of each stretch the most, so that no peak is lost.
    each = -(-len(outcome.opened) // _POINTS)
    points = [
        max(outcome.opened[start : start + each], key=lambda point: point[1])
        for start in range(0, len(outcome.opened), each)
    ]
    last_s = max(points[-1][0], 1.0)
    most = max(max(count for _, count in points), 1)
    right, base, top = _WIDTH - 14, _HEIGHT - 26, 22

    def place(at_s: float, count: int) -> str:
        x = _MARGIN + at_s / last_s * (right - _MARGIN)
        return f"{x:.1f} {base - count / most * (base - top):.1f}"

    yield f'<text x="{_MARGIN}" y="12" font-weight="bold">{escape(outcome.scenario.name)}</text>'
    yield f'<path d="M{_MARGIN} {top}V{base}H{right}" fill="none" stroke="#9ca3af"/>'
    for label, y in ((f"{most:,}", top + 3), ("0", base + 3)):
        yield f'<text x="{_MARGIN - 4}" y="{y}" text-anchor="end">{label}</text>'
    span = f"{last_s / 3600:.0f} h" if last_s < 4 * 86_400 else f"{last_s / 86_400:.0f} days"
    yield f'<text x="{right}" y="{base + 12}" text-anchor="end">{span}</text>'
    line = "L".join(place(at_s, count) for at_s, count in points)
    yield f'<path d="M{line}" fill="none" stroke="#1d4ed8" stroke-width="1.2"/>'
