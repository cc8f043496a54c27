"""Lines on two logarithmic axes, as an SVG that needs no library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 400, 70, 50, 40, 190
COLOURS = ("#1b6ca8", "#c0392b", "#27864e", "#8e44ad", "#b9770e", "#16858a")
Points = Sequence[tuple[float, float]]


def write(path: Path, title: str, x: str, y: str, lines: Mapping[str, Points]) -> None:
    """Draw each line's (x, y), all above 0, and write the file."""
    every = [point for points in lines.values() for point in points]
    across = _Axis([point[0] for point in every], LEFT, WIDTH - RIGHT)
    up = _Axis([point[1] for point in every], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(WIDTH / 2, 20, title, "middle"),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x, "middle"),
        f'<g transform="rotate(-90 16 {HEIGHT / 2})">{_text(16, HEIGHT / 2, y, "middle")}</g>',
    ]
    for value in across.ticks():
        at = across.at(value)
        parts.append(_line(at, HEIGHT - BOTTOM, at, TOP))
        parts.append(_text(at, HEIGHT - BOTTOM + 18, f"{value:,g}", "middle"))
    for value in up.ticks():
        at = up.at(value)
        parts.append(_line(LEFT, at, WIDTH - RIGHT, at))
        parts.append(_text(LEFT - 6, at + 4, f"{value:,g}", "end"))
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        dash = ' stroke-dasharray="5 4"' if number >= len(COLOURS) else ""
        places = [(across.at(a), up.at(b)) for a, b in points]
        joined = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dash} points="{joined}"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in places]
        key = TOP + 8 + 20 * number
        ends = f'x1="{WIDTH - RIGHT + 8}" x2="{WIDTH - RIGHT + 28}" y1="{key - 6}" y2="{key - 6}"'
        parts.append(f'<line {ends} stroke="{colour}" stroke-width="3"{dash}/>')
        parts.append(_text(WIDTH - RIGHT + 32, key, name, "start"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


class _Axis:
    """From values to places, by the logarithm, out to whole powers of ten and their halves."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low = math.floor(2 * math.log10(min(values))) / 2
        self.high = max(math.ceil(2 * math.log10(max(values))) / 2, self.low + 0.5)
        self.start, self.end = start, end

    def at(self, value: float) -> float:
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self) -> list[float]:
        """1, 2, 5 and 10 of each power, fewer of them where there are many powers."""
        steps = (1, 2, 5) if self.high - self.low <= 3 else (1,)
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        values = [step * 10.0**power for power in powers for step in steps]
        return [value for value in values if self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9]


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'
