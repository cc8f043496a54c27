"""The README's commands on the real servers: every line as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sample_data import drawn

from mmsearch.stack import embedded
from mmsearch.stack.state import Home

from ..fakes.asking import ask
from ..unit.test_readme import ALL, NOT_HERE, SECTIONS, commands


@dataclass(frozen=True)
class World:
    """A folder with what the README names, and real servers."""

    folder: Path
    url: str
    environment: dict[str, str]

    def run(self, command: str) -> str:
        """The command as it stands, but for the node's address; what it prints."""
        if "models deploy" in command or "--model" in command:
            command += " --anyway"  # the few pairs of this test teach nothing
        done = subprocess.run(
            ["sh", "-euc", f"{self.before(command)}{command}".replace("localhost:9200", self.url[7:])],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def before(self, command: str) -> str:
        """The line that sets `picture`, for the one that uses it."""
        return "".join(f"{each}\n" for each in ALL if each.startswith("picture=") and "$picture" in command)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, build_models: Callable[[Home], None]) -> Iterator[World]:
    """Servers of this file's own, since deploying changes what an unpinned call gets."""
    home = Home.at(tmp_path_factory.mktemp("readme") / "home")
    build_models(home)
    folder = tmp_path_factory.mktemp("shop")
    demo = drawn.write_catalog(folder / "build" / "demo")
    pictures = demo.parent / "pictures"
    (pictures / "blendswap-cc-0-armchair.png").write_bytes((pictures / "red-box.png").read_bytes())
    own = drawn.write_catalog(folder)
    products = [json.loads(line) for line in own.read_text(encoding="utf-8").splitlines()]
    for product in products:
        product["product_name"] = product.pop("title")
    own.write_text("".join(json.dumps(product) + "\n" for product in products), encoding="utf-8")
    pairs = ({"query": f"{each['colour']} {each['category']}", "product_id": each["id"]} for each in products)
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    with embedded.borrowed(home, heap="512m") as ports:
        url = f"http://127.0.0.1:{ports.http}"
        environment = {
            **os.environ,
            "MMSEARCH_OPENSEARCH": url,
            "MMSEARCH_TRITON": f"127.0.0.1:{ports.triton_grpc}",
            "MMSEARCH_HOME": str(home.folder),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "PYTHONWARNINGS": "ignore",
        }
        yield World(folder, url, environment)


@pytest.mark.integration
def test_loss_03_every_line_runs_as_it_stands(world: World) -> None:
    """In the README's order. The demo's catalog makes room for one's own, as it would on another day."""
    ran = []
    for section in ("Install and try it", "Search with curl", "Your own catalog", "Models"):
        if section == "Your own catalog":
            ask(world.url, "DELETE", "/products-000001")
        for command in commands(SECTIONS[section]):
            if command.split("#")[0].strip() in NOT_HERE or command.startswith("picture="):
                continue
            said = world.run(command)
            if command.startswith("curl"):
                assert json.loads(said)["hits"]["hits"], command
            ran.append(command)
    assert len(ran) == len(ALL) - len(NOT_HERE) - 1
    assert list(ask(world.url, "GET", "/_alias/products")) == ["products-000002"]
    ((_, found),) = ask(world.url, "GET", "/products/_mapping").items()
    ours = found["mappings"]["_meta"]["mmsearch"]
    assert ours["fields"]["embedding"]["model_version"] == "2"
    assert ours["ingest"]["renames"] == {"title": "product_name"}
    title = {"query": {"match": {"title": "purple kite"}}, "size": 1}
    assert ask(world.url, "POST", "/products/_search", title)["hits"]["hits"][0]["_id"] == "purple-kite"
    assert ask(world.url, "GET", "/products/_count")["count"] == 48
