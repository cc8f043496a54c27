"""Fit the coefficients of a learned fusion, by Newton's method with a ridge penalty on standardized features.

Two losses are known. `binary` is that of logistic regression over all products (D. Cox, 1958). `listwise` is
the cross entropy between the relevant products of a query and the softmax over its products (ListNet; Z. Cao
et al., ICML 2007), after which the intercept alone is fitted by the first, so that scores stay probabilities.
Products that nobody judged count as irrelevant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from mmsearch.evaluation.aligned import Floats

LOSSES = ("binary", "listwise")
_STEPS = 50
_CLOSE = 1e-7
_LEAST = 1e-9  # deviation of a feature below which it is constant

Step = Callable[[Floats], tuple[float, Floats, Floats]]
"""from coefficients to the loss, its gradient and its Hessian"""


def fit(
    features: Sequence[Floats], relevant: Sequence[Floats], loss: str, penalty: float
) -> tuple[float, Floats]:
    """Return intercept and coefficients.

    features  float64 [products, features] of each query
    relevant  float64 [products] of each query, 0 to 1
    penalty   of the squared coefficients of standardized features
    """
    x, y = np.concatenate(features), np.concatenate(relevant)
    deviation = x.std(axis=0)
    constant = deviation < _LEAST
    deviation[constant] = 1
    z = (x - x.mean(axis=0)) / deviation
    z[:, constant] = 0
    if loss == "binary":
        with_one = np.column_stack([z, np.ones(len(z))])
        ridge = np.append(np.full(z.shape[1], penalty), 1e-6)
        found = _newton(_binary(with_one, y, ridge), with_one.shape[1])[:-1]
    else:
        lengths = np.array([len(each) for each in features], np.intp)
        found = _newton(_listwise(z, y, lengths, np.full(z.shape[1], penalty)), z.shape[1])
    coefficients = np.where(constant, 0, found / deviation)
    offset = x @ coefficients
    # Newton from the log odds of the mean; the penalty keeps it finite where nothing is relevant.
    middle = float(offset.mean())
    one = np.ones((len(x), 1))
    intercept = float(_newton(_binary(one, y, np.array([1e-6]), offset - middle), 1)[0])
    return intercept - middle, np.asarray(coefficients, np.float64)


def _binary(x: Floats, y: Floats, ridge: Floats, offset: Floats | float = 0.0) -> Step:
    def step(b: Floats) -> tuple[float, Floats, Floats]:
        z = x @ b + offset
        p = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
        loss = float((np.logaddexp(0, z) - y * z).sum() + 0.5 * (ridge * b**2).sum())
        gradient = x.T @ (p - y) + ridge * b
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge + 1e-9)
        return loss, gradient, hessian

    return step


def _listwise(x: Floats, y: Floats, lengths: npt.NDArray[np.intp], ridge: Floats) -> Step:
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.intp)
    query = np.repeat(np.arange(len(lengths)), lengths)
    total = np.add.reduceat(y, starts)
    counted = (total > 0).astype(np.float64)
    target = y / np.where(total > 0, total, 1)[query]

    def step(b: Floats) -> tuple[float, Floats, Floats]:
        z = x @ b
        z = z - np.maximum.reduceat(z, starts)[query]
        normalizer = np.add.reduceat(np.exp(z), starts)
        p = np.exp(z) / normalizer[query] * counted[query]
        loss = float(-(target * (z - np.log(normalizer)[query])).sum() + 0.5 * (ridge * b**2).sum())
        mean = np.add.reduceat(x * p[:, None], starts, axis=0)
        gradient = x.T @ (p - target) + ridge * b
        hessian = (x * p[:, None]).T @ x - mean.T @ mean + np.diag(ridge + 1e-9)
        return loss, gradient, hessian

    return step


def _newton(step: Step, size: int) -> Floats:
    """Newton's method; a step that raises the loss is halved."""
    at = np.zeros(size)
    loss, gradient, hessian = step(at)
    for _ in range(_STEPS):
        move = np.linalg.solve(hessian, gradient)
        for _ in range(_STEPS):
            there = at - move
            found = step(there)
            if found[0] <= loss:
                break
            move = move / 2
        else:
            return at
        at, (loss, gradient, hessian) = there, found
        if np.abs(move).max() < _CLOSE:
            return at
    return at
