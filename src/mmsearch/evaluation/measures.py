"""Measures as data: name, formula, citation, and a function over the aligned arrays.

A measure is written `family(view)@k`: `recall(purchases)@100`, `ndcg(esci)@10`, `share(E+S)@10`,
`mrr(exact)`. The view (relevance.py) is optional. A value is one number per query. A query that failed or
returned nothing has value zero and is counted in the mean. Recall, precision, nDCG, MRR and MAP are undefined
for queries without a relevant product; these queries are excluded from their means, and their number is
reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.aligned import Aligned, Floats, align
from mmsearch.evaluation.judgments import LABELS, Judgments
from mmsearch.evaluation.relevance import VIEWS, binary_view, gains, graded_view
from mmsearch.evaluation.runs import Run

SHARES = (*LABELS, "E+S", "unjudged", "empty")
_LABEL_NAMES = {
    "E": "Exact",
    "S": "Substitute",
    "C": "Complement",
    "I": "Irrelevant",
    "E+S": "Exact or Substitute",
}
_WRITTEN = re.compile(r"^(?P<family>[a-z]+)(?:\((?P<view>[^()@]+)\))?(?:@(?P<depth>[1-9][0-9]*))?$")


@dataclass(frozen=True)
class Family:
    """The definition that all measures of one name share. `score` maps aligned arrays and a depth to float64
    [queries].
    """

    title: str
    formula: str
    citation: str
    score: Callable[[Aligned, int], Floats]
    graded: bool = False
    needs_depth: bool = True


def _recall(rows: Aligned, depth: int) -> Floats:
    return _ratio(np.count_nonzero(rows.gain[:, :depth], axis=1), rows.relevant)


def _precision(rows: Aligned, depth: int) -> Floats:
    return np.asarray(np.count_nonzero(rows.gain[:, :depth], axis=1) / depth, np.float64)


def _reciprocal_rank(rows: Aligned, depth: int) -> Floats:
    hits = rows.gain[:, :depth] > 0
    if not hits.shape[1]:
        return np.zeros(len(hits))
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)


def _average_precision(rows: Aligned, depth: int) -> Floats:
    hits = rows.gain[:, :depth] > 0
    at_rank = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _ratio((at_rank * hits).sum(axis=1), rows.relevant)


def _ndcg(rows: Aligned, depth: int) -> Floats:
    return _ratio(_discounted(rows.gain[:, :depth]), _discounted(rows.ideal[:, :depth]))


def _discounted(gain: Floats) -> Floats:
    # Not `@`: after such a small product, OpenBLAS threads keep spinning for a tenth of a second.
    discounted: Floats = np.einsum("ij,j->i", gain, 1.0 / np.log2(np.arange(2, gain.shape[1] + 2)))
    return discounted


def _ratio(above: npt.NDArray[np.float64] | npt.NDArray[np.int64], below: npt.NDArray[np.generic]) -> Floats:
    """Return `above / below`, and 0 where the divisor is 0."""
    return np.divide(above, below, out=np.zeros(len(below)), where=below != 0)


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "recall": Family(
            "Recall",
            "|relevant in the top k| / |relevant|",
            "C. J. van Rijsbergen, Information Retrieval, 1979",
            _recall,
        ),
        "precision": Family(
            "Precision",
            "|relevant in the top k| / k",
            "C. J. van Rijsbergen, Information Retrieval, 1979",
            _precision,
        ),
        "mrr": Family(
            "Reciprocal rank",
            "1 / rank of the first relevant product, 0 when none is in the top k",
            "P. Kantor and E. Voorhees, The TREC-5 Confusion Track, Information Retrieval 2, 2000",
            _reciprocal_rank,
            needs_depth=False,
        ),
        "map": Family(
            "Average precision",
            "mean over the relevant products of precision at their ranks, 0 for those not in the top k",
            "D. Harman, Evaluation Issues in Information Retrieval, IP&M 28, 1992",
            _average_precision,
            needs_depth=False,
        ),
        "ndcg": Family(
            "nDCG",
            "sum of gain / log2(rank + 1) over the top k, over the same sum of the best order of all judged "
            "products",
            "K. Järvelin and J. Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20, "
            "2002",
            _ndcg,
            graded=True,
            needs_depth=False,
        ),
    }
)


@dataclass(frozen=True)
class Measure:
    """One measure: `family`, `view` (a label for shares) and depth, None for the whole list."""

    family: str
    view: str
    depth: int | None

    @property
    def name(self) -> str:
        """The written form, for example `ndcg(esci)@10`."""
        return f"{self.family}({self.view})" + (f"@{self.depth}" if self.depth else "")

    @property
    def title(self) -> str:
        """Return the title, for example `Recall of Exact@10`; purchases are mentioned where they are the view
        of recall.
        """
        at = f"@{self.depth}" if self.depth else ""
        if self.family == "share":
            return f"{_LABEL_NAMES.get(self.view, self.view)} share{at}"
        if self.family == "recall" and self.view == "purchases":
            return f"Purchase recall{at}"
        family = FAMILIES[self.family]
        return (
            f"{family.title}{at}, {VIEWS[self.view]}"
            if family.graded
            else f"{family.title} of {VIEWS[self.view]}{at}"
        )

    @property
    def formula(self) -> str:
        """How one query's value is computed."""
        if self.family == "share":
            return "products of the top k with this judgment (or none, or no product at the rank) / k"
        return FAMILIES[self.family].formula

    @property
    def citation(self) -> str:
        """Return the publication that defines the measure; empty for shares, which are counts."""
        return "" if self.family == "share" else FAMILIES[self.family].citation


