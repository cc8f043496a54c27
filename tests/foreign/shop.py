"""The shop that others' clients search, and how it is asked without any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..fakes.asking import ask
from ..fakes.hybrid_reference import Leg, fused
from .programs.triton import encode

INDEX = "foreign-shop"
AWAY = "foreign-away"
TEXT = "wooden chair"
WORDS = {"match": {"title": TEXT}}
MMR: dict[str, Any] = {"diversity": 0.7, "candidates": 60}
PIPELINE = {
    "phase_results_processors": [
        {
            "normalization-processor": {
                "normalization": {"technique": "min_max"},
                "combination": {"technique": "arithmetic_mean", "parameters": {"weights": [0.4, 0.6]}},
            }
        }
    ]
}

RENAMED = [{"rename_field": {"field": "attributes", "target_field": "metadata"}}]
"""response processors: the `metadata` that LlamaIndex wants of each hit"""
CUSTOM = {
    "query": {
        "hybrid": {
            "queries": [
                {"match": {"content": "$query"}},
                {"neural": {"embedding": {"query_text": "$query", "k": 150, "model_id": "query_encoder"}}},
            ],
            "filter": "$filters",
        }
    }
}
"""a custom query of Haystack's"""


def neural(**keys: Any) -> dict[str, Any]:
    return {"neural": {"embedding": {"query_text": TEXT, "k": 150, **keys}}}


def hybrid(*legs: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"hybrid": {"queries": list(legs or (WORDS, neural())), **keys}}


@dataclass(frozen=True)
class Shop:
    """The furniture, ingested into two shards by `mmsearch ingest`."""

    url: str
    triton: str
    """URL of Triton's HTTP port"""
    titles: list[str]
    """texts for the indices that clients make themselves"""

    @property
    def given(self) -> dict[str, Any]:
        """What the program of a client is given."""
        return {
            "url": self.url,
            "triton": self.triton,
            "index": INDEX,
            "away": AWAY,
            "text": TEXT,
            "titles": self.titles,
            "pipeline": PIPELINE,
            "renamed": RENAMED,
            "custom": CUSTOM,
            "mmr": MMR,
        }

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return ask(self.url, method, path, body)

    def hits(self, body: dict[str, Any], index: str = INDEX) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("POST", f"/{index}/_search", body)["hits"]["hits"]
        return found

    def ids(self, body: dict[str, Any], index: str = INDEX) -> list[str]:
        return [hit["_id"] for hit in self.hits(body, index)]

    def vectors(self, index: str = INDEX, field: str = "embedding") -> dict[str, list[float]]:
        """Every document's vector by its id, for which `_source` is asked by name."""
        self.ask("POST", f"/{index}/_refresh")
        found = self.hits({"size": 10_000, "_source": [field]}, index)
        return {hit["_id"]: hit["_source"][field] for hit in found}

    def like_this(self, shards: int = 1) -> dict[str, Any]:
        """The body of an index with the shop's mapping and what it names of the settings."""
        (index,) = self.ask("GET", f"/{INDEX}").values()
        named = {key: index["settings"]["index"].get(key, {}) for key in ("analysis", "similarity")}
        settings = {"knn": True, "number_of_shards": shards, "number_of_replicas": 0} | named
        return {"settings": {"index": settings}, "mappings": index["mappings"]}

    def encoded(self, texts: list[str], model: str = "item_encoder") -> Any:
        """Unit vectors, float32 [len(texts), d]."""
        return np.array(encode(self.triton, texts, model), dtype=np.float32)

    def settle(self, index: str = INDEX) -> None:
        """Merge into one segment a shard, so that no merge changes scores before the next write."""
        self.ask("POST", f"/{index}/_forcemerge?max_num_segments=1")
        self.ask("POST", f"/{index}/_refresh")


def fused_scores(legs: list[Leg], *weights: float) -> dict[str, float]:
    """Scores by id, from what each leg found by itself and the slow reference."""
    parameters = {"weights": list(weights)} if weights else {}
    combination = {"technique": "arithmetic_mean", "parameters": parameters}
    return fused(legs, {"normalization": {"technique": "min_max"}, "combination": combination})


def best(scores: dict[str, float], found: list[str]) -> bool:
    """Whether these are distinct documents of the highest scores, the best first; equal ones in any order."""
    highest = sorted(scores.values(), reverse=True)[: len(found)]
    return len(set(found)) == len(found) and np.allclose([scores[name] for name in found], highest, atol=1e-5)


def cosine_scores(shop: Shop, texts: list[str]) -> dict[str, float]:
    """What k-NN's `cosinesimil` gives each text, by its number: (1 + cosine) / 2, reckoned here."""
    (query,) = shop.encoded([TEXT], "query_encoder")
    return {str(number): float(score) for number, score in enumerate((1 + shop.encoded(texts) @ query) / 2)}


def answers(shop: Shop) -> dict[str, Any]:
    """What a client's searches have to find in the shop: the node's own answers, and MMR reckoned here."""
    shop.settle()
    found = shop.hits({"query": hybrid(), "size": 150})
    assert len({hit["_id"] for hit in found}) == 150
    candidates = shop.hits({"query": hybrid(), "size": MMR["candidates"]})
    facets = {"categories": {"terms": {"field": "category.keyword", "size": 100}}}
    counted = shop.ask("POST", f"/{INDEX}/_search", {"query": hybrid(), "size": 0, "aggs": facets})
    buckets = counted["aggregations"]["categories"]["buckets"]
    return {
        "neural": shop.ids({"query": neural(), "size": 150}),
        "hybrid": [hit["_id"] for hit in found],
        "legs": found[0]["fields"]["_legs"],
        "pages": [hit["_id"] for hit in found],
        "diverse": diverse([(hit["_id"], hit["_score"]) for hit in candidates], shop.vectors()),
        "buckets": {bucket["key"]: bucket["doc_count"] for bucket in buckets},
        "counted": 100,
    }


def diverse(candidates: Leg, vectors: dict[str, list[float]], size: int = 20) -> list[str]:
    """Maximal marginal relevance: each time the hit with the most of (1 - d) * score - d * similarity.

    That is the similarity to the nearest of those chosen, (1 + cosine) / 2.
    """
    left = dict(candidates)
    unit = {name: np.array(vectors[name]) / np.linalg.norm(vectors[name]) for name in left}
    d, chosen = MMR["diversity"], []
    while len(chosen) < size:
        likeness = {
            name: max(((1 + unit[name] @ unit[other]) / 2 for other in chosen), default=0.0) for name in left
        }
        chosen.append(max(left, key=lambda name: (1 - d) * left[name] - d * likeness[name]))
        del left[chosen[-1]]
    return chosen
