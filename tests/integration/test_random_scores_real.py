"""What a random product scores, measured on the real node and encoder."""

from __future__ import annotations

from typing import Any

import pytest

import mmsearch
from mmsearch.clients.opensearch import ask, connect
from mmsearch.ingest.measuring import random_scores

INDEX = "random-scores"
TITLES = ("Oak chair", "Red kettle", "Steel lamp", "Garden hose", "Wool rug")


@pytest.mark.integration
def test_the_search_pipeline_of_the_index_does_not_change_it(stack: Any) -> None:
    products = [{"id": str(number), "title": title} for number, title in enumerate(TITLES)]
    titles = [(product["id"], product["title"]) for product in products]
    nothing = {"request_processors": [{"filter_query": {"query": {"match_none": {}}}}]}
    with connect(stack.opensearch.url) as client:
        try:
            with mmsearch.Client(stack.opensearch.url, triton=stack.triton.grpc, index=INDEX) as shop:
                assert shop.ingest(products).indexed == len(products)
            before = random_scores._scores(client, INDEX, ["embedding"], titles)
            assert 0.5 < before["embedding"] < 1
            ask(client, "PUT", "/_search/pipeline/finds-nothing", body=nothing)
            ask(client, "PUT", f"/{INDEX}/_settings", body={"index.search.default_pipeline": "finds-nothing"})
            everything = {"query": {"match_all": {}}}
            assert ask(client, "POST", f"/{INDEX}/_search", body=everything)["hits"]["hits"] == []
            assert random_scores._scores(client, INDEX, ["embedding"], titles) == before
        finally:
            ask(client, "DELETE", f"/{INDEX}-000001", params={"ignore_unavailable": "true"})
            ask(client, "DELETE", "/_search/pipeline/finds-nothing")
