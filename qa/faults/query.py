"""Queries while the encoder is gone, stopped, lying or overrun: the full form of F5, F6, F7, F8 and F11.

    .venv/bin/python qa faults-query [--only F5 --only F11] [--seconds 60] [--short]

The node is real; the encoder is a stub process that is killed, stopped and made to lie. The short form of
each runs in the plugin's own tests.
"""

from __future__ import annotations

import itertools
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from measuring.interleaved import Table
from measuring.options import Options
from measuring.real_node import Client, node, post_alone, say
from measuring.stub_encoder import StubEncoder
from neural.clause import build, neural_body, search_body, settings

INDEX = "bench-neural"
PATH = f"/{INDEX}/_search"
RATE = 50.0
STATS = "/_plugins/_mmsearch/stats/_local"
MATCH = search_body({"match": {"title": "product"}})
TABLES = {
    "F5": "F5-encoder-gone",
    "F6": "F6-encoder-lies",
    "F7": "F7-clients-vanish",
    "F8": "F8-fingerprint",
    "F11": "F11-overload",
}
SLOTS = 2
DELAY = 0.04


@dataclass(frozen=True)
class Answer:
    """One query's answer: its status, how long it took, and the body."""

    status: int
    ms: float
    body: bytes


def load(
    url: str, body_of: Callable[[int], bytes], rate: float, seconds: float, threads: int
) -> list[Answer]:
    """`rate` queries a second whether or not the earlier ones are answered, in the order of their asking."""
    answers: dict[int, Answer] = {}
    numbers = itertools.count()
    begin = time.perf_counter() + 0.2

    def work() -> None:
        client = Client(url)
        while True:
            number = next(numbers)
            due = begin + number / rate
            if due > begin + seconds:
                return
            time.sleep(max(0.0, due - time.perf_counter()))
            body = body_of(number)
            sent = time.perf_counter()
            status, said = client.ask("POST", PATH, body)
            answers[number] = Answer(status, 1000 * (time.perf_counter() - sent), said)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [answers[number] for number in sorted(answers)]


def p99(answers: list[Answer]) -> float:
    """The 99th percentile of the times, milliseconds."""
    times = sorted(answer.ms for answer in answers)
    return times[min(len(times) - 1, int(0.99 * len(times)))]


def statuses(answers: list[Answer]) -> dict[int, int]:
    """How many answers had which status."""
    return dict(sorted(Counter(answer.status for answer in answers).items()))


def counted(by_status: Mapping[int, int]) -> str:
    """Counts by status in words."""
    return ", ".join(f"{count:,} × {status}" for status, count in sorted(by_status.items()))


def encoder_stats(client: Client) -> dict[str, object]:
    """What the node tells of its encoder."""
    nodes = json.loads(client.call("GET", STATS))["nodes"]
    return dict(next(iter(nodes.values()))["encoder"])


def distinct(word: str) -> Callable[[int], bytes]:
    """The clause with a text of its own for each number, which no run before has left in the node's cache."""
    run = time.time_ns()
    return lambda number: neural_body(f"{word} {run} {number}")


def share(answers: list[Answer], *wanted: int) -> float:
    """The part of the answers that have one of these statuses."""
    return sum(answer.status in wanted for answer in answers) / len(answers)