@dataclass(frozen=True)
class Scores:
    """Scores of one run in one measure: `values` float64 [queries]; `counted` bool [queries] marks queries in
    the mean.
    """

    measure: Measure
    queries: list[str]
    values: Floats
    counted: npt.NDArray[np.bool_]

    @property
    def mean(self) -> float:
        """The mean over the counted queries, 0.0 when there are none."""
        return float(self.values[self.counted].mean()) if self.counted.any() else 0.0


def parse(text: str, judgments: Judgments) -> Measure:
    """Parse a measure. A missing view defaults to one that `judgments` supports."""
    written = _WRITTEN.match(text.strip())
    family = written["family"] if written else ""
    if not written or family not in {*FAMILIES, "share"}:
        raise MmsearchError(
            f"expected a measure such as ndcg(esci)@10, recall@100 or share(E+S)@10, got {text!r}; "
            f"the families are {', '.join([*FAMILIES, 'share'])}"
        )
    depth = int(written["depth"]) if written["depth"] else None
    if depth is None and (family == "share" or FAMILIES[family].needs_depth):
        raise MmsearchError(
            f"expected a depth in {text!r}, got none; write {text}@10 for the first ten products"
        )
    if family == "share":
        if written["view"] not in SHARES:
            raise MmsearchError(
                f"expected share() of one of {', '.join(SHARES)}, got {text!r}; name one of them"
            )
        return Measure(family, written["view"], depth)
    default = graded_view if FAMILIES[family].graded else binary_view
    view = written["view"] or default(judgments)
    if view not in VIEWS:
        raise MmsearchError(
            f"expected one of the views {', '.join(VIEWS)} in {text!r}, got {view!r}; name one of them"
        )
    return Measure(family, view, depth)


def suite(judgments: Judgments, depths: tuple[int, ...] = (10, 100)) -> list[Measure]:
    """Return the measures that the judgments support at the given depths, those of the paper first. Shares
    use the first depth.
    """
    first = depths[0]
    names: list[str] = []
    if judgments.purchases:
        names += [f"recall(purchases)@{depth}" for depth in depths]
        names += [f"ndcg(purchases)@{first}", "mrr(purchases)"]
    if judgments.labels:
        names += [f"recall(exact)@{depth}" for depth in depths]
        names += [f"share({share})@{first}" for share in SHARES]
        names += [
            f"ndcg(esci)@{first}",
            f"ndcg(esci-script)@{first}",
            f"precision(exact)@{first}",
            "mrr(exact)",
        ]
    if judgments.grades:
        names += [f"recall(grade)@{depth}" for depth in depths]
        names += [f"ndcg(grade)@{first}", f"precision(grade)@{first}", "mrr(grade)", "map(grade)"]
    return [parse(name, judgments) for name in names]


class Evaluation:
    """Scores of one run against one set of judgments. Each view is aligned once and shared by the
    measures.
    """

    def __init__(self, judgments: Judgments, run: Run) -> None:
        self.judgments = judgments
        self.run = run
        self._queries = list(judgments.queries)
        self._views: dict[str, Aligned] = {}

    def scores(self, measure: Measure) -> Scores:
        """Return one value per query of the judgments, in their order."""
        if measure.family == "share":
            return self._shares(measure)
        rows = self._aligned(measure.view)
        depth = measure.depth or max(rows.gain.shape[1], rows.ideal.shape[1])
        return Scores(measure, self._queries, FAMILIES[measure.family].score(rows, depth), rows.relevant > 0)

    def _shares(self, measure: Measure) -> Scores:
        depth = measure.depth or 1
        labelled = np.fromiter(
            (key in self.judgments.labels for key in self._queries), bool, len(self._queries)
        )
        exact = self._aligned("exact")
        if measure.view == "empty":
            count = depth - np.minimum(exact.returned, depth)
        elif measure.view == "unjudged":
            count = np.minimum(exact.returned, depth) - exact.judged[:, :depth].sum(axis=1)
        else:
            count = np.zeros(len(self._queries), np.int64)
            for label in measure.view.split("+"):
                count += np.count_nonzero(self._aligned(f"label {label}").gain[:, :depth], axis=1)
        return Scores(measure, self._queries, count / depth, labelled)

    def _aligned(self, view: str) -> Aligned:
        if view not in self._views:
            if view.startswith("label "):
                wanted = view.removeprefix("label ")
                of_view: Mapping[str, Mapping[str, float]] = {
                    query: {product: float(label == wanted) for product, label in pairs.items()}
                    for query, pairs in self.judgments.labels.items()
                }
            else:
                of_view = gains(self.judgments, view)
            self._views[view] = align(self.run, of_view, self._queries)
        return self._views[view]


def score(measure: Measure, judgments: Judgments, run: Run) -> Scores:
    """Compute one measure of one run; see `Evaluation` for several."""
    return Evaluation(judgments, run).scores(measure)
