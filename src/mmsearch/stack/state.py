"""Persistent state of a home folder: the ports, and for each server its launch configuration and its
processes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmsearch.config import home_folder
from mmsearch.stack.processes import Process, marked

SERVERS = ("opensearch", "triton")
MARK = "MMSEARCH_LAUNCH"


@dataclass(frozen=True)
class Launch:
    """How to run a server. `environment` extends the supervisor's own, or replaces it with `bare`."""

    name: str
    command: list[str]
    environment: dict[str, str]
    bare: bool
    folder: str
    log: str
    stamp: dict[str, Any]
    """hash of the configuration; the server must be restarted when it changes"""
    uid: int | None = None
    """uid to run as; None is the current user"""
    gid: int | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    """value of the environment variable MARK in every process of this launch"""
    shared_memory: str | None = None
    """prefix of the server's own files in /dev/shm"""
    while_alive: Process | None = None
    """the server is stopped when this process has ended"""

    def left_behind(self) -> list[Process]:
        """Return the living processes of this launch."""
        return marked(MARK, self.token)

    def remove_shared_memory(self) -> None:
        """Delete the files that a killed Triton leaves in /dev/shm, by this server's own prefix."""
        if self.shared_memory:
            for left in Path("/dev/shm").glob(f"{self.shared_memory}*"):  # noqa: S108
                left.unlink(missing_ok=True)


@dataclass(frozen=True)
class Running:
    """The processes of a server as recorded by its supervisor."""

    supervisor: Process
    child: Process | None
    restarts: int
    since: float
    """start time of the child, in seconds since the epoch"""
    last_exit: str | None = None

    def supervised(self) -> bool:
        """Return whether the supervisor is alive."""
        return self.supervisor.alive()


@dataclass(frozen=True)
class Ports:
    """The four ports of a stack, all on 127.0.0.1."""

    http: int = 9200
    triton_http: int = 8000
    triton_grpc: int = 8001
    triton_metrics: int = 8002


@dataclass(frozen=True)
class Home:
    """The state folder (`$MMSEARCH_HOME`) and the files in it."""

    folder: Path

    @classmethod
    def at(cls, given: str | Path | None = None) -> Home:
        """Return the home of the given folder, `MMSEARCH_HOME`, or `.mmsearch` in the working directory;
        absolute.
        """
        return cls(home_folder(given))

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def models(self) -> Path:
        return self.folder / "model_repository"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def lock(self) -> Path:
        return self.folder / "run" / "lock"

    def make(self) -> None:
        """Create the folders. `run` is accessible only by the owner, since its content is executed."""
        self.logs.mkdir(parents=True, exist_ok=True)
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        run.chmod(0o700)

    def launch(self, name: str) -> Launch | None:
        """Return the last launch with this name."""
        found = self._read(f"{name}.launch.json")
        if found is None:
            return None
        if found["while_alive"]:
            found["while_alive"] = Process(**found["while_alive"])
        return Launch(**found)

    def write_launch(self, launch: Launch) -> None:
        self._write(f"{launch.name}.launch.json", dataclasses.asdict(launch))

    def running(self, name: str) -> Running | None:
        """Return the recorded processes, which may have ended."""
        found = self._read(f"{name}.pid.json")
        if found is None:
            return None
        found["supervisor"] = Process(**found["supervisor"])
        if found["child"]:
            found["child"] = Process(**found["child"])
        return Running(**found)

    def write_running(self, name: str, running: Running) -> None:
        self._write(f"{name}.pid.json", dataclasses.asdict(running))

    def forget_running(self, name: str) -> None:
        (self.folder / "run" / f"{name}.pid.json").unlink(missing_ok=True)

    def ports(self) -> Ports | None:
        """Return the ports of the last `up`."""
        found = self._read("ports.json")
        return Ports(**found) if found else None

    def write_ports(self, ports: Ports) -> None:
        self._write("ports.json", dataclasses.asdict(ports))

    def _read(self, file: str) -> Any:
        try:
            return json.loads((self.folder / "run" / file).read_text())
        except FileNotFoundError:
            return None

    def _write(self, file: str, content: object) -> None:
        path = self.folder / "run" / file
        # Written atomically: readers see the old file or the new one.
        scratch = path.with_name(f".{file}.{os.getpid()}")
        scratch.write_text(json.dumps(content, indent=1))
        scratch.replace(path)
