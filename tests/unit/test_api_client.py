"""`mmsearch.Client` between fakes at the wire: each method, and each error as one sentence."""

from __future__ import annotations

import base64
import datetime
import io
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

import mmsearch
from mmsearch.errors import (
    ArgumentError,
    EncoderError,
    IngestError,
    MismatchError,
    PictureError,
    RecordError,
    RefusedError,
    RottenError,
    SearchError,
    UnreachableError,
)
from mmsearch.stack.ports import free

from ..fakes.certificates import issue
from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton, RefuseError, vector
from ..fakes.ingesting import sent as as_sent

NOBODY = "http://127.0.0.1:9"
"""the port of the discard service, on which nobody listens"""


def png(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 10), colour).save(out, "PNG")
    return out.getvalue()


def stored(node: FakeOpenSearch, *ids: str) -> list[list[float]]:
    """The vectors of some products in the index, in single precision."""
    vectors: list[list[float]] = np.array([node.sources()[each]["embedding"] for each in ids], "f4").tolist()
    return vectors


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    for name in ("OPENSEARCH_USER", "OPENSEARCH_PASSWORD", "OPENSEARCH_API_KEY", "CA_FILE"):
        monkeypatch.delenv(f"MMSEARCH_{name}", raising=False)


@pytest.fixture
def node() -> Iterator[FakeOpenSearch]:
    with FakeOpenSearch() as node:
        yield node


@pytest.fixture
def triton() -> Iterator[FakeTriton]:
    with FakeTriton() as triton:
        yield triton


@pytest.fixture
def shop(node: FakeOpenSearch, triton: FakeTriton) -> Iterator[mmsearch.Client]:
    with mmsearch.Client(node.url, triton=triton.url, timeout=10) as shop:
        yield shop


def test_dicts_are_ingested_and_what_is_not_taken_is_reported(
    shop: mmsearch.Client, node: FakeOpenSearch, tmp_path: Path
) -> None:
    (tmp_path / "chair.png").write_bytes(png())
    report = shop.ingest(
        [
            {"id": "1", "title": "Oak chair", "image": "chair.png", "price": 12.5, "colour": "brown"},
            {"id": "2", "title": "Lamp", "image": "lamp.png"},
            {"title": "nameless"},
            {"id": "4", "title": "Table"},
        ],
        image_root=tmp_path,
        processes=0,
    )
    assert (report.read, report.indexed, report.encoded, report.rejected) == (4, 2, 2, 2)
    assert report.reasons == {"missing_id": 1, "not_found": 1}
    assert [(each.line, each.id, each.stage, each.reason) for each in report.rejects] == [
        (2, "2", "image", "not_found"),
        (3, None, "read", "missing_id"),
    ]
    assert report.rejects[0].message == "expected a picture at 'lamp.png', found no file"
    assert report.exit_code == 3
    assert report.summary()["reasons"] == {"rejected": {"missing_id": 1, "not_found": 1}}
    sources = node.sources()
    assert set(sources) == {"1", "4"}
    assert sources["1"]["image"] == "chair.png"
    assert sources["1"]["attributes"] == {"colour": "brown"}
    again = shop.ingest([{"id": "4", "title": "Table"}], image_root=tmp_path, processes=0)
    assert (again.indexed, again.unchanged, again.encoded, again.rejects) == (1, 1, 0, ())


