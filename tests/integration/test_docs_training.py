"""The documentation's training, and another model under live traffic: each command as the pages have it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sample_data import drawn

from mmsearch.stack import embedded
from mmsearch.stack.state import Home

from ..fakes.asking import ask
from ..unit.test_docs import COMMANDS

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[2] / "docs" / "training.md"
TRAINING, STAGES, NOTHING, PROCESSES = re.findall(
    r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)
(SYNTHETIC,) = re.findall(r"`(mmsearch synthetic-pairs [^`]+)`", PAGE.read_text(encoding="utf-8"))
(LIVE,) = [block for block in COMMANDS if block.mark == "needs a training"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, build_models: Callable[[Home], None]) -> Iterator[Home]:
    """Both servers of this file's own: versions come and go here."""
    made = Home.at(tmp_path_factory.mktemp("docs-training") / "home")
    build_models(made)
    with embedded.borrowed(made, heap="512m"):
        yield made


def runner(home: Home, folder: Path) -> tuple[str, Callable[[str], None]]:
    """Return the node's address, and what runs the lines of a block in `folder`."""
    ports = home.ports()
    assert ports is not None
    url = f"http://127.0.0.1:{ports.http}"
    environment = {
        **os.environ,
        "MMSEARCH_OPENSEARCH": url,
        "MMSEARCH_TRITON": f"127.0.0.1:{ports.triton_grpc}",
        "MMSEARCH_HOME": str(home.folder),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "PYTHONWARNINGS": "ignore",
    }

    def run(block: str) -> None:
        for line in filter(None, block.splitlines()):
            command = line.replace("localhost:9200", url.removeprefix("http://"))
            if "models deploy" in command or "--model" in command:
                command += " --anyway"  # the synthetic pairs teach nothing
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=600,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    return url, run


def test_the_pages_commands_lead_from_pairs_to_another_model_behind_the_same_name(
    home: Home, tmp_path: Path
) -> None:
    folder = drawn.write_catalog(tmp_path / "shop").parent
    url, run = runner(home, folder)

    def encoder(index: str) -> tuple[str, str]:
        """The index behind the name, and the version of the model that made it."""
        ((name, found),) = ask(url, "GET", f"/{index}/_mapping").items()
        (about,) = found["mappings"]["_meta"]["mmsearch"]["fields"].values()
        return name, about["model_version"]

    run(SYNTHETIC)
    run("mmsearch ingest catalog.jsonl")
    run(TRAINING)
    assert "held-out recall" in (folder / "runs" / "4tmm_gated" / "curve.svg").read_text(encoding="utf-8")
    assert encoder("products") == ("products-000001", "1")
    assert encoder("products-2") == ("products-2-000001", "2")

    run(PROCESSES)
    run(LIVE.text)
    name, version = encoder("products")
    assert name == "products-000002"
    assert int(version) > 1
    query = {"query": {"neural": {"embedding": {"query_text": "red ball", "k": 3}}}}
    assert len(ask(url, "POST", "/products/_search", query)["hits"]["hits"]) == 3
    with pytest.raises(urllib.error.HTTPError, match="404"):
        ask(url, "GET", "/products-000001/_mapping")


@pytest.mark.slow
def test_a_tower_that_learned_on_texts_learns_on_with_a_fusion(home: Home, tmp_path: Path) -> None:
    folder = drawn.write_catalog(tmp_path / "shop").parent
    _, run = runner(home, folder)
    run(SYNTHETIC)
    (folder / "texts.jsonl").write_bytes((folder / "pairs.jsonl").read_bytes())
    run(STAGES)
    left = folder / "runs" / "shop"
    towers = json.loads((left / "architecture.json").read_text(encoding="utf-8"))["towers"]
    assert towers["minilm"]["weights"] == "towers/minilm"
    assert (left / "towers" / "minilm" / "model.safetensors").is_file()
    # The images keep the names that the packaged encoder gives their classes.
    assert towers[towers["lite0"]["names_by"]]["weights"] == "all-minilm-l6-v2"


@pytest.mark.slow
def test_a_text_tower_from_nothing_is_trained_and_served(home: Home, tmp_path: Path) -> None:
    _, run = runner(home, drawn.write_catalog(tmp_path / "shop").parent)
    before = versions(home)
    run(SYNTHETIC)
    run(NOTHING)
    assert max(versions(home)) > max(before)


def versions(home: Home) -> list[int]:
    """The versions of the item encoder that are served."""
    return [int(each.name) for each in (home.models / "item_encoder").iterdir() if each.name.isdigit()]
