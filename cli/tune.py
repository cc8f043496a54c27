"""`mmsearch tune`: the fusion of a hybrid, found on judged queries and judged on queries held out."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mmsearch.cli.evaluate import PATH, gather, names_at, read_judgments, read_systems
from mmsearch.cli.options import tls
from mmsearch.clients.opensearch import DEFAULT_URL
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.measures import parse
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.templates import Template
from mmsearch.evaluation.tuning.fusion import Fusion
from mmsearch.evaluation.tuning.tune import FEWEST, TOLERATED, Tuned, tune
from mmsearch.search.clauses import ALONE, BESIDE, ClauseNames

WINDOW = 100


@click.command("tune")
@click.option(
    "--judgments", type=PATH, required=True, help="Judged pairs: JSON Lines, or TREC qrels (.qrels)."
)
@click.option(
    "--leg",
    "legs",
    metavar="NAME=SOURCE",
    multiple=True,
    help="SOURCE: body.json, {JSON}, file.run, lexical, neural, text, picture.  [default: lexical, neural]",
)
@click.option("--measure", default="ndcg@10", show_default=True, help="An nDCG with a depth.")
@click.option(
    "--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts of the cross-validation."
)
@click.option(
    "--window", type=click.IntRange(1, 10_000), default=WINDOW, show_default=True, help="Hits a leg."
)
@click.option(
    "--classes/--mean-alone",
    default=True,
    show_default=True,
    help="Choose so that no class of queries falls below its best leg, or by the mean alone.",
)
@click.option("--esci", is_flag=True, help="Read grades 3 to 0 of qrels as E, S, C, I.")
@click.option("--index", default="products", envvar="MMSEARCH_INDEX", show_default=True)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@tls
@click.option("--out", type=PATH, help="Also write the clause, as a body that `mmsearch evaluate` takes.")
@click.option("--json", "as_json", is_flag=True, help="Figures and clause as one JSON object on one line.")
def command(
    judgments: Path,
    legs: tuple[str, ...],
    measure: str,
    folds: int,
    window: int,
    classes: bool,
    esci: bool,
    index: str,
    opensearch: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Find technique and weights that fuse two to ten legs best, and print the clause to paste.

    Each leg is asked once. The figure is of held-out queries: for every fold, the fusion is chosen on the
    other folds. Fusing is done here, by the plugin's own formulas.

    \b
    Example:
      mmsearch tune --judgments judgments.jsonl
      mmsearch tune --judgments judgments.jsonl --leg lexical --leg text --leg picture --out tuned.json
    """
    judged = read_judgments(judgments, esci=esci)
    systems = read_systems(legs or ("lexical", "neural"), window, opensearch, index)
    runs, _ = gather(systems, judged, judgments.parent, opensearch, index, window)
    found = tune(judged, runs, parse(measure, judged), folds=folds, window=window, classes=classes)
    names = ALONE if any(isinstance(each, Run) for each in systems) else names_at(opensearch, index)
    clause = hybrid(systems, found.fusion, window, names)
    if out:
        if clause is None:
            raise MmsearchError(
                "expected legs with search bodies for --out, got a TREC run; name bodies, or leave it out"
            )
        out.write_text(json.dumps({"query": clause}, indent=1) + "\n", encoding="utf-8")
    pasted = clause or {"fusion": found.fusion.clause()}
    click.echo(
        json.dumps(as_object(found, pasted))
        if as_json
        else f"{sentences(found)}\n\n{json.dumps(pasted, indent=1)}"
    )


def hybrid(
    systems: list[Template | Run], fusion: Fusion, window: int, names: ClauseNames = ALONE
) -> dict[str, Any] | None:
    """The hybrid clause over the legs' queries, with their placeholders, by the name that the node serves;
    None when a leg is a finished run."""
    queries = []
    for system in systems:
        if isinstance(system, Run):
            return None
        queries.append(_unwrapped(dict(system.body["query"]), system.name))
    return {names.hybrid: {"queries": queries, "fusion": fusion.clause(), "pagination_depth": window}}


def _unwrapped(query: dict[str, Any], name: str) -> dict[str, Any]:
    """A leg's query without a `bool` that does nothing but hold it, named so that the evidence tells it."""
    inner = query.get("bool")
    if isinstance(inner, dict) and not inner.get("filter") and len(inner.get("must") or ()) == 1:
        rest = set(inner) - {"must", "filter"}
        query = dict(inner["must"][0]) if not rest else query
    ((kind, body),) = query.items()
    if isinstance(body, dict) and kind in (ALONE.neural, BESIDE.neural):
        ((field, asked),) = body.items()
        return {kind: {field: {**asked, "_name": name}}}
    return (
        {kind: {**body, "_name": name}}
        if isinstance(body, dict) and kind in ("bool", "multi_match")
        else query
    )


def sentences(found: Tuned) -> str:
    """What was found, for a terminal."""
    held = found.held_out
    width = max(len(name) for name in [*found.legs, "equal weights", "tuned, held out"]) + 6
    lines = [f"{found.measure.title}, {held.queries} queries, {len(found.folds)} folds"]
    lines += [f"  {f'{name} alone':{width}} {mean:.4f}" for name, mean in found.legs.items()]
    lines.append(f"  {'equal weights':{width}} {found.equal:.4f}")
    lines.append(
        f"  {'tuned, held out':{width}} {held.system:.4f}  {held.ratio:.3f} x {found.best_leg}, "
        f"difference {held.difference:+.4f} [{held.low:+.4f}, {held.high:+.4f}], p {_p(held.p)}"
    )
    lines += [f"  fold {number} chose {fusion}" for number, fusion in enumerate(found.folds, 1)]
    lines.append(f"  all queries: {found.fusion}")
    if found.classes:
        lines.append(f"by class of at least {FEWEST} queries, held out, against the leg that is best there:")
    for each in found.classes:
        ratio = f"{each.held_out / each.leg:.3f} x" if each.leg else "against 0 of"
        lines.append(
            f"  {f'{each.by} {each.name}':{width}} {each.held_out:.4f}  {ratio} {each.best_leg}, "
            f"{each.queries} queries" + (f", below by more than {TOLERATED:.0%}" if each.below else "")
        )
    if found.classes and not any(each.below for each in found.classes):
        lines.append(f"No class is more than {TOLERATED:.0%} below its best leg.")
    if held.low <= 0:
        lines.append(f"This is not clearly better than {found.best_leg} alone; more judged queries may tell.")
    return "\n".join(lines)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def as_object(found: Tuned, clause: dict[str, Any]) -> dict[str, Any]:
    """The same as one JSON object."""
    held = found.held_out
    return {
        "measure": found.measure.name,
        "queries": held.queries,
        "legs": dict(found.legs),
        "equal": found.equal,
        "held_out": held.system,
        "best_leg": found.best_leg,
        "ratio": held.ratio if held.baseline else None,
        "difference": held.difference,
        "low": held.low,
        "high": held.high,
        "p": held.p,
        "fusion": found.fusion.clause(),
        "classes": [asdict(each) | {"below": each.below} for each in found.classes],
        "folds": [fusion.clause() for fusion in found.folds],
        "clause": clause,
    }
