"""`mmsearch evaluate`: systems against judgments, on the live index or from TREC runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from opensearchpy import OpenSearch

from mmsearch.cli.options import tls
from mmsearch.clients.opensearch import DEFAULT_URL, connect
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.exchange import trec
from mmsearch.evaluation.gate import parse_gate
from mmsearch.evaluation.judgments import Judgments, read_jsonl
from mmsearch.evaluation.live import WAYS, Answers, answers, clause_names, query_pictures
from mmsearch.evaluation.measures import parse, suite
from mmsearch.evaluation.report.cards import Thumbnails
from mmsearch.evaluation.report.page import render
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.study import Study
from mmsearch.evaluation.systems import read_system
from mmsearch.evaluation.templates import Template
from mmsearch.search.bodies import search_body
from mmsearch.search.clauses import ALONE, ClauseNames

PATH = click.Path(path_type=Path)


@click.command("evaluate")
@click.option(
    "--judgments", type=PATH, required=True, help="Judged pairs: JSON Lines, or TREC qrels (.qrels)."
)
@click.option(
    "--system",
    "systems",
    metavar="NAME[@INDEX]=SOURCE",
    multiple=True,
    required=True,
    help="SOURCE is body.json, {JSON}, file.run, or one of lexical, neural, text, picture, hybrid.",
)
@click.option("--baseline", help="The system that the others are compared with.  [default: the first]")
@click.option(
    "--measure",
    "measures",
    multiple=True,
    help="For example ndcg@10.  [default: all that fit; the first is the main one]",
)
@click.option(
    "--depth", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Products a query."
)
@click.option(
    "--gate", "gates", multiple=True, help='Exit 3 unless it holds, for example "ndcg@10 >= baseline - 0.5%".'
)
@click.option("--report", type=PATH, help="Write the report, one HTML file with pictures and plots.")
@click.option("--title", default="Search relevance report", help="The report's heading.")
@click.option(
    "--show", type=click.IntRange(0, 200), default=12, show_default=True, help="Queries side by side."
)
@click.option("--show-query", multiple=True, help="A query to show side by side in any case.")
@click.option("--image-root", type=PATH, help="Where product pictures lie.  [default: the judgments' folder]")
@click.option(
    "--through",
    type=click.Choice(WAYS),
    default="msearch",
    show_default=True,
    help="How the live index is asked: many searches in one _msearch, or by its _rank_eval.",
)
@click.option("--runs-out", type=PATH, help="Folder to write each system's answers to, as TREC runs.")
@click.option("--per-query", type=PATH, help="CSV with every measure of every query.")
@click.option("--esci", is_flag=True, help="Read grades 3 to 0 of qrels as E, S, C, I.")
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
    runs_out: Path | None,
    per_query: Path | None,
    esci: bool,
    index: str,
    opensearch: str,
    as_json: bool,
) -> None:
    """Measure systems against judgments: recall, relevance, nDCG, exclusive matches, with intervals.

    A system is a search body with {{query}}, {{query_image}} and {{k}} in it, asked on the live index, or a
    finished TREC run. Queries that a system fails on count as zero and are listed. Exits 3 when a gate fails.

    \b
    Example:
      mmsearch evaluate --judgments judgments.jsonl --system bm25=lexical --system hybrid \\
          --report report.html
      mmsearch evaluate --judgments test.qrels --system old=old.run --system new=new.run \\
          --gate "ndcg@10 >= baseline - 0.5%"
    """
    judged = read_judgments(judgments, esci=esci)
    checks = [parse_gate(gate) for gate in gates]
    chosen = [parse(text, judged) for text in measures] or suite(
        judged, (10, depth) if depth > 10 else (depth,)
    )
    named = read_systems(systems, depth, opensearch, index)
    runs, answered = gather(named, judged, judgments.parent, opensearch, index, depth, through)
    study = Study(judged, runs, chosen, baseline or runs[0].name, depth, answers=answered)
    verdicts = study.check(checks)
    if runs_out:
        runs_out.mkdir(parents=True, exist_ok=True)
        for run in runs:
            trec.write_run(run, runs_out / f"{run.name}.run")
    if per_query:
        study.write_per_query(per_query)
    if report:
        page = render(
            study,
            title=title,
            show=show,
            named=_known(show_query, judged),
            product_pictures=Thumbnails(image_root or judgments.parent),
            query_pictures=Thumbnails(judgments.parent),
            verdicts=verdicts,
        )
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(page, encoding="utf-8")
    click.echo(json.dumps(study.as_json(verdicts)) if as_json else table(study))
    for run in runs:
        if run.problems:
            query, reason = next(iter(run.problems.items()))
            click.echo(
                f"mmsearch: {run.name} answered {len(run.problems)} of {len(judged.queries)} queries with "
                f"nothing, which count as zero; the first is {query!r}: {reason}",
                err=True,
            )
    for verdict in verdicts:
        click.echo(str(verdict), err=True)
    if not all(verdict.passed for verdict in verdicts):
        raise click.exceptions.Exit(3)


def read_judgments(path: Path, *, esci: bool = False) -> Judgments:
    """Judgments from JSON Lines, or from qrels when the name ends in .qrels or .txt."""
    try:
        return trec.read_qrels(path, esci=esci) if path.suffix in (".qrels", ".txt") else read_jsonl(path)
    except OSError as error:
        raise MmsearchError(
            f"expected judgments in {path}, got: {error.strerror}; name a JSON Lines file"
        ) from None


def read_systems(written: Sequence[str], depth: int, opensearch: str, index: str) -> list[Template | Run]:
    """The systems that the command line names. Where one of them is known by name and holds a clause of ours,
    the node is asked what it is called there; bodies of the user's own stay as they are."""
    known = known_bodies(depth)
    systems = [read_system(each, known) for each in written]
    ours = [known[name] for name in known if name != "lexical"]
    asked = [
        each for each in systems if isinstance(each, Template) and any(each.body is body for body in ours)
    ]
    if not asked:
        return systems
    names = names_at(opensearch, asked[0].index or index)
    return [read_system(each, known_bodies(depth, names)) for each in written]


