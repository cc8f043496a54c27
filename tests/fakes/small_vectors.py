"""An index of products with vectors of two numbers, whose encoder is a `StubEncoder`."""

from __future__ import annotations

import json
import math
import urllib.request
from typing import Any

from .asking import ask
from .stub_encoder import FINGERPRINT, MODEL

BULK = 5000


def make_index(url: str, index: str, products: int, **settings: Any) -> None:
    """Products `0` to `products` - 1, their vectors around the circle, all titles with the word chair."""
    field = {
        "type": "knn_vector",
        "dimension": 2,
        "space_type": "cosinesimil",
        "method": {"name": "hnsw", "engine": "lucene"},
    }
    encoder = {"model": MODEL, "model_version": "1", "fingerprint": FINGERPRINT, "dimension": 2}
    meta = {"embedding": {**encoder, "output": "EMBEDDING"}}
    body = {
        "settings": {"index.knn": True, "number_of_replicas": 0, "refresh_interval": -1, **settings},
        "mappings": {
            "_meta": {"mmsearch": {"version": 1, "fields": meta}},
            "properties": {"title": {"type": "text"}, "embedding": field, "number": {"type": "integer"}},
        },
    }
    ask(url, "PUT", f"/{index}", body)
    for start in range(0, products, BULK):
        lines = []
        for number in range(start, min(products, start + BULK)):
            angle = 2 * math.pi * number / products
            document = {
                "title": f"chair {number}",
                "number": number,
                "embedding": [math.cos(angle), math.sin(angle)],
            }
            lines += [json.dumps({"index": {"_id": str(number)}}), json.dumps(document)]
        request = urllib.request.Request(
            f"{url}/{index}/_bulk", ("\n".join(lines) + "\n").encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            assert json.loads(answer.read())["errors"] is False
    ask(url, "POST", f"/{index}/_refresh")
