"""One checkout under one engine: commands as a user types them, requests of the administrator, and checks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from containers.checkout import environment
from containers.engine import Engine

SECRETS = ("OPENSEARCH_INITIAL_ADMIN_PASSWORD", "MMSEARCH_DASHBOARDS_SERVER_PASSWORD")
SERVERS = ("opensearch", "triton-cpu", "dashboards")


class FatalError(Exception):
    """Nothing that follows would say anything."""


class World:
    """`failed` maps a repair's number to what was found wrong with it; `answer` is the last search's."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.environment = environment(folder)
        self.failed: dict[int, list[str]] = {}
        self.passed: set[int] = set()
        self.leaks: set[str] = set()
        self.answer = ""
        self._began = time.monotonic()
        self._secrets: set[str] = set()
        self._stop = threading.Event()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.0f} s  {text}", flush=True)

    def line(self, text: str, *, fails: bool = False) -> str:
        """One line of the page, as it stands; what it printed. Raises RuntimeError unless it ends well."""
        self.say(f"$ {text[:120]}")
        done = self.engine.run(
            "bash", "-euo", "pipefail", "-c", text, cwd=self.folder, environment=self.environment, check=False
        )
        said = (done.stdout or "") + (done.stderr or "")
        if (done.returncode != 0) is not fails:
            end = "\n".join(said.strip().splitlines()[-12:])
            raise RuntimeError(f"{text[:160]}: exit {done.returncode}\n{end}")
        return said

    def compose(
        self, *arguments: str, environment: dict[str, str] | None = None, code: int | None = 0
    ) -> str:
        done = self.engine.run(
            "docker", "compose", "--profile", "cpu", *arguments,
            cwd=self.folder, environment={**self.environment, **(environment or {})}, check=False,
        )  # fmt: skip
        said = (done.stdout or "") + (done.stderr or "")
        if code is not None and done.returncode != code:
            raise RuntimeError(
                f"compose {' '.join(arguments)[:120]}: exit {done.returncode}\n{said.strip()[-1500:]}"
            )
        return said

    def ask(
        self, method: str, path: str, body: Any = None, *, password: str | None = None
    ) -> tuple[int, Any]:
        """(status, answer) of the node, for the administrator with the password of .env or another."""
        signed = f"admin:{password if password is not None else self.secret(SECRETS[0])}"
        config = f'user = "{signed}"\n'
        command = [
            *("curl", "--config", "-", "--silent", "--max-time", "60", "--write-out", "\n%{http_code}"),
            *(
                "--cacert",
                "deploy/certificates/client/ca.pem",
                "--request",
                method,
                f"https://localhost:9200{path}",
            ),
        ]
        if body is not None:
            command += ["--header", "Content-Type: application/json", "--data", json.dumps(body)]
        done = self.engine.run(*command, cwd=self.folder, feed=config, check=False)
        text, _, status = done.stdout.rpartition("\n")
        try:
            return int(status), json.loads(text)
        except ValueError:
            return int(status or 0), text

    def hits(self, text: str) -> list[str]:
        """The identifiers that a `neural` clause over TLS finds. Raises AssertionError when it is refused."""
        body = {"query": {"neural": {"embedding": {"query_text": text, "k": 5}}}, "size": 5, "_source": False}
        status, answer = self.ask("GET", "/products/_search", body)
        assert status == 200, f"expected hits, got {status} {str(answer)[:300]}"
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    def count(self) -> int:
        status, answer = self.ask("GET", "/products/_count")
        assert status == 200, f"expected a count, got {status} {str(answer)[:200]}"
        return int(answer["count"])

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(
            self.engine.run("docker", "inspect", self.container(service)).stdout
        )
        return found[0]

    def health(self, service: str) -> str:
        return str(self.inspect(service)["State"]["Health"]["Status"])

    def secret(self, name: str) -> str:
        for line in (self.folder / ".env").read_text().splitlines():
            if line.startswith(f"{name}="):
                value = line.partition("=")[2]
                self._secrets.add(value)
                return value
        raise FatalError(f"expected {name} in .env, got none")

    def until(self, what: str, true: Callable[[], bool], seconds: float = 120) -> None:
        """Wait. Raises AssertionError when it does not become true in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if true():
                return
            time.sleep(1)
        raise AssertionError(f"expected {what} within {seconds:.0f} s")

    @contextmanager
    def check(self, number: int, what: str, *, fatal: bool = False) -> Iterator[None]:
        """What is wrong within is noted under the repair's number, and the run goes on unless it is fatal."""
        try:
            yield
        except (AssertionError, RuntimeError, OSError, ValueError, KeyError) as error:
            self.failed.setdefault(number, []).append(f"{what}: {error}")
            self.say(f"FAILED {number:2} {what}: {error}")
            if fatal:
                raise FatalError(what) from error
        else:
            self.passed.add(number)
            self.say(f"ok     {number:2} {what}")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within, the arguments of every process are searched for passwords, five times a second."""
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            self._stop.set()
            watcher.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            if not (self.folder / ".env").exists():
                continue
            for name in SECRETS:
                self.secret(name)
            wanted = [secret for secret in self._secrets if secret]
            for process in psutil.process_iter(["cmdline"]):
                arguments = " ".join(process.info["cmdline"] or [])
                if any(secret in arguments for secret in wanted):
                    self.leaks.add(arguments[:60])
