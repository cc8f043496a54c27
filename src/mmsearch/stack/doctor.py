"""Checks of `mmsearch doctor`: missing or incompatible parts, each with its repair."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mmsearch.errors import StackError
from mmsearch.stack import opensearch_files, triton_server
from mmsearch.stack.account import unprivileged
from mmsearch.stack.downloads import archives
from mmsearch.stack.embedded import State, states
from mmsearch.stack.java import choose
from mmsearch.stack.loopback import Answered, ask
from mmsearch.stack.ports import HOST, taken
from mmsearch.stack.state import Home, Ports

NEEDED_DISK = 2 << 30
"""bytes: the archives, the unpacked node and the models need 1.2 GB"""
NEEDED_SHARED_MEMORY = 64 << 20
"""bytes"""
OPTION = {"http": "--http-port", "grpc": "--triton-grpc-port", "metrics": "--triton-metrics-port"}


@dataclass(frozen=True)
class Finding:
    """Result of one check. `wrong` prevents operation; `note` may be intended."""

    name: str
    state: Literal["ok", "note", "wrong"]
    found: str
    repair: str = ""


def examine(home: Home) -> list[Finding]:
    """Run all checks in order of dependency. Only servers on loopback are contacted."""
    servers = states(home)
    return [
        python(),
        numpy(),
        java(),
        triton_wheel(),
        plugin(),
        models(home),
        disk(home),
        shared_memory(),
        *(finding for server in servers for finding in server_and_ports(server)),
        *fingerprints(home.ports() or Ports(), servers),
    ]


def python() -> Finding:
    """Check the version of Python: Triton's stub and the packages support these two."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    if sys.version_info[:2] in triton_server.PYTHONS:
        return Finding("Python", "ok", version)
    return Finding("Python", "wrong", version, "make a virtual environment with Python 3.11 or 3.12")


def numpy() -> Finding:
    """Check numpy: with numpy 2, Triton's stub crashes on the first string."""
    try:
        version = importlib.metadata.version("numpy")
    except importlib.metadata.PackageNotFoundError:
        return Finding("numpy", "wrong", "not installed", "pip install 'numpy<2'")
    if int(version.partition(".")[0]) < 2:
        return Finding("numpy", "ok", version)
    return Finding(
        "numpy", "wrong", f"{version}, with which Triton's Python stub crashes", "pip install 'numpy<2'"
    )


def java() -> Finding:
    """Check the Java runtime of the node."""
    try:
        chosen = choose(unprivileged())
    except StackError as error:
        return refused("Java", error)
    about = f"{chosen.version} at {chosen.home} (by {chosen.origin})"
    if not chosen.vector:
        return Finding(
            "Java", "note", f"{about}, without the vector module: slower k-NN", "install a JDK >= 21"
        )
    return Finding("Java", "ok", about)


def triton_wheel() -> Finding:
    """Check the wheel with Triton, and the shared libraries of its stub."""
    try:
        wheel = triton_server.parts()
    except StackError as error:
        return refused("Triton", error)
    missing = triton_server.missing_libraries(wheel)
    if missing:
        name = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
        return Finding(
            "Triton",
            "wrong",
            f"its stub lacks {', '.join(missing)}",
            f"sudo apt-get install {name}, or a Python with it",
        )
    return Finding(
        "Triton", "ok", f"nvidia-pytriton {importlib.metadata.version('nvidia-pytriton')}, its stub links"
    )


def plugin() -> Finding:
    """Check the zip of our plugin and the OpenSearch version that it was built for."""
    wanted = archives()["opensearch"].version
    try:
        found = opensearch_files.find_plugin_zip()
        if found is None:
            return Finding("plugin", "wrong", "no zip: the node would lack neural and hybrid", "make plugin")
        built_for = opensearch_files.descriptor(found).get("opensearch.version", "an unnamed version")
    except StackError as error:
        return refused("plugin", error)
    if built_for != wanted:
        return Finding(
            "plugin", "wrong", f"{found} is for OpenSearch {built_for}, not {wanted}", "make plugin"
        )
    return Finding("plugin", "ok", f"{found} for OpenSearch {built_for}")


