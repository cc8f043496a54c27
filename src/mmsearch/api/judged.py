"""Judgments and systems as arguments of the API: files, dicts and DataFrames."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsearch.api.arguments import path_of, records_of, shown
from mmsearch.errors import ArgumentError, MmsearchError
from mmsearch.evaluation.exchange.judged_file import read_judgments
from mmsearch.evaluation.gather import gather, known_bodies, known_names
from mmsearch.evaluation.judgments import Judgments, from_records
from mmsearch.evaluation.live import Answers, clause_names, has_hits, lexical_of, ranges_told
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.systems import index_of, read_system
from mmsearch.evaluation.templates import Template, load
from mmsearch.evaluation.tuning import live_ranges
from mmsearch.products.ids import identifier
from mmsearch.products.in_memory import Frame, is_frame, plain, rows_of
from mmsearch.search.bodies import collapsed_by
from mmsearch.search.clauses import ALONE, ClauseNames
from mmsearch.search.lexical import DEFAULT

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from mmsearch.api.client import Client

Judged = str | os.PathLike[str] | Iterable[Mapping[str, Any]] | Frame | Judgments
"""judged pairs: a file, an iterable of dicts, a pandas DataFrame, or Judgments"""
System = str | os.PathLike[str] | Mapping[str, Any] | Frame | Run
"""a search body, a file of one, a built-in name, or a finished run"""
Systems = Mapping[str, System] | Sequence[str]
Bodies = Mapping[str, Mapping[str, Any]]
"""the search bodies that are known by name"""
RUN_COLUMNS = ("query", "product_id", "score")


def judgments_of(
    judged: Judged, *, esci: bool = False, only: Mapping[str, str] | None = None
) -> tuple[Judgments, Path]:
    """Return the judgments and the folder of their queries' images: the file's, or the working directory.

    A file is read as by `read_judgments`. Raise MmsearchError.
    """
    if only and not isinstance(judged, str | os.PathLike):
        raise ArgumentError("expected a file of judgments with only=, got judgments in memory; filter these")
    if isinstance(judged, Judgments):
        return judged, Path()
    if not isinstance(judged, str | os.PathLike):
        return from_records(rows_of(records_of("judgments", judged))), Path()
    path = path_of("judgments", judged)
    try:
        found = read_judgments(path, esci=esci, only=only)
    except OSError as error:
        raise MmsearchError(
            f"expected judgments in {path}, got: {error.strerror}; name a JSON Lines file"
        ) from None
    return found, path.parent


class Asked:
    """Parsed systems, and the index for those that run live."""

    def __init__(
        self, systems: Systems, client: Client | None, depth: int, collapse: str | None = None
    ) -> None:
        self._client = client
        self._depth = depth
        self.systems = _read(systems, lambda index: known_bodies(depth))
        self._known = known_names(self.systems, depth)
        live = [system for system in self.systems if isinstance(system, Template)]
        if live and client is None:
            raise ArgumentError(
                f"expected a client to ask {live[0].name} on its index with, got none; pass client="
            )
        if self._known:
            # The clause names depend on the node, and the lexical query on the index.
            self.systems = _read(systems, lru_cache(self._bodies))
        if collapse:
            self.systems = [
                replace(system, body={**collapsed_by(collapse), **system.body})
                if isinstance(system, Template)
                else system
                for system in self.systems
            ]

    @property
    def index(self) -> str:
        """Return the client's index; empty if no system runs live."""
        return self._client.index if self._client else ""

    def names(self, index: str | None = None) -> ClauseNames:
        """Return the names of the clauses on the node. Raise MmsearchError."""
        return clause_names(self._opensearch(), index or self.index) if self._client else ALONE

    def _bodies(self, index: str | None) -> Bodies:
        """Return the built-in search bodies for the index. Raise MmsearchError."""
        name = index or self.index
        names = self.names(name) if self._known - {"lexical"} else ALONE
        lexical = lexical_of(self._opensearch(), name) if self._known & {"lexical", "hybrid"} else DEFAULT
        return known_bodies(self._depth, names, lexical)

    def runs(
        self, judged: Judgments, folder: Path, through: str = "msearch"
    ) -> tuple[list[Run], dict[str, Answers]]:
        """Return every system's run, in order, and the answers of those that ran live."""
        live = any(isinstance(system, Template) for system in self.systems)
        client = self._opensearch() if live else None
        return gather(self.systems, judged, folder, client, self.index, self._depth, through)

    def indexed(self, products: Sequence[str]) -> bool:
        """Whether an index that is searched has one of the products. Raises MmsearchError."""
        body = {"query": {"ids": {"values": list(products)}}, "size": 0}
        indexes = {each.index or self.index for each in self.systems if isinstance(each, Template)}
        return any(has_hits(self._opensearch(), index, body) for index in sorted(indexes))

    def legs(self, judged: Judgments, folder: Path) -> list[Run]:
        """Return every system's run, in order, with the ranges of its scores where the node tells them."""
        live = any(isinstance(system, Template) for system in self.systems)
        if not live or not ranges_told(self._opensearch(), self.index, names := self.names()):
            return self.runs(judged, folder)[0]
        systems = [
            live_ranges.wrapped(system, self._depth, names) if isinstance(system, Template) else system
            for system in self.systems
        ]
        runs, answered = gather(systems, judged, folder, self._opensearch(), self.index, self._depth)
        return [live_ranges.run_of(answered[run.name]) if run.name in answered else run for run in runs]

    def _opensearch(self) -> OpenSearch:
        assert self._client is not None
        return self._client._servers.opensearch()


