"""Fields that others write into the products' documents (popularity, stock): carried to the next index."""

from __future__ import annotations

from typing import Any

import orjson
from opensearchpy import OpenSearch

from .connect import ask
from .encode import FIELD_OUTPUTS
from .errors import MismatchError
from .index import NESTED
from .scroll import pages
from .waiting import AwayError, Patience

PAGE = 1_000
OURS = (
    *("title", "description", "category", "brand", "price", "image", "attributes", "ingest"),
    *(field.partition(".")[0] for field in (*FIELD_OUTPUTS, NESTED)),
)
"""the top-level fields that ingest writes"""
Product = tuple[str, dict[str, Any]]
"""an id and the fields of others"""
_AGAIN = frozenset((409, 429, 500, 502, 503, 504))


def carry(client: OpenSearch, old: str, new: str, patience: Patience) -> int:
    """Write what the old documents have beside our fields into the new ones; how many documents those were.

    A product that the new index lacks is passed over. Raises MismatchError when OpenSearch refuses one,
    UnreachableError when `patience` is at its end; doing it again changes nothing.
    """
    return patience.call(lambda: _carry(client, old, new, patience))


def _carry(client: OpenSearch, old: str, new: str, patience: Patience) -> int:
    carried = 0
    body = {"size": PAGE, "sort": ["_doc"], "_source": {"excludes": [*OURS, *(f"{name}.*" for name in OURS)]}}
    for page in pages(client, old, body):
        sources = ((hit["_id"], _foreign(hit.get("_source", {}))) for hit in page)
        pending = [(identifier, fields) for identifier, fields in sources if fields]
        while pending:
            done, pending = patience.call(lambda pending=pending: _write(client, new, pending))  # type: ignore[misc]
            carried += done
    return carried


def _foreign(source: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in source.items() if name not in OURS}


def _write(client: OpenSearch, index: str, products: list[Product]) -> tuple[int, list[Product]]:
    """One bulk of partial documents: how many were taken, and those to be sent again.

    Raises AwayError when that is all of them.
    """
    lines = b"".join(
        orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        for identifier, fields in products
        for line in ({"update": {"_id": identifier, "retry_on_conflict": 3}}, {"doc": fields})
    )
    answer = ask(
        client,
        "POST",
        f"/{index}/_bulk",
        body=lines,
        params={"filter_path": "errors,items.*.status,items.*.error.type,items.*.error.reason"},
        headers={"content-type": "application/x-ndjson"},
    )
    if not answer["errors"]:
        return len(products), []
    done, again = 0, []
    for product, entry in zip(products, answer["items"], strict=True):
        status, cause = int(entry["update"]["status"]), entry["update"].get("error", {})
        if status < 300:
            done += 1
        elif status in _AGAIN:
            again.append(product)
        elif cause.get("type") != "document_missing_exception":
            raise MismatchError(
                f"expected {index} to take the fields {', '.join(sorted(product[1]))} of product "
                f"{product[0]!a}, got {status} {cause.get('type', '')}: {cause.get('reason', '')}; map them "
                "as in the old index"
            )
    if len(again) == len(products):
        raise AwayError("OpenSearch", f"{len(again)} updates put off")
    return done, again
