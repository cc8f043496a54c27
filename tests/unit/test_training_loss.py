"""The loss against pencil and paper, and its options against one another."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mmsearch.models.fusion.base import unit
from mmsearch.training.loss import chunked_backward, nt_xent


def rows(seed: int, count: int = 7, width: int = 5) -> Tensor:
    return unit(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("size", [2, 7, 64])
@pytest.mark.parametrize("symmetric", [True, False])
def test_equal_vectors_lose_the_logarithm_of_the_batch(size: int, symmetric: bool) -> None:
    same = torch.ones(size, 4) / 2
    assert float(nt_xent(same, same, 0.07, symmetric=symmetric)) == pytest.approx(math.log(size), abs=1e-5)


def test_two_orthogonal_pairs_by_hand() -> None:
    loss = nt_xent(torch.eye(2), torch.eye(2), 0.5)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-2)), abs=1e-6)


def test_the_sides_differ_and_symmetric_is_their_mean() -> None:
    queries, products = rows(1), rows(2)
    there = nt_xent(queries, products, 0.1, symmetric=False)
    back = nt_xent(products, queries, 0.1, symmetric=False)
    assert float(there) != pytest.approx(float(back), abs=1e-3)
    torch.testing.assert_close(nt_xent(queries, products, 0.1), (there + back) / 2)


def test_a_masked_product_is_no_negative() -> None:
    queries = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    masked = torch.ones(2, 2, dtype=torch.bool)  # the same product twice: nothing is left to tell apart
    assert float(nt_xent(queries, queries, 0.1, masked=masked)) == pytest.approx(0, abs=1e-6)
    assert float(nt_xent(queries, queries, 0.1)) == pytest.approx(math.log(2), abs=1e-6)


def test_a_count_weighs_a_pair_as_often() -> None:
    queries, products = rows(1), rows(2)
    alone = [nt_xent(queries, products, 0.1, weights=torch.eye(7)[i]) for i in range(2)]
    weights = torch.tensor([3.0, 1.0, 0, 0, 0, 0, 0])
    both = nt_xent(queries, products, 0.1, weights=weights)
    torch.testing.assert_close(both, (3 * alone[0] + alone[1]) / 4)


def test_hard_negatives_join_the_queries_side_only() -> None:
    queries, products = rows(1, 2), rows(2, 2)
    hard = products[[1, 0]].unsqueeze(1)  # the other product once more
    scores = queries @ products.T / 0.5
    by_hand = torch.stack([torch.logsumexp(scores[i, [i, 1 - i, 1 - i]], 0) - scores[i, i] for i in (0, 1)])
    torch.testing.assert_close(nt_xent(queries, products, 0.5, hard=hard, symmetric=False), by_hand.mean())


@pytest.mark.parametrize("chunk", [1, 3, 7, 20])
def test_gradients_in_chunks_are_those_of_the_whole_batch(chunk: int) -> None:
    inputs = torch.randn(7, 5, generator=torch.Generator().manual_seed(3))

    def gradients(chunked: bool) -> tuple[Tensor, Tensor, Tensor]:
        torch.manual_seed(4)
        left, right = torch.nn.Linear(5, 4), torch.nn.Linear(5, 4)

        def encode(part: slice) -> tuple[Tensor, Tensor]:
            return unit(left(inputs[part])), unit(right(inputs[part]))

        if chunked:
            loss = chunked_backward(encode, 7, chunk, lambda q, p: nt_xent(q, p, 0.1))
        else:
            loss = nt_xent(*encode(slice(0, 7)), 0.1)
            loss.backward()
        assert left.weight.grad is not None
        assert right.weight.grad is not None
        return loss.detach(), left.weight.grad, right.weight.grad

    for ours, expected in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)
