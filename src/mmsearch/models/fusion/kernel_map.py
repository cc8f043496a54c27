"""Kernel ridge regression in closed form from pictures to the queries that people asked for them with.

A thousand pictures are too few for gradient steps to find a map from thousands of features; the closed form
finds the best one at once. A picture is told its place by how much it looks like those of known place.
What the map says of a picture that it was fitted to is better than what it will say of a new one, and a
fusion trained on that would trust pictures too far. So the rows to train on come from maps that never saw
the picture's own group (stacking, Wolpert 1992).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmsearch.models.architecture import FusionNumbers
from mmsearch.models.fusion.base import present, unit

FOLDS = 5
# Up to so many pictures the map is exact; beyond, so many drawn ones stand for all that it is fitted to.
LANDMARKS = 4096
# As many rows at once, so that a million products need no table of all likenesses.
SLICE = 8192


def likeness(rows: Tensor, others: Tensor) -> Tensor:
    """exp(-|a - b|²) of n rows with m others, float32 [n, m]."""
    sizes = rows.square().sum(1, keepdim=True) + others.square().sum(1)
    near: Tensor = (2 * rows @ others.T - sizes).clamp(max=0).exp()
    return near


def dual(rows: Tensor, landmarks: Tensor, targets: Tensor, weight: float) -> Tensor:
    """The weights W, float32 [m, d], of m landmarks: a row is told likeness(row, landmarks) W.

    `rows` float32 [n, k], `targets` float32 [n, d], centred by the caller. Where the rows are the landmarks
    this is kernel ridge regression, (K + weight) W = targets; else its best approximation by the landmarks
    (subset of regressors): (K'K + weight G) W = K' targets for the landmarks' own likenesses G.
    """
    own = likeness(landmarks, landmarks)
    if rows is landmarks:
        own.diagonal().add_(weight)
        exact: Tensor = torch.cholesky_solve(targets, torch.linalg.cholesky(own))
        return exact
    square = (weight * own).double()
    side = torch.zeros(len(landmarks), targets.shape[1], dtype=torch.float64, device=own.device)
    for start in range(0, len(rows), SLICE):
        near = likeness(rows[start : start + SLICE], landmarks).double()
        square += near.T @ near
        side += near.T @ targets[start : start + SLICE].double()
    # Landmarks that look alike make the table singular but for rounding.
    square.diagonal().add_(1e-6 * float(square.diagonal().mean()))
    found: Tensor = torch.linalg.solve(square, side).to(targets.dtype)
    return found


def fold_of(group: Tensor) -> Tensor:
    """0 to 4 for each product, int64 [n]; the folds are whole groups, drawn by a fixed seed."""
    names, number = torch.unique(group, return_inverse=True)
    drawn = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).to(group.device)
    return (drawn % FOLDS)[number]


class KernelMap(nn.Module):
    """A picture's place among texts, what the map says of it, and its numbers on the main axes.

    Empty at the start, `fit` fills it before the first step, and training leaves it as it is. `parts` of the
    data file weigh the features: pairs of a feature's number and the weight from there on.
    """

    middle: Tensor
    axes: Tensor
    spread: Tensor
    landmarks: Tensor
    weights: Tensor

    def __init__(self, numbers: FusionNumbers, features: int) -> None:
        super().__init__()
        own = numbers.numbers
        axes, self.place = int(own["axes"]), numbers.image_dimension
        self.ridge, self.width = float(own.get("ridge", 0.1)), float(own.get("width", 0.7))
        self.parts = [(int(start), float(weight)) for start, weight in own.get("parts", [])]
        self.register_buffer("middle", torch.zeros(features))
        self.register_buffer("axes", torch.zeros(axes, features))
        # The axes' deviations, in units in which likeness falls to 1/e.
        self.register_buffer("spread", torch.zeros(axes))
        landmarks = int(own.get("landmarks", LANDMARKS)) if axes else 0
        self.register_buffer("landmarks", torch.zeros(landmarks, axes))
        self.register_buffer("weights", torch.zeros(landmarks, numbers.image_dimension))

    def fit(
        self,
        image: Tensor,
        asked: Tensor,
        group: Tensor,
        auxiliary: Tensor | None = None,
        by: Tensor | None = None,
    ) -> Tensor:
        """Fits to pictures' features, float32 [n, features]; returns the rows to train on, as `forward`.

        `asked` float32 [n, image_dimension] is the middle of each product's queries (zero for none) and
        `group` int64 [n]; each row is predicted by a map that did not see its group. `auxiliary` float32 [e,
        features] and `by` are further pictures and what they are asked by, which only the map learns from.
        """
        there = present(image).squeeze(1) > 0
        short: Tensor
        if not there.any():
            short = self(image)
            return short
        rows, targets = image[there], asked[there]
        count = len(rows)
        self._fit_axes(rows)
        fold = fold_of(group[there])
        if auxiliary is not None and by is not None and len(auxiliary):
            rows, targets = torch.cat([rows, auxiliary]), torch.cat([targets, by])
            fold = torch.cat([fold, fold.new_full((len(auxiliary),), FOLDS)])
        has = targets.abs().amax(dim=1) > 0
        if not (has.any() and len(self.landmarks)):
            short = self(image)
            return short
        placed = self._axes(rows) * self.spread
        chosen = torch.nonzero(has).squeeze(1)
        drawn = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))[: len(self.landmarks)]
        stands = torch.zeros_like(has)
        stands[chosen[drawn.sort().values.to(chosen.device)]] = True

        def fitted(use: Tensor) -> tuple[Tensor, Tensor]:
            landmarks = placed[stands & use]
            every = landmarks if bool((has <= stands).all()) else placed[has & use]
            return landmarks, dual(every, landmarks, centred(targets[has & use]), self.ridge)

        landmarks, weights = fitted(has)
        self.landmarks.zero_()[: len(landmarks)] = landmarks
        self.weights.zero_()[: len(landmarks)] = weights
        short = self(image)
        predicted = torch.zeros_like(targets[:count])
        for part in range(FOLDS):
            own = fold[:count] == part
            if own.any() and (has & (fold != part)).any():
                landmarks, weights = fitted(fold != part)
                predicted[own] = likeness(placed[:count][own], landmarks) @ weights
        short[there, self.place : 2 * self.place] = unit(predicted)
        return short

    def _fit_axes(self, rows: Tensor) -> None:
        """The axes become the principal ones: thousands of features for a thousand pictures are learned by
        heart, their main axes are not, and a step costs a tenth."""
        weigh = torch.ones_like(self.middle)
        for start, weight in self.parts:
            weigh[start:] = weight
        self.middle.copy_(rows.mean(0))
        weighed = (rows - self.middle) * weigh
        axes, sizes = main_axes(weighed, len(self.axes))
        # Scaled so that each axis has deviation 1/sqrt(axes): the whole has about length 1, as the text has.
        scale = (len(rows) / max(len(self.axes), 1)) ** 0.5 / sizes.clamp(min=1e-6)
        self.axes.zero_()[: len(axes)] = axes * scale.unsqueeze(1) * weigh
        mean_square = weighed.square().sum(1).mean()
        # Pictures that are all alike have no spread.
        apart = (self.width * mean_square).sqrt().clamp(min=1e-6)
        self.spread.zero_()[: len(axes)] = 1 / (scale * apart)

    def _axes(self, image: Tensor) -> Tensor:
        return (image - self.middle) @ self.axes.T

    def forward(self, image: Tensor) -> Tensor:
        """float32 [n, features] → [place | predicted | axes]; zero rows stay."""
        place, axes = image[:, : self.place], self._axes(image)
        predicted = torch.zeros_like(place)
        if len(self.landmarks):
            predicted = unit(likeness(axes * self.spread, self.landmarks) @ self.weights)
        return torch.cat([place, predicted, axes], 1) * present(image)


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
