"""Read and write TREC files: qrels (`query 0 product grade`) and runs (`query Q0 product rank score tag`).

Columns are separated by white space. Identifiers with white space are therefore percent-encoded when written
(`%20` for a space, and then `%25` for a percent sign) and decoded when read. All other identifiers are
unchanged, including percent signs and non-ASCII letters in files of other programs.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.runs import Run

# The grades of the TREC product search track for the four ESCI labels.
LABEL_GRADES = {"E": 3, "S": 2, "C": 1, "I": 0}
_GRADE_LABELS = {grade: label for label, grade in LABEL_GRADES.items()}
_SPACES = {quote(space): space for space in map(chr, range(sys.maxunicode + 1)) if space.isspace()}
# Each escape, and its escaped form for identifiers that contain it literally: %2520 for %20.
_ENCODED = re.compile("|".join(code.replace("%", "%(?:25)*") for code in _SPACES))
_ESCAPE = re.compile("%25|" + "|".join(_SPACES))


def read_qrels(path: Path, *, esci: bool = False) -> Judgments:
    """Read judgments from qrels with integer grades. With `esci`, grades become labels (3 E, 2 S, 1 C, 0
    I).
    """
    judgments = Judgments()
    for number, columns in _rows(path, 4):
        query, _, product, text = columns
        try:
            grade = int(text)
        except ValueError:
            raise _line_error(path, number, "an integer grade in column 4", text) from None
        if esci and grade not in _GRADE_LABELS:
            raise _line_error(path, number, "a grade from 0 to 3 to read as an ESCI label", text)
        judgments.add(
            Query(_identifier(query), _identifier(query)),
            _identifier(product),
            label=_GRADE_LABELS[grade] if esci else None,
            grade=None if esci else grade,
        )
    if not judgments.queries:
        raise MmsearchError(
            f"expected judged pairs in {path}, found none; write `query 0 product grade` lines"
        )
    return judgments


def write_qrels(judgments: Judgments, path: Path) -> int:
    """Write qrels: grades, or labels as 3 to 0, or 1 for a purchase. Return the number of lines."""
    count = 0
    with path.open("w", encoding="utf-8") as lines:
        for query in judgments.queries:
            graded: dict[str, float] = {
                **{
                    product: int(bought > 0) for product, bought in judgments.purchases.get(query, {}).items()
                },
                **{
                    product: LABEL_GRADES[label] for product, label in judgments.labels.get(query, {}).items()
                },
                **judgments.grades.get(query, {}),
            }
            for product, grade in graded.items():
                if grade != int(grade):
                    raise MmsearchError(
                        f"expected whole grades for qrels, got {grade} for {product!r} of query {query!r}; "
                        "write JSON Lines instead"
                    )
                lines.write(f"{_column(query)} 0 {_column(product)} {int(grade)}\n")
                count += 1
    return count


def read_run(path: Path, name: str | None = None) -> Run:
    """Read a run from a TREC file, named by its tag or by `name`. Scores determine the order, as in
    trec_eval.
    """
    scores: dict[str, dict[str, float]] = {}
    tag = ""
    for number, columns in _rows(path, 6):
        query, _, product, _, text, tag = columns
        try:
            score = float(text)
        except ValueError:
            score = math.nan
        if math.isnan(score):
            raise _line_error(path, number, "a number as the score in column 5", text)
        of_query = scores.setdefault(_identifier(query), {})
        product = _identifier(product)
        if product in of_query:
            raise _line_error(
                path, number, f"each product once for query {_identifier(query)!r}", f"{product!r} again"
            )
        of_query[product] = score
    return Run.from_scores(name or tag or path.stem, scores)


def write_run(run: Run, path: Path) -> int:
    """Write a run and return the number of lines.

    The scores are the engine's, with one exception: every reader sorts by score, and programs differ in ties
    and in 32 or 64 bits, so a score that ties with the one above it is lowered by one step of a 32-bit float.
    If the run's order is not that of its scores, reversed ranks are written as the scores of that query.
    """
    count = 0
    with path.open("w", encoding="utf-8") as lines:
        for query, products in run.products.items():
            scores = falling([run.scores[query][product] for product in products])
            for rank, (product, score) in enumerate(zip(products, scores, strict=True), 1):
                lines.write(f"{_column(query)} Q0 {_column(product)} {rank} {score} {_column(run.name)}\n")
                count += 1
    return count


def falling(scores: Sequence[float]) -> list[str]:
    """Return scores as text that fall strictly, both as 32-bit and as 64-bit floats."""
    single = np.asarray(scores, np.float32)
    written: list[str] = []
    above = np.float32(np.inf)
    for score, value in zip(scores, single, strict=True):
        lower = value < above
        above = value if lower else np.nextafter(above, np.float32(-np.inf))
        written.append(repr(float(score)) if lower else f"{above:.9g}")
    rises = (single[:-1] < single[1:]).any()
    if rises or not np.isfinite(single).all() or not np.isfinite(above):
        return [str(float(place)) for place in range(len(scores), 0, -1)]
    return written


def _column(identifier: str) -> str:
    """Encode an identifier as one column; `_identifier` decodes it."""
    if not any(map(str.isspace, identifier)) and not _ENCODED.search(identifier):
        return identifier
    escaped = identifier.replace("%", "%25")
    return "".join(quote(letter) if letter.isspace() else letter for letter in escaped)


def _identifier(column: str) -> str:
    if not _ENCODED.search(column):
        return column
    return _ESCAPE.sub(lambda code: _SPACES.get(code[0], "%"), column).strip()


def _rows(path: Path, width: int) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            columns = line.split()
            if columns and len(columns) != width:
                raise _line_error(path, number, f"{width} columns", str(len(columns)))
            if columns:
                yield number, columns


def _line_error(path: Path, number: int, expected: str, got: str) -> MmsearchError:
    return MmsearchError(f"{path}, line {number}: expected {expected}, got {got}; fix or remove the line")
