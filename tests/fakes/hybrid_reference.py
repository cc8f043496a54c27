"""Fusion as one would do it by hand: plain loops over the legs' lists, written from the formulas alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

FLOOR = 0.001

Leg = list[tuple[str, float]]
"""one leg's hits, best first: (id, score)"""


def normalized(leg: Leg, technique: str) -> list[float]:
    """A leg's scores made comparable, in the leg's order."""
    scores = [score for _, score in leg]
    if not scores:
        return []
    low, high = min(scores), max(scores)
    if technique == "l2":
        norm = math.sqrt(math.fsum(score * score for score in scores))
        return [score / norm if norm > 0 else FLOOR for score in scores]
    if low == high:
        return [1.0 for _ in scores]
    if technique == "min_max":
        # The floor of the last hit stays below the hit before it.
        least = min((score - low) / (high - low) for score in scores if score > low)
        floor = min(FLOOR, least * (1 - 1e-6))
        return [floor if score == low else (score - low) / (high - low) for score in scores]
    mean = math.fsum(scores) / len(scores)
    spread = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / (len(scores) - 1))
    return [z if z >= FLOOR else FLOOR * math.exp(z - FLOOR) for z in ((s - mean) / spread for s in scores)]


def fused(legs: Sequence[Leg], fusion: dict[str, Any]) -> dict[str, float]:
    """Every document that a leg found, with its fused score."""
    combination = fusion["combination"]
    weights = combination.get("parameters", {}).get("weights", [1 / len(legs)] * len(legs))
    if combination["technique"] == "rrf":
        plain = "weights" not in combination.get("parameters", {})
        weights = [1.0] * len(legs) if plain else weights
        constant = combination.get("rank_constant", 60)
        found: dict[str, float] = {}
        for leg, weight in zip(legs, weights, strict=True):
            for rank, (document, _) in enumerate(leg, 1):
                found[document] = found.get(document, 0.0) + weight / (constant + rank)
        return found
    parts: dict[str, list[tuple[float, float]]] = {}
    for leg, weight in zip(legs, weights, strict=True):
        values = normalized(leg, fusion["normalization"]["technique"])
        for (document, _), value in zip(leg, values, strict=True):
            parts.setdefault(document, []).append((weight, value))
    return {document: mean(combination["technique"], list_, weights) for document, list_ in parts.items()}


def mean(technique: str, parts: list[tuple[float, float]], weights: Sequence[float]) -> float:
    """One document's (weight, normalised score) pairs as one score; `weights` are those of all legs."""
    if technique == "arithmetic_mean":
        return math.fsum(weight * value for weight, value in parts) / math.fsum(weights)
    parts = [(weight, value) for weight, value in parts if value > 0]
    total = math.fsum(weight for weight, _ in parts)
    if total == 0:
        return 0.0
    if technique == "geometric_mean":
        return math.exp(math.fsum(weight * math.log(value) for weight, value in parts) / total)
    return total / math.fsum(weight / value for weight, value in parts)