def fault_5(url: str, triton: StubEncoder, seconds: float) -> Table:
    """The encoder killed under load, then stopped."""
    client = Client(url)
    figures: dict[str, list[Answer]] = {}

    def with_match(word: str) -> None:
        matches: list[Answer] = []
        beside = threading.Thread(
            target=lambda: matches.extend(load(url, lambda number: MATCH, 20, seconds, 8))
        )
        beside.start()
        figures[word] = load(url, distinct(f"F5 {word}"), RATE, seconds, 64)
        beside.join()
        figures[f"match, {word}"] = matches

    with_match("healthy")
    before = encoder_stats(client)
    triton.kill()
    with_match("killed")
    after = encoder_stats(client)
    triton.start()
    began = time.perf_counter()
    while load(url, distinct(f"F5 heals {time.perf_counter()}"), 100, 0, 1)[0].status != 200:
        time.sleep(0.02)
    healed = time.perf_counter() - began
    triton.stop()
    stopped = load(url, distinct("F5 stopped"), RATE, 8, 200)
    triton.go_on()
    time.sleep(2)
    table = Table(TABLES["F5"], "ms, p99", {name: [p99(each)] for name, each in figures.items()})
    killed = figures["killed"]
    calls = int(str(after["calls"])) - int(str(before["calls"]))
    probes = seconds + 2
    table.figure("healthy: share with status 200", share(figures["healthy"], 200), {">=": 1})
    table.figure("killed: share with status 503", share(killed, 503), {">=": 1})
    table.figure("killed: p99 of the 503, ms", p99(killed), {"<=": 50})
    # Five failures open it (calls already under way may add a few), then a probe a second.
    table.figure("killed: calls of the encoder", calls, {"<=": 5 + 8 + probes})
    ratio = p99(figures["match, killed"]) / p99(figures["match, healthy"])
    table.figure("match: p99, killed / healthy", ratio, {"<=": 1.1})
    table.figure("match: share with status 200", share(figures["match, killed"], 200), {">=": 1})
    table.figure("first answer after the restart, s", healed, {"<=": 3})
    late = [answer for answer in stopped if answer.status == 504]
    table.figure("stopped: share with status 503 or 504", share(stopped, 503, 504), {">=": 1})
    table.figure(
        "stopped: median of the 504, ms", statistics.median(a.ms for a in late), {">=": 2000, "<=": 2100}
    )
    table.note(
        f"Answers by status: killed {counted(statuses(killed))}; stopped {counted(statuses(stopped))}; the "
        "deadline is 2 s."
    )
    return table


def fault_6(url: str, triton: StubEncoder, seconds: float) -> Table:
    """Answers that cannot be used."""
    client = Client(url)
    settings(client, triton__timeout="300ms", triton__breaker__failures=1000)
    table = Table(TABLES["F6"], "ms, p99", {})
    for mode, delay, status in (
        ("vectors", 1.0, 504),
        ("wrong dimension", 0.0, 502),
        ("nan", 0.0, 502),
        ("garbage", 0.0, 502),
    ):
        # The breaker's most failures in a row are fewer than all of these together: one good answer between.
        triton.behave()
        if load(url, distinct(f"F6 before {mode}"), 1, 0, 1)[0].status != 200:
            raise RuntimeError("expected an answer of the encoder before it lies, got an error")
        triton.behave(mode, delay)
        name = "slow" if delay else mode
        answers = load(url, distinct(f"F6 {name}"), RATE, min(seconds, 5), 64)
        table.figures[name] = [p99(answers)]
        table.figure(f"{name}: share with status {status}", share(answers, status), {">=": 1})
        named = sum(b"query_encoder" in answer.body for answer in answers) / len(answers)
        table.figure(f"{name}: share of errors that name the model", named, {">=": 1})
        table.figure(f"{name}: p99, ms", p99(answers), {"<=": 400})
        others = [answer for answer in answers if answer.status != status]
        if others:
            said = others[0].body[:300].decode(errors="replace")
            table.note(f"{name}: {statuses(answers)}, of the others the first says: {said}")
    triton.behave()
    time.sleep(1)
    settings(client, triton__timeout=None, triton__breaker__failures=None)
    return table


def waits_until(client: Client, so: Callable[[int, int], bool], most: float) -> float:
    """Seconds until the calls in flight and those queued are so; `most` when they never are."""
    began = time.perf_counter()
    while time.perf_counter() - began < most:
        now = encoder_stats(client)
        if so(int(str(now["in_flight"])), int(str(now["queued"]))):
            return time.perf_counter() - began
        time.sleep(0.02)
    return most


def fault_7(url: str, triton: StubEncoder, seconds: float) -> Table:
    """Five hundred clients that vanish in the middle of their query, then fifty tasks that are cancelled."""
    client = Client(url)
    settings(client, triton__timeout="60s", triton__queue_size=1000)
    triton.behave(delay=50)
    table = Table(TABLES["F7"], "s", {})
    for name, count in (("clients that vanish", 500), ("tasks cancelled", 50)):
        began = time.time_ns()
        bodies = [neural_body(f"F7 {name} {began} {number}") for number in range(count)]
        sent = [post_alone(url, PATH, body) for body in bodies]
        came = waits_until(client, lambda flying, queued, n=count: flying + queued == n, 30)
        table.figure(f"{name}: all {count} under way after, s", came, {"<=": 29})
        if name == "tasks cancelled":
            client.call("POST", "/_tasks/_cancel?actions=indices:data/read/search", b"")
        else:
            for connection in sent:
                connection.close()
        over = waits_until(client, lambda flying, queued: flying + queued == 0, 20)
        table.figures[name] = [over]
        table.figure(f"{name}: nothing in flight after, s", over, {"<=": 1})
    triton.kill()
    triton.behave()
    triton.start()
    settings(client, triton__timeout=None, triton__queue_size=None)
    return table


