"""Nothing that we start looks up a name: counted by the only name server of a network of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mmsearch.config import cache_folder
from mmsearch.stack.state import Home

# In a network namespace nothing but the loopback interface is there, and the bound file names its only
# name server: glibc, curl and c-ares all read it. A user namespace makes this root of nothing else.
INSIDE = """
set -eu
ip link set lo up
mount --bind "$1" /etc/resolv.conf
shift
exec "$@"
"""
COUNTER = """
import json, os, socket, subprocess, sys, threading, time
names = []
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
def serve():
    while True:
        question, asker = server.recvfrom(4096)
        place, labels = 12, []
        while question[place]:
            labels.append(question[place + 1 : place + 1 + question[place]].decode(errors="replace"))
            place += question[place] + 1
        names.append(".".join(labels))
        # No such name.
        server.sendto(question[:2] + b"\\x81\\x83" + question[4:6] + bytes(6) + question[12:], asker)
threading.Thread(target=serve, daemon=True).start()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
time.sleep(1)
print(json.dumps({"code": done.returncode, "said": done.stdout + done.stderr, "names": names}))
"""
LINGER = 20
"""seconds; without its variable, onnxruntime looks up its maker after 10 to 40"""
SERVE = f"""
import time
from collections.abc import Callable
from pathlib import Path
from mmsearch.stack import embedded, triton_server
from mmsearch.stack.state import Home
home = Home.at(HOME)
with embedded.borrowed(home, ("triton",)) as ports:
    url = f"http://127.0.0.1:{{ports.triton_http}}"
    for model in triton_server.ENTRY_MODELS:
        assert any(triton_server.infer(url, model, "oak chair")["EMBEDDING"])
    time.sleep({LINGER})
"""
FEATURES = f"""
import time
from mmsearch.models.architecture import load
from mmsearch.models.export.export_cache import exported
from mmsearch.training.features import text_features
architecture = load("4tmm_cat")
found = exported(architecture, architecture.towers["minilm"], print)
assert text_features(found, ["oak chair"]).shape == (1, 384)
time.sleep({LINGER})
"""


# A machine of continuous integration: OpenVINO asks nothing there, whether or not it was told to.
OF_CI = ("CI", "TF_BUILD", "JENKINS_URL")


def looked_up(folder: Path, *command: str, **environment: str) -> list[str]:
    """The names that a command and its children look up, as on a machine of a user."""
    servers = folder / "resolv.conf"
    servers.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    counted = [sys.executable, "-c", COUNTER, *command]
    own = ["unshare", "--map-root-user", "--net", "--mount", "sh", "-c", INSIDE, "inside", str(servers)]
    plain = {name: value for name, value in os.environ.items() if name not in OF_CI}
    done = subprocess.run(
        [*own, *counted], capture_output=True, text=True, timeout=600, env=plain | environment
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0, found["said"]
    names: list[str] = found["names"]
    return names


@pytest.fixture(autouse=True)
def needs_namespaces() -> None:
    tried = ["unshare", "--map-root-user", "--net", "--mount", "true"]
    if not shutil.which("unshare") or subprocess.run(tried, capture_output=True).returncode:
        pytest.skip("this machine allows no network of one's own")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.integration
def test_the_counter_counts(tmp_path: Path) -> None:
    code = "import contextlib, socket\nwith contextlib.suppress(OSError): socket.gethostbyname('example.org')"
    assert set(looked_up(tmp_path, *python(code))) == {"example.org"}
    assert looked_up(tmp_path, *python("print('nothing')")) == []
    # Imported without the opt-out, OpenVINO asks; so the empty lists of the other tests are the opt-out's.
    # A home of its own: the user's may hold a consent file, and may not be writable.
    assert looked_up(tmp_path, *python("import openvino, time; time.sleep(10)"), HOME=str(tmp_path))


@pytest.mark.integration
def test_building_and_measuring_the_models_asks_for_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The exports are those of the cache; the measurements are not.
    for folder in cache_folder("models").glob("*-*"):
        shutil.copytree(folder, tmp_path / "cache" / "models" / folder.name)
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    command = ["models", "build", "--repository", str(tmp_path / "tree")]
    assert looked_up(tmp_path, sys.executable, "-m", "mmsearch", *command) == []
    assert (tmp_path / "tree" / "runtime.json").exists()


@pytest.mark.integration
def test_triton_and_its_models_ask_for_no_name(tmp_path: Path, build_models: Callable[[Home], None]) -> None:
    home = Home.at(tmp_path / "home")
    build_models(home)
    assert looked_up(tmp_path, *python(SERVE.replace("HOME", repr(str(home.folder))))) == []


@pytest.mark.integration
def test_the_features_of_a_training_ask_for_no_name(tmp_path: Path) -> None:
    assert looked_up(tmp_path, *python(FEATURES)) == []
