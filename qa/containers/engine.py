"""A container engine for `make containers`: Debian's dockerd in a network namespace of its own.

In the namespace the published ports 5601, 8000 to 8002 and 9200 are free whatever else runs on the machine,
and nothing of the machine's own network is changed. Images and build layers are kept below
~/.cache/mmsearch/containers.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(
    os.environ.get("MMSEARCH_CONTAINERS_CACHE") or Path.home() / ".cache" / "mmsearch" / "containers"
)
NAMESPACE = f"mmsearch-containers-{os.getpid()}"
DNS = "10.0.2.3"
"""slirp4netns' own resolver, inside the namespace"""
PROGRAMS = {
    "dockerd": "docker.io",
    "slirp4netns": "slirp4netns",
    "mmdebstrap": "mmdebstrap",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ip": "iproute2",
}
"""program → the Debian package that brings it"""
WITH_US = ["setpriv", "--pdeathsig", "TERM", "--"]
"""what is started so ends when this process is killed"""
NEWER_RELEASE = "trixie"
"""whose compose is new enough: `depends_on … required`, `!reset`"""
PLUGINS = ("docker-compose", "docker-buildx")


class NoEngineError(Exception):
    """No engine can run on this machine; the message says why."""


class Engine:
    """A running engine. Commands are run inside its namespace, where the published ports are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.environment = {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(CACHE / "client"),
            "DOCKER_BUILDKIT": "1",
            "COMPOSE_ANSI": "never",
            "BUILDKIT_PROGRESS": "plain",
        }

    def in_namespace(self, *command: str) -> list[str]:
        """The command line that runs `command` in the namespace."""
        return ["nsenter", f"--net=/run/netns/{NAMESPACE}", "--", *command]

    def run(
        self,
        *command: str,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        check: bool = True,
        quiet: bool = True,
        timeout: float = 900,
        feed: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run in the namespace. With `check` raises RuntimeError with the end of what it printed."""
        done = subprocess.run(
            self.in_namespace(*command),
            cwd=cwd,
            env={**os.environ, **self.environment, **(environment or {})},
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.PIPE if quiet else None,
            text=True,
            timeout=timeout,
            input=feed,
        )
        if check and done.returncode != 0:
            said = ((done.stdout or "") + (done.stderr or "")).strip().splitlines()[-30:]
            raise RuntimeError(f"{' '.join(command)[:200]}: exit {done.returncode}\n" + "\n".join(said))
        return done


@contextmanager
def running() -> Iterator[Engine]:
    """Start an engine; end it and its namespace afterwards, also when this process is asked to end.

    One at a time: another waits. Raises NoEngineError where none can run.
    """
    require()
    CACHE.mkdir(parents=True, exist_ok=True)
    with (
        (CACHE / "lock").open("w") as lock,
        tempfile.TemporaryDirectory(prefix="mmsearch-engine-", dir="/var/tmp") as name,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        for asked in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(asked, lambda number, frame: sys.exit(128 + number))
        client_plugins()
        folder = Path(name)
        started: list[subprocess.Popen[bytes]] = []
        try:
            _namespace(folder, started)
            engine = Engine(folder)
            _daemon(engine, started)
            _clean(engine)
            yield engine
        finally:
            _end(started)
            subprocess.run(["ip", "netns", "delete", NAMESPACE], capture_output=True)


def require() -> None:
    """Have every program; as root on Debian what is missing is installed. Raises NoEngineError."""
    if os.geteuid() != 0:
        raise NoEngineError("expected root, which a network namespace needs")
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if missing:
        if shutil.which("apt-get") is None:
            raise NoEngineError(f"expected {', '.join(missing)}, and no apt-get installs them here")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
            done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise NoEngineError(
                f"expected apt-get to install {', '.join(missing)}: {done.stderr.strip()[-200:]}"
            )
    if not Path("/dev/net/tun").exists():
        raise NoEngineError("expected /dev/net/tun, the builds' way to the package registries")


def client_plugins() -> None:
    """compose and buildx of a newer Debian release, unpacked beside the cache and not installed."""
    target = CACHE / "client" / "cli-plugins"
    if all((target / plugin).exists() for plugin in PLUGINS):
        return
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        for folder in ("lists/partial", "archives/partial", "debs"):
            (scratch / folder).mkdir(parents=True)
        keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
        (scratch / "sources.list").write_text(f"deb [signed-by={keys}] {mirror()} {NEWER_RELEASE} main\n")
        options = [
            *("-o", f"Dir::Etc::sourcelist={scratch}/sources.list", "-o", "Dir::Etc::sourceparts=-"),
            *("-o", f"Dir::State::lists={scratch}/lists", "-o", f"Dir::Cache={scratch}", "-qq"),
        ]
        for command in (["update"], ["download", *PLUGINS]):
            done = subprocess.run(
                ["apt-get", *options, *command], cwd=scratch / "debs", capture_output=True, text=True
            )
            if done.returncode != 0:
                raise NoEngineError(
                    f"expected compose from Debian {NEWER_RELEASE}: {done.stderr.strip()[-200:]}"
                )
        for deb in (scratch / "debs").glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(deb), str(scratch / "files")], check=True)
        for plugin in PLUGINS:
            shutil.copy2(scratch / "files/usr/libexec/docker/cli-plugins" / plugin, target / plugin)


