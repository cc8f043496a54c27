"""How much the images of a catalog say to its encoder: measured once, on a sample, and written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from tests.fakes.fake_opensearch import AnswerError, FakeOpenSearch
from tests.fakes.fake_triton import FakeTriton, knows_no_word_of, vector
from tests.fakes.ingesting import Catalog, picture

from mmsearch.cli import status
from mmsearch.errors import SearchError
from mmsearch.ingest.measuring.alignment import KEY, NEAREST, SAMPLE, alignment, said, weighed
from mmsearch.search.bodies import search_body
from mmsearch.stack.embedded import State

Floats = NDArray[np.float32]
TITLES = [f"title {number}" for number in range(SAMPLE + 20)]


@pytest.fixture
def triton() -> Iterator[FakeTriton]:
    with FakeTriton() as served:
        # Of the eight numbers of its EMBEDDING four are the text's.
        served.parameters["text_part"] = "4"
        yield served


@pytest.fixture
def node() -> Iterator[FakeOpenSearch]:
    with FakeOpenSearch() as opensearch:
        yield opensearch


@pytest.fixture
def catalog(tmp_path: Path, triton: FakeTriton, node: FakeOpenSearch) -> Catalog:
    (tmp_path / "red.png").write_bytes(picture())
    made = Catalog(tmp_path, triton, node)
    made.write({"id": "a", "title": "chair", "image": "red.png"})
    return made


def drawn(node: FakeOpenSearch, *, aligned: int, titles: list[str] = TITLES) -> list[dict[str, Any]]:
    """Let the node answer searches with products whose image part is their title's vector, for the first
    `aligned` of them, and for the rest the reverse of it. Returns the bodies of the searches.
    """
    asked = []

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        asked.append(body)
        sign = [1 if number < aligned else -1 for number in range(len(titles))]
        hits = [
            {
                "_id": title,
                "_source": {
                    "title": title,
                    "embedding": [0.0] * 4 + (way * vector((title.encode(), b""), 4)).tolist(),
                },
            }
            for title, way in zip(titles, sign, strict=True)
        ]
        return 200, {"hits": {"hits": hits}}

    node.search_answer = answer
    return asked


def meta(node: FakeOpenSearch) -> dict[str, Any]:
    ours: dict[str, Any] = node.indices["products-000001"]["mappings"]["_meta"]["mmsearch"]
    return ours


def unit(rows: NDArray[Any]) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def by_sorting(titles: Floats, images: Floats) -> float:
    """The share, one title after the other."""
    found = 0
    for number, title in enumerate(titles):
        nearest = sorted(range(len(images)), key=lambda other: -float(title @ images[other]))
        found += number in nearest[:NEAREST]
    return found / len(titles)


def test_alignment_is_what_sorting_finds() -> None:
    drawn = np.random.default_rng(5)
    titles = unit(drawn.normal(size=(97, 12)))
    images = unit(titles + drawn.normal(size=(97, 12)))
    assert 0.2 < alignment(titles, images) < 0.9
    assert alignment(titles, images) == pytest.approx(by_sorting(titles, images))


def test_images_of_other_products_say_as_much_as_chance() -> None:
    drawn = np.random.default_rng(6)
    titles, images = (unit(drawn.normal(size=(SAMPLE, 16))) for _ in range(2))
    assert alignment(titles, images) == pytest.approx(NEAREST / SAMPLE, abs=0.03)


def test_variants_with_one_image_do_not_push_each_other_out() -> None:
    titles = unit(np.ones((30, 3)))
    assert alignment(titles, titles.copy()) == 1


def test_the_first_ingest_measures_and_the_next_leaves_it(catalog: Catalog, node: FakeOpenSearch) -> None:
    asked = drawn(node, aligned=100)
    catalog.ingest()
    found = meta(node)[KEY]
    # The hundred are nearest to themselves; of the others nobody is further away than their own image.
    assert found == {"text_dimension": 4, "products": SAMPLE, "alignment": 0.25, "weight": 0.25}
    assert asked[0]["query"]["function_score"]["query"]["bool"]["filter"][1:] == [
        {"term": {"ingest.modalities": "text"}},
        {"term": {"ingest.modalities": "image"}},
    ]
    assert meta(node)["ingest"]["catalog"]
    catalog.write({"id": "b", "title": "table", "image": "red.png"})
    drawn(node, aligned=300)
    catalog.ingest()
    assert meta(node)[KEY] == found


def test_an_image_never_weighs_more_than_the_text(catalog: Catalog, node: FakeOpenSearch) -> None:
    drawn(node, aligned=SAMPLE)
    catalog.ingest()
    assert (meta(node)[KEY]["alignment"], meta(node)[KEY]["weight"]) == (1, 0.5)
    assert "pictures of this catalog say little" not in " ".join(catalog.messages)


def test_images_that_say_little_are_said_to(catalog: Catalog, node: FakeOpenSearch) -> None:
    drawn(node, aligned=24)
    catalog.ingest()
    assert [
        line
        for line in catalog.messages
        if line.endswith("pictures of this catalog say little to this model")
    ]


def test_few_products_are_measured_when_there_are_more(catalog: Catalog, node: FakeOpenSearch) -> None:
    drawn(node, aligned=0, titles=TITLES[: SAMPLE - 1])
    catalog.ingest()
    assert meta(node)[KEY] == {"text_dimension": 4, "products": SAMPLE - 1}
    assert said(meta(node)[KEY]) == ""
    drawn(node, aligned=SAMPLE)
    catalog.write({"id": "b", "title": "table", "image": "red.png"})
    catalog.ingest()
    assert meta(node)[KEY]["alignment"] == 1


def test_titles_without_a_known_word_are_left_out(
    catalog: Catalog, node: FakeOpenSearch, triton: FakeTriton
) -> None:
    drawn(node, aligned=SAMPLE + 20)
    triton.fault = knows_no_word_of(*TITLES[:15], TITLES[200])
    catalog.ingest()
    assert (meta(node)[KEY]["products"], meta(node)[KEY]["alignment"]) == (SAMPLE, 1)


@pytest.mark.parametrize(
    "run", [{"slice": (2, 2)}, {"limit": 5}, {"partial": True}], ids=["another slice", "limit", "partial"]
)
def test_runs_that_do_not_measure(catalog: Catalog, node: FakeOpenSearch, run: dict[str, Any]) -> None:
    if "partial" in run:
        catalog.ingest(limit=5)
    asked = drawn(node, aligned=SAMPLE)
    catalog.ingest(**run)
    assert not asked
    assert KEY not in meta(node)


def test_nothing_changes_for_another_fusion(
    catalog: Catalog, node: FakeOpenSearch, triton: FakeTriton
) -> None:
    del triton.parameters["text_part"]
    asked = drawn(node, aligned=SAMPLE)
    catalog.ingest()
    assert not asked
    assert KEY not in meta(node)


def test_a_measurement_that_is_refused_is_said(catalog: Catalog, node: FakeOpenSearch) -> None:
    def refuse(method: str, path: str) -> None:
        if path.endswith("/_search"):
            raise AnswerError(403)

    node.request_fault = refuse
    report = catalog.ingest()
    assert report.indexed == 1
    assert [line for line in catalog.messages if "to measure what the images of products-000001 say" in line]
    assert KEY not in meta(node)


def test_query_vectors_are_weighed_as_the_clause_does() -> None:
    """As in the plugin's TextToImageTests: a quarter of (.6, .8) is (9, 4) / sqrt(97)."""
    given = np.array([[0.6, 0.8]], np.float32)
    found = weighed(given, {"text_dimension": 1, "weight": 0.25})
    np.testing.assert_allclose(found, np.array([[9, 4]]) / 97**0.5, rtol=1e-6)
    for about in ({}, {"text_dimension": 1}, {"text_dimension": 1, "weight": 0.5}):
        assert weighed(given, about) is given


