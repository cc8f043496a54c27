"""The learned fusion: a logistic model over what each leg knows of a product, as the plugin's `LearnedModel`.

The score of a product is 1 / (1 + exp(-z)) with

    z = intercept + sum over the legs i that found it (found_i + score_i * s_i
        + reciprocal_rank_i / (10 + rank_i) + raw_i * raw score_i)
        + sum over pairs of legs i < j (product_ij * s_i * s_j)

where s_i is the leg's min_max score, 0 if the leg did not find the product.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmsearch.evaluation.aligned import Floats
from mmsearch.evaluation.tuning.fusion import Fusion, normalized, products_of

VERSION = 1
OF_LEG = ("found", "score", "reciprocal_rank", "raw")
RANK_CONSTANT = 10
DIGITS = 6  # of a coefficient in the clause


@dataclass(frozen=True)
class LearnedModel:
    """A learned fusion of `legs` legs.

    coefficients  those of `OF_LEG` for each leg, then one per pair of legs: (0, 1), (0, 2), ..., (1, 2), ...
    """

    legs: int
    intercept: float
    coefficients: tuple[float, ...]

    @classmethod
    def of(cls, legs: int, intercept: float, coefficients: Floats) -> LearnedModel:
        """Return the model with coefficients of `DIGITS` significant digits, as the clause has them."""
        return cls(legs, _short(intercept), tuple(map(_short, coefficients)))

    def clause(self) -> dict[str, Any]:
        """Return the `fusion` object of a `hybrid` clause."""
        width = len(OF_LEG)
        parameters = {
            "version": VERSION,
            "intercept": self.intercept,
            "legs": [
                dict(zip(OF_LEG, self.coefficients[leg * width : (leg + 1) * width], strict=True))
                for leg in range(self.legs)
            ],
            "products": list(self.coefficients[self.legs * width :]),
        }
        return {
            "normalization": {"technique": "min_max"},
            "combination": {"technique": "learned", "parameters": parameters},
        }

    def probability(self, features: Floats) -> Floats:
        """Return the fused score of each product: float64 [products]; `features` as from `features_of`."""
        z = self.intercept + features @ np.asarray(self.coefficients)
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-z)), np.float64)

    def __str__(self) -> str:
        return f"learned, {1 + len(self.coefficients)} numbers"


def _short(number: float) -> float:
    return float(f"{float(number):.{DIGITS}g}")


def features_of(legs: Sequence[Mapping[str, float]]) -> Floats:
    """Return what the legs of one query know of each product.

    legs  `{product: raw score}` of each leg, best first

    The result is float64 [products, 4 legs + pairs], with the products of `products_of` and the columns of
    `LearnedModel.coefficients`.
    """
    places = {product: place for place, product in enumerate(products_of(legs))}
    known = np.zeros((len(places), len(legs), len(OF_LEG)))
    for number, leg in enumerate(legs):
        rows = [places[product] for product in leg]
        known[rows, number, 0] = 1
        known[rows, number, 1] = normalized(list(leg.values()), Fusion("min_max"))
        known[rows, number, 2] = 1 / (RANK_CONSTANT + np.arange(1, len(leg) + 1))
        known[rows, number, 3] = np.asarray(list(leg.values()), np.float32)
    pairs = [known[:, i, 1] * known[:, j, 1] for i, j in itertools.combinations(range(len(legs)), 2)]
    return np.column_stack([known.reshape(len(places), len(legs) * len(OF_LEG)), *pairs])


def fuse(legs: Sequence[Mapping[str, float]], model: LearnedModel) -> dict[str, float]:
    """Fuse one query's legs into `{product: score}` best first, with the ties of `fusion.fuse`."""
    products = products_of(legs)
    scores = model.probability(features_of(legs)).astype(np.float32)
    return {products[place]: float(scores[place]) for place in np.argsort(-scores, kind="stable")}
