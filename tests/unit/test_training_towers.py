"""Text towers that move: which weights change, exact resumption, slices, interpolation, and what is left."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import mmsearch
from mmsearch.errors import ArchitectureError, TrainingError
from mmsearch.models import architecture as architectures
from mmsearch.models.architecture import Architecture
from mmsearch.models.export.export_cache import weights_hashes
from mmsearch.models.fusion import registry
from mmsearch.training.loop import Run, Trained, train
from mmsearch.training.objective import Features, Training
from mmsearch.training.output import served_data, write
from mmsearch.training.pairs import Pair, ProductInput, features
from mmsearch.training.towers.moving_bert import MovingBert
from mmsearch.training.towers.pick import moving_tower
from mmsearch.training.towers.token_store import TokenStore

from ..fakes import small_bert
from ..fakes.small_training import CPU, interrupted

LAST = {"last": 1}
LORA = {"lora": {"rank": 2, "alpha": 4}}
THINGS = {"chair": "seat", "table": "desk", "lamp": "light", "sofa": "couch"}
KINDS = {"red": "crimson", "blue": "azure", "oak": "wood", "old": "antique"}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bert.encoder(tmp_path_factory.mktemp("encoder") / "minilm")


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn features instead of a picture tower's, which is too large for a unit test."""

    def drawn(architecture: Architecture, products: list[ProductInput], say: Any) -> torch.Tensor:
        tower = architecture.tower("clip_image")
        generator = torch.Generator().manual_seed(1)
        if tower is None:
            return torch.zeros(len(products), architecture.fusion.image_dimension)
        return torch.randn(len(products), tower.dimension, generator=generator)

    monkeypatch.setattr("mmsearch.training.pairs._pictures", drawn)


def shop() -> tuple[list[ProductInput], list[Pair]]:
    """Sixteen products, and pairs that ask for each of them by synonyms."""
    products, pairs = [], []
    for kind, meant in KINDS.items():
        for thing, called in THINGS.items():
            name = f"{kind}-{thing}"
            products.append(ProductInput(name, f"{kind} {thing}", None, name))
            pairs += [Pair(f"{meant} {called}", name, 1.0), Pair(f"{called} {meant}", name, 2.0)]
    return products, pairs


def joined(architecture: Architecture) -> Features:
    numbers = Training.of(architecture.data["training"])
    towers = {
        name: moving_tower(tower, numbers.seed) for name, tower in architecture.towers.items() if tower.moving
    }
    products, pairs = shop()
    return features(architecture, products, pairs, lambda line: None, moving=towers, cut=numbers.tokens)


def trained(architecture: Architecture, folder: Path | None = None, **numbers: Any) -> Trained:
    torch.manual_seed(0)
    fusion = registry.build(architecture)
    found = Training.of(architecture.data["training"] | numbers)
    return train(fusion, joined(architecture), found, device=CPU, folder=folder)


def run_of(architecture: Architecture, **numbers: Any) -> Run:
    torch.manual_seed(0)
    found = Training.of(architecture.data["training"] | numbers)
    return Run(registry.build(architecture), joined(architecture), found, CPU)


def changed(encoder: Path, moved: MovingBert) -> set[str]:
    before = load_file(encoder / "model.safetensors")
    after = moved.module.encoder.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("train", [LAST, "all", LORA])
def test_only_the_named_weights_move(encoder: Path, train: Any) -> None:
    result = trained(small_bert.architecture("bibert", encoder, train), holdout=0.0)
    assert result.moving is not None
    names = changed(encoder, result.moving.towers["minilm"])
    if train == LAST:
        assert names
        assert all(name.startswith("encoder.layer.2.") for name in names)
    elif train == "all":
        assert {name.split(".")[0] for name in names} == {"embeddings", "encoder"}
    else:
        assert len(names) == 6 * small_bert.LAYERS  # query, key, value and three dense layers in each
        assert all(name.endswith(".weight") for name in names)


@pytest.mark.parametrize("name", ["bibert", "bibert_mlp", "3tmm_mlp", "3tmm_gated", "4tmm_mlp", "4tmm_gated"])
def test_the_loss_falls_together_with_a_fusion(encoder: Path, name: str) -> None:
    run = run_of(small_bert.architecture(name, encoder, LAST), modality_dropout=0.0)
    losses = [run.advance() for _ in range(12)]
    assert sum(losses[-3:]) < 0.95 * sum(losses[:3])


