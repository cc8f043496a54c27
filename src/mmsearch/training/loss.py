"""NT-Xent: each query against every product of the batch, the cosine over a temperature, cross entropy.

For query i with product i the loss is -log(exp(s_ii / T) / sum_j exp(s_ij / T)); with B equal vectors it
is log(B).
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
    """The mean loss of B pairs, a scalar.

    `queries` and `products` are unit rows, float [B, d]; row i of one belongs to row i of the other.
    `weights` float [B] counts a pair so many times (purchases); without any weight the loss is 0. `masked`
    bool [B, B] is true where product j is right for query i as well and so is no negative (the diagonal is
    ignored). `hard` float [B, h, d] are negatives of each query's own. `symmetric` adds the same loss from
    the products' side, halved.
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
    # Where no pair counts, as when every product of a small batch lacks the modality, there is nothing to
    # learn, and a mean over nothing would be no number.
    return (losses * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))


def chunked_backward(
    encode: Callable[[slice], Sequence[Tensor]],
    size: int,
    chunk: int,
    loss: Callable[..., Tensor],
) -> Tensor:
    """Gradients of a batch that does not fit into memory at once, equal to those of the whole batch.

    `encode(part)` gives the rows of that slice of the batch in one or more tensors, `loss(*tensors)` the
    scalar over all of it. The rows are computed once without gradients, the loss's gradient on them is
    kept, and each slice is computed again to carry its share of it backward (Gao et al. 2021). `encode`
    must give the same rows both times, so draw dropout from a generator that it resets. Where several
    processes train together each computes every so-manieth slice; the caller adds their gradients up, save
    those of what `loss` alone depends on, which every process has whole. Returns the loss, detached.
    """
    parts = [slice(start, min(start + chunk, size)) for start in range(0, size, chunk)]
    own = parts[distributed.rank() :: distributed.size()]
    with torch.no_grad():
        # Every process computes the first slice, which says what kinds of rows there are.
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
