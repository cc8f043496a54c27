"""The closed-form map from pictures to queries, against pencil and paper and against itself."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch

from mmsearch.train.export import export_fusion
from mmsearch.train.learned import Learned
from mmsearch.train.told import main_axes, out_of_fold, ridge

from .small_training import drawn as data_of
from .small_training import fresh, small


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_ridge_of_one_number_by_hand() -> None:
    # w = sum(x y) / (sum(x²) + weight) = (1·2 + 2·4) / (1 + 4 + 5)
    found = ridge(torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]]), 5.0)
    assert float(found) == pytest.approx(1.0)


@pytest.mark.parametrize("rows", [6, 30])
def test_either_side_gives_the_same_map(rows: int) -> None:
    features, targets = drawn(rows, 12), drawn(rows, 3)
    normal = features.T @ features + 0.5 * torch.eye(12)
    expected = torch.linalg.inv(normal) @ features.T @ targets
    torch.testing.assert_close(ridge(features, targets, 0.5), expected, atol=1e-4, rtol=1e-3)


def test_a_row_is_told_by_maps_that_never_saw_its_group() -> None:
    features, targets, group = drawn(40, 8), drawn(40, 2), torch.arange(40) // 2
    told = out_of_fold(features, targets, group, 1.0)
    changed = targets.clone()
    changed[6:8] = 100.0  # one group's own targets
    again = out_of_fold(features, changed, group, 1.0)
    torch.testing.assert_close(told[6:8], again[6:8])
    assert not torch.allclose(told, again)


@pytest.mark.parametrize("rows", [7, 50])
def test_axes_are_the_principal_ones(rows: int) -> None:
    features = drawn(rows, 20)
    features -= features.mean(0)
    axes, sizes = main_axes(features, 4)
    _, expected, right = torch.linalg.svd(features, full_matrices=False)
    torch.testing.assert_close(sizes, expected[:4], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close((axes @ right[:4].T).abs(), torch.eye(4), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["4tmm_gated", "3tmm_mlp"])
def test_the_exported_fusion_answers_as_the_fitted_one(name: str, tmp_path: Path) -> None:
    architecture, data = small(name), data_of(small(name))
    fusion = fresh(name)
    assert isinstance(fusion, Learned)
    fusion.fit(data.item_image, data.asked(), data.group)
    assert fusion.told.any()
    for side in ("query", "item"):
        export_fusion(fusion, architecture, side, tmp_path / f"{side}.onnx")
    nothing = torch.zeros(12, data.item_image.shape[1])
    asked = {"TEXT": data.query_text, "CLIP_TEXT": data.query_words, "IMAGE": nothing}
    seen = asked | {"IMAGE": data.item_image[:12]}
    for side, feed in (
        ("query", asked),
        ("query", seen),
        ("item", {"TEXT": data.item_text, "IMAGE": data.item_image}),
    ):
        session = onnxruntime.InferenceSession(tmp_path / f"{side}.onnx")
        names = {given.name for given in session.get_inputs()}
        (answered, *_) = session.run(
            None, {key: value.numpy() for key, value in feed.items() if key in names}
        )
        with torch.inference_mode():
            expected = getattr(fusion, side)(*feed.values())[0]
        torch.testing.assert_close(torch.from_numpy(answered), expected, atol=1e-4, rtol=1e-3)
