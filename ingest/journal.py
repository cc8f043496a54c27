"""On-disk journal of vectors that are encoded but not yet indexed, so that a killed run loses no work.

The index is the record of finished work: it has a hash of each text, image and field. The journal covers the
gap between the encoder and OpenSearch's response. It stores vectors by id and by the hashes of their inputs,
so that entries never match an edited product. An incomplete entry at the end, as after `kill -9`, is skipped.
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
    """The journal of one run, for one index and one encoder. Concurrent runs have separate files."""

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
        """Return the number of vectors of an earlier run that have not been used yet."""
        return len(self._left)

    def recall(self, items: Sequence[Item]) -> None:
        """Assign known vectors to items: those left by a killed run, or of the same content."""
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
        """Return the first item of each content that no other thread is encoding. The calling thread has to
        encode them.
        """
        mine = []
        with self._lock:
            for item in items:
                if _content(item) not in self._claimed:
                    self._claimed.add(_content(item))
                    mine.append(item)
        return mine

    def release(self, items: Sequence[Item]) -> None:
        """Release claimed contents after they were encoded or failed."""
        with self._lock:
            self._claimed.difference_update(map(_content, items))
            self._released.notify_all()

    def await_claimed(self, items: Sequence[Item]) -> None:
        """Wait until no other thread is encoding the contents of the items."""
        contents = set(map(_content, items))
        with self._lock:
            while not self._claimed.isdisjoint(contents):
                self._released.wait()

    def keep(self, items: Sequence[Item]) -> None:
        """Write the vectors of newly encoded items to the journal."""
        entries = [
            (_key(item), b"".join(item.vectors[field].tobytes() for field in self._fields))
            for item in items
            # Vectors per image vary in number and are not stored; after a crash they are encoded again.
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
        """Drop the vectors of items that are indexed or were rejected."""
        with self._lock:
            for item in items:
                self._pending.pop(_key(item), None)
            if self._file.tell() > COMPACT_BYTES:
                self._compact()

    def close(self) -> None:
        """Remove the file if no entry is pending; otherwise keep it for the next run."""
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
            # On a full disk an unbuffered write may be short without raising an error.
            while data:
                data = data[self._file.write(data) or 0 :]

    def _compact(self) -> None:
        """Write the pending entries to a new file and replace the old one."""
        old, self._file = self._file, self._create()
        self._append([*self._left.items(), *self._pending.items()])
        self._show()
        old.close()

    def _take_over(self, path: Path) -> None:
        """Read and remove the journal of a finished run. The journal of a running one is not touched."""
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                size = 4 * sum(self._shape)
                self._left.update((key, vectors) for key, vectors in _entries(file) if len(vectors) == size)
                path.unlink()
        except (BlockingIOError, FileNotFoundError):
            return

    def _create(self) -> BinaryIO:
        """Create and lock a file under a temporary name. Under its final name a run that starts now could
        take it for a leftover.
        """
        # Unbuffered, so that written data survives when the process is killed.
        with _writable(self._path):
            file = self._path.with_suffix(".new").open("wb", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def _show(self) -> None:
        """Rename the created file to its final name, replacing an older one."""
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
