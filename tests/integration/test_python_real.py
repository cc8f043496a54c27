"""The README's example, docs/python.md and the notebook, executed on the real servers as they stand."""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_data import drawn

import mmsearch

from ..conftest import StackUnderTest
from ..fakes.asking import ask

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
"""a block of code, and the block below it that says what it prints"""

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the files that the pages name; journals and features of its own."""
    monkeypatch.chdir(tmp_path)
    catalog = drawn.write_catalog(tmp_path)
    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    pairs = ({"query": f"{each['colour']} {each['category']}", "product_id": each["id"]} for each in products)
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    for name, copy in (("brown-box", "chair"), ("yellow-ball", "lamp")):
        (tmp_path / "pictures" / f"{copy}.png").write_bytes(
            (tmp_path / "pictures" / f"{name}.png").read_bytes()
        )
    return tmp_path


def here(stack: StackUnderTest, code: str, index: str) -> str:
    """The code with the addresses of these servers, and an index of its own."""
    return (
        code.replace("http://localhost:9200", stack.opensearch.url)
        .replace("localhost:8001", stack.triton.grpc)
        .replace('index="products"', f'index="{index}"')
    )


def printed(code: str, names: dict[str, Any]) -> str:
    """What the code prints; a last line that is an expression is only evaluated, as in a notebook."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "<example>", "exec"), names)
    return out.getvalue()


def removed(stack: StackUnderTest, index: str) -> None:
    with contextlib.suppress(OSError):
        ask(stack.opensearch.url, "DELETE", f"/{index}-000001")


@pytest.mark.usefixtures("folder")
def test_the_readmes_example(stack: StackUnderTest) -> None:
    (block,) = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    assert printed(here(stack, block[0], "readme-python"), names).startswith("0 {} 1 ")
    assert "dense" in {leg["name"] for leg in names["hits"][0].legs}
    assert names["vectors"].shape == (1, 768)
    assert ask(stack.opensearch.url, "GET", "/readme-python/_count")["count"] == 0
    removed(stack, "readme-python")


def test_the_page_from_top_to_bottom(stack: StackUnderTest, folder: Path) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "python.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 10
    names: dict[str, Any] = {}
    for code, expected in blocks:
        said = printed(here(stack, code, "docs-python"), names)
        if expected:
            assert said == expected, code
    assert names["queries"].shape == (2, 768)
    assert names["products"].dtype == np.float32
    assert names["hits"][0].id == "1"
    assert names["found"].passed
    # BM25 finds the two products whose titles have the words, and nothing for a place to sit.
    assert names["found"].means["bm25"]["ndcg(esci)@10"] == pytest.approx(2 / 3)
    assert names["run"].folder == folder / "runs" / "gated"
    assert (folder / "runs" / "gated" / "fusion.safetensors").is_file()
    names["shop"].close()
    removed(stack, "docs-python")


@pytest.mark.usefixtures("folder")
def test_the_notebook(stack: StackUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    notebook = json.loads((ROOT / "examples" / "python.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["metadata"]["language_info"]["name"]) == (4, "python")
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    # Outputs would differ from machine to machine, and are not kept.
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    names: dict[str, Any] = {}
    said = [printed(code, names) for code in cells]
    assert len(said) >= 9
    assert names["report"].reasons == {"missing_id": 1, "not_found": 1}
    assert names["again"].indexed == 5
    assert names["queries"].shape == (2, 768)
    # The chair is nearer to its words than the lamp, and the lamp to its own.
    nearest = (names["queries"] @ names["vectors"].T).argmax(axis=1)
    assert nearest.tolist() == [0, 1]
    assert names["found"].means["hybrid"]["ndcg(esci)@10"] > 0.6
    assert "5 deleted, 0 not found" in said[-1]
    assert "expected weights of lexical and dense" in said[-1]
    removed(stack, "python-example")


@pytest.fixture
def shop(stack: StackUnderTest) -> Iterator[mmsearch.Client]:
    with mmsearch.Client(stack.opensearch.url, triton=stack.triton.grpc, index="api-real") as shop:
        yield shop
    removed(stack, "api-real")


def test_vectors_are_those_of_the_index_and_threads_share_the_client(
    stack: StackUnderTest, shop: mmsearch.Client, folder: Path
) -> None:
    products = [json.loads(line) for line in (folder / "catalog.jsonl").read_text().splitlines()]
    report = shop.ingest(products, image_root=folder)
    assert (report.indexed, report.rejected) == (48, 0)
    # The vectors of some products, as they are stored, and as the neural clause finds them by its own.
    ids = ["red-box", "blue-kite", "black-flag"]
    some = [product for product in products if product["id"] in ids]
    vectors = shop.encode_products(some, image_root=folder)
    for product, vector in zip(some, vectors, strict=True):
        body = {"query": {"ids": {"values": [product["id"]]}}, "_source": ["embedding"]}
        found = ask(stack.opensearch.url, "POST", "/api-real/_search", body)["hits"]["hits"]
        np.testing.assert_allclose(vector, found[0]["_source"]["embedding"], atol=1e-6)
    (query,) = shop.encode_queries(["a purple ladder"])
    everything = shop.encode_products(products, image_root=folder)
    best = [products[place]["id"] for place in np.argsort(-(everything @ query))[:5]]
    hits = shop.search("a purple ladder", mode="neural", k=5)
    assert {hit.id for hit in hits} == set(best)
    assert hits[0].id == best[0]
    # k-NN's score of a cosine is half of one plus it.
    assert hits[0].score == pytest.approx((1 + float(everything.dot(query).max())) / 2, abs=1e-4)

    failures: list[BaseException] = []

    def work(colour: str) -> None:
        try:
            for _ in range(5):
                (hit,) = shop.search(f"{colour} ladder", filter={"colour": colour, "category": "ladder"}, k=1)
                assert hit.id == f"{colour}-ladder"
                assert shop.encode_queries([colour]).shape == (1, 768)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(colour,)) for colour in ("red", "blue", "green", "black")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_weights_decide_which_leg_counts(shop: mmsearch.Client, folder: Path) -> None:
    shop.ingest(folder / "catalog.jsonl")
    words = shop.search("red thing", weights={"lexical": 1, "dense": 0})
    assert "lexical" in {leg["name"] for leg in words[0].legs}
    alone = shop.search("red thing", mode="lexical")
    assert words[0].source["title"].startswith("Red")
    assert {hit.id for hit in alone[:3]} <= {hit.id for hit in words}
    cheap = shop.search("box", filter={"category": ["box", "kite"], "colour": "red"})
    assert {hit.id for hit in cheap} == {"red-box", "red-kite"}
