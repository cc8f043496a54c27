"""Gates: what is written, what is checked, and what is refused."""

from __future__ import annotations

import pytest

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.gate import parse_gate

VALUES = {"bm25": 0.5, "hybrid": 0.52, "dense": 0.4}


@pytest.mark.parametrize(
    ("text", "passed", "bound"),
    [
        ("ndcg@10 >= baseline - 0.5%", {"hybrid": True, "dense": False}, 0.4975),
        ("hybrid: ndcg(esci)@10 > bm25 * 1.05", {"hybrid": False}, 0.525),
        ("hybrid:ndcg@10>=bm25+0.02", {"hybrid": True}, 0.52),
        ("share(E+S)@10 >= bm25", {"hybrid": True, "dense": False}, 0.5),
        ("dense: recall@10 <= 0.41", {"dense": True}, 0.41),
        ("recall@10 < 0.51", {"bm25": True, "hybrid": False, "dense": True}, 0.51),
        ("dense: recall@10 >= hybrid - 25%", {"dense": True}, 0.39),
    ],
)
def test_gates_by_pencil(text: str, passed: dict[str, bool], bound: float) -> None:
    verdicts = parse_gate(text).check(VALUES, "bm25")
    assert {verdict.system: verdict.passed for verdict in verdicts} == passed
    assert [verdict.bound for verdict in verdicts] == pytest.approx([bound] * len(passed))


def test_a_verdict_reads_as_a_sentence() -> None:
    (verdict,) = parse_gate("dense: ndcg@10 >= 0.45").check(VALUES, "bm25")
    assert str(verdict) == "FAILED: dense: ndcg@10 >= 0.45 for dense: 0.4000 against 0.4500"


@pytest.mark.parametrize("text", ["ndcg@10 >= baseline", "ndcg@10 >= baseline - 0.5%", "new: ndcg@10 >= 0"])
def test_zero_against_zero_is_no_pass(text: str) -> None:
    (verdict,) = parse_gate(text).check({"old": 0.0, "new": 0.0}, "old")
    assert not verdict.passed
    assert str(verdict).endswith(
        "0.0000 against 0.0000; zero against zero shows nothing, check judgments and index"
    )


def test_no_irrelevant_hits_on_both_sides_pass() -> None:
    (verdict,) = parse_gate("share(I)@10 <= baseline").check({"old": 0.0, "new": 0.0}, "old")
    assert verdict.passed


@pytest.mark.parametrize(
    "text", ["", "ndcg@10", "ndcg@10 = 0.5", "ndcg@10 >= ", ">= 0.5", "ndcg@10 >= bm25 * 2%"]
)
def test_what_is_no_gate_is_refused(text: str) -> None:
    with pytest.raises(MmsearchError, match="expected a gate such as"):
        parse_gate(text)


def test_an_unknown_system_is_refused() -> None:
    with pytest.raises(MmsearchError, match="expected a system out of bm25, hybrid, dense in the gate"):
        parse_gate("ndcg@10 >= nobody").check(VALUES, "bm25")
