"""`mmsearch.evaluate` and `mmsearch.tune`: files, dicts and frames in, numbers and frames out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mmsearch
from mmsearch.errors import ArgumentError, MissingPackageError, MmsearchError
from mmsearch.evaluation.judgments import from_records
from mmsearch.evaluation.runs import Run

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.lacking import lacking

JUDGMENTS = [
    {"query": "chair", "product_id": "a", "label": "E", "purchases": 1},
    {"query": "chair", "product_id": "b", "label": "S", "purchases": 0},
    {"query": "lamp", "product_id": "c", "label": "E", "purchases": 2},
]
OLD = {"chair": {"b": 2.0, "a": 1.0}}
NEW = {"chair": {"a": 2.0}, "lamp": {"c": 5.0, "z": 4.0}}
MEASURES = ("recall@1", "mrr")
RECALL, MRR = "recall(purchases)@1", "mrr(purchases)"
"""what they are called with the view that they are of by default"""
# By pencil: of two queries old has a bought product first for none, and at rank 2 for one.
MEANS = {"old": {RECALL: 0.0, MRR: 0.25}, "new": {RECALL: 1.0, MRR: 1.0}}


@pytest.fixture
def node() -> Iterator[FakeOpenSearch]:
    with FakeOpenSearch() as node:
        node.create("shop", {"mappings": {}})
        yield node


@pytest.fixture
def shop(node: FakeOpenSearch) -> Iterator[mmsearch.Client]:
    with mmsearch.Client(node.url, index="shop") as shop:
        yield shop


@pytest.fixture
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where pandas is not installed: importing it fails."""
    monkeypatch.setitem(sys.modules, "pandas", None)


