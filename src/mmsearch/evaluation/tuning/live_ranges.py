"""Legs that run on a live index, with the ranges of their scores, which the plugin's evidence tells."""

from __future__ import annotations

from collections.abc import Sequence

from mmsearch.evaluation.live import RANGED, Answers
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.templates import Template
from mmsearch.search.clauses import ALONE, BESIDE, ClauseNames
from mmsearch.search.hits import Hit

_PLAIN = {"query", "size", "_source"}
_HYBRIDS = {ALONE.hybrid, BESIDE.hybrid}


def wrapped(template: Template, window: int, names: ClauseNames) -> Template:
    """Return the system as a hybrid of one leg, which finds the same; itself if it is more than one query."""
    (kind,) = template.body["query"] if len(template.body["query"]) == 1 else ("",)
    if not kind or kind in _HYBRIDS or not _PLAIN.issuperset(template.body):
        return template
    hybrid = {"queries": [template.body["query"]], "pagination_depth": window, "fusion": RANGED}
    return Template(template.name, {**template.body, "query": {names.hybrid: hybrid}}, template.index)


def run_of(answers: Answers) -> Run:
    """Return the run of a wrapped system: the leg's own scores and their ranges, in the leg's order."""
    scores: dict[str, dict[str, float]] = {}
    ranges: dict[str, dict[str, tuple[float, float]]] = {}
    for query, hits in answers.hits.items():
        ranked = _ranked(hits)
        scores[query] = {hit.id: hit.legs[0]["score"] if hit.legs else hit.score for hit in ranked}
        ranges[query] = {
            hit.id: (hit.legs[0].get("floor", 0.0), hit.legs[0]["bound"])
            for hit in ranked
            if hit.legs and "bound" in hit.legs[0]
        }
    return Run(answers.system, scores, problems=answers.problems, ranges=ranges)


def _ranked(hits: Sequence[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: hit.legs[0]["rank"] if hit.legs else 0)
