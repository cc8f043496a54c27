"""The whole run against fakes at the wire: what goes in, what comes back, and what a second run does."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from mmsearch.clients.opensearch import connect
from mmsearch.clients.triton import Encoder
from mmsearch.errors import EncoderError, MismatchError, RottenError, UnreachableError
from mmsearch.ingest.reporting.display import Display
from mmsearch.ingest.runner import run

from ..fakes.fake_opensearch import AnswerError, FakeOpenSearch
from ..fakes.fake_triton import FakeTriton, RefuseError, vector
from ..fakes.ingesting import Catalog, picture, sent


@pytest.fixture
def triton() -> Iterator[FakeTriton]:
    with FakeTriton() as server:
        yield server


@pytest.fixture
def node() -> Iterator[FakeOpenSearch]:
    with FakeOpenSearch() as server:
        yield server


@pytest.fixture
def catalog(tmp_path: Path, triton: FakeTriton, node: FakeOpenSearch) -> Catalog:
    return Catalog(tmp_path, triton, node)


def test_a_product_comes_out_with_its_fields_and_the_vector_of_its_text_and_picture(
    catalog: Catalog,
) -> None:
    (catalog.folder / "chair.png").write_bytes(picture())
    catalog.write(
        {
            "id": "c1",
            "title": "Oak chair",
            "brand": "Hay",
            "price": "12.5",
            "image": "chair.png",
            "colour": "red",
        }
    )
    report = catalog.ingest()
    assert (report.read, report.encoded, report.indexed, report.rejected) == (1, 1, 1, 0)
    (source,) = catalog.node.sources().values()
    assert source["title"] == "Oak chair"
    assert source["price"] == 12.5
    assert source["image"] == "chair.png"
    assert source["attributes"] == {"colour": "red"}
    assert source["ingest"]["modalities"] == ["text", "image"]
    np.testing.assert_array_equal(
        np.float32(source["embedding"]),
        vector((b"Oak chair\nHay", sent((catalog.folder / "chair.png").read_bytes())), 8),
    )


def test_the_index_records_the_encoder_and_stands_behind_its_alias(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "x"})
    catalog.ingest()
    assert catalog.node.aliases == {"products": "products-000001"}
    body = catalog.node.indices["products-000001"]
    assert body["settings"]["index"]["knn"] is True
    assert body["mappings"]["properties"]["embedding"]["dimension"] == 8
    assert body["mappings"]["_meta"] == {
        "mmsearch": {
            "version": 1,
            "fields": {
                "embedding": {
                    "model": "query_encoder",
                    "model_version": "1",
                    "output": "EMBEDDING",
                    "fingerprint": "f" * 64,
                    "dimension": 8,
                    "item_model": "item_encoder",
                }
            },
            "schema": {"language": "none", "translations": []},
            "ingest": {
                "catalog": str(catalog.path),
                "image_root": str(catalog.folder),
                "format": None,
                "limit": None,
                "text_only": False,
                "fetch": False,
                "renames": {},
                "preset": None,
                "processes": 0,
                "batch": 32,
                "patience": 5.0,
            },
        }
    }


def test_a_modality_that_a_product_lacks_leaves_its_field_out(catalog: Catalog) -> None:
    """Cosine knows no vector of length zero: OpenSearch refuses a document with one."""
    catalog.triton.spoil = lambda arrays: arrays["IMAGE_EMBEDDING"][1:].fill(0)
    (catalog.folder / "p.png").write_bytes(picture())
    catalog.write({"id": "a", "title": "x", "image": "p.png"}, {"id": "b", "title": "y"})
    report = catalog.ingest(fields=("embedding", "image_embedding"))
    assert (report.indexed, report.rejected) == (2, 0)
    sources = catalog.node.sources()
    assert {"embedding", "image_embedding"} <= set(sources["a"])
    assert "embedding" in sources["b"]
    assert "image_embedding" not in sources["b"]


def test_a_second_run_encodes_nothing_and_leaves_the_same(catalog: Catalog) -> None:
    (catalog.folder / "p.png").write_bytes(picture())
    catalog.write(*({"id": f"p{n}", "title": f"thing {n}", "image": "p.png"} for n in range(70)))
    assert catalog.ingest().encoded == 70
    before = json.dumps(catalog.node.sources(), sort_keys=True)
    calls, bulks = catalog.triton.count, len(catalog.node.bulks)
    report = catalog.ingest()
    assert (report.encoded, report.unchanged, report.indexed, report.encoder_calls) == (0, 70, 70, 0)
    assert (catalog.triton.count, len(catalog.node.bulks)) == (calls, bulks)
    assert json.dumps(catalog.node.sources(), sort_keys=True) == before


def test_a_new_price_costs_no_encoding_and_takes_what_is_gone_away(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "x", "price": 1, "old": "yes"})
    catalog.ingest()
    before = catalog.node.sources()["a"]["embedding"]
    catalog.write({"id": "a", "title": "x", "price": 2, "new": "yes"})
    report = catalog.ingest()
    assert (report.encoded, report.unchanged, report.indexed) == (0, 0, 1)
    source = catalog.node.sources()["a"]
    assert source["price"] == 2
    assert source["attributes"] == {"new": "yes"}
    assert source["embedding"] == before


@pytest.mark.parametrize("changed", ["title", "picture"])
def test_a_new_text_or_picture_is_encoded_with_the_other(catalog: Catalog, changed: str) -> None:
    (catalog.folder / "p.png").write_bytes(picture("red"))
    catalog.write({"id": "a", "title": "x", "image": "p.png"}, {"id": "b", "title": "same"})
    catalog.ingest()
    title = "x"
    if changed == "title":
        title = "y"
        catalog.write({"id": "a", "title": title, "image": "p.png"}, {"id": "b", "title": "same"})
    else:
        (catalog.folder / "p.png").write_bytes(picture("blue"))
    report = catalog.ingest()
    assert (report.encoded, report.unchanged) == (1, 1)
    expected = vector((title.encode(), sent((catalog.folder / "p.png").read_bytes())), 8)
    np.testing.assert_array_equal(np.float32(catalog.node.sources()["a"]["embedding"]), expected)


def test_bad_lines_go_to_the_rejects_file_and_the_rest_is_in(catalog: Catalog) -> None:
    folder = catalog.folder
    (folder / "good.png").write_bytes(picture())
    (folder / "text.png").write_text("this is no picture")
    (folder / "huge.png").write_bytes(picture() + bytes(30_000_000))
    (folder / "cut.jpg").write_bytes(picture("red", (200, 200), "JPEG")[:-200])
    (folder.parent / "outside.png").write_bytes(picture())
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    catalog.write(
        {"id": "good", "title": "x", "image": "good.png"},
        '{"id": "broken", "title":',
        {"title": "no id"},
        {"id": "missing", "title": "x", "image": "nowhere.png"},
        {"id": "text", "title": "x", "image": "text.png"},
        {"id": "huge", "title": "x", "image": "huge.png"},
        {"id": "cut", "title": "x", "image": "cut.jpg"},
        {"id": "leaves", "title": "x", "image": "../outside.png"},
        {"id": "link", "title": "x", "image": "link.png"},
        {"id": "empty", "colour": "red"},
        {"id": "also good", "title": "y"},
    )
    report = catalog.ingest()
    assert (report.read, report.indexed, report.rejected, report.exit_code) == (11, 2, 9, 3)
    assert set(catalog.node.sources()) == {"good", "also good"}
    found = {
        entry["line"]: (entry["id"], entry["stage"], entry["reason"])
        for entry in sorted(catalog.rejected(), key=lambda entry: int(entry["line"]))
    }
    assert found == {
        2: (None, "read", "not_json"),
        3: (None, "read", "missing_id"),
        4: ("missing", "image", "not_found"),
        5: ("text", "image", "not_a_picture"),
        6: ("huge", "image", "too_large"),
        7: ("cut", "image", "truncated"),
        8: ("leaves", "image", "outside_root"),
        9: ("link", "image", "outside_root"),
        10: ("empty", "read", "nothing_to_encode"),
    }
    by_line = {entry["line"]: entry for entry in catalog.rejected()}
    assert by_line[4]["record"] == {"id": "missing", "title": "x", "image": "nowhere.png"}
    assert by_line[2]["raw"] == '{"id": "broken", "title":'
    assert all(entry["message"].startswith("expected ") for entry in by_line.values())


def test_with_text_only_a_bad_picture_is_remembered_and_filled_in_later(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "x", "image": "p.png"})
    assert catalog.ingest(text_only=True).rejected == 0
    about = catalog.node.sources()["a"]["ingest"]
    assert (about["modalities"], about["image_error"]) == (["text"], "not_found")
    assert catalog.ingest(text_only=True).unchanged == 1
    (catalog.folder / "p.png").write_bytes(picture())
    assert catalog.ingest(text_only=True).encoded == 1
    about = catalog.node.sources()["a"]["ingest"]
    assert about["modalities"] == ["text", "image"]
    assert "image_error" not in about


def test_an_item_that_the_encoder_refuses_is_rejected_alone(catalog: Catalog) -> None:
    def fault(rows: Any) -> None:
        if any(text == b"bad" for text, _ in rows):
            raise RefuseError(grpc.StatusCode.INVALID_ARGUMENT, "no such text")

    catalog.triton.fault = fault
    catalog.write(*({"id": str(n), "title": "bad" if n == 11 else f"good {n}"} for n in range(40)))
    report = catalog.ingest()
    assert (report.indexed, report.rejected) == (39, 1)
    (entry,) = catalog.rejected()
    assert (entry["id"], entry["stage"], entry["reason"]) == ("11", "encode", "refused")


def vouched() -> bytes:
    """A PNG whose checksums are right and whose pixels do not unpack."""
    data = picture()
    at, end = data.index(b"IDAT"), data.index(b"IEND") - 8
    body = b"IDAT" + bytes(end - at - 4)
    return data[:at] + body + struct.pack(">I", zlib.crc32(body)) + data[end + 4 :]


def test_a_picture_that_only_the_encoder_finds_broken_is_rejected_alone(catalog: Catalog) -> None:
    """By its checksums it is whole, so it is sent; in a run that takes texts alone, its product comes in."""
    bad = vouched()

    def fault(rows: Any) -> None:
        if any(data == bad for _, data in rows):
            raise RefuseError(grpc.StatusCode.INVALID_ARGUMENT, "no such picture")

    catalog.triton.fault = fault
    for number in range(12):
        (catalog.folder / f"{number}.png").write_bytes(picture(size=(20, 10 + number)))
    for number in (3, 7):
        (catalog.folder / f"{number}.png").write_bytes(bad)
    catalog.write(*({"id": str(n), "title": f"t {n % 4}", "image": f"{n}.png"} for n in range(12)))
    report = catalog.ingest()
    assert (report.indexed, report.rejected) == (10, 2)
    assert {(entry["id"], entry["stage"], entry["reason"]) for entry in catalog.rejected()} == {
        ("3", "image", "truncated"),
        ("7", "image", "truncated"),
    }
    report = catalog.ingest(text_only=True)
    assert (report.indexed, report.rejected) == (12, 0)
    about = catalog.node.sources()["7"]["ingest"]
    assert (about["modalities"], about["image_error"]) == (["text"], "truncated")
    assert catalog.node.sources()["8"]["ingest"]["modalities"] == ["text", "image"]


def test_an_item_that_breaks_the_server_is_found_and_rejected_alone(catalog: Catalog) -> None:
    def fault(rows: Any) -> None:
        if any(text == b"poison" for text, _ in rows):
            raise RefuseError(grpc.StatusCode.INTERNAL, "stub died")

    catalog.triton.fault = fault
    catalog.write(*({"id": str(n), "title": "poison" if n == 5 else f"good {n}"} for n in range(9)))
    report = catalog.ingest()
    assert (report.indexed, report.rejected) == (8, 1)
    assert catalog.rejected()[0]["reason"] == "kills_encoder"


def test_items_put_off_are_sent_again_and_refused_ones_rejected(catalog: Catalog) -> None:
    first: set[str] = set()

    def fault(identifier: str) -> int:
        if identifier == "7":
            return 400
        if int(identifier) % 3 == 0 and identifier not in first:
            first.add(identifier)
            return 429
        return 0

    catalog.node.item_fault = fault
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(30)))
    report = catalog.ingest()
    assert (report.indexed, report.rejected) == (29, 1)
    assert len(catalog.node.sources()) == 29
    (entry,) = catalog.rejected()
    assert (entry["id"], entry["stage"], entry["reason"]) == ("7", "index", "fault_400")


def test_a_run_waits_for_a_server_that_is_away_and_says_so(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(5)))
    failures = iter([True, True])

    def fault(rows: Any) -> None:
        if next(failures, False):
            raise RefuseError(grpc.StatusCode.UNAVAILABLE, "loading")

    catalog.triton.fault = fault
    assert catalog.ingest().indexed == 5
    assert any("does not respond" in message for message in catalog.messages)
    assert any("responds again" in message for message in catalog.messages)


def test_a_run_gives_up_after_its_limit_with_the_command_to_go_on(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "x"})

    def fault(rows: Any) -> None:
        raise RefuseError(grpc.StatusCode.UNAVAILABLE, "gone")

    catalog.triton.fault = fault
    with pytest.raises(UnreachableError, match="continue with: mmsearch ingest x"):
        catalog.ingest(patience=0.3)


def test_without_a_server_the_run_ends_at_once_with_the_repair(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "x"})
    catalog.node.stop()
    with pytest.raises(UnreachableError, match=r"expected OpenSearch .*mmsearch up"):
        catalog.ingest()
    catalog.triton.stop()
    with pytest.raises(UnreachableError, match=r"expected Triton .*mmsearch up"):
        catalog.ingest()


def test_an_index_of_another_encoder_is_refused(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "x"})
    catalog.ingest()
    catalog.triton.versions = {"1": "e" * 64}
    with pytest.raises(MismatchError, match="mmsearch reindex"):
        catalog.ingest()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda arrays: arrays.update(FINGERPRINT=[b"e" * 64]), "eeeeeeeeeeee"),
        (lambda arrays: arrays.update(EMBEDDING=arrays["EMBEDDING"][:, :5]), "expected 1 x 8 floats"),
        (lambda arrays: arrays.update(EMBEDDING=arrays["EMBEDDING"] * np.nan), "length nan"),
        (lambda arrays: arrays.update(EMBEDDING=np.tile(arrays["EMBEDDING"], (2, 1))), "got 16"),
        (lambda arrays: arrays.update(EMBEDDING=arrays["EMBEDDING"] * 3), "length 3"),
    ],
)
def test_an_answer_that_is_not_what_the_model_promised_ends_the_run(
    catalog: Catalog, spoil: Any, named: str
) -> None:
    catalog.write({"id": "a", "title": "x"})
    catalog.triton.spoil = spoil
    with pytest.raises(EncoderError, match=f"item_encoder.*{named}"):
        catalog.ingest()
    assert catalog.node.sources() == {}


def test_several_pictures_become_the_mean_direction(catalog: Catalog) -> None:
    for name in ("red", "blue"):
        (catalog.folder / f"{name}.png").write_bytes(picture(name))
    catalog.write({"id": "a", "title": "x", "images": ["red.png", "blue.png"]})
    catalog.ingest()
    mean = sum(vector((b"x", sent(picture(name))), 8) for name in ("red", "blue"))
    expected = np.asarray(mean) / np.linalg.norm(np.asarray(mean))
    np.testing.assert_allclose(catalog.node.sources()["a"]["embedding"], expected, rtol=1e-6)


def test_decoding_in_processes_gives_the_same(catalog: Catalog) -> None:
    (catalog.folder / "a.png").write_bytes(picture())
    (catalog.folder / "b.png").write_bytes(b"no")
    catalog.write({"id": "a", "title": "x", "image": "a.png"}, {"id": "b", "title": "x", "image": "b.png"})
    report = catalog.ingest(processes=1)
    assert (report.indexed, report.rejected) == (1, 1)


def test_slices_together_take_every_line_once(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(50)), '{"broken', "[]")
    reports = [catalog.ingest(slice=(part, 3)) for part in (1, 2, 3)]
    assert sum(report.read for report in reports) == 52
    assert sum(report.rejected for report in reports) == 2
    assert sum(report.encoded for report in reports) == 50
    assert set(catalog.node.sources()) == {str(n) for n in range(50)}


def test_a_limit_takes_the_first_lines(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(50)))
    assert catalog.ingest(limit=7).read == 7
    assert set(catalog.node.sources()) == {str(n) for n in range(7)}


def test_of_two_lines_with_one_id_the_first_is_taken_and_the_second_told(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "first"}, {"id": "b", "title": "x"}, {"id": "a", "title": "second"})
    for _ in range(2):
        report = catalog.ingest()
        assert (report.indexed, report.rejected) == (2, 1)
        assert catalog.node.sources()["a"]["title"] == "first"
        (entry,) = catalog.rejected()
        assert (entry["line"], entry["reason"]) == (3, "duplicate_id")
    assert report.encoder_calls == 0


def test_a_dry_run_says_what_would_happen_and_does_nothing(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "x"}, {"id": "b", "title": "y"})
    report = catalog.ingest(dry_run=True)
    assert (report.indexed, report.encoded) == (2, 2)
    assert catalog.node.indices == {}
    catalog.ingest()
    calls, bulks = catalog.triton.count, len(catalog.node.bulks)
    catalog.write(
        {"id": "a", "title": "x"},
        {"id": "b", "title": "y", "price": 3},
        {"id": "c", "title": "z"},
        {"id": "d"},
        "[",
    )
    report = catalog.ingest(dry_run=True)
    assert (report.unchanged, report.encoded, report.indexed, report.rejected) == (1, 1, 3, 2)
    assert report.reasons == {"nothing_to_encode": 1, "not_json": 1}
    assert (catalog.triton.count, len(catalog.node.bulks)) == (calls, bulks)


def test_a_rotten_catalog_ends_the_run_early(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": "x"} for n in range(20)), *["["] * 20)
    with pytest.raises(RottenError, match=r"expected at most 5 rejects.*not_json"):
        catalog.ingest(max_rejects=(5, 1.0))
    with pytest.raises(RottenError, match=r"expected at most 40.0% rejects, got 20 of 40"):
        catalog.ingest(max_rejects=(10**9, 0.4))
    assert catalog.ingest(max_rejects=(20, 0.5)).indexed == 20


def test_products_that_are_gone_are_deleted_when_asked(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(20)))
    catalog.ingest()
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(19)))
    assert catalog.ingest().deleted == 0
    assert len(catalog.node.sources()) == 20
    assert catalog.ingest(sync=0.1).deleted == 1
    assert set(catalog.node.sources()) == {str(n) for n in range(19)}


@pytest.mark.parametrize(
    ("kept", "extra", "told"),
    [
        (0, [], "expected to delete at most 10%"),
        (10, [], "got 10 that are not"),
        (19, ["{broken"], "1 without"),
    ],
)
def test_a_catalog_that_looks_cut_deletes_nothing(
    catalog: Catalog, kept: int, extra: list[str], told: str
) -> None:
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(20)))
    catalog.ingest()
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(kept)), *extra)
    with pytest.raises(MismatchError, match=told):
        catalog.ingest(sync=0.1)
    assert len(catalog.node.sources()) == 20


def test_equal_contents_are_encoded_once(catalog: Catalog) -> None:
    (catalog.folder / "p.png").write_bytes(picture())
    (catalog.folder / "q.png").write_bytes(picture())
    catalog.write(
        *({"id": f"a{n}", "title": "same", "image": "pq"[n % 2] + ".png"} for n in range(100)),
        *({"id": f"b{n}", "title": f"other {n}"} for n in range(5)),
    )
    report = catalog.ingest()
    assert report.indexed == 105
    assert report.encoded == catalog.triton.rows == 6
    assert len({str(source["embedding"]) for source in catalog.node.sources().values()}) == 6


def test_a_refused_item_is_refused_with_all_its_equals(catalog: Catalog) -> None:
    def fault(rows: Any) -> None:
        if any(text == b"bad" for text, _ in rows):
            raise RefuseError(grpc.StatusCode.INVALID_ARGUMENT, "no such text")

    catalog.triton.fault = fault
    catalog.write(*({"id": str(n), "title": "bad" if n % 2 else "good"} for n in range(10)))
    report = catalog.ingest()
    assert (report.indexed, report.rejected) == (5, 5)


def test_an_item_that_ends_the_server_each_time_is_rejected_in_the_end(catalog: Catalog) -> None:
    down = iter(())

    def fault(rows: Any) -> None:
        nonlocal down
        if next(down, False):
            raise RefuseError(grpc.StatusCode.INTERNAL, "stub is starting")
        if any(text == b"poison" for text, _ in rows):
            down = iter([True, True])  # the supervisor needs a moment to start it again
            raise RefuseError(grpc.StatusCode.INTERNAL, "stub died")

    catalog.triton.fault = fault
    catalog.write(*({"id": str(n), "title": "poison" if n == 1 else f"t{n}"} for n in range(4)))
    report = catalog.ingest(patience=60.0)
    assert (report.indexed, report.rejected) == (3, 1)
    assert catalog.rejected()[0]["reason"] == "kills_encoder"


def test_vectors_that_a_failed_run_left_are_not_encoded_again(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(40)))

    def fault(method: str, path: str) -> None:
        if path.endswith("/_bulk"):
            raise AnswerError(503)

    catalog.node.request_fault = fault
    with pytest.raises(UnreachableError):
        catalog.ingest(patience=0.5)
    encoded = catalog.triton.rows
    assert 0 < encoded <= 40
    catalog.node.request_fault = lambda method, path: None
    report = catalog.ingest()
    assert report.indexed == 40
    assert catalog.triton.rows == 40
    assert report.encoded == 40 - encoded
    assert list((catalog.folder / "journal").iterdir()) == []
    plain = {n: vector((f"t{n}".encode(), b""), 8) for n in range(40)}
    for n, expected in plain.items():
        np.testing.assert_array_equal(np.float32(catalog.node.sources()[str(n)]["embedding"]), expected)


def test_each_picture_may_have_a_vector_of_its_own(catalog: Catalog) -> None:
    fields = ("embedding", "pictures.embedding")
    for name in ("red", "blue"):
        (catalog.folder / f"{name}.png").write_bytes(picture(name))
    catalog.write({"id": "a", "title": "x", "images": ["red.png", "blue.png"]}, {"id": "b", "title": "y"})
    catalog.ingest(fields=fields)
    properties = catalog.node.indices["products-000001"]["mappings"]["properties"]
    assert properties["pictures"]["type"] == "nested"
    assert properties["pictures"]["properties"]["embedding"]["dimension"] == 8
    source = catalog.node.sources()["a"]
    for each, name in zip(source["pictures"], ("red", "blue"), strict=True):
        expected = vector((b"x", sent(picture(name))), 8)
        np.testing.assert_array_equal(np.float32(each["embedding"]), expected)
    assert "pictures" not in catalog.node.sources()["b"]
    # A new price keeps them, and the index knows its fields by itself.
    catalog.write(
        {"id": "a", "title": "x", "images": ["red.png", "blue.png"], "price": 2}, {"id": "b", "title": "y"}
    )
    report = catalog.ingest()
    assert (report.encoded, report.unchanged, report.indexed) == (0, 1, 2)
    assert catalog.node.sources()["a"]["pictures"] == source["pictures"]


def test_on_a_terminal_a_bar_shows_rate_share_and_what_holds_it_back(
    catalog: Catalog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    catalog.triton.seconds = 0.2
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(200)))
    encoder, client = Encoder(catalog.triton.url), connect(catalog.node.url)
    with Display(bar=True) as display:
        report = run(catalog.job, encoder, client, say=display.say, watch=display.watch)
        display.say("a message")
    encoder.close()
    client.close()
    shown = capsys.readouterr().err
    assert report.indexed == 200
    assert report.bottleneck == "encoding"
    assert "done," in shown
    assert "/s" in shown
    assert "%" in shown
    assert "held back by encoding" in shown
    assert "mmsearch: a message" in shown


def test_an_index_keeps_its_version_of_the_encoder_when_a_newer_one_is_deployed(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "x"})
    catalog.ingest()
    catalog.triton.versions["2"] = "e" * 64
    catalog.triton.asked.clear()
    catalog.write({"id": "a", "title": "y"}, {"id": "b", "title": "z"})
    report = catalog.ingest()
    assert (report.indexed, report.rejected) == (2, 0)
    assert set(catalog.triton.asked) == {"1"}
    catalog.ingest(index="newer")
    assert set(catalog.triton.asked) == {"1", "2"}
    about = catalog.node.indices["newer-000001"]["mappings"]["_meta"]["mmsearch"]["fields"]["embedding"]
    assert (about["model_version"], about["fingerprint"]) == ("2", "e" * 64)


def test_a_version_deployed_in_the_middle_of_a_run_is_not_taken(catalog: Catalog) -> None:
    catalog.write(*({"id": f"p{n}", "title": f"thing {n}"} for n in range(300)))

    def deploying(rows: object) -> None:
        catalog.triton.versions["2"] = "e" * 64

    catalog.triton.fault = deploying
    assert catalog.ingest().indexed == 300
    assert set(catalog.triton.asked) == {"1"}
