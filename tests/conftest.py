"""The real servers that integration tests share: started at their first use, once per run, on free ports."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmsearch.cli.main import cli
from mmsearch.stack import embedded
from mmsearch.stack.processes import myself
from mmsearch.stack.state import Home, Ports

# More threads of torch than idle cores wait for each other by spinning; the models of the tests are small.
os.environ.setdefault("OMP_NUM_THREADS", "1")
SERVERS_OF = {"opensearch": ("opensearch",), "triton": ("triton",), "stack": ("opensearch", "triton")}
"""fixture → the servers whose logs explain its tests' failures"""
_home = pytest.StashKey[Home]()


@dataclass(frozen=True)
class OpenSearchUnderTest:
    """A node with k-NN, and with our plugin when its zip is built."""

    url: str
    home: Home
    versions: str


@dataclass(frozen=True)
class TritonUnderTest:
    """A server with the default models: `http` and `metrics` are URLs, `grpc` is host:port."""

    http: str
    grpc: str
    metrics: str
    home: Home
    versions: str


@dataclass(frozen=True)
class StackUnderTest:
    """Both servers, the node's plugin pointing at this Triton."""

    opensearch: OpenSearchUnderTest
    triton: TritonUnderTest

    @property
    def environment(self) -> dict[str, str]:
        """What the command line needs to reach them."""
        return {
            "MMSEARCH_OPENSEARCH": self.opensearch.url,
            "MMSEARCH_TRITON": self.triton.grpc,
            "MMSEARCH_HOME": str(self.opensearch.home.folder),
        }


@pytest.fixture(scope="session")
def build_models() -> Callable[[Home], None]:
    """Put the default models into a home's served repository, as `mmsearch models build` does (cached)."""
    return _build_models


def _build_models(home: Home) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, while it exports
        cli.main(["models", "build", "--repository", str(home.models)], standalone_mode=False)


@pytest.fixture(scope="session")
def start_servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], tuple[Home, Ports, str]]]:
    """Start a server of the shared home by name, unless it runs; gives its home, ports and versions."""
    home = Home.at(tmp_path_factory.mktemp("stack", numbered=True) / "home")
    request.config.stash[_home] = home

    def start(name: str) -> tuple[Home, Ports, str]:
        known = home.ports()
        port = None if known else 0
        if name == "triton":
            _build_models(home)
        wanted = embedded.Wanted(
            servers=(name,),
            http_port=port,
            triton_http_port=port,
            triton_grpc_port=port,
            triton_metrics_port=port,
            # Even when this run is killed, its servers end.
            while_alive=myself(),
        )
        (up,) = embedded.up(home, wanted, lambda _: None)
        ports = home.ports()
        assert ports is not None
        return home, ports, up.versions

    yield start
    embedded.delete(home)


@pytest.fixture(scope="session")
def opensearch(start_servers: Callable[[str], tuple[Home, Ports, str]]) -> OpenSearchUnderTest:
    """The shared node. Use index names of your own."""
    home, ports, versions = start_servers("opensearch")
    return OpenSearchUnderTest(f"http://127.0.0.1:{ports.http}", home, versions)


@pytest.fixture(scope="session")
def triton(start_servers: Callable[[str], tuple[Home, Ports, str]]) -> TritonUnderTest:
    """The shared Triton with the default models. Leave its models loaded."""
    home, ports, versions = start_servers("triton")
    host = "127.0.0.1"
    return TritonUnderTest(
        http=f"http://{host}:{ports.triton_http}",
        grpc=f"{host}:{ports.triton_grpc}",
        metrics=f"http://{host}:{ports.triton_metrics}/metrics",
        home=home,
        versions=versions,
    )


@pytest.fixture(scope="session")
def stack(opensearch: OpenSearchUnderTest, triton: TritonUnderTest) -> StackUnderTest:
    """Both shared servers."""
    return StackUnderTest(opensearch, triton)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the end of the servers' logs under the failure of a test that used them."""
    report = yield
    home = item.config.stash.get(_home, None)
    if report.failed and home is not None:
        used = {
            server for fixture in getattr(item, "fixturenames", ()) for server in SERVERS_OF.get(fixture, ())
        }
        for server in sorted(used):
            log: Path = home.log(server)
            report.sections.append((f"end of {server}'s log", embedded.tail(log, 30)))
    return report
