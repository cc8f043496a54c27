"""The same catalog by a trained model behind the same name, while the old index keeps its own encoder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from sample_data import drawn

from mmsearch.cli.main import cli
from mmsearch.ingest.reindex.runner import following
from mmsearch.models.architecture import load
from mmsearch.models.fusion import registry
from mmsearch.serving import runtime
from mmsearch.stack import embedded
from mmsearch.stack.state import Home

from ..fakes.asking import ask


@pytest.fixture(scope="module")
def own_stack(
    tmp_path_factory: pytest.TempPathFactory, build_models: Callable[[Home], None]
) -> Iterator[Home]:
    """Both servers of this file's own, since deploying changes what an unpinned call gets."""
    home = Home.at(tmp_path_factory.mktemp("reindex") / "home")
    build_models(home)
    with embedded.borrowed(home):
        yield home


@pytest.mark.integration
def test_the_name_moves_to_the_new_model_and_the_old_index_still_answers(
    own_stack: Home, tmp_path: Path
) -> None:
    ports = own_stack.ports()
    assert ports is not None
    url = f"http://127.0.0.1:{ports.http}"
    environment = {
        "MMSEARCH_OPENSEARCH": url,
        "MMSEARCH_TRITON": f"127.0.0.1:{ports.triton_grpc}",
        "MMSEARCH_HOME": str(own_stack.folder),
    }
    catalog = drawn.write_catalog(tmp_path / "catalog")
    first = CliRunner(env=environment).invoke(cli, ["ingest", str(catalog)])
    assert first.exit_code == 0, first.output

    trained = tmp_path / "trained"
    trained.mkdir()
    architecture = load("3tmm_gated")
    torch.manual_seed(1)
    save_file(registry.build(architecture).state_dict(), trained / "fusion.safetensors")
    (trained / "architecture.json").write_text(json.dumps(architecture.data))
    arguments = ["reindex", str(catalog), "--model", str(trained), "--json"]
    result = CliRunner(env=environment).invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout.splitlines()[-1])
    assert (summary["old"], summary["new"]) == ("products-000001", "products-000002")
    assert summary["indexed"] > 0
    assert 0 < summary["overlap"] <= 1
    assert list(ask(url, "GET", "/_alias/products")) == ["products-000002"]
    about = ask(url, "GET", "/products/_mapping")["products-000002"]["mappings"]["_meta"]["mmsearch"]
    assert about["fields"]["embedding"]["model_version"] == "2"
    assert about["fields"]["embedding"]["dimension"] == 384
    # A version that reindex deploys has the runtimes that a measurement chose, as one of `models deploy` has.
    chosen = [runtime.read(own_stack.models / entry / "2") for entry in ("item_encoder", "query_encoder")]
    assert all(chosen), chosen
    for index in ("products", "products-000001"):
        clause = {"neural": {"embedding": {"query_text": "a red chair", "k": 5}}}
        hits = ask(url, "POST", f"/{index}/_search", {"query": clause, "size": 5})["hits"]["hits"]
        assert len(hits) == 5, index


def test_the_next_index_is_numbered_after_the_last() -> None:
    assert following("products", {}) == "products-000001"
    assert following("products", {"products-000001": 0, "products-000007": 0, "other-000009": 0}) == (
        "products-000008"
    )
