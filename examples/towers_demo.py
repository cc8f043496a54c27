"""`make towers-demo`: what text towers learn that move, alone and together with a fusion, on two catalogs.

    .venv/bin/python examples/towers_demo.py [--catalogs openclipart store] [--seeds 1] [--all]

openclipart has titles of three words, and its systems begin with MiniLM. Of the software store, applications
with an icon are searched; its systems begin with MiniLM trained on the descriptions of Debian packages. Each
catalog has two folds, and a system is trained on one and asked about the other. *joint*: the text tower moves
with the fusion; *two steps*: the fusion is trained once more, over the tower that the joint training left;
*shuffled*: trained and asked with the pictures of other products. Every finished training is kept below the
folder, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import store_demo
import torch
from fusion_study.auxiliary_images import auxiliary_images
from fusion_study.parallel import side_by_side
from fusion_study.store import store
from fusion_study.study import Scores, Study, Trial, halves, judgments, run_of
from fusion_study.systems import System, moving, over, write_joint
from sample_data.openclipart import Collection, collection
from train_demo import LATE, MEASURES, Table, best_mix

from mmsearch.config import cache_folder
from mmsearch.models import architecture as architectures
from mmsearch.models.fusion import registry
from mmsearch.models.trained_files import ARCHITECTURE, WEIGHTS

LAST, ALL = 2, 6
"""upper layers of MiniLM"""
FROZEN = "3tmm_gated"
TEXT = "bibert joint"
MINILM, NOTHING, DESCRIPTIONS = "MiniLM", "BiBERT from nothing", "MiniLM trained on descriptions"
ENCODERS = {store_demo.NOTHING: NOTHING, store_demo.RUN: DESCRIPTIONS}
CATALOGS = ("openclipart", "store")


@dataclass(frozen=True, slots=True)
class Work:
    """A system of a catalog, trained with a seed and asked about the fold `side`."""

    system: System
    encoder: Path | None
    seed: int
    side: int


def systems(moves: int, every: bool) -> list[System]:
    """What is trained on a catalog; with `every` the MLPs of four towers too, and both controls of each."""
    fused = ["3tmm_mlp", "3tmm_gated", "4tmm_gated"] + ["4tmm_mlp"] * every
    found = [System("bibert_mlp"), System("clip_mlp"), System("bibert", moves)]
    for name in fused:
        found += [System(name), System(name, moves)]
    found += [System(name, moves, shuffled=True) for name in (fused if every else [FROZEN])]
    found += [System(name, shuffled=True) for name in fused if every]
    return [*found, System(FROZEN, moves, again=True)]


def answered(study: Study, numbers: dict[str, Any], folder: Path, work: Work) -> tuple[Scores, float]:
    """The fused scores of the fold, and the held-out score of the training; kept below the folder."""
    system = work.system
    architecture = moving(system, work.encoder, numbers if system.moves is not None else {})
    told = repr((architecture.data, asdict(system), work.seed, work.side, len(study.data.products)))
    name = hashlib.sha256(told.encode()).hexdigest()[:12]
    kept = folder / f"{system.label}-{work.seed}-{work.side}-{name}.npz"
    if not kept.is_file():
        trial = Trial(system.label, work.seed, work.side, system.shuffled)
        if system.again:
            answered(study, numbers, folder, replace(work, system=replace(system, again=False)))
            architecture = architectures.load(joint_folder(folder, work) / ARCHITECTURE)
        asked, trained = study.trained_with(architecture, trial)
        if system.moves is not None and not system.again:
            study.say(f"{trial.label}: the tower at {trained.share:g}")
            if system.architecture == FROZEN and not system.shuffled:
                write_joint(system, architecture, trained, joint_folder(folder, work))
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}")
        np.savez_compressed(draft, scores=asked.scores[0], held_out=asked.held_out)
        draft.rename(kept)
    with np.load(kept) as found:
        return found["scores"], float(found["held_out"])


def joint_folder(folder: Path, work: Work) -> Path:
    """Where a joint training is kept that is trained once more."""
    return folder / f"{FROZEN} joint-{work.seed}-{work.side}"


def untrained(study: Study, encoder: Path | None) -> list[tuple[Scores, Scores, Scores]]:
    """Scores of each fold by this text encoder alone."""
    architecture = over("bibert", encoder, {})
    fusion = registry.build(architecture)
    return [study.tables(fusion, study.half(architecture, pool), pool) for pool in study.pools]


def encoder_of(folder: Path, kind: str, say: Any) -> Path:
    """The text encoder that was trained on descriptions, trained now unless its folder has one."""
    run = folder / f"{kind}-0"
    if not (run / WEIGHTS).is_file():
        say(f"training {kind} on {store_demo.PAIRS[kind]} descriptions")
        store_demo.trained(folder, store_demo.PAIRS[kind], 0, kind == store_demo.NOTHING, {})
    return next((run / "towers").iterdir())


def table_of(
    study: Study,
    encoders: dict[str, Path | None],
    asked: Sequence[Work],
    found: dict[Work, tuple[Scores, float]],
) -> Table:
    """Every system's runs: those that nothing was trained for on this catalog, and the trained ones."""
    judged = judgments(study.pools)
    table = Table(judged, MINILM)
    table.runs["BM25"] = [run_of("BM25", study.pools, study.bm25())]
    for name, encoder in encoders.items():
        tables = [text for _, text, _ in untrained(study, encoder)]
        table.runs[name] = [run_of(name, study.pools, tables)]
    for seed in sorted({work.seed for work in asked}):
        rows: dict[str, list[Scores]] = {}
        for work in asked:
            if work.seed == seed:
                scores, held_out = found[work]
                rows.setdefault(work.system.label, []).append(scores)
                table.held_out.setdefault(work.system.label, []).append(held_out)
        for name, tables in rows.items():
            table.runs.setdefault(name, []).append(run_of(name, study.pools, tables))
        if {TEXT, "clip_mlp"} <= rows.keys():
            mix = best_mix(LATE, study, judged, rows[TEXT], rows["clip_mlp"])
            table.runs.setdefault(LATE, []).append(mix)
    return table


