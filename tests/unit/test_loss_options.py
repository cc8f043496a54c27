"""Options that would be ignored are refused; an index that was changed by hand is fixed; an alias that hides
products is not written by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli
from mmsearch.errors import MismatchError
from mmsearch.ingest.product_index.storage import Storage, StorageOptions

from ..fakes.fake_opensearch import AnswerError, FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog, picture
from .test_storage import MAPPINGS


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    with FakeTriton() as triton, FakeOpenSearch() as node:
        made = Catalog(tmp_path, triton, node)
        made.write(*({"id": str(n), "title": f"chair {n}"} for n in range(3)))
        yield made


def command(catalog: Catalog, *options: str, index: str = "products") -> Result:
    servers = ("--opensearch", catalog.node.url, "--triton", catalog.triton.url, "--index", index)
    return CliRunner().invoke(cli, ["ingest", str(catalog.path), *servers, "--processes", "0", *options])


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ("--shards 3", "--shards 1"),
        ("--knn-encoder byte", "--knn-engine lucene --knn-encoder float --knn-mode in_memory"),
        (
            "--knn-engine faiss --knn-encoder fp16",
            "--knn-engine lucene --knn-encoder float --knn-mode in_memory",
        ),
    ],
)
def test_loss_12_options_of_a_new_index_are_refused_for_one_that_is_there(
    catalog: Catalog, options: str, got: str
) -> None:
    assert command(catalog).exit_code == 0
    for more in ((), ("--dry-run",)):
        done = command(catalog, *options.split(), *more)
        assert done.exit_code == 1
        assert done.stderr.splitlines()[-1] == (
            f"mmsearch: expected products-000001 to be made with {options}, got {got}; leave that out, or "
            f"build a new index by: mmsearch reindex {options}"
        )


def test_loss_12_the_command_that_made_the_index_may_be_given_again(catalog: Catalog) -> None:
    options = ("--shards", "3", "--knn-encoder", "byte", "--knn-mode", "on_disk")
    for _ in range(2):
        done = command(catalog, *options)
        assert done.exit_code == 0, done.output
    assert command(catalog, "--knn-mode", "in_memory").exit_code == 1


@pytest.mark.parametrize("asked", [asked for asked, _ in MAPPINGS], ids="-".join)
def test_loss_12_a_mapping_is_read_as_the_storage_that_made_it(asked: tuple[str, str, str]) -> None:
    storage = Storage(*asked)
    assert Storage.of(storage.field(8)) == storage
    assert not StorageOptions(*asked).differing(storage)


def test_loss_13_documents_that_were_changed_by_hand_are_mended_by_force(catalog: Catalog) -> None:
    (catalog.folder / "p.png").write_bytes(picture())
    catalog.write(*({"id": str(n), "title": f"chair {n}", "image": "p.png"} for n in range(3)))
    assert command(catalog).exit_code == 0
    right = json.loads(json.dumps(catalog.node.sources()))
    catalog.node.sources()["1"] |= {"title": "by hand", "embedding": [1.0] + [0.0] * 7}
    rows = catalog.triton.rows
    done = command(catalog, "--json")
    assert json.loads(done.stdout)["unchanged"] == 3
    assert catalog.node.sources() != right
    done = command(catalog, "--json", "--force")
    assert done.exit_code == 0
    summary = json.loads(done.stdout)
    assert (summary["encoded"], summary["unchanged"], summary["indexed"]) == (3, 0, 3)
    assert catalog.triton.rows == rows + 3
    assert all(text and image for text, image in catalog.triton.calls[-1])
    assert catalog.node.sources() == right


@pytest.mark.parametrize(
    ("properties", "had"),
    [
        ({"filter": {"term": {"brand": "fr"}}}, "a filter"),
        ({"index_routing": "fr", "search_routing": "fr"}, "routing"),
        ({"filter": {"term": {"brand": "fr"}}, "search_routing": "fr"}, "a filter and routing"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--sync", "--sync-at-most", "100%"), ("--dry-run",)])
def test_loss_16_an_alias_of_a_part_is_not_written_by(
    catalog: Catalog, properties: dict[str, Any], had: str, options: tuple[str, ...]
) -> None:
    assert command(catalog).exit_code == 0
    before = dict(catalog.node.sources())
    catalog.node.aliases["shop-fr"] = "products-000001"
    catalog.node.alias_properties["shop-fr"] = properties
    catalog.write({"id": "other", "title": "table"})
    done = command(catalog, *options, index="shop-fr")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == (
        f"mmsearch: expected shop-fr to be an alias of all products of products-000001, got one with {had}; "
        "use --index products-000001, or one index per shop"
    )
    assert catalog.node.sources() == before
    rejects = catalog.folder / "r.jsonl"
    rejects.write_text('{"line":1,"stage":"read","record":{"id":"x","title":"y"}}\n')
    retry = ["retry", str(rejects), "--index", "shop-fr", "--opensearch", catalog.node.url]
    done = CliRunner().invoke(cli, [*retry, "--triton", catalog.triton.url])
    assert (done.exit_code, catalog.node.sources()) == (1, before)


def test_loss_16_properties_that_may_not_be_read_are_one_sentence(catalog: Catalog) -> None:
    def fault(method: str, path: str) -> None:
        if "/_alias" in path:
            raise AnswerError(403)

    catalog.node.request_fault = fault
    with pytest.raises(MismatchError, match="grant indices:admin/aliases/get"):
        catalog.ingest()
