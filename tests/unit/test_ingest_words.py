"""Products whose texts the encoder cannot read come in by their pictures, or are rejected and say why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from mmsearch.clients.triton import Encoder, UnreadableError
from mmsearch.errors import EncoderError
from mmsearch.products.record import Line, parse
from mmsearch.products.text import digest, text_digest, tower_text

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton, RefuseError, knows_no_word_of, vector
from ..fakes.ingesting import Catalog, picture, sent


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton(fault=knows_no_word_of("ソファ", "🪑")) as triton, FakeOpenSearch() as node:
        yield Catalog(tmp_path, triton, node)


def test_a_product_goes_on_by_its_picture_and_is_counted(catalog: Catalog) -> None:
    (catalog.folder / "p.png").write_bytes(picture())
    (catalog.folder / "q.png").write_bytes(picture("blue"))
    catalog.write(
        {"id": "a", "title": "chair", "image": "p.png"},
        {"id": "b", "title": "ソファ", "image": "p.png"},
        {"id": "c", "title": "🪑", "images": ["p.png", "q.png"]},
        {"id": "d", "title": "ソファ", "image": "p.png"},
        {"id": "e", "title": "🪑"},
        {"id": "f", "title": "lamp"},
    )
    report = catalog.ingest()
    assert (report.indexed, report.rejected, report.without_text, report.exit_code) == (5, 1, 3, 3)
    assert report.summary()["without_text"] == 3
    assert "3 encoded without their text (3 unreadable_text)" in report.sentence()
    (entry,) = catalog.rejected()
    assert (entry["id"], entry["stage"], entry["reason"]) == ("e", "encode", "unreadable_text")
    assert entry["message"].startswith("expected a text with words that the encoder knows, got none")
    found = catalog.node.sources()
    alone = vector((b"", sent(picture())), 8)
    np.testing.assert_allclose(found["b"]["embedding"], alone, rtol=1e-5)
    np.testing.assert_allclose(found["d"]["embedding"], alone, rtol=1e-5)
    both = alone + vector((b"", sent(picture("blue"))), 8)
    np.testing.assert_allclose(found["c"]["embedding"], both / np.linalg.norm(both), rtol=1e-5)
    assert found["b"]["title"] == "ソファ"
    assert found["b"]["ingest"]["modalities"] == ["image"]
    assert found["a"]["ingest"]["modalities"] == ["text", "image"]
    assert all(text not in ("🪑".encode(), "ソファ".encode()) for text, _ in catalog.triton.calls[-1])


def test_the_next_run_has_nothing_to_do_and_another_text_is_tried(catalog: Catalog) -> None:
    (catalog.folder / "p.png").write_bytes(picture())
    catalog.write({"id": "a", "title": "ソファ", "image": "p.png"})
    assert catalog.ingest().without_text == 1
    again = catalog.ingest()
    assert (again.unchanged, again.encoder_calls) == (1, 0)
    catalog.write({"id": "a", "title": "sofa", "image": "p.png"})
    assert catalog.ingest().encoded == 1
    assert catalog.node.sources()["a"]["ingest"]["modalities"] == ["text", "image"]


def test_a_full_width_title_is_the_plain_one_to_the_encoder_and_not_to_the_shop(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "ＣＨＡＩＲ\u00a0①"}, {"id": "b", "title": "CHAIR 1"})
    assert catalog.ingest().indexed == 2
    assert catalog.triton.calls == [[(b"CHAIR 1", b"")]]
    assert catalog.node.sources()["a"]["title"] == "ＣＨＡＩＲ\u00a0①"


def test_a_text_that_an_earlier_release_may_have_encoded_unread_is_encoded_once_more(
    catalog: Catalog,
) -> None:
    plain = ("oak", "Stühle (3)", "ソファ sofa", "a")
    unsure = ("ソファ", "🪑!", "ソファsofa", "Стул", "x" * 61)
    assert all(text_digest(text) == digest([text.encode()]) for text in plain)
    assert all(text_digest(text) != digest([text.encode()]) for text in unsure)
    assert len({text_digest(text) for text in (*plain, *unsure)}) == len(plain) + len(unsure)
    assert text_digest("") == ""
    catalog.write({"id": "a", "title": "oak"}, {"id": "b", "title": "Стул"})
    catalog.ingest()
    for name, text in (("a", "oak"), ("b", "Стул")):
        catalog.node.sources()[name]["ingest"]["text"] = digest([text.encode()])
    assert catalog.ingest().encoded == 1
    assert catalog.ingest().unchanged == 2


def test_the_text_is_cut_in_the_form_that_is_sent() -> None:
    product = parse(Line(1, '{"id": "a", "title": "㌔ﬁ"}'.encode()), None)
    assert (tower_text(product), tower_text(product, 6)) == ("キロfi", "キロ")


@pytest.mark.parametrize("rows", ["7", "0"])
def test_an_encoder_that_names_other_rows_ends_the_run(catalog: Catalog, rows: str) -> None:
    def fault(asked: object) -> None:
        raise RefuseError(grpc.StatusCode.INVALID_ARGUMENT, f"unreadable_text: in row {rows}: no words")

    (catalog.folder / "p.png").write_bytes(picture())
    catalog.triton.fault = fault
    catalog.write({"id": "a", "image": "p.png"})
    with pytest.raises(EncoderError, match=f"name rows with a text as unreadable, got row {rows}"):
        catalog.ingest()


def test_many_rows_are_named_whole() -> None:
    texts = [(b"x", b"")] * 64
    with FakeTriton(fault=knows_no_word_of("x")) as triton:
        encoder = Encoder(triton.url)
        with pytest.raises(UnreadableError) as refused:
            encoder.encode(texts, encoder.describe(), ["EMBEDDING"])
        encoder.close()
    assert refused.value.rows == tuple(range(64))
