"""The score of random products: measured once, by titles of other products, written beside what is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mmsearch.clients.retry import Patience
from mmsearch.ingest.measuring import random_scores
from mmsearch.ingest.product_index.target import Target

INDEX = "products-000001"


class Transport:
    """The wire of a node of `products` titles; the n-th product of a search scores 0.5 + n / 1000."""

    def __init__(self, products: int, meta: dict[str, Any]) -> None:
        self.products = products
        self.meta = meta
        self.asked: list[str] = []
        self.refuses = False

    def perform_request(self, method: str, path: str, **call: Any) -> Any:
        self.asked.append(f"{method} {path}")
        if path.endswith("/_mapping"):
            if method == "PUT":
                self.meta = call["body"]["_meta"]
            return {INDEX: {"mappings": {"_meta": self.meta}}}
        if path.endswith("/_msearch"):
            lines = [json.loads(line) for line in call["body"].splitlines()]
            return {"responses": [self.answer(body) for body in lines[1::2]]}
        count = min(call["body"].get("size", 0), self.products)
        return {
            "hits": {"hits": [{"_id": f"p{n}", "_source": {"title": f"title {n}"}} for n in range(count)]}
        }

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.refuses:
            error = {"type": "status_exception", "reason": "the encoder is down"}
            return {"status": 503, "error": {"root_cause": [error]}}
        ((clause, fields),) = body["query"].items()
        assert clause in ("neural", "mmsearch_neural")
        ((_, asked),) = fields.items()
        others = asked["filter"]["ids"]["values"]
        assert asked["query_text"].replace("title ", "p") not in others
        assert len(others) == asked["k"] == body["size"]
        return {"hits": {"hits": [{"_score": 0.5 + n / 1000} for n in range(len(others))]}}


class Client:
    def __init__(self, transport: Transport) -> None:
        self.transport = transport


def measured(transport: Transport, *fields: str) -> list[str]:
    said: list[str] = []
    client: Any = Client(transport)
    random_scores.measure_once(
        client, Target("products", INDEX, fields), Patience(1.0, said.append), said.append
    )
    return said


def test_it_is_the_mean_over_other_products() -> None:
    node = Transport(300, {"mmsearch": {"fields": {"embedding": {}}}, "shop": 1})
    assert measured(node, "embedding") == []
    # 99 other products score 0.5 to 0.598.
    assert node.meta == {
        "mmsearch": {"fields": {"embedding": {}}, "random_scores": {"embedding": pytest.approx(0.549)}},
        "shop": 1,
    }


def test_it_is_measured_once_a_field() -> None:
    node = Transport(300, {"mmsearch": {"random_scores": {"embedding": 0.6}}})
    measured(node, "embedding")
    assert node.asked == [f"GET /{INDEX}/_mapping"]
    measured(node, "embedding", "text_embedding")
    assert node.meta["mmsearch"]["random_scores"] == {
        "embedding": 0.6,
        "text_embedding": pytest.approx(0.549),
    }


def test_a_small_index_is_left_as_it_is() -> None:
    node = Transport(99, {"mmsearch": {}})
    assert measured(node, "embedding") == []
    assert node.meta == {"mmsearch": {}}


def test_what_cannot_be_measured_is_said() -> None:
    node = Transport(300, {"mmsearch": {}})
    node.refuses = True
    (said,) = measured(node, "embedding")
    assert "expected to measure what a random product of products-000001 scores, got 503" in said
    assert "the encoder is down" in said
    assert node.meta == {"mmsearch": {}}
