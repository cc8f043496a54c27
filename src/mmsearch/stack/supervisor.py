"""Supervisor of one server: starts it, restarts it when it dies, and stops it on request.

Run as `python -m mmsearch.stack.supervisor HOME NAME`, in its own session. The kernel signals the server to
stop when its supervisor is killed, so that no server runs unsupervised.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mmsearch.stack.processes import dead_helpers, identify, myself
from mmsearch.stack.state import MARK, Home, Launch, Running

GRACE = 20.0
"""seconds that a server has to stop after SIGTERM"""
CALM = 60.0
"""seconds of uptime after which the failure counter is reset"""
LONGEST_PAUSE = 30.0
PATIENCE = 5.0
"""seconds that a server has to reap a dead child process"""

_PR_SET_PDEATHSIG = 1
_WOKEN_BY = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}


def supervise(home: Home, name: str) -> None:
    """Keep the server running until SIGTERM, or until the process that it was started for has ended."""
    launch = home.launch(name)
    if launch is None:
        raise SystemExit(f"mmsearch: expected {name} to have been started once; repair: mmsearch up")
    # Signals are blocked and read with sigtimedwait, so that no handler interrupts a restart.
    signal.pthread_sigmask(signal.SIG_BLOCK, _WOKEN_BY)
    me = myself()
    restarts, pause, last_exit = 0, 1.0, None
    try:
        while True:
            child = start(launch)
            born = time.time()
            home.write_running(name, Running(me, identify(child.pid), restarts, born, last_exit))
            asked_to_stop = watch(child, launch)
            end_all(child, launch)
            if asked_to_stop:
                return
            last_exit = f"exit {child.returncode}" if child.returncode >= 0 else f"signal {-child.returncode}"
            say(f"{name} ended by {last_exit} after {time.time() - born:.0f} s")
            pause = 1.0 if time.time() - born > CALM else pause
            restarts += 1
            home.write_running(name, Running(me, None, restarts, born, last_exit))
            if sleep_unless_stopped(pause, launch):
                return
            pause = min(2 * pause, LONGEST_PAUSE)
    finally:
        home.forget_running(name)


def start(launch: Launch) -> subprocess.Popen[bytes]:
    """Start the server in its own session, with output appended to its log."""
    inherited = {} if launch.bare else os.environ
    environment = {**inherited, **launch.environment, MARK: launch.token}
    with Path(launch.log).open("ab") as log:
        return subprocess.Popen(
            launch.command,
            env=environment,
            cwd=launch.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=launch.uid,
            group=launch.gid,
            extra_groups=None if launch.uid is None else [],
            preexec_fn=in_child(os.getpid()),
        )


def in_child(parent: int) -> Callable[[], None]:
    """Run in the child before exec: reset the signal mask, and set the parent-death signal."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # we died before the line above
            os._exit(1)

    return prepare


def watch(child: subprocess.Popen[bytes], launch: Launch) -> bool:
    """Wait until the server has ended (False) or a stop is requested (True).

    A server with a dead helper process counts as ended: Triton reports ready when a model's process is dead,
    and returns errors for that model forever.
    """
    suspects: dict[int, float] = {}
    looked = time.monotonic()
    while True:
        now = time.monotonic()
        if now - looked > PATIENCE / 2:
            looked = now
            suspects = {pid: suspects.get(pid, now) for pid in dead_helpers(child.pid)}
        # When a model is unloaded normally, its process is a zombie only briefly.
        if any(now - since > PATIENCE for since in suspects.values()):
            say(f"{launch.name} runs, but its processes {sorted(suspects)} are dead")
            return False
        # The process is not reaped here: end_all still needs the pid.
        if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return False
        if stop_wanted(PATIENCE / 5, launch):
            return True


def stop_wanted(seconds: float, launch: Launch) -> bool:
    """Wait at most `seconds` for a signal. Return whether a stop was requested or the server is no longer
    needed.
    """
    woken = signal.sigtimedwait(_WOKEN_BY, seconds)
    if woken is not None and woken.si_signo != signal.SIGCHLD:
        return True
    return launch.while_alive is not None and not launch.while_alive.alive()


def sleep_unless_stopped(seconds: float, launch: Launch) -> bool:
    """Sleep. Return True at once when a stop is requested."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if stop_wanted(min(left, 1.0), launch):
            return True
    return False


def end_all(child: subprocess.Popen[bytes], launch: Launch) -> None:
    """Stop the server and all its child processes, first with SIGTERM, then with SIGKILL. Remove its shared
    memory.
    """
    if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        # Only the server is signalled first: it stops its helpers in its own order.
        child.terminate()
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                break
            signal.sigtimedwait({signal.SIGCHLD}, 0.5)
    for left in launch.left_behind():
        left.send(signal.SIGKILL)
        left.wait(5)
    child.wait()
    launch.remove_shared_memory()


def say(text: str) -> None:
    """Write one line to the supervisor's log."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
    sys.stdout.write(f"{stamp} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    supervise(Home(Path(sys.argv[1])), sys.argv[2])
