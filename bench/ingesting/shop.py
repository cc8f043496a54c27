"""Ingest of products like a shop's, with large photographs and long descriptions, against other ways.

    .venv/bin/python bench shop [--products 1000] [--busy 2] [--without-bf16] [--arms NAME ...] [--short]

The arms take turns: mmsearch; the best parts run in process, one process a core, without an index, which is
the limit; a plain script; onnxruntime with LanceDB in one process; and the official ingest pipeline with text
and picture, over the same towers, with fewer products. With `--busy` so many processes that only count run
beside all arms. With `--without-bf16` no runtime may use the processor's units for bf16. What is measured
lands in the tables `shop`, `shop-busy` and `shop-without-bf16`. The products are synthetic: see
examples/sample_data/shop.py.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
from ingesting import official_pipeline, plain_script
from ingesting.arms import Bench, InProcess
from ingesting.parts import WINDOW as WARM
from ingesting.parts import Files, Limit, products_of
from measuring.interleaved import SHORT, Table, measure
from measuring.options import Options
from measuring.peers import has
from measuring.real_node import Both, both, family, processor_seconds, say, versions
from sample_data import shop

from mmsearch.clients.triton import Encoder
from mmsearch.config import cache_folder
from mmsearch.ingest.job import Job
from mmsearch.ingest.runner import run
from mmsearch.serving.openvino_session import has_bf16
from mmsearch.serving.tokens import Tokens
from mmsearch.stack.variants import official

OURS, BEST, SCRIPT = "mmsearch", "best parts in process", "plain script"
LANCE, OFFICIAL = "onnxruntime + LanceDB", "official pipeline"
ARMS = (OURS, BEST, SCRIPT, LANCE, OFFICIAL)
PRODUCTS = 1000
"""with fewer, no result is kept"""
FEWER = 4
"""part of the products that the official pipeline takes, as it is the slowest"""
UNITS = frozenset(("amx_bf16", "amx_int8", "avx2", "avx512_bf16", "avx512_vnni", "avx512f"))
INDEX, SCRIPTS = "bench-shop", "bench-script"
BF16 = "MMSEARCH_BF16"
"""the environment's variable that hides the units for bf16 from the towers' runtime"""
CATALOGS = Path(__file__).parents[2] / "build" / "shop"


@dataclass
class Costs:
    """Processor time a product, ms, of each run by arm: that of the client, and that of all processes.

    `servers` and `beside` are process ids: of the servers, and of processes of the client that wait between
    runs.
    """

    servers: Sequence[int]
    beside: Sequence[int] = ()
    client: dict[str, list[float]] = field(default_factory=dict)
    every: dict[str, list[float]] = field(default_factory=dict)

    def now(self) -> float:
        """The client's processor time so far, seconds: of this process, of its children that have ended, and
        of those that wait."""
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(each.ru_utime + each.ru_stime for each in usages) + processor_seconds(self.beside)

    def add(self, arm: str, client: float, every: float, count: int) -> None:
        self.client.setdefault(arm, []).append(1e3 * client / count)
        self.every.setdefault(arm, []).append(1e3 * every / count)


class Arms:
    """The ways that the catalog is ingested; each gives products a second."""

    def __init__(self, servers: Both, catalog: Path, count: int, costs: Costs) -> None:
        self.servers, self.catalog, self.count, self.costs = servers, catalog, count, costs
        self.bench = Bench(servers.url, servers.triton, servers.folder, catalog)
        # As `mmsearch ingest` asks, whose towers remember what they have computed.
        self.encoder = Encoder(servers.triton)

    def rate(self, arm: str, work: Callable[[], object], count: int) -> float:
        """Products a second of a piece of work, whose processor time is kept."""
        client, server, started = self.costs.now(), processor_seconds(self.costs.servers), time.perf_counter()
        work()
        seconds = time.perf_counter() - started
        client = self.costs.now() - client
        self.costs.add(arm, client, client + processor_seconds(self.costs.servers) - server, count)
        return count / seconds

    def job(self) -> Job:
        folder = self.servers.folder
        return Job(
            str(self.catalog),
            self.catalog.parent,
            folder / "rejects.jsonl",
            index=INDEX,
            journal=folder / "journal",
        )

    def ours(self) -> float:
        self.forget()
        self.bench.client.indices.delete(index=f"{INDEX}*", ignore_unavailable=True)
        shutil.rmtree(self.servers.folder / "journal", ignore_errors=True)

        def work() -> None:
            report = run(self.job(), self.encoder, self.bench.client)
            if (report.indexed, report.encoded, report.without_image) != (self.count, self.count, 0):
                raise RuntimeError(f"expected {self.count} products to be encoded whole, got {report}")

        return self.rate(OURS, work, self.count)

    def forget(self) -> None:
        """Load the towers again, so that what they remember of the round before is gone, and warm them."""
        with grpcclient.InferenceServerClient(self.servers.triton) as client:
            for model in remembering(client):
                count = len(family(self.servers.pids["triton"]))
                client.unload_model(model)
                client.load_model(model)
                # What a process has used counts until it has ended, so the old one must have.
                while len(family(self.servers.pids["triton"])) > count:
                    time.sleep(0.05)
        served = self.encoder.describe()
        picture = next((self.catalog.parent / "pictures").iterdir()).read_bytes()
        for number in range(4):
            rows = [(f"warm {number} {each}".encode(), picture) for each in range(8)]
            self.encoder.encode(rows, served, ["EMBEDDING"])

    def again(self) -> int:
        """The same catalog into the same index; encoder calls."""
        report = run(self.job(), self.encoder, self.bench.client)
        if report.unchanged != self.count:
            raise RuntimeError(f"expected {self.count} unchanged products, got {report}")
        return report.encoder_calls

    def script(self, files: Files) -> float:
        arguments = (self.servers.url, SCRIPTS, self.catalog, files.text_int8, files.tokenizer, files.picture)
        command = [sys.executable, plain_script.__file__, *map(str, arguments)]
        server = processor_seconds(self.costs.servers)
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = dict(line.split() for line in printed.splitlines())
        server = processor_seconds(self.costs.servers) - server
        client = float(found["CPU"]) * self.count / 1e3
        self.costs.add(SCRIPT, client, client + server, self.count)
        return float(found["RATE"])


def remembering(client: grpcclient.InferenceServerClient) -> list[str]:
    """The loaded models that remember rows."""
    index = client.get_model_repository_index().models
    ready = [each.name for each in index if each.state == "READY"]
    parameters = {name: client.get_model_config(name).config.parameters for name in ready}
    return [name for name, each in parameters.items() if each["remember_mib"].string_value]


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but count."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


def catalog_of(count: int) -> tuple[Path, list[int]]:
    """The catalog, made once, and the number of tokens of each product's text."""
    tokens = Tokens(Files.default().tokenizer, 512)

    def length(text: str) -> int:
        return int(tokens([text])[1].sum())

    folder = CATALOGS / str(count)
    if not folder.is_dir():
        say(f"drawing {count} products")
        CATALOGS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CATALOGS) as draft:
            shop.write_catalog(Path(draft) / "made", cache_folder(), count, length)
            (Path(draft) / "made").rename(folder)
    catalog = folder / "catalog.jsonl"
    return catalog, [length(text) for text, _ in products_of(catalog)]