def _read(systems: Systems, known: Callable[[str | None], Bodies]) -> list[Template | Run]:
    if isinstance(systems, Mapping):
        found = [_system(name, source, known) for name, source in systems.items()]
    elif isinstance(systems, Sequence) and not isinstance(systems, str):
        found = [read_system(written, known(index_of(written))) for written in systems]
    else:
        raise ArgumentError(
            f"expected systems as a dict of names and sources, or as a list such as ['bm25=lexical', "
            f"'hybrid'], got {shown(systems)}"
        )
    if not found:
        raise ArgumentError("expected at least one system, got none")
    return found


def _system(name: str, source: System, known: Callable[[str | None], Bodies]) -> Template | Run:
    if not isinstance(name, str) or not name:
        raise ArgumentError(f"expected a name for every system, got {shown(name)}")
    if isinstance(source, str | os.PathLike):
        written = f"{name}={os.fspath(source)}"
        return read_system(written, known(index_of(written)))
    if isinstance(source, Run):
        return replace(source, name=name)
    if is_frame(source):
        return Run.from_scores(name, _scores(rows_of(source), name))
    if isinstance(source, Mapping):
        query = source.get("query")
        if isinstance(query, Mapping) and not all(isinstance(each, int | float) for each in query.values()):
            plain_name, _, index = name.partition("@")
            return load(plain_name, _json(source, name), index or None)
        return Run.from_scores(name, _finished(source, name))
    raise ArgumentError(
        f"expected {name} as a search body, a path, a built-in name out of {', '.join(known(None))} or a "
        f"run, got {type(source).__name__}"
    )


def _json(body: Mapping[str, Any], name: str) -> str:
    try:
        return json.dumps(dict(body))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"expected a search body that JSON has as {name}, got another: {error}") from None


def _scores(rows: Iterable[Mapping[str, Any]], name: str) -> dict[str, dict[str, float]]:
    """Return the scores of a DataFrame with one hit per row."""
    scores: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows, 1):
        query, product, score = (plain(row.get(column)) for column in RUN_COLUMNS)
        try:
            query, product = identifier(query), identifier(product)
        except ValueError:
            query = ""
        if not query or not product or isinstance(score, bool) or not isinstance(score, int | float):
            raise ArgumentError(
                f"expected the columns {', '.join(RUN_COLUMNS)} with a number as score in the run {name}, "
                f"got {shown(dict(row))} in row {number}"
            )
        of_query = scores.setdefault(query, {})
        if product in of_query:
            raise ArgumentError(
                f"expected each product once for query {query!r} in the run {name}, got {product!r} again"
            )
        of_query[product] = float(score)
    return scores


def _finished(source: Mapping[str, Any], name: str) -> dict[str, dict[str, float]]:
    """{query: {product: score}}."""
    for query, products in source.items():
        if not isinstance(products, Mapping) or not all(
            isinstance(score, int | float) and not isinstance(score, bool) for score in products.values()
        ):
            raise ArgumentError(
                f"expected {name} as a search body with a `query`, or as a run "
                f"{{query: {{product: score}}}}, got {shown(products)} for {query!r}"
            )
    return {
        str(query).strip(): {str(product).strip(): float(score) for product, score in products.items()}
        for query, products in source.items()
    }
