"""`mmsearch tune`: tune the fusion of a hybrid on judged queries, and measure it on held-out ones."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mmsearch.api.client import Client
from mmsearch.api.tuning import WINDOW, tune
from mmsearch.cli.ending import messages, say
from mmsearch.cli.evaluate import PATH
from mmsearch.cli.options import only, tls
from mmsearch.clients.opensearch import DEFAULT_URL
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.tuning.learn import LearnedStudy
from mmsearch.evaluation.tuning.tune import FEWEST, TOLERATED, Tuned


@click.command("tune")
@click.option(
    "--judgments",
    type=PATH,
    required=True,
    help="Judged pairs: JSON Lines, a table, ESCI's examples, or TREC qrels.",
)
@click.option(
    "--leg",
    "legs",
    metavar="NAME=SOURCE",
    multiple=True,
    help="SOURCE: body.json, {JSON}, file.run, lexical, neural, text, picture.  [default: lexical, neural]",
)
@click.option("--measure", default="ndcg@10", show_default=True, help="An nDCG measure with a depth.")
@click.option(
    "--folds", type=click.IntRange(2), default=5, show_default=True, help="Number of cross-validation folds."
)
@click.option(
    "--window", type=click.IntRange(1, 10_000), default=WINDOW, show_default=True, help="Hits per leg."
)
@click.option(
    "--classes/--mean-alone",
    default=True,
    show_default=True,
    help="Avoid fusions that put a class of queries below its best leg, or use only the mean.",
)
@click.option(
    "--learn",
    is_flag=True,
    help="Also learn a model over ranks and scores; it is used if clearly better.",
)
@click.option("--esci", is_flag=True, help="Read grades 3 to 0 of qrels as E, S, C, I.")
@only
@click.option("--index", default="products", envvar="MMSEARCH_INDEX", show_default=True)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@tls
@click.option("--out", type=PATH, help="Also write the clause as a search body for `mmsearch evaluate`.")
@click.option("--json", "as_json", is_flag=True, help="Print measures and clause as one line of JSON.")
def command(
    judgments: Path,
    legs: tuple[str, ...],
    measure: str,
    folds: int,
    window: int,
    classes: bool,
    learn: bool,
    esci: bool,
    only: dict[str, str],
    index: str,
    opensearch: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Find the best technique and weights to fuse two to ten legs, and print the clause.

    Each leg is searched once. The result is measured on held-out queries: for every fold, the fusion is
    chosen on the other folds. Hits are fused locally with the plugin's formulas.

    With --learn, a logistic model over each product's ranks and scores in the legs is compared with the tuned
    weights, with equal weights and with the best leg. Unless it is clearly better than all, it is refused.

    \b
    Example:
      mmsearch tune --judgments judgments.jsonl
      mmsearch tune --judgments judgments.jsonl --leg lexical --leg text --leg picture --out tuned.json
      mmsearch tune --judgments judgments.jsonl --learn --out learned.json
    """
    with messages(say), Client(opensearch, index=index) as client:
        found = tune(
            judgments,
            legs or ("lexical", "neural"),
            client=client,
            measure=measure,
            folds=folds,
            window=window,
            classes=classes,
            learn=learn,
            esci=esci,
            only=only,
        )
    if out:
        if found.clause is None:
            raise MmsearchError(
                "expected legs with search bodies for --out, got a TREC run; name bodies, or leave it out"
            )
        out.write_text(json.dumps({"query": found.clause}, indent=1) + "\n", encoding="utf-8")
    click.echo(
        json.dumps(found.summary())
        if as_json
        else f"{sentences(found.tuned)}\n\n{json.dumps(found.pasted, indent=1)}"
    )


def sentences(found: Tuned) -> str:
    """Return the result for a terminal."""
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
        lines.append(
            f"by class of at least {FEWEST} held-out queries, compared with the best leg of the class:"
        )
    for each in found.classes:
        ratio = f"{each.held_out / each.leg:.3f} x" if each.leg else "against 0 of"
        lines.append(
            f"  {f'{each.by} {each.name}':{width}} {each.held_out:.4f}  {ratio} {each.best_leg}, "
            f"{each.queries} queries" + (f", below by more than {TOLERATED:.0%}" if each.below else "")
        )
    if found.classes and not any(each.below for each in found.classes):
        lines.append(f"No class is more than {TOLERATED:.0%} below its best leg.")
    over = found.over_equal
    which = "the tuned fusion" if found.recommended == found.fusion else "the default fusion"
    lines.append(
        f"Recommended: {which}; on held-out queries the tuned one is {over.difference:+.4f} "
        f"[{over.low:+.4f}, {over.high:+.4f}] over the default."
    )
    if held.low <= 0:
        lines.append(
            f"This is not clearly better than {found.best_leg} alone; more judged queries may decide it."
        )
    if found.learned_fusion:
        lines += _learned_summary(found.learned_fusion)
    return "\n".join(lines)


def _learned_summary(study: LearnedStudy) -> list[str]:
    width = max(map(len, study.against)) + 6
    lines = [f"  {'learned, held out':{width}} {study.held_out:.4f}, against:"]
    lines += [
        f"  {name:{width}} {each.baseline:.4f}  {each.ratio:.3f} x, difference {each.difference:+.4f} "
        f"[{each.low:+.4f}, {each.high:+.4f}], p {_p(each.p)}"
        for name, each in study.against.items()
    ]
    return [*lines, study.sentence]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
