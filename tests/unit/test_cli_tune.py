"""`mmsearch tune` on TREC runs and on bodies: the sentences, the JSON, and the clause to paste."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmsearch.cli.tune import command
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.gather import known_bodies
from mmsearch.evaluation.systems import read_system
from mmsearch.evaluation.tuning.clause import hybrid
from mmsearch.evaluation.tuning.fusion import Fusion


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty queries with two exact products, one at the top of each leg, below some noise in the other."""
    judgments, first, second = [], [], []
    for number in range(20):
        pairs = ({"query": f"q{number}", "product_id": product, "label": "E"} for product in ("a", "b"))
        judgments += [json.dumps(pair) for pair in pairs]
        noise = [f"x{n}" for n in range(12)]
        first += [f"q{number} Q0 {p} 1 {30 - r} one" for r, p in enumerate(["a", *noise])]
        second += [f"q{number} Q0 {p} 1 {(30 - r) / 100} two" for r, p in enumerate(["b", *reversed(noise)])]
    (tmp_path / "j.jsonl").write_text("\n".join(judgments) + "\n", encoding="utf-8")
    (tmp_path / "one.run").write_text("\n".join(first) + "\n", encoding="utf-8")
    (tmp_path / "two.run").write_text("\n".join(second) + "\n", encoding="utf-8")
    return tmp_path


def options(folder: Path, *more: str) -> list[str]:
    legs = ["--leg", f"one={folder / 'one.run'}", "--leg", f"two={folder / 'two.run'}"]
    return ["--judgments", str(folder / "j.jsonl"), *legs, *more]


def test_the_figures_are_of_held_out_queries(folder: Path) -> None:
    result = CliRunner().invoke(command, options(folder, "--json"), catch_exceptions=False)
    found = json.loads(result.stdout)
    alone = 1 / (1 + 1 / 1.584962500721156)
    assert found["legs"] == pytest.approx({"one": alone, "two": alone})
    assert found["held_out"] > 1.2 * alone
    assert found["p"] < 0.001
    assert len(found["folds"]) == 5
    assert found["clause"] == {"fusion": found["fusion"]}


def test_the_sentences_for_a_terminal(folder: Path) -> None:
    result = CliRunner().invoke(command, options(folder, "--folds", "4"), catch_exceptions=False)
    lines = result.stdout.splitlines()
    assert lines[0] == "nDCG@10, gains E 1, S 0.1, C 0.01, I 0, 20 queries, 4 folds"
    assert lines[1].split() == ["one", "alone", "0.6131"]
    assert "x one, difference +" in result.stdout
    assert result.stdout.count("  fold ") == 4
    assert json.loads(result.stdout[result.stdout.index("\n{") :])["fusion"]


def test_a_learned_fusion_that_does_not_help_is_refused(folder: Path) -> None:
    result = CliRunner().invoke(command, options(folder, "--learn"), catch_exceptions=False)
    assert "  learned, held out" in result.stdout
    assert "  tuned fixed weights " in result.stdout
    assert "\nThe learned fusion is refused: its difference from " in result.stdout
    found = CliRunner().invoke(command, options(folder, "--learn", "--json"), catch_exceptions=False)
    numbers = json.loads(found.stdout)
    study = numbers["learned_fusion"]
    assert not study["helps"]
    assert numbers["clause"] == {"fusion": numbers["fusion"]}
    assert numbers["fusion"]["combination"]["technique"] != "learned"
    assert study["fusion"]["combination"]["technique"] == "learned"
    assert set(study["against"]) >= {"tuned fixed weights", "rrf, equal weights", "min_max, equal weights"}


def test_each_class_of_queries_is_held_against_its_best_leg(folder: Path) -> None:
    """Most queries find theirs by leg one, every fourth by leg two alone; the third class is too small."""
    judged, one, two = [], [], []
    for number in range(60):
        kind = "rare" if number < 5 else "fourth" if number % 4 == 0 else "most"
        judged.append(json.dumps({"query": f"q{number}", "product_id": "a", "label": "E", "kind": kind}))
        right, wrong = (two, one) if number % 4 == 0 else (one, two)
        right += [f"q{number} Q0 a 1 9 leg", f"q{number} Q0 x 2 8 leg"]
        wrong.append(f"q{number} Q0 y 1 9 leg")
    (folder / "j.jsonl").write_text("\n".join(judged) + "\n", encoding="utf-8")
    (folder / "one.run").write_text("\n".join(one) + "\n", encoding="utf-8")
    (folder / "two.run").write_text("\n".join(two) + "\n", encoding="utf-8")

    found = json.loads(CliRunner().invoke(command, options(folder, "--json"), catch_exceptions=False).stdout)
    classes = {each["name"]: each for each in found["classes"]}
    most, fourth = classes.pop("most"), classes.pop("fourth")
    assert not classes
    assert most == pytest.approx(
        {
            "by": "kind",
            "name": "most",
            "queries": 42,
            "best_leg": "one",
            "leg": 1,
            "held_out": 1,
            "below": False,
        }
    )
    # Leg one is believed more, so the others' product comes second: nDCG 1 / log2(3) at most.
    assert (fourth["queries"], fourth["best_leg"], fourth["leg"], fourth["below"]) == (13, "two", 1.0, True)
    assert fourth["held_out"] < 0.631
    told = CliRunner().invoke(command, options(folder), catch_exceptions=False).stdout
    assert told.count(" queries, below by more than 2%\n") == 1
    assert "No class is more than" not in told


def test_the_clause_holds_the_legs_queries_with_their_names() -> None:
    legs = [read_system(name, known_bodies(100)) for name in ("lexical", "dense=neural")]
    clause = hybrid(legs, Fusion(weights=(0.3, 0.7)), 100)
    assert clause is not None
    first, second = clause["hybrid"]["queries"]
    assert first["bool"]["must"][0]["multi_match"]["query"] == "{{query}}"
    assert first["bool"]["_name"] == "lexical"
    assert second["neural"]["embedding"]["_name"] == "dense"
    assert clause["hybrid"]["fusion"]["combination"]["parameters"]["weights"] == [0.3, 0.7]
    assert clause["hybrid"]["pagination_depth"] == 100


def test_finished_runs_make_no_body(folder: Path) -> None:
    with pytest.raises(MmsearchError, match="expected legs with search bodies for --out, got a TREC run"):
        CliRunner().invoke(command, options(folder, "--out", str(folder / "t.json")), catch_exceptions=False)
