"""The page's plot of what grows with the catalog, from the figures of bench growth."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from measuring.results import Record
from PIL import Image

PLOT = Path(__file__).parents[1] / "results" / "growth.png"
COLOURS = {"bm25": "#1b6ca8", "neural": "#c0392b", "hybrid": "#27864e"}


def draw(record: Record, path: Path = PLOT) -> None:
    """Latency and cost against the number of products, both by their logarithm."""
    from matplotlib.figure import Figure

    figures = {what: value for what, value, *_ in record["figures"]}
    sizes = sorted({int(arm.rpartition(", ")[2]) for arm in record["arms"]})
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="products", ylabel="ms")
    axes.set_title("What grows with the catalog")
    for kind, colour in COLOURS.items():
        p50 = [record["arms"][f"{kind}, {size}"][0] for size in sizes]
        p99 = [figures[f"p99, ms: {kind}, {size}"] for size in sizes]
        axes.plot(sizes, p50, marker="o", color=colour, label=f"{kind}, p50")
        axes.plot(sizes, p99, marker="o", color=colour, linestyle="dashed", label=f"{kind}, p99")
    cost = [figures[f"processor time to index a product, ms: {size} products"] for size in sizes]
    axes.plot(sizes, cost, marker="s", color="#555555", label="processor time\nto index a product")
    axes.grid(color="#dddddd")
    figure.legend(loc="outside right center", frameon=False)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110)
    Image.open(drawn).convert("RGB").quantize(64).save(path, optimize=True)
