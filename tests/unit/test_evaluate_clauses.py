"""The names of our clauses: what a node serves, and that every command asks by them.

The node here answers at the wire what OpenSearch 3.6.0 answers: a query that it does not serve is a 400.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli
from mmsearch.cli.ui import asking
from mmsearch.clients.opensearch import HttpError, connect
from mmsearch.errors import AwayError, ModelError
from mmsearch.evaluation.gather import known_bodies
from mmsearch.evaluation.systems import read_system
from mmsearch.evaluation.tuning.clause import hybrid
from mmsearch.evaluation.tuning.fusion import Fusion
from mmsearch.evaluation.ui.app import Asked, body_of
from mmsearch.ingest.reindex.parity import answers
from mmsearch.search.clauses import ALONE, BESIDE, ClauseNames, served
from mmsearch.search.lexical import DEFAULT, filled, named

CLAUSES = {*vars(ALONE).values(), *vars(BESIDE).values()}
HIT = {"_id": "p1", "_score": 1.0, "_source": {"title": "Oak chair"}}


def used(node: Any) -> list[str]:
    """The clauses in a body, ours or the other plugin's, outermost first."""
    if isinstance(node, list):
        return [name for each in node for name in used(each)]
    if not isinstance(node, dict):
        return []
    return [name for key, value in node.items() for name in ([key] if key in CLAUSES else []) + used(value)]


class Node:
    """Serves clauses by these names alone; keeps the bodies of searches. `status` other than 200 is answered
    to all."""

    def __init__(self, names: ClauseNames) -> None:
        self.names = set(vars(names).values())
        self.status = 200
        self.bodies: list[dict[str, Any]] = []
        self.rendered: list[str] = []
        self.template: tuple[int, dict[str, Any]] = (404, error(404, "resource_not_found_exception", "none"))
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["content-length"]))
                if self.path.startswith("/_render/"):
                    node.rendered.append(self.path)
                    status, answer = node.template
                elif self.path.partition("?")[0].endswith("/_msearch"):
                    bodies = [json.loads(line) for line in text.splitlines()[1::2]]
                    status, answer = 200, {"responses": [node.answer(body)[1] for body in bodies]}
                else:
                    status, answer = node.answer(json.loads(text))
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.bodies.append(body)
        for name in used(body):
            if name not in self.names:
                return 400, error(400, "parsing_exception", f"unknown query [{name}] did you mean [x]?")
        if self.status != 200:
            return self.status, error(self.status, "some_exception", "no")
        shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        hits = {"total": {"value": 1, "relation": "eq"}, "hits": [HIT]}
        return 200, {"took": 1, "timed_out": False, "_shards": shards, "hits": hits, "status": 200}


def error(status: int, kind: str, reason: str) -> dict[str, Any]:
    return {"status": status, "error": {"root_cause": [], "type": kind, "reason": reason}}


@pytest.fixture(params=[ALONE, BESIDE], ids=["alone", "beside the official plugin"])
def names(request: pytest.FixtureRequest) -> ClauseNames:
    found: ClauseNames = request.param
    return found


@pytest.fixture
def node(names: ClauseNames) -> Iterator[Node]:
    started = Node(names)
    yield started
    started.server.shutdown()
    started.server.server_close()


def run(node: Node, *arguments: str) -> Result:
    environment = {"MMSEARCH_OPENSEARCH": node.url, "MMSEARCH_INDEX": "shop"}
    return CliRunner(env=environment).invoke(cli, list(arguments))


def test_the_node_says_which_names_it_serves(node: Node, names: ClauseNames) -> None:
    client = connect(node.url)
    assert served(client, "shop") == names
    client.close()


@pytest.mark.parametrize("node", [BESIDE], indirect=True, ids=["beside"])
@pytest.mark.parametrize("names", [BESIDE], ids=["beside"])
@pytest.mark.parametrize(("status", "raised"), [(404, HttpError), (400, HttpError), (503, AwayError)])
def test_another_failure_is_not_taken_for_a_name(
    node: Node, names: ClauseNames, status: int, raised: type[Exception]
) -> None:
    node.status = status
    client = connect(node.url)
    with pytest.raises(raised):
        served(client, "shop")
    client.close()


