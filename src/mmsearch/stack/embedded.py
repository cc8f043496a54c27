"""The embedded servers of a home folder: start, stop and status."""

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
"""seconds; a node starts in 20 s on an idle machine and in over a minute on a busy one"""
TAIL = 15
"""number of log lines in an error"""


@dataclass(frozen=True)
class Wanted:
    """Options of `up`. A port of None is the last one used, or the default; 0 is any free port."""

    servers: tuple[str, ...] = SERVERS
    http_port: int | None = None
    triton_http_port: int | None = None
    triton_grpc_port: int | None = None
    triton_metrics_port: int | None = None
    heap: str | None = None
    plugin_zip: Path | None = None
    beside: Mapping[str, Archive] = field(default_factory=dict)
    """further plugins of the node, by the names of their folders, in order of installation"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """settings of the node that override ours; None removes one"""
    while_alive: Process | None = None
    ready_within: float = READY_WITHIN


@dataclass(frozen=True)
class Up:
    """Result of `up` for one server. `was_up` means that it was already running."""

    name: str
    was_up: bool
    versions: str


@dataclass(frozen=True)
class State:
    """Status of a server. `answers` is None if it did not respond; `reason` has the cause."""

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
    """Start the servers that are not running or whose configuration has changed, and wait until all of them
    respond.

    Raise StackError with the end of the server's log when one died or was not ready in time.
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
    """Return the ports: the requested ones, else the last ones used, else the defaults. 0 becomes a free
    port.
    """
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
    """Start the server unless it runs with the wanted configuration. Return whether it was started."""
    before = home.launch(name)
    stamp = plan(home, name, chosen, wanted, before)
    running = home.running(name)
    if before is not None and running is not None and running.supervised():
        if before.stamp == stamp:
            return False
        changed = [key for key in stamp if stamp[key] != before.stamp.get(key)]
        say(f"{name}: started again, because of another {', '.join(changed)}")
    end(home, name)
    say(f"{name}: starting, its log is {home.log(name)}")
    launch = make(home, name, stamp, wanted.while_alive)
    home.write_launch(launch)
    keep_previous_log(home.log(name))
    start_supervisor(home, name)
    return True


def plan(home: Home, name: str, chosen: Ports, wanted: Wanted, before: Launch | None) -> dict[str, Any]:
    """Return the stamp of the configuration that the server would be started with."""
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
    """Start the server's supervisor as a daemon, and wait until it has recorded its processes."""
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
                f"last lines of its log:\n" + last_words(home.logs / "supervisor.log")
            )
        time.sleep(0.05)
    # The supervisor outlives this process; without this, Popen would warn that it was not waited for.
    guardian.returncode = 0


def wait_ready(home: Home, name: str, chosen: Ports, wanted: Wanted, fresh: bool) -> str:
    """Wait until the server responds to a real request. Return its versions. Raise StackError with the end of
    the log otherwise.

    A newly started server must not die. One that was running before may be restarting and is allowed one more
    start.
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
            # Stop it: restarting a broken server forever would not repair it.
            last = running.last_exit if running else None
            end(home, name)
            raise StackError(
                f"expected {name} to start, got its exit ({last or 'its supervisor is gone'}); "
                f"repair: read {home.log(name)}, which says last:\n{last_words(home.log(name))}"
            )
        if time.monotonic() > deadline:
            raise StackError(
                f"expected {name} to answer within {wanted.ready_within:.0f} s, got {reason}; "
                f"repair: read {home.log(name)}, which says last:\n{last_words(home.log(name))}"
            )
        time.sleep(0.3)


def answer(name: str, chosen: Ports) -> tuple[str | None, str | None]:
    """Return (versions, None) if the server answers a real search or inference, else (None, the reason)."""
    require = opensearch_node.require_answer if name == opensearch_node.NAME else triton_server.require_answer
    try:
        return require(chosen), None
    except (StackError, Answered, OSError, ValueError, KeyError) as error:
        return None, f"{type(error).__name__}: {error}"


def down(home: Home, say: Callable[[str], None]) -> list[str]:
    """Stop every server of this home with all its processes. Return the names of those that were running."""
    if not home.folder.is_dir():
        return []
    home.make()
    with locked(home.lock()):
        ended = [name for name in SERVERS if end(home, name)]
    for name in ended:
        say(f"{name}: ended")
    return ended


def end(home: Home, name: str) -> bool:
    """Stop a server and its supervisor by their recorded identities, and remove its shared memory. Return
    whether it was running.
    """
    running = home.running(name)
    launch = home.launch(name)
    ran = False
    if running is not None:
        # The supervisor stops the server with its own grace period; the timeout here is longer.
        ran = running.supervisor.end(grace=45)
        if running.child is not None:
            ran = running.child.end(grace=10) or ran
    if launch is not None:
        # Helpers of a killed supervisor or server, which may have no parent any more.
        for left in launch.left_behind():
            ran = left.end(grace=10) or ran
        launch.remove_shared_memory()
    home.forget_running(name)
    return ran


def delete(home: Home) -> None:
    """Stop the servers and delete the node with its data. Models and logs are kept."""
    down(home, lambda _: None)
    shutil.rmtree(opensearch_files.node_folder(home.folder, unprivileged()), ignore_errors=True)


@contextmanager
def borrowed(
    home: Home,
    servers: tuple[str, ...] = SERVERS,
    say: Callable[[str], None] = lambda _: None,
    **wanted: Any,
) -> Iterator[Ports]:
    """Run servers on free ports while the block runs, and at most as long as this process lives. Yield their
    ports.

    `wanted` are further fields of `Wanted`. The node's data are deleted at the end. Raise StackError as `up`
    does.
    """
    try:
        up(home, Wanted(servers, 0, 0, 0, 0, while_alive=myself(), **wanted), say)
        yield home.ports() or Ports()  # `up` has written them
    finally:
        delete(home)


def states(home: Home) -> list[State]:
    """Return the current status of each server of this home."""
    chosen = home.ports() or Ports()
    return [state(home, name, chosen) for name in SERVERS]


def state(home: Home, name: str, chosen: Ports) -> State:
    """Return the status of one server."""
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
    """Rotate a log: keep the previous one under another name."""
    if log.exists() and log.stat().st_size:
        log.replace(log.with_name(log.name + ".1"))


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a text file, read from its end; a sentence if there are none."""
    if not path.exists():
        return f"({path} is not there)"
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 400 * lines))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def last_words(path: Path) -> str:
    """Return the end of a log, indented, without stack frames, and without INFO lines if there are others."""
    frames = re.compile(r"\s*(at |\.\.\. \d+ more|$)")
    said = [line for line in tail(path, 20 * TAIL).splitlines() if not frames.match(line)]
    telling = [
        line
        for line in said
        if "[INFO ]" not in line and not line.startswith("I1") and not line.startswith("I0")
    ]
    return "\n".join(f"    {line[:300]}" for line in (telling or said)[-TAIL:])
