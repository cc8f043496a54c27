"""The threads of a Java process at one moment, by the JDK's own tool."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

OURS = "org.mmsearch."
BLOCKING = (
    "java.net.Inet",  # a name that is looked up
    "sun.nio.ch.EPoll.wait",
    "sun.nio.ch.Net.poll",  # a socket that blocks
    "sun.nio.ch.FileDispatcherImpl.read",
)
"""what a thread waits in that the JVM calls runnable"""
_HEAD = re.compile(r'^"(?P<name>.*)" #\d+ ')
_STATE = re.compile(r"^   java\.lang\.Thread\.State: (?P<state>[A-Z_]+)")
_FRAME = re.compile(r"^\tat (?:[\w.@-]+/)?(?P<frame>\S+?)\(")


@dataclass(frozen=True)
class JavaThread:
    """One thread: its frames are `package.Class.method`, the innermost first."""

    name: str
    state: str
    frames: tuple[str, ...]

    @property
    def in_ours(self) -> bool:
        """Whether our code is on its stack."""
        return any(frame.startswith(OURS) for frame in self.frames)

    @property
    def waits(self) -> bool:
        """Whether it goes on only when something else happens."""
        return self.state != "RUNNABLE" or any(each.startswith(BLOCKING) for each in self.frames[:5])

    @property
    def waits_for_lock(self) -> bool:
        """Whether what it waits for is that another leaves a lock."""
        return self.state == "BLOCKED" or "java.util.concurrent.locks.ReentrantLock.lock" in self.frames


def threads_of(java: Path, pid: int) -> list[JavaThread]:
    """Every thread of the process `pid`, which the Java at `java` runs."""
    said = subprocess.run(
        [str(java / "bin" / "jcmd"), str(pid), "Thread.print"], capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 0, said.stderr or said.stdout
    return parsed(said.stdout)


def parsed(dump: str) -> list[JavaThread]:
    """The threads of what `jcmd PID Thread.print` prints."""
    found: list[JavaThread] = []
    name, state, frames = "", "", list[str]()

    def finish() -> None:
        if name and state:
            found.append(JavaThread(name, state, tuple(frames)))

    for line in dump.splitlines():
        if head := _HEAD.match(line):
            finish()
            name, state, frames = head["name"], "", []
        elif matched := _STATE.match(line):
            state = matched["state"]
        elif matched := _FRAME.match(line):
            frames.append(matched["frame"])
    finish()
    return found
