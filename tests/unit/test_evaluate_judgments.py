"""Judgments and runs: JSON Lines and TREC files, in and out, and the errors of bad lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.exchange import trec
from mmsearch.evaluation.exchange.judged_file import read_judgments
from mmsearch.evaluation.judgments import Judgments, Query, write_jsonl
from mmsearch.evaluation.runs import Run

LINES = """\
{"query": "oak chair", "product_id": "p1", "label": "E", "purchases": 2, "category": "chairs"}
{"query": "oak chair", "product_id": "p1", "purchases": 1}

{"query": "oak chair", "product_id": "p 2", "label": "I"}
{"query_image": "shoe.png", "product_id": "p3", "purchases": 1}
{"query": "like this, in red", "query_image": "shoe.png", "product_id": "p3", "label": "S"}
{"query_id": "q7", "query": "rug", "product_id": "p4", "grade": -1}
"""


def test_json_lines_become_judgments_by_query(tmp_path: Path) -> None:
    path = tmp_path / "judgments.jsonl"
    path.write_text(LINES, encoding="utf-8")

    judgments = read_judgments(path)

    assert list(judgments.queries) == ["oak chair", "shoe.png", "like this, in red | shoe.png", "q7"]
    assert [query.modality for query in judgments.queries.values()] == ["text", "picture", "both", "text"]
    assert judgments.queries["oak chair"].attributes == {"category": "chairs"}
    assert judgments.labels == {
        "oak chair": {"p1": "E", "p 2": "I"},
        "like this, in red | shoe.png": {"p3": "S"},
    }
    assert judgments.purchases == {"oak chair": {"p1": 3}, "shoe.png": {"p3": 1}}
    assert judgments.grades == {"q7": {"p4": -1}}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path, again = tmp_path / "judgments.jsonl", tmp_path / "again.jsonl"
    path.write_text(LINES, encoding="utf-8")

    assert write_jsonl(read_judgments(path), again) == 5
    assert read_judgments(again) == read_judgments(path)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "line 2: expected one JSON object on line 2, got"),
        ("[1]", "line 2: expected a JSON object in line 2, got a list"),
        ('{"query": "a", "label": "E"}', "line 2: expected a `product_id`, got none"),
        (
            '{"product_id": "p", "label": "E"}',
            "line 2: expected `query`, `query_image` or `query_id`, got none",
        ),
        ('{"query": "a", "product_id": "p"}', "line 2: expected `label`, `purchases` or `grade`, got none"),
        (
            '{"query": "a", "product_id": "p", "label": "X"}',
            "line 2: expected a label out of E, S, C, I, got 'X'",
        ),
        (
            '{"query": "oak", "product_id": "p", "label": "S"}',
            "line 2: expected one label for product 'p' of query 'oak'",
        ),
        (
            '{"query": "a", "product_id": "p", "purchases": -1}',
            "line 2: expected a whole number from 0 in `purchases`, got -1",
        ),
        ('{"query": "a", "product_id": "p", "purchases": 1.5}', "got 1.5"),
        ('{"query": "a", "product_id": "p", "grade": "2"}', "expected a number in `grade`, got '2'"),
        (
            '{"query": "a", "product_id": 7.5, "label": "E"}',
            "a string or an integer in `product_id`, got 7.5",
        ),
    ],
)
def test_a_bad_line_is_named(line: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "judgments.jsonl"
    path.write_text('{"query": "oak", "product_id": "p", "label": "E"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(MmsearchError) as caught:
        read_judgments(path)
    assert sentence in str(caught.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(MmsearchError, match="found none"):
        read_judgments(tmp_path / "none.jsonl")


def test_qrels_go_out_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "qrels"
    judgments = Judgments()
    judgments.add(Query("oak chair", "oak chair"), "p 1", label="E")
    judgments.add(Query("oak chair", "oak chair"), "50%", label="I")
    judgments.add(Query("rug", "rug"), "p2", purchases=4)

    assert trec.write_qrels(judgments, path) == 3

    assert path.read_text(encoding="utf-8") == "oak%20chair 0 p%201 3\noak%20chair 0 50% 0\nrug 0 p2 1\n"
    assert trec.read_qrels(path).grades == {"oak chair": {"p 1": 3, "50%": 0}, "rug": {"p2": 1}}
    assert trec.read_qrels(path, esci=True).labels == {
        "oak chair": {"p 1": "E", "50%": "I"},
        "rug": {"p2": "C"},
    }


def test_grades_that_qrels_cannot_hold_are_refused(tmp_path: Path) -> None:
    judgments = Judgments()
    judgments.add(Query("rug"), "p", grade=1.5)
    with pytest.raises(
        MmsearchError, match=r"expected whole grades for qrels, got 1\.5 for 'p' of query 'rug'"
    ):
        trec.write_qrels(judgments, tmp_path / "qrels")


def test_a_run_is_ordered_by_score_then_by_falling_identifier(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text(
        "q Q0 a 1 0.5 tag\nq Q0 c 2 0.5 tag\nq Q0 b 3 0.9 tag\nr Q0 x 1 1e-3 tag\n", encoding="utf-8"
    )

    run = trec.read_run(path)

    assert run.name == "tag"
    assert run.products == {"q": ["b", "c", "a"], "r": ["x"]}
    assert run.top("q", 2) == ["b", "c"]
    assert run.top("unknown", 2) == []


def test_scores_that_differ_only_past_32_bits_tie(tmp_path: Path) -> None:
    run = Run.from_scores("run", {"q": {"a": 0.1 + 1e-12, "b": 0.1}})
    assert run.products == {"q": ["b", "a"]}


def test_a_live_run_keeps_its_own_order_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run"
    ids = {'50%"é': 0.7, "p'2": 0.1}
    run = Run("hybrid 1", {"a b": {"p1": 0.5, "p2": 0.5, "p3": 0.25}, "plain": ids, "none": {}})

    assert trec.write_run(run, path) == 5

    # 0.5 - 2**-25 is the 32-bit float below 0.5.
    assert path.read_text(encoding="utf-8").splitlines() == [
        "a%20b Q0 p1 1 0.5 hybrid%201",
        "a%20b Q0 p2 2 0.49999997 hybrid%201",
        "a%20b Q0 p3 3 0.25 hybrid%201",
        'plain Q0 50%"é 1 0.7 hybrid%201',
        "plain Q0 p'2 2 0.1 hybrid%201",
    ]
    again = trec.read_run(path)
    assert again.products == {"a b": ["p1", "p2", "p3"], "plain": ['50%"é', "p'2"]}
    assert again.scores["plain"] == ids


@pytest.mark.parametrize(
    ("scores", "written"),
    [
        ([3.0, 2.0], ["3.0", "2.0"]),
        # Lowering the tie reaches the next score, which is lowered too.
        ([1.0, 1.0, 1 - 2**-24], ["1.0", "0.99999994", "0.999999881"]),
        # They differ past 32 bits only.
        ([0.1 + 1e-12, 0.1], ["0.10000000000100001", "0.099999994"]),
        ([0.0, 0.0], ["0.0", "-1.40129846e-45"]),
        ([1.0, 2.0, 0.5], ["3.0", "2.0", "1.0"]),
        ([float("inf"), 1.0], ["2.0", "1.0"]),
        ([], []),
    ],
)
def test_scores_fall_strictly(scores: list[float], written: list[str]) -> None:
    assert trec.falling(scores) == written
    for kind in (np.float32, np.float64):
        assert (np.diff(np.array(written, kind)) < 0).all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("q Q0 a 1 0.5\n", "line 1: expected 6 columns, got 5"),
        ("q Q0 a 1 high tag\n", "line 1: expected a number as the score in column 5, got high"),
        ("q Q0 a 1 nan tag\n", "line 1: expected a number as the score"),
        (
            "q Q0 a 1 2 tag\nq Q0 a 2 1 tag\n",
            "line 2: expected each product once for query 'q', got 'a' again",
        ),
    ],
)
def test_a_bad_line_of_a_run_is_named(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "run").write_text(text, encoding="utf-8")
    with pytest.raises(MmsearchError) as caught:
        trec.read_run(tmp_path / "run")
    assert sentence in str(caught.value)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(MmsearchError, match="got NaN"):
        Run.from_scores("run", {"q": {"a": float("nan")}})
