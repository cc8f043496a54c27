"""Real servers for benches, ended after: a node, by its URL or a bench's own, or a node and a Triton."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from mmsearch.stack import embedded
from mmsearch.stack.state import SERVERS, Home, Ports
from mmsearch.stack.variants import members, official

MMSEARCH = str(Path(sys.executable).parent / "mmsearch")
HEADERS = {"Content-Type": "application/json"}


@contextmanager
def node(url: str | None) -> Iterator[str]:
    """The given node, or one of its own that is ended after."""
    if url is not None:
        yield url
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded.borrowed(Home.at(Path(folder) / "home"), ("opensearch",), say) as ports,
    ):
        yield f"http://127.0.0.1:{ports.http}"


@contextmanager
def beside_official(url: str | None, count: int = 1) -> Iterator[list[str]]:
    """The given node, or a cluster of `count` nodes with the official plugins beside ours, ended after."""
    if url is not None:
        yield [url]
        return
    names = [f"bench-{number}" for number in range(1, count + 1)]
    settings = members.settings(names, members.transport_ports(names)) if count > 1 else {names[0]: {}}
    with ExitStack() as started:
        folder = started.enter_context(tempfile.TemporaryDirectory())
        urls = []
        for name in names:
            wanted = {
                "beside": official.plugins(),
                "settings": {**official.SETTINGS, **settings[name]},
            }
            home = Home.at(Path(folder) / name)
            ports = started.enter_context(embedded.borrowed(home, ("opensearch",), say, **wanted))
            urls.append(f"http://127.0.0.1:{ports.http}")
        health = f"/_cluster/health?wait_for_nodes={count}&timeout=60s"
        found = json.loads(Client(urls[0]).call("GET", health))
        if found["timed_out"]:
            raise RuntimeError(f"expected a cluster of {count} nodes, got {found['number_of_nodes']}")
        yield urls


class Processor:
    """Processor time of nodes on this machine, by the kernel's own count."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.pids = []
        for url in urls:
            (found,) = json.loads(Client(url).call("GET", "/_nodes/_local/process"))["nodes"].values()
            self.pids.append(int(found["process"]["id"]))

    def ms(self) -> float:
        """User and system time that the nodes have used so far, milliseconds."""
        return 1000 * sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in self.pids)


def versions(url: str) -> dict[str, str]:
    """The versions of a node and its plugins."""
    client = Client(url)
    version = json.loads(client.call("GET", "/"))["version"]["number"]
    local = json.loads(client.call("GET", "/_nodes/_local/plugins"))["nodes"]
    plugins = {each["name"]: each["version"] for node in local.values() for each in node["plugins"]}
    return {"OpenSearch": version, **dict(sorted(plugins.items()))}


@dataclass(frozen=True)
class Both:
    """A node and a Triton with the default models, a folder beside them, and their process ids by name."""

    folder: Path
    ports: Ports
    pids: dict[str, int]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.http}"

    @property
    def triton(self) -> str:
        return f"127.0.0.1:{self.ports.triton_grpc}"


@contextmanager
def both() -> Iterator[Both]:
    """Real servers of a bench's own, ended after."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Anyone can pass through the folder: OpenSearch runs as another account than root.
        folder.chmod(0o755)
        home = Home.at(folder / "home")
        subprocess.run([MMSEARCH, "models", "build", "--repository", str(home.models)], check=True)
        with embedded.borrowed(home, say=say) as ports:
            running = {server: home.running(server) for server in SERVERS}
            pids = {server: each.child.pid for server, each in running.items() if each and each.child}
            yield Both(folder, ports, pids)


def say(line: str) -> None:
    """Progress goes beside the table."""
    print(line, file=sys.stderr)


class Client:
    """One connection, kept alive; `call` returns the answer's body."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        self.connection.request(method, path, body, headers or HEADERS)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: expected success, got {response.status} {answer[:500]!r}")
        return answer


def median_ms(calls: list[Callable[[], object]]) -> float:
    """The median time of one call, milliseconds."""
    times = []
    for call in calls:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1000
