"""Hybrids of every kind of leg and every way, on two nodes with a replica, while products are updated.

    .venv/bin/python qa soak-hybrids [--minutes 30] [--rate 20] [--updates 50] [--short]

Updates never change what matches, so each hybrid has to find as many products as its legs do: a search that
finds fewer has lost some. Searches that are cancelled, time out or fail are among them, and are to leave no
reader open. Every minute the searchers pause: after a second the open reader contexts are counted, then each
node's heap after a collection of garbage. In a run of less than 20 minutes, in which a JVM is still getting
warm, the heap's rise is shown and not judged.
"""

from __future__ import annotations

import itertools
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from measuring.index import create, fill, vector
from measuring.interleaved import Table
from measuring.options import Options
from measuring.real_node import Client, post_alone, say
from soak.catalog import JUDGED, RISE, rise

from mmsearch.stack import embedded
from mmsearch.stack.state import Home
from mmsearch.stack.variants import members

INDEX = "shop"
PRODUCTS = 3000
CHAIRS = 500
"""products that the words of a search match"""
DIMENSION = 32
PAUSE = 60.0
"""seconds between two measurements"""
SEARCHERS = 4
UPDATERS = 8
HEAP = "768m -XX:G1PeriodicGCInterval=1500 -XX:-G1PeriodicGCInvokesConcurrent"
"""a node that is left in peace for 1.5 s collects all its garbage"""
PEACE = 6.0
"""seconds in which it is left so before its heap is read, its lowest counting"""
WINDOW = 600
"""deeper than there are products that match, so that a hybrid finds them all"""


@contextmanager
def cluster() -> Iterator[list[str]]:
    """Two nodes with the plugin, ended after."""
    names = ["soak-1", "soak-2"]
    settings = members.settings(names, members.transport_ports(names))
    with ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        urls = []
        for name in names:
            home = Home.at(folder / name)
            ports = started.enter_context(
                embedded.borrowed(home, ("opensearch",), say, settings=settings[name], heap=HEAP)
            )
            urls.append(f"http://127.0.0.1:{ports.http}")
        Client(urls[0]).call("GET", "/_cluster/health?wait_for_nodes=2&timeout=60s")
        yield urls


def product(number: int, draw: np.random.Generator) -> dict[str, Any]:
    drawn = draw.standard_normal(DIMENSION)
    return {
        "title": "oak chair" if number < CHAIRS else "pine table",
        "code": f"code-{number}",
        "price": number,
        "color": ("red", "green", "blue")[number % 3],
        "stock": 0,
        "offers": [{"shop": "north", "cost": number % 50}],
        "v": (drawn / np.linalg.norm(drawn)).round(4),
    }


def build(client: Client) -> None:
    """The index: three shards and a replica of each."""
    kinds = {"title": "text", "code": "wildcard", "color": "keyword", "price": "integer", "stock": "integer"}
    fields: dict[str, object] = {name: {"type": kind} for name, kind in kinds.items()}
    fields |= {"offers": {"type": "nested"}, "v": vector(DIMENSION)}
    settings = {"number_of_shards": 3, "number_of_replicas": 1, "refresh_interval": "100ms"}
    create(client, INDEX, {"properties": fields}, **settings)
    draw = np.random.default_rng(3)
    fill(client, INDEX, ((f"p{number}", product(number, draw)) for number in range(PRODUCTS)), merge=False)
    client.call("GET", f"/_cluster/health/{INDEX}?wait_for_status=green&timeout=60s")


CHAIR: dict[str, Any] = {"match": {"title": "chair"}}
SCRIPT = {"source": "doc['price'].value + 1.0", "lang": "painless"}


def legs() -> dict[str, dict[str, Any]]:
    """Legs that find chairs alone, by name."""
    near = {"vector": [1.0] + [0.0] * (DIMENSION - 1), "k": CHAIRS, "filter": CHAIR}
    return {
        "match": CHAIR,
        "phrase": {"match_phrase": {"title": "oak chair"}},
        "knn": {"knn": {"v": near}},
        "script_score": {"script_score": {"query": CHAIR, "script": SCRIPT}},
        "function_score": {"function_score": {"query": CHAIR, "script_score": {"script": SCRIPT}}},
        "script": {
            "bool": {
                "must": CHAIR,
                "filter": {"script": {"script": {"source": "doc['price'].value >= 0", "lang": "painless"}}},
            }
        },
        "wildcard": {"bool": {"must": CHAIR, "filter": {"wildcard": {"code": "*ode-*"}}}},
        "nested": {
            "bool": {
                "must": CHAIR,
                "filter": {"nested": {"path": "offers", "query": {"exists": {"field": "offers.cost"}}}},
            }
        },
        "range": {"bool": {"must": CHAIR, "filter": {"range": {"price": {"lt": CHAIRS}}}}},
        "query_string": {"query_string": {"query": "title:chair OR title:chairs"}},
    }


