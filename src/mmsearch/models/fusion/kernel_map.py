"""Closed-form kernel ridge regression from image features to the vectors of the queries for these images.

A thousand images are too few to learn a map from thousands of features by gradient steps; the closed form
finds the optimum directly. Prediction is a kernel-weighted sum of the training targets. The map fits its own
training images better than new ones, and a fusion trained on in-sample predictions would overweight images.
Training rows are therefore out-of-fold predictions from maps fitted without the image's group (stacking,
Wolpert 1992).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmsearch.models.architecture import FusionNumbers
from mmsearch.models.fusion.base import present, unit

FOLDS = 5
# Up to this many images the map is exact; above, it uses this many randomly drawn landmarks.
LANDMARKS = 4096
# Rows per block, so that a million products need no full kernel matrix.
SLICE = 8192
AT_ONCE = 2**26
"""numbers of rows that are copied as a whole: 256 MB"""


def likeness(rows: Tensor, others: Tensor) -> Tensor:
    """Return the RBF kernel exp(-|a - b|²) of n rows with m others, float32 [n, m]."""
    sizes = rows.square().sum(1, keepdim=True) + others.square().sum(1)
    near: Tensor = (2 * rows @ others.T - sizes).clamp(max=0).exp()
    return near


def dual(rows: Tensor, landmarks: Tensor, targets: Tensor, weight: float) -> Tensor:
    """Return the dual weights W, float32 [m, d], of m landmarks; the prediction is likeness(row, landmarks)
    W.

    `rows` float32 [n, k], `targets` float32 [n, d], centered by the caller. If the rows are the landmarks
    this is kernel ridge regression, (K + weight) W = targets; otherwise the subset-of-regressors
    approximation (K'K + weight G) W = K' targets, where G is the kernel matrix of the landmarks.
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
    # Similar landmarks make the matrix numerically singular.
    square.diagonal().add_(1e-6 * float(square.diagonal().mean()))
    found: Tensor = torch.linalg.solve(square, side).to(targets.dtype)
    return found


def fold_of(group: Tensor) -> Tensor:
    """Return the fold 0 to 4 of each product, int64 [n]. Groups are kept together; the seed is fixed."""
    names, number = torch.unique(group, return_inverse=True)
    drawn = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).to(group.device)
    return (drawn % FOLDS)[number]


class KernelMap(nn.Module):
    """An image's vector in the text space, the map's prediction for it, and its principal components.

    Empty at initialization; `fit` fills it before the first step, and training does not change it. `parts` in
    the data file weigh the features: pairs of a feature index and the weight from there on.
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
        # Standard deviations of the axes in units of the kernel's length scale.
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
        """Fit to image features, float32 [n, features]. Return the rows for training, in the form of
        `forward`.

        `asked` float32 [n, image_dimension] is the mean of each product's queries (zero for none) and `group`
        int64 [n]; each row is predicted by a map fitted without its group. `auxiliary` float32 [e, features]
        and `by` are further images and their queries, which are used only to fit the map.
        """
        there = torch.cat([present(part) for part in torch.split(image, SLICE)]).squeeze(1) > 0
        short: Tensor
        if not there.any():
            short = self(image)
            return short
        rows, targets = image if bool(there.all()) else image[there], asked[there]
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
        """Set the principal axes. A network overfits thousands of features of a thousand images, but not
        their principal components, and a step takes a tenth of the time.
        """
        weigh = torch.ones_like(self.middle)
        for start, weight in self.parts:
            weigh[start:] = weight
        self.middle.copy_(rows.mean(0))
        axes, sizes, mean_square = self._main(rows, weigh)
        # Scaled so that each axis has standard deviation 1/sqrt(axes): the whole has length about 1, as the
        # text has.
        scale = (len(rows) / max(len(self.axes), 1)) ** 0.5 / sizes.clamp(min=1e-6)
        self.axes.zero_()[: len(axes)] = axes * scale.unsqueeze(1) * weigh
        # Identical images have zero variance.
        apart = (self.width * mean_square).sqrt().clamp(min=1e-6)
        self.spread.zero_()[: len(axes)] = 1 / (scale * apart)

    def _main(self, rows: Tensor, weigh: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the principal axes of the weighed rows, their singular values, and the mean square length.

        Many rows are read in slices, since a copy of them may not fit into memory.
        """
        if rows.numel() <= AT_ONCE:
            weighed = (rows - self.middle) * weigh
            return *main_axes(weighed, len(self.axes)), weighed.square().sum(1).mean()
        square = torch.zeros(len(weigh), len(weigh), dtype=torch.float64, device=rows.device)
        for part in torch.split(rows, SLICE):
            weighed = (part - self.middle) * weigh
            square += (weighed.T @ weighed).double()
        values, vectors = torch.linalg.eigh(square)
        count = min(len(self.axes), len(values))
        sizes = values.flip(0)[:count].clamp(min=0).sqrt().to(rows.dtype)
        return vectors.flip(1)[:, :count].T.to(rows.dtype), sizes, (square.trace() / len(rows)).to(rows.dtype)

    def _axes(self, image: Tensor) -> Tensor:
        if len(image) > SLICE and not torch.onnx.is_in_onnx_export():
            return torch.cat([self._axes(part) for part in torch.split(image, SLICE)])
        return (image - self.middle) @ self.axes.T

    def forward(self, image: Tensor) -> Tensor:
        """Map float32 [n, features] to [place | predicted | axes]. Zero rows stay zero."""
        if len(image) > SLICE and not torch.onnx.is_in_onnx_export():
            return torch.cat([self(part) for part in torch.split(image, SLICE)])
        place, axes = image[:, : self.place], self._axes(image)
        predicted = torch.zeros_like(place)
        if len(self.landmarks):
            predicted = unit(likeness(axes * self.spread, self.landmarks) @ self.weights)
        return torch.cat([place, predicted, axes], 1) * present(image)


def centred(rows: Tensor) -> Tensor:
    return rows - rows.mean(0)


def main_axes(features: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return up to `count` principal axes of centered rows, float32 [k, f], and their singular values,
    float32 [k].

    Computed from the eigenvectors of the smaller Gram matrix, in a tenth of the time of a full SVD.
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