def test_nothing_is_left_behind_unless_a_file_of_rejects_is_named(
    shop: mmsearch.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("catalog.jsonl").write_text('{"id": "1", "title": "Oak chair"}\nno JSON\n', encoding="utf-8")
    assert shop.ingest("catalog.jsonl", processes=0).reasons == {"not_json": 1}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cache", "catalog.jsonl"]
    shop.ingest(Path("catalog.jsonl"), rejects="lost.jsonl", processes=0)
    (line,) = Path("lost.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["raw"] == "no JSON"


def test_an_iterable_is_read_while_it_is_made_and_its_errors_are_its_own(
    shop: mmsearch.Client, node: FakeOpenSearch
) -> None:
    report = shop.ingest(({"id": number, "title": f"Chair {number}"} for number in range(300)), batch=16)
    assert (report.read, report.indexed) == (300, 300)
    assert len(node.sources()) == 300

    def broken() -> Iterator[dict[str, str]]:
        yield {"id": "a", "title": "Lamp"}
        raise LookupError("the shop's database is gone")

    with pytest.raises(LookupError, match="the shop's database is gone"):
        shop.ingest(broken())


def test_values_of_python_become_what_json_has(shop: mmsearch.Client, node: FakeOpenSearch) -> None:
    red = png()
    identifier = uuid.UUID(int=1)
    report = shop.ingest(
        [
            {
                "id": identifier,
                "title": np.str_("Oak chair"),
                "price": Decimal("12.50"),
                "image": red,
                "category": ("Seats", "Chairs"),
                "brand": None,
                "description": float("nan"),
                "since": datetime.date(2024, 5, 1),
                "size": np.float32(1.5),
                "stock": np.int64(3),
                "sold": np.bool_(True),
                "sizes": np.array([1, 2]),
            }
        ],
        processes=0,
    )
    assert report.rejected == 0
    source = node.sources()[str(identifier)]
    assert {name: source[name] for name in ("title", "price", "category")} == {
        "title": "Oak chair",
        "price": 12.5,
        "category": ["Seats", "Chairs"],
    }
    assert "brand" not in source
    assert "description" not in source
    assert source["attributes"] == {
        "since": "2024-05-01", "size": 1.5, "stock": 3, "sold": True, "sizes": [1, 2],
    }  # fmt: skip
    assert source["ingest"]["modalities"] == ["text", "image"]


@pytest.mark.parametrize(
    ("record", "reason", "message"),
    [
        (5, "wrong_type", "expected a dict as product 1, got int"),
        ({"id": "1", "title": object()}, "not_json", "got others: a value of type object"),
        ({"id": "1", "price": float("inf")}, "not_json", "a number that is infinite"),
        ({"id": "1", 3: "x"}, "not_json", "a key of type int"),
        ({"id": "1", "title": "\ud800"}, "not_json", "surrogates"),
    ],
)
def test_what_json_does_not_have_is_a_reject(
    shop: mmsearch.Client, record: Any, reason: str, message: str
) -> None:
    (reject,) = shop.ingest([record], processes=0).rejects
    assert reject.reason == reason
    assert message in reject.message


def test_a_record_that_holds_itself_is_a_reject(shop: mmsearch.Client) -> None:
    record: dict[str, Any] = {"id": "1"}
    record["more"] = record
    (reject,) = shop.ingest([record], processes=0).rejects
    assert (
        reject.message == "expected values that JSON has in product 1, got others: it is nested without end"
    )


def test_a_frame_of_pandas_is_ingested(shop: mmsearch.Client, node: FakeOpenSearch) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "id": ["1", "2"],
            "title": ["Oak chair", "Lamp"],
            "price": [12.5, None],
            "since": pandas.to_datetime(["2024-05-01", None]),
            "colour": pandas.array(["brown", pandas.NA], dtype="string"),
        }
    )
    report = shop.ingest(frame)
    assert (report.read, report.indexed, report.rejected) == (2, 2, 0)
    assert node.sources()["1"]["price"] == 12.5
    assert node.sources()["1"]["attributes"] == {"since": "2024-05-01T00:00:00", "colour": "brown"}
    assert "price" not in node.sources()["2"]
    assert "attributes" not in node.sources()["2"]
    assert shop.ingest(frame.set_index("id")).unchanged == 2
    vectors = shop.encode_products(frame)
    assert vectors.tolist() == stored(node, "1", "2")


def test_columns_are_mapped_and_images_may_be_missing(
    shop: mmsearch.Client, node: FakeOpenSearch, tmp_path: Path
) -> None:
    report = shop.ingest(
        [{"id": "1", "name": "Oak chair", "image": "gone.png"}],
        map={"title": "name"},
        on_bad_image="text-only",
        image_root=tmp_path,
        processes=0,
    )
    assert (report.indexed, report.rejected, report.without_image) == (1, 0, 1)
    assert node.sources()["1"]["title"] == "Oak chair"


