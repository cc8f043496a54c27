"""The output of `mmsearch ingest --dry-run`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from mmsearch.cli.ending import would
from mmsearch.ingest.reporting.losses import KINDS
from mmsearch.ingest.reporting.stats import Report
from mmsearch.ingest.reporting.survey import LOOKED_AT, Survey
from mmsearch.ingest.schema.languages import LANGUAGES

WIDTH = 20
SHOWN = 100
"""characters of a value"""
NAMES = 20
"""columns that are listed"""


def lines(report: Report, survey: Survey) -> Iterator[str]:
    """Yield the lines of the output: format, first product, columns, missing fields."""
    known = LANGUAGES.get(survey.language)
    yield _row("feed", survey.preset or "no known platform; its columns are read as they are")
    yield _row("language", known.name.capitalize() if known and survey.language != "none" else "not known")
    yield _row("products", f"{survey.products:,} of {report.read:,} can be read")
    if survey.first:
        yield ""
        yield "The first product, as it would be indexed:"
        for name, value in survey.first.items():
            yield from _value(name, value)
    yield ""
    yield "Columns:"
    for name, paths in survey.columns.read.items():
        yield _row(name, f"from {_names(paths)}")
    for name, columns in (
        ("attributes", survey.columns.attributes),
        ("without values", survey.columns.empty),
        ("left out", survey.columns.dropped),
    ):
        if columns:
            yield _row(name, _names(columns))
    if survey.products:
        yield ""
        yield "Products with a value:"
        for name in LOOKED_AT:
            yield _row(name, f"{survey.filled[name]:,} of {survey.products:,}")
    if report.losses:
        yield ""
        yield "Problems:"
        for loss in report.losses:
            yield _row(f"{loss.count:,}", f"{KINDS[loss.kind]}, {loss.reason}: such as {loss.example}")
    yield ""
    yield "What would help:" if survey.advice else "Nothing is missing."
    for sentence in survey.advice:
        yield f"  {sentence}"
    yield ""
    yield would(report)


def _row(name: str, text: str) -> str:
    return f"  {name:<{WIDTH}}  {text}"


def _value(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in list(value.items())[:NAMES]:
            yield from _value(f"{name}.{key}", inner)
        if len(value) > NAMES:
            yield _row(name, f"and {len(value) - NAMES} more")
        return
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    yield _row(name, text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def _names(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - NAMES} more" if len(columns) > NAMES else ""
    return ", ".join(columns[:NAMES]) + more
