"""The report: a study as one HTML file that needs neither a server nor a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata

from markupsafe import Markup

from mmsearch.evaluation.compare import Comparison
from mmsearch.evaluation.gate import Verdict
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.measures import SHARES, Measure
from mmsearch.evaluation.relevance import VIEWS, binary_view
from mmsearch.evaluation.report import plots
from mmsearch.evaluation.report.cards import Card, Picture, Thumbnails, card, environment
from mmsearch.evaluation.study import Study, latency
from mmsearch.search.hits import Hit

TOP = 10  # products shown of each system for a query
_LABELS = {
    "E": "Exact",
    "S": "Substitute",
    "C": "Complement",
    "I": "Irrelevant",
    "unjudged": "unjudged",
    "empty": "empty",
}
_BAD_SHARES = ("I", "empty")
_NEUTRAL_SHARES = ("S", "C", "unjudged")  # neither good nor bad by themselves


@dataclass(frozen=True)
class Shown:
    """A query with the cards of every system."""

    query: Query
    picture: str | None
    values: Mapping[str, float]
    columns: Mapping[str, Sequence[Card]]
    problems: Mapping[str, str | None]


def render(
    study: Study,
    *,
    title: str = "Search relevance report",
    show: int = 12,
    named: Sequence[str] = (),
    product_pictures: Picture | None = None,
    query_pictures: Picture | None = None,
    verdicts: Sequence[Verdict] = (),
) -> str:
    """Return the report as HTML.

    `show` queries are shown with the results of all systems: the named ones first, then those with the
    largest differences. The two image functions map a reference to a `data:` URI; without them no images are
    shown.
    """
    picture = product_pictures or (lambda _: None)
    asked_with = query_pictures or (lambda _: None)
    main = study.measures[0]
    order = most_different(study)
    chosen = list(dict.fromkeys([*named, *order]))[: max(show, len(named))]
    shown = [_shown(study, query, picture, asked_with) for query in chosen]
    scores = study.scores[main.name]
    rows = {query: row for row, query in enumerate(study.judgments.queries)}
    missing = product_pictures.missing if isinstance(product_pictures, Thumbnails) else {}
    return (
        environment()
        .get_template("report.html")
        .render(
            title=title,
            study=study,
            pairs=_pairs(study.judgments),
            when=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            version=metadata.version("mmsearch"),
            troubles=_troubles(study),
            missing=len(missing),
            first_missing=next(iter(missing.values()), ""),
            verdicts=verdicts,
            latencies={name: latency(answered) for name, answered in study.answers.items() if answered.took},
            best={measure.name: _best(study, measure) for measure in study.measures},
            tone=_tone,
            legend_mark=lambda number: Markup(plots.legend_mark(number)),  # noqa: S704 - our own SVG, escaped there
            plots=_plots(study),
            share_names=[s for s in SHARES if s != "empty"] if study.judgments.labels else [],
            shown=shown,
            table=[
                (
                    study.judgments.queries[query].text or query,
                    bool(scores[study.baseline].counted[rows[query]]),
                    [float(scores[name].values[rows[query]]) for name in study.systems],
                )
                for query in order
            ],
        )
    )


def most_different(study: Study) -> list[str]:
    """Return all queries, alternating between wins and losses against the baseline, the largest first."""
    scores = study.scores[study.measures[0].name]
    base = scores[study.baseline].values
    reach = {
        query: max(
            (float(scores[name].values[row] - base[row]) for name in study.challengers), key=abs, default=0.0
        )
        for row, query in enumerate(study.judgments.queries)
    }
    won = sorted((q for q in reach if reach[q] > 0), key=lambda q: -reach[q])
    lost = sorted((q for q in reach if reach[q] < 0), key=lambda q: reach[q])
    even = [q for q in reach if reach[q] == 0]
    both = min(len(won), len(lost))
    in_turn = [query for pair in zip(won[:both], lost[:both], strict=True) for query in pair]
    return [*in_turn, *won[both:], *lost[both:], *even]


def _shown(study: Study, query_id: str, picture: Picture, asked_with: Picture) -> Shown:
    query = study.judgments.queries[query_id]
    row = list(study.judgments.queries).index(query_id)
    scores = study.scores[study.measures[0].name]
    tops = {run.name: set(run.top(query_id, study.depth)) for run in study.runs}
    columns = {}
    for run in study.runs:
        others = set().union(*(tops[name] for name in tops if name != run.name))
        answered = study.answers.get(run.name)
        hits = answered.hits.get(query_id, []) if answered else []
        if not answered:
            known = {hit.id: hit for other in study.answers.values() for hit in other.hits.get(query_id, [])}
            of_query = run.scores.get(query_id, {})
            hits = [
                Hit(p, of_query[p], known[p].source if p in known else {}) for p in run.top(query_id, TOP)
            ]
        columns[run.name] = [
            card(
                rank,
                hit,
                picture,
                judged=judged(study.judgments, query_id, hit.id),
                marks=["only here"] if len(study.runs) > 1 and hit.id not in others else [],
            )
            for rank, hit in enumerate(hits[:TOP], 1)
        ]
    return Shown(
        query,
        asked_with(query.image) if query.image else None,
        {name: float(scores[name].values[row]) for name in study.systems},
        columns,
        {run.name: run.problems.get(query_id) for run in study.runs},
    )


def judged(judgments: Judgments, query: str, product: str) -> str | None:
    """Return the judgment of a product for a query in one word; None if unjudged."""
    if (label := judgments.labels.get(query, {}).get(product)) is not None:
        return label
    if (bought := judgments.purchases.get(query, {}).get(product)) is not None:
        return f"bought {bought}" if bought else "not bought"
    grade = judgments.grades.get(query, {}).get(product)
    return None if grade is None else str(grade)


def _pairs(judgments: Judgments) -> int:
    kinds = (judgments.labels, judgments.purchases, judgments.grades)
    return len({(query, product) for kind in kinds for query, pairs in kind.items() for product in pairs})


def _troubles(study: Study) -> list[tuple[str, list[tuple[str, str]], list[tuple[str, str]]]]:
    troubles = []
    for run in study.runs:
        answered = study.answers.get(run.name)
        warnings = list(answered.warnings.items()) if answered else []
        if run.problems or warnings:
            troubles.append((run.name, list(run.problems.items()), warnings))
    return troubles


def _best(study: Study, measure: Measure) -> str | None:
    """Return the best system; None for measures without a direction."""
    if _neutral(measure):
        return None
    means = {name: scores.mean for name, scores in study.scores[measure.name].items()}
    return (min if _less_is_better(measure) else max)(means, key=lambda name: means[name])


def _neutral(measure: Measure) -> bool:
    return measure.family == "share" and measure.view in _NEUTRAL_SHARES


def _less_is_better(measure: Measure) -> bool:
    return measure.family == "share" and measure.view in _BAD_SHARES


def _tone(measure: Measure, comparison: Comparison) -> str:
    """Return `better` or `worse` if the interval excludes zero; nothing for shares without a direction."""
    if comparison.low <= 0 <= comparison.high or _neutral(measure):
        return ""
    return "better" if (comparison.difference > 0) != _less_is_better(measure) else "worse"


def _plots(study: Study) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Caption, SVG and legend of each plot."""
    view = VIEWS[binary_view(study.judgments)]
    recall = f"Recall of {view} products against k"
    keys = [(plots.legend_mark(number), name) for number, name in enumerate(study.systems)]
    drawn = [(recall, plots.curves("recall", recall, study.curves, "k", "recall at k"), keys)]
    if study.judgments.labels:
        caption = "Label shares of the top 10"
        swatches = [(f'<span class="swatch label-{part}"></span>', name) for part, name in _LABELS.items()]
        drawn.append((caption, plots.stacked("shares", caption, study.shares(10)), swatches))
    if study.challengers:
        caption = f"Exclusive matches a query in the top {study.depth} (relevant ones filled)"
        rows = [
            (own.system, own.per_query, own.relevant_per_query, other.per_query, other.relevant_per_query)
            for own, other in study.exclusives
        ]
        drawn.append((caption, plots.both_ways("exclusive", caption, rows, study.baseline), []))
    main = study.scores[study.measures[0].name]
    for number, system in enumerate(study.challengers):
        base = main[study.baseline]
        differences = (main[system].values - base.values)[base.counted].tolist()
        caption = f"{system} against {study.baseline}, query by query"
        label = f"difference in {study.measures[0].name}"
        drawn.append((caption, plots.win_loss(f"wins-{number}", caption, differences, label), []))
    return drawn