def test_a_dry_run_a_partial_feed_and_a_sync(shop: mmsearch.Client, node: FakeOpenSearch) -> None:
    products = [{"id": str(number), "title": f"Chair {number}"} for number in range(10)]
    assert shop.ingest(products, dry_run=True).encoded == 10
    assert not node.indices
    shop.ingest(products)
    assert shop.ingest([{"id": "3", "price": 5}], partial=True).encoded == 0
    assert node.sources()["3"]["price"] == 5
    node_sources = set(node.sources())
    report = shop.ingest(products[:9], sync=0.5)
    assert report.deleted == 1
    assert node_sources - set(node.sources()) == {"9"}


def test_too_many_rejects_end_a_run(shop: mmsearch.Client) -> None:
    with pytest.raises(RottenError, match="expected at most 1 rejects, got 2 of 2 lines"):
        shop.ingest([{}, {}], max_rejects=1)
    with pytest.raises(RottenError, match=r"expected at most 50\.0% rejects, got 2 of 3 lines"):
        shop.ingest([{}, {}, {"id": "1", "title": "x"}], max_rejects=0.5)
    assert shop.ingest([{}], max_rejects=1).rejected == 1


def test_progress_is_told_in_the_callers_thread(shop: mmsearch.Client) -> None:
    seen: list[tuple[int, float]] = []

    def watch(run: mmsearch.IngestProgress) -> None:
        assert threading.current_thread() is threading.main_thread()
        seen.append((run.stats.indexed, run.share()))

    shop.ingest([{"id": str(number), "title": "x"} for number in range(4)], progress=watch)
    assert seen[-1] == (4, 1.0)


def test_a_server_that_comes_back_is_waited_for_and_logged(
    shop: mmsearch.Client, triton: FakeTriton, caplog: pytest.LogCaptureFixture
) -> None:
    away = iter([True])

    def fault(rows: object) -> None:
        if next(away, False):
            raise RefuseError(grpc.StatusCode.UNAVAILABLE, "restarting")

    triton.fault = fault
    with caplog.at_level(logging.INFO, "mmsearch"):
        assert shop.ingest([{"id": "1", "title": "Oak chair"}], language="en", give_up_after=30).indexed == 1
    said = [
        (record.name, record.levelname, record.getMessage())
        for record in caplog.records
        if record.name.startswith("mmsearch")
    ]
    assert said[0][:2] == ("mmsearch.ingest", "WARNING")
    assert "does not respond (UNAVAILABLE: restarting); waiting up to 30 s" in said[0][2]
    assert said[-1][:2] == ("mmsearch.ingest", "INFO")
    assert said[-1][2].startswith("1 indexed, 0 rejected (1 encoded, 0 unchanged;")


def test_servers_that_are_starting_are_waited_for_where_it_is_wanted(
    node: FakeOpenSearch, caplog: pytest.LogCaptureFixture
) -> None:
    (port,) = free(1)
    started: list[FakeTriton] = []

    class StartsTriton(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not started:
                started.append(FakeTriton(port=port))

    products = [{"id": "1", "title": "Oak chair"}]
    logger, starts = logging.getLogger("mmsearch.ingest"), StartsTriton()
    with mmsearch.Client(node.url, triton=f"127.0.0.1:{port}", timeout=10) as shop:
        with pytest.raises(UnreachableError, match="start it"):
            shop.ingest(products, processes=0)
        logger.addHandler(starts)
        try:
            report = shop.ingest(
                products, language="en", processes=0, wait_for_servers=True, give_up_after=60
            )
        finally:
            logger.removeHandler(starts)
            for each in started:
                each.__exit__(None, None, None)
    assert (report.indexed, report.encoded) == (1, 1)
    said = [each.getMessage() for each in caplog.records if each.name == "mmsearch.ingest"]
    assert len(said) == 2
    assert f"Triton at 127.0.0.1:{port} does not respond" in said[0]
    assert f"Triton at 127.0.0.1:{port} responds again" in said[1]


def test_a_wait_for_starting_servers_ends(node: FakeOpenSearch) -> None:
    (port,) = free(1)
    with (
        mmsearch.Client(node.url, triton=f"127.0.0.1:{port}", timeout=10) as shop,
        pytest.raises(UnreachableError, match=f"expected Triton at 127.0.0.1:{port} to answer within 0 s"),
    ):
        shop.ingest([{"id": "1", "title": "Oak chair"}], processes=0, wait_for_servers=True, give_up_after=0)
    assert node.documents == {}


def test_threads_share_a_client(shop: mmsearch.Client, node: FakeOpenSearch) -> None:
    shop.ingest([{"id": "0", "title": "first"}])
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for turn in range(5):
                report = shop.ingest([{"id": f"{thread}-{turn}", "title": f"Chair {thread} {turn}"}])
                assert report.indexed == 1
                assert len(shop.search("chair")) > 0
                assert shop.encode_queries(["chair"]).shape == (1, 8)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(node.sources()) == 21


def answered(*hits: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"took": 7, "timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": list(hits)}, **more}


