"""The embedded servers of one home folder: up, down and how they are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmsearch.errors import StackError
from mmsearch.stack import opensearch_files, opensearch_node, ports, triton_server
from mmsearch.stack.account import unprivileged
from mmsearch.stack.downloads import Archive, locked
from mmsearch.stack.loopback import Answered
from mmsearch.stack.processes import Process, myself
from mmsearch.stack.state import SERVERS, Home, Launch, Ports, Running

READY_WITHIN = 300.0
"""seconds; a node takes 20 s on an idle machine and over a minute on a busy one"""
TAIL = 15
"""lines of the log that go into an error"""


@dataclass(frozen=True)
class Wanted:
    """What `up` was asked for: a port of None stays as it was (the default at first), 0 is any free one."""

    servers: tuple[str, ...] = SERVERS
    http_port: int | None = None
    triton_http_port: int | None = None
    triton_grpc_port: int | None = None
    triton_metrics_port: int | None = None
    heap: str | None = None
    plugin_zip: Path | None = None
    beside: Mapping[str, Archive] = field(default_factory=dict)
    """further plugins of the node, by the names of their folders, in the order of installation"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """of the node, in place of ours; None takes one away"""
    while_alive: Process | None = None
    ready_within: float = READY_WITHIN


@dataclass(frozen=True)
class Up:
    """What `up` did with one server: `was_up` when there was nothing to do."""

    name: str
    was_up: bool
    versions: str


@dataclass(frozen=True)
class State:
    """How a server is. `answers` is None when it did not answer, and `reason` says why."""

    name: str
    pid: int | None
    supervisor: int | None
    restarts: int
    uptime: float | None
    ports: dict[str, int]
    answers: str | None
    reason: str | None
    log: str


def up(home: Home, wanted: Wanted, say: Callable[[str], None]) -> list[Up]:
    """Start what is not running or was made from something else, and wait until all wanted servers
    really answer.

    Raises StackError, with the end of the server's log when it died or was not ready in time.
    """
    home.make()
    with locked(home.lock()):
        chosen = choose_ports(home, wanted)
        home.write_ports(chosen)
        started = {}
        for name in wanted.servers:
            started[name] = ensure_started(home, name, chosen, wanted, say)
        return [
            Up(name, not started[name], wait_ready(home, name, chosen, wanted, fresh=started[name]))
            for name in wanted.servers
        ]


def choose_ports(home: Home, wanted: Wanted) -> Ports:
    """The asked-for ports over those of the last time over the defaults; 0 becomes a free one."""
    base = home.ports() or Ports()
    asked = {
        "http": wanted.http_port,
        "triton_http": wanted.triton_http_port,
        "triton_grpc": wanted.triton_grpc_port,
        "triton_metrics": wanted.triton_metrics_port,
    }
    free = iter(ports.free(len(asked)))
    given = {name: next(free) if port == 0 else port for name, port in asked.items() if port is not None}
    chosen = replace(base, **given)
    numbers = [chosen.http, chosen.triton_http, chosen.triton_grpc, chosen.triton_metrics]
    if len(set(numbers)) != len(numbers):
        raise StackError(
            f"expected four different ports, got {numbers}; repair: change one of the port options"
        )
    return chosen


def ensure_started(home: Home, name: str, chosen: Ports, wanted: Wanted, say: Callable[[str], None]) -> bool:
    """Start the server unless it runs as it should; whether it was started."""
    before = home.launch(name)
    stamp = plan(home, name, chosen, wanted, before)
    running = home.running(name)
    if before is not None and running is not None and running.supervised():
        if before.stamp == stamp:
            return False
        changed = [key for key in stamp if stamp[key] != before.stamp.get(key)]
        say(f"{name}: started anew, because of another {', '.join(changed)}")
    end(home, name)
    say(f"{name}: starting, its log is {home.log(name)}")
    launch = make(home, name, stamp, wanted.while_alive)
    home.write_launch(launch)
    keep_previous_log(home.log(name))
    start_supervisor(home, name)
    return True


def plan(home: Home, name: str, chosen: Ports, wanted: Wanted, before: Launch | None) -> dict[str, Any]:
    """What the server would be made from now."""
    if name == opensearch_node.NAME:
        heap = wanted.heap or (before.stamp["heap"] if before else "1g")
        return opensearch_node.plan(home, chosen, heap, wanted.plugin_zip, wanted.beside, wanted.settings)
    return triton_server.plan(home, chosen)


def make(home: Home, name: str, stamp: dict[str, Any], while_alive: Process | None) -> Launch:
    """Prepare the server's files."""
    if name == opensearch_node.NAME:
        return opensearch_node.make(home, stamp, while_alive)
    return triton_server.make(home, stamp, while_alive)


def start_supervisor(home: Home, name: str) -> None:
    """Start the server's guardian, which outlives us, and wait until it has written down its processes."""
    with (home.logs / "supervisor.log").open("ab") as log:
        guardian = subprocess.Popen(
            [sys.executable, "-P", "-m", f"{__package__}.supervisor", str(home.folder), name],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            cwd=home.folder,
        )  # fmt: skip
    deadline = time.monotonic() + 30
    while home.running(name) is None:
        if guardian.poll() is not None or time.monotonic() > deadline:
            raise StackError(
                f"expected the supervisor of {name} to start it, got none after {guardian.returncode}; "
                f"its log says last:\n" + last_words(home.logs / "supervisor.log")
            )
        time.sleep(0.05)
    # It is meant to outlive us: without this, Popen would warn that we did not wait for it.
    guardian.returncode = 0


