"""A training's course as a picture: its loss and what it finds of what was held out, by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, MARGIN = 640, 320, 48
LINES = (("loss", "#b4451f"), ("recall", "#1f5fb4"))


def curve(lines: Sequence[Mapping[str, float]], best_step: int) -> str:
    """An SVG of the log's lines (step, loss, recall), each scaled to its own range, the best step marked."""
    steps = [line["step"] for line in lines]
    last = max(steps, default=1) or 1

    def across(step: float) -> float:
        return round(MARGIN + (WIDTH - 2 * MARGIN) * step / last, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{MARGIN} {MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" stroke="#666"/>',
        f'<path d="M{across(best_step)} {MARGIN}V{HEIGHT - MARGIN}" stroke="#999" stroke-dasharray="4 4"/>',
        f'<text x="{across(best_step)}" y="{HEIGHT - MARGIN + 32}" text-anchor="middle">'
        f"best: {best_step}</text>",
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - MARGIN + 16}" text-anchor="end">step {last:.0f}</text>',
    ]
    for place, (name, colour) in enumerate(LINES):
        values = [line[name] for line in lines]
        low, high = min(values, default=0.0), max(values, default=1.0)
        reach = (high - low) or 1.0
        points = " ".join(
            f"{across(step)},{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - low) / reach:.1f}"
            for step, value in zip(steps, values, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        label = "held-out recall" if name == "recall" else name
        parts.append(
            f'<text x="{MARGIN + 8}" y="{MARGIN - 24 + 16 * place}" fill="{colour}">'
            f"{label} {low:.3f}–{high:.3f}</text>"
        )
    return "\n".join([*parts, "</svg>", ""])