def test_a_search_gives_hits_with_the_legs_that_found_them(
    shop: mmsearch.Client, node: FakeOpenSearch
) -> None:
    shop.ingest([{"id": "1", "title": "Oak chair"}])
    leg = {"name": "dense", "rank": 1, "score": 0.9, "normalized": 1.0, "only": True}
    hit = {"_id": "1", "_score": 0.75, "_source": {"title": "Oak chair"}, "fields": {"_legs": [leg]}}
    degraded = [{"leg": "dense", "reason": "the encoder is away"}]
    node.search_answer = lambda body: (200, answered(hit, hit, ext={"mmsearch": {"degraded": degraded}}))
    hits = shop.search("somewhere to sit", filter={"category": "Seats"}, k=2)
    assert (hits[0].id, hits[0].score, hits[0].source["title"]) == ("1", 0.75, "Oak chair")
    assert hits[0].legs[0]["rank"] == 1
    assert [each.id for each in hits] == ["1", "1"]
    assert (len(hits), hits.took, hits.timed_out, hits.failed_shards) == (2, 7, False, 0)
    assert hits.degraded[0]["reason"] == "the encoder is away"
    assert hits[:1][0] == hits[0]
    body = node.searches[-1]
    assert body["size"] == 2
    (clause,) = body["query"].values()
    assert clause["filter"]["bool"]["should"][0] == {"term": {"category.keyword": "Seats"}}
    assert clause["queries"][0]["bool"]["must"][0]["multi_match"]["query"] == "somewhere to sit"


def asked(node: FakeOpenSearch) -> Any:
    (clause,) = node.searches[-1]["query"].values()
    return clause


def test_a_search_by_an_image_by_likeness_and_by_weights(
    shop: mmsearch.Client, node: FakeOpenSearch, tmp_path: Path
) -> None:
    shop.ingest([{"id": "1", "title": "Oak chair"}])
    (tmp_path / "query.png").write_bytes(png())
    in_base64 = base64.b64encode(png()).decode()
    for image in (png(), tmp_path / "query.png", str(tmp_path / "query.png")):
        shop.search(image=image, k=3)
        assert asked(node) == {"embedding": {"k": 3, "_name": "dense", "query_image": in_base64}}
    shop.search(like="1", filter={"price": {"gte": 10, "lt": 20}, "brand": ["A", "B"]})
    assert asked(node)["embedding"]["like"] == {"_id": "1"}
    assert asked(node)["embedding"]["filter"] == {
        "bool": {
            "filter": [{"range": {"price": {"gte": 10, "lt": 20}}}, {"terms": {"brand.keyword": ["A", "B"]}}]
        }
    }
    # 1 to 3 is a quarter to three quarters.
    for weights in ((1, 3), {"dense": 3, "lexical": 1}):
        shop.search("chair", weights=weights)
        assert asked(node)["fusion"]["combination"] == {
            "technique": "arithmetic_mean",
            "parameters": {"weights": [0.25, 0.75]},
        }
    shop.search("chair", mode="lexical")
    assert "neural" not in json.dumps(node.searches[-1])


