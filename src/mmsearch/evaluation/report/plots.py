"""Plots as inline SVG. They follow the page's light or dark colors, are readable in print, and need no
library.

Colors are CSS classes (`s0`, `s1`, … for systems, `label-E` … for labels) of the page's style sheet. Series
also differ by dash and marker, so that a plot is readable without color. Every mark has its value as a title.
`alone` returns a plot as a separate file with its own style.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 620, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 16, 14, 44
_MARKERS = ("circle", "square", "diamond", "triangle")
_STYLE = """
text { font: 12px sans-serif; } .paper { fill: white; } .grid { stroke: #dddddd; }
.curve { fill: none; stroke-width: 2; } .d1 { stroke-dasharray: 7 3; }
.curve.s0 { stroke: #b4451f; } .mark.s0 { fill: #b4451f; }
.curve.s1 { stroke: #1f5fb4; } .mark.s1 { fill: #1f5fb4; }
"""


def _svg(name: str, title: str, body: Sequence[str], height: int = HEIGHT) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{name}-title">'
        f'<title id="{name}-title">{escape(title)}</title>{"".join(body)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", css: str = "tick") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, css: str = "grid") -> str:
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _ticks(low: float, high: float) -> list[float]:
    """Return four to eight round tick values that cover `low` to `high`."""
    span = high - low or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    for finer in (1, 0.5, 0.25, 0.2, 0.1):
        if span / (step * finer) >= 3:
            step *= finer
            break
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(first, max(last, first + 1) + 1)]


def _y_axis(ticks: Sequence[float], label: str) -> tuple[list[str], float]:
    """Return labelled grid lines, and the pixels per unit."""
    unit = (HEIGHT - TOP - BOTTOM) / (ticks[-1] - ticks[0])
    body = []
    for tick in ticks:
        y = HEIGHT - BOTTOM - (tick - ticks[0]) * unit
        body += [_line(LEFT, y, WIDTH - RIGHT, y), _text(LEFT - 6, y + 4, f"{tick:g}", "end")]
    middle = (TOP + HEIGHT - BOTTOM) / 2
    body.append(
        f'<text class="axis" transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(label)}</text>"
    )
    return body, unit


def alone(plot: str, legend: Sequence[str]) -> str:
    """Return a plot of up to two series as a separate file, on white, with a legend below."""
    names = "".join(
        f'<g transform="translate({LEFT + 240 * number} {HEIGHT + 4})">{_key(number)}'
        f"{_text(34, 10, text, 'start')}</g>"
        for number, text in enumerate(legend)
    )
    size = f"0 0 {WIDTH} {HEIGHT + 24}"
    return (
        plot.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        .replace(f'viewBox="0 0 {WIDTH} {HEIGHT}"', f'viewBox="{size}"', 1)
        .replace(
            "</title>", f'</title><style>{_STYLE}</style><rect class="paper" width="100%" height="100%"/>', 1
        )
        .replace("</svg>", f"{names}</svg>\n")
    )


def curves(
    name: str,
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    x: str,
    y: str,
    *,
    logarithmic: bool = True,
) -> str:
    """Return one line per system over an x axis that is logarithmic or starts at 0."""
    points = [point for line in series.values() for point in line]
    ticks = _ticks(0.0, max((value for _, value in points), default=1.0) or 1.0)
    body, unit = _y_axis(ticks, y)
    places = sorted({place for place, _ in points}) or [1]
    numbered = places if logarithmic else _ticks(0.0, places[-1])
    span = math.log(places[-1] / places[0]) if logarithmic else numbered[-1]

    def across(place: float) -> float:
        reached = math.log(place / places[0]) if logarithmic else place
        return LEFT + 8 + (WIDTH - LEFT - RIGHT - 16) * reached / (span or 1.0)

    body += [_text(across(place), HEIGHT - BOTTOM + 16, f"{place:g}") for place in numbered]
    body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x, css="axis"))
    for number, (system, line) in enumerate(series.items()):
        pixels = [(across(place), HEIGHT - BOTTOM - (value - ticks[0]) * unit) for place, value in line]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in pixels)
        body.append(f'<polyline class="curve s{number % 8} d{number % 4}" points="{path}"/>')
        for (place, value), (px, py) in zip(line, pixels, strict=True):
            body.append(_marker(number, px, py, f"{system}: {value:.3f} at {place:g}"))
    return _svg(name, title, body)


def _marker(number: int, x: float, y: float, title: str) -> str:
    kind = _MARKERS[number % len(_MARKERS)]
    css = f'class="mark s{number % 8}"'
    shapes = {
        "circle": f'<circle {css} cx="{x:.1f}" cy="{y:.1f}" r="3.5">',
        "square": f'<rect {css} x="{x - 3.2:.1f}" y="{y - 3.2:.1f}" width="6.4" height="6.4">',
        "diamond": f'<path {css} d="M{x:.1f} {y - 4.5:.1f}l4.5 4.5-4.5 4.5-4.5-4.5z">',
        "triangle": f'<path {css} d="M{x:.1f} {y - 4.5:.1f}l4.2 7.5h-8.4z">',
    }
    closing = {"circle": "circle", "square": "rect"}.get(kind, "path")
    return f"{shapes[kind]}<title>{escape(title)}</title></{closing}>"


def legend_mark(number: int) -> str:
    """The line and marker of the number-th series, for a legend."""
    return f'<svg class="key" viewBox="0 0 28 12" aria-hidden="true">{_key(number)}</svg>'


def _key(number: int) -> str:
    line = f'<line class="curve s{number % 8} d{number % 4}" x1="0" y1="6" x2="28" y2="6"/>'
    return line + _marker(number, 14, 6, "")


def stacked(name: str, title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return one horizontal bar per system, split into shares of 1. The class of a share is `label-PART`."""
    step, gutter = 34, 150
    height = TOP + step * len(rows) + 26
    scale = WIDTH - gutter - RIGHT
    body = []
    for number, (system, parts) in enumerate(rows.items()):
        y = TOP + number * step
        body.append(_text(gutter - 8, y + 17, _short(system), "end"))
        x = float(gutter)
        for part, share in parts.items():
            width = share * scale
            if width > 0:
                body.append(
                    f'<rect class="share label-{escape(part)}" x="{x:.1f}" y="{y}" width="{width:.1f}" '
                    f'height="24"><title>{escape(system)}: {escape(part)} {share:.1%}</title></rect>'
                )
            if width > 34:
                body.append(_text(x + width / 2, y + 16, f"{share:.0%}", css=f"inside on-{escape(part)}"))
            x += width
    body += [_text(gutter + tick * scale, height - 8, f"{tick:.0%}") for tick in (0, 0.25, 0.5, 0.75, 1)]
    return _svg(name, title, body, height)


def both_ways(
    name: str, title: str, rows: Sequence[tuple[str, float, float, float, float]], base: str
) -> str:
    """Return exclusive matches per query: to the right those of a system, to the left those of the base.

    A row is (system, own, own relevant, the base's own, the base's own relevant).
    """
    step, gutter = 34, 150
    height = TOP + step * len(rows) + 44
    middle = gutter + (WIDTH - gutter - RIGHT) / 2
    most = max((max(row[1], row[3]) for row in rows), default=1.0) or 1.0
    scale = (WIDTH - gutter - RIGHT) / 2 / most
    body = [_line(middle, TOP - 6, middle, TOP + step * len(rows), "zero")]
    for number, (system, own, good, other, other_good) in enumerate(rows):
        y = TOP + number * step
        body.append(_text(gutter - 8, y + 17, _short(system), "end"))
        for sign, whole, part, who in ((1, own, good, system), (-1, other, other_good, base)):
            for value, css in ((whole, "exclusive"), (part, "exclusive relevant")):
                x = middle if sign > 0 else middle - value * scale
                body.append(
                    f'<rect class="{css}" x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="24"><title>'
                    f"{escape(who)} alone: {whole:.2f} a query, {part:.3f} relevant</title></rect>"
                )
            outer = middle + sign * whole * scale
            inside = whole * scale > 60
            anchor = "end" if (sign > 0) == inside else "start"
            body.append(
                _text(outer + (-sign if inside else sign) * 6, y + 16, f"{whole:.1f} ({part:.2f})", anchor)
            )
    y = TOP + step * len(rows) + 18
    body.append(_text(middle - 8, y, f"only {_short(base)}", "end", "axis"))
    body.append(_text(middle + 8, y, "only this system", "start", "axis"))
    return _svg(name, title, body, height)


def win_loss(name: str, title: str, differences: Sequence[float], label: str) -> str:
    """Return one bar per query, sorted: above the line the system wins, below it loses."""
    ordered = sorted(differences, reverse=True)
    reach = max((abs(value) for value in ordered), default=0.0) or 1.0
    ticks = [round(-reach, 3), 0.0, round(reach, 3)]
    body, unit = _y_axis(ticks, label)
    zero = HEIGHT - BOTTOM + ticks[0] * unit
    width = (WIDTH - LEFT - RIGHT) / max(len(ordered), 1)
    for number, value in enumerate(ordered):
        if value:
            top = zero - max(value, 0) * unit
            css = "win" if value > 0 else "loss"
            body.append(
                f'<rect class="{css}" x="{LEFT + number * width:.2f}" y="{top:.1f}" '
                f'width="{max(width - (1 if width > 3 else 0), 0.4):.2f}" height="{abs(value) * unit:.1f}"/>'
            )
    body.append(_line(LEFT, zero, WIDTH - RIGHT, zero, "zero"))
    wins, losses = sum(v > 0 for v in ordered), sum(v < 0 for v in ordered)
    caption = f"{wins} queries won, {len(ordered) - wins - losses} even, {losses} lost"
    body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, caption, css="axis"))
    return _svg(name, f"{title}: {caption}", body)


def _short(text: str, most: int = 20) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
