"""Training of towers that move, against sentence-transformers' and open_clip's own loops on the same batches.

    .venv/bin/python bench towers [--rounds 5] [--short]

Steps a second in float32, one thread of torch each. Texts: MiniLM, of which the upper two layers move, on
words of its vocabulary, queries of 3 and products of 60. Images: ViT-B-32 with random weights, of which all
move, on JPEGs; each loop decodes them in processes of its own, ahead of the step. Where the processor
multiplies bfloat16, our loop uses it: that arm is beside, with its gain.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import open_clip
import torch
from measuring.interleaved import measure
from measuring.options import Options
from open_clip_train.train import train_one_epoch
from PIL import Image
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.losses import MultipleNegativesSymmetricRankingLoss
from sentence_transformers.sentence_transformer.readers import InputExample

from mmsearch.models import architecture as architectures
from mmsearch.models.architecture import Architecture
from mmsearch.models.fusion import registry
from mmsearch.models.named import named
from mmsearch.models.weights import folder
from mmsearch.training.loop import Run
from mmsearch.training.objective import Training
from mmsearch.training.pairs import Pair, ProductInput, features
from mmsearch.training.recipes.joint import joint
from mmsearch.training.towers import autocast
from mmsearch.training.towers.pick import moving_tower

STEPS, TEXTS, IMAGES = 3, 64, 8
"""steps of a measurement, and pairs of a batch"""
CLIP = "ViT-B-32"
PASSES = 40
Speed = Callable[[], float]


def timed(steps: Callable[[], object]) -> float:
    started = time.perf_counter()
    steps()
    return STEPS / (time.perf_counter() - started)


@contextlib.contextmanager
def float32() -> Iterator[None]:
    with mock.patch.object(autocast, "multiplies_bfloat16", return_value=False):
        yield


def our_run(architecture: Architecture, batch: int, products: list[ProductInput], pairs: list[Pair]) -> Run:
    towers = {name: moving_tower(tower) for name, tower in architecture.towers.items() if tower.moving}
    data = features(architecture, products, pairs, lambda line: None, moving=towers)
    numbers = Training.of(architecture.data["training"] | {"batch": batch, "holdout": 0.0, "steps": 10_000})
    return Run(registry.build(architecture), data, numbers, torch.device("cpu"))


def drawn_texts(count: int) -> tuple[list[ProductInput], list[Pair]]:
    """Products of 60 words and queries of 3, of MiniLM's vocabulary."""
    file = folder("all-minilm-l6-v2") / "model" / "tokenizer.json"
    words = [word for word in json.loads(file.read_text())["model"]["vocab"] if word.isalpha()]
    generator = random.Random(0)
    products, pairs = [], []
    for number in range(count):
        text = " ".join(generator.choices(words, k=60))
        products.append(ProductInput(str(number), text, None, str(number)))
        pairs.append(Pair(" ".join(generator.choices(words, k=3)), str(number), 1.0))
    return products, pairs


def text_arms() -> tuple[Speed, Speed, Speed]:
    """Our loop in float32, sentence-transformers', and our loop as it runs."""
    products, pairs = drawn_texts(TEXTS * PASSES)
    run = our_run(joint(architectures.load("bibert")), TEXTS, products, pairs)
    model = SentenceTransformer(str(folder("all-minilm-l6-v2") / "model"), device="cpu")
    model.max_seq_length = run.numbers.tokens
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("encoder.layer.4" in name or "encoder.layer.5" in name)
    loss = MultipleNegativesSymmetricRankingLoss(model)
    examples = [
        InputExample(texts=[pair.query, product.text]) for pair, product in zip(pairs, products, strict=True)
    ]
    batches: Any = torch.utils.data.DataLoader(examples, batch_size=TEXTS, shuffle=True)  # type: ignore[arg-type]

    def theirs() -> None:
        model.old_fit(
            [(batches, loss)], steps_per_epoch=STEPS, warmup_steps=0, show_progress_bar=False,
            optimizer_params={"lr": run.numbers.tower_rate},
        )  # fmt: skip

    return in_float32(run), lambda: timed(theirs), lambda: timed(lambda: advanced(run))