@pytest.mark.parametrize(
    ("mode", "clauses"), [("hybrid", ["hybrid", "neural"]), ("neural", ["neural"]), ("lexical", [])]
)
def test_search_asks_by_the_nodes_names(
    node: Node, names: ClauseNames, mode: str, clauses: list[str]
) -> None:
    done = run(node, "search", "chair", "--mode", mode)
    assert done.exit_code == 0, done.output
    assert "Oak chair" in done.stdout
    assert used(node.bodies[-1]) == [getattr(names, clause) for clause in clauses]
    assert len(node.bodies) == (1 if mode == "lexical" else 2)


def test_an_incomplete_question_is_not_sent(node: Node) -> None:
    done = run(node, "search", "--mode", "hybrid")
    assert done.exit_code == 1
    assert "expected a text, --image or --like" in done.stderr
    assert node.bodies == []


def judged(folder: Path) -> str:
    pairs = [{"query": f"chair {number}", "product_id": "p1", "label": "E"} for number in range(10)]
    path = folder / "j.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    return str(path)


def test_evaluate_asks_by_the_nodes_names_and_leaves_bodies_of_the_users_own(
    node: Node, names: ClauseNames, tmp_path: Path
) -> None:
    own = {"query": {names.neural: {"embedding": {"query_text": "{{query}}", "k": 5}}}}
    systems = ["--system", "lexical", "--system", "hybrid", "--system", f"own={json.dumps(own)}"]
    done = run(node, "evaluate", "--judgments", judged(tmp_path), *systems, "--json")
    assert done.exit_code == 0, done.output
    assert not done.stderr
    systems_found = json.loads(done.stdout)["systems"]
    assert [found["measures"]["recall(exact)@10"] for found in systems_found.values()] == [1.0] * 3
    asked = [used(body) for body in node.bodies[1:]]
    assert asked.count([names.hybrid, names.neural]) == 10
    assert asked.count([names.neural]) == 10


def test_evaluate_asks_for_no_name_where_none_is_needed(node: Node, tmp_path: Path) -> None:
    done = run(node, "evaluate", "--judgments", judged(tmp_path), "--system", "lexical")
    assert done.exit_code == 0, done.output
    assert [used(body) for body in node.bodies] == [[]] * 10
    assert node.rendered == ["/_render/template/mmsearch-lexical-shop"]


OWN: dict[str, Any] = {"function_score": {"query": {"match": {"title": "{{query}}"}}, "boost": 2}}


def test_every_command_asks_the_query_of_the_shops_template(node: Node, tmp_path: Path) -> None:
    node.template = (200, {"template_output": {"query": OWN, "size": 10}})
    query = {"function_score": {"query": {"match": {"title": "oak chair"}}, "boost": 2}}
    named = {"bool": {"must": [query], "_name": "lexical"}}
    assert run(node, "search", "oak chair", "--mode", "lexical").exit_code == 0
    assert node.bodies[-1]["query"] == {"bool": {"must": [named], "filter": []}}
    assert run(node, "search", "oak chair").exit_code == 0
    (clause,) = node.bodies[-1]["query"].values()
    assert clause["queries"][0] == named
    client = connect(node.url)
    asked = Asked("oak chair", "", "", "lexical", 0.5, {}, 10)
    assert body_of(asking(client, "shop"), asked)["query"]["bool"]["must"] == [named]
    client.close()
    done = run(node, "evaluate", "--judgments", judged(tmp_path), "--system", "words@shop-000003=lexical")
    assert done.exit_code == 0, done.output
    ((leg,),) = [body["query"]["bool"]["must"] for body in node.bodies[-1:]]
    assert leg["bool"]["must"][0]["function_score"]["query"] == {"match": {"title": "chair 9"}}
    assert set(node.rendered) == {"/_render/template/mmsearch-lexical-shop"}
    found = json.loads(run(node, "tune", "--judgments", judged(tmp_path), "--json").stdout)
    (clause,) = found["clause"].values()
    assert clause["queries"][0] == {"bool": {"must": [OWN], "_name": "lexical"}}


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (
            (200, {"template_output": {"query": {"match_all": {}}}}),
            "to have a `query` with {{query}}",
        ),
        ((200, {"template_output": {"size": 3}}), "to have a `query` with {{query}}"),
        ((400, error(400, "general_script_exception", "Failed to compile")), "400 general_script_exception"),
    ],
)
def test_a_template_that_cannot_be_asked_is_one_sentence(
    node: Node, template: tuple[int, dict[str, Any]], told: str
) -> None:
    node.template = template
    done = run(node, "search", "chair", "--mode", "lexical")
    assert done.exit_code == 1
    assert told in done.stderr
    assert "fix it by PUT _scripts/mmsearch-lexical-shop, or DELETE it for the default" in done.stderr