def name_of(asked: Any) -> str:
    return "shop" + ("-busy" if asked.busy else "") + ("-without-bf16" if asked.without_bf16 else "")


def measured(asked: Any, servers: Both, opened: ExitStack) -> Table:
    """All arms in turns, and what they cost."""
    files = Files.default()
    catalog, lengths = catalog_of(asked.products)
    bf16 = has_bf16() and not asked.without_bf16
    costs = Costs(list(servers.pids.values()))
    ours = Arms(servers, catalog, asked.products, costs)
    products = list(products_of(catalog))
    limit = opened.enter_context(closing(Limit(files, bf16)))
    limit.warm(products[:WARM])
    costs.beside = limit.pids
    arms: dict[str, Callable[[], float]] = {OURS: ours.ours}
    arms[BEST] = lambda: ours.rate(BEST, lambda: limit(products), len(products))
    arms[SCRIPT] = lambda: ours.script(files)
    if LANCE in asked.arms and has("lancedb"):
        peer = InProcess(ours.bench)
        arms[LANCE] = lambda: ours.rate(LANCE, peer.all, len(products))
    fewer = max(1, len(products) // FEWER)
    if OFFICIAL in asked.arms:
        url, pid = opened.enter_context(official_pipeline.serving(servers.triton))
        costs.servers = [*costs.servers, pid]
        pipeline = official_pipeline.Pipeline(
            ours.bench.client, servers.url, url, ours.bench.served.dimensions["EMBEDDING"]
        )

        def through_pipeline() -> float:
            pipeline.create()
            return ours.rate(OFFICIAL, lambda: pipeline.write(catalog, fewer), fewer)

        arms[OFFICIAL] = through_pipeline
    arms = {arm: work for arm, work in arms.items() if arm in asked.arms}
    with busy(asked.busy):
        table = measure(name_of(asked), arms, rounds=asked.rounds, unit="products/s")
    calls = ours.again() if OURS in arms else None
    judge(table, costs, limit, bf16=bf16, busy=bool(asked.busy))
    if calls is not None:
        table.figure("encoder calls: unchanged products again", calls, {"<=": 0}, exact=True)
    kilobytes = [Path(picture).stat().st_size / 1000 for _, picture in products]
    table.note(
        f"{asked.products} synthetic products: texts of {np.median(lengths):.0f} tokens "
        f"({min(lengths)} to {max(lengths)}), JPEGs of 1200 to 1600 pixels and "
        f"{np.median(kilobytes):.0f} kB ({min(kilobytes):.0f} to {max(kilobytes):.0f})."
    )
    table.note(
        f"{len(os.sched_getaffinity(0))} cores of {processor()}; best parts: {limit.towers}; "
        f"{asked.busy or 'no'} busy processes beside."
    )
    if OFFICIAL in arms:
        table.note(f"The official pipeline took {fewer} of the products in each round.")
    return table


def judge(table: Table, costs: Costs, limit: Limit, *, bf16: bool, busy: bool) -> None:
    """The ratios with their targets, and the costs of a product."""
    least = {
        BEST: None if busy else 0.8,
        SCRIPT: 1.0 if busy else 1.6 if bf16 else 1.3,
        LANCE: 1.0,
        OFFICIAL: 1.0,
    }
    for arm, ratio in least.items():
        if OURS in table.figures and arm in table.figures:
            table.target(OURS, arm, at_least=ratio)
    for arm, values in costs.client.items():
        # In the official pipeline the servers do all of the work but reading.
        bound = {"<=": 11.0} if arm == OURS and not busy else {}
        table.figure(f"client's processor time a product, ms: {arm}", float(np.median(values)), bound)
    for arm, values in costs.every.items():
        table.figure(f"processor time a product, ms: {arm}", float(np.median(values)), {})
    for part, values in limit.spent.items():
        table.figure(f"processor time in process, ms: {part}", float(np.median(values)), {})


def processor() -> str:
    """The name of this machine's processor, and those of its units that decide the towers' speed."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    about = dict(map(str.strip, line.partition(":")[::2]) for line in lines)
    units = sorted(UNITS.intersection(about.get("flags", "").split()))
    return f"{about.get('model name', 'unknown processor')} ({', '.join(units) or 'none of the units'})"


def main() -> int:
    parser = Options(__doc__, products=(PRODUCTS, 100), rounds=(3, 1))
    parser.add_argument("--busy", type=int, default=0, help="processes that only count, beside all arms")
    parser.add_argument("--without-bf16", action="store_true", help="hide the processor's units for bf16")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    asked = parser.parse()
    if asked.products < PRODUCTS:
        os.environ[SHORT] = "1"
    if asked.without_bf16:
        os.environ[BF16] = "off"
    wanted = official.wanted() if OFFICIAL in asked.arms else {}
    with both(**wanted) as servers, ExitStack() as opened:
        table = measured(asked, servers, opened)
        table.versions = versions(servers.url)
    return 0 if table.finish() else 1
