"""`mmsearch evaluate`: measure systems with judgments, on the live index or from TREC runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import click

from mmsearch.api import evaluation as api
from mmsearch.api.client import Client
from mmsearch.cli.ending import messages, say
from mmsearch.cli.options import only, tls
from mmsearch.clients.opensearch import DEFAULT_URL
from mmsearch.evaluation.live import WAYS
from mmsearch.evaluation.study import Study

PATH = click.Path(path_type=Path)


@click.command("evaluate")
@click.option(
    "--judgments",
    type=PATH,
    required=True,
    help="Judged pairs: JSON Lines, a table, ESCI's examples, or TREC qrels.",
)
@click.option(
    "--system",
    "systems",
    metavar="NAME[@INDEX]=SOURCE",
    multiple=True,
    required=True,
    help="SOURCE is body.json, {JSON}, file.run, or one of lexical, neural, text, picture, hybrid.",
)
@click.option("--baseline", help="The system to compare the others with.  [default: the first]")
@click.option(
    "--measure",
    "measures",
    multiple=True,
    help="For example ndcg@10.  [default: all that fit; the first is the main one]",
)
@click.option(
    "--depth", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Hits per query."
)
@click.option(
    "--gate", "gates", multiple=True, help='Exit 3 unless it holds, for example "ndcg@10 >= baseline - 0.5%".'
)
@click.option("--report", type=PATH, help="Write an HTML report with pictures and plots.")
@click.option("--title", default="Search relevance report", help="Title of the report.")
@click.option(
    "--show",
    type=click.IntRange(0, 200),
    default=12,
    show_default=True,
    help="Number of queries shown side by side.",
)
@click.option("--show-query", multiple=True, help="Always show this query side by side.")
@click.option(
    "--image-root", type=PATH, help="Folder with the product pictures.  [default: the judgments' folder]"
)
@click.option(
    "--through",
    type=click.Choice(WAYS),
    default="msearch",
    show_default=True,
    help="How to query the live index: many searches in one _msearch, or _rank_eval.",
)
@click.option(
    "--collapse", metavar="FIELD", help="Keep the best hit alone for each value of this field, such as group."
)
@click.option("--runs-out", type=PATH, help="Folder for the results of each system, as TREC runs.")
@click.option("--per-query", type=PATH, help="CSV file with each measure of each query.")
@click.option("--esci", is_flag=True, help="Read grades 3 to 0 of qrels as E, S, C, I.")
@only
@click.option("--index", default="products", envvar="MMSEARCH_INDEX", show_default=True)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@tls
@click.option("--json", "as_json", is_flag=True, help="All numbers as one JSON object on one line.")
def command(
    judgments: Path,
    systems: tuple[str, ...],
    baseline: str | None,
    measures: tuple[str, ...],
    depth: int,
    gates: tuple[str, ...],
    report: Path | None,
    title: str,
    show: int,
    show_query: tuple[str, ...],
    image_root: Path | None,
    through: str,
    collapse: str | None,
    runs_out: Path | None,
    per_query: Path | None,
    esci: bool,
    only: dict[str, str],
    index: str,
    opensearch: str,
    as_json: bool,
) -> None:
    """Measure systems against judgments: recall, relevance, nDCG, exclusive matches, with intervals.

    A system is a search body with the placeholders {{query}}, {{query_image}} and {{k}}, run on the live
    index, or a TREC run. Failed queries count as zero and are listed. Exits 3 if a gate fails.

    \b
    Example:
      mmsearch evaluate --judgments judgments.jsonl --system bm25=lexical --system hybrid \\
          --report report.html
      mmsearch evaluate --judgments test.qrels --system old=old.run --system new=new.run \\
          --gate "ndcg@10 >= baseline - 0.5%"
    """
    with messages(say), Client(opensearch, index=index) as client:
        found = api.evaluate(
            judgments,
            systems,
            client=client,
            baseline=baseline,
            measures=measures,
            depth=depth,
            gates=gates,
            through=cast(Any, through),
            collapse=collapse,
            esci=esci,
            only=only,
        )
    if runs_out:
        found.write_runs(runs_out)
    if per_query:
        found.write_per_query(per_query)
    if report:
        found.write_report(report, title=title, show=show, show_queries=show_query, image_root=image_root)
    study = found.study
    click.echo(json.dumps(found.summary()) if as_json else table(study))
    for run in study.runs:
        if run.problems:
            query, reason = next(iter(run.problems.items()))
            click.echo(
                f"mmsearch: {run.name} failed on {len(run.problems)} of {len(study.judgments.queries)} "
                f"queries, which count as zero; the first is {query!r}: {reason}",
                err=True,
            )
    for verdict in found.verdicts:
        click.echo(str(verdict), err=True)
    if not found.passed:
        raise click.exceptions.Exit(3)


def table(study: Study) -> str:
    """Return the means by measure and system, for a terminal. A star marks differences from the baseline with
    p < 0.05."""
    width = max(len(measure.title) for measure in study.measures)
    widths = [max(len(name), 8) for name in study.systems]
    head = [" " * width, *(name.rjust(w) + " " for name, w in zip(study.systems, widths, strict=True))]
    lines = [" ".join(head).rstrip()]
    for measure in study.measures:
        cells = []
        for name, w in zip(study.systems, widths, strict=True):
            comparison = study.comparisons[measure.name].get(name)
            star = "*" if comparison and comparison.p < 0.05 else " "
            cells.append(f"{study.scores[measure.name][name].mean:.4f}".rjust(w) + star)
        lines.append(" ".join([measure.title.ljust(width), *cells]))
    for own, other in study.exclusives:
        lines.append(
            f"only in {own.system}: {own.per_query:.2f} a query, {own.relevant_per_query:.3f} relevant; "
            f"only in {other.system}: {other.per_query:.2f}, {other.relevant_per_query:.3f} (top {own.depth})"
        )
    lines.append(f"{len(study.judgments.queries)} queries; * differs from {study.baseline} with p < 0.05")
    return "\n".join(lines)
