"""Collect the run of every system: finished runs are used as they are, search bodies are run on the live
index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.evaluation.judgments import Judgments
from mmsearch.evaluation.live import WAYS, Answers, answers, query_pictures
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.templates import Template
from mmsearch.search.bodies import search_body
from mmsearch.search.clauses import ALONE, ClauseNames
from mmsearch.search.lexical import DEFAULT, Clause


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
