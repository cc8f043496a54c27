"""Collect the run of every system: finished runs are used as they are, search bodies are run on the live
index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.judgments import Judgments
from mmsearch.evaluation.live import WAYS, Answers, answers, query_pictures
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.templates import Template
from mmsearch.search.bodies import search_body
from mmsearch.search.clauses import ALONE, ClauseNames
from mmsearch.search.lexical import DEFAULT, Clause

_SHOWN = 3  # ids in an error
_LOOKED_UP = 1000  # judged ids that an index is asked for


def known_bodies(
    depth: int, names: ClauseNames = ALONE, lexical: Clause = DEFAULT
) -> Mapping[str, Mapping[str, Any]]:
    """Return the search bodies of the modes of `mmsearch search` and of the single modalities, with
    placeholders.
    """
    words, picture = "{{query}}", "{{query_image}}"
    put = partial(search_body, k=depth, names=names, lexical=lexical)
    return {
        "lexical": put(words, mode="lexical"),
        "neural": put(words, picture=picture, mode="neural"),
        "text": put(words, mode="neural", field="text_embedding"),
        "picture": put("", picture=picture, mode="neural", field="image_embedding"),
        "hybrid": put(words, picture=picture, mode="hybrid"),
    }


def known_names(systems: Sequence[Template | Run], depth: int) -> set[str]:
    """Return the names of the systems that are built-in bodies.

    They come from `known_bodies(depth)`. Bodies of the user are not changed.
    """
    bodies = [system.body for system in systems if isinstance(system, Template)]
    return {name for name, body in known_bodies(depth).items() if body in bodies}


def gather(
    systems: Sequence[Template | Run],
    judged: Judgments,
    folder: Path,
    client: OpenSearch | None,
    index: str,
    depth: int,
    through: str = WAYS[0],
) -> tuple[list[Run], dict[str, Answers]]:
    """Return every system's run, in order, and the answers of systems run on the live index.

    Query images are below `folder`. A client is needed only for search bodies. Raise MmsearchError when the
    node cannot be searched.
    """
    answered: dict[str, Answers] = {}
    if any(isinstance(system, Template) for system in systems) and client is not None:
        queries = list(judged.queries.values())
        pictures = query_pictures(queries, folder)
        for system in systems:
            if isinstance(system, Template):
                answered[system.name] = answers(
                    client, system, queries, index=index, depth=depth, pictures=pictures, through=through
                )
    return [s if isinstance(s, Run) else answered[s.name].run for s in systems], answered


def require_overlap(
    judgments: Judgments,
    runs: Sequence[Run],
    indexed: Callable[[Sequence[str]], bool] = lambda products: False,
) -> None:
    """Raise MmsearchError for a run without a judged query, and if no run has a judged product.

    `indexed` tells whether a searched index has one of the first judged products, which then were not found.
    Queries that failed (`Run.problems`) count as answered: they are reported on their own.
    """
    for run in runs:
        answered = dict.fromkeys([*run.scores, *run.problems])
        if judgments.queries.keys().isdisjoint(answered):
            raise MmsearchError(
                f"expected {run.name} to answer judged queries, got {_some(answered)}, while the "
                f"judgments are of {_some(judgments.queries)}; use the query ids of the judgments"
            )
    found = dict.fromkeys(
        product for run in runs for query in judgments.queries for product in run.scores.get(query, ())
    )
    judged = dict.fromkeys(
        product
        for kind in (judgments.labels, judgments.purchases, judgments.grades)
        for pairs in kind.values()
        for product in pairs
    )
    missed = judged and judged.keys().isdisjoint(found) and not any(run.problems for run in runs)
    if missed and not indexed(list(judged)[:_LOOKED_UP]):
        raise MmsearchError(
            f"expected judged products among the hits, got {_some(found)}, while the judgments are of "
            f"{_some(judged)}; use the product ids of the index"
        )


def _some(names: Iterable[str]) -> str:
    given = list(names)
    if not given:
        return "none"
    shown = ", ".join(repr(name) for name in given[:_SHOWN])
    return shown + (f" and {len(given) - _SHOWN:,} more" if len(given) > _SHOWN else "")
