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
from ..fakes.ingesting import Catalogue, picture


@pytest.fixture
def triton() -> Iterator[FakeTriton]:
    with FakeTriton() as server:
        yield server


@pytest.fixture
def node() -> Iterator[FakeOpenSearch]:
    with FakeOpenSearch() as server:
        yield server


@pytest.fixture
def catalogue(tmp_path: Path, triton: FakeTriton, node: FakeOpenSearch) -> Catalogue:
    return Catalogue(tmp_path, triton, node)


def test_a_product_comes_out_with_its_fields_and_the_vector_of_its_text_and_picture(
    catalogue: Catalogue,
) -> None:
    (catalogue.folder / "chair.png").write_bytes(picture())
    catalogue.write(
        {
            "id": "c1",
            "title": "Oak chair",
            "brand": "Hay",
            "price": "12.5",
            "image": "chair.png",
            "colour": "red",
        }
    )
    report = catalogue.ingest()
    assert (report.read, report.encoded, report.indexed, report.rejected) == (1, 1, 1, 0)
    (source,) = catalogue.node.sources().values()
    assert source["title"] == "Oak chair"
    assert source["price"] == 12.5
    assert source["image"] == "chair.png"
    assert source["attributes"] == {"colour": "red"}
    assert source["ingest"]["modalities"] == ["text", "image"]
    np.testing.assert_array_equal(
        np.float32(source["embedding"]),
        vector((b"Oak chair\nHay", (catalogue.folder / "chair.png").read_bytes()), 8),
    )


def test_the_index_records_the_encoder_and_stands_behind_its_alias(catalogue: Catalogue) -> None:
    catalogue.write({"id": "a", "title": "x"})
    catalogue.ingest()
    assert catalogue.node.aliases == {"products": "products-000001"}
    body = catalogue.node.indices["products-000001"]
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
            "ingest": {
                "catalogue": str(catalogue.path),
                "image_root": str(catalogue.folder),
                "format": None,
                "limit": None,
                "text_only": False,
                "fetch": False,
                "renames": {},
                "processes": 0,
                "batch": 32,
                "patience": 5.0,
            },
        }
    }


def test_a_modality_that_a_product_lacks_leaves_its_field_out(catalogue: Catalogue) -> None:
    """Cosine knows no vector of length zero: OpenSearch refuses a document with one."""
    catalogue.triton.spoil = lambda arrays: arrays["IMAGE_EMBEDDING"][1:].fill(0)
    (catalogue.folder / "p.png").write_bytes(picture())
    catalogue.write({"id": "a", "title": "x", "image": "p.png"}, {"id": "b", "title": "y"})
    report = catalogue.ingest(fields=("embedding", "image_embedding"))
    assert (report.indexed, report.rejected) == (2, 0)
    sources = catalogue.node.sources()
    assert {"embedding", "image_embedding"} <= set(sources["a"])
    assert "embedding" in sources["b"]
    assert "image_embedding" not in sources["b"]


def test_a_second_run_encodes_nothing_and_leaves_the_same(catalogue: Catalogue) -> None:
    (catalogue.folder / "p.png").write_bytes(picture())
    catalogue.write(*({"id": f"p{n}", "title": f"thing {n}", "image": "p.png"} for n in range(70)))
    assert catalogue.ingest().encoded == 70
    before = json.dumps(catalogue.node.sources(), sort_keys=True)
    calls, bulks = catalogue.triton.count, len(catalogue.node.bulks)
    report = catalogue.ingest()
    assert (report.encoded, report.unchanged, report.indexed, report.encoder_calls) == (0, 70, 70, 0)
    assert (catalogue.triton.count, len(catalogue.node.bulks)) == (calls, bulks)
    assert json.dumps(catalogue.node.sources(), sort_keys=True) == before


def test_a_new_price_costs_no_encoding_and_takes_what_is_gone_away(catalogue: Catalogue) -> None:
    catalogue.write({"id": "a", "title": "x", "price": 1, "old": "yes"})
    catalogue.ingest()
    before = catalogue.node.sources()["a"]["embedding"]
    catalogue.write({"id": "a", "title": "x", "price": 2, "new": "yes"})
    report = catalogue.ingest()
    assert (report.encoded, report.unchanged, report.indexed) == (0, 0, 1)
    source = catalogue.node.sources()["a"]
    assert source["price"] == 2
    assert source["attributes"] == {"new": "yes"}
    assert source["embedding"] == before


