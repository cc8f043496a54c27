"""A Triton Inference Server: the binary in the nvidia-pytriton wheel, run with this Python."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import secrets
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsearch.errors import StackError
from mmsearch.serving.runtime import bf16_hidden
from mmsearch.stack.loopback import ask
from mmsearch.stack.ports import HOST, require_free
from mmsearch.stack.processes import Process
from mmsearch.stack.state import Home, Launch, Ports

NAME = "triton"
ENTRY_MODELS = ("query_encoder", "item_encoder")
DOT = "GIF87a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2L\1\0;"
"""An image of one pixel whose bytes are all ASCII, so that JSON can contain it."""
CACHE_BYTES = 64 << 20
"""size of the response cache, used by models that enable it"""


PYTHONS = ((3, 11), (3, 12))
"""Python versions that Triton's stub supports"""


@dataclass(frozen=True)
class Parts:
    """The parts of the wheel, and the environment with which they find this Python's library."""

    binary: Path
    backend: Path
    stub: Path
    caches: Path
    environment: dict[str, str]


def parts() -> Parts:
    """Find the parts of the wheel. Raise StackError when it is not installed or does not support this
    Python.
    """
    found = importlib.util.find_spec("pytriton")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if found is None or found.origin is None:
        if sys.version_info[:2] not in PYTHONS:
            raise StackError(
                f"expected Python 3.11 or 3.12 for the embedded servers, got {version}; repair: use one of "
                "them for mmsearch up, the client does with this one too"
            )
        raise StackError(
            "expected the package nvidia-pytriton, which carries Triton, got none; repair: pip install "
            "'mmsearch[local]'"
        )
    package = Path(found.origin).parent
    server = package / "tritonserver"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise StackError(
            f"expected Triton's stub for Python {version}, got none; repair: use Python 3.11 or 3.12"
        )
    # Python's own folder first: a system libpython of the same name would load another interpreter's modules.
    libraries = [str(sysconfig.get_config_var("LIBDIR")), str(package.parent / "nvidia_pytriton.libs")]
    inherited = os.environ.get("LD_LIBRARY_PATH")
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "/usr/bin:/bin")]),
        "LD_LIBRARY_PATH": os.pathsep.join(libraries + ([inherited] if inherited else [])),
        # onnxruntime would report to its maker.
        "ORT_DISABLE_TELEMETRY": "1",
    }
    return Parts(
        server / "bin" / "tritonserver", server / "backends" / "python", stub, server / "caches", environment
    )


