"""The search page without a browser: what it asks, what it shows, and whom it answers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.ui.app import Asked, create, picture_address
from mmsearch.search.bodies import search_body

LEGS = [{"name": "dense", "rank": 1, "score": 0.93, "normalized": 1.0, "only": True}]


class Index:
    """Remembers bodies and answers each with the same hit, or by mode."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.logged: list[Asked] = []
        self.error: str | None = None

    def search(self, body: dict[str, Any]) -> Mapping[str, Any]:
        self.bodies.append(body)
        if self.error:
            raise MmsearchError(self.error)
        lexical = "bool" in body["query"]
        hit = {
            "_id": "p-lexical" if lexical else "p-dense",
            "_score": 0.5,
            "_source": {"title": "<Chair>", "image": "a b.png", "category": "Seats"},
            "fields": {"_legs": [] if lexical else LEGS},
        }
        shared = {"_id": "shared", "_score": None, "_source": {}}
        buckets = {
            "category": {"buckets": [{"key": "Seats & more", "doc_count": 3}]},
            "brand": {"buckets": []},
        }
        degraded = [] if lexical else [{"leg": "dense", "reason": "no encoder"}]
        return {
            "took": 4,
            "hits": {"hits": [hit, shared]},
            "aggregations": buckets,
            "ext": {"mmsearch": {"degraded": degraded}},
        }

    def log(self, asked: Asked, answer: Mapping[str, Any]) -> None:
        self.logged.append(asked)


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
def client(index: Index, tmp_path: Path) -> FlaskClient:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a b.png")
    app = create(search_body, index.search, tmp_path, index="products", log=index.log)
    app.testing = True
    return app.test_client()


def form(**fields: Any) -> dict[str, Any]:
    return {"text": "chair", "a_mode": "hybrid", "b_mode": "lexical", "k": "20", **fields}


def png() -> tuple[io.BytesIO, str]:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), "blue").save(data, "PNG")
    data.seek(0)
    return data, "blue.png"


def test_a_hybrid_is_asked_with_its_weight_and_shown_with_its_legs(client: FlaskClient, index: Index) -> None:
    reply = client.post("/search", data=form(a_weight="70", k="50"))
    (body,) = index.bodies
    hybrid = body["query"]["hybrid"]
    assert hybrid["fusion"]["combination"]["parameters"]["weights"] == [0.3, 0.7]
    assert len(hybrid["queries"]) == 2
    assert body["size"] == 50
    assert set(body["aggs"]) == {"category", "brand"}
    assert "hybrid, 70% dense" in reply.text
    assert "1. &lt;Chair&gt;" in reply.text
    assert "dense #1 only" in reply.text
    assert '/picture?ref=a+b.png"' in reply.text
    assert "without the leg dense: no encoder" in reply.text
    assert 'data-value="Seats &amp; more"' in reply.text
    assert 'data-id="p-dense"' in reply.text
    assert [asked.mode for asked in index.logged] == ["hybrid"]


def test_two_systems_side_by_side_and_what_one_alone_found(client: FlaskClient, index: Index) -> None:
    reply = client.post("/search", data=form(compare="on"))
    assert len(index.bodies) == 2
    assert reply.text.count('class="column"') == 2
    assert reply.text.count("only here") == 2
    assert reply.text.count("<li") == 4


def test_a_picture_reaches_both_systems(client: FlaskClient, index: Index) -> None:
    client.post("/search", data=form(text="", a_mode="neural", b_mode="neural", compare="on", picture=png()))
    first, second = (body["query"]["neural"]["embedding"]["query_image"] for body in index.bodies)
    assert first
    assert first == second
    assert index.logged[0].picture == first


def test_without_words_a_hybrid_asks_the_vectors_alone(client: FlaskClient, index: Index) -> None:
    client.post("/search", data=form(text="", like="p7"))
    assert index.bodies[0]["query"]["neural"]["embedding"]["like"] == {"_id": "p7"}


def test_a_facet_filters(client: FlaskClient, index: Index) -> None:
    reply = client.post("/search", data=form(filter_category="Seats & more", a_mode="lexical"))
    assert index.bodies[0]["query"]["bool"]["filter"] == [{"term": {"category.keyword": "Seats & more"}}]
    assert 'aria-pressed="true"' in reply.text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"text": "", "a_mode": "lexical"}, "expected a text"),
        ({"a_mode": "magic"}, "expected a mode out of hybrid, neural, lexical"),
        ({"k": "many"}, "expected numbers as weight and number of hits"),
        ({"picture": (io.BytesIO(b"no picture"), "x.png")}, "expected"),
    ],
)
def test_what_cannot_be_asked_is_said_on_the_page(
    fields: dict[str, Any], sentence: str, client: FlaskClient
) -> None:
    reply = client.post("/search", data=form(**fields))
    assert reply.status_code == 200
    assert 'role="alert"' in reply.text
    assert sentence in reply.text


def test_an_error_of_one_system_leaves_the_page_standing(client: FlaskClient, index: Index) -> None:
    index.error = "expected OpenSearch to answer, got <refused>; start it"
    reply = client.post("/search", data=form(compare="on"))
    assert reply.text.count("got &lt;refused&gt;; start it") == 2


def test_pictures_come_from_below_the_image_root_only(client: FlaskClient) -> None:
    good = client.get("/picture?ref=a+b.png")
    assert (good.status_code, good.mimetype) == (200, "image/png")
    for reference in ("../etc/passwd", "/etc/passwd", "none.png", "http://127.0.0.1/x.png", ""):
        assert client.get("/picture", query_string={"ref": reference}).status_code == 404
    assert picture_address("https://example.org/a.png") is None
    assert picture_address("data:image/png;base64,AA") == "data:image/png;base64,AA"


def test_it_answers_this_machine_only_and_lets_nothing_else_in(client: FlaskClient) -> None:
    assert client.get("/", headers={"Host": "rebound.example:8090"}).status_code == 403
    page = client.get("/", headers={"Host": "127.0.0.1:8090"})
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "http" not in page.text.replace("http-equiv", "")
    for name in ("page.css", "ui.css", "ui.js"):
        assert client.get(f"/{name}").status_code == 200
    assert client.get("/app.py").status_code == 404


def test_a_form_that_is_too_large_is_refused(client: FlaskClient) -> None:
    kind = "multipart/form-data; boundary=b"
    reply = client.post("/search", data=b"x" * 25_000_000, content_type=kind)
    assert reply.status_code == 413