def rows_of(table: Table, best: str) -> list[dict[str, Any]]:
    """Each system's figures, and its ratio to some of the others."""
    rows = []
    for name in table.runs:
        row = table.row(name)
        for other in (FROZEN, best, TEXT):
            if other != name and other in table.runs:
                row[f"over {other}"] = {measure: table.over(name, other, measure) for measure in MEASURES}
        rows.append(row)
    return rows


def markdown(catalog: str, report: dict[str, Any]) -> str:
    """The report of a catalog as a table."""
    text, measures = report["text"], (MEASURES[3], MEASURES[2])
    against = [MINILM, text, FROZEN] if text != MINILM else [MINILM, FROZEN]
    heads = [f"{short} over {other}" for other in against for short in ("nDCG@10", "R@100")]
    lines = [
        f"{catalog}: {report['products']} products, two folds, {report['queries']} queries, "
        f"{report['seeds']} seed(s).",
        "",
        f"| system | R@10 | R@100 | nDCG@10 | {' | '.join(heads)} | exclusive : reverse |",
        "| --- " * (len(heads) + 5) + "|",
    ]
    for row in report["rows"]:
        cells = [row["system"], *(f"{row[measure]:.3f}" for measure in MEASURES[1:])]
        for other in against:
            for measure in measures:
                own = (
                    [row[f"{measure} ratio"], *row[f"{measure} interval"]]
                    if other == MINILM
                    else row.get(f"over {other}", {}).get(measure)
                )
                cells.append("{:.3f} ({:.3f}–{:.3f})".format(*own) if own and other != row["system"] else "")
        lines.append(f"| {' | '.join(cells)} | {row['exclusive']:.2f} : {row['exclusive of text']:.2f} |")
    return "\n".join(lines) + "\n"


def say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)  # noqa: T201 - this is a command


