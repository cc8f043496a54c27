"""A small CLIP fine-tuned on 48 pictures by the command line, deployed, and served by the real Triton."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from mmsearch.cli.main import cli
from mmsearch.stack import embedded
from mmsearch.stack.state import Home

from ..fakes import small_clip
from ..fakes.encoded import embeddings

COUNT = 48
WORDS = ("red", "blue", "oak", "old", "chair", "table", "lamp", "sofa")
TRAINING = {
    "steps": 100, "batch": 48, "tower_rate": 3e-3, "tower_decay": 0.0, "warmup": 5, "holdout": 0.0,
    "single": 0.0, "modality_dropout": 0.0, "evaluate_every": 100,
}  # fmt: skip


def shop(folder: Path) -> list[str]:
    """A catalog with pictures of coarse patches, a pair for each, and their queries in its order."""
    generator = np.random.default_rng(0)
    lines, pairs, queries = [], [], []
    for number in range(COUNT):
        patches = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((64, 64), Image.Resampling.NEAREST).save(folder / f"{number}.png")
        queries.append(f"{WORDS[number % 8]} {WORDS[number // 8]} {number}")
        lines.append(json.dumps({"id": str(number), "title": "a pattern", "image": f"{number}.png"}))
        pairs.append(json.dumps({"query": queries[-1], "product_id": str(number)}))
    (folder / "catalog.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "pairs.jsonl").write_text("\n".join(pairs) + "\n")
    return queries


def run(*arguments: str | Path) -> str:
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.integration
def test_it_learns_its_pictures_and_is_served_as_open_clip_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = shop(tmp_path)
    data = small_clip.alone(tmp_path)
    for tower in data["towers"].values():
        tower["train"] = "all"
    (tmp_path / "own.json").write_text(json.dumps(data | {"training": TRAINING}))
    # Exports of random weights are of no use to others.
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    # Other runtimes may compute in bf16, which is less exact.
    for role in ("QUERY", "ITEM", "PICTURE"):
        monkeypatch.setenv(f"MMSEARCH_{role}_RUNTIME", "onnxruntime")
    home, trained = Home.at(tmp_path / "home"), tmp_path / "trained"
    files = ("--pairs", tmp_path / "pairs.jsonl", "--catalog", tmp_path / "catalog.jsonl")
    run("train", tmp_path / "own.json", *files, "--out", trained)
    deploy = ("--repository", home.models, "--precision", "fp32", "--no-load", "--anyway")
    run("models", "deploy", trained, *deploy)
    images = [(tmp_path / f"{number}.png").read_bytes() for number in range(COUNT)]
    with embedded.borrowed(home, ("triton",), ready_within=300) as ports:
        address = f"127.0.0.1:{ports.triton_grpc}"
        words = embeddings(address, "query_encoder", queries, [b""] * COUNT)
        seen = embeddings(address, "item_encoder", [""] * COUNT, images)
    hits = int(((words @ seen.T).argmax(1) == np.arange(COUNT)).sum())
    assert hits >= 0.9 * COUNT
    theirs = f"local-dir:{trained / 'towers' / 'words'}"
    model, _, preprocess = open_clip.create_model_and_transforms(theirs, pretrained_text=False)
    with torch.inference_mode():
        said = model.eval().encode_text(open_clip.get_tokenizer(theirs)(queries), normalize=True)
    assert (said.numpy() * words).sum(1).min() >= 0.9999
    with torch.inference_mode():
        pixels = torch.stack(
            [preprocess(Image.open(tmp_path / f"{number}.png").convert("RGB")) for number in range(COUNT)]
        )
        shown = model.encode_image(pixels, normalize=True).numpy()
    # Scaled images of patches differ a little by the scaler.
    assert ((words @ shown.T).argmax(1) == np.arange(COUNT)).sum() >= 0.85 * COUNT
