"""An index of the drawn catalog that answers as the plugin does, by plain rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sample_data import drawn


def products(catalog: Path) -> dict[str, dict[str, Any]]:
    lines = catalog.read_text(encoding="utf-8").splitlines()
    return {product["id"]: product for product in map(json.loads, lines)}


class DrawnIndex:
    """Answers as the plugin does, by plain rules: words in the title, the picture's main colour, likeness of
    ids."""

    def __init__(self, catalog: Path) -> None:
        self.products = products(catalog)
        self.asked: list[dict[str, Any]] = []

    def search(self, body: dict[str, Any]) -> Mapping[str, Any]:
        self.asked.append(body)
        query = body["query"]
        hybrid = "hybrid" in query
        lexical = query["hybrid"]["queries"][0] if hybrid else query.get("bool", {}).get("must", [{}])[0]
        dense = (
            query["hybrid"]["queries"][1]["neural"]["embedding"]
            if hybrid
            else query.get("neural", {}).get("embedding")
        )
        (texts,) = lexical.get("bool", {}).get("must", [{}])
        words = texts.get("multi_match", {}).get("query", "").lower().split()
        legs: dict[str, list[str]] = {}
        if words:
            legs["lexical"] = [
                i for i, p in self.products.items() if set(words) & set(p["title"].lower().split())
            ]
        if dense:
            legs["dense"] = self._near(dense)
        order = list(dict.fromkeys(product for found in reversed(legs.values()) for product in found))
        if "black" in json.dumps(query.get("bool", {}).get("filter", [])):
            order = []
        wanted = [v for f in _terms(query) for v in f.values()]
        order = [product for product in order if not wanted or self.products[product]["category"] in wanted]
        return {
            "took": 3,
            "hits": {
                "hits": [self._hit(product, legs if hybrid else {}) for product in order[: body["size"]]]
            },
            "aggregations": {
                "category": {"buckets": [{"key": shape, "doc_count": 8} for shape in drawn.SHAPES[:3]]},
                "brand": {"buckets": []},
            },
        }

    def _near(self, dense: dict[str, Any]) -> list[str]:
        if "like" in dense:
            colour = dense["like"]["_id"].split("-")[0]
        elif dense.get("query_image"):
            colour = "purple"
        else:
            colour = next((c for c in drawn.COLOURS if c in dense.get("query_text", "")), "red")
        return [product for product, about in self.products.items() if about["colour"] == colour]

    def _hit(self, product: str, legs: Mapping[str, list[str]]) -> dict[str, Any]:
        found = [name for name, ids in legs.items() if product in ids]
        evidence = [
            {
                "name": name,
                "rank": legs[name].index(product) + 1,
                "score": 0.9,
                "normalized": 1.0,
                **({"only": True} if len(found) == 1 else {}),
            }
            for name in found
        ]
        return {
            "_id": product,
            "_score": 0.5,
            "_source": self.products[product],
            "fields": {"_legs": evidence},
        }


def _terms(node: Any) -> list[dict[str, str]]:
    if isinstance(node, dict):
        own = [node["term"]] if "term" in node else []
        return own + [term for value in node.values() for term in _terms(value)]
    return [term for item in node for term in _terms(item)] if isinstance(node, list) else []
