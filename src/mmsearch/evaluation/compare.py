"""Significance of the difference of two systems: paired bootstrap intervals and randomization test over
queries.

Bootstrap: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, percentile interval over
queries drawn with replacement. Randomization: M. Smucker, J. Allan and B. Carterette, A Comparison of
Statistical Significance Tests for Information Retrieval Evaluation, CIKM 2007: under the null hypothesis the
two systems' values of a query are exchangeable, so each difference has a random sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.aligned import Floats
from mmsearch.evaluation.measures import Scores

SAMPLES = 10_000
SEED = 20250107
_EXACT_UP_TO = 14  # non-zero differences; 2**14 sign patterns are no more work than the samples
_CHUNK = 4_000_000  # random numbers held at a time


@dataclass(frozen=True)
class Comparison:
    """`system` against `baseline` in one measure; differences are system - baseline.

    low, high  the 95 % interval of the mean difference    p      two-sided randomisation p-value
    wins, losses, ties    queries                          ratio  system / baseline, inf over a baseline of 0
    """

    measure: str
    queries: int
    system: float
    baseline: float
    difference: float
    low: float
    high: float
    p: float
    wins: int
    losses: int
    ties: int

    @property
    def ratio(self) -> float:
        """Return the system's mean divided by the baseline's."""
        return self.system / self.baseline if self.baseline else np.inf


def compare(system: Scores, baseline: Scores, *, samples: int = SAMPLES, seed: int = SEED) -> Comparison:
    """Compare two systems' scores of one measure, query by query, over the counted queries."""
    if system.measure != baseline.measure or system.queries != baseline.queries:
        raise MmsearchError(
            f"expected one measure over the same queries, got {system.measure.name} over "
            f"{len(system.queries)} and "
            f"{baseline.measure.name} over {len(baseline.queries)}; score both runs with the same judgments"
        )
    values, base = system.values[system.counted], baseline.values[baseline.counted]
    differences = values - base
    low, high = bootstrap_interval(differences, samples=samples, seed=seed)
    return Comparison(
        system.measure.name,
        len(differences),
        system.mean,
        baseline.mean,
        float(differences.mean()) if len(differences) else 0.0,
        low,
        high,
        randomisation_p(differences, samples=samples, seed=seed),
        wins=int((differences > 0).sum()),
        losses=int((differences < 0).sum()),
        ties=int((differences == 0).sum()),
    )


def bootstrap_interval(
    values: Floats, *, level: float = 0.95, samples: int = SAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """Return the bootstrap percentile interval of the mean of `values`, float64 [queries]; (0, 0) for no
    values.
    """
    count = len(values)
    if not count:
        return 0.0, 0.0
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK // count)
    means = [
        values[generator.integers(0, count, (min(rows, samples - start), count), np.int32)].mean(axis=1)
        for start in range(0, samples, rows)
    ]
    tail = 50 * (1 - level)
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail])
    return float(low), float(high)


def randomisation_p(differences: Floats, *, samples: int = SAMPLES, seed: int = SEED) -> float:
    """Return the two-sided p-value of the mean of `differences` under random signs; 1 when all are zero.

    Exact over all sign patterns for up to 14 non-zero differences; sampled for more, including the observed
    pattern.
    """
    moved = differences[differences != 0]
    count = len(moved)
    if not count:
        return 1.0
    observed = abs(moved.sum()) * (
        1 - 1e-12
    )  # patterns that equal the observed one count in spite of rounding
    if count <= _EXACT_UP_TO:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float((np.abs(signs @ moved) >= observed).mean())
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK // count)
    extreme = 0
    for start in range(0, samples, rows):
        signs = generator.integers(0, 2, (min(rows, samples - start), count), np.int8) * 2 - 1
        extreme += int((np.abs(signs @ moved) >= observed).sum())
    return (extreme + 1) / (samples + 1)
