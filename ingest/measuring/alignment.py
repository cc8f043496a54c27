"""How much the images of a catalog say to its encoder, and the weight of text-to-image similarity by it.

In a 4tMM vector by concatenation, the text part and the image part have equal weight. Where images say
little, as icons do to a model of photographs, that costs a fifth of the relevance. Alignment tells it without
judgments: the share of products whose own image is among the NEAREST to their title, out of SAMPLE products.
The share depends on the number of products, so the number is fixed; chance is NEAREST / SAMPLE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError
from mmsearch.clients.retry import Patience
from mmsearch.clients.triton import Encoder, Served, UnreadableError, Vectors
from mmsearch.errors import FaultError, RefusedError
from mmsearch.ingest.measuring.sample import random_products
from mmsearch.ingest.product_index import own_meta
from mmsearch.ingest.product_index.target import Target

KEY = "text_to_image"
"""the key of `_meta.mmsearch`"""
FIELD = "embedding"
SAMPLE = 400
DRAWN = 480
"""products that are read, since the encoder may know no word of a title"""
NEAREST = 10
MOST = 0.5
"""the weight of an image as high as that of the text"""
LOW = 0.1
"""alignment below which images say little to the model; four times that of chance"""
_TITLE_BYTES = 500
_BATCH = 32
_IN_FLIGHT = 4
Say = Callable[[str], None]


def measure_once(
    client: OpenSearch, target: Target, encoder: Encoder, served: Served, patience: Patience, say: Say
) -> None:
    """Measure the alignment of an index that has none yet, and write it into its `_meta`.

    Nothing is done for other fusions than concatenation with equal weights. An index with fewer than SAMPLE
    products that have a title and an image keeps equal weights and is measured by a later run. What cannot
    be measured is said. Raise AwayError when a server stays away.
    """
    if not served.text_part or FIELD not in target.fields:
        return
    try:
        ours = patience.call(lambda: own_meta.own_meta(client, target.index))
        if "alignment" in ours.get(KEY, {}):
            return
        found = described(served, *patience.call(lambda: _sample(client, target.index, encoder, served)))
        if found != ours.get(KEY):
            patience.call(lambda: own_meta.write(client, target.index, KEY, found))
    except (HttpError, RefusedError, FaultError) as error:
        say(
            f"expected to measure what the images of {target.index} say to the model, got {error}; text and "
            "images weigh the same until an ingest can measure it"
        )
        return
    if sentence := said(found):
        say(sentence)


def described(served: Served, titles: Vectors, images: Vectors) -> dict[str, Any]:
    """Return what `_meta` says, by the vectors of titles and of the same products' images."""
    found: dict[str, Any] = {"text_dimension": served.text_part, "products": len(titles)}
    if len(titles) < SAMPLE:
        return found
    share = alignment(titles, images)
    return found | {"alignment": round(share, 4), "weight": round(min(MOST, share), 4)}


def alignment(titles: Vectors, images: Vectors) -> float:
    """Return the share of rows whose own image is among the NEAREST to their title, by the inner product.

    Both are float32 [n, d] with rows of length 1. An image that is as near as one's own, such as the same
    image of a variant, counts as one's own.
    """
    near: NDArray[np.float32] = titles @ images.T
    nearer = (near > near.diagonal()[:, None] + 1e-5).sum(axis=1)
    return float((nearer < NEAREST).mean())


def weighed(vectors: Vectors, about: Mapping[str, Any]) -> Vectors:
    """Return vectors of query texts, float32 [n, d], as a `neural` clause searches by them: the text part
    times 1 - weight and the image part times weight, of length 1. `about` is what `_meta` says.
    """
    weight = about.get("weight", MOST)
    if not len(vectors) or weight == MOST:
        return vectors
    scale = np.full(vectors.shape[1], weight, np.float32)
    scale[: about["text_dimension"]] = 1 - weight
    scaled = vectors * scale
    found: Vectors = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return found


def said(found: Mapping[str, Any]) -> str:
    """Return a sentence about what `_meta` says, or nothing if nothing was measured."""
    if "alignment" not in found:
        return ""
    sentence = (
        f"text-to-image similarity weighs {found['weight']:.2f}, since {found['alignment']:.0%} of "
        f"{found['products']} sampled products have their image among the {NEAREST} nearest to their title "
        f"(chance {NEAREST / SAMPLE:.1%})"
    )
    if found["alignment"] < LOW:
        sentence += "; pictures of this catalog say little to this model"
    return sentence


def _sample(client: OpenSearch, index: str, encoder: Encoder, served: Served) -> tuple[Vectors, Vectors]:
    """Return vectors of up to SAMPLE titles, encoded as queries, and of the images of the same products."""
    drawn = [
        (title.encode()[:_TITLE_BYTES].decode(errors="ignore"), np.asarray(vector[served.text_part :], "f4"))
        for title, vector in _drawn(client, index)
        if len(vector) > served.text_part
    ]
    pairs: list[tuple[Vectors, Vectors]] = []
    # The rest of the sample is needed only if some titles cannot be read.
    for part in (drawn[:SAMPLE], drawn[SAMPLE:]):
        if len(pairs) < SAMPLE:
            read = _read(encoder, served, [title for title, _ in part])
            pairs += [
                (title, image / np.linalg.norm(image))
                for title, (_, image) in zip(read, part, strict=True)
                if title is not None and title.any() and image.any()
            ]
    pairs = pairs[:SAMPLE]
    if not pairs:
        none = np.zeros((0, served.dimensions[FIELD.upper()] - served.text_part), np.float32)
        return none, none
    titles, images = zip(*pairs, strict=True)
    return np.stack(titles), np.stack(images)


def _drawn(client: OpenSearch, index: str) -> list[tuple[str, list[float]]]:
    """Return titles and vectors of random products that have a text and an image."""
    both = [{"term": {"ingest.modalities": name}} for name in ("text", "image")]
    found = random_products(client, index, DRAWN, ["title", FIELD], seed=SAMPLE, filters=both)
    return [
        (source["title"], source[FIELD])
        for _, source in found
        if isinstance(source.get("title"), str) and isinstance(source.get(FIELD), list)
    ]


def _read(encoder: Encoder, served: Served, titles: Sequence[str]) -> list[Vectors | None]:
    """Return the image-space vector of each title as a query; None where the encoder knows no word of it."""
    size = min(_BATCH, served.max_batch)
    batches = [titles[start : start + size] for start in range(0, len(titles), size)]
    with ThreadPoolExecutor(_IN_FLIGHT) as pool:
        return [vector for found in pool.map(partial(_batch, encoder, served), batches) for vector in found]


def _batch(encoder: Encoder, served: Served, titles: Sequence[str]) -> list[Vectors | None]:
    rows = [(title.encode(), b"") for title in titles]
    try:
        (vectors,) = encoder.encode(rows, served, ("IMAGE_EMBEDDING",), queries=True)
        return list(vectors)
    except UnreadableError as error:
        unread = set(error.rows)
    kept = [number for number in range(len(titles)) if number not in unread]
    if len(kept) == len(titles):
        raise RefusedError(
            "unreadable_text", "expected the encoder to name texts that it cannot read, got none"
        )
    found: list[Vectors | None] = [None] * len(titles)
    if kept:
        for number, vector in zip(
            kept, _batch(encoder, served, [titles[each] for each in kept]), strict=True
        ):
            found[number] = vector
    return found
