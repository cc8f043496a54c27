"""Other people's clients as their registries give them, and the shop that they search."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sample_data import furniture

from mmsearch.cli.main import cli
from mmsearch.config import cache_folder

from ..conftest import StackUnderTest
from . import installed
from .shop import AWAY, INDEX, Shop


@pytest.fixture(scope="session")
def shop(stack: StackUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The ingested shop, and beside it an index whose encoder is served nowhere."""
    catalog = furniture.write_catalog(tmp_path_factory.mktemp("furniture"), cache_folder())
    environment = {**stack.environment, "MMSEARCH_INDEX": INDEX}
    done = CliRunner(env=environment).invoke(cli, ["ingest", str(catalog), "--shards", "2"])
    assert done.exit_code == 0, done.output
    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    titles = list(dict.fromkeys(product["title"] for product in products))[:300]
    ours = Shop(stack.opensearch.url, stack.triton.http, titles)
    away = ours.like_this()
    away["mappings"]["_meta"]["mmsearch"]["fields"]["embedding"]["model"] = "served_nowhere"
    ours.ask("PUT", f"/{AWAY}", away)
    ours.ask("PUT", f"/{AWAY}/_doc/1?refresh=true", {"title": "wooden chair"})
    return ours


@pytest.fixture(scope="module")
def mmr(shop: Shop) -> Iterator[None]:
    """k-NN's MMR, switched on as `plugin/README.md` says."""
    setting = "cluster.search.enabled_system_generated_factories"
    named = ["mmr_over_sample_factory", "mmr_rerank_factory"]
    named += ["mmsearch_hybrid_rewrite", "mmsearch_hybrid_fusion"]
    shop.ask("PUT", "/_cluster/settings", {"transient": {setting: named}})
    yield
    shop.ask("PUT", "/_cluster/settings", {"transient": {setting: None}})


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter of an environment with the Python clients."""
    return installed.python()


@pytest.fixture(scope="session")
def node() -> Path:
    """A folder with the JavaScript clients in its `node_modules`."""
    return installed.node()
