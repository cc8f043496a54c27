"""The figures of the benches: a measured table is taken into bench/results, and the page shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring import interleaved, page, results
from measuring.index import bulks
from measuring.options import Options
from measuring.steps import STEPS, SUBJECTS

ROOT = Path(__file__).parents[2]


def everything() -> dict[str, results.Record]:
    return {table: record for subject in SUBJECTS for table, record in results.read(subject).items()}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tables are left; what is taken of them goes beside it."""
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(interleaved, "OUTPUT", tmp_path / "build")
    monkeypatch.delenv(interleaved.SHORT, raising=False)
    return tmp_path / "build"


def measured(again: list[float]) -> interleaved.Table:
    figures = {"our loop": [2.0, 4.0, 6.0], "bare torch loop": [4.0, 4.0, 4.0], interleaved.AGAIN: again}
    table = interleaved.Table("training", "steps a second", figures)
    table.target("our loop", "bare torch loop", at_least=0.95)
    table.note("Three rounds.")
    return table


def test_the_page_is_what_the_figures_say() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page()


def test_the_readmes_section_of_speed_is_what_the_figures_say() -> None:
    text = page.README.read_text(encoding="utf-8")
    assert text == page.with_speed(text, results.read("shop"))


def test_the_readme_shows_the_shop_once_it_is_measured() -> None:
    text = f"# mmsearch\n\n{page.NEXT}The rest.\n"
    record = {
        "arms": {"mmsearch": [60, 58, 61], "plain script": [30.0, 29, 31]},
        "figures": [["mmsearch / plain script", 1.97, ">= 1.6", "met"], ["anything else", 1, "", ""]],
        "notes": ["10 products.", "2 cores.", "Not shown."],
        "a_against_a": 1.01,
    }
    shown = page.with_speed(text, {"shop": record})
    assert "## Speed\nmmsearch ingests 60 products a second" in shown
    assert "Measured on 10 products. Machine: 2 cores.\n" in shown
    assert "| 30 | 1.97 |\n\n## What is different\nThe rest.\n" in shown
    # The next run's figures take the place of these, and a void run's none.
    assert page.with_speed(shown, {"shop": record}) == shown
    assert page.with_speed(shown, {"shop": {**record, "a_against_a": 1.2}}) == text
    with pytest.raises(ValueError, match="expected the README to have the section ## What is different"):
        page.with_speed("# mmsearch\n", {"shop": record})


def test_each_missed_target_has_a_reason_and_no_other_has() -> None:
    missed = {
        (table, what)
        for table, record in everything().items()
        for what, _, _, verdict in record["figures"]
        if verdict in ("missed", "void")
    }
    reasons = json.loads((results.FOLDER / "missed.json").read_text(encoding="utf-8"))
    assert missed == {(each["table"], figure) for each in reasons for figure in each["figures"]}


def test_every_table_says_when_and_on_what_it_was_measured() -> None:
    tables = everything()
    assert len(tables) > 50
    assert [name for name, each in tables.items() if not each.keys() >= {"date", "machine", "versions"}] == []


def test_verdicts_are_those_of_the_figures() -> None:
    checked = 0
    for table, record in everything().items():
        for what, value, bound, verdict in record["figures"]:
            for one in filter(None, bound.split(" and ")):
                sign, _, limit = one.partition(" ")
                met = value <= float(limit) if sign == "<=" else value >= float(limit)
                assert verdict == ("met" if met else "missed"), (table, what)
                checked += 1
    assert checked > 100


def test_what_a_table_leaves_is_taken(folders: Path) -> None:
    measured([2.0, 4.0, 6.0]).finish()
    assert results.take(folders) == ["training is taken into offline.json"]
    taken = results.read("offline")["training"]
    assert taken["arms"] == {"our loop": [4, 2, 6], "bare torch loop": [4, 4, 4]}
    assert taken["figures"] == [["our loop / bare torch loop", 1, ">= 0.95", "met"]]
    assert (taken["rounds"], taken["a_against_a"], taken["notes"]) == (3, 1.0, ["Three rounds."])
    assert taken["date"] == json.loads((folders / "training.json").read_text())["date"]
    # The same run again brings nothing new.
    assert results.take(folders) == []