def test_what_was_asked_and_found_is_logged_where_it_is_wanted(
    shop: mmsearch.Client, node: FakeOpenSearch
) -> None:
    shop.ingest([{"id": "1", "title": "Oak chair"}])
    node.search_answer = lambda body: (200, answered({"_id": "1", "_score": 1.0, "_source": {}}))
    shop.search("chair")
    assert "mmsearch-log" not in json.dumps(node.requests)
    bulks: list[tuple[str, bytes]] = []

    def bulk(index: str, body: bytes) -> dict[str, Any]:
        bulks.append((index, body))
        return {"items": [{"create": {"status": 201}}] * (body.count(b"\n") // 2)}

    node.bulk = bulk  # type: ignore[method-assign]
    shop.search("chair", log=True)
    ((index, body),) = bulks
    assert index == "mmsearch-log"
    assert json.loads(body.splitlines()[1])["query"] == "chair"


def test_queries_are_encoded_in_order_over_several_requests(
    shop: mmsearch.Client, triton: FakeTriton
) -> None:
    texts = [f"chair {number}" for number in range(70)]
    vectors = shop.encode_queries(texts)
    assert (vectors.shape, vectors.dtype) == ((70, 8), np.float32)
    for row, text in zip(vectors, texts, strict=True):
        assert row.tolist() == vector((text.encode(), b""), 8).tolist()
    assert [len(call) for call in triton.calls] == [32, 32, 6]
    assert shop.encode_queries([]).shape == (0, 8)
    assert shop.encode_queries(["chair"], field="text_embedding").shape == (1, 4)
    both = shop.encode_queries(["chair", ""], images=[None, png()])
    assert both[1].tolist() == vector((b"", png()), 8).tolist()


def test_products_are_encoded_as_they_are_stored(
    shop: mmsearch.Client, node: FakeOpenSearch, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(png("red"))
    (tmp_path / "b.png").write_bytes(png("blue"))
    products = [
        {"id": "1", "title": "Oak chair", "brand": "Acme"},
        {"id": "2", "title": "Lamp", "images": ["a.png", "b.png"]},
        {"id": "3", "image": "a.png"},
    ]
    shop.ingest(products, image_root=tmp_path, processes=0)
    vectors = shop.encode_products(products, image_root=tmp_path, processes=0)
    assert (vectors.shape, vectors.dtype) == ((3, 8), np.float32)
    assert vectors.tolist() == stored(node, "1", "2", "3")
    # The mean direction of two rows, by pencil: their sum over its length.
    total = vector((b"Lamp", as_sent(png("red"))), 8) + vector((b"Lamp", as_sent(png("blue"))), 8)
    np.testing.assert_allclose(vectors[1], total / np.linalg.norm(total), atol=1e-6)
    path = tmp_path / "catalog.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in products), encoding="utf-8")
    assert shop.encode_products(path, processes=0).tolist() == vectors.tolist()
    assert shop.encode_products([]).shape == (0, 8)


def test_vectors_are_those_of_the_version_that_the_index_was_made_for(
    shop: mmsearch.Client, triton: FakeTriton
) -> None:
    shop.ingest([{"id": "1", "title": "Oak chair"}])
    triton.versions["2"] = "e" * 64
    shop.encode_queries(["chair"])
    assert triton.asked[-1] == "1"
    del triton.versions["1"]
    with pytest.raises(
        MismatchError, match="expected products to be made by the encoder served, eeeeeeeeeeee"
    ):
        shop.encode_queries(["chair"])


@pytest.mark.parametrize(
    ("product", "kind", "sentence"),
    [
        ({"title": "x"}, RecordError, "expected an `id` on line 1, got none"),
        ({"id": "7"}, RecordError, "expected a title, description or picture of '7', got none of them"),
        ({"id": "7", "image": "x.png"}, PictureError, "product '7': expected a picture at 'x.png', found no"),
        ({"id": "7", "_delete": True}, ArgumentError, "got the deletion of '7'; leave it out"),
        ("7", RecordError, "expected a dict as product 1, got str"),
    ],
)
def test_a_product_without_a_vector_raises(
    shop: mmsearch.Client, product: Any, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        shop.encode_products([product], processes=0)


def test_products_are_deleted_each_once(shop: mmsearch.Client, node: FakeOpenSearch) -> None:
    shop.ingest([{"id": number, "title": "x"} for number in range(5)])
    report = shop.delete(["1", 2, "2", "9"])
    assert (report.read, report.deleted, report.missing, report.not_deleted) == (3, 2, 1, 0)
    assert report.sentence() == "2 deleted, 1 not found"
    assert set(node.sources()) == {"0", "3", "4"}
    node.item_fault = lambda identifier: (400, {"type": "mapper_parsing_exception", "reason": "no"})
    report = shop.delete(iter(["3"]))
    assert (report.not_deleted, report.exit_code) == (1, 3)
    assert report.reasons == {"mapper_parsing_exception": 1}


MISUSES: dict[str, tuple[Any, str]] = {
    "one product": (lambda shop: shop.ingest({"id": "1"}), "got dict; put it in a list"),
    "no products": (lambda shop: shop.ingest(5), "expected products as an iterable of dicts, a path or a"),
    "limit and sync": (
        lambda shop: shop.ingest([], sync=0.1, limit=3),
        "expected the whole catalog for --sync",
    ),
    "partial and force": (
        lambda shop: shop.ingest([], partial=True, force=True),
        "whole products for --force",
    ),
    "partial and text-only": (
        lambda shop: shop.ingest([], partial=True, on_bad_image="text-only"),
        "expected --partial without --sync and --on-bad-image text-only",
    ),
    "on_bad_image": (
        lambda shop: shop.ingest([], on_bad_image="skip"),
        "out of reject, text-only, got 'skip'",
    ),
    "format": (
        lambda shop: shop.ingest([], format="pdf"),
        "expected format out of jsonl, json, xml, csv, tsv, xlsx",
    ),
    "map": (lambda shop: shop.ingest([], map={"name": "x"}), "expected the keys of map out of id, title"),
    "batch": (
        lambda shop: shop.ingest([], batch=0),
        "expected a whole number from 1 to 1024 as batch, got 0",
    ),
    "share": (
        lambda shop: shop.ingest([], max_rejects=5.0),
        "a share from 0.0 to 1.0 as max_rejects, got 5.0",
    ),
    "sync": (lambda shop: shop.ingest([], sync=10), "expected a number from 0.0 to 1.0 as sync, got 10"),
    "slice": (lambda shop: shop.ingest([], slice=(3, 2)), "expected slice=(I, N) with I from 1 to N"),
    "vectors": (lambda shop: shop.ingest([], vectors=["words"]), "expected embedding, and if wanted others"),
    "ray in memory": (
        lambda shop: shop.ingest([], engine="ray"),
        "expected the path of a catalog for the engine",
    ),
    "image_root": (lambda shop: shop.ingest([], image_root=5), "expected a path as image_root, got 5"),
    "k": (lambda shop: shop.search("x", k=101), "expected a whole number from 1 to 100 as k, got 101"),
    "mode": (lambda shop: shop.search("x", mode="fast"), "expected mode out of lexical, neural, hybrid, got"),
    "words": (lambda shop: shop.search(5), "expected words as a str, got 5"),
    "filter": (lambda shop: shop.search("x", filter="red"), "expected filter as a dict of fields and values"),
    "image": (lambda shop: shop.search(image=5), "expected an image as a path or as the bytes of its file"),
    "no bytes": (lambda shop: shop.search(image=b""), "expected the bytes of an image file, got none"),
    "one text": (lambda shop: shop.encode_queries("chair"), "got one str; put it in a list"),
    "no text": (lambda shop: shop.encode_queries([None]), "expected a str as text 0, got NoneType"),
    "empty query": (
        lambda shop: shop.encode_queries(["a", ""]),
        "a text or an image as query 1, got neither",
    ),
    "images": (lambda shop: shop.encode_queries(["a"], images=[]), "for each of 1 queries, got 0 images"),
    "field": (
        lambda shop: shop.encode_queries(["a"], field="title"),
        "expected field out of embedding, text_",
    ),
    "one id": (lambda shop: shop.delete("12"), "expected an iterable of ids, got '12'; put one id in a list"),
    "no id": (lambda shop: shop.delete([""]), "expected ids that are texts or whole numbers, got ''"),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_wrong_arguments_are_one_sentence(shop: mmsearch.Client, misuse: str) -> None:
    call, sentence = MISUSES[misuse]
    shop.ingest([{"id": "1", "title": "Oak chair"}])
    with pytest.raises(mmsearch.MmsearchError) as caught:
        call(shop)
    assert isinstance(caught.value, ArgumentError)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "expected a text, --image or --like, got none"),
        ({"like": "1", "mode": "hybrid"}, "expected words for the hybrid search, got none"),
        ({"text": "x", "mode": "lexical", "weights": (1, 1)}, "expected weights only for a hybrid search"),
        (
            {"text": "x", "weights": (0, 0)},
            "expected a weight from 0 up for each of the legs lexical and dense",
        ),
        ({"text": "x", "weights": {"lexical": 1}}, "expected weights of lexical and dense"),
        (
            {"text": "x", "filter": {"colour": {"gte": 3}}},
            "a number or a date for a range of colour, got an attr",
        ),
        ({"text": "x", "filter": {"price": object()}}, "expected a text or a number to filter price by"),
        ({"image": "/nowhere/x.png"}, "expected a picture at /nowhere/x.png, got: No such file"),
    ],
)
def test_an_incomplete_search_is_one_sentence(
    shop: mmsearch.Client, arguments: dict[str, Any], sentence: str
) -> None:
    shop.ingest([{"id": "1", "title": "Oak chair"}])
    with pytest.raises(SearchError, match=sentence):
        shop.search(**arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"url": "ftp://localhost"},
            "expected an OpenSearch URL such as http://localhost:9200, got 'ftp://localhost'",
        ),
        ({"triton": ""}, "expected HOST:PORT or grpcs://HOST:PORT for Triton, got ''"),
        ({"index": ""}, "expected the name of an index or alias, got ''"),
        ({"timeout": 0}, "expected a timeout in seconds above 0, got 0"),
        ({"auth": ("shop",)}, r"expected auth=\(user, password\) or an API key as a str, got tuple"),
        ({"client_cert": ("a", "b", "c")}, "expected client_cert as a PEM file or as"),
        ({"ca_file": 5}, "expected a path as ca_file, got 5"),
        ({"ca_file": "/nowhere.pem"}, "expected a PEM file for --ca-file, got /nowhere.pem: No such file"),
        (
            {"url": "http://shop.example", "auth": "key"},
            "expected https:// where an API key travels, got http",
        ),
        (
            {"url": "http://shop:secret@localhost:9200", "auth": "key"},
            "expected an OpenSearch URL without user",
        ),
    ],
)
def test_a_client_that_cannot_be_is_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(mmsearch.MmsearchError, match=sentence) as caught:
        mmsearch.Client(**arguments)
    assert "secret" not in str(caught.value)


