"""Texts that the towers cannot read, on the real servers: from a catalog to the answer of a search."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

import mmsearch
from mmsearch.errors import RefusedError, SearchError

from ..conftest import StackUnderTest
from ..fakes.asking import ask

pytestmark = pytest.mark.integration
INDEX = "words"


def drawn(colour: str, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="module")
def shop(stack: StackUnderTest) -> Iterator[mmsearch.Client]:
    with mmsearch.Client(stack.opensearch.url, triton=stack.triton.grpc, index=INDEX) as client:
        report = client.ingest(
            [
                {"id": "chair", "title": "CHAIR", "image": drawn("brown")},
                {"id": "wide", "title": "ＣＨＡＩＲ", "image": drawn("brown")},
                {"id": "sofa", "title": "ソファ", "image": drawn("red", "TIFF")},
                {"id": "bare", "title": "🪑"},
                {"id": "lamp", "title": "green lamp", "image": drawn("green", "AVIF")},
            ],
            language="none",
        )
        assert (report.indexed, report.without_text, report.reasons) == (4, 1, {"unreadable_text": 1})
        yield client
    ask(stack.opensearch.url, "DELETE", f"/{INDEX}-000001")


def test_a_text_of_another_width_has_the_vector_of_the_plain_one(shop: mmsearch.Client) -> None:
    found = shop.encode_products(
        [{"id": "a", "title": "CHAIR"}, {"id": "b", "title": "ＣＨＡＩＲ"}, {"id": "c", "title": "lamp"}]
    )
    np.testing.assert_array_equal(found[0], found[1])
    assert float(found[0] @ found[2]) < 0.9
    queries = shop.encode_queries(["chair", "ＣＨＡＩＲ"])
    np.testing.assert_array_equal(queries[0], queries[1])
    names = [{hit.id for hit in shop.search(text, mode="neural", k=2)} for text in ("chair", "ＣＨＡＩＲ")]
    assert names == [{"chair", "wide"}] * 2


@pytest.mark.parametrize("text", ["🪑", "ソファ", "\x01\u200b", "🪑!"])
def test_a_query_without_a_known_word(shop: mmsearch.Client, text: str) -> None:
    with pytest.raises(
        SearchError, match="expected a text with words that the encoder query_encoder:1 knows"
    ):
        shop.search(text, mode="neural")
    with pytest.raises(RefusedError, match="expected a text with words that the encoder knows"):
        shop.encode_queries([text])
    found = shop.search(text)
    (degraded,) = found.degraded
    assert degraded["leg"] == "dense"
    assert "expected a text with words that the encoder" in degraded["reason"]
    assert [hit.id for hit in found] == (["sofa"] if text == "ソファ" else [])


def test_with_a_picture_the_picture_is_searched_by(shop: mmsearch.Client) -> None:
    alone = shop.search(image=drawn("red"))
    both = shop.search("ソファ", image=drawn("red"), mode="neural")
    assert [(hit.id, hit.score) for hit in both] == [(hit.id, hit.score) for hit in alone]
    (degraded,) = both.degraded
    assert degraded["reason"].startswith("query_text is left out, because the encoder")
    # An image in a format that only ingest reads is converted.
    assert [hit.id for hit in shop.search(image=drawn("red", "BMP"))] == [hit.id for hit in alone]
