"""The report and its parts: the study's numbers, the plots' marks, and a page that asks for nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.live import Answers
from mmsearch.evaluation.measures import suite
from mmsearch.evaluation.report import plots
from mmsearch.evaluation.report.cards import Thumbnails, card, page
from mmsearch.evaluation.report.page import judged, most_different, render
from mmsearch.evaluation.study import Study
from mmsearch.search.hits import Hit


def hit(product: str, score: float, **more: object) -> Hit:
    return Hit(product, score, {"title": f"The <{product}>", "image": f"{product}.png", **more})


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two systems over three queries: one won, one lost, one that the baseline failed on."""
    Image.new("RGB", (300, 200), "red").save(tmp_path / "a.png")
    Image.new("RGBA", (30, 20), (0, 0, 255, 90)).save(tmp_path / "b.png")
    judgments = Judgments()
    for query in ("chair", "oak chair", "lamp"):
        judgments.add(Query(query, query, "a.png" if query == "lamp" else None), "a", label="E")
        judgments.add(Query(query), "b", label="I")
    bm25 = Answers(
        "bm25",
        {"chair": [hit("b", 2.0), hit("a", 1.0)], "oak chair": [hit("a", 2.0)]},
        {"chair": 2.0, "oak chair": 4.0},
        {"lamp": "400 <no>"},
    )
    legs = ({"name": "dense", "rank": 1, "score": 0.9, "normalized": 1.0, "only": True},)
    hybrid = Answers(
        "hybrid",
        {
            "chair": [Hit("a", 0.9, {"title": "A"}, legs)],
            "oak chair": [hit("c", 0.9), hit("a", 0.8)],
            "lamp": [hit("b", 0.4, price=12.5, category=["Seats", "x"])],
        },
        {"chair": 3.0, "oak chair": 3.0, "lamp": 3.0},
        warnings={"lamp": "1 shards failed"},
    )
    measures = [suite(judgments, (1, 10))[0], *suite(judgments, (10, 100))]
    answered = {each.system: each for each in (bm25, hybrid)}
    return Study(judgments, [bm25.run, hybrid.run], measures, "bm25", 10, answers=answered)


def test_the_study_by_pencil(study: Study) -> None:
    numbers = study.as_json()
    assert study.measures[0].name == "recall(exact)@1"
    assert numbers["systems"]["bm25"]["measures"]["recall(exact)@1"] == pytest.approx(1 / 3)
    assert numbers["systems"]["hybrid"]["measures"]["recall(exact)@10"] == pytest.approx(2 / 3)
    assert numbers["systems"]["bm25"]["problems"] == {"lamp": "400 <no>"}
    assert numbers["systems"]["hybrid"]["warnings"] == {"lamp": "1 shards failed"}
    assert numbers["systems"]["bm25"]["took_ms"]["p50"] == 3.0
    assert study.curves["hybrid"][0] == (1, pytest.approx(1 / 3))
    assert study.curves["hybrid"][-1] == (10, pytest.approx(2 / 3))
    # Of 30 places: bm25 fills 3 (2 exact, 1 irrelevant), hybrid 4, one of which nobody judged.
    assert study.shares()["bm25"] == pytest.approx(
        {"E": 2 / 30, "S": 0, "C": 0, "I": 1 / 30, "unjudged": 0, "empty": 27 / 30}
    )
    assert study.shares()["hybrid"]["unjudged"] == pytest.approx(1 / 30)
    ((own, other),) = study.exclusives
    assert own.products == {"chair": [], "oak chair": ["c"], "lamp": ["b"]}
    assert other.products == {"chair": ["b"], "oak chair": [], "lamp": []}
    assert study.slices["length"]["2 words"] == {"queries": 1, "means": {"bm25": 1.0, "hybrid": 0.0}}
    assert set(study.slices) == {"length", "modality"}


def test_the_queries_that_differ_most_come_first(study: Study) -> None:
    assert most_different(study) == ["chair", "oak chair", "lamp"]


def test_the_report_tells_the_study(study: Study, tmp_path: Path) -> None:
    pictures = Thumbnails(tmp_path)
    html = render(study, product_pictures=pictures, query_pictures=pictures, named=["lamp"], show=3)

    assert "<b>bm25</b>: 1 queries without an answer, counted as zero" in html
    assert "lamp: 400 &lt;no&gt;" in html
    assert "lamp: 1 shards failed" in html
    assert "The &lt;a&gt;" in html
    assert "The <a>" not in html
    assert "dense #1 only" in html
    assert html.count('<details class="query"') == 3
    assert html.index("<summary>lamp") < html.index("<summary>chair")
    assert "asked with this picture" in html
    assert "only here" in html
    assert "Seats · 12.50" in html
    mean = study.scores["recall(exact)@10"]["hybrid"].mean
    assert f"{mean:.3f}<small>" in html
    # `c` has no picture file: said once, and shown as a card without a picture.
    assert "1 product pictures could not be shown" in html
    assert "no picture" in html


