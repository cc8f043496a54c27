"""Catalogs as they are: JSON Lines, CSV, TSV and Parquet, compressed or not, odd lines included."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mmsearch.errors import CatalogError, RecordError
from mmsearch.ingest.id_set import RECENT, IdSet, slice_of
from mmsearch.products.catalog import Catalog
from mmsearch.products.record import MAX_LINE_BYTES, parse

RECORDS = [{"id": "a", "title": "één"}, {"id": "b", "title": 'x,"y"\n z'}]
JSONL = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS).encode()
CSV = '\ufeffid,title,price\r\na,één,\r\nb,"x,""y""\n z",\r\n'.encode()


def read(path: Path | str, form: str | None = None) -> list[dict[str, Any]]:
    catalog = Catalog(str(path), form)
    try:
        return [json.loads(line.raw) for line in catalog]
    finally:
        catalog.close()


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_json_lines_plain_and_gzip(tmp_path: Path) -> None:
    assert read(written(tmp_path, "c.jsonl", JSONL)) == RECORDS
    assert read(written(tmp_path, "c.jsonl.gz", gzip.compress(JSONL))) == RECORDS
    two_members = gzip.compress(JSONL[:10]) + gzip.compress(JSONL[10:])
    assert read(written(tmp_path, "misnamed.jsonl", two_members)) == RECORDS


def test_zstd(tmp_path: Path) -> None:
    import zstandard

    packed = zstandard.compress(JSONL[:10]) + zstandard.compress(JSONL[10:])
    assert read(written(tmp_path, "c.jsonl.zst", packed)) == RECORDS
    assert read(written(tmp_path, "c.csv.zst", zstandard.compress(CSV))) == RECORDS
    with pytest.raises(CatalogError, match="to the end"):
        read(written(tmp_path, "broken.zst", packed[:20] + b"\xff" * 20))


def test_csv_and_tsv(tmp_path: Path) -> None:
    assert read(written(tmp_path, "c.csv", CSV)) == RECORDS
    assert read(written(tmp_path, "c.csv.gz", gzip.compress(CSV))) == RECORDS
    assert read(written(tmp_path, "c.tsv", b"id\ttitle\na\tone\n")) == [{"id": "a", "title": "one"}]
    assert read(written(tmp_path, "c.txt", CSV), "csv") == RECORDS


def test_the_header_tells_the_separator(tmp_path: Path) -> None:
    for separator in ",;|\t":
        text = f'id{separator}title{separator}"a,b;c|d"\n1{separator}x, y; z{separator}2\n'
        text = text.replace("x, y; z", '"x, y; z"')
        assert read(written(tmp_path, "c.csv", text.encode())) == [
            {"id": "1", "title": "x, y; z", "a,b;c|d": "2"}
        ]
    # A tab is a tab file's separator whatever else stands in the header.
    assert read(written(tmp_path, "c.tsv", b"id\ta;b;c\n1\t2\n")) == [{"id": "1", "a;b;c": "2"}]


def test_rows_that_do_not_fit_are_told_one_by_one(tmp_path: Path) -> None:
    catalog = Catalog(str(written(tmp_path, "c.csv", b'id,title\n1,x\n2\n3,"a\nb"\n4,y,z\n5,\xff\n6,w\n')))
    outcomes = {}
    for line in catalog:
        try:
            outcomes[line.number] = parse(line).id
        except RecordError as error:
            outcomes[line.number] = error.reason
    catalog.close()
    assert outcomes == {2: "1", 3: "wrong_columns", 4: "3", 6: "wrong_columns", 7: "not_json", 8: "6"}


def test_a_csv_without_a_usable_header_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"id,id\n1,2\n"):
        with pytest.raises(CatalogError, match="distinct column names"):
            read(written(tmp_path, "c.csv", data))


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    table = pa.table(
        {
            "id": ["a", "b"],
            "price": [1.5, None],
            "tags": [["x", "y"], []],
            "image": [{"bytes": b"\x01\x02", "path": "a.png"}, None],
        }
    )
    path = tmp_path / "c.parquet"
    pa.parquet.write_table(table, path)
    assert read(path) == [
        {"id": "a", "price": 1.5, "tags": ["x", "y"], "image": "data:;base64,AQI="},
        {"id": "b", "tags": []},
    ]
    with pytest.raises(CatalogError, match="whole Parquet file"):
        read(written(tmp_path, "cut.parquet", path.read_bytes()[:-10]))


def test_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(gzip.compress(JSONL))))
    assert read("-") == RECORDS


def test_a_line_without_end_is_cut_and_the_next_one_read(tmp_path: Path) -> None:
    path = written(tmp_path, "c.jsonl", b"x" * (MAX_LINE_BYTES + 5) + b"\n\n" + JSONL)
    catalog = Catalog(str(path))
    lines = list(catalog)
    catalog.close()
    assert [line.number for line in lines] == [1, 3, 4]
    assert (lines[0].trouble or ("",))[0] == "line_too_long"
    assert len(lines[0].raw) < 2000


def test_a_file_that_ends_too_soon_fails_after_what_it_had(tmp_path: Path) -> None:
    import random

    noise = "".join(json.dumps({"id": str(random.random())}) + "\n" for _ in range(50_000)).encode()
    path = written(tmp_path, "c.jsonl.gz", gzip.compress(noise)[:-1000])
    catalog = Catalog(str(path))
    got = []
    with pytest.raises(CatalogError, match="the lines before are indexed"):
        got.extend(line.number for line in catalog)
    catalog.close()


@pytest.mark.parametrize("name", ["nothing.jsonl", "."])
def test_a_catalog_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogError, match="expected a catalog at"):
        Catalog(str(tmp_path / name))


def test_seen_ids_against_a_set() -> None:
    seen, slow = IdSet(), set()
    for start in range(0, 3 * RECENT, 999):
        ids = [str(number * 7 % (2 * RECENT)) for number in range(start, start + 999)]
        expected = []
        for identifier in ids:
            expected.append(identifier not in slow)
            slow.add(identifier)
        assert seen.add(ids) == expected
    assert len(seen) == len(slow)
    assert seen.has(["0", "5", "absent"]) == [True, True, False]


def test_slices_are_disjoint_whole_and_even() -> None:
    counts = [0] * 4
    for number in range(4_000):
        counts[slice_of(str(number).encode(), 4) - 1] += 1
    assert sum(counts) == 4_000
    assert min(counts) > 900