def mirror() -> str:
    """The address of the machine's own Debian archive."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(COMPONENT)|$(REPO_URI)"],
        capture_output=True,
        text=True,
    )
    for line in listed.stdout.splitlines():
        origin, component, address = line.split("|")
        if origin == "Debian" and component == "main" and "security" not in address:
            return address
    raise NoEngineError("expected a Debian archive among apt's sources, got none")


def _clean(engine: Engine) -> None:
    """Remove what a run left that was killed: its containers would start again with the engine."""
    left = engine.run("docker", "ps", "--all", "--quiet").stdout.split()
    if left:
        engine.run("docker", "rm", "--force", "--volumes", *left)
    engine.run("docker", "network", "prune", "--force")
    volumes = engine.run("docker", "volume", "ls", "--quiet").stdout.split()
    if volumes:
        engine.run("docker", "volume", "rm", "--force", *volumes)


def _namespace(folder: Path, started: list[subprocess.Popen[bytes]]) -> None:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    for line in listed.splitlines():
        if line.startswith("mmsearch-containers-"):
            subprocess.run(["ip", "netns", "delete", line.split()[0]], check=True)
    done = subprocess.run(["ip", "netns", "add", NAMESPACE], capture_output=True, text=True)
    if done.returncode != 0:
        raise NoEngineError(f"expected a network namespace: {done.stderr.strip()}")
    inside = ["nsenter", f"--net=/run/netns/{NAMESPACE}", "--"]
    subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
    command = ["slirp4netns", "--configure", "--mtu=1500", "--disable-host-loopback", "--netns-type=path"]
    with (folder / "slirp4netns.log").open("wb") as log:
        started.append(
            subprocess.Popen(
                [*WITH_US, *command, f"/run/netns/{NAMESPACE}", "tap0"], stdout=log, stderr=subprocess.STDOUT
            )
        )
    for _ in range(100):
        shown = subprocess.run([*inside, "ip", "route"], capture_output=True, text=True).stdout
        if "default" in shown:
            return
        time.sleep(0.1)
    raise NoEngineError(
        "expected slirp4netns to open a way out: " + (folder / "slirp4netns.log").read_text()[-200:]
    )


def _daemon(engine: Engine, started: list[subprocess.Popen[bytes]]) -> None:
    log = engine.folder / "dockerd.log"
    # nsenter and not `ip netns exec`, which mounts /sys again and so hides the cgroups.
    command = WITH_US + engine.in_namespace(
        "dockerd", "--data-root", str(CACHE / "docker"), "--exec-root", str(engine.folder / "exec"),
        "--pidfile", str(engine.folder / "dockerd.pid"), "--host", f"unix://{engine.socket}", "--dns", DNS,
    )  # fmt: skip
    with log.open("wb") as out:
        started.append(subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT))
    for _ in range(300):
        if engine.run("docker", "info", check=False).returncode == 0:
            return
        if started[-1].poll() is not None:
            break
        time.sleep(0.2)
    raise NoEngineError("expected dockerd to start: " + log.read_text(errors="replace").strip()[-300:])


def _end(started: list[subprocess.Popen[bytes]]) -> None:
    """End what was started, the last first, each by its own pid."""
    for process in reversed(started):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)
