"""Vector storage on the real k-NN plugin: each mapping is taken, and faiss refused where it is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mmsearch.cli.main import cli
from mmsearch.clients.opensearch import HttpError, ask, connect
from mmsearch.ingest.product_index.storage import Storage

from ..unit.test_storage import MAPPINGS


@pytest.mark.integration
@pytest.mark.parametrize(("asked", "mapping"), MAPPINGS, ids=["-".join(asked) for asked, _ in MAPPINGS])
def test_the_real_k_nn_takes_each_mapping(
    asked: tuple[str, str, str], mapping: dict[str, Any], opensearch: Any
) -> None:
    """Created and deleted, never written to: a faiss field would end a node without native libraries."""
    client = connect(opensearch.url)
    body = {
        "settings": {"index": {"knn": True}},
        "mappings": {"properties": {"embedding": Storage(*asked).field(8)}},
    }
    try:
        ask(client, "PUT", "/storage", body=body)
        kept = ask(client, "GET", "/storage/_mapping")["storage"]["mappings"]["properties"]["embedding"]
        assert kept["method"]["engine"] == asked[0]
        assert kept.get("mode", "in_memory") == asked[2]
        ask(client, "DELETE", "/storage")
        body["mappings"]["properties"]["embedding"] |= {"compression_level": "3x"}
        with pytest.raises(HttpError, match="compression"):
            ask(client, "PUT", "/storage", body=body)
    finally:
        client.close()


@pytest.mark.integration
def test_faiss_is_refused_by_the_embedded_node_and_bytes_are_searched(stack: Any, tmp_path: Path) -> None:
    catalog = tmp_path / "c.jsonl"
    titles = ("Oak chair", "Desk lamp", "Green plant")
    catalog.write_text("".join(f'{{"id": "{n}", "title": "{title}"}}\n' for n, title in enumerate(titles)))
    environment = {**stack.environment, "MMSEARCH_INDEX": "quantised"}

    def run(*arguments: str) -> Any:
        return CliRunner(env=environment).invoke(cli, list(arguments))

    for arguments in (("ingest", str(catalog)), ("ingest", str(catalog), "--dry-run")):
        refused = run(*arguments, "--knn-engine", "faiss", "--knn-encoder", "fp16")
        assert refused.exit_code == 1
        assert refused.stderr.splitlines()[-1].startswith(
            "mmsearch: expected k-NN's native libraries for faiss on every data node, got none on mmsearch;"
        )
    client = connect(stack.opensearch.url)
    try:
        for mode in ("in_memory", "on_disk"):
            done = run("ingest", str(catalog), "--knn-encoder", "byte", "--knn-mode", mode)
            assert done.exit_code == 0, done.output
            found = run("search", "a seat", "--mode", "neural", "-k", "1")
            assert "Oak chair" in found.stdout, found.output
            refused = run("reindex", str(catalog), "--knn-engine", "faiss", "--knn-encoder", "fp16")
            assert refused.exit_code == 1
            assert "got none on mmsearch; " in refused.stderr
            assert "quantised stays on quantised-000001" in refused.stderr
            assert list(ask(client, "GET", "/_alias/quantised")) == ["quantised-000001"]
            ask(client, "DELETE", "/quantised-000001")
    finally:
        client.close()