def trec(path: Path, run: dict[str, dict[str, float]]) -> Path:
    lines = [f"{query} Q0 {each} 1 {score} x" for query, of in run.items() for each, score in of.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_runs_as_dicts_files_and_run_objects(tmp_path: Path) -> None:
    path = tmp_path / "judgments.jsonl"
    path.write_text("\n".join(map(json.dumps, JUDGMENTS)), encoding="utf-8")
    for judgments in (JUDGMENTS, path, str(path), from_records(JUDGMENTS)):
        for old, new in (
            (OLD, NEW),
            (trec(tmp_path / "old.run", OLD), str(trec(tmp_path / "new.run", NEW))),
            (Run("x", OLD), Run("y", NEW)),
        ):
            report = mmsearch.evaluate(judgments, {"old": old, "new": new}, measures=MEASURES)
            assert report.means == MEANS
    assert report.passed
    assert report.problems == {}
    assert report.summary()["systems"]["new"]["measures"][MRR] == 1.0


def test_frames_in_and_frames_out() -> None:
    pandas = pytest.importorskip("pandas")
    judgments = pandas.DataFrame(JUDGMENTS)
    judgments.loc[3] = ["table", "7", None, 1]
    assert judgments["label"].isna().sum() == 1
    rows = [(query, product, score) for query, of in NEW.items() for product, score in of.items()]
    run = pandas.DataFrame(rows, columns=["query", "product_id", "score"])
    report = mmsearch.evaluate(judgments, {"old": OLD, "new": run}, measures=MEASURES)
    # A third query, which neither answers, is a third of the mean.
    assert report.frame().loc[MRR].to_dict() == pytest.approx({"old": 0.5 / 3, "new": 2 / 3})
    assert list(report.frame().columns) == ["old", "new"]
    per_query = report.per_query()
    assert list(per_query.columns) == ["query", "system", "problem", RECALL, MRR]
    assert len(per_query) == 6
    assert per_query.set_index(["query", "system"]).loc[("chair", "old"), MRR] == 0.5


def test_gates_say_whether_they_hold() -> None:
    report = mmsearch.evaluate(
        JUDGMENTS, {"old": OLD, "new": NEW}, measures=MEASURES, gates=["mrr >= baseline", "recall@1 > 1"]
    )
    assert not report.passed
    assert [verdict.passed for verdict in report.verdicts] == [True, False, False]


def test_what_was_measured_is_written(tmp_path: Path) -> None:
    report = mmsearch.evaluate(JUDGMENTS, {"old": OLD, "new": NEW}, measures=MEASURES)
    report.write_runs(tmp_path / "runs")
    report.write_per_query(tmp_path / "q.csv")
    report.write_report(tmp_path / "deep" / "report.html", title="Mine", show_queries=["lamp"])
    assert (tmp_path / "runs" / "new.run").read_text().splitlines()[0] == "chair Q0 a 1 2.0 new"
    assert len((tmp_path / "q.csv").read_text().splitlines()) == 5
    assert "<h1>Mine</h1>" in (tmp_path / "deep" / "report.html").read_text()
    with pytest.raises(MmsearchError, match="expected judged queries for --show-query, got 'sofa'"):
        report.write_report(tmp_path / "r.html", show_queries=["sofa"])


def answer(*ids: str) -> dict[str, Any]:
    hits = [{"_id": each, "_score": 1.0 / rank, "_source": {}} for rank, each in enumerate(ids, 1)]
    return {"took": 3, "timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}}


def test_systems_are_asked_on_the_clients_index(shop: mmsearch.Client, node: FakeOpenSearch) -> None:
    node.search_fault = lambda index: answer("b", "a")
    body = {"query": {"match": {"title": "{{query}}"}}}
    report = mmsearch.evaluate(
        JUDGMENTS, {"mine": body, "hybrid": "hybrid", "other@shop": "lexical"}, client=shop, measures=["mrr"]
    )
    assert report.means == {"mine": {MRR: 0.25}, "hybrid": {MRR: 0.25}, "other": {MRR: 0.25}}
    assert [path for _, path in node.requests].count("/shop/_msearch") == 3
    written = mmsearch.evaluate(JUDGMENTS, ["mine=lexical"], client=shop, measures=["mrr"])
    assert written.means == {"mine": {MRR: 0.25}}


def test_queries_that_fail_count_as_zero_and_are_listed(shop: mmsearch.Client, node: FakeOpenSearch) -> None:
    node.search_fault = lambda index: {"error": {"type": "x", "reason": "out of memory"}, "status": 500}
    report = mmsearch.evaluate(JUDGMENTS, {"lexical": "lexical"}, client=shop, measures=["mrr"])
    assert report.means == {"lexical": {MRR: 0.0}}
    assert report.problems == {"lexical": {"chair": "500 out of memory", "lamp": "500 out of memory"}}


MISUSES: dict[str, tuple[Callable[[mmsearch.Client], object], str]] = {
    "no client": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": "lexical"}),
        "expected a client to ask x on its index with, got none; pass client=",
    ),
    "no systems": (lambda shop: mmsearch.evaluate(JUDGMENTS, {}), "expected at least one system, got none"),
    "a text": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, "lexical"),
        "expected systems as a dict of names and sources, or as a list such as ['bm25=lexical', 'hybrid']",
    ),
    "a number": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": 5}),  # type: ignore[dict-item]
        "expected x as a search body, a path, a built-in name out of lexical, neural, text, picture, hybrid",
    ),
    "neither": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": {"size": 3}}),
        "expected x as a search body with a `query`, or as a run {query: {product: score}}, got 3 for 'size'",
    ),
    "a placeholder": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": {"query": {"match": {"a": "{{words}}"}}}}),
        "expected the placeholders query, query_image and k in system 'x', got 'words'",
    ),
    "no JSON": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": {"query": {"match": {"a": {1}}}}}),
        "expected a search body that JSON has as x, got another",
    ),
    "no judgments": (lambda shop: mmsearch.evaluate([], {"x": OLD}), "expected judged pairs, got none"),
    "one pair": (
        lambda shop: mmsearch.evaluate(JUDGMENTS[0], {"x": OLD}),  # type: ignore[arg-type]
        "expected judgments as an iterable of dicts, a path or a pandas DataFrame, got dict; put it in a",
    ),
    "a bad pair": (
        lambda shop: mmsearch.evaluate([*JUDGMENTS, {"query": "x"}], {"x": OLD}),
        "judged pair 4: expected a `product_id`, got none; name the judged product",
    ),
    "no file": (
        lambda shop: mmsearch.evaluate("/nowhere.jsonl", {"x": OLD}),
        "expected judgments in /nowhere.jsonl, got: No such file or directory",
    ),
    "a measure": (lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": OLD}, measures=["fun"]), "'fun'"),
    "a gate": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": OLD}, gates=["fun"]),
        "expected a gate such as",
    ),
    "depth": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": OLD}, depth=0),
        "from 1 to 10000 as depth, got 0",
    ),
    "baseline": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": OLD}, baseline="y"),
        "expected a baseline out of x, got 'y'",
    ),
    "no index": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x@gone": "hybrid"}, client=shop),
        "expected an index 'gone', got none",
    ),
    "other queries": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": OLD, "y": {"1": {"a": 1.0}, "2": {}}}),
        "expected y to answer judged queries, got '1', '2', while the judgments are of 'chair', 'lamp'; use",
    ),
    "an empty run": (
        lambda shop: mmsearch.evaluate(JUDGMENTS, {"x": OLD, "y": {}}),
        "expected y to answer judged queries, got none, while the judgments are of 'chair', 'lamp'; use",
    ),
    "other products": (
        lambda shop: mmsearch.evaluate(
            JUDGMENTS, {"x": {"chair": {f"sku-{n}": 9.0 - n for n in range(5)}}, "y": {"lamp": {}}}
        ),
        "expected judged products among the hits, got 'sku-0', 'sku-1', 'sku-2' and 2 more, while the "
        "judgments are of 'a', 'b', 'c'; use the product ids of the index",
    ),
    "legs of other queries": (
        lambda shop: mmsearch.tune(JUDGMENTS, {"x": OLD, "y": {"1": {"a": 1.0}}}),
        "expected y to answer judged queries, got '1', while",
    ),
    "one leg": (lambda shop: mmsearch.tune(JUDGMENTS, {"x": OLD}), "expected 2 to 10 legs to fuse, got 1"),
    "folds": (
        lambda shop: mmsearch.tune(JUDGMENTS, {"x": OLD, "y": NEW}, folds=1),
        "expected a whole number from 2 as folds, got 1",
    ),
    "queries": (
        lambda shop: mmsearch.tune(JUDGMENTS, {"x": OLD, "y": NEW}, folds=5),
        "expected 2 to 2 folds over 2 queries, got 5",
    ),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_what_cannot_be_measured_is_one_sentence(shop: mmsearch.Client, misuse: str) -> None:
    call, sentence = MISUSES[misuse]
    with pytest.raises(MmsearchError) as caught:
        call(shop)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_frame_without_the_columns_of_a_run_is_one_sentence() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"query": ["chair"], "product": ["a"]})
    with pytest.raises(ArgumentError, match="expected the columns query, product_id, score with a number"):
        mmsearch.evaluate(JUDGMENTS, {"x": frame})
    twice = pandas.DataFrame({"query": ["chair"] * 2, "product_id": ["a"] * 2, "score": [1, 2]})
    with pytest.raises(ArgumentError, match="expected each product once for query 'chair' in the run x"):
        mmsearch.evaluate(JUDGMENTS, {"x": twice})


