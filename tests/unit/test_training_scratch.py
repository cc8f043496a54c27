"""A text encoder from nothing: its vocabulary is the shop's, and other libraries read what is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mmsearch.cli.main import cli
from mmsearch.errors import TrainingError
from mmsearch.models.architecture import load
from mmsearch.models.towers import encoders
from mmsearch.serving.tokens import Tokens
from mmsearch.training.scratch import new_encoder, vocabulary

TEXTS = [
    f"{colour} {thing}" for colour in ("red", "blue", "Eichen") for thing in ("Sofa", "stühle", "lamp")
] * 4


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_encoder.write(vocabulary.trained(TEXTS, 200), tmp_path_factory.mktemp("new") / "bibert")


def test_the_vocabulary_is_of_the_texts_and_the_same_again() -> None:
    tokenizer = vocabulary.trained(TEXTS, 200)
    pieces = tokenizer.encode("RED stuhle, blau").tokens
    assert pieces[:3] == ["[CLS]", "red", "stuhle"]
    # The comma is in no text; "blau" is spelled by the pieces of "blue" and "lamp".
    assert pieces[3] == "[UNK]"
    assert "".join(piece.removeprefix("##") for piece in pieces[4:-1]) == "blau"
    assert tokenizer.token_to_id("[PAD]") == 0
    assert vocabulary.trained(TEXTS, 200).to_str() == tokenizer.to_str()


def test_the_vocabulary_keeps_to_its_size() -> None:
    texts = [f"word{number}" for number in range(500)] * 2
    assert vocabulary.trained(texts, 60).get_vocab_size() == 60


def test_texts_without_a_word_are_refused() -> None:
    with pytest.raises(TrainingError, match="expected texts with words to make a vocabulary of, got none"):
        vocabulary.trained(["", " "])


def test_what_is_written_is_a_tower_that_learns_whole(written: Path) -> None:
    architecture = load(written)
    tower = architecture.towers["text"]
    assert (tower.moving.how, tower.dimension) == ("all", 256)
    config = json.loads((written.parent / "encoder" / "config.json").read_text())
    assert (config["num_hidden_layers"], config["num_attention_heads"]) == (2, 4)
    built = encoders.build(architecture, tower)
    ids, mask = Tokens(encoders.tokenizer_file(tower), 128)(["red sofa", "lamp"])
    with torch.inference_mode():
        vectors = built(torch.from_numpy(ids), torch.from_numpy(mask))
    assert vectors.shape == (2, 256)


def test_the_same_texts_and_seed_give_the_same_weights(written: Path, tmp_path: Path) -> None:
    again = new_encoder.write(vocabulary.trained(TEXTS, 200), tmp_path / "again")
    other = new_encoder.write(vocabulary.trained(TEXTS, 200), tmp_path / "other", seed=1)
    weights = [
        (each.parent / "encoder" / "model.safetensors").read_bytes() for each in (written, again, other)
    ]
    assert weights[0] == weights[1] != weights[2]


def test_sentence_transformers_reads_it_with_the_same_vectors(written: Path) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(written.parent / "encoder"), device="cpu")
    architecture = load(written)
    tower = architecture.towers["text"]
    texts = ["red sofa", "A blue lamp and Stühle"]
    ids, mask = Tokens(encoders.tokenizer_file(tower), 128)(texts)
    with torch.inference_mode():
        ours = encoders.build(architecture, tower)(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    np.testing.assert_allclose(ours, theirs.encode(texts), atol=1e-5)


def test_the_command_reads_catalog_and_queries(tmp_path: Path) -> None:
    catalog, pairs = tmp_path / "catalog.jsonl", tmp_path / "pairs.jsonl"
    rows = [{"id": str(number), "title": text} for number, text in enumerate(TEXTS)]
    catalog.write_text("\n".join(map(json.dumps, rows)))
    found = [{"query": "crimson settee", "product_id": str(number)} for number in range(4)]
    pairs.write_text("\n".join(map(json.dumps, found)))
    command = ["models", "new", str(tmp_path / "bibert"), "--catalog", str(catalog), "--pairs", str(pairs)]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    assert "36 products and 1 queries" in done.output
    assert f"mmsearch train {tmp_path / 'bibert' / 'architecture.json'}" in done.output
    tokens = encoders.tokenizer_file(load(tmp_path / "bibert" / "architecture.json").towers["text"])
    words = json.loads(tokens.read_text())["model"]["vocab"]
    assert {"crimson", "settee", "lamp"} <= set(words)
    again = CliRunner().invoke(cli, command)
    assert again.exit_code == 1
    assert "expected a new or empty folder" in again.output
