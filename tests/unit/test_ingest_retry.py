"""The rejects file: what it holds, and that it can be fixed and tried again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmsearch.errors import CatalogError, PictureError
from mmsearch.ingest.reporting.reject_writer import Rejects
from mmsearch.ingest.reporting.stats import Stats
from mmsearch.products.record import Line
from mmsearch.products.rejects import Rejected


def written(path: Path, *lines: bytes) -> None:
    rejects = Rejects(path, {"catalog": "c.jsonl", "image_root": "/pictures"}, Stats())
    for number, line in enumerate(lines, 5):
        rejects.add(
            Line(number, line), "an id", PictureError("not_found", "expected a picture, found no file")
        )
    rejects.close()


@pytest.mark.parametrize(
    "line",
    [
        b'{"id": "a", "title": "x"}\r\n',
        b'{"id": 1, "id": 2}\n',
        b'{"id": "a", "title": \n',
        b"[1, 2]\n",
        b'{"a": "record", "record": {"id": 3}}\n',
        '{"id": "é"}'.encode(),
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
    ],
)
def test_a_line_comes_back_as_it_was(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rejects.jsonl"
    written(path, line)
    rejected = Rejected(path)
    assert list(rejected) == [Line(5, line.strip())]
    assert rejected.origin == {"catalog": "c.jsonl", "image_root": "/pictures"}
    rejected.close()


def test_an_entry_says_line_id_stage_reason_and_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    written(path, b'{"id": "a"}')
    assert json.loads(path.read_text()) == {
        "line": 5,
        "id": "an id",
        "stage": "image",
        "reason": "not_found",
        "message": "expected a picture, found no file",
        "from": {"catalog": "c.jsonl", "image_root": "/pictures"},
        "record": {"id": "a"},
    }


def test_a_line_may_be_mended_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    written(path, b'{"id": "a", "title": ')
    path.write_text(path.read_text().replace('\\"title\\":', '\\"title\\": 1}'))
    rejected = Rejected(path)
    assert next(iter(rejected)).raw == b'{"id": "a", "title": 1}'
    rejected.close()


def test_no_file_is_made_without_a_reject_and_an_old_one_goes(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    written(path, b"{}")
    assert path.exists()
    written(path)
    assert not path.exists()


def test_a_file_that_is_no_rejects_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    with pytest.raises(CatalogError, match="choose one by --rejects"):
        Rejects(path, {}, Stats())
    assert path.read_text() == "my notes\n"
