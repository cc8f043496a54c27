"""The local search page: search by text, image and product, with two systems side by side.

The server listens on loopback only and accepts only requests with a loopback Host header, which prevents DNS
rebinding. It loads nothing from other sites, and shows only images below the image root.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from flask import Flask, Response, abort, render_template, request
from jinja2 import FileSystemLoader
from PIL import Image

from mmsearch.errors import MmsearchError, Rejection
from mmsearch.evaluation.report.cards import Card, card
from mmsearch.evaluation.tuning.fusion import Fusion
from mmsearch.images import references
from mmsearch.images.conversion import as_taken, thumbnail
from mmsearch.search.hits import Hit

HERE = Path(__file__).parent
REPORT = HERE.parent / "report"
"""folder of the cards and the style that the page shares with the report"""
MODES = ("hybrid", "neural", "lexical")
FACETS = ("category", "brand")
GROUP = "group"
"""field of the variants of one product"""
FACET_SIZE = 10
_MOST_BYTES = 24_000_000  # a picture of 20 MB and the form around it


@dataclass(frozen=True)
class Asked:
    """One query of the page. `picture` is base64; `weight` is the share of the dense leg in a hybrid;
    `collapse` shows one product of each group.
    """

    text: str
    picture: str
    like: str
    mode: str
    weight: float
    filters: Mapping[str, str]
    k: int
    collapse: bool = False


@dataclass
class Column:
    """The results of one system for display. `error` is a sentence when the search failed."""

    title: str
    cards: Sequence[Card] = ()
    took: int = 0
    facets: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    error: str = ""
    notes: Sequence[str] = ()


class Question(Protocol):
    """A function that builds the `_search` body, for example `search.bodies.search_body`."""

    def __call__(
        self,
        text: str,
        *,
        picture: str = "",
        like: str | None = None,
        mode: str | None = None,
        k: int = 10,
        filters: Mapping[str, str] | None = None,
        collapse: str | None = None,
    ) -> dict[str, Any]:
        """Return the body."""


Search = Callable[[dict[str, Any]], Mapping[str, Any]]
Log = Callable[[Asked, Mapping[str, Any]], None]


def create(
    question: Question, search: Search, image_root: Path, *, index: str, log: Log | None = None
) -> Flask:
    """Create the application.

    `search` sends a body and returns the response, or raises MmsearchError. `log` is called with every
    response.
    """
    app = Flask(__name__, static_folder=None)
    app.jinja_loader = FileSystemLoader([HERE, REPORT])
    app.config["MAX_CONTENT_LENGTH"] = _MOST_BYTES
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}

    @app.before_request
    def only_here() -> None:
        if request.host.rsplit(":", 1)[0] not in ("127.0.0.1", "localhost", "[::1]"):
            abort(403)

    @app.after_request
    def closed(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @app.get("/")
    def home() -> str:
        return render_template("ui.html", index=index, modes=MODES)

    @app.get("/<any('page.css', 'ui.css', 'ui.js'):name>")
    def asset(name: str) -> Response:
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        return Response(
            ((REPORT if name == "page.css" else HERE) / name).read_text(encoding="utf-8"), mimetype=kind
        )

    @app.get("/picture")
    def picture() -> Response:
        try:
            data = thumbnail(references.read(request.args.get("ref", ""), image_root))
        except Rejection as error:
            return Response(str(error), status=404, mimetype="text/plain")
        with Image.open(io.BytesIO(data)) as opened:
            kind = Image.MIME.get(opened.format or "", "application/octet-stream")
        return Response(data, mimetype=kind, headers={"Cache-Control": "private, max-age=3600"})

    @app.post("/search")
    def results() -> str:
        columns = []
        for prefix in ("a", "b") if request.form.get("compare") else ("a",):
            try:
                asked = read_form(prefix)
                body = body_of(question, asked)
                answer = search(body)
            except MmsearchError as error:
                columns.append(Column(_title(prefix), error=error.sentence()))
                continue
            if log:
                log(asked, answer)
            columns.append(column(asked, answer))
        _mark_exclusive(columns)
        return render_template("results.html", columns=columns, facets=_facets(columns), chosen=_filters())

    return app


def read_form(prefix: str) -> Asked:
    """Return the query of the current request, for the system whose form fields start with `prefix`."""
    upload = request.files.get("picture")
    data = upload.read() if upload and upload.filename else b""
    if upload and upload.filename:
        upload.stream.seek(0)  # the second system reads it again
    try:
        picture = base64.b64encode(as_taken(data)).decode("ascii") if data else ""
    except Rejection as error:
        raise MmsearchError(str(error)) from None
    mode = request.form.get(f"{prefix}_mode", "")
    if mode not in MODES:
        raise MmsearchError(f"expected a mode out of {', '.join(MODES)}, got {mode!r}; choose one")
    try:
        weight = float(request.form.get(f"{prefix}_weight", "50")) / 100
        k = int(request.form.get("k", "20"))
    except ValueError:
        raise MmsearchError(
            "expected numbers as weight and number of hits; set them by the page's controls"
        ) from None
    text = request.form.get("text", "").strip()
    if mode == "hybrid" and not text:
        mode = "neural"  # a picture or a product has nothing that a lexical leg could match
    return Asked(
        text,
        picture,
        request.form.get("like", ""),
        mode,
        min(max(weight, 0), 1),
        _filters(),
        min(max(k, 1), 100),
        bool(request.form.get("collapse")),
    )


def body_of(question: Question, asked: Asked) -> dict[str, Any]:
    """Return the `_search` body: the query, the weights of a hybrid, and the aggregations of the facets."""
    body = question(
        asked.text,
        picture=asked.picture,
        like=asked.like or None,
        mode=asked.mode,
        k=asked.k,
        filters=asked.filters,
        collapse=GROUP if asked.collapse else None,
    )
    if asked.mode == "hybrid":
        weights = (round(1 - asked.weight, 4), round(asked.weight, 4))
        (clause,) = body["query"].values()  # by whichever name the node serves it
        clause["fusion"] = Fusion(weights=weights).clause()
    body["aggs"] = {name: {"terms": {"field": f"{name}.keyword", "size": FACET_SIZE}} for name in FACETS}
    return body


def column(asked: Asked, answer: Mapping[str, Any]) -> Column:
    """Return the response of one system as cards."""
    hits = [
        Hit(
            hit["_id"],
            float(hit["_score"] or 0.0),
            hit.get("_source", {}),
            tuple(hit.get("fields", {}).get("_legs", ())),
        )
        for hit in answer["hits"]["hits"]
    ]
    facets = {
        name: [(str(bucket["key"]), int(bucket["doc_count"])) for bucket in found.get("buckets", ())]
        for name, found in answer.get("aggregations", {}).items()
    }
    degraded = answer.get("ext", {}).get("mmsearch", {}).get("degraded", ())
    title = asked.mode if asked.mode != "hybrid" else f"hybrid, {asked.weight:.0%} dense"
    return Column(
        title,
        [card(rank, hit, picture_address) for rank, hit in enumerate(hits, 1)],
        int(answer["took"]),
        facets,
        notes=[f"without the leg {each.get('leg')}: {each.get('reason')}" for each in degraded],
    )


def picture_address(reference: str) -> str | None:
    """Return the URL of a product's image; None for images of other sites, which the page does not load."""
    if reference.startswith("data:image/"):
        return reference
    return None if "://" in reference else f"/picture?{urlencode({'ref': reference})}"


def _filters() -> dict[str, str]:
    return {name: value for name in FACETS if (value := request.form.get(f"filter_{name}", ""))}


def _title(prefix: str) -> str:
    return request.form.get(f"{prefix}_mode", "") or "the search"


def _facets(columns: Sequence[Column]) -> dict[str, Sequence[tuple[str, int]]]:
    """Return the facets of the first system only, since counts of the second one are over other hits."""
    return {name: values for name, values in columns[0].facets.items() if values} if columns else {}


def _mark_exclusive(columns: Sequence[Column]) -> None:
    """Mark products that only one of two systems found."""
    if len(columns) == 2 and not any(each.error for each in columns):
        ids = [{each.id for each in found.cards} for found in columns]
        for found, others in zip(columns, reversed(ids), strict=True):
            found.cards = [
                each if each.id in others else replace(each, marks=[*each.marks, "only here"])
                for each in found.cards
            ]
