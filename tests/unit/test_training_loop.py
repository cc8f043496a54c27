"""Every learned architecture trains, the same seed gives the same file, and a cut leaves no trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from mmsearch.errors import TrainingError
from mmsearch.models.architecture import load, names
from mmsearch.models.fusion import registry
from mmsearch.models.fusion.base import unit
from mmsearch.models.fusion.fusion_heads import FusionHead
from mmsearch.training.loop import Run, Trained, train
from mmsearch.training.objective import Training, batch_loss

from ..fakes.small_training import CPU, NUMBERS, drawn, fresh, small

FUSION_HEADS = [name for name in names() if load(name).fusion.kind in registry.FUSION_HEADS]


def trained(name: str, folder: Path | None = None, numbers: Training = NUMBERS) -> Trained:
    return train(fresh(name), drawn(small(name)), numbers, device=CPU, folder=folder)


@pytest.mark.parametrize("name", FUSION_HEADS)
def test_the_loss_falls_in_a_few_steps(name: str) -> None:
    own = Training.of(load(name).data["training"])
    numbers = replace(NUMBERS, rate=0.01, modality_dropout=0.0, single=own.single, titles=own.titles)
    data = drawn(small(name))
    run = Run(fresh(name), data, numbers, CPU)
    rows, drop = torch.arange(60), torch.ones(60, 2)

    def loss() -> float:
        run.fusion.eval()
        return float(batch_loss(run.fusion, run.data, rows, run.heat, numbers, drop).detach())

    before = loss()
    for _ in range(15):
        run.advance()
    assert loss() < 0.95 * before


@pytest.mark.parametrize("name", FUSION_HEADS)
def test_it_starts_where_the_untrained_towers_are(name: str) -> None:
    fusion, data = fresh(name), drawn(small(name))
    assert isinstance(fusion, FusionHead)
    fusion.kernel_map.fit(data.item_image, torch.zeros(40, 16), data.group)
    query = fusion.query(data.query_text, data.query_words, torch.zeros(12, data.item_image.shape[1]))
    torch.testing.assert_close(query[1], data.query_text if "clip" not in name else query[1])
    item = fusion.item(data.item_text, data.item_image)
    torch.testing.assert_close(item[2], unit(data.item_image[:, :16]))
    for vectors in (query[0], item[0]):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))


@pytest.mark.parametrize("name", FUSION_HEADS)
def test_no_product_and_no_picture_query_becomes_a_zero_vector(name: str) -> None:
    fusion, data = fresh(name), drawn(small(name))
    no_text, no_image = torch.zeros_like(data.item_text), torch.zeros_like(data.item_image)
    for vectors in (fusion.item(data.item_text, no_image)[0], fusion.item(no_text, data.item_image)[0]):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(40))
    if name != "bibert_mlp":
        asked = fusion.query(torch.zeros(40, 16), torch.zeros(40, 16), data.item_image)[0]
        torch.testing.assert_close(asked.norm(dim=1), torch.ones(40))


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    def content(seed: int) -> bytes:
        result = trained("4tmm_gated", numbers=replace(NUMBERS, seed=seed))
        return save({name: value.contiguous() for name, value in result.fusion.state_dict().items()})

    assert content(3) == content(3)
    assert content(3) != content(4)


@pytest.mark.parametrize("cut", [4, 8])
def test_cut_off_and_taken_up_again_it_ends_where_it_would_have(tmp_path: Path, cut: int) -> None:
    whole = trained("4tmm_gated", tmp_path / "whole")
    first = Run(fresh("4tmm_gated"), drawn(small("4tmm_gated")), NUMBERS, CPU)
    first.judge()
    while first.step < cut:
        first.advance()
        if first.step % NUMBERS.evaluate_every == 0:
            first.judge()
    (tmp_path / "cut").mkdir()
    first.save(tmp_path / "cut")
    first.advance()  # lost with the process
    resumed = trained("4tmm_gated", tmp_path / "cut")
    assert (resumed.best_step, resumed.best_recall) == (whole.best_step, whole.best_recall)
    for name, value in whole.fusion.state_dict().items():
        assert torch.equal(value, resumed.fusion.state_dict()[name]), name
    assert (tmp_path / "whole" / "checkpoint.safetensors").read_bytes() == (
        tmp_path / "cut" / "checkpoint.safetensors"
    ).read_bytes()


def test_a_folder_of_other_numbers_is_refused(tmp_path: Path) -> None:
    trained("bibert_mlp", tmp_path)
    with pytest.raises(TrainingError, match="got another"):
        trained("bibert_mlp", tmp_path, replace(NUMBERS, rate=0.5))


def test_what_another_fusion_left_is_refused_in_a_sentence(tmp_path: Path) -> None:
    trained("bibert_mlp", tmp_path)
    with pytest.raises(
        TrainingError, match=r"for ThreeTowerMlp, got others in .*checkpoint\.safetensors; train"
    ):
        trained("3tmm_mlp", tmp_path)
    fusion, left = fresh("3tmm_mlp"), fresh("bibert_mlp").state_dict()
    with pytest.raises(TrainingError, match="weights of this version"):
        registry.give(fusion, left, tmp_path / "fusion.safetensors")


def test_unknown_numbers_are_refused() -> None:
    with pytest.raises(TrainingError, match="got epochs"):
        Training.of({"epochs": 3})


def test_held_out_groups_are_not_trained_on() -> None:
    data = drawn(small("bibert_mlp"))
    run = Run(fresh("bibert_mlp"), data, NUMBERS, CPU)
    seen = {int(data.group[item]) for item in data.pairs[run.train_rows, 1]}
    held = {int(data.group[item]) for item in run.held.items}
    assert len(held) == 4
    assert not seen & held


def test_hard_negatives_are_pushed_away() -> None:
    data = drawn(small("bibert_mlp"))
    wrong = torch.tensor([[(query + 1) % 4, (query + 2) % 4, -1] for query in range(12)])
    numbers = replace(NUMBERS, modality_dropout=0.0, single=0.0)

    def closeness(negatives: torch.Tensor) -> float:
        run = Run(fresh("bibert_mlp"), replace(data, negatives=negatives), numbers, CPU)
        for _ in range(30):
            run.advance()
        run.fusion.eval()
        with torch.inference_mode():
            asked = run.fusion.query(data.query_text, data.query_words, torch.zeros(12, 16))[0]
            offered = run.fusion.item(data.item_text, data.item_image)[0]
        return float((asked.unsqueeze(1) * offered[wrong[:, :2]]).sum(2).mean())

    assert closeness(wrong) < closeness(wrong[:, :0]) - 0.01
