"""Tables of measurements: `python bench TABLE [OPTIONS]`, and `python bench` lists them."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLES = {
    "everything": "everything",
    "page": "measuring.page",
    "ingest": "ingesting.tables",
    "shop": "ingesting.shop",
    "growth": "ingesting.growth",
    "neural": "neural.clause",
    "profiles": "neural.profiles",
    "hybrid": "hybrid.clause",
    "legs": "hybrid.legs",
    "slow-legs": "hybrid.slow_legs",
    "quantization": "hybrid.quantization",
    "encoders": "encoders.served",
    "int8": "encoders.int8",
    "clip": "encoders.clip",
    "training": "training.steps",
    "towers": "training.towers",
    "evaluation": "quality.measures",
    "quality": "quality.targets",
    "lexical": "quality.lexical",
    "colours": "quality.colours",
    "diversity": "quality.diversity",
    "fusions": "quality.fusions",
    "runtimes": "quality.runtimes",
}
"""name → module below bench/"""


def main(folder: str, modules: dict[str, str]) -> int:
    """Run the module that the first argument names, with the arguments behind it."""
    # The benches measure what qa/ tries and what examples/ makes.
    sys.path[:0] = [str(ROOT / each) for each in ("bench", "qa", "examples")]
    if len(sys.argv) < 2 or sys.argv[1] not in modules:
        got = "" if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help") else f", got {sys.argv[1]}"
        print(f"usage: python {folder} NAME [OPTIONS]; one of {', '.join(modules)}{got}", file=sys.stderr)
        return 2 if got or len(sys.argv) < 2 else 0
    name = sys.argv.pop(1)
    sys.argv[0] = f"{folder} {name}"
    code: int = importlib.import_module(modules[name]).main()
    # The figures of a short form decide nothing. `everything` fails where a bench left no figures.
    short = folder == "bench" and name != "everything" and os.environ.get("MMSEARCH_BENCH_SHORT")
    return 0 if short else code


if __name__ == "__main__":
    sys.exit(main("bench", TABLES))
