"""Pictures placed among the queries that people asked for them with: a ridge regression in closed form.

A thousand pictures are too few for gradient steps to find a map from thousands of features; the closed form
finds the best one at once. What it says of a picture that it was fitted to is better than what it will say
of a new one, and a fusion trained on that would trust pictures too far. So the rows to train on come from
maps that never saw the picture's own group (stacking, Wolpert 1992).
"""

from __future__ import annotations

import torch
from torch import Tensor

FOLDS = 5


def ridge(features: Tensor, targets: Tensor, weight: float) -> Tensor:
    """The map W, float32 [f, d], with the least |features W - targets|² + weight |W|².

    `features` float32 [n, f] and `targets` float32 [n, d] are centred by the caller. Solved on the smaller
    side of the two, which gives the same map (Saunders et al. 1998).
    """
    rows, width = features.shape
    identity = torch.eye(min(rows, width), device=features.device)
    if rows < width:
        dual: Tensor = torch.linalg.solve(features @ features.T + weight * identity, targets)
        return features.T @ dual
    primal: Tensor = torch.linalg.solve(features.T @ features + weight * identity, features.T @ targets)
    return primal


def out_of_fold(features: Tensor, targets: Tensor, group: Tensor, weight: float) -> Tensor:
    """What maps say of each row that were fitted without its group: float32 [n, d].

    Rows of `targets` that are zero have no target: they are not fitted to, and are told all the same.
    `group` int64 [n]; the folds are whole groups, drawn by a fixed seed.
    """
    names, number = torch.unique(group, return_inverse=True)
    drawn = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).to(group.device)
    fold = (drawn % FOLDS)[number]
    has = targets.abs().amax(dim=1) > 0
    told = torch.zeros_like(targets)
    for part in range(FOLDS):
        there, rest = fold == part, (fold != part) & has
        if there.any() and rest.any():
            told[there] = features[there] @ ridge(features[rest], centred(targets[rest]), weight)
    return told


def centred(rows: Tensor) -> Tensor:
    return rows - rows.mean(0)


def main_axes(features: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Up to `count` principal axes of centred rows, float32 [k, f], and their singular values, float32 [k].

    By the eigenvectors of the smaller product of the rows with themselves: a tenth of the time of a whole
    decomposition.
    """
    rows, width = features.shape
    square = features @ features.T if rows < width else features.T @ features
    values, vectors = torch.linalg.eigh(square)
    count = min(count, len(values))
    sizes = values.flip(0)[:count].clamp(min=0).sqrt()
    chosen = vectors.flip(1)[:, :count]
    if rows < width:
        return (features.T @ chosen / sizes.clamp(min=1e-6)).T, sizes
    return chosen.T, sizes
