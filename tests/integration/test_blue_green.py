"""Another model behind the same name under load: no query fails, no vector meets the other's index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tritonclient.grpc as grpcclient
from numpy.typing import NDArray
from safetensors.torch import save_file
from sample_data import drawn

from mmsearch.models.architecture import load
from mmsearch.models.fusion import registry
from mmsearch.stack import embedded
from mmsearch.stack.state import Home

from ..fakes.asking import ask
from ..fakes.traffic import Traffic

pytestmark = pytest.mark.integration
ALIAS, OLD, NEW = "shop", "shop-000001", "shop-000002"
A_SECOND = 20
# One encoder's scores of an input differ by less than this, two encoders' by more.
NEAR = 0.01
TEXTS = [
    f"{kind} {thing} {n}"
    for n in range(4)
    for kind in ("a red", "two blue", "no")
    for thing in ("toy", "hat")
]


@dataclass(frozen=True)
class Servers:
    """Both servers of this file's own: versions come and go here."""

    home: Home
    url: str
    grpc: str
    environment: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command in a process of its own, so that the traffic keeps its pace."""
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            "from mmsearch.cli.main import main; main()",
            *arguments,
        ]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=600, check=False
        )

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return ask(self.url, method, path, body)

    def search(self, text: str) -> Any:
        """By `neural` or by a hybrid with it, in turn; an answer that lacks a shard or time is none."""
        dense = {"neural": {"embedding": {"query_text": text, "k": 5, "_name": "dense"}}}
        words = {"match": {"title": text}}
        query = {"hybrid": {"queries": [words, dense]}} if "two" in text else dense
        answer = self.ask("POST", f"/{ALIAS}/_search", {"query": query, "size": 60, "_source": False})
        if answer["timed_out"] or answer["_shards"]["failed"] or not answer["hits"]["hits"]:
            raise AssertionError(str(answer)[:300])
        return answer


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory, build_models: Callable[[Home], None]
) -> Iterator[Servers]:
    home = Home.at(tmp_path_factory.mktemp("blue-green") / "home")
    build_models(home)
    with embedded.borrowed(home) as ports:
        named = {
            "MMSEARCH_OPENSEARCH": f"http://127.0.0.1:{ports.http}",
            "MMSEARCH_TRITON": f"127.0.0.1:{ports.triton_grpc}",
            "MMSEARCH_HOME": str(home.folder),
            "MMSEARCH_INDEX": ALIAS,
        }
        yield Servers(home, named["MMSEARCH_OPENSEARCH"], named["MMSEARCH_TRITON"], {**os.environ, **named})


def trained(folder: Path) -> Path:
    """What `mmsearch train` leaves, of the default's width and far from it: queries and products are
    both moved by one and the same vector, which nothing but the model tells."""
    folder.mkdir()
    architecture = load("4tmm_gated")
    torch.manual_seed(1)
    weights = registry.build(architecture).state_dict()
    moved = torch.randn(weights["query_text.outer.bias"].shape)
    for name in ("query_text.outer.bias", "item_text.outer.bias"):
        weights[name] = 2 * moved / moved.norm()
    save_file(weights, folder / "fusion.safetensors")
    (folder / "architecture.json").write_text(json.dumps(architecture.data))
    return folder


def query_vectors(grpc: str, version: str) -> dict[str, NDArray[np.float32]]:
    """The unit vector of every text by a version of the query encoder, one text a call as a search asks."""
    found = {}
    with grpcclient.InferenceServerClient(grpc) as client:
        for text in TEXTS:
            inputs = []
            for name, value in (("TEXT", text.encode()), ("IMAGE", b"")):
                given = grpcclient.InferInput(name, [1, 1], "BYTES")
                given.set_data_from_numpy(np.array([[value]], dtype=object))
                inputs.append(given)
            answer = client.infer("query_encoder", inputs, model_version=version)
            found[text] = answer.as_numpy("EMBEDDING")[0]
    return found


def product_vectors(servers: Servers, index: str) -> dict[str, NDArray[np.float32]]:
    body = {"size": 100, "_source": ["embedding"]}
    hits = servers.ask("POST", f"/{index}/_search", body)["hits"]["hits"]
    return {hit["_id"]: np.array(hit["_source"]["embedding"], np.float32) for hit in hits}


def dense_scores(answer: Any) -> Iterator[tuple[str, str, float]]:
    """Index, product and what k-NN gave it, of the hits that the vectors found."""
    for hit in answer["hits"]["hits"]:
        legs = hit.get("fields", {}).get("_legs")
        if legs is None:
            yield hit["_index"], hit["_id"], hit["_score"]
        else:
            yield from ((hit["_index"], hit["_id"], leg["score"]) for leg in legs if leg["name"] == "dense")


def test_no_query_fails_and_no_answer_mixes_models(servers: Servers, tmp_path: Path) -> None:
    catalog = drawn.write_catalog(tmp_path / "catalog")
    ingested = servers.run("ingest", str(catalog))
    assert ingested.returncode == 0, ingested.stderr
    # Every query is encoded, so that many are under way whenever the name moves; and slow is not failed.
    settings = {"persistent": {"mmsearch.cache.size": "0b", "mmsearch.triton.timeout": "60s"}}
    servers.ask("PUT", "/_cluster/settings", settings)
    by_query = {OLD: query_vectors(servers.grpc, "1")}
    by_product = {OLD: product_vectors(servers, OLD)}
    model = trained(tmp_path / "trained")

    with Traffic(servers.search, TEXTS, A_SECOND) as traffic:
        traffic.more(40)
        deployed = servers.run("models", "deploy", str(model))
        assert "version 2 served" in deployed.stdout, deployed.stderr
        moved = servers.run("reindex", str(catalog), "--model", str(model), "--json")
        assert moved.returncode == 0, moved.stderr
        assert (json.loads(moved.stdout.splitlines()[-1])["new"]) == NEW
        by_query[NEW] = query_vectors(servers.grpc, "2")
        by_product[NEW] = product_vectors(servers, NEW)
        for here, there in [(NEW, OLD), (OLD, NEW)] * 15:
            traffic.more(2)
            actions = [
                {"remove": {"index": here, "alias": ALIAS}},
                {"add": {"index": there, "alias": ALIAS}},
            ]
            servers.ask("POST", "/_aliases", {"actions": actions})
        traffic.more(20)
        kept = servers.run("models", "retire", "1")
        assert kept.returncode == 1
        assert f"expected no index made by version 1, got {OLD}; delete it" in kept.stderr
        servers.ask("DELETE", f"/{OLD}")
        retired = servers.run("models", "retire", "1")
        assert retired.returncode == 0, retired.stderr
        traffic.more(40)
        rate = traffic.asked_per_second

    # k-NN scores a cosine c as (1 + c) / 2. Another model's vector would be told by it:
    apart = [
        abs(float(by_query[OLD][text] @ vector - by_query[NEW][text] @ vector)) / 2
        for text in TEXTS
        for vector in by_product[NEW].values()
    ]
    assert np.quantile(apart, 0.5) > NEAR
    mixed, right = [], 0
    for text, answer in traffic.answers:
        assert len({hit["_index"] for hit in answer["hits"]["hits"]}) == 1
        found = list(dense_scores(answer))
        assert found
        right += len(found)
        own, foreign = (
            sum(
                abs(score - (1 + float(by_query[model][text] @ by_product[index][product])) / 2)
                for index, product, score in found
            )
            for model in ((OLD, NEW) if found[0][0] == OLD else (NEW, OLD))
        )
        if own >= foreign:
            mixed.append((text, found[0], own, foreign))
    indexes = Counter(answer["hits"]["hits"][0]["_index"] for _, answer in traffic.answers)
    print(
        f"\n{len(traffic.answers)} answers at {rate:.1f} a second, by index {dict(indexes)}; {right} scores"
    )
    assert not traffic.failures, (len(traffic.failures), traffic.failures[:3])
    assert not mixed, (len(mixed), right, mixed[:3])
    assert min(indexes[OLD], indexes[NEW]) > 40, indexes

    with grpcclient.InferenceServerClient(servers.grpc) as client:
        assert client.is_model_ready("query_encoder", "2")
        assert not client.is_model_ready("query_encoder", "1")
        assert not client.is_model_ready("item_encoder", "1")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        servers.ask("POST", f"/{OLD}/_search", {})