@pytest.mark.parametrize("changed", ["title", "picture"])
def test_a_new_text_or_picture_is_encoded_with_the_other(catalogue: Catalogue, changed: str) -> None:
    (catalogue.folder / "p.png").write_bytes(picture("red"))
    catalogue.write({"id": "a", "title": "x", "image": "p.png"}, {"id": "b", "title": "same"})
    catalogue.ingest()
    title = "x"
    if changed == "title":
        title = "y"
        catalogue.write({"id": "a", "title": title, "image": "p.png"}, {"id": "b", "title": "same"})
    else:
        (catalogue.folder / "p.png").write_bytes(picture("blue"))
    report = catalogue.ingest()
    assert (report.encoded, report.unchanged) == (1, 1)
    expected = vector((title.encode(), (catalogue.folder / "p.png").read_bytes()), 8)
    np.testing.assert_array_equal(np.float32(catalogue.node.sources()["a"]["embedding"]), expected)


def test_bad_lines_go_to_the_rejects_file_and_the_rest_is_in(catalogue: Catalogue) -> None:
    folder = catalogue.folder
    (folder / "good.png").write_bytes(picture())
    (folder / "text.png").write_text("this is no picture")
    (folder / "huge.png").write_bytes(picture() + bytes(30_000_000))
    (folder / "cut.jpg").write_bytes(picture("red", (200, 200), "JPEG")[:-200])
    (folder.parent / "outside.png").write_bytes(picture())
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    catalogue.write(
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
    report = catalogue.ingest()
    assert (report.read, report.indexed, report.rejected, report.exit_code) == (11, 2, 9, 3)
    assert set(catalogue.node.sources()) == {"good", "also good"}
    found = {
        entry["line"]: (entry["id"], entry["stage"], entry["reason"])
        for entry in sorted(catalogue.rejected(), key=lambda entry: int(entry["line"]))
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
    by_line = {entry["line"]: entry for entry in catalogue.rejected()}
    assert by_line[4]["record"] == {"id": "missing", "title": "x", "image": "nowhere.png"}
    assert by_line[2]["raw"] == '{"id": "broken", "title":'
    assert all(entry["message"].startswith("expected ") for entry in by_line.values())


def test_with_text_only_a_bad_picture_is_remembered_and_filled_in_later(catalogue: Catalogue) -> None:
    catalogue.write({"id": "a", "title": "x", "image": "p.png"})
    assert catalogue.ingest(text_only=True).rejected == 0
    about = catalogue.node.sources()["a"]["ingest"]
    assert (about["modalities"], about["image_error"]) == (["text"], "not_found")
    assert catalogue.ingest(text_only=True).unchanged == 1
    (catalogue.folder / "p.png").write_bytes(picture())
    assert catalogue.ingest(text_only=True).encoded == 1
    about = catalogue.node.sources()["a"]["ingest"]
    assert about["modalities"] == ["text", "image"]
    assert "image_error" not in about


def test_an_item_that_the_encoder_refuses_is_rejected_alone(catalogue: Catalogue) -> None:
    def fault(rows: Any) -> None:
        if any(text == b"bad" for text, _ in rows):
            raise RefuseError(grpc.StatusCode.INVALID_ARGUMENT, "no such text")

    catalogue.triton.fault = fault
    catalogue.write(*({"id": str(n), "title": "bad" if n == 11 else f"good {n}"} for n in range(40)))
    report = catalogue.ingest()
    assert (report.indexed, report.rejected) == (39, 1)
    (entry,) = catalogue.rejected()
    assert (entry["id"], entry["stage"], entry["reason"]) == ("11", "encode", "refused")


def vouched() -> bytes:
    """A PNG whose checksums are right and whose pixels do not unpack."""
    data = picture()
    at, end = data.index(b"IDAT"), data.index(b"IEND") - 8
    body = b"IDAT" + bytes(end - at - 4)
    return data[:at] + body + struct.pack(">I", zlib.crc32(body)) + data[end + 4 :]


def test_a_picture_that_only_the_encoder_finds_broken_is_rejected_alone(catalogue: Catalogue) -> None:
    """By its checksums it is whole, so it is sent; in a run that takes texts alone, its product comes in."""
    bad = vouched()

    def fault(rows: Any) -> None:
        if any(data == bad for _, data in rows):
            raise RefuseError(grpc.StatusCode.INVALID_ARGUMENT, "no such picture")

    catalogue.triton.fault = fault
    for number in range(12):
        (catalogue.folder / f"{number}.png").write_bytes(picture(size=(20, 10 + number)))
    for number in (3, 7):
        (catalogue.folder / f"{number}.png").write_bytes(bad)
    catalogue.write(*({"id": str(n), "title": f"t {n % 4}", "image": f"{n}.png"} for n in range(12)))
    report = catalogue.ingest()
    assert (report.indexed, report.rejected) == (10, 2)
    assert {(entry["id"], entry["stage"], entry["reason"]) for entry in catalogue.rejected()} == {
        ("3", "image", "truncated"),
        ("7", "image", "truncated"),
    }
    report = catalogue.ingest(text_only=True)
    assert (report.indexed, report.rejected) == (12, 0)
    about = catalogue.node.sources()["7"]["ingest"]
    assert (about["modalities"], about["image_error"]) == (["text"], "truncated")
    assert catalogue.node.sources()["8"]["ingest"]["modalities"] == ["text", "image"]


def test_an_item_that_breaks_the_server_is_found_and_rejected_alone(catalogue: Catalogue) -> None:
    def fault(rows: Any) -> None:
        if any(text == b"poison" for text, _ in rows):
            raise RefuseError(grpc.StatusCode.INTERNAL, "stub died")

    catalogue.triton.fault = fault
    catalogue.write(*({"id": str(n), "title": "poison" if n == 5 else f"good {n}"} for n in range(9)))
    report = catalogue.ingest()
    assert (report.indexed, report.rejected) == (8, 1)
    assert catalogue.rejected()[0]["reason"] == "kills_encoder"


def test_items_put_off_are_sent_again_and_refused_ones_rejected(catalogue: Catalogue) -> None:
    first: set[str] = set()

    def fault(identifier: str) -> int:
        if identifier == "7":
            return 400
        if int(identifier) % 3 == 0 and identifier not in first:
            first.add(identifier)
            return 429
        return 0

    catalogue.node.item_fault = fault
    catalogue.write(*({"id": str(n), "title": f"t{n}"} for n in range(30)))
    report = catalogue.ingest()
    assert (report.indexed, report.rejected) == (29, 1)
    assert len(catalogue.node.sources()) == 29
    (entry,) = catalogue.rejected()
    assert (entry["id"], entry["stage"], entry["reason"]) == ("7", "index", "fault_400")


def test_a_run_waits_for_a_server_that_is_away_and_says_so(catalogue: Catalogue) -> None:
    catalogue.write(*({"id": str(n), "title": f"t{n}"} for n in range(5)))
    failures = iter([True, True])

    def fault(rows: Any) -> None:
        if next(failures, False):
            raise RefuseError(grpc.StatusCode.UNAVAILABLE, "loading")

    catalogue.triton.fault = fault
    assert catalogue.ingest().indexed == 5
    assert any("is away" in message for message in catalogue.messages)
    assert any("answers again" in message for message in catalogue.messages)


def test_a_run_gives_up_after_its_limit_with_the_command_to_go_on(catalogue: Catalogue) -> None:
    catalogue.write({"id": "a", "title": "x"})

    def fault(rows: Any) -> None:
        raise RefuseError(grpc.StatusCode.UNAVAILABLE, "gone")

    catalogue.triton.fault = fault
    with pytest.raises(UnreachableError, match="go on with: mmsearch ingest x"):
        catalogue.ingest(patience=0.3)


def test_without_a_server_the_run_ends_at_once_with_the_repair(catalogue: Catalogue) -> None:
    catalogue.write({"id": "a", "title": "x"})
    catalogue.node.stop()
    with pytest.raises(UnreachableError, match=r"expected OpenSearch .*mmsearch up"):
        catalogue.ingest()
    catalogue.triton.stop()
    with pytest.raises(UnreachableError, match=r"expected Triton .*mmsearch up"):
        catalogue.ingest()


def test_an_index_of_another_encoder_is_refused(catalogue: Catalogue) -> None:
    catalogue.write({"id": "a", "title": "x"})
    catalogue.ingest()
    catalogue.triton.versions = {"1": "e" * 64}
    with pytest.raises(MismatchError, match="mmsearch reindex"):
        catalogue.ingest()


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
    catalogue: Catalogue, spoil: Any, named: str
) -> None:
    catalogue.write({"id": "a", "title": "x"})
    catalogue.triton.spoil = spoil
    with pytest.raises(EncoderError, match=f"item_encoder.*{named}"):
        catalogue.ingest()
    assert catalogue.node.sources() == {}


def test_several_pictures_become_the_mean_direction(catalogue: Catalogue) -> None:
    for name in ("red", "blue"):
        (catalogue.folder / f"{name}.png").write_bytes(picture(name))
    catalogue.write({"id": "a", "title": "x", "images": ["red.png", "blue.png"]})
    catalogue.ingest()
    mean = sum(vector((b"x", (catalogue.folder / f"{name}.png").read_bytes()), 8) for name in ("red", "blue"))
    expected = np.asarray(mean) / np.linalg.norm(np.asarray(mean))
    np.testing.assert_allclose(catalogue.node.sources()["a"]["embedding"], expected, rtol=1e-6)


def test_decoding_in_processes_gives_the_same(catalogue: Catalogue) -> None:
    (catalogue.folder / "a.png").write_bytes(picture())
    (catalogue.folder / "b.png").write_bytes(b"no")
    catalogue.write({"id": "a", "title": "x", "image": "a.png"}, {"id": "b", "title": "x", "image": "b.png"})
    report = catalogue.ingest(processes=1)
    assert (report.indexed, report.rejected) == (1, 1)


def test_slices_together_take_every_line_once(catalogue: Catalogue) -> None:
    catalogue.write(*({"id": str(n), "title": f"t{n}"} for n in range(50)), '{"broken', "[]")
    reports = [catalogue.ingest(slice=(part, 3)) for part in (1, 2, 3)]
    assert sum(report.read for report in reports) == 52
    assert sum(report.rejected for report in reports) == 2
    assert sum(report.encoded for report in reports) == 50
    assert set(catalogue.node.sources()) == {str(n) for n in range(50)}


def test_a_limit_takes_the_first_lines(catalogue: Catalogue) -> None:
    catalogue.write(*({"id": str(n), "title": f"t{n}"} for n in range(50)))
    assert catalogue.ingest(limit=7).read == 7
    assert set(catalogue.node.sources()) == {str(n) for n in range(7)}


def test_of_two_lines_with_one_id_the_first_is_taken_and_the_second_told(catalogue: Catalogue) -> None:
    catalogue.write({"id": "a", "title": "first"}, {"id": "b", "title": "x"}, {"id": "a", "title": "second"})
    for _ in range(2):
        report = catalogue.ingest()
        assert (report.indexed, report.rejected) == (2, 1)
        assert catalogue.node.sources()["a"]["title"] == "first"
        (entry,) = catalogue.rejected()
        assert (entry["line"], entry["reason"]) == (3, "duplicate_id")
    assert report.encoder_calls == 0


def test_a_dry_run_says_what_would_happen_and_does_nothing(catalogue: Catalogue) -> None:
    catalogue.write({"id": "a", "title": "x"}, {"id": "b", "title": "y"})
    report = catalogue.ingest(dry_run=True)
    assert (report.indexed, report.encoded) == (2, 2)
    assert catalogue.node.indices == {}
    catalogue.ingest()
    calls, bulks = catalogue.triton.count, len(catalogue.node.bulks)
    catalogue.write(
        {"id": "a", "title": "x"},
        {"id": "b", "title": "y", "price": 3},
        {"id": "c", "title": "z"},
        {"id": "d"},
        "[",
    )
    report = catalogue.ingest(dry_run=True)
    assert (report.unchanged, report.encoded, report.indexed, report.rejected) == (1, 1, 3, 2)
    assert report.reasons == {"nothing_to_encode": 1, "not_json": 1}
    assert (catalogue.triton.count, len(catalogue.node.bulks)) == (calls, bulks)


def test_a_rotten_catalogue_ends_the_run_early(catalogue: Catalogue) -> None:
    catalogue.write(*({"id": str(n), "title": "x"} for n in range(20)), *["["] * 20)
    with pytest.raises(RottenError, match=r"expected at most 5 rejects.*not_json"):
        catalogue.ingest(max_rejects=(5, 1.0))
    with pytest.raises(RottenError, match=r"expected at most 40.0% rejects, got 20 of 40"):
        catalogue.ingest(max_rejects=(10**9, 0.4))
    assert catalogue.ingest(max_rejects=(20, 0.5)).indexed == 20


def test_products_that_are_gone_are_deleted_when_asked(catalogue: Catalogue) -> None:
    catalogue.write(*({"id": str(n), "title": f"t{n}"} for n in range(20)))
    catalogue.ingest()
    catalogue.write(*({"id": str(n), "title": f"t{n}"} for n in range(19)))
    assert catalogue.ingest().deleted == 0
    assert len(catalogue.node.sources()) == 20
    assert catalogue.ingest(sync=0.1).deleted == 1
    assert set(catalogue.node.sources()) == {str(n) for n in range(19)}


@pytest.mark.parametrize(
    ("kept", "extra", "told"),
    [
        (0, [], "expected to delete at most 10%"),
        (10, [], "got 10 that are not"),
        (19, ["{broken"], "1 without"),
    ],
)
def test_a_catalogue_that_looks_cut_deletes_nothing(
    catalogue: Catalogue, kept: int, extra: list[str], told: str
) -> None:
    catalogue.write(*({"id": str(n), "title": f"t{n}"} for n in range(20)))
    catalogue.ingest()
    catalogue.write(*({"id": str(n), "title": f"t{n}"} for n in range(kept)), *extra)
    with pytest.raises(MismatchError, match=told):
        catalogue.ingest(sync=0.1)
    assert len(catalogue.node.sources()) == 20


def test_equal_contents_are_encoded_once(catalogue: Catalogue) -> None:
    (catalogue.folder / "p.png").write_bytes(picture())
    (catalogue.folder / "q.png").write_bytes(picture())
    catalogue.write(
        *({"id": f"a{n}", "title": "same", "image": "pq"[n % 2] + ".png"} for n in range(100)),
        *({"id": f"b{n}", "title": f"other {n}"} for n in range(5)),
    )
    report = catalogue.ingest()
    assert report.indexed == 105
    assert report.encoded == catalogue.triton.rows == 6
    assert len({str(source["embedding"]) for source in catalogue.node.sources().values()}) == 6


def test_a_refused_item_is_refused_with_all_its_equals(catalogue: Catalogue) -> None:
    def fault(rows: Any) -> None:
        if any(text == b"bad" for text, _ in rows):
            raise RefuseError(grpc.StatusCode.INVALID_ARGUMENT, "no such text")

    catalogue.triton.fault = fault
    catalogue.write(*({"id": str(n), "title": "bad" if n % 2 else "good"} for n in range(10)))
    report = catalogue.ingest()
    assert (report.indexed, report.rejected) == (5, 5)


def test_an_item_that_ends_the_server_each_time_is_rejected_in_the_end(catalogue: Catalogue) -> None:
    down = iter(())

    def fault(rows: Any) -> None:
        nonlocal down
        if next(down, False):
            raise RefuseError(grpc.StatusCode.INTERNAL, "stub is starting")
        if any(text == b"poison" for text, _ in rows):
            down = iter([True, True])  # the supervisor needs a moment to start it again
            raise RefuseError(grpc.StatusCode.INTERNAL, "stub died")

    catalogue.triton.fault = fault
    catalogue.write(*({"id": str(n), "title": "poison" if n == 1 else f"t{n}"} for n in range(4)))
    report = catalogue.ingest(patience=60.0)
    assert (report.indexed, report.rejected) == (3, 1)
    assert catalogue.rejected()[0]["reason"] == "kills_encoder"


def test_vectors_that_a_failed_run_left_are_not_encoded_again(catalogue: Catalogue) -> None:
    catalogue.write(*({"id": str(n), "title": f"t{n}"} for n in range(40)))

    def fault(method: str, path: str) -> None:
        if path.endswith("/_bulk"):
            raise AnswerError(503)

    catalogue.node.request_fault = fault
    with pytest.raises(UnreachableError):
        catalogue.ingest(patience=0.5)
    encoded = catalogue.triton.rows
    assert 0 < encoded <= 40
    catalogue.node.request_fault = lambda method, path: None
    report = catalogue.ingest()
    assert report.indexed == 40
    assert catalogue.triton.rows == 40
    assert report.encoded == 40 - encoded
    assert list((catalogue.folder / "journal").iterdir()) == []
    plain = {n: vector((f"t{n}".encode(), b""), 8) for n in range(40)}
    for n, expected in plain.items():
        np.testing.assert_array_equal(np.float32(catalogue.node.sources()[str(n)]["embedding"]), expected)


def test_each_picture_may_have_a_vector_of_its_own(catalogue: Catalogue) -> None:
    fields = ("embedding", "pictures.embedding")
    for name in ("red", "blue"):
        (catalogue.folder / f"{name}.png").write_bytes(picture(name))
    catalogue.write({"id": "a", "title": "x", "images": ["red.png", "blue.png"]}, {"id": "b", "title": "y"})
    catalogue.ingest(fields=fields)
    properties = catalogue.node.indices["products-000001"]["mappings"]["properties"]
    assert properties["pictures"]["type"] == "nested"
    assert properties["pictures"]["properties"]["embedding"]["dimension"] == 8
    source = catalogue.node.sources()["a"]
    for each, name in zip(source["pictures"], ("red", "blue"), strict=True):
        expected = vector((b"x", (catalogue.folder / f"{name}.png").read_bytes()), 8)
        np.testing.assert_array_equal(np.float32(each["embedding"]), expected)
    assert "pictures" not in catalogue.node.sources()["b"]
    # A new price keeps them, and the index knows its fields by itself.
    catalogue.write(
        {"id": "a", "title": "x", "images": ["red.png", "blue.png"], "price": 2}, {"id": "b", "title": "y"}
    )
    report = catalogue.ingest()
    assert (report.encoded, report.unchanged, report.indexed) == (0, 1, 2)
    assert catalogue.node.sources()["a"]["pictures"] == source["pictures"]


def test_on_a_terminal_a_bar_shows_rate_share_and_what_holds_it_back(
    catalogue: Catalogue, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    catalogue.triton.seconds = 0.2
    catalogue.write(*({"id": str(n), "title": f"t{n}"} for n in range(200)))
    encoder, client = Encoder(catalogue.triton.url), connect(catalogue.node.url)
    with Display(bar=True) as display:
        report = run(catalogue.job, encoder, client, say=display.say, watch=display.watch)
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


def test_an_index_keeps_its_version_of_the_encoder_when_a_newer_one_is_deployed(catalogue: Catalogue) -> None:
    catalogue.write({"id": "a", "title": "x"})
    catalogue.ingest()
    catalogue.triton.versions["2"] = "e" * 64
    catalogue.triton.asked.clear()
    catalogue.write({"id": "a", "title": "y"}, {"id": "b", "title": "z"})
    report = catalogue.ingest()
    assert (report.indexed, report.rejected) == (2, 0)
    assert set(catalogue.triton.asked) == {"1"}
    catalogue.ingest(index="newer")
    assert set(catalogue.triton.asked) == {"1", "2"}
    about = catalogue.node.indices["newer-000001"]["mappings"]["_meta"]["mmsearch"]["fields"]["embedding"]
    assert (about["model_version"], about["fingerprint"]) == ("2", "e" * 64)


def test_a_version_deployed_in_the_middle_of_a_run_is_not_taken(catalogue: Catalogue) -> None:
    catalogue.write(*({"id": f"p{n}", "title": f"thing {n}"} for n in range(300)))

    def deploying(rows: object) -> None:
        catalogue.triton.versions["2"] = "e" * 64

    catalogue.triton.fault = deploying
    assert catalogue.ingest().indexed == 300
    assert set(catalogue.triton.asked) == {"1"}
