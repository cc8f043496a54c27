"""The journal between the encoder and the index."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from mmsearch.clients.triton import Served
from mmsearch.ingest import journal as module
from mmsearch.ingest.item import Item
from mmsearch.ingest.journal import Journal
from mmsearch.products.record import Line, Product

SERVED = Served("item_encoder", "query_encoder", "1", "f" * 64, "fake", {"EMBEDDING": 4}, 64, 0, 0)


def item(identifier: str, title: str = "", number: float = 1.0) -> Item:
    found = Item.of(Line(1, b""), Product(1, identifier, title or identifier))
    found.vectors = {"embedding": np.full(4, number, np.float32)}
    return found


def bare(identifier: str, title: str = "") -> Item:
    found = item(identifier, title)
    found.vectors = {}
    return found


def opened(folder: Path, index: str = "products-000001") -> Journal:
    return Journal(folder, index, SERVED, ["embedding"])


def left(folder: Path, index: str = "products-000001") -> set[str]:
    """What a new run finds, of the ids that the tests use."""
    journal = opened(folder, index)
    found = [bare(name) for name in "abcd"]
    journal.recall(found)
    journal.confirm(each for each in found if each.vectors)
    journal.close()
    return {each.product.id for each in found if each.vectors}


def test_what_is_not_confirmed_is_found_by_the_next_run(tmp_path: Path) -> None:
    first = opened(tmp_path)
    items = [item("a", number=1.0), item("b", number=2.0), item("c", number=3.0)]
    first.keep(items)
    first.confirm(items[:1])
    first.close()
    second = opened(tmp_path)
    assert second.recovered == 3  # the index says which of them it has; the journal need not know
    again = bare("b")
    second.recall([again])
    np.testing.assert_array_equal(again.vectors["embedding"], np.full(4, 2.0, np.float32))
    second.close()


def test_a_clean_end_leaves_no_file(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    items = [item("a")]
    journal.keep(items)
    journal.confirm(items)
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_an_edited_text_another_index_and_another_encoder_find_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.keep([item("a", "old title")])
    journal.close()
    assert left(tmp_path) == set()
    journal = opened(tmp_path)
    journal.keep([item("a")])
    journal.close()
    assert left(tmp_path, "another") == set()
    assert left(tmp_path) == {"a"}


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 20, 33])
def test_a_half_written_entry_is_skipped(tmp_path: Path, cut: int) -> None:
    journal = opened(tmp_path)
    journal.keep([item("a"), item("b")])
    journal.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    assert left(tmp_path) == {"a"}


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.keep([item("a"), item("b")])
    journal.close()
    (path,) = tmp_path.iterdir()
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)
    assert left(tmp_path) == {"a"}


def test_the_journal_of_a_running_ingest_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from tests.unit.test_journal import *; p = opened(Path(sys.argv[1])); p.keep([item('a')]);"
        "print('ready', flush=True); sys.stdin.read()"
    )
    root = str(Path(__file__).parents[2])
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), root], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == b"ready\n"
        assert left(tmp_path) == set()
        other.kill()
        other.wait()
        assert left(tmp_path) == {"a"}
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()


def test_a_long_journal_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPACT_BYTES", 2_000)
    journal = opened(tmp_path)
    for number in range(200):
        items = [item(f"x{number}")]
        journal.keep(items)
        if number != 50:
            journal.confirm(items)
        (path,) = tmp_path.iterdir()
        assert path.stat().st_size < 3_000
    journal.keep([item("b")])
    journal.close()
    assert left(tmp_path) == {"b"}


def test_of_equal_contents_one_is_enough(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.keep([item("a", "same", 5.0)])
    other = bare("b", "same")
    journal.recall([other])
    np.testing.assert_array_equal(other.vectors["embedding"], np.full(4, 5.0, np.float32))
    journal.close()


def test_a_run_that_begins_while_another_begins_leaves_its_journal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, others = module.fcntl.flock, []

    def flock(file: object, how: int) -> None:
        # Between the moment that the first has its file and the one that it locks it.
        if not others:
            others.append(None)
            thread = threading.Thread(target=lambda: others.append(opened(tmp_path)))
            thread.start()
            thread.join()
        lock(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(module.fcntl, "flock", flock)
    first = opened(tmp_path)
    first.keep([item("a")])
    _, other = others
    assert isinstance(other, Journal)
    other.close()
    first.close()
    assert left(tmp_path) == {"a"}
