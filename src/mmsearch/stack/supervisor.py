"""One server's guardian: starts it, starts it again when it dies, ends it when asked.

Run as `python -m mmsearch.stack.supervisor HOME NAME`, in a session of its own.
The kernel asks the server to end when its guardian is killed, so that no server runs unguarded.
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
"""seconds that a server has to stop by itself"""
CALM = 60.0
"""seconds of life after which a death is not held against a server any more"""
LONGEST_PAUSE = 30.0
PATIENCE = 5.0
"""seconds that a server has to notice the end of a process of its own"""

_PR_SET_PDEATHSIG = 1
_WOKEN_BY = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}


def supervise(home: Home, name: str) -> None:
    """Keep the server alive until SIGTERM comes or the process it was started for is gone."""
    launch = home.launch(name)
    if launch is None:
        raise SystemExit(f"mmsearch: expected {name} to have been started once; repair: mmsearch up")
    # Blocked signals wait to be taken by sigtimedwait, so that no handler runs in the middle of a restart.
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
    """Start the server in a session of its own, its output appended to its log."""
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
    """What the child does before it becomes the server: undo our signal mask, and ask to die with us."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # we died before the line above
            os._exit(1)

    return prepare


def watch(child: subprocess.Popen[bytes], launch: Launch) -> bool:
    """Wait for the server's end (False) or for the wish to end it (True).

    A server whose helper died counts as ended: Triton says that it is ready while a model's process is
    dead, and
    answers that model's requests with errors for ever.
    """
    suspects: dict[int, float] = {}
    looked = time.monotonic()
    while True:
        now = time.monotonic()
        if now - looked > PATIENCE / 2:
            looked = now
            suspects = {pid: suspects.get(pid, now) for pid in dead_helpers(child.pid)}
        # Of a model that is unloaded in good order, the process is a zombie for a moment only.
        if any(now - since > PATIENCE for since in suspects.values()):
            say(f"{launch.name} runs, but its processes {sorted(suspects)} are dead")
            return False
        # Only looked at, not reaped: that is end_all's, which still needs the number.
        if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return False
        if stop_wanted(PATIENCE / 5, launch):
            return True


def stop_wanted(seconds: float, launch: Launch) -> bool:
    """Wait for a signal, at most `seconds`; whether it asks us to stop, or nobody needs the server any
    more."""
    woken = signal.sigtimedwait(_WOKEN_BY, seconds)
    if woken is not None and woken.si_signo != signal.SIGCHLD:
        return True
    return launch.while_alive is not None and not launch.while_alive.alive()


def sleep_unless_stopped(seconds: float, launch: Launch) -> bool:
    """Sleep; True at once when we are asked to stop."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if stop_wanted(min(left, 1.0), launch):
            return True
    return False


def end_all(child: subprocess.Popen[bytes], launch: Launch) -> None:
    """End the server and all that it started, first kindly, then not; remove its shared memory."""
    if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        # The server alone is asked: it ends its helpers in its own order.
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
    """One line into the supervisor's log."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
    sys.stdout.write(f"{stamp} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    supervise(Home(Path(sys.argv[1])), sys.argv[2])
