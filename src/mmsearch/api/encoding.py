"""Encode queries and products with the encoder that an index was made for."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmsearch.api.arguments import require_choice
from mmsearch.api.failures import explained
from mmsearch.api.images import Image, image_bytes
from mmsearch.api.servers import Servers
from mmsearch.clients.retry import Patience
from mmsearch.clients.triton import FIELD_OUTPUTS, Encoder, Row, Served, UnreadableError, Vectors
from mmsearch.config import cache_folder
from mmsearch.errors import ArgumentError, PictureError, RecordError
from mmsearch.images.concurrent_fetch import ConcurrentFetch
from mmsearch.images.fetch import Fetch
from mmsearch.images.preprocess import Prepared
from mmsearch.images.process_pool import DecoderPool
from mmsearch.images.urls import is_url
from mmsearch.ingest.encode_stage import mean_direction, rows_of
from mmsearch.ingest.image_stage import task_of
from mmsearch.ingest.item import Item
from mmsearch.ingest.measuring.alignment import FIELD, KEY, weighed
from mmsearch.ingest.product_index.own_meta import own_meta
from mmsearch.ingest.product_index.target import existing_target, pinned
from mmsearch.products.reader import read_products
from mmsearch.products.record import Line

logger = logging.getLogger("mmsearch.encode")
BATCH = 32
"""rows a request"""
CHUNK = 128
"""products whose images are in memory at a time"""


@dataclass(frozen=True)
class _Encoding:
    """The version of an encoder, and the requested output."""

    encoder: Encoder
    served: Served
    output: str
    patience: Patience
    about: Mapping[str, Any] = field(default_factory=dict)
    """what the index says of its images in EMBEDDING"""

    @property
    def dimension(self) -> int:
        return self.served.dimensions[self.output]

    def vectors(self, rows: Sequence[Row], *, queries: bool) -> Vectors:
        """Return float32 [rows, dimension]; each vector has length one or zero."""
        batch = min(BATCH, self.served.max_batch)
        found = [np.empty((0, self.dimension), np.float32)]
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            try:
                found += self._asked(some, queries)
            except UnreadableError as error:
                if not all(some[row][1] for row in error.rows):
                    raise
                # As in ingest and in a `neural` clause, such a text is ignored if there is a picture.
                logger.warning(
                    "%d rows are encoded by their pictures alone: the encoder knows no word of their texts",
                    len(error.rows),
                )
                found += self._asked(
                    [
                        (b"" if row in error.rows else text, picture)
                        for row, (text, picture) in enumerate(some)
                    ],
                    queries,
                )
        return np.concatenate(found)

    def _asked(self, rows: Sequence[Row], queries: bool) -> list[Vectors]:
        return self.patience.call(
            lambda: self.encoder.encode(rows, self.served, [self.output], queries=queries)
        )


def encode_queries(
    servers: Servers,
    index: str,
    texts: Sequence[str],
    images: Sequence[Image | None] | None,
    field: str,
    give_up_after: float,
) -> Vectors:
    """Return float32 [queries, dimension]. Raise MmsearchError."""
    texts = _texts(texts)
    pictures = [None] * len(texts) if images is None else list(images)
    if len(pictures) != len(texts):
        raise ArgumentError(
            f"expected an image or None for each of {len(texts)} queries, got {len(pictures)} images"
        )
    rows = [
        (text.encode(), b"" if picture is None else image_bytes(picture))
        for text, picture in zip(texts, pictures, strict=True)
    ]
    for number, row in enumerate(rows):
        if not any(row):
            raise ArgumentError(f"expected a text or an image as query {number}, got neither")
    with explained("encode_queries"):
        encoding = _encoding(servers, index, field, give_up_after)
        vectors = encoding.vectors(rows, queries=True)
        alone = np.array([not picture for _, picture in rows], bool)
        return np.where(alone[:, None], weighed(vectors, encoding.about), vectors)


def encode_products(
    servers: Servers,
    index: str,
    lines: Iterable[Line],
    *,
    image_root: Path,
    fetch_images: bool,
    renames: Mapping[str, str],
    processes: int | None,
    field: str,
    give_up_after: float,
) -> Vectors:
    """Return float32 [products, dimension], as ingest would store them. Raise MmsearchError."""
    with explained("encode_products"), ExitStack() as opened:
        encoding = _encoding(servers, index, field, give_up_after)
        decoders = opened.enter_context(closing(DecoderPool(image_root, encoding.served.frame(), processes)))
        fetch = (
            opened.enter_context(closing(ConcurrentFetch(Fetch(cache_folder("pictures")))))
            if fetch_images
            else None
        )
        items = _items(lines, renames, encoding.served.max_text_bytes)
        found = [np.empty((0, encoding.dimension), np.float32)]
        while chunk := list(itertools.islice(items, CHUNK)):
            _read_images(chunk, decoders, fetch)
            rows = [rows_of(item) for item in chunk]
            vectors = encoding.vectors(list(itertools.chain.from_iterable(rows)), queries=False)
            ends = list(itertools.accumulate(map(len, rows)))
            parts = np.split(vectors, ends[:-1])
            found.append(np.stack([mean_direction(part) for part in parts]))
        return np.concatenate(found)


def _encoding(servers: Servers, index: str, field: str, give_up_after: float) -> _Encoding:
    """Return the version that the index was made for, or the newest one without an index.

    Raise MismatchError if the index's encoder is no longer served.
    """
    require_choice("field", field, tuple(FIELD_OUTPUTS))
    encoder, client = servers.encoder(), servers.opensearch()
    served = encoder.describe()
    if pin := pinned(client, index):
        served = encoder.pinned(served, pin.version, pin.fingerprint, pin.dimensions)
    target = existing_target(client, index, served)
    output = FIELD_OUTPUTS[field]
    if output not in served.dimensions:
        raise ArgumentError(
            f"expected a field that {served.architecture or encoder.name} has an output for, got {field}; "
            f"it has {', '.join(served.dimensions)}"
        )
    about = own_meta(client, target.index).get(KEY, {}) if target and field == FIELD else {}
    return _Encoding(encoder, served, output, Patience(give_up_after, logger.warning), about)


def _texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise ArgumentError("expected a sequence of texts, got one str; put it in a list")
    texts = list(texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ArgumentError(f"expected a str as text {number}, got {type(text).__name__}")
    return texts


def _items(lines: Iterable[Line], renames: Mapping[str, str], max_text_bytes: int) -> Iterator[Item]:
    for line, product in read_products(lines, renames):
        if isinstance(product, RecordError):
            raise product
        if product.delete:
            raise ArgumentError(
                f"expected products to encode, got the deletion of {product.id!a}; leave it out"
            )
        yield Item.of(line, product, max_text_bytes)


def _read_images(items: Sequence[Item], decoders: DecoderPool, fetch: ConcurrentFetch | None) -> None:
    """Read the images of each item. Raise PictureError, which names the product."""
    pictured = [item for item in items if item.references]
    # Start all reads before waiting for the first.
    fetched = [
        fetch.start([each for each in item.references if is_url(each)]) if fetch else [] for item in pictured
    ]
    tasks = []
    for item, futures in zip(pictured, fetched, strict=True):
        try:
            tasks.append(task_of(item, iter([future.result() for future in futures])))
        except PictureError as error:
            raise _of(item, error) from None
    for item, result in zip(pictured, decoders.result(decoders.submit(tasks)), strict=True):
        if not isinstance(result, Prepared):
            raise _of(item, result)
        item.pictures = result.pictures
    for item in items:
        if not item.text and not item.pictures:
            raise RecordError(
                "nothing_to_encode",
                f"expected a title, description or picture of {item.product.id!a}, got none of them",
            )


def _of(item: Item, error: PictureError) -> PictureError:
    return PictureError(error.reason, f"product {item.product.id!a}: {error.message}")