@pytest.mark.parametrize("name", ["bibert", "4tmm_gated"])
@pytest.mark.parametrize("train", [LAST, LORA])
def test_an_interrupted_training_continues_bit_for_bit(
    encoder: Path, tmp_path: Path, name: str, train: Any
) -> None:
    architecture = small_bert.architecture(
        name, encoder, train, warmup=2, schedule="cosine", passes=3.0, threads=1
    )
    whole = trained(architecture, tmp_path / "whole")
    interrupted(run_of(architecture), tmp_path / "cut")
    resumed = trained(architecture, tmp_path / "cut")
    assert (resumed.best_step, resumed.best_recall, resumed.share) == (
        whole.best_step,
        whole.best_recall,
        whole.share,
    )
    assert (tmp_path / "whole" / "checkpoint.safetensors").read_bytes() == (
        tmp_path / "cut" / "checkpoint.safetensors"
    ).read_bytes()
    assert resumed.gain == whole.gain
    assert whole.moving is not None
    assert resumed.moving is not None
    ends = [each.towers["minilm"].module.state_dict() for each in (whole.moving, resumed.moving)]
    for key, value in ends[0].items():
        assert torch.equal(value, ends[1][key]), key


def test_computing_gradients_to_measure_threads_changes_nothing(encoder: Path) -> None:
    def losses(tries: int) -> list[float]:
        run = run_of(small_bert.architecture("3tmm_gated", encoder, LAST))
        for _ in range(tries):
            run.descend()
        return [run.advance() for _ in range(3)]

    assert losses(0) == losses(3)


def test_a_training_with_other_moving_weights_is_not_continued(encoder: Path, tmp_path: Path) -> None:
    trained(small_bert.architecture("bibert", encoder, LAST), tmp_path)
    with pytest.raises(TrainingError, match="with the same numbers, got another"):
        trained(small_bert.architecture("bibert", encoder, {"last": 2}), tmp_path)