def test_a_node_that_is_away_is_one_sentence() -> None:
    with (
        mmsearch.Client("http://127.0.0.1:9") as shop,
        pytest.raises(
            MmsearchError, match=r"expected answers from OpenSearch at 127\.0\.0\.1:9, got connection"
        ),
    ):
        mmsearch.evaluate(JUDGMENTS, {"lexical": "lexical"}, client=shop)


@pytest.mark.usefixtures("without_pandas")
def test_frames_without_pandas_name_the_package() -> None:
    report = mmsearch.evaluate(JUDGMENTS, {"old": OLD})
    for frame in (report.frame, report.per_query):
        with pytest.raises(
            MissingPackageError, match=r"expected the package pandas .* repair: pip install pandas"
        ):
            frame()


def test_a_report_without_jinja_names_the_extra(tmp_path: Path) -> None:
    said = lacking(
        "jinja2",
        "judged = [{'query': 'q', 'product_id': 'a', 'label': 'E'}]\n"
        "report = mmsearch.evaluate(judged, {'x': {'q': {'a': 1}}})\n"
        f"report.write_report({str(tmp_path / 'report.html')!r})",
    )
    assert said == (
        "MissingPackageError: expected the package jinja2 for the report, got none; repair: pip install "
        "'mmsearch[ui]'"
    )


def twenty() -> tuple[list[dict[str, str]], dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Twenty queries with two exact products, one at the top of each leg, below some noise in the other."""
    noise = [f"x{number}" for number in range(12)]
    judgments = [{"query": f"q{n}", "product_id": each, "label": "E"} for n in range(20) for each in "ab"]
    one = {f"q{n}": {each: 30.0 - rank for rank, each in enumerate(["a", *noise])} for n in range(20)}
    two = {f"q{n}": {each: 30.0 - rank for rank, each in enumerate(["b", *noise[::-1]])} for n in range(20)}
    return judgments, one, two


def test_a_fusion_is_tuned_on_runs() -> None:
    judgments, one, two = twenty()
    found = mmsearch.tune(judgments, {"one": one, "two": two})
    # Alone each leg has one of two exact products, at rank 1: 1 / (1 + 1 / log2(3)).
    alone = 1 / (1 + 1 / 1.584962500721156)
    assert found.legs == pytest.approx({"one": alone, "two": alone})
    assert found.held_out > 1.2 * alone
    assert found.clause is None
    assert found.pasted == {"fusion": found.fusion}
    assert found.summary()["folds"] == [fusion.clause() for fusion in found.tuned.folds]


def test_a_frame_of_the_classes() -> None:
    pytest.importorskip("pandas")
    judgments, one, two = twenty()
    classed = [pair | {"kind": "even" if int(pair["query"][1:]) % 2 else "odd"} for pair in judgments]
    frame = mmsearch.tune(classed, {"one": one, "two": two}).frame()
    assert list(frame.columns) == ["by", "name", "queries", "best_leg", "leg", "held_out", "below"]
    kinds = frame[frame["by"] == "kind"].set_index("name")
    assert kinds["queries"].to_dict() == {"even": 10, "odd": 10}


def test_a_fusion_of_live_legs_is_a_clause_by_the_names_of_the_node(
    shop: mmsearch.Client, node: FakeOpenSearch
) -> None:
    node.search_fault = lambda index: answer("b", "a")
    found = mmsearch.tune(JUDGMENTS, client=shop, folds=2, window=50)
    assert found.clause is not None
    ((name, clause),) = found.clause.items()
    # The fake takes the clause's own name, as a node does where the official plugin is beside ours.
    assert name == "mmsearch_hybrid"
    assert clause["pagination_depth"] == 50
    assert clause["fusion"] == found.fusion
    assert clause["queries"][0]["bool"]["must"][0]["multi_match"]["query"] == "{{query}}"
    assert clause["queries"][1]["mmsearch_neural"]["embedding"]["query_text"] == "{{query}}"