def wait_ready(home: Home, name: str, chosen: Ports, wanted: Wanted, fresh: bool) -> str:
    """Wait until the server answers for real; its versions. Raises StackError with the log's end otherwise.

    A fresh server may not die. One that ran before may be on its way back: one more start is allowed it.
    """
    deadline = time.monotonic() + wanted.ready_within
    first = home.running(name)
    allowed = (first.restarts if first else 0) + (0 if fresh else 1)
    while True:
        versions, reason = answer(name, chosen)
        if versions is not None:
            return versions
        running = home.running(name)
        if running is None or not running.supervised() or running.restarts > allowed:
            # It will not get better by itself; a broken server that is restarted for ever helps nobody.
            last = running.last_exit if running else None
            end(home, name)
            raise StackError(
                f"expected {name} to start, got its end ({last or 'its supervisor is gone'}); "
                f"repair: read {home.log(name)}, which says last:\n{last_words(home.log(name))}"
            )
        if time.monotonic() > deadline:
            raise StackError(
                f"expected {name} to answer within {wanted.ready_within:.0f} s, got {reason}; "
                f"repair: read {home.log(name)}, which says last:\n{last_words(home.log(name))}"
            )
        time.sleep(0.3)


def answer(name: str, chosen: Ports) -> tuple[str | None, str | None]:
    """(versions, None) when the server answers a real search or inference, else (None, the reason)."""
    require = opensearch_node.require_answer if name == opensearch_node.NAME else triton_server.require_answer
    try:
        return require(chosen), None
    except (StackError, Answered, OSError, ValueError, KeyError) as error:
        return None, f"{type(error).__name__}: {error}"


def down(home: Home, say: Callable[[str], None]) -> list[str]:
    """End every server of this home with all its processes; the names of those that ran."""
    if not home.folder.is_dir():
        return []
    home.make()
    with locked(home.lock()):
        ended = [name for name in SERVERS if end(home, name)]
    for name in ended:
        say(f"{name}: ended")
    return ended


def end(home: Home, name: str) -> bool:
    """End a server and its supervisor by their recorded identities, and remove its shared memory;
    whether it ran."""
    running = home.running(name)
    launch = home.launch(name)
    ran = False
    if running is not None:
        # The supervisor ends the server in its turn, with its own grace; we wait longer than that.
        ran = running.supervisor.end(grace=45)
        if running.child is not None:
            ran = running.child.end(grace=10) or ran
    if launch is not None:
        # What a killed supervisor or server has left: its helpers may have no parent any more.
        for left in launch.left_behind():
            ran = left.end(grace=10) or ran
        launch.remove_shared_memory()
    home.forget_running(name)
    return ran


def delete(home: Home) -> None:
    """End the servers and delete the node with its data; the models and logs stay."""
    down(home, lambda _: None)
    shutil.rmtree(opensearch_files.node_folder(home.folder, unprivileged()), ignore_errors=True)


@contextmanager
def borrowed(
    home: Home,
    servers: tuple[str, ...] = SERVERS,
    say: Callable[[str], None] = lambda _: None,
    **wanted: Any,
) -> Iterator[Ports]:
    """Servers on free ports for as long as the block runs, and no longer than this process; their ports.

    `wanted` is what else `Wanted` takes. The node's data are deleted after. Raises StackError, as `up` does.
    """
    try:
        up(home, Wanted(servers, 0, 0, 0, 0, while_alive=myself(), **wanted), say)
        yield home.ports() or Ports()  # `up` has written them
    finally:
        delete(home)


def states(home: Home) -> list[State]:
    """How each server of this home is, asked now."""
    chosen = home.ports() or Ports()
    return [state(home, name, chosen) for name in SERVERS]


def state(home: Home, name: str, chosen: Ports) -> State:
    """How one server is."""
    running: Running | None = home.running(name)
    alive = running is not None and running.supervised()
    child = (
        running.child if running is not None and running.child is not None and running.child.alive() else None
    )
    versions, reason = answer(name, chosen) if child else (None, "it does not run")
    used = (
        {"http": chosen.http}
        if name == opensearch_node.NAME
        else {"http": chosen.triton_http, "grpc": chosen.triton_grpc, "metrics": chosen.triton_metrics}
    )
    return State(
        name=name,
        pid=child.pid if child else None,
        supervisor=running.supervisor.pid if running is not None and alive else None,
        restarts=running.restarts if running else 0,
        uptime=time.time() - running.since if running is not None and child else None,
        ports=used,
        answers=versions,
        reason=reason,
        log=str(home.log(name)),
    )


def keep_previous_log(log: Path) -> None:
    """Start a log afresh, keeping the one of the last time beside it."""
    if log.exists() and log.stat().st_size:
        log.replace(log.with_name(log.name + ".1"))


def tail(path: Path, lines: int) -> str:
    """The last lines of a text file, read from its end; a sentence when there is none."""
    if not path.exists():
        return f"({path} is not there)"
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 400 * lines))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def last_words(path: Path) -> str:
    """The end of a log, indented, without stack frames and, where anything else was said, without
    information."""
    frames = re.compile(r"\s*(at |\.\.\. \d+ more|$)")
    said = [line for line in tail(path, 20 * TAIL).splitlines() if not frames.match(line)]
    telling = [
        line
        for line in said
        if "[INFO ]" not in line and not line.startswith("I1") and not line.startswith("I0")
    ]
    return "\n".join(f"    {line[:300]}" for line in (telling or said)[-TAIL:])