def advanced(run: Run) -> None:
    for _ in range(STEPS):
        run.advance()


def in_float32(run: Run) -> Speed:
    def once() -> float:
        with float32():
            return timed(lambda: advanced(run))

    return once


def drawn_images(at: Path, count: int) -> tuple[list[ProductInput], list[Pair]]:
    """JPEGs of 400 x 300 pixels of smooth noise, and a query for each."""
    generator = np.random.default_rng(0)
    products, pairs = [], []
    for number in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize((400, 300), Image.Resampling.BICUBIC).save(at / f"{number}.jpg")
        products.append(ProductInput(str(number), "", at / f"{number}.jpg", str(number)))
        pairs.append(Pair(f"a picture called {number}", str(number), 1.0))
    return products, pairs


class Pictures(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Images and token ids, as open_clip's own loop reads them."""

    def __init__(self, products: list[ProductInput], pairs: list[Pair], prepare: Any) -> None:
        self.files = [Path(str(product.picture)) for product in products]
        self.texts = open_clip.get_tokenizer(CLIP)([pair.query for pair in pairs])
        self.prepare = prepare

    def __len__(self) -> int:
        return IMAGES * STEPS

    def __getitem__(self, at: int) -> tuple[torch.Tensor, torch.Tensor]:
        with Image.open(self.files[at]) as image:
            return self.prepare(image), self.texts[at]


def image_arms(at: Path) -> tuple[Speed, Speed, Speed]:
    """Our loop in float32, open_clip's, and our loop as it runs."""
    products, pairs = drawn_images(at, IMAGES * PASSES)
    torch.manual_seed(0)
    model, prepare, _ = open_clip.create_model_and_transforms(CLIP, pretrained=None, pretrained_text=False)
    weights = at / "clip.safetensors"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, weights)
    run = our_run(joint(named(CLIP, str(weights)), "all"), IMAGES, products, pairs)
    model.output_dict = True
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    loader: Any = torch.utils.data.DataLoader(
        Pictures(products, pairs, prepare), batch_size=IMAGES, shuffle=True, num_workers=1
    )
    loader.num_batches, loader.num_samples = STEPS, STEPS * IMAGES
    given = argparse.Namespace(dataloader=loader, set_epoch=lambda epoch: None)
    asked = argparse.Namespace(
        device="cpu", precision="fp32", distill=False, accum_freq=1, skip_scheduler=True, horovod=False,
        grad_clip_norm=None, rank=0, local_rank=0, log_local=False, distributed=False, world_size=1,
        batch_size=IMAGES, log_every_n_steps=1000, wandb=False,
    )  # fmt: skip
    loss = open_clip.ClipLoss()

    def theirs() -> None:
        train_one_epoch(model, {"train": given}, loss, 0, optimizer, None, None, None, asked)

    return in_float32(run), lambda: timed(theirs), lambda: timed(lambda: advanced(run))


def measured(name: str, arms: tuple[Speed, Speed, Speed], peer: str, rounds: int) -> bool:
    ours, theirs, as_run = arms
    table = measure(
        name,
        {"our loop, float32": ours, f"{peer}, float32": theirs, "our loop": as_run},
        rounds=rounds,
        unit="steps a second",
    )
    table.target("our loop, float32", f"{peer}, float32", at_least=0.95)
    table.target("our loop", f"{peer}, float32")
    return table.finish()


def main() -> int:
    chosen = Options(__doc__, rounds=(5, 1)).parse()
    torch.set_num_threads(1)
    good = measured("towers-text", text_arms(), "sentence-transformers' loop", chosen.rounds)
    with tempfile.TemporaryDirectory() as at:
        good &= measured("towers-images", image_arms(Path(at)), "open_clip's loop", chosen.rounds)
    return 0 if good else 1
