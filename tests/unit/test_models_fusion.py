"""The fusion's algebra, against the formulas it is named after."""

from __future__ import annotations

import torch

from mmsearch.models.architecture import load
from mmsearch.models.fusion.base import unit
from mmsearch.models.fusion.registry import build

CAT = build(load("4tmm_cat"))


def rows(seed: int, count: int = 6, width: int = 384) -> torch.Tensor:
    return unit(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)))


def test_the_cosine_of_cat_is_the_mean_of_the_two_cosines() -> None:
    text, words, item_text, item_image = rows(1), rows(2), rows(3), rows(4)
    query = CAT.query(text, words, torch.zeros(6, 384))[0]
    item = CAT.item(item_text, item_image)[0]
    expected = ((text * item_text).sum(1) + (words * item_image).sum(1)) / 2
    torch.testing.assert_close((query * item).sum(1), expected, atol=1e-6, rtol=0)


def test_alpha_enters_the_cosine_squared() -> None:
    architecture = load("4tmm_alpha_cat")
    alpha = architecture.fusion.numbers["alpha"]
    text, words, item_text, item_image = rows(1), rows(2), rows(3), rows(4)
    query = build(architecture).query(text, words, torch.zeros(6, 384))[0]
    item = build(architecture).item(item_text, item_image)[0]
    weights = alpha**2, (1 - alpha) ** 2
    expected = weights[0] * (text * item_text).sum(1) + weights[1] * (words * item_image).sum(1)
    torch.testing.assert_close((query * item).sum(1), expected / sum(weights), atol=1e-6, rtol=0)


def test_an_absent_modality_leaves_a_zero_half_and_a_vector_of_length_one() -> None:
    nothing, alpha = torch.zeros(6, 384), build(load("4tmm_alpha_cat"))
    for fused, empty, full in (
        (alpha.item(rows(1), nothing), slice(384, 768), slice(0, 384)),
        (alpha.item(nothing, rows(2)), slice(0, 384), slice(384, 768)),
        (CAT.query(nothing, nothing, rows(2)), slice(0, 384), slice(384, 768)),
    ):
        assert torch.all(fused[0][:, empty] == 0)
        torch.testing.assert_close(fused[0][:, full].norm(dim=1), torch.ones(6))


def test_what_a_product_lacks_is_half_as_similar_as_what_it_has() -> None:
    """The cosine of a turned vector with itself is the data file's, with others about as much of theirs."""
    nothing, here = torch.zeros(6, 384), rows(1)
    for own, filled, (item, text_half, image_half) in (
        (slice(0, 384), slice(384, 768), CAT.item(here, nothing)),
        (slice(384, 768), slice(0, 384), CAT.item(nothing, here)),
    ):
        torch.testing.assert_close(item[:, own], here / 2**0.5)
        torch.testing.assert_close(item[:, filled].norm(dim=1), torch.full((6,), 0.5**0.5))
        torch.testing.assert_close((item[:, own] * item[:, filled]).sum(1), torch.full((6,), 0.25))
        # Two products that lack the same are as similar as by what they have.
        torch.testing.assert_close(item @ item.T, here @ here.T, atol=1e-6, rtol=0)
        assert not (text_half * image_half).any(), "the single vectors stay empty"
    assert not CAT.item(nothing, nothing)[0].any()


def test_a_query_of_any_weights_ranks_products_by_text_whether_they_have_an_image_or_not() -> None:
    """Two products with the text of the query, one of them with an image that says nothing to it."""
    words = rows(1, 1)
    unrelated = rows(2, 1)
    unrelated = unit(unrelated - (unrelated * words).sum() * words)
    bare = CAT.item(words, torch.zeros(1, 384))[0]
    pictured = CAT.item(words, unrelated)[0]
    for weight in (0.0, 0.1, 0.3):
        query = unit(torch.cat([(1 - weight) * words, weight * words], 1))
        ratio = float((query @ bare.T) / (query @ pictured.T))
        # (1 - w + w / 2) / (1 - w), and not √2 times as much.
        assert abs(ratio - (1 - weight / 2) / (1 - weight)) < 1e-5


def test_a_query_of_text_and_picture_meets_in_the_middle_of_the_picture_half() -> None:
    text, words, image = rows(1), rows(2), rows(3)
    embedding, text_half, image_half = CAT.query(text, words, image)
    torch.testing.assert_close(text_half, text)
    torch.testing.assert_close(image_half, unit((words + image) / 2))
    torch.testing.assert_close(embedding, torch.cat([text_half, image_half], 1) / 2**0.5)


def test_the_features_need_not_have_length_one() -> None:
    torch.testing.assert_close(CAT.item(3 * rows(1), 7 * rows(2))[0], CAT.item(rows(1), rows(2))[0])
