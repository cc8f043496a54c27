"""Saved objects for OpenSearch Dashboards: read, adapt, send and inspect them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import urllib3

from mmsearch.clients.credentials import DashboardsAccess
from mmsearch.clients.tls import untrusted
from mmsearch.errors import MmsearchError

SHIPPED = Path(__file__).parents[1] / "opensearch" / "inspection.ndjson"
PRODUCTS = "mmsearch-products"
PICTURES = "http://127.0.0.1:8090/picture?ref={{value}}"
"""URL of a product's image in the image column: the route of `mmsearch ui`"""
Object = dict[str, Any]


def objects(*, pictures: str | None = None, products: str | None = None) -> list[Object]:
    """Return the included objects: data views, searches, visualizations and the dashboard.

    `pictures` is a URL with `{{value}}` for the image reference of a product, `products` the index pattern of
    the products.
    """
    if pictures is not None and "{{value}}" not in pictures:
        raise MmsearchError(
            f"expected {{{{value}}}} in the picture URL, got {pictures!r}; put it in place of the reference"
        )
    found: list[Object] = [json.loads(line) for line in SHIPPED.read_text(encoding="utf-8").splitlines()]
    view = next(each for each in found if each["id"] == PRODUCTS)["attributes"]
    if products:
        view["title"] = products
    if pictures:
        formats = json.loads(view["fieldFormatMap"])
        formats["image"]["params"]["urlTemplate"] = pictures
        view["fieldFormatMap"] = json.dumps(formats, separators=(",", ":"))
    return found


def ndjson(saved: Sequence[Object]) -> str:
    """Return the objects in the import format, one per line."""
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in saved)


def send(
    saved: Sequence[Object], url: str, *, access: DashboardsAccess | None = None, tenant: str = ""
) -> int:
    """Import objects into Dashboards and overwrite those with the same id. Return the number of objects
    imported. Certificates are always verified.
    """
    access = access or DashboardsAccess()
    access.check(url)
    headers = {"osd-xsrf": "true", **({"securitytenant": tenant} if tenant else {})}
    if access.user:
        headers |= urllib3.make_headers(basic_auth=f"{access.user}:{access.password}")
    address = f"{url.rstrip('/')}/api/saved_objects/_import?overwrite=true"
    file = ("inspection.ndjson", ndjson(saved).encode("utf-8"), "application/ndjson")
    files: dict[str, Any] = {
        "ca_certs": access.ca_file or None,
        "cert_file": access.client_cert or None,
        "key_file": access.client_key or None,
    }
    with urllib3.PoolManager(retries=False, timeout=30, **files) as pool:
        try:
            reply = pool.request("POST", address, headers=headers, fields={"file": file})
        except urllib3.exceptions.HTTPError as error:
            raise untrusted(f"Dashboards at {url}", str(error)) or MmsearchError(
                f"expected Dashboards at {url}, got: {error}; name another by --dashboards"
            ) from None
    try:
        answer = json.loads(reply.data)
    except ValueError:
        answer = {}
    if reply.status != 200 or not isinstance(answer, dict):
        reason = answer.get("message", "") if isinstance(answer, dict) else ""
        raise MmsearchError(
            f"expected Dashboards at {url} to import, got HTTP {reply.status} {reason}".strip()
        )
    if not answer.get("success"):
        errors = answer.get("errors") or [{}]
        first = errors[0]
        reason = first.get("error", {}).get("type", "no reason given")
        raise MmsearchError(
            f"expected Dashboards to take {len(saved)} objects, it refused {len(errors)}: {first.get('id')}, "
            f"{reason}"
        )
    return int(answer["successCount"])


def fields_used(saved: Sequence[Object]) -> dict[str, set[str]]:
    """Return the fields that searches and visualizations read, by data view."""
    used: dict[str, set[str]] = {}
    for each in saved:
        views = [ref["id"] for ref in each["references"] if ref["type"] == "index-pattern"]
        attributes = each["attributes"]
        names = set(attributes.get("columns", ())) | {name for name, _ in attributes.get("sort", ())}
        if "visState" in attributes:
            names |= set(_fields(json.loads(attributes["visState"])["aggs"]))
        for text in _queries(each):
            names |= {
                part.split(":")[0].strip("() ")
                for part in text.replace(" not ", " ").split(" and ")
                if ":" in part
            }
        for view in views:
            used.setdefault(view, set()).update(names)
    return used


def _fields(aggregations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for aggregation in aggregations:
        if "field" in aggregation["params"]:
            yield aggregation["params"]["field"]


def _queries(each: Object) -> Iterator[str]:
    attributes = each["attributes"]
    meta = attributes.get("kibanaSavedObjectMeta")
    if meta:
        yield json.loads(meta["searchSourceJSON"])["query"]["query"]
    if "visState" in attributes:
        for aggregation in json.loads(attributes["visState"])["aggs"]:
            for each_filter in aggregation["params"].get("filters", ()):
                yield each_filter["input"]["query"]