def studied(name: str, folder: Path) -> Study:
    """A catalog's study."""
    cache = cache_folder()
    data: Collection = collection(cache) if name == CATALOGS[0] else store(cache, folder / "store", say)
    return Study(data, halves(data), say, auxiliary_images(cache))


def of_descriptions(folder: Path, kinds: Sequence[str], processes: int | None) -> dict[str, Path]:
    """The encoders that descriptions train, whose figures on the whole store are printed and written."""
    jobs = functools.partial(encoder_of, folder / "text", say=say)
    found = side_by_side(jobs, kinds, processes)
    texts = {kind: store_demo.compared(folder / "text", folder / "text" / f"{kind}-0") for kind in kinds}
    (folder / "text.json").write_text(json.dumps(texts, indent=2) + "\n", encoding="utf-8")
    print("\n".join(line for each in texts.values() for line in store_demo.lines(each)))  # noqa: T201
    return {ENCODERS[kind]: encoder for kind, encoder in zip(kinds, found, strict=True)}


def measured(catalog: str, encoders: dict[str, Path | None], chosen: argparse.Namespace) -> dict[str, Any]:
    """Train what is asked for on a catalog, and return the report."""
    started = time.monotonic()
    study = studied(catalog, chosen.folder)
    # On titles all layers may move; on descriptions they forget, and cost five times as much.
    short = catalog == CATALOGS[0]
    base, moves, numbers = (MINILM, ALL, {}) if short else (DESCRIPTIONS, LAST, {"batch": 128})
    wanted = [
        system
        for system in systems(moves, chosen.all)
        if not chosen.systems or system.label in (*chosen.systems, FROZEN)
    ]
    study.prepare([FROZEN, "clip_mlp"])
    asked = [
        Work(system, encoders[base], seed, pool.side)
        for seed in range(chosen.seeds)
        for system in wanted
        for pool in study.pools
    ]
    one = functools.partial(answered, study, numbers, chosen.folder / catalog)
    found: dict[Work, tuple[Scores, float]] = {}
    for again in (False, True):  # what is trained once more needs the first training
        part = [work for work in asked if work.system.again == again]
        found |= dict(zip(part, side_by_side(one, part, chosen.processes), strict=True))
    table = table_of(study, encoders, asked, found)
    return {
        "products": len(study.data.products),
        "queries": len(table.judged.queries),
        "seeds": chosen.seeds,
        "seconds": round(time.monotonic() - started),
        "text": base,
        "rows": rows_of(table, base),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="towers-demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--catalogs", nargs="+", choices=CATALOGS, default=CATALOGS)
    parser.add_argument("--systems", nargs="+", help="train these alone, by their names in the table")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="the MLP of 4tMM, and each fusion's controls too")
    parser.add_argument("--without-descriptions", action="store_true", help="openclipart alone, by MiniLM")
    parser.add_argument("--without-nothing", action="store_true", help="leave out BiBERT from nothing")
    parser.add_argument("--processes", type=int, help="trainings at once, one thread each; one a core")
    parser.add_argument("--folder", type=Path, default=Path("build/towers-demo"))
    chosen = parser.parse_args(arguments)
    if chosen.without_descriptions and "store" in chosen.catalogs:
        parser.error("the store needs the encoder trained on descriptions; name --catalogs openclipart")
    torch.set_num_threads(1)
    folder: Path = chosen.folder
    encoders: dict[str, Path | None] = {MINILM: None}
    if not chosen.without_descriptions:
        kinds = [store_demo.RUN] if chosen.without_nothing else [store_demo.NOTHING, store_demo.RUN]
        encoders |= of_descriptions(folder, kinds, chosen.processes)
    for catalog in chosen.catalogs:
        report = measured(catalog, encoders, chosen)
        (folder / f"{catalog}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        written = markdown(catalog, report)
        (folder / f"{catalog}.md").write_text(written, encoding="utf-8")
        print(written)  # noqa: T201 - this is a command


if __name__ == "__main__":
    main()