def test_a_void_table_takes_the_place_of_none_that_holds(folders: Path) -> None:
    measured([2.0, 4.0, 6.0]).finish()
    results.take(folders)
    before = results.read("offline")
    measured([3.0, 6.0, 9.0]).finish()
    later = json.loads((folders / "training.json").read_text()) | {"date": "9999-01-01 00:00"}
    (folders / "training.json").write_text(json.dumps(later))
    (said,) = results.take(folders)
    assert said.startswith("training is void and does not replace the table of ")
    assert results.read("offline") == before


def test_a_void_table_decides_nothing(folders: Path) -> None:
    measured([3.0, 6.0, 9.0]).finish()
    results.take(folders)
    record = results.read("offline")["training"]
    assert [figure[3] for figure in record["figures"]] == ["void"]
    assert page.missed({"offline": {"training": record}}, []) == [
        f"- **training**: our loop / bare torch loop 1 (≥ 0.95, void). {page.WITHOUT}"
    ]


def test_a_short_form_stays_out_of_the_results(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench training", "--short", "--seed", "3"])
    asked = Options("A bench.", rounds=(7, 1), seed=(1, 2)).parse()
    assert (asked.short, asked.rounds, asked.seed) == (True, 1, 3)
    # As a process that it starts sees it.
    assert os.environ.pop(interleaved.SHORT) == "1"
    monkeypatch.setenv(interleaved.SHORT, "1")
    measured([2.0, 4.0, 6.0]).finish()
    assert (folders / "short" / "training.json").is_file()
    assert results.take(folders) == []


def test_a_row_is_a_line(folders: Path) -> None:
    rows: dict[str, Any] = {"arms": {"a": [1, 2, 3]}, "figures": [["a", 1, "", ""], ["b", 2, ">= 1", "met"]]}
    results.write("offline", {"training": {"date": "2026-01-01", **rows}})
    lines = (results.FOLDER / "offline.json").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 8
    assert results.read("offline")["training"] == {"date": "2026-01-01", **rows}


def test_documents_become_bulk_requests() -> None:
    documents = [("a", {"v": np.array([0.5, 1.0], np.float32)}), (None, {"v": [2]}), ("c", {})]
    assert list(bulks(documents, size=2)) == [
        b'{"index":{"_id":"a"}}\n{"v":[0.5,1.0]}\n{"index":{}}\n{"v":[2]}\n',
        b'{"index":{"_id":"c"}}\n{}\n',
    ]


def test_every_step_leaves_tables_that_are_kept() -> None:
    kept = {table for tables in SUBJECTS.values() for table in tables}
    assert [table for step in STEPS for table in step.tables if table not in kept] == []


SAY_HELP = """
import contextlib, io, runpy, sys
folder, names = sys.argv[1], sys.argv[2:]
for name in names or runpy.run_path(f"{folder}/__main__.py")[{"bench": "TABLES", "qa": "CHECKS"}[folder]]:
    sys.argv = [folder, name, "--help"]
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            runpy.run_path(f"{folder}/__main__.py", run_name="__main__")
    except SystemExit as end:
        assert end.code == 0, (name, end.code)
    print(name, "usage:" in said.getvalue(), "--short" in said.getvalue())
"""


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["bench", "qa"])
def test_each_command_says_its_options_and_each_bench_has_a_short_form(folder: str) -> None:
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", SAY_HELP, folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) > 10
    assert [name for name, usage, _ in lines if usage != "True"] == []
    if folder == "bench":
        assert [name for name, _, short in lines if short != "True"] == ["page"]