def hybrid(*queries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"hybrid": {"queries": list(queries), "pagination_depth": WINDOW, **more}}


def requests(draw: random.Random) -> tuple[str, str, dict[str, Any]]:
    """A name, the parameters of the search's URL, and its body; each finds CHAIRS products."""
    every = legs()
    chosen = draw.sample(sorted(every), 3)
    query = hybrid(*(every[name] for name in chosen))
    name, parameters, more = draw.choice(
        [
            ("alone", "", {}),
            ("alone", "", {}),
            ("explained", "", {"explain": True, "size": 3}),
            ("highlighted", "", {"highlight": {"fields": {"title": {}}}}),
            ("with facets", "", {"aggs": {"colors": {"terms": {"field": "color"}}}}),
            ("sorted", "", {"sort": [{"price": "desc"}]}),
            ("rescored", "", {"rescore": {"query": {"rescore_query": CHAIR}}}),
            ("profiled", "", {"profile": True}),
            ("with global statistics", "search_type=dfs_query_then_fetch", {}),
            (
                "collapsed, with inner hits",
                "",
                {"collapse": {"field": "color", "inner_hits": {"name": "more", "size": 2}}, "size": 3},
            ),
            ("in a bool", "", {"bool": True}),
            ("two", "", {"two": True}),
        ]
    )
    if more.pop("bool", False):
        query = {"bool": {"must": query, "filter": CHAIR}}
    if more.pop("two", False):
        query = {"bool": {"should": [query, hybrid(CHAIR, every[chosen[0]])]}}
    return f"{name}: {', '.join(chosen)}", parameters, {"size": 10, "query": query, **more}


class Shoppers:
    """Searches of both nodes in turn, at a rate; every tenth is disturbed."""

    def __init__(self, urls: Sequence[str], rate: float) -> None:
        self.urls = urls
        self.wait = SEARCHERS / rate
        self.outcomes: Counter[str] = Counter()
        self.disturbed: Counter[str] = Counter()
        self.going = threading.Event()
        self.going.set()
        self.stop = threading.Event()
        self.busy = 0
        self.lock = threading.Lock()

    def run(self, seed: int) -> None:
        draw = random.Random(seed)
        clients = [Client(url) for url in self.urls]
        for number in itertools.count():
            self.going.wait()
            if self.stop.is_set():
                return
            with self.lock:
                self.busy += 1
            began = time.monotonic()
            try:
                if number % 10 == 9:
                    self.disturb(draw)
                else:
                    self.ask(clients[number % 2], draw)
            finally:
                with self.lock:
                    self.busy -= 1
            time.sleep(max(0.0, self.wait - (time.monotonic() - began)))

    def ask(self, client: Client, draw: random.Random) -> None:
        name, parameters, body = requests(draw)
        try:
            answer = json.loads(
                client.call("POST", f"/{INDEX}/_search?{parameters}", json.dumps(body).encode())
            )
        except (OSError, RuntimeError) as e:
            self.outcomes[f"{name.partition(':')[0]} failed: {str(e)[:300]}"] += 1
            return
        found = answer["hits"]["total"]["value"]
        if answer["_shards"]["failed"] or answer["timed_out"]:
            self.outcomes[f"{name.partition(':')[0]}: part of it missing"] += 1
        elif found != CHAIRS or not answer["hits"]["hits"]:
            self.outcomes[f"{name}: found {found} of {CHAIRS}"] += 1
        else:
            self.outcomes["answered"] += 1

    def disturb(self, draw: random.Random) -> None:
        """A search that is given up, times out, or fails; what it answers does not matter."""
        _, parameters, body = requests(draw)
        kind = draw.choice(["given up", "timed out", "failed"])
        slow = {"script_score": {"query": {"match_all": {}}, "script": SCRIPT}}
        if kind == "timed out":
            body["timeout"] = "1ms"
        if kind == "failed":
            slow = {"script": {"script": {"source": "doc['nowhere'].value > 0", "lang": "painless"}}}
        body["query"] = {"bool": {"should": [body["query"], hybrid(slow, CHAIR)]}}
        path = f"/{INDEX}/_search?{parameters}"
        with post_alone(draw.choice(list(self.urls)), path, json.dumps(body).encode()) as connection:
            if kind == "given up":
                time.sleep(draw.random() * 0.01)
            else:
                while connection.recv(65536):
                    pass
        self.disturbed[kind] += 1

    def pause(self) -> None:
        """Wait until no search is under way."""
        self.going.clear()
        while self.busy:
            time.sleep(0.01)


