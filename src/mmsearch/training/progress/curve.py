"""Plot of a training run: loss and held-out recall by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmsearch.evaluation.report import plots

LINES = {"loss": "loss", "recall": "held-out recall"}


def curve(lines: Sequence[Mapping[str, float]], best_step: int) -> str:
    """Return an SVG of the log's lines (step, loss, recall), each scaled to its own range."""
    series = {}
    for name, label in LINES.items():
        values = [line[name] for line in lines]
        low, high = min(values, default=0.0), max(values, default=1.0)
        reach = (high - low) or 1.0
        series[f"{label} {low:.3f}–{high:.3f}"] = [
            (line["step"], (value - low) / reach) for line, value in zip(lines, values, strict=True)
        ]
    title = "Loss and held-out recall, each over its own range"
    x = f"step (best: {best_step})"
    return plots.alone(plots.curves("curve", title, series, x, "of its range", logarithmic=False), [*series])
