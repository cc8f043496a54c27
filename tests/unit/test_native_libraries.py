"""No index of faiss is made while a data node lacks k-NN's native libraries, of which that node would die."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mmsearch
from mmsearch.clients.opensearch import connect
from mmsearch.errors import MismatchError
from mmsearch.stack.doctor_served import faiss

from ..fakes.fake_opensearch import AnswerError, FakeOpenSearch
from ..fakes.reindexing import Shop, ingested

HALF = {"data-1": True, "data-2": False, "data-3": False}
REFUSED = [
    (HALF, "none on data-2, data-3"),
    ({"data-1": True, "data-2": None}, "no word of id-data-2"),
    ({"data-1": False, "data-2": None}, "none on data-1 and no word of id-data-2"),
    ({}, "no node with the mmsearch plugin, which says whether they are there"),
]
SENTENCE = (
    "expected k-NN's native libraries for faiss on every data node, got {}; use nodes of the official image "
    "with the mmsearch plugin, or leave --knn-engine at lucene"
)
FAISS = ("--index", "other", "--map", "id=sku", "--knn-engine", "faiss")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with ingested(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize(("libraries", "got"), REFUSED)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_ingest_makes_no_index_of_faiss_on_a_node_without_the_libraries(
    shop: Shop, libraries: dict[str, bool | None], got: str, more: tuple[str, ...]
) -> None:
    shop.node.libraries = libraries
    done = shop.run("ingest", str(shop.file), *FAISS, *more, code=1)
    assert type(done.exception) is SystemExit
    assert done.stderr.splitlines()[-1] == f"mmsearch: {SENTENCE.format(got)}"
    assert list(shop.node.indices) == ["products-000001"]


def test_ingest_makes_it_where_every_data_node_has_them(shop: Shop) -> None:
    shop.node.libraries = {"data-1": True, "data-2": True}
    shop.ingest(*FAISS, "--image-root", str(shop.folder / "pictures"))
    field = shop.node.indices["other-000001"]["mappings"]["properties"]["embedding"]
    assert field["method"]["engine"] == "faiss"


def test_nobody_is_asked_for_lucene(shop: Shop) -> None:
    shop.node.libraries = HALF
    shop.ingest("--index", "other", "--map", "id=sku", "--image-root", str(shop.folder / "pictures"))
    assert not [path for _, path in shop.node.requests if path.startswith("/_plugins")]


def test_the_python_client_raises(shop: Shop) -> None:
    shop.node.libraries = HALF
    rows = [{"id": "1", "title": "chair"}]
    with (
        mmsearch.Client(shop.node.url, triton=shop.triton.url, index="other") as client,
        pytest.raises(MismatchError) as caught,
    ):
        client.ingest(rows, knn_engine="faiss")
    assert caught.value.sentence() == SENTENCE.format("none on data-2, data-3")
    assert "other-000001" not in shop.node.indices


def test_reindex_makes_no_index_of_faiss_either(shop: Shop) -> None:
    shop.node.libraries = HALF
    told = SENTENCE.format("none on data-2, data-3") + "; products stays on products-000001"
    assert shop.refused("--knn-engine", "faiss") == f"mmsearch: {told}"
    assert "products-000002" not in shop.node.indices
    shop.node.libraries = {"data-1": True}
    shop.run("reindex", "--knn-engine", "faiss")
    assert shop.node.aliases == {"products": "products-000002"}


def test_who_may_not_ask_is_told_the_permission(shop: Shop) -> None:
    def refuse(method: str, path: str) -> None:
        if path.startswith("/_plugins"):
            raise AnswerError(403, {"type": "security_exception", "reason": "no permissions"})

    shop.node.request_fault = refuse
    told = shop.ingest(*FAISS, code=1).stderr.splitlines()[-1]
    assert told == (
        "mmsearch: expected every data node to report whether it has k-NN's native libraries for faiss, got "
        "403 "
        "security_exception: no permissions; grant cluster:monitor/mmsearch/stats, or leave --knn-engine at "
        "lucene"
    )
    client = connect(shop.node.url)
    finding = faiss(client)
    client.close()
    assert (finding.state, finding.repair) == ("note", "grant cluster:monitor/mmsearch/stats")


def test_doctor_says_whether_faiss_can_be_used() -> None:
    with FakeOpenSearch() as node:
        client = connect(node.url)
        node.libraries = HALF
        told = faiss(client)
        node.libraries = {"data-1": True}
        assert faiss(client).state == "ok"
        client.close()
    assert (told.state, told.found) == ("note", "of k-NN's native libraries none on data-2, data-3")
