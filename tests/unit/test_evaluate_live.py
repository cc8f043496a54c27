"""Asking a live index, against a small HTTP server that answers as a node does: hits, failures, legs,
warnings."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch
from PIL import Image

from mmsearch.clients.opensearch import connect
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.judgments import Query
from mmsearch.evaluation.live import BATCH, answers, query_pictures
from mmsearch.evaluation.templates import Template

BODY = {"query": {"match": {"title": "{{query}}"}}}


class Node:
    """Remembers the bodies of `_msearch` and answers each by `respond`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.respond: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: found([])
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["content-length"])).decode()
                node.requests.append(self.path)
                answer = node.rank_eval if self.path.endswith("_rank_eval") else node.msearch
                reply = json.dumps(answer(text)).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def msearch(self, text: str) -> dict[str, Any]:
        bodies = [json.loads(line) for line in text.splitlines()[1::2]]
        self.asked += bodies
        return {"responses": [self.respond(body) for body in bodies]}

    def rank_eval(self, text: str) -> dict[str, Any]:
        body = json.loads(text)
        self.asked.append(body)
        answers = {each["id"]: self.respond(each["request"]) for each in body["requests"]}
        hits = {key: each["hits"]["hits"] for key, each in answers.items() if "hits" in each}
        return {
            "metric_score": 0.0,
            "details": {key: {"hits": [{"hit": h, "rating": None} for h in of]} for key, of in hits.items()},
            "failures": {key: {"error": each["error"]} for key, each in answers.items() if "error" in each},
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


def found(hits: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"took": 3, "timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}, **more}


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.server.shutdown()
    node.server.server_close()


@pytest.fixture
def client(node: Node) -> Iterator[OpenSearch]:
    client = connect(node.url)
    yield client
    client.close()


def test_every_query_is_asked_once_in_batches(node: Node, client: OpenSearch) -> None:
    node.respond = lambda body: found(
        [{"_id": body["query"]["match"]["title"], "_score": 2.5, "_source": {}}]
    )
    queries = [Query(f"q{n}", f"text {n}") for n in range(BATCH + 3)]

    result = answers(client, Template("bm25", BODY), queries, index="products", depth=7)

    assert node.requests == ["/products/_msearch"] * 2
    assert [body["query"]["match"]["title"] for body in node.asked] == [f"text {n}" for n in range(BATCH + 3)]
    assert {body["size"] for body in node.asked} == {7}
    assert result.run.products["q4"] == ["text 4"]
    assert result.took["q4"] == 3.0
    assert not result.problems


def test_a_template_may_ask_another_index(node: Node, client: OpenSearch) -> None:
    answers(client, Template("old", BODY, "products-old"), [Query("q", "text")], index="products", depth=1)
    assert node.requests == ["/products-old/_msearch"]


def test_failures_are_kept_by_query_and_count_as_nothing(node: Node, client: OpenSearch) -> None:
    def respond(body: dict[str, Any]) -> dict[str, Any]:
        if body["query"]["match"]["title"] == "bad":
            reason = {"type": "parsing_exception", "reason": "no such field"}
            return {"error": {"root_cause": [reason], **reason}, "status": 400}
        return found([{"_id": "p", "_score": None, "_source": {}}])

    node.respond = respond
    queries = [Query("good", "good"), Query("bad", "bad"), Query("picture", None, "a.png")]

    result = answers(client, Template("bm25", BODY), queries, index="products", depth=3)

    assert result.problems == {
        "bad": "400 no such field",
        "picture": "the system does not use the modality of this query (picture)",
    }
    assert list(result.hits) == ["good"]
    assert result.run.problems == result.problems


def test_legs_and_warnings_come_along(node: Node, client: OpenSearch) -> None:
    legs = [{"name": "dense", "rank": 1, "score": 0.9, "normalized": 1.0, "only": True}]
    node.respond = lambda body: {
        **found([{"_id": "p", "_score": 0.5, "_source": {"title": "Chair"}, "fields": {"_legs": legs}}]),
        "timed_out": True,
        "_shards": {"failed": 2},
        "ext": {"mmsearch": {"degraded": [{"leg": "dense", "reason": "encoder down"}]}},
    }
    result = answers(client, Template("hybrid", BODY), [Query("q", "x")], index="products", depth=3)
    (hit,) = result.hits["q"]
    assert (hit.source, list(hit.legs)) == ({"title": "Chair"}, legs)
    assert result.warnings == {
        "q": "the search timed out; 2 shards failed; leg dense was skipped: encoder down"
    }


def test_rank_eval_gives_the_same_hits(node: Node, client: OpenSearch) -> None:
    def respond(body: dict[str, Any]) -> dict[str, Any]:
        words = body["query"]["match"]["title"]
        if words == "bad":
            return {"error": {"type": "query_shard_exception", "reason": "no such field"}}
        return found([{"_id": words, "_score": 2.5, "_source": {"title": "Chair"}}])

    node.respond = respond
    queries = [Query("q1", "one"), Query("q2", "bad"), Query("q3", "three")]
    result = answers(
        client,
        Template("bm25", BODY),
        queries,
        index="products",
        depth=7,
        through="rank_eval",
        fields=["title"],
    )
    assert node.requests == ["/products/_rank_eval"]
    (asked,) = node.asked
    assert asked["metric"] == {"precision": {"k": 7}}
    assert asked["requests"][2] == {
        "id": "2",
        "request": {"query": {"match": {"title": "three"}}},
        "ratings": [],
        "summary_fields": ["title"],
    }
    assert result.run.products == {"q1": ["one"], "q3": ["three"]}
    assert result.hits["q1"][0].source == {"title": "Chair"}
    assert result.problems == {"q2": "no such field"}
    assert result.took == {}


def test_a_missing_index_and_a_missing_node_stop_the_evaluation(node: Node, client: OpenSearch) -> None:
    node.respond = lambda body: {
        "error": {"type": "index_not_found_exception", "reason": "no such index [products]"},
        "status": 404,
    }
    with pytest.raises(MmsearchError, match="expected an index 'products', got none; ingest a catalog"):
        answers(client, Template("bm25", BODY), [Query("q", "x")], index="products", depth=3)
    away = connect("http://127.0.0.1:1")
    with pytest.raises(MmsearchError, match=r"expected answers from OpenSearch at 127\.0\.0\.1:1"):
        answers(away, Template("bm25", BODY), [Query("q", "x")], index="products", depth=3)
    away.close()


def test_query_pictures_are_checked(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    pictures = query_pictures(
        [Query("a", None, "red.png"), Query("b", "x", "red.png"), Query("c", "y")], tmp_path
    )
    assert list(pictures) == ["red.png"]
    with pytest.raises(MmsearchError, match="query 'b'"):
        query_pictures([Query("b", None, "bad.png")], tmp_path)