def update(url: str, rate: float, seed: int, shoppers: Shoppers, done: Counter[str]) -> None:
    """Other stocks for one product after another; what matches stays."""
    client = Client(url)
    draw = random.Random(seed)
    due = time.monotonic()
    for number in itertools.count():
        if not shoppers.going.is_set():
            shoppers.going.wait()
            due = time.monotonic()
        if shoppers.stop.is_set():
            return
        body = json.dumps({"doc": {"stock": number}}).encode()
        client.call("POST", f"/{INDEX}/_update/p{draw.randrange(PRODUCTS)}?retry_on_conflict=3", body)
        done["updates"] += 1
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))


def open_contexts(client: Client) -> int:
    stats = json.loads(client.call("GET", f"/{INDEX}/_stats/search"))
    return int(stats["_all"]["total"]["search"]["open_contexts"])


class Heaps:
    """Each node's heap after a collection of garbage, MB."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.measured: dict[str, list[float]] = {name: [] for name in sorted(self.used())}

    def used(self) -> dict[str, float]:
        stats = json.loads(self.client.call("GET", "/_nodes/stats/jvm"))["nodes"].values()
        return {node["name"]: node["jvm"]["mem"]["heap_used_in_bytes"] / 2**20 for node in stats}

    def measure(self) -> None:
        lowest = self.used()
        until = time.monotonic() + PEACE
        while time.monotonic() < until:
            time.sleep(0.5)
            lowest = {name: min(used, lowest[name]) for name, used in self.used().items()}
        for name, used in lowest.items():
            self.measured[name].append(used)


def soak(urls: Sequence[str], minutes: float, rate: float, updates: float) -> Table:
    client = Client(urls[0])
    build(client)
    shoppers = Shoppers(urls, rate)
    written: Counter[str] = Counter()
    heaps = Heaps(client)
    threads = [threading.Thread(target=shoppers.run, args=(seed,)) for seed in range(SEARCHERS)]
    for seed in range(UPDATERS):
        share = (urls[seed % 2], updates / UPDATERS, seed, shoppers, written)
        threads.append(threading.Thread(target=update, args=share))
    for thread in threads:
        thread.start()
    left: list[int] = []
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        time.sleep(min(PAUSE, max(1.0, until - time.monotonic())))
        shoppers.pause()
        time.sleep(1)
        left.append(open_contexts(client))
        heaps.measure()
        latest = [round(row[-1], 1) for row in heaps.measured.values()]
        say(f"{dict(shoppers.outcomes)}; open {left[-1]}; heaps {latest}")
        shoppers.going.set()
    shoppers.stop.set()
    for thread in threads:
        thread.join()
    figures = {f"{name}, heap after GC": values for name, values in heaps.measured.items()}
    table = Table("soak-hybrids", "MB", figures)
    asked = shoppers.outcomes.total()
    table.figure(
        f"hybrids that failed or lost products, of {asked}", asked - shoppers.outcomes["answered"], {"<=": 0}
    )
    table.figure("open reader contexts a second after the last answer, at most", max(left), {"<=": 0})
    for name, values in heaps.measured.items():
        table.figure(f"rise of {name}'s heap", rise(values), {"<=": RISE if minutes >= JUDGED else None})
    stats = json.loads(client.call("GET", "/_plugins/_mmsearch/stats"))["nodes"].values()
    ways = {
        way: sum(node["hybrid"][way] for node in stats)
        for way in ("one_search", "two_rounds", "point_in_time")
    }
    table.note(
        f"{minutes:g} minutes, {asked} hybrids at {rate:g} a second, {written['updates']} updates; run as "
        + ", ".join(f"{way} {count}" for way, count in ways.items())
        + "; ended on purpose: "
        + ", ".join(f"{how} {count}" for how, count in shoppers.disturbed.items())
        + "."
    )
    for outcome in shoppers.outcomes:
        if outcome != "answered":
            table.note(outcome)
    return table


def main() -> int:
    asked = Options(__doc__, minutes=(30.0, 0.5), rate=(20.0, 20.0), updates=(50.0, 50.0)).parse()
    with cluster() as urls:
        table = soak(urls, asked.minutes, asked.rate, asked.updates)
    return 0 if table.finish() else 1
