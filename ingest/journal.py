"""What has been encoded and is not yet in the index, on disk, so that a killed run loses no work.

The index itself is the record of what is done: it keeps a hash of each text, picture and field. Between the
encoder and OpenSearch's answer lies what this journal holds: vectors by id and by the hashes of what they
were made from, so that an edited catalog finds nothing wrong in it. A half-written entry at the end, as
`kill -9` leaves it, is skipped.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mmsearch.clients.triton import FIELD_OUTPUTS, Served
from mmsearch.errors import FolderError
from mmsearch.ingest.item import Item

_HEAD = struct.Struct("<II")
COMPACT_BYTES = 64 << 20
KEPT_IN_MEMORY = 4096  # contents whose vectors are kept in memory, so that a duplicate is encoded once
Kept = dict[str, Any]


class Journal:
    """The journal of one run, for one index and one encoder; runs side by side have files of their own."""

    def __init__(self, folder: Path, index: str, served: Served, fields: Sequence[str]) -> None:
        self._fields = tuple(field for field in fields if field in FIELD_OUTPUTS)
        self._shape = [served.dimensions[FIELD_OUTPUTS[field]] for field in self._fields]
        self._pending: dict[bytes, bytes] = {}
        self._left: dict[bytes, bytes] = {}
        self._contents: OrderedDict[tuple[str, str], Kept] = OrderedDict()
        self._claimed: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._released = threading.Condition(self._lock)
        name = hashlib.sha256("\0".join((index, served.fingerprint, *fields)).encode()).hexdigest()[:16]
        with _writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob(f"{name}-*.journal")):
            self._take_over(path)
        self._path = folder / f"{name}-{os.getpid()}-{threading.get_ident()}.journal"
        self._file = self._create()
        self._append(self._left.items())
        self._show()

    @property
    def recovered(self) -> int:
        """How many vectors an earlier run left behind that nobody has asked for yet."""
        return len(self._left)

    def recall(self, items: Sequence[Item]) -> None:
        """Give each item its vectors where they are known: left by a killed run, or of the same content."""
        with self._lock:
            for item in items:
                left = self._left.pop(_key(item), None) if self._left else None
                if left is not None:
                    item.vectors = self._vectors(left)
                    self._pending[_key(item)] = left
                elif (content := self._contents.get(_content(item))) is not None:
                    item.vectors = content
                    self._contents.move_to_end(_content(item))

    def claim(self, items: Sequence[Item]) -> list[Item]:
        """The first item of each content that no other thread is encoding; they are this thread's
        to encode."""
        mine = []
        with self._lock:
            for item in items:
                if _content(item) not in self._claimed:
                    self._claimed.add(_content(item))
                    mine.append(item)
        return mine

    def release(self, items: Sequence[Item]) -> None:
        """What was claimed has been encoded, or could not be."""
        with self._lock:
            self._claimed.difference_update(map(_content, items))
            self._released.notify_all()

    def await_claimed(self, items: Sequence[Item]) -> None:
        """Wait until none of the items' contents is being encoded by another thread."""
        contents = set(map(_content, items))
        with self._lock:
            while not self._claimed.isdisjoint(contents):
                self._released.wait()

    def keep(self, items: Sequence[Item]) -> None:
        """Write down the vectors of items that have just been encoded."""
        entries = [
            (_key(item), b"".join(item.vectors[field].tobytes() for field in self._fields))
            for item in items
            # Vectors by picture are of any number; what is killed between encoder and index is encoded again.
            if "pictures" not in item.vectors
        ]
        with self._lock:
            self._append(entries)
            self._pending.update(entries)
            for item in items:
                self._contents[_content(item)] = item.vectors
            while len(self._contents) > KEPT_IN_MEMORY:
                self._contents.popitem(last=False)

    def confirm(self, items: Iterable[Item]) -> None:
        """These items are in the index, or will never be: their vectors are not needed any more."""
        with self._lock:
            for item in items:
                self._pending.pop(_key(item), None)
            if self._file.tell() > COMPACT_BYTES:
                self._compact()

    def close(self) -> None:
        """Remove the file when nothing is open; else leave it to the next run."""
        with self._lock:
            if not self._pending and not self._left:
                self._path.unlink(missing_ok=True)
            self._file.close()

    def _vectors(self, raw: bytes) -> Kept:
        found: Kept = {}
        at = 0
        for field, dimension in zip(self._fields, self._shape, strict=True):
            found[field] = np.frombuffer(raw, "<f4", dimension, at)
            at += 4 * dimension
        return found

    def _append(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        data = b"".join(_packed(key, vectors) for key, vectors in entries)
        with _writable(self._path):
            # An unbuffered file takes less than all when the disk is full, without an error.
            while data:
                data = data[self._file.write(data) or 0 :]

    def _compact(self) -> None:
        """Write what is still open into a new file and put it in the place of the old one."""
        old, self._file = self._file, self._create()
        self._append([*self._left.items(), *self._pending.items()])
        self._show()
        old.close()

    def _take_over(self, path: Path) -> None:
        """Read the journal of a run that has ended, and remove it; that of a running one is left alone."""
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                size = 4 * sum(self._shape)
                self._left.update((key, vectors) for key, vectors in _entries(file) if len(vectors) == size)
                path.unlink()
        except (BlockingIOError, FileNotFoundError):
            return

    def _create(self) -> BinaryIO:
        """A file under a name that no run looks for, locked: by its own name a run that begins at the same
        time would take it for one that was left behind."""
        # Unbuffered, so that what was written is the kernel's when the process is killed.
        with _writable(self._path):
            file = self._path.with_suffix(".new").open("wb", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def _show(self) -> None:
        """Give the file that was created its name, in the place of an older one."""
        with _writable(self._path):
            self._path.with_suffix(".new").replace(self._path)


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderError(
            f"expected to write the journal {path}, got: {error.strerror}; make room there, or name another "
            "folder by MMSEARCH_CACHE"
        ) from None


def _content(item: Item) -> tuple[str, str]:
    return item.text_hash, item.image_hash


def _key(item: Item) -> bytes:
    return "\0".join((item.product.id, item.text_hash, item.image_hash)).encode()


def _packed(key: bytes, vectors: bytes) -> bytes:
    body = len(key).to_bytes(2, "little") + key + vectors
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def _entries(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    with contextlib.suppress(struct.error):
        while True:
            length, check = _HEAD.unpack(file.read(_HEAD.size))
            body = file.read(length)
            if len(body) != length or zlib.crc32(body) != check:
                return
            end = 2 + int.from_bytes(body[:2], "little")
            yield body[2:end], body[end:]
