"""Pairs and catalogs as files, hard negatives, groups and folds, and features that are computed once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sample_data.groups import groups
from sample_data.openclipart import folds
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from mmsearch.cli.main import cli
from mmsearch.errors import TrainingError
from mmsearch.models.architecture import load
from mmsearch.models.export.export_cache import Exported
from mmsearch.training.bm25 import Bm25
from mmsearch.training.features import FeatureCache, picture_features, text_features
from mmsearch.training.pairs import Pair, ProductInput, features, read_pairs, read_products
from mmsearch.training.synthetic import synthetic_pairs
from mmsearch.training.words import stems

from ..fakes.ingesting import picture


def lines(file: Path, *records: object) -> Path:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def test_pairs_and_products_are_read(tmp_path: Path) -> None:
    pairs = lines(
        tmp_path / "pairs.jsonl",
        {"query": "chair", "product_id": "a", "count": 3},
        {"query": "lamp", "product_id": "b", "negatives": ["a"]},
    )
    assert read_pairs(pairs) == [Pair("chair", "a", 3.0), Pair("lamp", "b", 1.0, ("a",))]
    catalog = lines(
        tmp_path / "catalog.jsonl",
        {"id": "a", "title": "Chair", "description": "of oak", "image": "a.png"},
        {"id": "b", "title": "Lamp", "group": "light"},
    )
    first, second = read_products(catalog, say=print)
    assert (first.text, first.picture, first.group) == ("Chair\nof oak", tmp_path / "a.png", "a")
    assert (second.text, second.picture, second.group) == ("Lamp", None, "light")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"product_id": "a"}, "expected a query and a product_id in line 1"),
        ({"query": "a", "product_id": "b", "count": 0}, "expected a count above 0 in line 1"),
        ({"query": "a", "product_id": "b", "negatives": "c"}, "expected negatives as a list"),
        ([1], "expected pairs in .*: expected a list of objects in"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, record: object, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        read_pairs(lines(tmp_path / "pairs.jsonl", record))


def test_bm25_by_hand() -> None:
    index = Bm25(["red chair", "blue chair", "lamp"])
    scores = index.scores("red chairs")
    assert scores[0] > scores[1] > scores[2] == 0
    idf, mean = np.log(1 + (3 - 1 + 0.5) / 1.5), 5 / 3
    norm = 1.2 * (0.25 + 0.75 * 2 / mean)
    assert scores[0] - scores[1] == pytest.approx(idf * 2.2 / (1 + norm))
    assert index.scores("red red chairs sofa").tolist() == scores.tolist()
    for query in ("sofa", "?!", ""):
        assert index.scores(query).tolist() == [0, 0, 0]


def test_bm25_of_pictures_alone_finds_nothing() -> None:
    assert Bm25(["", "?"]).scores("chair").tolist() == [0, 0]


def test_mining_without_its_extra_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("mmsearch.training.mining", "mmsearch.training.bm25"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "bm25s", None)
    file = lines(tmp_path / "pairs.jsonl", {"query": "chair", "product_id": "a"})
    arguments = ["pairs", str(file), "--catalog", str(file), "--out", str(tmp_path / "hard.jsonl")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert result.stderr == (
        "mmsearch: expected the package bm25s for `mmsearch pairs`, got none; "
        "repair: pip install 'mmsearch[train]'\n"
    )


def test_hard_negatives_are_found_by_words_and_are_never_right(tmp_path: Path) -> None:
    pairs = lines(
        tmp_path / "pairs.jsonl",
        {"query": "oak chair", "product_id": "a"},
        {"query": "oak chair", "product_id": "b"},
        {"query": "sofa", "product_id": "d"},
    )
    catalog = lines(
        tmp_path / "catalog.jsonl",
        {"id": "a", "title": "oak chair"},
        {"id": "b", "title": "chair of oak"},
        {"id": "c", "title": "oak table"},
        {"id": "d", "title": "couch"},
    )
    out = tmp_path / "hard.jsonl"
    result = CliRunner().invoke(cli, ["pairs", str(pairs), "--catalog", str(catalog), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "1 queries have no hard negative" in result.output
    assert [pair.negatives for pair in read_pairs(out)] == [("c",), ("c",), ()]


def test_stems_are_greedy() -> None:
    assert stems("Flying birds, 2 buses") == stems("fly bird bus")
    assert not stems("chair") & stems("stool")


def test_groups_join_siblings_series_and_near_pictures() -> None:
    generator = np.random.default_rng(0)
    hashes = generator.random((9, 240)) < 0.4
    hashes[8] = hashes[0]
    hashes[8, :3] ^= True  # three bits of 240
    titles = ["red ball", "Ball, red 2", "flag of a land", "flag of b land", "flag of c land",
              "flag of d land", "lonely", "flag of e land", "crimson sphere"]  # fmt: skip
    folders = ["x", "y", "f", "f", "f", "f", "f", "elsewhere", "z"]
    found = groups(titles, folders, hashes)
    assert found[0] == found[1] == found[8]
    assert len(set(found[2:6].tolist())) == 1
    assert len(set(found.tolist())) == 4
    for side in (folds(found, seed) for seed in range(5)):
        for group in set(found.tolist()):
            assert len(set(side[found == group].tolist())) == 1


def test_features_are_computed_once_for_each_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path))
    tower = Exported(
        replace(load("4tmm_cat").towers["minilm"], dimension=2), tmp_path / "models" / "minilm-1"
    )
    asked: list[bytes] = []

    def compute(values: list[bytes]) -> np.ndarray:
        asked.extend(values)
        return np.array([[len(value), value[0]] for value in values], np.float32)

    first = FeatureCache(tower).rows([b"aa", b"b", b"aa"], compute)
    np.testing.assert_array_equal(first, [[2, 97], [1, 98], [2, 97]])
    np.testing.assert_array_equal(FeatureCache(tower).rows([b"b", b"ccc"], compute), [[1, 98], [3, 99]])
    assert asked == [b"b", b"aa", b"ccc"]


def test_features_of_an_interrupted_run_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path))
    monkeypatch.setattr("mmsearch.training.features.BLOCK", 2)
    tower = Exported(
        replace(load("4tmm_cat").towers["minilm"], dimension=1), tmp_path / "models" / "minilm-1"
    )
    asked: list[bytes] = []

    def compute(values: list[bytes]) -> np.ndarray:
        if b"dddd" in values:
            raise KeyboardInterrupt
        asked.extend(values)
        return np.array([[len(value)] for value in values], np.float32)

    inputs = [b"a", b"bb", b"ccc", b"dddd"]
    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tower).rows(inputs, compute)
    for ending in ("keys", "f32"):  # cut off within a write
        with (tmp_path / "features" / f"minilm-1-nfkc.{ending}").open("ab") as file:
            file.write(b"abc")
    assert FeatureCache(tower).rows(inputs[:3], compute).ravel().tolist() == [1, 2, 3]
    assert FeatureCache(tower).rows([b"a", b"eeeee", b"ccc"], compute).ravel().tolist() == [1, 5, 3]
    assert asked == [b"a", b"bb", b"ccc", b"eeeee"]
    assert FeatureCache(tower).get([None]).tolist() == [[0]]


def test_pictures_are_held_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path))
    monkeypatch.setattr("mmsearch.training.features.BLOCK_OF_PICTURES", 3)
    monkeypatch.setattr("mmsearch.training.features.MAPPED", 20)  # the result is mapped from a file
    given = replace(load("4tmm_cat").towers["lite0"], dimension=3)
    tower = Exported(given, tmp_path / "models" / "lite0-1")
    computed, taken = [0], [0]

    class Mean:
        def run(self, outputs: object, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            assert taken[0] - computed[0] <= 3 + 1  # one of them is broken
            computed[0] += len(feeds["PIXELS"])
            return [feeds["PIXELS"].mean((1, 2)).astype(np.float32)]

    def pictures() -> Iterator[bytes]:
        for number in range(8):
            taken[0] += 1
            yield picture((10 * number + 10, 0, 0)) if number != 5 else b"broken"

    monkeypatch.setattr("mmsearch.training.features._session", lambda file: Mean())
    broken: list[int] = []
    rows = picture_features(tower, pictures(), lambda number, why: broken.append(number))
    assert broken == [5]
    assert rows[:, 0].argsort().tolist() == [5, 0, 1, 2, 3, 4, 6, 7]
    assert computed[0] == 7
    again = picture_features(tower, pictures(), lambda number, why: None)
    np.testing.assert_array_equal(rows, again)
    assert computed[0] == 7


def test_a_text_without_a_known_word_is_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a text in another width the features are the same, and are computed once."""
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path))
    tower = Exported(load("4tmm_cat").towers["minilm"], tmp_path / "models" / "minilm-1")
    tower.folder.mkdir(parents=True)
    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "chair": 2}, unk_token="[UNK]"))
    tokenizer.save(str(tower.tokenizer))

    class Ones:
        def run(self, outputs: object, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [np.ones((len(feeds["INPUT_IDS"]), 384), np.float32)]

    monkeypatch.setattr("mmsearch.training.features._session", lambda file: Ones())
    rows = text_features(tower, ["chair", "🪑", " ", "ｃｈａｉｒ"])
    assert rows.any(1).tolist() == [True, False, False, True]
    assert text_features(tower, ["🪑"]).any(1).tolist() == [False]
    assert (tmp_path / "features" / "minilm-1-nfkc.keys").stat().st_size == 2 * 32


def test_queries_without_a_known_word_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def features_of(
        architecture: object, slot: str, texts: list[str], width: int, *rest: object
    ) -> torch.Tensor:
        return torch.tensor([[float(text != "ソファ")] * width for text in texts])

    monkeypatch.setattr("mmsearch.training.pairs._texts", features_of)
    monkeypatch.setattr("mmsearch.training.pairs._pictures", lambda *given: torch.zeros(2, 4))
    products = [ProductInput("a", "chair", None, "a"), ProductInput("b", "ソファ", None, "b")]
    pairs = [Pair("ソファ", "b", 1.0), Pair("seat", "a", 1.0)]
    said: list[str] = []
    found = features(load("4tmm_cat"), products, pairs, said.append)
    assert found.pairs.tolist() == [[0, 0]]
    assert said == [
        "1 of 2 queries are left out, of which the towers know no word",
        "1 of 2 products have a text without a word known to the tower, which is ignored",
    ]
    with pytest.raises(TrainingError, match="expected queries with words that the text tower knows"):
        features(load("4tmm_cat"), products, pairs[:1], said.append)


def test_synthetic_pairs_come_from_attributes() -> None:
    records = [
        {"id": "a", "title": "one", "colour": "Red", "tags": ["box"]},
        {"id": "b", "title": "two", "colour": "red", "price": 3.5},
    ]
    found = {(pair.query, pair.product, pair.count) for pair in synthetic_pairs(records, 100)}
    assert found == {
        ("red", "a", 5.0), ("red", "b", 4.0), ("box", "a", 5.0), ("red box", "a", 5.0), ("box red", "a", 5.0),
    }  # fmt: skip
    assert synthetic_pairs(records, 3, seed=1) == synthetic_pairs(records, 3, seed=1)
    assert len(synthetic_pairs(records, 3)) == 3


def test_the_command_reads_a_catalog_as_ingest_does(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(
        "id,name,category,colour\n1,Oak chair,Seats,Brown\n2,Lamp,,brown\n,x,y,z\n"
    )
    done = CliRunner().invoke(
        cli,
        [
            "synthetic-pairs",
            str(tmp_path / "c.csv"),
            "--map",
            "title=name",
            "--out",
            str(tmp_path / "p.jsonl"),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "1 lines of" in done.stderr
    assert {(pair.query, pair.product, pair.count) for pair in read_pairs(tmp_path / "p.jsonl")} == {
        ("brown", "1", 5.0), ("brown", "2", 4.0), ("seats", "1", 5.0),
        ("brown seats", "1", 5.0), ("seats brown", "1", 5.0),
    }  # fmt: skip
    assert done.stdout == f"5 synthetic pairs written to {tmp_path / 'p.jsonl'}\n"


def test_a_catalog_without_attributes_gives_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"id": "1", "title": "Oak chair"}\n')
    done = CliRunner().invoke(
        cli, ["synthetic-pairs", str(tmp_path / "c.jsonl"), "--out", str(tmp_path / "p")]
    )
    assert done.exit_code == 1
    assert done.output.startswith("mmsearch: expected products with a category")


def test_loss_d11_bm25_reads_the_numbers_in_names() -> None:
    for texts, query, best in (
        (["iphone 14 case", "iphone 15 case"], "iphone 15", 1),
        (["rtx 3060", "rtx 4090", "rtx 4070"], "RTX 4090", 1),
        (["20 l", "5 l", "bin"], "20", 0),
    ):
        scores = Bm25(texts).scores(query)
        assert int(np.argmax(scores)) == best
        assert sorted(scores)[-1] > sorted(scores)[-2]
