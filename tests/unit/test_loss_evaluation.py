"""A gate that judges nothing does not pass, and identifiers of TREC files stay what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli
from mmsearch.evaluation.exchange import trec
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.runs import Run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.qrels").write_text("q1 0 p1 1\nq2 0 p2 1\n", encoding="utf-8")
    (tmp_path / "a.run").write_text("q1 Q0 p9 1 9 a\nq2 Q0 p8 1 9 a\n", encoding="utf-8")
    (tmp_path / "b.run").write_text("q1 Q0 p1 1 9 b\nq2 Q0 p2 1 9 b\n", encoding="utf-8")
    (tmp_path / "c.run").write_text("q1 Q0 p1 1 9 c\nq2 Q0 p8 1 9 c\n", encoding="utf-8")
    return tmp_path


def evaluate(gate: str, *systems: str) -> Result:
    named = [part for system in systems for part in ("--system", f"{system}={system}.run")]
    return CliRunner().invoke(cli, ["evaluate", "--judgments", "q.qrels", *named, "--gate", gate])


def test_loss_d9_a_gate_without_a_system_to_judge_fails(folder: Path) -> None:
    done = evaluate("ndcg@10 >= baseline - 0.5%", "c")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == (
        "mmsearch: expected a system to compare with c in the gate 'ndcg@10 >= baseline - 0.5%', got none; "
        "add another --system, or give a number instead of the baseline"
    )
    assert evaluate("ndcg@10 > 0.9", "c").exit_code == 3
    passed = evaluate("ndcg@10 >= baseline - 0.5%", "a", "b")
    assert passed.exit_code == 0
    assert "passed: ndcg@10 >= baseline - 0.5% for b: 1.0000 against 0.0000" in passed.output


FOREIGN = ("Stühle-50%25", "50%", "100%zz", "%", "%C3%BC", "a%2Fb", 'say"so"', "<b>", "日本")


def test_loss_d9_a_foreign_files_identifiers_are_read_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "foreign.qrels"
    file.write_text("".join(f"q 0 {each} 1\n" for each in FOREIGN), encoding="utf-8")
    assert list(trec.read_qrels(file).grades["q"]) == list(FOREIGN)
    run = tmp_path / "foreign.run"
    lines = (f"q Q0 {each} {rank} {9 - rank} tag\n" for rank, each in enumerate(FOREIGN))
    run.write_text("".join(lines), encoding="utf-8")
    assert trec.read_run(run).products["q"] == list(FOREIGN)


def test_loss_d9_what_has_no_white_space_is_written_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "o.run"
    trec.write_run(Run("mein System", {"Stühle": {"Tisch-ä": 2.0}}), file)
    assert file.read_text(encoding="utf-8") == "Stühle Q0 Tisch-ä 1 2.0 mein%20System\n"


@pytest.mark.parametrize(
    ("identifier", "written"),
    [
        ("oak chair", "oak%20chair"),
        ("50 %", "50%20%25"),
        ("50%25 off", "50%2525%20off"),
        ("a%20b", "a%2520b"),
        ("a%2520b", "a%252520b"),
        ("a\u00a0b", "a%C2%A0b"),
        ("a%C2%A0b", "a%25C2%25A0b"),
        ("a\tb\nc", "a%09b%0Ac"),
        ("50%25", "50%25"),
    ],
)
def test_loss_d9_every_identifier_comes_back(tmp_path: Path, identifier: str, written: str) -> None:
    judgments = Judgments()
    judgments.add(Query(identifier, identifier), identifier, label=None, grade=1)
    file = tmp_path / "o.qrels"
    trec.write_qrels(judgments, file)
    assert file.read_text(encoding="utf-8") == f"{written} 0 {written} 1\n"
    assert trec.read_qrels(file).grades == {identifier: {identifier: 1}}
