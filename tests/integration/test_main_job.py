"""The main job on real data, as a newcomer does it: furniture in, words and pictures out."""

from __future__ import annotations

import base64
import json
import re
import shlex
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
from click.testing import CliRunner, Result
from sample_data import furniture

from mmsearch.cli.main import cli
from mmsearch.config import cache_folder

pytestmark = pytest.mark.integration
INDEX = "whole-path"


@dataclass(frozen=True)
class Shop:
    """The ingested furniture: its products by id, and how to ask for them."""

    url: str
    environment: dict[str, str]
    catalog: Path
    products: dict[str, dict[str, Any]]
    first_run: dict[str, Any]

    def search(self, body: dict[str, Any], query: str = "") -> dict[str, Any]:
        return self.post(f"/{INDEX}/_search{query}", json.dumps(body))

    def post(self, path: str, data: str, kind: str = "application/json") -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, data.encode(), {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def run(self, *arguments: str) -> Result:
        return CliRunner(env=self.environment).invoke(cli, list(arguments))

    def picture(self, product: str) -> str:
        data = (self.catalog.parent / self.products[product]["image"]).read_bytes()
        return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def shop(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    catalog = furniture.write_catalog(tmp_path_factory.mktemp("furniture"), cache_folder())
    environment = {**stack.environment, "MMSEARCH_INDEX": INDEX}
    result = CliRunner(env=environment).invoke(cli, ["ingest", str(catalog), "--json"])
    assert result.exit_code == 0, result.output
    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    return Shop(
        stack.opensearch.url,
        environment,
        catalog,
        {product["id"]: product for product in products},
        json.loads(result.stdout),
    )


def titles(answer: dict[str, Any]) -> list[str]:
    return [hit["_source"]["title"] for hit in answer["hits"]["hits"]]


def test_the_readmes_searches_print_what_it_shows(shop: Shop) -> None:
    """Ranks, legs and titles. Scores depend on the processor, and so does which of two dense hits is first
    whose scores are a thousandth apart.
    """

    def without_scores(line: str) -> list[str]:
        rank, _, *rest = re.sub(r"dense \d+", "dense", line).split()
        return [rank, *rest]

    lines = Path("README.md").read_text(encoding="utf-8").splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith("$ mmsearch search ")]
    assert len(starts) == 2
    for at in starts:
        shown = lines[at + 1 : at + 1 + [not line.startswith("  ") for line in lines[at + 1 :]].index(True)]
        printed = shop.run(*shlex.split(lines[at])[2:]).stdout.splitlines()
        assert [without_scores(each) for each in printed] == [without_scores(each) for each in shown]


def encoded(server: str, model: str, texts: list[str], pictures: list[bytes], output: str) -> Any:
    """Unit vectors, float32 [max(len(texts), len(pictures)), d], from an entry model of a real Triton."""
    client = tritonclient.grpc.InferenceServerClient(server)
    rows = max(len(texts), len(pictures))
    columns = {"TEXT": [text.encode() for text in texts] or [b""] * rows, "IMAGE": pictures or [b""] * rows}
    parts = []
    for start in range(0, rows, 32):
        inputs = []
        for name, values in columns.items():
            part = np.array(values[start : start + 32], dtype=np.object_).reshape(-1, 1)
            inputs.append(tritonclient.grpc.InferInput(name, list(part.shape), "BYTES"))
            inputs[-1].set_data_from_numpy(part)
        wanted = [tritonclient.grpc.InferRequestedOutput(output)]
        parts.append(client.infer(model, inputs, outputs=wanted).as_numpy(output))
    client.close()
    return np.concatenate(parts)


def neural(**clause: Any) -> dict[str, Any]:
    return {"neural": {"embedding": clause}}


def test_every_product_is_in_once(shop: Shop) -> None:
    assert {key: shop.first_run[key] for key in ("read", "indexed", "rejected")} == {
        "read": 820,
        "indexed": 820,
        "rejected": 0,
    }
    again = json.loads(shop.run("ingest", str(shop.catalog), "--json").stdout)
    assert (again["unchanged"], again["encoded"], again["encoder_calls"]) == (820, 0, 0)
    shop.post(f"/{INDEX}/_refresh", "")
    counted = shop.search({"size": 0, "track_total_hits": True})
    assert counted["hits"]["total"]["value"] == 820


def test_words_find_what_they_mean(shop: Shop) -> None:
    found = titles(shop.search({"query": neural(query_text="something to sit on", k=10), "size": 10}))
    seats = [
        title for title in found if any(word in title.lower() for word in ("chair", "seat", "stool", "sofa"))
    ]
    assert len(found) == 10
    assert len(seats) >= 5, found


def test_a_chairs_picture_finds_chairs(shop: Shop) -> None:
    chairs = [key for key, product in shop.products.items() if product["title"] == "Chair"]
    assert len(chairs) >= 3
    shares = []
    for chair in chairs[:5]:
        body = {"query": neural(query_image=shop.picture(chair), k=11), "size": 11}
        hits = shop.search(body)["hits"]["hits"]
        assert chair in [hit["_id"] for hit in hits]
        others = [hit["_source"]["title"].lower() for hit in hits if hit["_id"] != chair][:10]
        shares.append(sum("chair" in title or "seat" in title or "stool" in title for title in others) / 10)
    named = sum("chair" in product["title"].lower() for product in shop.products.values()) / 820
    print(f"\nchairs among the ten others that a chair's picture finds: {sum(shares) / len(shares):.2f}")
    assert named < 0.15
    assert sum(shares) / len(shares) >= 0.5


def test_titles_find_their_pictures_by_the_picture_alone(
    shop: Shop, stack: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """R@10 over the distinct titles, each against the picture half of all 820 products; chance is 0.016."""
    by_title: dict[str, set[int]] = {}
    for number, product in enumerate(shop.products.values()):
        by_title.setdefault(product["title"], set()).add(number)
    folder = shop.catalog.parent
    files = [(folder / product["image"]).read_bytes() for product in shop.products.values()]
    pictures = encoded(stack.triton.grpc, "item_encoder", [], files, "IMAGE_EMBEDDING")
    queries = encoded(stack.triton.grpc, "query_encoder", list(by_title), [], "IMAGE_EMBEDDING")
    top = (-(queries @ pictures.T)).argsort(axis=1, kind="stable")[:, :10]
    recalls = [
        len(wanted.intersection(found.tolist())) / len(wanted)
        for wanted, found in zip(by_title.values(), top, strict=True)
    ]
    recall = sum(recalls) / len(recalls)
    with capsys.disabled():
        print(f"\nR@10 of {len(recalls)} titles against pictures alone: {recall:.3f} (chance 0.016)")
    assert recall >= 0.30


def test_images_weigh_in_a_search_by_text_as_much_as_they_say(shop: Shop, stack: Any) -> None:
    (index,) = json.load(urllib.request.urlopen(f"{shop.url}/{INDEX}", timeout=30)).values()
    about = index["mappings"]["_meta"]["mmsearch"]["text_to_image"]
    assert (about["text_dimension"], about["products"]) == (384, 400)
    # Measured offline on ten other samples: .43 to .48.
    assert about["alignment"] == pytest.approx(0.455, abs=0.06)
    assert about["weight"] == about["alignment"]
    words = "wooden chair"
    (query,) = encoded(stack.triton.grpc, "query_encoder", [words], [], "EMBEDDING")
    for clause, weight in (
        ({}, about["weight"]),
        ({"text_to_image": 0.5}, 0.5),
        ({"text_to_image": 0.1}, 0.1),
    ):
        scale = np.repeat([1 - weight, weight], 384)
        asked = query * scale / np.linalg.norm(query * scale)
        body = {"query": neural(query_text=words, k=5, **clause), "size": 5, "_source": ["embedding"]}
        for hit in shop.search(body)["hits"]["hits"]:
            cosine = float(asked @ np.array(hit["_source"]["embedding"]))
            assert hit["_score"] == pytest.approx((1 + cosine) / 2, abs=1e-4)


def test_the_search_command_takes_another_weight_of_images(shop: Shop) -> None:
    first = {}
    for weight in ("0", "1"):
        result = shop.run("search", "wooden chair", "--mode", "neural", "--text-to-image", weight, "--json")
        assert result.exit_code == 0, result.output
        first[weight] = [json.loads(line)["_id"] for line in result.stdout.splitlines()]
    assert first["0"] != first["1"]


def test_hybrid_pages_aggregates_and_tells_its_legs(shop: Shop) -> None:
    legs = [
        {"match": {"title": {"query": "wooden chair", "_name": "words"}}},
        {"neural": {"embedding": {"query_text": "wooden chair", "k": 100, "_name": "meaning"}}},
    ]
    body: dict[str, Any] = {
        "query": {"hybrid": {"queries": legs, "pagination_depth": 100}},
        "aggs": {"categories": {"terms": {"field": "category.keyword"}}},
        "size": 20,
    }
    whole = shop.search(body)
    pages = [shop.search({**body, "from": start, "size": 5}) for start in (0, 5, 10, 15)]
    assert [hit["_id"] for page in pages for hit in page["hits"]["hits"]] == [
        hit["_id"] for hit in whole["hits"]["hits"]
    ]
    names = {leg["name"] for hit in whole["hits"]["hits"] for leg in hit["fields"]["_legs"]}
    assert names == {"words", "meaning"}
    best = whole["hits"]["hits"][0]
    assert best["_score"] == pytest.approx(sum(leg["normalized"] for leg in best["fields"]["_legs"]) / 2)
    assert sum(bucket["doc_count"] for bucket in whole["aggregations"]["categories"]["buckets"]) >= 20
    assert "embedding" not in best["_source"]


def test_counts_and_ranking_evaluation_take_the_clauses(shop: Shop) -> None:
    dense = neural(query_text="wooden chair", k=10)
    hybrid = {"hybrid": {"queries": [{"match": {"title": "chair"}}, dense], "pagination_depth": 25}}
    for query, most in ((dense, 10), (hybrid, 25)):
        answer = shop.search({"query": query, "size": 25})
        found = [hit["_id"] for hit in answer["hits"]["hits"]]
        assert 0 < len(found) <= most
        counted = shop.post(f"/{INDEX}/_count", json.dumps({"query": query}))
        assert counted["count"] == answer["hits"]["total"]["value"] == len(found)
        ratings = [{"_index": answer["hits"]["hits"][0]["_index"], "_id": found[0], "rating": 1}]
        evaluated = shop.post(
            f"/{INDEX}/_rank_eval",
            json.dumps(
                {
                    "requests": [{"id": "chair", "request": {"query": query}, "ratings": ratings}],
                    "metric": {"mean_reciprocal_rank": {"k": 10, "relevant_rating_threshold": 1}},
                }
            ),
        )
        assert evaluated["failures"] == {}
        assert evaluated["metric_score"] == 1.0


def test_the_search_command_prints_hits_and_legs(shop: Shop) -> None:
    result = shop.run("search", "wooden chair", "--mode", "hybrid", "-k", "5", "--json")
    assert result.exit_code == 0, result.output
    picture = str(shop.catalog.parent / shop.products["blendswap-cc-0-armchair"]["image"])
    by_picture = shop.run("search", "--image", picture, "-k", "5")
    assert by_picture.exit_code == 0, by_picture.output
    assert "Armchair" in by_picture.output


def test_an_index_of_another_encoder_is_refused(shop: Shop) -> None:
    (index,) = json.load(urllib.request.urlopen(f"{shop.url}/{INDEX}", timeout=30)).values()
    mapping = index["mappings"]
    mapping["_meta"]["mmsearch"]["fields"]["embedding"]["fingerprint"] = "0" * 64
    named = {key: index["settings"]["index"].get(key, {}) for key in ("analysis", "similarity")}
    settings = {"index": {"knn": True, "number_of_replicas": 0, **named}}
    body = json.dumps({"settings": settings, "mappings": mapping})
    request = urllib.request.Request(
        f"{shop.url}/{INDEX}-other", body.encode(), {"Content-Type": "application/json"}, method="PUT"
    )
    urllib.request.urlopen(request, timeout=60).close()
    with pytest.raises(urllib.error.HTTPError) as refused:
        shop.post(f"/{INDEX}-other/_search", json.dumps({"query": neural(query_text="chair", k=10)}))
    assert refused.value.code == 400
    reason = json.load(refused.value)["error"]["reason"]
    assert "the index was built with" in reason
    assert "0" * 64 in reason
