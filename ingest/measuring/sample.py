"""Random products of an index, which measurements without judgments are made on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import ask


def random_products(
    client: OpenSearch,
    index: str,
    size: int,
    fields: Sequence[str],
    *,
    seed: int,
    filters: Sequence[Mapping[str, Any]] = (),
) -> list[tuple[str, dict[str, Any]]]:
    """Return ids and `fields` of up to `size` random products that have a title and match `filters`.

    The same index and seed give the same products. Raise HttpError or AwayError.
    """
    body = {
        "size": size,
        "_source": list(fields),
        "query": {
            "function_score": {
                "query": {"bool": {"filter": [{"exists": {"field": "title"}}, *filters]}},
                "random_score": {"seed": seed, "field": "_seq_no"},
                "boost_mode": "replace",
            }
        },
    }
    # The index's search pipeline would change the hits.
    found = ask(client, "POST", f"/{index}/_search", body=body, params={"search_pipeline": "_none"})
    return [(hit["_id"], hit.get("_source", {})) for hit in found["hits"]["hits"]]