def test_the_report_asks_for_nothing(study: Study, tmp_path: Path) -> None:
    html = render(study, product_pictures=Thumbnails(tmp_path))
    references = re.findall(r"""(?:src|href|action|poster|data)=["']([^"']+)""", html)
    assert references
    assert all(reference.startswith(("data:", "#")) for reference in references)
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_systems_need_names_of_their_own_and_a_known_baseline(study: Study) -> None:
    with pytest.raises(MmsearchError, match="expected a distinct name"):
        Study(study.judgments, [study.runs[0], study.runs[0]], study.measures, "bm25")
    with pytest.raises(MmsearchError, match="expected a baseline out of bm25, hybrid, got 'other'"):
        Study(study.judgments, study.runs, study.measures, "other")


def test_how_a_product_was_judged() -> None:
    judgments = Judgments()
    judgments.add(Query("q"), "a", label="S", purchases=3)
    judgments.add(Query("q"), "b", purchases=2)
    judgments.add(Query("q"), "c", purchases=0)
    judgments.add(Query("q"), "d", grade=2)
    assert [judged(judgments, "q", product) for product in "abcde"] == [
        "S",
        "bought 2",
        "not bought",
        "2",
        None,
    ]


def test_thumbnails_are_small_and_made_once(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "big.png")
    thumbnails = Thumbnails(tmp_path)
    first = thumbnails("big.png")
    assert first is not None
    assert first.startswith("data:image/webp;base64,")
    assert len(first) < 2000
    (tmp_path / "big.png").unlink()
    assert thumbnails("big.png") is first
    assert thumbnails("../outside.png") is None
    assert thumbnails("http://127.0.0.1/x.png") is None
    assert set(thumbnails.missing) == {"../outside.png", "http://127.0.0.1/x.png"}


def test_a_page_of_cards_stands_alone() -> None:
    cards = [card(1, hit("<p>", 0.25, image=None), lambda _: None)]
    html = page("chairs & more", "3 ms", [("hybrid", cards), ("lexical", [])])
    assert "chairs &amp; more" in html
    assert "1. The &lt;&lt;p&gt;&gt;" in html
    assert "Nothing found." in html


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def test_plots_are_well_formed_and_carry_their_values() -> None:
    curve = parsed(
        plots.curves("c", "Recall <k>", {"a & b": [(1, 0.1), (10, 0.5)], "z": [(1, 0.0)]}, "k", "recall")
    )
    titles = [each.text for each in curve.iter("title")]
    assert titles == ["Recall <k>", "a & b: 0.100 at 1", "a & b: 0.500 at 10", "z: 0.000 at 1"]
    assert len(list(curve.iter("polyline"))) == 2

    bars = parsed(plots.stacked("s", "Shares", {"a": {"E": 0.25, "S": 0.0, "empty": 0.75}}))
    widths = {each.get("class"): float(each.get("width", "0")) for each in bars.iter("rect")}
    assert widths["share label-empty"] == pytest.approx(3 * widths["share label-E"])
    assert set(widths) == {"share label-E", "share label-empty"}

    ways = parsed(plots.both_ways("e", "Exclusive", [("a", 4.0, 1.0, 2.0, 0.5)], "base"))
    assert [float(each.get("width", "0")) for each in ways.iter("rect")] == pytest.approx(
        [227.0, 56.75, 113.5, 28.4], abs=0.1
    )

    wins = parsed(plots.win_loss("w", "a against b", [0.5, -0.25, 0.0], "difference"))
    assert [each.get("class") for each in wins.iter("rect")] == ["win", "loss"]
    assert "1 queries won, 1 even, 1 lost" in (wins.findtext("title") or "")


@pytest.mark.parametrize("values", [[], [0.0], [0.0, 0.0]])
def test_plots_of_nothing_do_not_fail(values: list[float]) -> None:
    parsed(plots.win_loss("w", "nothing", values, "difference"))
    parsed(plots.curves("c", "nothing", {"a": [(1, value) for value in values[:1]]}, "k", "recall"))
    parsed(plots.both_ways("e", "nothing", [], "base"))
    parsed(plots.stacked("s", "nothing", {}))
