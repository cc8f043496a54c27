"""The tuned `hybrid` clause, to paste into a search body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.templates import Template
from mmsearch.evaluation.tuning.fusion import Fusion
from mmsearch.evaluation.tuning.learned_model import LearnedModel
from mmsearch.search.clauses import ALONE, BESIDE, ClauseNames
from mmsearch.search.lexical import named


def hybrid(
    systems: Sequence[Template | Run], fusion: Fusion | LearnedModel, window: int, names: ClauseNames = ALONE
) -> dict[str, Any] | None:
    """Return the hybrid clause over the legs' queries, with placeholders and the node's clause name; None
    when a leg is a finished run.
    """
    queries = []
    for system in systems:
        if isinstance(system, Run):
            return None
        queries.append(_unwrapped(dict(system.body["query"]), system.name))
    return {names.hybrid: {"queries": queries, "fusion": fusion.clause(), "pagination_depth": window}}


def _unwrapped(query: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the query of a leg without a redundant `bool`, with a name that hits report."""
    inner = query.get("bool")
    if isinstance(inner, dict) and not inner.get("filter") and len(inner.get("must") or ()) == 1:
        rest = set(inner) - {"must", "filter"}
        query = dict(inner["must"][0]) if not rest else query
    ((kind, body),) = query.items()
    if isinstance(body, dict) and kind in (ALONE.neural, BESIDE.neural):
        ((field, asked),) = body.items()
        return {kind: {field: {**asked, "_name": name}}}
    return named(query, name)
