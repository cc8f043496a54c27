"""NT-Xent loss: cross entropy over cosine / temperature of each query with every product of the batch.

For query i with product i the loss is -log(exp(s_ii / T) / sum_j exp(s_ij / T)). With B equal vectors it is
log(B).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmsearch.training import distributed

NEVER = -1e4  # not minus infinity: a row whose every other product is masked must keep a finite gradient


def nt_xent(
    queries: Tensor,
    products: Tensor,
    temperature: Tensor | float,
    *,
    weights: Tensor | None = None,
    masked: Tensor | None = None,
    hard: Tensor | None = None,
    symmetric: bool = True,
) -> Tensor:
    """Return the mean loss of B pairs, a scalar.

    `queries` and `products` are unit rows, float [B, d]; row i of both is a pair. `weights` float [B] weighs
    the pairs (purchase counts); if all are 0 the loss is 0. `masked` bool [B, B] is true where product j is
    also relevant for query i and is therefore no negative; the diagonal is ignored. `hard` float [B, h, d]
    are hard negatives per query. `symmetric` averages the loss with the one from products to queries.
    """
    scores = queries @ products.T
    rows = torch.arange(len(queries), device=queries.device)
    if masked is not None:
        others = masked & (rows.unsqueeze(0) != rows.unsqueeze(1))
        scores = scores.masked_fill(others, NEVER)
    forward = scores
    if hard is not None:
        forward = torch.cat([scores, torch.einsum("bd,bhd->bh", queries, hard)], dim=1)
    loss = _cross_entropy(forward / temperature, rows, weights)
    if symmetric:
        loss = (loss + _cross_entropy(scores.T / temperature, rows, weights)) / 2
    return loss


def _cross_entropy(logits: Tensor, rows: Tensor, weights: Tensor | None) -> Tensor:
    losses = torch.logsumexp(logits, dim=1) - logits[rows, rows]
    if weights is None:
        return losses.mean()
    total = weights.sum()
    # If no pair counts, as when every product of a small batch lacks the modality, the mean would be 0 / 0.
    return (losses * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))


def chunked_backward(
    encode: Callable[[slice], Sequence[Tensor]],
    size: int,
    chunk: int,
    loss: Callable[..., Tensor],
) -> Tensor:
    """Compute the exact gradients of a batch that does not fit into memory (gradient caching, Gao et al.
    2021).

    `encode(part)` returns the rows of a slice of the batch in one or more tensors, `loss(*tensors)` the
    scalar over the whole batch. Rows are first computed without gradients; the gradient of the loss with
    respect to the rows is stored; each slice is then computed again to backpropagate its part. `encode` must
    return the same rows both times, so dropout must be drawn from a generator that it resets. With several
    processes each computes a share of the slices. The caller sums their gradients, except for parameters of
    `loss` itself, whose gradient is complete in every process. Returns the detached loss.
    """
    parts = [slice(start, min(start + chunk, size)) for start in range(0, size, chunk)]
    own = parts[distributed.rank() :: distributed.size()]
    with torch.no_grad():
        # Every process computes the first slice, which determines the kinds of rows.
        rows = [torch.zeros(size, *kind.shape[1:], device=kind.device) for kind in encode(parts[0])]
        for part in own:
            for whole, kind in zip(rows, encode(part), strict=True):
                whole[part] = kind.float()
    leaves = [distributed.summed(whole).requires_grad_() for whole in rows]
    value = loss(*leaves)
    torch.autograd.backward(value)
    for part in own:
        again = encode(part)
        carried = [
            (kind * leaf.grad[part]).sum()
            for kind, leaf in zip(again, leaves, strict=True)
            if leaf.grad is not None
        ]
        if not carried:
            raise ValueError("expected a loss that depends on the encoded rows, got one that does not")
        torch.autograd.backward(torch.stack(carried).sum())
    return value.detach()
