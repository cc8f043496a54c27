"""Channels hold back, measure how full they were, and let go when a stage fails; in-flight limits adapt."""

from __future__ import annotations

import random
import threading
import time

import pytest

from mmsearch.clients.retry import Patience
from mmsearch.errors import AwayError, UnreachableError
from mmsearch.ingest.pipeline.channel import Channel
from mmsearch.ingest.pipeline.concurrency import ConcurrencyLimit
from mmsearch.ingest.pipeline.flow import Flow


def test_a_writer_waits_for_room_by_count_and_by_weight() -> None:
    for channel in (Channel[int](3), Channel[int](100, 30, lambda _: 10)):
        channel.opened(1)
        put: list[int] = []

        def write(channel: Channel[int] = channel, put: list[int] = put) -> None:
            for number in range(10):
                channel.put(number)
                put.append(number)
            channel.close()

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.1)
        assert put == [0, 1, 2]
        got: list[int] = []
        while items := channel.get(2):
            got += items
        thread.join()
        assert got == list(range(10))


def test_an_item_that_weighs_more_than_the_channel_holds_passes_alone() -> None:
    channel = Channel[int](5, 10, lambda _: 1_000)
    channel.opened(1)
    channel.put(1)
    assert channel.get(5) == [1]
    channel.close()
    assert channel.get(5) == []


def test_a_reader_lingers_for_a_fuller_batch_but_not_for_ever() -> None:
    channel = Channel[int](10)
    channel.opened(1)
    channel.put(1)
    threading.Timer(0.05, channel.put, [2]).start()
    started = time.monotonic()
    assert channel.get(3, 0.3) == [1, 2]
    assert 0.2 < time.monotonic() - started < 2
    assert channel.get(3, 0.01, wait=False) == []


def test_a_reader_is_woken_once_for_a_batch_and_not_for_each_item(monkeypatch: pytest.MonkeyPatch) -> None:
    channel = Channel[int](100)
    channel.opened(1)
    woken: list[int] = []
    wait = threading.Condition.wait

    def counted(self: threading.Condition, timeout: float | None = None) -> bool:
        found = wait(self, timeout)
        if self is channel._enough:
            woken.append(len(channel._items))
        return found

    monkeypatch.setattr(threading.Condition, "wait", counted)
    got: list[list[int]] = []
    reader = threading.Thread(target=lambda: got.append(channel.get(20, 10.0)))
    reader.start()
    while not channel._needed:  # until it waits
        time.sleep(0.001)
    channel.put(0)
    while channel._needed != [20]:  # until it lingers for the others
        time.sleep(0.001)
    for number in range(1, 20):
        channel.put(number)
    reader.join(10)
    assert got == [list(range(20))]
    assert woken == [1, 20]


def test_a_reader_that_may_not_wait_does_not_stand_behind_one_that_waits() -> None:
    channel = Channel[int](10)
    channel.opened(1)
    waiting = threading.Thread(target=channel.get, args=(1,))
    waiting.start()
    while not channel._needed:
        time.sleep(0.001)
    started = time.monotonic()
    assert channel.get(1, 0.01, wait=False) == []
    assert time.monotonic() - started < 5
    channel.close()
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_batch_larger_than_the_channel_passes_in_parts() -> None:
    channel = Channel[int](3)
    channel.opened(1)
    writer = threading.Thread(target=lambda: (channel.put_all(range(10)), channel.close()))
    writer.start()
    got: list[int] = []
    while items := channel.get(2, 10.0):
        got += items
    writer.join(10)
    assert got == list(range(10))


def test_a_full_channel_counts_its_time() -> None:
    channel = Channel[int](4)
    channel.opened(1)
    assert channel.full_seconds() == 0
    channel.put(1)
    time.sleep(0.05)
    assert channel.full_seconds() == 0
    channel.put(2)
    time.sleep(0.1)
    assert channel.full_seconds() >= 0.1


def test_the_first_failure_ends_every_stage() -> None:
    flow = Flow()
    first, second = Channel[int](1), Channel[int](1)

    def source() -> None:
        for number in range(10**9):
            first.put(number)

    def middle() -> None:
        for _ in range(3):
            for item in first.get(1):
                second.put(item)
        raise ValueError("broken")

    def sink() -> None:
        while second.get(1):
            pass

    flow.stage("source", source, first)
    flow.stage("middle", middle, second)
    flow.stage("sink", sink)
    with pytest.raises(ValueError, match="broken"):
        flow.run()
    assert flow.stopped.is_set()


class Server:
    """A queue in the mind: `workers` requests at once take `seconds` each, the others wait."""

    def __init__(self, workers: int, seconds: float) -> None:
        self.workers = workers
        self.seconds = seconds

    def latency(self, in_flight: int) -> float:
        return self.seconds * max(1.0, in_flight / self.workers)


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_as_many_are_under_way_as_keep_the_server_busy(workers: int) -> None:
    server, limit, chance = Server(workers, 0.1), ConcurrencyLimit(1, 32), random.Random(5)
    for _ in range(3_000):
        limit.learn(server.latency(limit.limit) * chance.uniform(0.97, 1.03))
    assert workers <= limit.limit <= workers + 3


def test_trouble_halves_and_the_limit_recovers() -> None:
    server, limit = Server(4, 0.1), ConcurrencyLimit(2, 16)
    for _ in range(500):
        limit.learn(server.latency(limit.limit))
    high = limit.limit
    limit.trouble()
    assert limit.limit == max(1, high // 2)
    for _ in range(500):
        limit.learn(server.latency(limit.limit))
    assert abs(limit.limit - high) <= 1


def test_slots_never_exceed_the_limit() -> None:
    limit = ConcurrencyLimit(3, 3)
    most = 0

    def work() -> None:
        nonlocal most
        for _ in range(20):
            with limit.slot():
                most = max(most, limit.under_way)
                time.sleep(0.001)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 3


def test_patience_says_once_that_a_server_is_away_and_once_that_it_is_back() -> None:
    said: list[str] = []
    failures = iter([True, True, True])

    def attempt() -> str:
        if next(failures, False):
            raise AwayError("Triton at x", "no answer")
        return "done"

    assert Patience(30, said.append).call(attempt) == "done"
    assert len(said) == 2
    assert said[0] == "Triton at x does not respond (no answer); waiting up to 30 s"
    assert said[1].startswith("Triton at x responds again after 0.")


def test_patience_ends_with_the_command_to_go_on() -> None:
    def attempt() -> str:
        raise AwayError("Triton at x", "no answer")

    with pytest.raises(UnreachableError) as caught:
        Patience(0.2, lambda _: None, "mmsearch ingest c.jsonl").call(attempt)
    assert str(caught.value) == (
        "expected Triton at x to answer within 0 s, got no answer; indexed products remain, continue with: "
        "mmsearch ingest c.jsonl"
    )


def test_a_reader_whose_item_another_took_goes_on_reading() -> None:
    channel: Channel[int] = Channel(8)
    channel.opened(1)
    taken: list[list[int]] = []

    def read() -> None:
        while items := channel.get(4, 0.05):
            taken.append(items)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(4):
        channel.put(number)
        # Long enough for all three to have lingered for the one item.
        time.sleep(0.15)
        assert all(reader.is_alive() for reader in readers)
    channel.close()
    for reader in readers:
        reader.join(10)
        assert not reader.is_alive()
    assert sorted(number for items in taken for number in items) == [0, 1, 2, 3]
