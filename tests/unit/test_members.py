"""Settings and plugins of embedded nodes that are not the usual one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmsearch.stack import opensearch_node
from mmsearch.stack.downloads import archives
from mmsearch.stack.opensearch_files import NodeFiles
from mmsearch.stack.state import Home, Ports
from mmsearch.stack.variants import members, official


def read(text: str) -> dict[str, object]:
    lines = (line.partition(": ") for line in text.splitlines())
    return {key: json.loads(value) for key, _, value in lines}


def test_settings_take_the_place_of_ours_and_none_takes_one_away(tmp_path: Path) -> None:
    files = NodeFiles(tmp_path)
    usual = read(opensearch_node.settings(files, 9200, None))
    others = {"node.name": "two", "discovery.type": None, "plugins.ml_commons.native_memory_threshold": 100}
    found = read(opensearch_node.settings(files, 9200, None, others))
    assert usual["discovery.type"] == "single-node"
    assert "discovery.type" not in found
    assert found["node.name"] == "two"
    assert found["plugins.ml_commons.native_memory_threshold"] == 100
    assert set(usual) - set(found) == {"discovery.type"}


def test_two_nodes_know_each_other_and_the_first_founds_the_cluster() -> None:
    found = members.settings(("one", "two"), {"one": 9301, "two": 9302})
    assert list(found) == ["one", "two"]
    for name, port in (("one", 9301), ("two", 9302)):
        assert found[name] == {
            "node.name": name,
            "transport.port": port,
            "discovery.type": None,
            "discovery.seed_hosts": ["127.0.0.1:9301", "127.0.0.1:9302"],
            "cluster.initial_cluster_manager_nodes": ["one"],
        }


def test_the_official_plugins_are_installed_before_what_needs_them() -> None:
    plugins = official.plugins()
    assert list(plugins) == ["opensearch-job-scheduler", "opensearch-ml", "opensearch-neural-search"]
    served = archives()["opensearch"].version
    for archive in plugins.values():
        assert archive.version == f"{served}.0"
        assert archive.group == "org.opensearch.plugin"


def test_another_plugin_beside_makes_another_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmsearch.stack.opensearch_files.find_plugin_zip", lambda _: None)
    home, ports = Home.at(tmp_path), Ports()
    usual = opensearch_node.plan(home, ports, "1g", None)
    beside = opensearch_node.plan(home, ports, "1g", None, official.plugins(), official.SETTINGS)
    assert usual != beside
    # What is written down and read again is the same plan, so that nothing is started again for nothing.
    assert json.loads(json.dumps(beside)) == beside