def names_at(opensearch: str, index: str) -> ClauseNames:
    """What the node calls our clauses. Raises MmsearchError."""
    client = connect(opensearch)
    try:
        return clause_names(client, index)
    finally:
        client.close()


def known_bodies(depth: int, names: ClauseNames = ALONE) -> Mapping[str, Mapping[str, Any]]:
    """What `mmsearch search` asks in each of its modes, and the single modalities, with placeholders."""
    words, picture = "{{query}}", "{{query_image}}"
    put = partial(search_body, k=depth, names=names)
    return {
        "lexical": put(words, mode="lexical"),
        "neural": put(words, picture=picture, mode="neural"),
        "text": put(words, mode="neural", field="text_embedding"),
        "picture": put("", picture=picture, mode="neural", field="image_embedding"),
        "hybrid": put(words, picture=picture, mode="hybrid"),
    }


def gather(
    systems: list[Template | Run],
    judged: Judgments,
    folder: Path,
    opensearch: str,
    index: str,
    depth: int,
    through: str = "msearch",
) -> tuple[list[Run], dict[str, Answers]]:
    """Every system's run, in order, and the answers of those that were asked on the live index."""
    answered: dict[str, Answers] = {}
    if any(isinstance(system, Template) for system in systems):
        queries = list(judged.queries.values())
        pictures = query_pictures(queries, folder)
        client: OpenSearch = connect(opensearch)
        try:
            for system in systems:
                if isinstance(system, Template):
                    answered[system.name] = answers(
                        client,
                        system,
                        queries,
                        index=index,
                        depth=depth,
                        pictures=pictures,
                        through=through,
                    )
        finally:
            client.close()
    return [s if isinstance(s, Run) else answered[s.name].run for s in systems], answered


def _known(queries: tuple[str, ...], judged: Judgments) -> tuple[str, ...]:
    for query in queries:
        if query not in judged.queries:
            raise MmsearchError(
                f"expected judged queries for --show-query, got {query!r}; name one of the judgments"
            )
    return queries


def table(study: Study) -> str:
    """The means by measure and system, for a terminal; what differs from the baseline with p < 0.05 is
    starred."""
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
