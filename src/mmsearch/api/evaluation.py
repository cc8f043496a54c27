"""Measure systems against judgments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmsearch.api.arguments import path_of, require_choice, require_number
from mmsearch.api.failures import explained
from mmsearch.api.judged import Asked, Judged, Systems, judgments_of
from mmsearch.api.servers import File
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.exchange import trec
from mmsearch.evaluation.gate import Verdict, parse_gate
from mmsearch.evaluation.gather import require_overlap
from mmsearch.evaluation.live import WAYS
from mmsearch.evaluation.measures import parse, suite
from mmsearch.evaluation.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from mmsearch.api.client import Client


@dataclass(frozen=True)
class EvaluationReport:
    """The result of an evaluation.

    study     all numbers: scores per query, comparisons with the baseline, exclusive matches, slices
    verdicts  results of the gates, one per gate and system
    """

    study: Study
    verdicts: tuple[Verdict, ...] = ()
    _folder: Path = field(default=Path(), repr=False)

    @property
    def passed(self) -> bool:
        """Return whether all gates pass."""
        return all(verdict.passed for verdict in self.verdicts)

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """Return system → measure → mean over the scored queries."""
        return {
            system: {name: of_system[system].mean for name, of_system in self.study.scores.items()}
            for system in self.study.systems
        }

    @property
    def problems(self) -> dict[str, dict[str, str]]:
        """Return system → query → reason of the failure; a failed query counts as zero."""
        return {run.name: dict(run.problems) for run in self.study.runs if run.problems}

    def summary(self) -> dict[str, Any]:
        """Return the object of `mmsearch evaluate --json`."""
        return self.study.as_json(self.verdicts)

    def frame(self) -> pd.DataFrame:
        """Return the means as a DataFrame: one row per measure, one column per system. Raises
        MissingPackageError without pandas.
        """
        with explained("EvaluationReport.frame"):
            import pandas
        return pandas.DataFrame(self.means, columns=self.study.systems).rename_axis("measure")

    def per_query(self) -> pd.DataFrame:
        """Return a DataFrame with one row per query and system: query, system, problem (or None), and each
        measure.

        Raises MissingPackageError without pandas.
        """
        with explained("EvaluationReport.per_query"):
            import pandas
        rows = [
            {
                "query": query,
                "system": run.name,
                "problem": run.problems.get(query),
                **{name: float(scores[run.name].values[row]) for name, scores in self.study.scores.items()},
            }
            for row, query in enumerate(self.study.judgments.queries)
            for run in self.study.runs
        ]
        return pandas.DataFrame(rows)

    def write_per_query(self, path: File) -> None:
        """Write the rows of `per_query` as a CSV file."""
        self.study.write_per_query(path_of("path", path))

    def write_runs(self, folder: File) -> None:
        """Write the results of each system to the folder as a TREC run, NAME.run."""
        into = path_of("folder", folder)
        into.mkdir(parents=True, exist_ok=True)
        for run in self.study.runs:
            trec.write_run(run, into / f"{run.name}.run")

    def write_report(
        self,
        path: File,
        *,
        title: str = "Search relevance report",
        show: int = 12,
        show_queries: Sequence[str] = (),
        image_root: File | None = None,
    ) -> None:
        """Write the report: one self-contained HTML file with pictures and plots.

        `show` is the number of queries shown side by side, `show_queries` are always shown. `image_root` is
        the folder with the products' images, by default the judgments' folder. Raises MissingPackageError
        without mmsearch[ui].
        """
        with explained("the report"):
            from mmsearch.evaluation.report.cards import Thumbnails
            from mmsearch.evaluation.report.page import render
        for query in show_queries:
            if query not in self.study.judgments.queries:
                raise MmsearchError(
                    f"expected judged queries for --show-query, got {query!r}; name one of the judgments"
                )
        root = self._folder if image_root is None else path_of("image_root", image_root)
        page = render(
            self.study,
            title=title,
            show=show,
            named=tuple(show_queries),
            product_pictures=Thumbnails(root),
            query_pictures=Thumbnails(self._folder),
            verdicts=self.verdicts,
        )
        into = path_of("path", path)
        into.parent.mkdir(parents=True, exist_ok=True)
        into.write_text(page, encoding="utf-8")


def evaluate(
    judgments: Judged,
    systems: Systems,
    *,
    client: Client | None = None,
    baseline: str | None = None,
    measures: Sequence[str] = (),
    depth: int = 100,
    gates: Sequence[str] = (),
    through: Literal["msearch", "rank_eval"] = "msearch",
    collapse: str | None = None,
    image_root: File | None = None,
    esci: bool = False,
    only: Mapping[str, str] | None = None,
) -> EvaluationReport:
    """Measure systems against judgments: recall, relevance, nDCG and exclusive matches, with intervals.

    judgments   judged pairs: an iterable of dicts or a pandas DataFrame with `query`, `product_id` and one of
                `label` (E, S, C, I), `purchases` or `grade`; or a file: JSON Lines, any table with
                these columns, the Shopping Queries Dataset (ESCI), or TREC qrels
    systems     by name: "lexical", "neural", "text", "picture" or "hybrid"; a search body with the
                placeholders {{query}}, {{query_image}} and {{k}}, or its path; or a run, as {query:
                {product: score}}, as a DataFrame with query, product_id and score, or as a TREC file
    client      the index on which search bodies are run
    baseline    the system that the others are compared with; default: the first
    measures    for example ("ndcg@10", "recall@100"); default: all that apply; the first is the main one
    depth       hits per query, 1 to 10,000
    gates       for example "ndcg@10 >= baseline - 0.5%"; see `report.passed`
    through     send searches by _msearch or by _rank_eval
    collapse    keep the best hit alone for each value of this field, in systems that are searched; "group"
                for one variant of each product
    image_root  folder with the queries' images; default: the judgments' folder
    esci        read grades 3 to 0 of qrels as E, S, C, I
    only        read only the rows of the file with these values by column, for example
                {"product_locale": "us"}; of the Shopping Queries Dataset, default: {"split": "test"}

    A failed query counts as zero and is listed in `report.problems`. Raises MmsearchError if judgments,
    systems, measures or gates cannot be read, the node is unreachable, a run answers no judged query, or no
    system finds a judged product.
    """
    require_number("depth", depth, 1, 10_000)
    require_choice("through", through, WAYS)
    with explained("evaluate"):
        judged, folder = judgments_of(judgments, esci=esci, only=only)
        checks = [parse_gate(gate) for gate in gates]
        chosen = [parse(text, judged) for text in measures] or suite(
            judged, (10, depth) if depth > 10 else (depth,)
        )
        folder = folder if image_root is None else path_of("image_root", image_root)
        asked = Asked(systems, client, depth, collapse)
        runs, answered = asked.runs(judged, folder, through)
        require_overlap(judged, runs, asked.indexed)
        study = Study(judged, runs, chosen, baseline or runs[0].name, depth, answers=answered)
        return EvaluationReport(study, tuple(study.check(checks)), folder)
