"""The closed-form map from pictures to queries, against pencil and paper and against itself."""

from __future__ import annotations

import math
from pathlib import Path

import onnxruntime
import pytest
import torch

from mmsearch.models.architecture import FusionNumbers
from mmsearch.models.export.to_onnx import export_fusion
from mmsearch.models.fusion import kernel_map
from mmsearch.models.fusion.base import unit
from mmsearch.models.fusion.fusion_heads import FusionHead
from mmsearch.models.fusion.kernel_map import KernelMap, dual, likeness, main_axes

from ..fakes.small_training import drawn as data_of
from ..fakes.small_training import fresh, small


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def told_of(count: int, **numbers: object) -> KernelMap:
    """A map over `count` features, whose first two are the place."""
    return KernelMap(FusionNumbers("text", 2, 2, 2, {"axes": 8, **numbers}), count)


def test_two_landmarks_by_hand() -> None:
    # They are alike by exp(-ln 2) = 1/2: [[1.5, .5], [.5, 1.5]] w = [2, 4]
    landmarks = torch.tensor([[0.0], [math.log(2) ** 0.5]])
    found = dual(landmarks, landmarks, torch.tensor([[2.0], [4.0]]), 0.5)
    torch.testing.assert_close(found, torch.tensor([[0.5], [2.5]]))


def test_landmarks_that_are_all_rows_give_the_exact_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_map, "SLICE", 7)
    rows, targets = drawn(30, 4), drawn(30, 3)
    exact = dual(rows, rows, targets, 0.5)
    torch.testing.assert_close(dual(rows.clone(), rows, targets, 0.5), exact, atol=1e-3, rtol=1e-3)


def test_fewer_landmarks_fit_all_rows_as_well_as_they_can() -> None:
    rows, targets = drawn(60, 2), drawn(60, 1)
    landmarks = rows[:10].clone()

    def cost(weights: torch.Tensor) -> float:
        missed = likeness(rows, landmarks) @ weights - targets
        return float(missed.square().sum() + 0.5 * weights.T @ likeness(landmarks, landmarks) @ weights)

    best = dual(rows, landmarks, targets, 0.5)
    for place in range(10):
        for change in (-0.02, 0.02):
            other = best.clone()
            other[place] += change
            assert cost(best) < cost(other)


def test_a_row_is_told_by_maps_that_never_saw_its_group() -> None:
    features, targets, group = drawn(40, 12), drawn(40, 2), torch.arange(40) // 2
    rows = told_of(12).fit(features, targets, group)
    changed = targets.clone()
    changed[6:8] = 100.0  # one group's own targets
    again = told_of(12).fit(features, changed, group)
    torch.testing.assert_close(rows[6:8], again[6:8])
    assert not torch.allclose(rows, again)


@pytest.mark.parametrize("landmarks", [4096, 50])
def test_auxiliary_images_make_the_map_better(landmarks: int) -> None:
    # Six kinds, of which the products are of three.
    kind = torch.cat([torch.arange(20) % 3, torch.arange(140) % 6])
    features = drawn(6, 12)[kind] + 0.3 * drawn(160, 12)
    asked = unit(drawn(6, 2))[kind]
    plain, helped = told_of(12, landmarks=landmarks), told_of(12, landmarks=landmarks)
    group = torch.arange(20)
    plain.fit(features[:20], asked[:20], group)
    rows = helped.fit(features[:20], asked[:20], group, features[20:100], asked[20:100])
    assert rows.shape == (20, 2 + 2 + 8)

    def right(map_: KernelMap) -> float:
        return float((map_(features[100:])[:, 2:4] * asked[100:]).sum(1).mean())

    assert right(helped) > right(plain) + 0.05


def test_a_picture_that_is_absent_or_was_never_asked_for_is_not_fitted_to() -> None:
    features, targets, group = drawn(30, 12), drawn(30, 2), torch.arange(30)
    features[3], targets[5] = 0.0, 0.0
    map_ = told_of(12)
    rows = map_.fit(features, targets, group)
    assert not rows[3].any()
    assert rows[5, 2:4].any()
    assert int(map_.weights.any(dim=1).sum()) == 28


def test_pictures_that_are_all_alike_are_told_the_same() -> None:
    image = drawn(1, 12).expand(10, 12).contiguous()
    short = told_of(12).fit(image, unit(drawn(10, 2)), torch.arange(10))
    assert short.isfinite().all()
    torch.testing.assert_close(short[:, 4:], torch.zeros(10, 8))


def test_slices_fit_what_the_whole_does(monkeypatch: pytest.MonkeyPatch) -> None:
    image, asked, group = drawn(50, 20), unit(drawn(50, 2)), torch.arange(50)
    image[::9] = 0
    whole, sliced = told_of(20, landmarks=30), told_of(20, landmarks=30)
    expected = whole.fit(image, asked, group)
    monkeypatch.setattr(kernel_map, "SLICE", 7)
    monkeypatch.setattr(kernel_map, "AT_ONCE", 0)
    found = sliced.fit(image, asked, group)
    torch.testing.assert_close(found[:, :4], expected[:, :4], atol=1e-3, rtol=1e-3)
    # An axis and its reverse are the same.
    torch.testing.assert_close(found[:, 4:].abs(), expected[:, 4:].abs(), atol=1e-3, rtol=1e-3)


def test_parts_weigh_the_features() -> None:
    features, targets, group = drawn(30, 12), drawn(30, 2), torch.arange(30)
    map_ = told_of(12, parts=[[0, 0.5], [8, 0.0]])
    map_.fit(features, targets, group)
    changed = features.clone()
    changed[:, 8:] += 1.0
    torch.testing.assert_close(map_(changed), map_(features))
    changed[:, 4] += 1.0
    assert not torch.allclose(map_(changed)[:, 2:], map_(features)[:, 2:])


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
    assert isinstance(fusion, FusionHead)
    fusion.kernel_map.fit(data.item_image, data.asked(), data.group)
    assert fusion.kernel_map.weights.any()
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