def missing_libraries(of: Parts) -> list[str]:
    """Return the shared libraries that the stub would not find. If one is missing, Triton hangs without a
    message.
    """
    done = subprocess.run(
        ["ldd", str(of.stub)],
        env={**os.environ, **of.environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [line.split()[0] for line in done.stdout.splitlines() if "not found" in line]


def plan(home: Home, ports: Ports) -> dict[str, Any]:
    """Return the stamp of a server's configuration: ports, Python, and the models by name, size and time of
    each file.
    """
    models = hashlib.sha256()
    for path in sorted(home.models.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            info = path.stat()
            models.update(f"{path.relative_to(home.models)} {info.st_size} {info.st_mtime_ns}\n".encode())
    return {
        "http_port": ports.triton_http,
        "grpc_port": ports.triton_grpc,
        "metrics_port": ports.triton_metrics,
        "python": sys.executable,
        "models": models.hexdigest(),
        # Models read this when they start.
        "bf16": "hidden" if bf16_hidden() else "as found",
    }


def missing_models(home: Home) -> list[str]:
    """Return the entry models that are missing in the served repository."""
    return [name for name in ENTRY_MODELS if not (home.models / name / "config.pbtxt").is_file()]


def make(home: Home, stamp: dict[str, Any], while_alive: Process | None) -> Launch:
    """Create the backend folder and return how to run the server. Raise StackError, also when a port is in
    use.
    """
    require_free(stamp["http_port"], "Triton (HTTP)", "--triton-http-port")
    require_free(stamp["grpc_port"], "Triton (gRPC)", "--triton-grpc-port")
    require_free(stamp["metrics_port"], "Triton (metrics)", "--triton-metrics-port")
    missing = missing_models(home)
    if missing:
        raise StackError(
            f"expected the models {' and '.join(missing)} in {home.models}, got none; repair: mmsearch "
            "models build"
        )
    wheel = parts()
    lacking = missing_libraries(wheel)
    if lacking:
        raise StackError(
            f"expected Triton's Python stub to find its libraries, got no {', '.join(lacking)}; repair: "
            "use a Python built "
            "with --enable-shared (Debian: apt-get install libpython3.11)"
        )
    backends = home.folder / "triton" / "backends"
    lay_out_backend(backends / "python", wheel)
    # A unique prefix distinguishes this server's shared memory from that of other Triton servers.
    prefix = f"mmsearch_{secrets.token_hex(6)}_"
    command = [
        str(wheel.binary),
        f"--model-repository={home.models}",
        f"--backend-directory={backends}",
        f"--cache-directory={wheel.caches}",
        f"--cache-config=local,size={CACHE_BYTES}",
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        "--model-control-mode=explicit",
        "--load-model=*",
        "--disable-auto-complete-config",
        # Loopback only: this version has no authentication and known vulnerabilities.
        f"--http-address={HOST}",
        f"--grpc-address={HOST}",
        f"--metrics-address={HOST}",
        f"--http-port={stamp['http_port']}",
        f"--grpc-port={stamp['grpc_port']}",
        f"--metrics-port={stamp['metrics_port']}",
        "--exit-timeout-secs=15",
    ]
    return Launch(
        name=NAME,
        command=command,
        environment=wheel.environment,
        bare=False,
        folder=str(home.folder / "triton"),
        log=str(home.log(NAME)),
        stamp=stamp,
        shared_memory=prefix,
        while_alive=while_alive,
    )


def lay_out_backend(folder: Path, wheel: Parts) -> None:
    """Create Triton's Python backend folder with the stub of this Python beside the library, as links into
    the wheel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    targets = [
        wheel.backend / "libtriton_python.so",
        wheel.backend / "triton_python_backend_utils.py",
        wheel.stub,
    ]
    for target in targets:
        link = folder / target.name
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def require_answer(ports: Ports) -> str:
    """Return the version of a server whose two entry models encode. Raise StackError, Answered, OSError or
    ValueError otherwise.

    Readiness by `/v2/health/ready` is not sufficient: it stays 200 when a model's process is dead.
    """
    url = f"http://{HOST}:{ports.triton_http}"
    for model in ENTRY_MODELS:
        infer(url, model, "chair")
    about = ask(f"{url}/v2")
    return f"Triton {about['version']} with {', '.join(ENTRY_MODELS)}"


def infer(url: str, model: str, text: str) -> dict[str, Any]:
    """Run one inference of an entry model on a text. Return its outputs EMBEDDING and FINGERPRINT by name.

    A side that reads only images, such as CLIP's product side, returns zeros for a text and is given an image
    instead.
    """
    for given in ({"TEXT": text, "IMAGE": ""}, {"TEXT": "", "IMAGE": DOT}):
        found = _encoded(url, model, given)
        if any(found["EMBEDDING"]):
            return found
    raise StackError(
        f"expected {model} to encode {text!r} or a picture, got only zeros; repair: mmsearch models build"
    )


def _encoded(url: str, model: str, given: Mapping[str, str]) -> dict[str, Any]:
    inputs = [
        {"name": name, "shape": [1, 1], "datatype": "BYTES", "data": [value]} for name, value in given.items()
    ]
    outputs = [{"name": "EMBEDDING"}, {"name": "FINGERPRINT"}]
    answer = ask(f"{url}/v2/models/{model}/infer", {"inputs": inputs, "outputs": outputs}, timeout=30)
    return {output["name"]: output["data"] for output in answer["outputs"]}
