"""Real servers for benches, ended after: a node, a cluster, or a node and a Triton; and calls of them."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from mmsearch.stack import embedded
from mmsearch.stack.state import SERVERS, Home, Ports
from mmsearch.stack.variants import members, official

MMSEARCH = str(Path(sys.executable).parent / "mmsearch")
HEADERS = {"Content-Type": "application/json"}


@contextmanager
def node() -> Iterator[str]:
    """The address of a node of a bench's own, which is ended after."""
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded.borrowed(Home.at(Path(folder) / "home"), ("opensearch",), say) as ports,
    ):
        yield f"http://127.0.0.1:{ports.http}"


@contextmanager
def beside_official(count: int = 1) -> Iterator[list[str]]:
    """The addresses of a cluster of `count` nodes with the official plugins beside ours, ended after."""
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
        return 1000 * processor_seconds(self.pids)


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it, as Triton's Python models are."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def processor_seconds(roots: Iterable[int]) -> float:
    """User and system time of these processes and of all below them that are alive, seconds."""
    used = 0.0
    for process in {each for root in roots for each in family(root)}:
        with suppress(psutil.NoSuchProcess):  # it ended while we looked
            used += sum(process.cpu_times()[:2])
    return used


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
def both(**wanted: Any) -> Iterator[Both]:
    """Real servers of a bench's own, ended after; `wanted` are fields of `embedded.Wanted`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Anyone can pass through the folder: OpenSearch runs as another account than root.
        folder.chmod(0o755)
        home = Home.at(folder / "home")
        subprocess.run([MMSEARCH, "models", "build", "--repository", str(home.models)], check=True)
        with embedded.borrowed(home, say=say, **wanted) as ports:
            running = {server: home.running(server) for server in SERVERS}
            pids = {server: each.child.pid for server, each in running.items() if each and each.child}
            yield Both(folder, ports, pids)


def say(line: str) -> None:
    """Progress goes beside the table."""
    print(line, file=sys.stderr)


class Client:
    """One connection, kept alive; `call` returns the answer's body."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        # As long as a merge of the largest index takes.
        self.connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=900)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The answer's status and body."""
        self.connection.request(method, path, body, headers or HEADERS)
        response = self.connection.getresponse()
        return response.status, response.read()

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        status, answer = self.ask(method, path, body, headers)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: expected success, got {status} {answer[:500]!r}")
        return answer


def post_alone(url: str, path: str, body: bytes) -> socket.socket:
    """A request on a connection of its own, which is not waited for; the caller reads or closes it."""
    parts = urlsplit(url)
    connection = socket.create_connection((str(parts.hostname), parts.port or 80), timeout=60)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def median_ms(calls: Sequence[Callable[[], object]]) -> float:
    """The median time of one call, milliseconds."""
    times = []
    for call in calls:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1000
