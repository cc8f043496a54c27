"""Fusion of legs into one list, with the formulas of the plugin's `hybrid` clause, over stored lists.

Normalization of each leg's scores: theoretical_min_max (S. Bruch, S. Gai and A. Ingber, TOIS 2023), min_max,
l2, z_score, or reciprocal ranks. Combination: weighted arithmetic, geometric or harmonic mean, or the
weighted sum of reciprocal ranks (rrf; G. Cormack, C. Clarke and S. Büttcher, SIGIR 2009). Input and output
scores are 32-bit floats, as in the engine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmsearch.evaluation.aligned import Floats
from mmsearch.evaluation.tuning.ranges import Range, share

BELOW = 1 - 1e-6  # ratio of normalized scores that the floor would make equal or reverse
FLOOR = 0.001  # what the last product of a leg gets, so that it counts as found
RANK_CONSTANT = 60


@dataclass(frozen=True)
class Fusion:
    """A technique with one weight per leg, or none for equal weights. `Fusion()` is the plugin's default."""

    normalization: str = "min_max"
    combination: str = "arithmetic_mean"
    weights: tuple[float, ...] = ()
    rank_constant: int = RANK_CONSTANT

    def clause(self) -> dict[str, Any]:
        """Return the `fusion` object of a `hybrid` clause."""
        combination: dict[str, Any] = {"technique": self.combination}
        if self.weights:
            combination["parameters"] = {"weights": list(self.weights)}
        if self.combination == "rrf":
            return {"combination": {**combination, "rank_constant": self.rank_constant}}
        return {"normalization": {"technique": self.normalization}, "combination": combination}

    def weighed(self, weights: Sequence[float]) -> Fusion:
        """Return the same technique with other weights."""
        return Fusion(self.normalization, self.combination, tuple(weights), self.rank_constant)

    def __str__(self) -> str:
        how = (
            f"rrf({self.rank_constant})"
            if self.combination == "rrf"
            else f"{self.normalization}, {self.combination}"
        )
        return how + (f" by {', '.join(f'{weight:g}' for weight in self.weights)}" if self.weights else "")


def techniques() -> list[Fusion]:
    """Return every technique that the clause supports; z_score requires the arithmetic mean."""
    means = ("arithmetic_mean", "geometric_mean", "harmonic_mean")
    pairs = [(norm, mean) for norm in ("min_max", "l2", "theoretical_min_max") for mean in means]
    pairs.append(("z_score", "arithmetic_mean"))
    return [Fusion(norm, mean) for norm, mean in pairs] + [Fusion("reciprocal_rank", "rrf")]


def normalized(scores: Sequence[float], fusion: Fusion, ranges: Sequence[Range] | None = None) -> Floats:
    """Normalize the scores of one leg, best first: float64 [hits].

    `ranges` has the range of each hit's score on its shard. theoretical_min_max without them is min_max.
    """
    raw = np.asarray(scores, np.float32).astype(np.float64)
    if not len(raw):
        return raw
    if fusion.combination == "rrf":
        return np.asarray(1.0 / (fusion.rank_constant + np.arange(1, len(raw) + 1)), np.float64)
    if fusion.normalization == "theoretical_min_max" and ranges:
        scaled = np.maximum(share(raw, ranges), FLOOR)
    else:
        scaled = _scaled(raw, fusion.normalization)
    # The floor, and the ranges of several shards, may not lift a hit over a better one.
    for place in range(1, len(raw)):
        better = scaled[place - 1]
        if scaled[place] >= better:
            scaled[place] = better * BELOW if raw[place] < raw[place - 1] else better
    return scaled


def _scaled(raw: Floats, normalization: str) -> Floats:
    if normalization == "l2":
        norm = math.sqrt(float((raw**2).sum()))
        return np.asarray(raw / norm, np.float64) if norm else np.full(len(raw), FLOOR)
    if raw.min() == raw.max():
        return np.ones(len(raw))
    if normalization == "z_score":
        z = (raw - raw.mean()) / raw.std(ddof=1)
        return np.asarray(np.where(z < FLOOR, FLOOR * np.exp(np.minimum(z, FLOOR) - FLOOR), z), np.float64)
    within = (raw - raw.min()) / (raw.max() - raw.min())
    return np.where(within == 0, FLOOR, within)


def combined(scores: Floats, fusion: Fusion) -> Floats:
    """Combine normalized scores, float64 [..., legs], 0 where a leg did not find the product, into float64
    [...].
    """
    legs = scores.shape[-1]
    weights = np.asarray(fusion.weights or [1.0] * legs, np.float32).astype(np.float64)
    if fusion.combination in ("rrf", "arithmetic_mean"):
        total = 1.0 if fusion.combination == "rrf" else weights.sum()
        return np.asarray(scores @ weights / total if total else scores @ weights, np.float64)
    found = scores > 0
    weight = found @ weights
    safe = np.where(found, scores, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if fusion.combination == "geometric_mean":
            means = np.exp(np.log(safe) @ weights / weight)
        else:
            means = weight / ((found / safe) @ weights)
    return np.where(weight > 0, means, 0.0)


def fuse(
    legs: Sequence[Mapping[str, float]],
    fusion: Fusion,
    ranges: Sequence[Mapping[str, Range] | None] | None = None,
) -> dict[str, float]:
    """Fuse one query's legs, `{product: score}` best first each, into `{product: score}` best first.

    `ranges` has for each leg the ranges of its hits' scores, or None. Products that only legs of weight 0
    found are left out. Ties keep the order of first occurrence over the legs.
    """
    products = products_of(legs)
    places = {product: place for place, product in enumerate(products)}
    scores = np.zeros((len(places), len(legs)))
    found = np.zeros(scores.shape, bool)
    for number, leg in enumerate(legs):
        of_leg = ranges[number] if ranges else None
        each = [of_leg[product] for product in leg] if of_leg else None
        rows = [places[product] for product in leg]
        scores[rows, number] = normalized(list(leg.values()), fusion, each)
        found[rows, number] = True
    fused = combined(scores, fusion).astype(np.float32)
    kept = weighs(found, fusion)
    order = np.argsort(-fused, kind="stable")
    return {products[place]: float(fused[place]) for place in order if kept[place]}


def products_of(legs: Sequence[Mapping[str, float]]) -> list[str]:
    """Return every product of one query's legs in order of first occurrence."""
    return list(dict.fromkeys(product for leg in legs for product in leg))


def weighs(found: npt.NDArray[np.bool_], fusion: Fusion) -> npt.NDArray[np.bool_]:
    """Return which products a leg of a weight above 0 found: bool [...] for bool [..., legs], what each leg
    found.
    """
    weights = np.asarray(fusion.weights or [1.0] * found.shape[-1])
    return np.asarray((found & (weights > 0)).any(axis=-1))
