"""The lexical (BM25) query of `search`, `ui` and `evaluate`, from a search template in the cluster.

Users change it by `PUT _scripts/mmsearch-lexical-products`. Without a template for an index, the default in
`opensearch/lexical.template.json` is used, which was chosen by `bench lexical` and `bench colours`. It also
contains fields of new indexes; older indexes ignore missing fields.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.errors import SearchError

TEMPLATE = Path(__file__).parents[1] / "opensearch" / "lexical.template.json"
PLACEHOLDER = "{{query}}"
REMEMBERED = 30.0
"""seconds that a template is taken as it was"""
_NUMBERED = re.compile(r"-\d{6}$")
_NAMED = ("bool", "combined_fields", "dis_max", "multi_match", "query_string", "simple_query_string")
"""queries that take a `_name` at their top"""
_log = logging.getLogger("mmsearch.search")
Clause = Mapping[str, Any]


def template() -> dict[str, Any]:
    """Return the template of this release."""
    body: dict[str, Any] = json.loads(TEMPLATE.read_text(encoding="utf-8"))
    return body


DEFAULT: Clause = template()["query"]


def name_of(index: str) -> str:
    """Return the template's name for an index or alias; `products-000002` uses that of `products`."""
    return f"mmsearch-lexical-{_NUMBERED.sub('', index)}"


def store(client: OpenSearch, index: str) -> None:
    """Store the template of an index, unless a user changed it. Raise AwayError or HttpError."""
    path = f"/_scripts/{name_of(index)}"
    try:
        if not _of_earlier_release(ask(client, "GET", path)["script"]["source"]):
            return
    except HttpError as error:
        if error.status != 404:
            raise
    ask(client, "PUT", path, body={"script": {"lang": "mustache", "source": template()}})


def _of_earlier_release(source: str) -> bool:
    """Return whether a stored template is an earlier release's default, as it was."""
    try:
        stored = json.loads(source)
    except ValueError:  # what only a node can render
        return False
    words = DEFAULT["bool"]["must"][0]["multi_match"]
    fewer = [field for field in words["fields"] if not field.startswith("attribute_words")]
    return stored in [{"query": {"multi_match": each}} for each in (words, {**words, "fields": fewer})]


def stored_or_said(client: OpenSearch, index: str, say: Callable[[str], None]) -> None:
    """Store the template as `store` does. If the cluster rejects it, report this; the default is then used.

    Raise AwayError.
    """
    try:
        store(client, index)
    except HttpError as error:
        say(f"the search template {name_of(index)} could not be stored: {error}; searches use the default")


def lexical_clause(client: OpenSearch, index: str) -> Clause:
    """Return the query of an index's template, with PLACEHOLDER for the words; DEFAULT if there is none.

    Raise AwayError, HttpError, or SearchError for a template that does not use the words.
    """
    name = name_of(index)
    try:
        # The node renders the template, because only it supports the whole syntax.
        answer = ask(
            client, "POST", f"/_render/template/{name}", body={"params": {"query": PLACEHOLDER, "size": 10}}
        )
    except HttpError as error:
        if error.status == 403:
            _log.warning("the search template %s could not be read: %s; the default is used", name, error)
        elif error.status != 404:
            raise SearchError(
                f"expected the search template {name} to be rendered, got {error}; fix it by PUT "
                f"_scripts/{name}, or DELETE it for the default"
            ) from None
        return DEFAULT
    query = answer.get("template_output", {}).get("query")
    if not isinstance(query, dict) or PLACEHOLDER not in json.dumps(query):
        raise SearchError(
            f"expected the search template {name} to have a `query` with {PLACEHOLDER}, got none; "
            f"fix it by PUT _scripts/{name}, or DELETE it for the default"
        )
    return query


class LexicalClauses:
    """Cache of the lexical queries of a client's indexes, valid for REMEMBERED seconds."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Clause]] = {}

    def of(self, client: OpenSearch, index: str) -> Clause:
        """Return the query as `lexical_clause` does."""
        at, query = self._known.get(index, (-REMEMBERED, DEFAULT))
        if time.monotonic() - at >= REMEMBERED:
            query = lexical_clause(client, index)
            self._known[index] = time.monotonic(), query
        return query


def filled(query: Clause, words: str) -> dict[str, Any]:
    """Return the query with the words instead of PLACEHOLDER."""
    found = _filled(query, words)
    assert isinstance(found, dict)
    return found


def _filled(node: Any, words: str) -> Any:
    if isinstance(node, str):
        return node.replace(PLACEHOLDER, words)
    if isinstance(node, Mapping):
        return {key: _filled(value, words) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(each, words) for each in node]
    return node


def named(query: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the query with a `_name` for the legs of hits."""
    ((kind, body),) = query.items()
    if kind in _NAMED and isinstance(body, Mapping):
        return {kind: {**body, "_name": name}}
    return {"bool": {"must": [query], "_name": name}}