def test_a_template_that_may_not_be_read_leaves_the_default(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.template = (403, error(403, "security_exception", "no permissions"))
    assert run(node, "search", "chair", "--mode", "lexical").exit_code == 0
    (leg,) = node.bodies[-1]["query"]["bool"]["must"]
    assert leg == named(filled(DEFAULT, "chair"), "lexical")
    assert "mmsearch-lexical-shop could not be read" in caplog.text


def test_tune_prints_a_clause_that_the_node_takes(node: Node, names: ClauseNames, tmp_path: Path) -> None:
    done = run(node, "tune", "--judgments", judged(tmp_path), "--json")
    assert done.exit_code == 0, done.output
    assert not done.stderr
    assert used(json.loads(done.stdout)["clause"]) == [names.hybrid, names.neural]


def test_a_leg_of_either_name_is_named_in_the_clause(names: ClauseNames) -> None:
    legs = [read_system(name, known_bodies(100, names)) for name in ("lexical", "dense=neural")]
    clause = hybrid(legs, Fusion(weights=(0.3, 0.7)), 100, names)
    assert clause is not None
    assert clause[names.hybrid]["queries"][1][names.neural]["embedding"]["_name"] == "dense"


def test_the_page_asks_by_the_nodes_names(node: Node, names: ClauseNames) -> None:
    client = connect(node.url)
    asked = Asked("chair", "", "", "hybrid", 0.25, {}, 10)
    body = body_of(asking(client, "shop"), asked)
    client.close()
    assert used(body) == [names.hybrid, names.neural]
    weights = body["query"][names.hybrid]["fusion"]["combination"]["parameters"]["weights"]
    assert weights == [0.75, 0.25]


def test_pairs_are_mined_by_the_nodes_names(node: Node, names: ClauseNames, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"query": "chair", "product_id": "p2"}\n', encoding="utf-8")
    (tmp_path / "catalog.jsonl").write_text(
        '{"id": "p1", "title": "Oak chair"}\n{"id": "p2", "title": "Stool"}\n', encoding="utf-8"
    )
    files = [str(tmp_path / "pairs.jsonl"), "--catalog", str(tmp_path / "catalog.jsonl")]
    done = run(node, "pairs", *files, "--no-bm25", "--out", str(tmp_path / "hard.jsonl"))
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "hard.jsonl").read_text(encoding="utf-8"))["negatives"] == ["p1"]
    assert used(node.bodies[-1]) == [names.neural]


def test_two_indices_are_compared_by_the_nodes_names(node: Node) -> None:
    client = connect(node.url)
    assert answers(client, "shop-000001", {"a": "chair", "b": "stool"}) == {"a": ["p1"], "b": ["p1"]}
    client.close()


def test_an_index_that_cannot_answer_is_not_compared(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(node.url)
    monkeypatch.setattr("mmsearch.ingest.reindex.parity.served", lambda *_: ClauseNames("gone", "gone"))
    monkeypatch.setattr("tests.unit.test_evaluate_clauses.CLAUSES", {"gone"})
    with pytest.raises(ModelError, match=r"expected shop to answer the .*, got 400 .*unknown query \[gone\]"):
        answers(client, "shop", {"a": "chair"})
    client.close()