def test_a_closed_client_says_so(shop: mmsearch.Client) -> None:
    shop.close()
    shop.close()
    with pytest.raises(ArgumentError, match="expected an open Client, got a closed one"):
        shop.search("chair")


@pytest.mark.parametrize(
    "call",
    [
        lambda shop: shop.search("chair"),
        lambda shop: shop.encode_queries(["chair"]),
        lambda shop: shop.encode_products([{"id": "1", "title": "chair"}]),
        lambda shop: shop.ingest([{"id": "1", "title": "chair"}]),
        lambda shop: shop.delete(["1"]),
    ],
    ids=["search", "encode_queries", "encode_products", "ingest", "delete"],
)
def test_a_node_that_is_away_is_one_sentence(triton: FakeTriton, call: Any) -> None:
    with mmsearch.Client(NOBODY, triton=triton.url) as shop, pytest.raises(UnreachableError) as caught:
        call(shop)
    assert str(caught.value).startswith(
        "expected OpenSearch at 127.0.0.1:9 to answer, got connection refused;"
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda shop: shop.encode_queries(["chair"]),
        lambda shop: shop.encode_products([{"id": "1", "title": "chair"}]),
        lambda shop: shop.ingest([{"id": "1", "title": "chair"}]),
    ],
    ids=["encode_queries", "encode_products", "ingest"],
)
def test_an_encoder_that_is_away_is_one_sentence(node: FakeOpenSearch, call: Any) -> None:
    with mmsearch.Client(node.url, triton="127.0.0.1:9") as shop, pytest.raises(UnreachableError) as caught:
        call(shop)
    assert str(caught.value).startswith("expected Triton at 127.0.0.1:9 to answer, got UNAVAILABLE")


