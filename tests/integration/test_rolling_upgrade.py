"""The plugin's upgrade on two real nodes, one after the other, while both clauses are asked."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sample_data import drawn

from mmsearch.cli.main import cli
from mmsearch.stack import embedded, opensearch_files
from mmsearch.stack.processes import myself
from mmsearch.stack.state import Home
from mmsearch.stack.variants import members

from ..conftest import TritonUnderTest
from ..fakes.asking import ask
from ..fakes.traffic import Traffic

pytestmark = [pytest.mark.integration, pytest.mark.slow]
INDEX = "shop"
NEXT = "3.6.0.1"
NODES = ("one", "two")
DENSE = {"neural": {"embedding": {"query_text": "a red toy", "k": 60}}}
QUERIES = {
    "neural": DENSE,
    "hybrid": {"hybrid": {"pagination_depth": 60, "queries": [{"match": {"title": "red toy"}}, DENSE]}},
}


class Cluster:
    """Nodes `one` and `two`, each a home of its own; which of them are asked is `asked`."""

    def __init__(self, folder: Path, triton: TritonUnderTest) -> None:
        self.homes = {name: Home.at(folder / name) for name in NODES}
        self.settings = members.settings(NODES, members.transport_ports(NODES))
        self.urls: dict[str, str] = {}
        self.asked: list[str] = []
        self._triton = int(triton.http.rpartition(":")[2])

    def up(self, name: str, plugin: Path) -> str:
        """Start the node with this plugin's zip; its versions."""
        home = self.homes[name]
        known = home.ports()
        wanted = embedded.Wanted(
            servers=("opensearch",),
            http_port=None if known else 0,
            triton_http_port=self._triton,
            heap="512m",
            plugin_zip=plugin,
            settings=self.settings[name],
            while_alive=myself(),
        )
        (up,) = embedded.up(home, wanted, lambda _: None)
        chosen = home.ports()
        assert chosen is not None
        self.urls[name] = f"http://127.0.0.1:{chosen.http}"
        return up.versions

    def ask(self, name: str, method: str, path: str, body: object = None) -> Any:
        return ask(self.urls[name], method, path, body)

    def search(self, text: str) -> Any:
        """One clause through each node that is asked in its turn; a partial answer is a failure."""
        kind, _, turn = text.partition(" ")
        name = self.asked[int(turn) % len(self.asked)]
        found = self.ask(
            name, "POST", f"/{INDEX}/_search", {"query": QUERIES[kind], "size": 60, "_source": False}
        )
        if found["timed_out"] or found["_shards"]["failed"]:
            raise AssertionError(str(found)[:300])
        return name, [hit["_id"] for hit in found["hits"]["hits"]]

    def green(self, name: str, nodes: int) -> None:
        health = self.ask(
            name, "GET", f"/_cluster/health?wait_for_status=green&wait_for_nodes={nodes}&timeout=60s"
        )
        assert not health["timed_out"], health

    def upgrade(self, name: str, plugin: Path) -> str:
        """Out of the cluster's votes and out of the balancer, down, another plugin, up, and back in."""
        (other,) = set(self.homes) - {name}
        self.asked = [other]
        self.ask(other, "POST", f"/_cluster/voting_config_exclusions?node_names={name}")
        embedded.down(self.homes[name], lambda _: None)
        versions = self.up(name, plugin)
        self.ask(other, "DELETE", "/_cluster/voting_config_exclusions?wait_for_removal=false")
        self.green(name, 2)
        self.asked = ["one", "two"]
        return versions


@pytest.fixture
def cluster(tmp_path: Path, triton: TritonUnderTest) -> Iterator[Cluster]:
    made = Cluster(tmp_path, triton)
    yield made
    for home in made.homes.values():
        embedded.delete(home)


def later(plugin: Path, folder: Path) -> Path:
    """The same plugin under its next version, as a release that fixes a fault would be."""
    renamed = folder / f"mmsearch-{NEXT}.zip"
    with zipfile.ZipFile(plugin) as old, zipfile.ZipFile(renamed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename == "plugin-descriptor.properties":
                version = opensearch_files.descriptor(plugin)["version"]
                data = data.replace(f"version={version}\n".encode(), f"version={NEXT}\n".encode(), 1)
            new.writestr(entry, data)
    assert opensearch_files.descriptor(renamed)["version"] == NEXT
    return renamed


def test_no_search_fails_while_the_plugin_is_upgraded_node_by_node(
    cluster: Cluster, triton: TritonUnderTest, tmp_path: Path
) -> None:
    old = opensearch_files.find_plugin_zip()
    assert old is not None, "make plugin builds it"
    new = later(old, tmp_path)
    for name in cluster.homes:
        cluster.up(name, old)
    cluster.green("one", 2)
    catalog = drawn.write_catalog(tmp_path / "catalog")
    environment = {"MMSEARCH_OPENSEARCH": cluster.urls["one"], "MMSEARCH_TRITON": triton.grpc}
    done = CliRunner().invoke(cli, ["ingest", str(catalog), "--index", INDEX], env=environment)
    assert done.exit_code == 0, done.output
    cluster.ask("one", "PUT", f"/{INDEX}/_settings", {"index.number_of_replicas": 1})
    cluster.green("one", 2)
    # Both copies are merged into one segment and searched exactly, so that every answer is the same.
    cluster.ask("one", "POST", f"/{INDEX}/_forcemerge?max_num_segments=1")
    texts = [f"{kind} {turn}" for turn in range(8) for kind in QUERIES]
    cluster.asked = ["one", "two"]
    right = {kind: cluster.search(f"{kind} 0")[1] for kind in QUERIES}
    assert all(len(ids) == 48 for ids in right.values())

    with Traffic(cluster.search, texts, 10) as traffic:
        traffic.more(20)
        assert NEXT in cluster.upgrade("two", new)
        mixed = {node["name"]: node["version"] for node in _plugins(cluster)}
        traffic.more(40)
        assert NEXT in cluster.upgrade("one", new)
        traffic.more(40)

    assert mixed == {"one": opensearch_files.descriptor(old)["version"], "two": NEXT}
    assert {node["version"] for node in _plugins(cluster)} == {NEXT}
    counts = Counter(name for _, (name, _) in traffic.answers)
    print(f"\n{len(traffic.answers)} answers, by node {dict(counts)}, {len(traffic.failures)} failures")
    assert not traffic.failures, traffic.failures[:3]
    assert min(counts.values()) > 40
    wrong = [
        (text, ids) for text, (_, ids) in traffic.answers if sorted(ids) != sorted(right[text.split()[0]])
    ]
    assert not wrong, wrong[:2]


def _plugins(cluster: Cluster) -> list[dict[str, str]]:
    """Each node's version of our plugin."""
    listed = cluster.ask("two", "GET", "/_cat/plugins?format=json&h=name,component,version")
    return [each for each in listed if each["component"] == "mmsearch"]
