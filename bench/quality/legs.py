"""The legs of a hybrid on judged catalogs, retrieved once, so that fusions are compared in seconds."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import evaluate_demo
from measuring.real_node import Both
from sample_data import software, stamps

from mmsearch import Client
from mmsearch.api.judged import Asked
from mmsearch.clients.opensearch import ask, connect
from mmsearch.config import cache_folder
from mmsearch.evaluation.exchange.judged_file import read_judgments
from mmsearch.evaluation.judgments import Judgments
from mmsearch.evaluation.runs import Run

WINDOW = 100
JUDGMENTS, FOUND = "judgments.jsonl", "legs.json.gz"
LEGS = ("lexical", "neural")
SETS = {
    "openclipart": evaluate_demo.write_openclipart,
    "furniture": evaluate_demo.write_furniture,
    "emoji": evaluate_demo.write_emoji,
    **{
        "stamps" if language == stamps.ENGLISH else f"stamps-{language}": partial(
            evaluate_demo.write_stamps, language=language
        )
        for language in stamps.LANGUAGES
    },
    "software": partial(evaluate_demo.write_software, language=software.ENGLISH),
}
"""by name, what writes a set's catalog and judgments into a folder"""


@dataclass(frozen=True)
class Legs:
    """A set's judgments, its legs with the ranges of their scores, and what its index says of itself."""

    judgments: Judgments
    runs: tuple[Run, ...]
    meta: Mapping[str, Any]


def retrieve(servers: Both, name: str, folder: Path, kept: Path) -> None:
    """Write a set below `folder`, ingest it, search each leg once, and write what was found below `kept`."""
    written = SETS[name](folder, cache_folder())
    index = f"bench-{name}"
    with Client(servers.url, triton=servers.triton, index=index) as shop:
        report = shop.ingest(written / "catalog.jsonl", on_bad_image="text-only")
        if report.exit_code:
            raise RuntimeError(report.sentence())
        runs = Asked(LEGS, shop, WINDOW).legs(read_judgments(written / JUDGMENTS), written)
    failed = {run.name: dict(run.problems) for run in runs if run.problems}
    if failed:
        raise RuntimeError(f"expected answers from every leg, got {failed}")
    with closing(connect(servers.url)) as client:
        (about,) = ask(client, "GET", f"/{index}/_mapping").values()
    found = {
        "meta": about["mappings"]["_meta"]["mmsearch"],
        "runs": [{"name": run.name, "scores": run.scores, "ranges": run.ranges} for run in runs],
    }
    kept.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(written / JUDGMENTS, kept / JUDGMENTS)
    with gzip.open(kept / FOUND, "wt", encoding="utf-8") as stream:
        json.dump(found, stream)


def read(kept: Path) -> Legs:
    """Read what `retrieve` wrote."""
    with gzip.open(kept / FOUND, "rt", encoding="utf-8") as stream:
        found = json.load(stream)
    runs = tuple(Run(run["name"], run["scores"], ranges=run["ranges"]) for run in found["runs"])
    return Legs(read_judgments(kept / JUDGMENTS), runs, found["meta"])
