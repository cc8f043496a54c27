from __future__ import annotations

import hashlib
import multiprocessing
from pathlib import Path

import pytest

from mmsearch.errors import StackError
from mmsearch.stack.downloads import Archive, archives, fetch
from mmsearch.stack.variants import official

CONTENT = b"a distribution"
PINNED = Archive("org.example", "thing", "1.2", hashlib.sha256(CONTENT).hexdigest())


def registry(*served: bytes):
    """A resolver that serves these contents in turn, and notes whether the machine's repository was
    allowed."""
    turns = iter(served)
    asked: list[bool] = []

    def resolve(archive: Archive, scratch: Path, machine_repository: bool) -> Path:
        asked.append(machine_repository)
        path = scratch / "as-served.zip"
        path.write_bytes(next(turns))
        return path

    return resolve, asked


def test_a_download_is_kept_under_its_name_and_asked_for_once(tmp_path: Path) -> None:
    resolve, asked = registry(CONTENT)
    first = fetch(PINNED, tmp_path, resolve)
    assert fetch(PINNED, tmp_path, resolve) == first
    assert first == tmp_path / "thing-1.2.zip"
    assert first.read_bytes() == CONTENT
    assert asked == [True]


def test_a_broken_copy_of_the_machine_sends_us_to_the_registry(tmp_path: Path) -> None:
    resolve, asked = registry(b"half a distr", CONTENT)
    assert fetch(PINNED, tmp_path, resolve).read_bytes() == CONTENT
    assert asked == [True, False]


def test_another_content_than_the_pinned_is_refused_and_not_kept(tmp_path: Path) -> None:
    resolve, _ = registry(b"evil", b"evil")
    with pytest.raises(StackError) as caught:
        fetch(PINNED, tmp_path, resolve)
    assert PINNED.sha256 in str(caught.value)
    assert hashlib.sha256(b"evil").hexdigest() in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [".thing-1.2.zip.lock"]


def test_a_spoiled_cache_is_downloaded_again(tmp_path: Path) -> None:
    (tmp_path / "thing-1.2.zip").write_bytes(b"spoiled")
    resolve, _ = registry(CONTENT)
    assert fetch(PINNED, tmp_path, resolve).read_bytes() == CONTENT


def _fetch_slowly(cache: Path, calls: Path) -> None:
    import time

    def resolve(archive: Archive, scratch: Path, machine_repository: bool) -> Path:
        with calls.open("a") as file:
            file.write("asked\n")
        time.sleep(0.3)
        path = scratch / "as-served.zip"
        path.write_bytes(CONTENT)
        return path

    assert fetch(PINNED, cache, resolve).read_bytes() == CONTENT


def test_of_two_processes_at_once_one_downloads(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    calls = tmp_path / "calls"
    both = [context.Process(target=_fetch_slowly, args=(tmp_path / "cache", calls)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join(20)
    assert [each.exitcode for each in both] == [0, 0]
    assert calls.read_text() == "asked\n"


@pytest.mark.parametrize("pinned", ["downloads.json", official.PINNED])
def test_every_archive_is_pinned_by_a_whole_sha256_and_names_no_registry(pinned: str) -> None:
    for archive in archives(pinned).values():
        assert len(bytes.fromhex(archive.sha256)) == 32
        assert "://" not in f"{archive.group}{archive.artifact}{archive.version}"
