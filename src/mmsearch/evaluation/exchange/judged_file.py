"""Judgments from a file: JSON Lines, any table, the Shopping Queries Dataset, or TREC qrels."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from mmsearch.errors import MmsearchError, RecordError
from mmsearch.evaluation.exchange import esci as shopping
from mmsearch.evaluation.exchange import trec
from mmsearch.evaluation.judgments import Judgments, add_record
from mmsearch.products.rows import rows

logger = logging.getLogger("mmsearch.evaluation")
QRELS = (".qrels", ".txt")


def read_judgments(path: Path, *, esci: bool = False, only: Mapping[str, str] | None = None) -> Judgments:
    """Read judgments. Format, encoding and compression are detected from the content as for a catalog; a name
    that ends in .qrels or .txt is TREC.

    `esci` reads grades 3 to 0 of qrels as labels. `only` keeps the rows with these values in these columns.
    Of the Shopping Queries Dataset, the split `test` is read unless `only` names another. Raise OSError if
    there is no file, and MmsearchError with file, line and repair for an invalid line.
    """
    if path.suffix in QRELS:
        if only:
            raise MmsearchError(f"expected a file with columns to select from, got qrels in {path}")
        return trec.read_qrels(path, esci=esci)
    judgments = Judgments()
    wanted = dict(only or {})
    read = left = 0
    columns: list[str] = []
    try:
        for number, record in rows(path, logger.warning):
            read += 1
            if read == 1:
                shopping.require_judged(record, path)
                columns = list(record)
                if shopping.is_esci(record) and "split" in record:
                    wanted.setdefault("split", shopping.TEST)
            if not shopping.selected(record, wanted):
                left += 1
                continue
            try:
                add_record(judgments, shopping.judged(record) if shopping.is_esci(record) else record)
            except MmsearchError as error:
                raise MmsearchError(f"{path}, line {number}: {error}") from None
    except RecordError as error:
        raise MmsearchError(f"{path}, line {error.line}: {error.message}; fix or remove it") from None
    if said := require_selected(left, read, wanted, columns, path):
        logger.warning("%s", said)
    if not judgments.queries:
        raise MmsearchError(f"expected judged pairs in {path}, found none; write one JSON object a line")
    return judgments


def require_selected(
    left: int, read: int, wanted: Mapping[str, str], columns: Iterable[str], path: Path
) -> str:
    """Return the sentence about rows that were not selected, empty if there are none. Raise MmsearchError if
    all are.
    """
    by = ", ".join(f"{name}={value}" for name, value in wanted.items())
    if read and left == read:
        raise MmsearchError(
            f"expected rows with {by} in {path}, got none of {read}; select by its columns "
            f"{', '.join(list(columns)[:20])}"
        )
    return f"{left} of {read} rows of {path} are left out: only {by} is read" if left else ""