@pytest.mark.parametrize("chunk", [3, 5])
def test_slices_have_the_gradients_of_the_whole_batch(
    encoder: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # bfloat16 would round both differently.
    monkeypatch.setattr("mmsearch.training.towers.autocast.multiplies_bfloat16", lambda: False)
    architecture = small_bert.architecture("3tmm_gated", encoder, {"last": 2})
    whole, slices = run_of(architecture), run_of(architecture, chunk=chunk)
    for run in (whole, slices):
        assert run.moving is not None
        for module in [*run.fusion.modules(), *run.moving.towers["minilm"].module.modules()]:
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    assert slices.advance() == pytest.approx(whole.advance(), rel=1e-5)
    assert whole.moving is not None
    assert slices.moving is not None
    own = slices.moving.state()
    for key, parameter in whole.moving.state().items():
        torch.testing.assert_close(own[key].grad, parameter.grad, atol=1e-5, rtol=1e-3)


def test_queries_and_items_may_have_towers_of_their_own(encoder: Path) -> None:
    data = small_bert.data("bibert", encoder, LAST)
    data["towers"]["items"] = data["towers"]["minilm"] | {"train": LORA}
    data["slots"]["bibert_item"] = "items"
    run = run_of(architectures.parse(data))
    before = {name: value.detach().clone() for name, value in run.state().items()}
    run.advance()
    moved = {
        name.split(".")[1] for name, value in run.state().items() if not torch.equal(before[name], value)
    }
    assert moved == {"minilm", "items"}


@pytest.mark.parametrize("train", [LAST, LORA])
def test_interpolation_runs_from_the_frozen_to_the_trained_tower(encoder: Path, train: Any) -> None:
    tower = small_bert.architecture("bibert", encoder, train).towers["minilm"]
    moving = MovingBert(tower)
    with torch.no_grad():
        for parameter in moving.parameters().values():
            parameter.add_(0.1)
    ids, mask = torch.tensor([[2, 4, 8, 3]]), torch.ones(1, 4, dtype=torch.int64)
    with torch.no_grad():
        there = moving.module.eval()(ids, mask)
    ends = moving.ended()
    frozen = MovingBert(replace(tower)).module
    for share, expected in ((1.0, there), (0.0, frozen(ids, mask))):
        moving.interpolate(ends, share)
        torch.testing.assert_close(moving.module(ids, mask), expected.detach(), atol=1e-5, rtol=1e-4)
    moving.interpolate(ends, 0.5)
    named = dict(moving.module.encoder.named_parameters())
    for name, start in moving.frozen.items():
        torch.testing.assert_close(named[name].detach(), (start + ends[name]) / 2)


def test_every_pair_is_read_once_in_a_pass(encoder: Path) -> None:
    run = run_of(small_bert.architecture("bibert", encoder, LAST), passes=2.0, batch=5)
    count = len(run.train_rows) // 5
    for _ in range(2):
        rows = []
        for _ in range(count):
            rows += run.batch()[0].tolist()
            run.step += 1
        assert len(set(rows)) == len(rows) == 5 * count
    assert run.steps == run.numbers.steps == 8  # the upper limit


def test_the_rates_rise_and_fall() -> None:
    numbers = Training(warmup=3, schedule="cosine")
    assert [round(numbers.warmth(step, 100), 2) for step in (0, 1, 3, 50, 100)] == [0.25, 0.5, 1.0, 0.5, 0.0]
    assert Training().warmth(0, 10) == Training().warmth(9, 10) == 1.0
    assert Training(passes=2, batch=100).limit(1000) == 100
    assert Training(passes=30, batch=100).limit(1000) == 300
    with pytest.raises(TrainingError, match="expected `schedule` out of constant, cosine, got 'linear'"):
        Training.of({"schedule": "linear"})


def test_a_folder_is_complete_and_keeps_the_pictures(encoder: Path, tmp_path: Path) -> None:
    architecture = small_bert.architecture("3tmm_gated", encoder, LAST)
    result = trained(architecture, tmp_path)
    data = served_data(architecture, tmp_path)
    (tmp_path / "architecture.json").write_text(json.dumps(data))
    write(result, architecture, tmp_path)
    served = architectures.load(tmp_path / "architecture.json")
    assert not any(tower.moving for tower in served.towers.values())
    assert served.towers["lite0"].numbers["names_by"] == "minilm_frozen"
    hashes = weights_hashes(served)
    assert set(hashes) == {"towers/minilm", "towers/minilm_frozen", "efficientnet-lite0"}
    frozen = load_file(tmp_path / "towers" / "minilm_frozen" / "model.safetensors")
    assert all(
        torch.equal(value, frozen[name]) for name, value in load_file(encoder / "model.safetensors").items()
    )
    assert result.gain is not None
    assert json.loads((tmp_path / "gain.json").read_text())["trained"] == result.gain.trained
    with pytest.raises(TrainingError, match="expected another folder than"):
        served_data(served, tmp_path)


def test_what_cannot_move_is_one_sentence(encoder: Path) -> None:
    tower = small_bert.architecture("bibert", encoder, {"last": 4}).towers["minilm"]
    with pytest.raises(ArchitectureError, match="expected at least 4 layers in tower minilm, got 3"):
        MovingBert(tower)
    with pytest.raises(
        ArchitectureError, match=r"expected a tower of kind bert, open_clip_text or .* of kind class_names"
    ):
        moving_tower(replace(tower, kind="class_names"))


def test_tokens_are_kept_without_padding(encoder: Path) -> None:
    from mmsearch.serving.tokens import Tokens

    store = TokenStore(["red chair", "", "unheard of", "lamp"], Tokens(encoder / "tokenizer.json", 12, None))
    assert store.lengths(torch.arange(4)).tolist() == [4, 0, 0, 3]
    ids, mask = store.batch(torch.tensor([3, 0]))
    assert ids.tolist() == [[2, 6, 3, 0], [2, 8, 4, 3]]
    assert mask.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


def test_a_run_leaves_what_is_deployed_and_says_what_it_brought(encoder: Path, tmp_path: Path) -> None:
    products, pairs = shop()
    records = [{"id": product.identifier, "title": product.text} for product in products]
    asked = [{"query": pair.query, "product_id": pair.product, "count": pair.count} for pair in pairs]

    def run(name: str, holdout: float) -> mmsearch.TrainingRun:
        # Without a fusion to learn, the tower moves.
        data = small_bert.data("bibert", encoder, holdout=holdout)
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
        return mmsearch.train(
            str(tmp_path / f"{name}.json"), pairs=asked, catalog=records, out=tmp_path / name
        )

    first = run("held", 0.2)
    assert first.gain is not None
    assert first.gain[1] <= first.gain[0] <= first.gain[2]
    assert first.verdict.startswith("held-out (recall@10 + nDCG@10) / 2 over ")
    left = {file.name for file in first.folder.iterdir()}
    assert {"architecture.json", "fusion.safetensors", "gain.json", "towers", "log.jsonl"} <= left
    again = run("held", 0.2)
    assert (again.gain, again.best_step) == (first.gain, first.best_step)
    last = run("last", 0.0)
    assert (last.gain, last.verdict, last.best_step) == (None, "", last.steps)
    served = architectures.load(last.folder / "architecture.json").towers["minilm"]
    assert served.weights == str(last.folder / "towers" / "minilm")
    before, after = (load_file(folder / "model.safetensors") for folder in (encoder, Path(served.weights)))
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {name.split(".")[2] for name in moved} == {"1", "2"}


@pytest.mark.parametrize("share", [0.5, 0, 1.0])
def test_the_share_of_the_trained_tower_may_be_given(encoder: Path, share: float) -> None:
    architecture = small_bert.architecture("bibert", encoder, LAST, interpolated=share)
    found = trained(architecture)
    assert found.share == share
    assert found.moving is not None
    assert bool(changed(encoder, found.moving.towers["minilm"])) == bool(share)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [1.5, -0.1, "half"])
def test_a_share_out_of_range_is_refused(share: object) -> None:
    with pytest.raises(TrainingError, match="expected `interpolated` as true, false or a share from 0 to 1"):
        Training.of({"interpolated": share})