def models(home: Home) -> Finding:
    """Check the served model repository."""
    missing = triton_server.missing_models(home)
    if missing:
        return Finding(
            "models", "wrong", f"no {', '.join(missing)} in {home.models}", "mmsearch models build"
        )
    return Finding("models", "ok", str(home.models))


def disk(home: Home) -> Finding:
    """Check the free disk space for the node's files."""
    folder = opensearch_files.node_folder(home.folder, unprivileged())
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    about = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free < NEEDED_DISK:
        return Finding("disk", "wrong", about, f"free {NEEDED_DISK >> 30} GiB, or choose another --home")
    return Finding("disk", "ok", about)


def shared_memory() -> Finding:
    """Check the shared memory: Triton shares one region of at least a megabyte with each model process."""
    info = os.statvfs("/dev/shm")  # noqa: S108
    free = info.f_bavail * info.f_frsize
    if free < NEEDED_SHARED_MEMORY:
        return Finding(
            "shared memory",
            "wrong",
            f"{free >> 20} MiB free in /dev/shm",
            "docker run --shm-size=256m, or a larger tmpfs there",
        )
    return Finding("shared memory", "ok", f"{free >> 20} MiB free in /dev/shm")


def server_and_ports(server: State) -> Iterator[Finding]:
    """Return one finding for a running server; for a stopped one, a finding for each port used by another
    process.
    """
    if server.pid is not None:
        if server.answers is not None:
            yield Finding(server.name, "ok", f"{server.answers}, {server.restarts} restarts")
        else:
            yield Finding(
                server.name,
                "wrong",
                f"runs, but: {server.reason}",
                f"mmsearch logs {server.name}; mmsearch down; mmsearch up",
            )
        return
    yield Finding(server.name, "note", "not running", "mmsearch up")
    for name, port in server.ports.items():
        if taken(port):
            option = "--triton-http-port" if (server.name, name) == ("triton", "http") else OPTION[name]
            yield Finding(
                f"port {port}", "wrong", f"another server listens on the port of {server.name} ({name})",
                f"stop it, or mmsearch up {option} 0",
            )  # fmt: skip


def fingerprints(ports: Ports, servers: list[State]) -> Iterator[Finding]:
    """Check that the vectors of each index are from the served encoder."""
    if not all(server.answers for server in servers):
        yield Finding("fingerprints", "note", "not compared: both servers have to answer", "mmsearch up")
        return
    served: dict[str, str] = {}
    try:
        mappings = ask(f"http://{HOST}:{ports.http}/_mapping")
        for index, field, about in vector_fields(mappings):
            model, wanted = about["model"], about["fingerprint"]
            if model not in served:
                found = triton_server.infer(f"http://{HOST}:{ports.triton_http}", model, "chair")
                served[model] = str(found["FINGERPRINT"][0])
            name = f"{index}.{field}"
            if served[model] == wanted:
                yield Finding(name, "ok", f"made by the served {model}, {wanted[:12]}")
            else:
                yield Finding(
                    name, "wrong", f"made by {model} {wanted[:12]}, served is {served[model][:12]}",
                    "serve the old models, or ingest into a new index",
                )  # fmt: skip
    except (Answered, OSError, ValueError, KeyError, StackError) as error:
        yield Finding("fingerprints", "wrong", f"{type(error).__name__}: {error}", "mmsearch status")


def vector_fields(mappings: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return (index, field, its entry in `_meta.mmsearch`) for every index that mmsearch created."""
    for index, found in sorted(mappings.items()):
        ours = found.get("mappings", {}).get("_meta", {}).get("mmsearch", {})
        for field, about in sorted(ours.get("fields", {}).items()):
            yield index, field, about


def refused(name: str, error: StackError) -> Finding:
    """Convert an error to a finding. The repair is the text after the last `repair:`."""
    found, _, repair = str(error).partition("; repair: ")
    return Finding(name, "wrong", found, repair)
