"""The Shopping Queries Dataset and SQID as they are published.

Columns of examples, products and sources: README.md of github.com/amazon-science/esci-data, "Usage". Labels
as words and `query_locale`, of the CSV files of the KDD Cup 2022: ranking/train.py there. SQID: README.md and
sqid/supp_product_image_urls.csv of github.com/Crossing-Minds/shopping-queries-image-dataset.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mmsearch.cli.main import cli
from mmsearch.errors import MmsearchError, TrainingError
from mmsearch.evaluation.exchange.judged_file import read_judgments

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog

COLUMNS = [
    *("example_id", "query", "query_id", "product_id", "product_locale"),
    *("esci_label", "small_version", "large_version", "split"),
]
ROWS: list[list[Any]] = [
    [0, " revent 80 cfm", 0, "B000MOO21W", "us", "I", 0, 1, "train"],
    [1, " revent 80 cfm", 0, "B07X3Y6B1V", "us", "E", 0, 1, "train"],
    [2, " revent 80 cfm", 0, "0060538260", "us", "S", 0, 1, "train"],
    [16, "!awnmower tires", 1, "B075SCHMPY", "us", "E", 1, 1, "test"],
    [17, "!awnmower tires", 1, "B08L3B9B9P", "us", "C", 1, 1, "test"],
    [99, "sillas", 2, "B075SCHMPY", "es", "E", 1, 1, "test"],
]
TEST = {"1": {"B075SCHMPY": "E", "B08L3B9B9P": "C"}, "2": {"B075SCHMPY": "E"}}


def parquet(path: Path, columns: list[str], rows: list[list[Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet

    values = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
    pa.parquet.write_table(pa.table(values), path)
    return path


def csv_file(path: Path, columns: list[str], rows: list[list[Any]]) -> Path:
    lines = [",".join(map(str, row)) for row in [columns, *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


Writer = Callable[[Path, list[str], list[list[Any]]], Path]


@pytest.mark.parametrize("write", [parquet, csv_file])
def test_the_examples_are_judgments_of_the_split_test(
    tmp_path: Path, write: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "shopping_queries_dataset_examples.parquet", COLUMNS, ROWS)
    found = read_judgments(path)
    assert found.labels == TEST
    assert found.queries["1"].text == "!awnmower tires"
    assert found.queries["2"].attributes == {"product_locale": "es"}
    assert f"3 of 6 rows of {path} are left out: only split=test is read" in caplog.messages
    assert read_judgments(path, only={"product_locale": "us"}).labels == {"1": TEST["1"]}
    assert list(read_judgments(path, only={"split": "train"}).queries) == ["0"]
    assert list(read_judgments(path, only={"small_version": "1", "product_locale": "es"}).queries) == ["2"]
    with pytest.raises(
        MmsearchError, match=r"expected rows with locale=us, split=test in .* got none of 6; .* split"
    ):
        read_judgments(path, only={"locale": "us"})


@pytest.mark.parametrize("write", [parquet, csv_file])
def test_the_examples_are_pairs_of_the_split_train(tmp_path: Path, write: Writer) -> None:
    from mmsearch.training.pairs import Pair, read_pairs

    path = write(tmp_path / "examples", COLUMNS, ROWS)
    said: list[str] = []
    assert read_pairs(path, said.append) == [Pair("revent 80 cfm", "B07X3Y6B1V", 1.0, ("B000MOO21W",))]
    assert any("only split=train is read" in each for each in said)
    found = read_pairs(path, only={"split": "test", "product_locale": "us"})
    assert found == [Pair("!awnmower tires", "B075SCHMPY", 1.0)]
    with pytest.raises(TrainingError, match="expected pairs in"):
        read_pairs(write(tmp_path / "others", COLUMNS, ROWS[2:3]))


def test_the_files_of_the_kdd_cup(tmp_path: Path) -> None:
    from mmsearch.training.pairs import read_pairs

    columns = ["query_id", "query", "query_locale", "product_id", "esci_label"]
    rows = [[7, "oak chair", "us", "B1", "exact"], [7, "oak chair", "us", "B2", "irrelevant"]]
    path = csv_file(tmp_path / "train-v0.2.csv", columns, rows)
    found = read_judgments(path)
    assert found.labels == {"7": {"B1": "E", "B2": "I"}}
    assert found.queries["7"].attributes == {"query_locale": "us"}
    assert [(pair.product, pair.negatives) for pair in read_pairs(path)] == [("B1", ("B2",))]
    bad = csv_file(tmp_path / "bad.csv", columns, [[7, "oak chair", "us", "B1", "perfect"]])
    with pytest.raises(
        MmsearchError, match=r"bad.csv, line 2: expected an esci_label out of E, S, C, I, got 'perfect'"
    ):
        read_judgments(bad)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["product_id", "image_url"], "image URLs of products; ingest them with --partial"),
        (["product_id", "clip_text_features", "clip_image_features"], "features of another model"),
        (["query_id", "clip_text_features"], "features of another model"),
        (["query_id", "source"], "sources of queries"),
        (["product_id", "product_title", "product_locale"], "products; ingest them"),
    ],
)
def test_the_other_files_say_what_they_are(tmp_path: Path, columns: list[str], told: str) -> None:
    from mmsearch.training.pairs import read_pairs

    path = parquet(tmp_path / "x", columns, [["a"] * len(columns)])
    with pytest.raises(MmsearchError, match=told):
        read_judgments(path)
    with pytest.raises(MmsearchError, match=told):
        read_pairs(path)


def test_judgments_and_pairs_in_any_table(tmp_path: Path) -> None:
    from mmsearch.training.pairs import read_pairs

    path = csv_file(
        tmp_path / "j.csv", ["query", "product_id", "purchases", "grade"], [["oak", " 7 ", 2, 1.5]]
    )
    found = read_judgments(path)
    assert (found.purchases, found.grades) == ({"oak": {"7": 2}}, {"oak": {"7": 1.5}})
    path = csv_file(tmp_path / "p.csv", ["query", "product_id", "count"], [["oak", 7, 3]])
    assert [(pair.product, pair.count) for pair in read_pairs(path)] == [("7", 3.0)]
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"query": "oak", "product_id": 7}], indent=1), encoding="utf-16")
    assert [pair.product for pair in read_pairs(path)] == ["7"]


def test_convert_selects_and_says_so(tmp_path: Path) -> None:
    source = parquet(tmp_path / "examples.parquet", COLUMNS, ROWS)
    target = tmp_path / "us.jsonl"
    done = CliRunner().invoke(
        cli, ["judgments", "convert", str(source), str(target), "--only", "product_locale=us"]
    )
    assert done.exit_code == 0, done.output
    assert "4 of 6 rows" in done.output
    assert [json.loads(line)["product_id"] for line in target.read_text().splitlines()] == [
        "B075SCHMPY",
        "B08L3B9B9P",
    ]
    wrong = CliRunner().invoke(cli, ["judgments", "convert", str(source), str(target), "--only", "us"])
    assert wrong.exit_code == 2
    assert "expected COLUMN=VALUE" in wrong.output


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton() as triton, FakeOpenSearch() as node:
        yield Catalog(tmp_path, triton, node)


def test_the_products_and_their_images_are_ingested(catalog: Catalog) -> None:
    columns = ["product_id", "product_title", "product_description", "product_bullet_point"]
    columns += ["product_brand", "product_color"]
    rows = [["B1", "Oak chair", None, "Solid", "Hay", "brown"], ["B2", "Lamp", None, None, None, None]]
    products = parquet(
        catalog.folder / "products.parquet", [*columns, "product_locale"], [[*r, "us"] for r in rows]
    )
    names = {"id": "product_id", "title": "product_title", "brand": "product_brand"}
    assert catalog.ingest(catalog=str(products), renames=names).indexed == 2
    images = csv_file(
        catalog.folder / "urls.csv", ["product_id", "image_url"], [["B1", "missing.png"], ["B2", ""]]
    )
    report = catalog.ingest(
        catalog=str(images), renames={"id": "product_id", "image": "image_url"}, partial=True, text_only=True
    )
    assert sorted(entry["reason"] for entry in catalog.rejected()) == ["nothing_to_change"]
    assert report.indexed == 1