def test_an_encoder_that_fails_or_refuses_is_one_sentence(shop: mmsearch.Client, triton: FakeTriton) -> None:
    codes = {grpc.StatusCode.INTERNAL: EncoderError, grpc.StatusCode.INVALID_ARGUMENT: RefusedError}
    for code, kind in codes.items():

        def fault(rows: object, code: grpc.StatusCode = code) -> None:
            raise RefuseError(code, "the text is too long")

        triton.fault = fault
        with pytest.raises(kind, match="the text is too long"):
            shop.encode_queries(["chair"])


def test_an_index_that_is_not_there_or_not_ours(shop: mmsearch.Client, node: FakeOpenSearch) -> None:
    with pytest.raises(SearchError, match="expected hits from products, got 404 index_not_found_exception"):
        shop.search("chair")
    with pytest.raises(MismatchError, match="expected an index behind products, got none"):
        shop.delete(["1"])
    node.create("products", {"mappings": {}})
    with pytest.raises(MismatchError, match="expected products to be an index made by mmsearch"):
        shop.delete(["1"])
    with pytest.raises(MismatchError, match=r"to have index\.knn: true.* mmsearch reindex CATALOG"):
        shop.ingest([{"id": "1", "title": "chair"}])


def test_what_is_given_wins_over_the_environment(
    node: FakeOpenSearch, triton: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers: list[str | None] = []
    monkeypatch.setenv("MMSEARCH_OPENSEARCH_API_KEY", "from the environment")
    handler = node._server.RequestHandlerClass
    serve = handler._serve  # type: ignore[attr-defined]

    def kept(self: Any, method: str) -> None:
        headers.append(self.headers.get("authorization"))
        serve(self, method)

    monkeypatch.setattr(handler, "_serve", kept)
    for auth, sent in (
        (("shop", "secret"), "Basic " + base64.b64encode(b"shop:secret").decode()),
        ("a key", "ApiKey a key"),
        (None, "ApiKey from the environment"),
    ):
        with mmsearch.Client(node.url, triton=triton.url, auth=auth) as shop, pytest.raises(SearchError):
            shop.search("chair", mode="lexical")
        assert headers[-1] == sent
        assert "secret" not in repr(shop)


def test_half_a_certificate_is_refused_and_one_file_may_hold_both(tmp_path: Path) -> None:
    identity = issue("client")
    certificate, key = identity.write(tmp_path, "client")
    both = tmp_path / "both.pem"
    both.write_bytes(identity.pem + identity.key_pem)
    for client_cert in ((certificate, key), both):
        with (
            mmsearch.Client("https://127.0.0.1:9", client_cert=client_cert) as shop,
            pytest.raises(UnreachableError, match="expected OpenSearch at 127"),
        ):
            shop.search("chair")
    with pytest.raises(IngestError, match="expected a PEM file for --client-key, got /nowhere"):
        mmsearch.Client("https://127.0.0.1:9", client_cert=(certificate, "/nowhere.key"))


def test_a_credential_as_an_argument_does_not_reach_workers_of_ray(
    node: FakeOpenSearch, triton: FakeTriton, tmp_path: Path
) -> None:
    with (
        mmsearch.Client(node.url, triton=triton.url, auth="key") as shop,
        pytest.raises(ArgumentError, match="expected credentials and certificates from the environment"),
    ):
        shop.ingest(tmp_path / "catalog.jsonl", engine="ray")