def test_status_says_of_each_index_what_was_measured(
    catalog: Catalog, node: FakeOpenSearch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A home without models, which status would list too.
    monkeypatch.setenv("MMSEARCH_HOME", str(tmp_path / "home"))
    drawn(node, aligned=24)
    catalog.ingest()
    server = State("opensearch", 1, 1, 0, 1.0, {"http": node.port}, "OpenSearch 3", None, "log")
    states = [server, replace(server, name="triton")]
    monkeypatch.setattr(status, "states", lambda home: states)
    printed = CliRunner().invoke(status.command)
    assert printed.exit_code == 0, printed.output
    assert printed.stdout.splitlines()[2:] == [f"products-000001: {said(meta(node)[KEY])}"]
    assert "0.06" in printed.stdout
    assert printed.stdout.endswith("pictures of this catalog say little to this model\n")
    found = json.loads(CliRunner().invoke(status.command, ["--json"]).stdout)
    assert found[KEY] == {"products-000001": meta(node)[KEY]}
    states[0] = replace(server, answers=None)
    assert KEY not in json.loads(CliRunner().invoke(status.command, ["--json"]).stdout)


def test_a_search_body_carries_the_weight_to_the_neural_leg_alone() -> None:
    neural = search_body("chair", mode="neural", text_to_image=0.2)["query"]["neural"]["embedding"]
    assert neural == {"_name": "dense", "k": 10, "query_text": "chair", "text_to_image": 0.2}
    lexical, dense = search_body("chair", text_to_image=0.2)["query"]["hybrid"]["queries"]
    assert dense["neural"]["embedding"]["text_to_image"] == 0.2
    assert "text_to_image" not in json.dumps(lexical)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"text": "chair", "text_to_image": 1.5}, "expected text_to_image from 0 to 1, got 1.5"),
        ({"text": "chair", "text_to_image": 0.5, "mode": "lexical"}, "got a lexical search"),
        ({"text": "", "picture": "R0lG", "text_to_image": 0.5}, "got no words"),
    ],
)
def test_a_weight_without_words_and_images_to_weigh_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        search_body(**asked)
