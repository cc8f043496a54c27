"""`mmsearch evaluate` on TREC runs: the table, the JSON, the report, the gates and the errors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.evaluate import command
from mmsearch.evaluation.gather import known_bodies

JUDGMENTS = """\
{"query": "chair", "product_id": "a", "label": "E", "purchases": 1}
{"query": "chair", "product_id": "b", "label": "S", "purchases": 0}
{"query": "lamp", "product_id": "c", "label": "E", "purchases": 2}
"""
OLD = "chair Q0 b 1 2 old\nchair Q0 a 2 1 old\n"
NEW = "chair Q0 a 1 2 new\nlamp Q0 c 1 5 new\nlamp Q0 z 2 4 new\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "judgments.jsonl").write_text(JUDGMENTS, encoding="utf-8")
    (tmp_path / "old.run").write_text(OLD, encoding="utf-8")
    (tmp_path / "new.run").write_text(NEW, encoding="utf-8")
    return tmp_path


def run(folder: Path, *options: str) -> Result:
    systems = ["--system", f"old={folder / 'old.run'}", "--system", f"new={folder / 'new.run'}"]
    arguments = ["--judgments", str(folder / "judgments.jsonl"), *systems, *options]
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_the_table_for_a_terminal(folder: Path) -> None:
    result = run(folder, "--measure", "recall@1", "--measure", "mrr", "--measure", "share(E)@2")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "                                  old       new",
        "Purchase recall@1              0.0000    1.0000 ",
        "Reciprocal rank of purchased   0.2500    1.0000 ",
        "Exact share@2                  0.2500    0.5000 ",
        "only in new: 1.00 a query, 0.500 relevant; only in old: 0.50, 0.000 (top 100)",
        "2 queries; * differs from old with p < 0.05",
    ]


def test_the_same_numbers_in_json_and_in_the_report(folder: Path) -> None:
    report = folder / "deep" / "report.html"
    result = run(folder, "--json", "--report", str(report), "--measure", "ndcg(esci)@10", "--title", "Mine")
    (line,) = result.stdout.splitlines()
    numbers = json.loads(line)
    old = numbers["systems"]["old"]["measures"]["ndcg(esci)@10"]
    assert numbers["queries"] == 2
    assert numbers["systems"]["new"]["measures"]["ndcg(esci)@10"] == pytest.approx(
        (1 / (1 + 0.1 / 1.584963) + 1) / 2
    )
    html = report.read_text(encoding="utf-8")
    assert "<h1>Mine</h1>" in html
    assert f">{old:.3f}<small>baseline</small>" in html
    (comparison,) = numbers["comparisons"]
    assert (comparison["name"], comparison["wins"], comparison["p"]) == ("new", 2, 0.5)
    assert f"{comparison['difference']:+.3f} [{comparison['low']:+.3f}" in html


def test_gates_decide_the_exit_code(folder: Path) -> None:
    passed = run(folder, "--gate", "recall@1 >= baseline - 0.5%", "--gate", "old: mrr < 0.5")
    assert (passed.exit_code, passed.stderr.count("passed: ")) == (0, 2)
    failed = run(folder, "--gate", "recall@1 > 1", "--json")
    assert failed.exit_code == 3
    assert "FAILED: recall@1 > 1 for new: 1.0000 against 1.0000" in failed.stderr
    assert [verdict["passed"] for verdict in json.loads(failed.stdout)["gates"]] == [False, False]


def test_runs_and_the_per_query_table_are_written(folder: Path) -> None:
    run(folder, "--runs-out", str(folder / "runs"), "--per-query", str(folder / "q.csv"), "--measure", "mrr")
    assert (folder / "runs" / "new.run").read_text(encoding="utf-8").splitlines()[0] == "chair Q0 a 1 2.0 new"
    with (folder / "q.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["query", "system", "problem", "mrr(purchases)"],
        ["chair", "old", "", "0.5"],
        ["chair", "new", "", "1"],
        ["lamp", "old", "", "0"],
        ["lamp", "new", "", "1"],
    ]


def test_qrels_serve_as_judgments(folder: Path) -> None:
    qrels = folder / "test.qrels"
    qrels.write_text("chair 0 a 3\nchair 0 b 2\nlamp 0 c 0\n", encoding="utf-8")
    options = ["--judgments", str(qrels), "--system", f"new={folder / 'new.run'}", "--json"]
    plain = json.loads(CliRunner().invoke(command, options, catch_exceptions=False).stdout)
    assert plain["systems"]["new"]["measures"]["recall(grade)@10"] == 0.5
    esci = json.loads(CliRunner().invoke(command, [*options, "--esci"], catch_exceptions=False).stdout)
    assert esci["systems"]["new"]["measures"]["recall(exact)@10"] == 1.0


def test_known_bodies_hold_placeholders() -> None:
    bodies = known_bodies(50)
    assert set(bodies) == {"lexical", "neural", "text", "picture", "hybrid"}
    # The words, the colours of images and the vectors.
    assert json.dumps(bodies["hybrid"]).count("{{query}}") == 3
    assert '"query_image": "{{query_image}}"' in json.dumps(bodies["picture"])
    assert bodies["neural"]["query"]["neural"]["embedding"]["k"] == 50


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--system", "nobody"], "expected a system as NAME=body.json"),
        (["--system", "x=none.run"], "expected the run of system 'x' in none.run, found no file"),
        (["--system", "=x"], "expected a system as NAME=SOURCE"),
        (["--baseline", "third"], "expected a baseline out of old, new, got 'third'"),
        (["--measure", "taste@3"], "expected a measure such as"),
        (["--gate", "taste"], "expected a gate such as"),
        (
            ["--show-query", "sofa", "--report", "r.html"],
            "expected judged queries for --show-query, got 'sofa'",
        ),
        (["--judgments", "none.jsonl"], "expected judgments in none.jsonl, got: No such file"),
    ],
)
def test_errors_are_one_sentence(
    options: list[str], sentence: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    from mmsearch.cli.main import cli

    arguments = [
        "evaluate",
        "--judgments",
        "judgments.jsonl",
        "--system",
        "old=old.run",
        "--system",
        "new=new.run",
    ]
    result = CliRunner().invoke(cli, [*arguments, *options])
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
