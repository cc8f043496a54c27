"""Copy fields that other systems write into product documents (popularity, stock) to the next index."""

from __future__ import annotations

from typing import Any

import orjson
from opensearchpy import OpenSearch

from mmsearch.clients.causes import Verdict, described, repair, verdict
from mmsearch.clients.opensearch import ask, documents, name
from mmsearch.clients.retry import Patience
from mmsearch.clients.scroll import pages
from mmsearch.errors import AwayError, MismatchError
from mmsearch.ingest.partial import changed
from mmsearch.ingest.product_index.foreign_fields import OURS, VECTORS, attributes_of_others
from mmsearch.ingest.product_index.target import present
from mmsearch.ingest.schema.attributes import PARTS
from mmsearch.ingest.schema.fields import Schema

PAGE = 1_000
ATTRIBUTES = "attributes"
Product = tuple[str, dict[str, Any]]
"""an id and the fields that other systems wrote, all attributes below one key"""


def carry(client: OpenSearch, old: str, new: str, patience: Patience) -> int:
    """Copy fields that are not ours from the old documents to the new ones. Return the number of documents
    updated.

    An attribute of another system is copied unless the new catalog provides it. Products that the new index
    lacks are skipped. Raise MismatchError when OpenSearch rejects a document, UnreachableError when
    `patience` has expired. The call is idempotent.
    """
    return patience.call(lambda: _carry(client, old, new, patience))


def _carry(client: OpenSearch, old: str, new: str, patience: Patience) -> int:
    carried = 0
    schema = present(client, new).schema
    body = {"size": PAGE, "sort": ["_doc"], "_source": {"excludes": [*VECTORS, *(f"{v}.*" for v in VECTORS)]}}
    for page in pages(client, old, body):
        sources = ((hit["_id"], _foreign(hit.get("_source", {}))) for hit in page)
        found = [(identifier, fields) for identifier, fields in sources if fields]
        pending = patience.call(lambda found=found: _without_ours(client, new, found))  # type: ignore[misc]
        while pending:
            done, pending = patience.call(lambda pending=pending: _write(client, new, schema, pending))  # type: ignore[misc]
            carried += done
    return carried


def _foreign(source: dict[str, Any]) -> dict[str, Any]:
    fields = {key: value for key, value in source.items() if key not in (*OURS, *PARTS, *VECTORS)}
    attributes = attributes_of_others(source)
    return {**fields, ATTRIBUTES: attributes} if attributes else fields


def _without_ours(client: OpenSearch, index: str, products: list[Product]) -> list[Product]:
    """Return the products without the attributes that the catalog provides in the new index."""
    ids = [identifier for identifier, fields in products if ATTRIBUTES in fields]
    if not ids:
        return products
    params = {"_source_includes": "ingest.attributes"}
    ours = {
        each["_id"]: set((each.get("_source", {}).get("ingest") or {}).get(ATTRIBUTES, ()))
        for each in documents(client, index, ids, params)
    }
    left = []
    for identifier, fields in products:
        attributes = {
            key: value
            for key, value in fields.get(ATTRIBUTES, {}).items()
            if key not in ours.get(identifier, ())
        }
        rest = {key: value for key, value in fields.items() if key != ATTRIBUTES}
        if kept := {**rest, ATTRIBUTES: attributes} if attributes else rest:
            left.append((identifier, kept))
    return left


def _write(
    client: OpenSearch, index: str, schema: Schema, products: list[Product]
) -> tuple[int, list[Product]]:
    """Send one bulk request of partial documents. Return the number updated and the documents to retry.

    Raise AwayError when all of them have to be retried.
    """
    lines = b"".join(
        orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        for identifier, fields in products
        for line in ({"update": {"_id": identifier, "retry_on_conflict": 3}}, _change(schema, fields))
    )
    answer = ask(
        client,
        "POST",
        f"/{index}/_bulk",
        body=lines,
        params={"filter_path": "items.*._id,items.*.status,items.*.error"},
        headers={"content-type": "application/x-ndjson"},
    )
    done = 0
    waiting = dict(products)
    again: list[Product] = []
    why = "no answer for some of them"
    for entry in answer["items"]:
        result = entry["update"]
        identifier, status = result["_id"], int(result["status"])
        fields = waiting.pop(identifier)
        if status < 300:
            done += 1
            continue
        error = result.get("error") or {}
        kind, reason = described(error)
        if kind == "document_missing_exception":
            continue
        if verdict(status, error) not in (Verdict.WAIT, Verdict.TRY):
            raise MismatchError(
                f"expected {index} to take the fields {', '.join(sorted(fields))} of product "
                f"{identifier!a}, got {status} {kind}: {reason}; {_repair(status, kind)}"
            )
        again.append((identifier, fields))
        why = f"{status} {kind}: {reason}"
    again += waiting.items()
    if len(again) == len(products):
        raise AwayError(name(client), f"{len(again)} updates put off, {why}")
    return done, again


def _change(schema: Schema, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an update that adds the fields; attributes go where the new index has them."""
    rest = {key: value for key, value in fields.items() if key != ATTRIBUTES}
    return changed(rest | schema.split(fields.get(ATTRIBUTES, {})).parts, schema)


def _repair(status: int, kind: str) -> str:
    return "map them as in the old index" if status == 400 else repair(status, kind)