def fault_8(url: str, triton: StubEncoder, seconds: float) -> Table:
    """Another encoder of the same dimension behind the same name."""
    triton.behave("other fingerprint")
    answers = load(url, distinct("F8"), RATE, min(seconds, 5), 32)
    triton.behave()
    table = Table(TABLES["F8"], "ms, p99", {"refused": [p99(answers)]})
    table.figure("share with status 400", share(answers, 400), {">=": 1})
    return table


def fault_11(url: str, seconds: float) -> Table:
    """Ten times what the encoder can do."""
    client = Client(url)
    items: Counter[int] = Counter()
    over = threading.Event()

    def ask_several() -> None:
        beside = Client(url)
        for number in itertools.takewhile(lambda _: not over.is_set(), itertools.count()):
            lines = b"".join(
                b"{}\n" + neural_body(f"F11 item {began} {number} {i}") + b"\n" for i in range(8)
            )
            answered = json.loads(beside.call("POST", f"/{INDEX}/_msearch", lines))
            items.update(item["status"] for item in answered["responses"])

    with StubEncoder(slots=SLOTS) as slow:
        slow.behave(delay=DELAY)
        settings(client, triton__endpoints=[slow.url], triton__max_in_flight=SLOTS + 1, triton__queue_size=8)
        began = time.perf_counter()
        alone = load(url, distinct("F11 alone"), SLOTS / DELAY, min(seconds, 10), SLOTS + 1)
        capacity = share(alone, 200) * len(alone) / (time.perf_counter() - began)
        several = threading.Thread(target=ask_several)
        several.start()
        began = time.perf_counter()
        answers = load(url, distinct("F11"), 10 * SLOTS / DELAY, seconds, 96)
        took = time.perf_counter() - began
        over.set()
        several.join()
    settings(client, triton__endpoints=None, triton__max_in_flight=None, triton__queue_size=None)
    refused = [answer for answer in answers if answer.status == 429]
    taken = [answer for answer in answers if answer.status == 200]
    table = Table(TABLES["F11"], "ms, p99", {"200": [p99(taken)], "429": [p99(refused)]})
    offered = len(answers) / took
    goodput = (len(taken) + items[200]) / took
    table.figure("offered / capacity", offered / capacity, {">=": 9})
    table.figure("goodput / capacity", goodput / capacity, {">=": 0.9})
    table.figure("share with status 200 or 429", share(answers, 200, 429), {">=": 1})
    table.figure("p99 of the 429, ms", p99(refused), {"<=": 20})
    told = (items[200] + items[429]) / items.total()
    table.figure("_msearch: share of items with status 200 or 429", told, {">=": 1})
    table.figure("_msearch: items with status 429", items[429], {">=": 1})
    table.note(
        f"Capacity {capacity:.0f} a second, offered {offered:.0f}. Answers by status: "
        f"{counted(statuses(answers))}; items of _msearch: {counted(items)}."
    )
    return table


def main() -> int:
    parser = Options(__doc__, seconds=(60.0, 8.0))
    parser.only(TABLES)
    asked = parser.parse()
    faults: dict[str, Callable[[str, StubEncoder], Table]] = {
        "F5": lambda url, triton: fault_5(url, triton, asked.seconds),
        "F6": lambda url, triton: fault_6(url, triton, asked.seconds),
        "F7": lambda url, triton: fault_7(url, triton, asked.seconds),
        "F8": lambda url, triton: fault_8(url, triton, asked.seconds),
        "F11": lambda url, triton: fault_11(url, asked.seconds),
    }
    good = True
    with node() as url, StubEncoder() as triton:
        client = Client(url)
        build(client, 2000)
        for name in asked.only or faults:
            settings(client, triton__endpoints=[triton.url])
            load(url, distinct(f"warm {name}"), 500, 3, 16)
            say(f"{name} begins")
            good &= faults[name](url, triton).finish()
    return 0 if good else 1
