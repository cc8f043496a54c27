"""An OpenSearch node with k-NN and our plugin: configuration, start, and readiness."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmsearch.errors import StackError
from mmsearch.stack import opensearch_files as node
from mmsearch.stack.account import Account, unprivileged
from mmsearch.stack.downloads import Archive, archives, sha256_of
from mmsearch.stack.java import Java, choose
from mmsearch.stack.loopback import ask
from mmsearch.stack.ports import HOST, require_free
from mmsearch.stack.processes import Process
from mmsearch.stack.state import Home, Launch, Ports

NAME = "opensearch"


def settings(
    files: node.NodeFiles, http_port: int, triton_url: str | None, others: Mapping[str, Any] | None = None
) -> str:
    """Return the text of opensearch.yml.

    `triton_url` is None without our plugin, because the node rejects unknown settings. `others` override our
    settings; None removes one.
    """
    values: dict[str, Any] = {
        "cluster.name": "mmsearch",
        "node.name": "mmsearch",
        "path.data": str(files.data),
        "path.logs": str(files.folder / "logs"),
        "path.repo": [str(files.snapshots)],
        "network.host": HOST,
        "http.port": http_port,
        # No other node joins a single node, so any free port works.
        "transport.port": "9300-9999",
        "discovery.type": "single-node",
        # Disk watermarks are off: a single node has no other node to move shards to, and a half-full disk
        # must not block writes.
        "cluster.routing.allocation.disk.threshold_enabled": False,
    }
    if triton_url is not None:
        values["mmsearch.triton.endpoints"] = [triton_url]
    values |= others or {}
    # JSON values are valid YAML, whatever characters a path contains.
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items() if value is not None)


def plan(
    home: Home,
    ports: Ports,
    heap: str,
    plugin_zip: Path | None,
    beside: Mapping[str, Archive] | None = None,
    others: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the stamp of a node's configuration. If it equals that of the running node, nothing has to be
    done.

    `beside` are further plugins, `others` settings that override ours.
    """
    zip_path = node.find_plugin_zip(plugin_zip)
    return {
        "http_port": ports.http,
        "triton_http_port": ports.triton_http,
        "heap": heap,
        "archives": {name: archive.sha256 for name, archive in archives().items()},
        "plugin": sha256_of(zip_path) if zip_path else None,
        "plugin_zip": str(zip_path) if zip_path else None,
        "beside": {name: asdict(archive) for name, archive in (beside or {}).items()},
        "settings": dict(others or {}),
    }


def make(home: Home, stamp: dict[str, Any], while_alive: Process | None) -> Launch:
    """Install what is missing and return how to run the node. Raise StackError, also when the port is in
    use.
    """
    require_free(stamp["http_port"], "OpenSearch", "--http-port")
    account = unprivileged()
    files = node.NodeFiles(node.node_folder(home.folder, account))
    zip_path = Path(stamp["plugin_zip"]) if stamp["plugin_zip"] else None
    beside = {name: Archive(**pin) for name, pin in stamp["beside"].items()}
    java = node.prepare(files, choose(account), account, zip_path, beside)
    # Identifies the owner of the folder in /var/tmp.
    (files.folder / "home").write_text(f"{home.folder}\n")
    triton_url = f"http://{HOST}:{stamp['triton_http_port']}" if zip_path else None
    node.write_settings(files, account, settings(files, stamp["http_port"], triton_url, stamp["settings"]))
    return launch(
        NAME, files, java, stamp["heap"], account, home.log(NAME), stamp=stamp, while_alive=while_alive
    )


def launch(
    name: str,
    files: node.NodeFiles,
    java: Java,
    heap: str,
    account: Account | None,
    log: Path,
    *,
    stamp: dict[str, Any] | None = None,
    while_alive: Process | None = None,
) -> Launch:
    """Return how to run a node with these files: its own environment, with equal minimum and maximum heap."""
    return Launch(
        name=name,
        command=[str(files.software / "bin" / "opensearch")],
        environment={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "HOME": str(files.folder / "tmp"),
            "OPENSEARCH_JAVA_HOME": str(java.home),
            "OPENSEARCH_JAVA_OPTS": f"-Xms{heap} -Xmx{heap}",
            "OPENSEARCH_PATH_CONF": str(files.config),
            "OPENSEARCH_TMPDIR": str(files.folder / "tmp"),
        },
        bare=True,
        folder=str(files.folder),
        log=str(log),
        stamp=stamp or {},
        uid=account.uid if account else None,
        gid=account.gid if account else None,
        while_alive=while_alive,
    )


def require_answer(ports: Ports) -> str:
    """Return the versions of a node that answers a real search. Raise StackError, Answered, OSError or
    ValueError if it does not.
    """
    url = f"http://{HOST}:{ports.http}"
    health = ask(f"{url}/_cluster/health")
    if health["status"] == "red":
        raise StackError(
            "expected every index to have its primary shards, got a red cluster; repair: wait or see the log"
        )
    found = ask(f"{url}/_search", {"size": 0, "query": {"match_all": {}}})
    if found["timed_out"] or found["_shards"]["failed"]:
        raise StackError("expected a search on all shards, got failed shards; repair: wait or see the log")
    version = ask(url)["version"]["number"]
    plugins = ask(f"{url}/_cat/plugins?format=json&h=component,version&s=component")
    return f"OpenSearch {version} with " + ", ".join(
        f"{each['component']} {each['version']}" for each in plugins
    )
