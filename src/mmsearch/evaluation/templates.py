"""Systems as named search bodies: JSON with placeholders `{{query}}` and `{{query_image}}` for the query.

    {"query": {"bool": {"should": [
        {"match": {"title": "{{query}}"}},
        {"neural": {"embedding": {"query_text": "{{query}}", "query_image": "{{query_image}}", "k": "{{k}}"}}}
    ]}}}

`{{query}}` is the text, `{{query_image}}` the image in base64, `{{k}}` the depth of the evaluation as a
number. If a query has no text or no image, keys with that placeholder are removed. An object that loses all
its query placeholders is removed too, and so are its parents up to the next list; the other clauses of the
list remain. A `hybrid` that loses a leg keeps the weights of the others in proportion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsearch.errors import MmsearchError

_PLACEHOLDER = re.compile(r"\{\{\s*(query|query_image|k)\s*\}\}")
_UNKNOWN = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_PER_LEG = ("weights", "lower_bounds", "upper_bounds")


@dataclass(frozen=True)
class Template:
    """A named search body; `index` overrides the default index."""

    name: str
    body: Mapping[str, Any]
    index: str | None = None

    def filled(self, text: str | None, image: str | None, k: int) -> dict[str, Any] | None:
        """Return the body for one query, with `image` in base64; None when the query fills no placeholder of
        the body.
        """
        values = {"query": text or None, "query_image": image or None, "k": k}
        body = _fill(self.body, values)
        return body if isinstance(body, dict) else None


class _Missing:
    """Marks a placeholder for which the query has no value."""


_MISSING = _Missing()


def load(name: str, source: str, index: str | None = None) -> Template:
    """Load a template from a JSON file, or from JSON if `source` starts with a brace."""
    try:
        text = source if source.lstrip().startswith("{") else Path(source).read_text(encoding="utf-8")
        body = json.loads(text)
    except OSError as error:
        raise MmsearchError(
            f"expected the search body of system {name!r} in {source}, got: {error.strerror}; name a JSON "
            f"file"
        ) from None
    except ValueError as error:
        raise MmsearchError(
            f"expected JSON as the search body of system {name!r}, got: {error}; fix it"
        ) from None
    if not isinstance(body, dict) or not isinstance(body.get("query"), dict):
        raise MmsearchError(
            f"expected a search body with a `query` object for system {name!r}, got none; add it"
        )
    for unknown in _UNKNOWN.findall(text):
        if unknown not in ("query", "query_image", "k"):
            raise MmsearchError(
                f"expected the placeholders query, query_image and k in system {name!r}, got {unknown!r}; "
                f"rename it"
            )
    return Template(name, body, index)


def _fill(node: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(node, str):
        return _fill_text(node, values)
    if isinstance(node, list):
        filled = [_fill(item, values) for item in node]
        return [item for item in filled if item is not _MISSING] or (_MISSING if node else [])
    if isinstance(node, dict):
        filled_object = {key: _fill(value, values) for key, value in node.items()}
        kept = {key: value for key, value in filled_object.items() if value is not _MISSING}
        if len(kept) < len(node) and not _asks(node, kept):
            return _MISSING
        if "queries" in kept and isinstance(node["queries"], list):
            _keep_ratios(kept, [_fill(leg, values) is not _MISSING for leg in node["queries"]])
        return kept
    return node


def _fill_text(text: str, values: Mapping[str, Any]) -> Any:
    whole = _PLACEHOLDER.fullmatch(text.strip())
    if whole:
        value = values[whole[1]]
        return _MISSING if value is None else value
    if any(values[name] is None for name in _PLACEHOLDER.findall(text)):
        return _MISSING
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)


def _asks(node: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    """Return whether an object that lost keys still contains a filled placeholder of the query."""
    return any(_has_query(node[key]) for key in kept)


def _has_query(node: Any) -> bool:
    if isinstance(node, str):
        return any(name != "k" for name in _PLACEHOLDER.findall(node))
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return any(_has_query(child) for child in children)


def _keep_ratios(hybrid: dict[str, Any], stays: list[bool]) -> None:
    """Remove the weights and options of removed legs from the fusion of a hybrid."""
    if all(stays) or not isinstance(hybrid.get("fusion"), dict):
        return
    fusion = json.loads(json.dumps(hybrid["fusion"]))
    for step in ("combination", "normalization"):
        parameters = fusion.get(step, {}).get("parameters", {})
        for key in _PER_LEG:
            if isinstance(parameters.get(key), list) and len(parameters[key]) == len(stays):
                parameters[key] = [value for value, stay in zip(parameters[key], stays, strict=True) if stay]
        weights = parameters.get("weights")
        if weights and sum(weights):
            parameters["weights"] = [weight / sum(weights) for weight in weights]
        elif weights:
            del parameters["weights"]
    hybrid["fusion"] = fusion
