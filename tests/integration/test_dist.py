"""The released wheel: in an empty environment, without checkout, torch or anything built before it serves."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from choose import choose
from PIL import Image

from mmsearch.config import cache_folder
from mmsearch.models import architecture, build, packaging
from mmsearch.models.export import export_cache
from mmsearch.stack.downloads import archives, fetch
from mmsearch.stack.ports import taken
from mmsearch.stack.state import SERVERS, Home

from ..fakes.fake_dashboards import Request, dashboards
from ..unit.test_docs import COMMANDS

ROOT = Path(__file__).parents[2]
REGISTRY_LIMIT = 100 << 20
"""bytes; what the Python registry takes of one file"""


def no_word(_: str) -> None:
    """Hears what is being built."""


@pytest.fixture
def tiny_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> build.ModelSet:
    """A set of the default architecture as it stands in the cache, with files of a few bytes."""
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    default = architecture.load(packaging.ARCHITECTURE)
    names = [f"{name}-{export_cache._key(default, tower)}" for name, tower in default.towers.items()]
    fingerprint = default.fingerprint(export_cache.weights_hashes(default), packaging.PRECISION)
    names.append(f"set-{default.name}-{build._key(fingerprint)}")
    for name in names:
        folder = cache_folder("models") / name
        folder.mkdir(parents=True)
        for file in ("fusion_query.onnx", "fusion_item.onnx", "set.json", "golden.npz", "tokenizer.json"):
            (folder / file).write_text(f"{name}/{file}")
        for precision in build.PRECISIONS:
            (folder / f"{precision}.onnx").write_text(f"{name}/{precision}")
    return build.build(default, packaging.PRECISION, no_word)


def test_what_is_packed_is_found_before_the_cache_and_without_it(
    tiny_set: build.ModelSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = tmp_path / "packaged"
    files = packaging.pack(tiny_set, packaged)
    assert not [file for file in files if file.name == "golden.npz"]
    monkeypatch.setattr(export_cache, "PACKAGED", packaged)
    monkeypatch.setattr(build, "PACKAGED", packaged)
    shutil.rmtree(cache_folder("models"))
    found = build.build(tiny_set.architecture, packaging.PRECISION, no_word)
    assert found.fingerprint == tiny_set.fingerprint
    assert found.folder.parent == packaged
    for name, tower in found.towers.items():
        served = tower.onnx(found.precision)
        assert served.parent.parent == packaged
        assert served.read_text() == f"{tower.folder.name}/{'fp32' if name == 'lite0' else 'int8'}"
    assert found.towers["minilm"].tokenizer.is_file()


def test_the_other_precision_is_not_taken_from_the_wheel(
    tiny_set: build.ModelSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = tmp_path / "packaged"
    packaging.pack(tiny_set, packaged)
    monkeypatch.setattr(export_cache, "PACKAGED", packaged)
    tower = tiny_set.architecture.towers["minilm"]
    found = export_cache.exported(tiny_set.architecture, tower, no_word, "fp32")
    assert found.folder.parent == cache_folder("models")
    # What training reads is fp32 too, and asks for no precision.
    assert export_cache.exported(tiny_set.architecture, tower, no_word).folder.parent == cache_folder(
        "models"
    )


def plugin_versions() -> dict[str, dict[str, str]]:
    """What `plugin/versions.txt` says: each version and what differs with it."""
    lines = (ROOT / "plugin" / "versions.txt").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if not line.startswith("#")]
    versions = {version: dict(pair.split("=") for pair in pairs) for version, *pairs in words}
    assert len(versions) == len(words)
    return versions


def test_the_plugin_is_built_first_for_the_version_that_is_served() -> None:
    versions = plugin_versions()
    served = next(iter(versions))
    assert served == archives()["opensearch"].version
    pom = (ROOT / "plugin" / "pom.xml").read_text(encoding="utf-8")
    for name, version in {"opensearch": served, **versions[served]}.items():
        assert f"<{name}.version>{version}</{name}.version>" in pom


def plugin_patch() -> int:
    """The plugin's own number of a release, the fourth of its version."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        patch = tomllib.load(file)["tool"]["mmsearch"]["plugin-patch"]
    assert isinstance(patch, int)
    return patch


ZIP_NAME = re.compile(r"mmsearch-(?:\d+\.\d+\.\d+|[$%{][^ /]*?|%)\.(\d+)\.zip")
"""the zip after any of OpenSearch's version, make's and Docker's variables and patterns"""


def test_the_plugins_version_is_one_line() -> None:
    # What cannot read pyproject.toml by itself says the same.
    named = {
        "Makefile": 4,
        "deploy/opensearch/Dockerfile": 1,
        "deploy/kubernetes/operator/cluster.yaml": 1,
        "src/mmsearch/stack/opensearch_files.py": 1,
        "plugin/README.md": 1,
        "docs/operations.md": 1,
        "qa/containers/checkout.py": 1,
        "qa/containers/steps.py": 1,
    }
    for file, times in named.items():
        patches = ZIP_NAME.findall((ROOT / file).read_text(encoding="utf-8"))
        assert patches == [str(plugin_patch())] * times, file


def maven_would_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`scripts/maven.sh ARGUMENTS` with an `mvn` that prints its arguments and does no more."""
    mvn = folder / "mvn"
    mvn.write_text('#!/bin/sh\necho "$@"\n')
    mvn.chmod(0o755)
    return subprocess.run(
        [str(ROOT / "scripts" / "maven.sh"), *arguments],
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}, capture_output=True, text=True,
    )  # fmt: skip


def test_what_differs_with_another_version_is_given_to_maven(tmp_path: Path) -> None:
    done = maven_would_run(tmp_path, "-q", "-Dopensearch.version=3.5.0", "test")
    said = done.stdout.split()
    assert said[:3] == ["-f", "plugin/pom.xml", f"-Dplugin.patch={plugin_patch()}"], done.stderr
    assert sorted(said[3:]) == sorted(
        ["-Dprotobufs.version=1.2.0", "-Dlog4j.version=2.25.3", "-q", "-Dopensearch.version=3.5.0", "test"]
    )
    assert maven_would_run(tmp_path, "test").stdout.split()[3:] == ["test"]


def test_a_version_of_which_nothing_is_known_is_not_built(tmp_path: Path) -> None:
    done = maven_would_run(tmp_path, "-Dopensearch.version=3.5", "test")
    assert done.returncode == 1
    assert "got 3.5; repair: a line for it in plugin/versions.txt" in done.stderr
    assert f"expected one of {' '.join(plugin_versions())} as opensearch.version" in done.stderr


@dataclass(frozen=True)
class Installed:
    """A wheel in an environment of its own, and a folder that knows no checkout."""

    wheel: Path
    python: Path
    folder: Path
    home: Home
    environment: dict[str, str]

    def run(self, *arguments: str, code: int = 0) -> str:
        """What `mmsearch ARGUMENTS` prints."""
        done = subprocess.run(
            [str(self.python.with_name("mmsearch")), *arguments],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


def by_uv(wheel: Path) -> Iterator[list[str]]:
    """The quick start's block for a release, by uv, which is faster; its last line starts servers."""
    (block,) = [block for block in COMMANDS if block.mark == "needs a release"]
    *lines, last = (line.split() for line in block.lines)
    assert last == ["shop-venv/bin/mmsearch", "up"]
    for words in lines:
        if words[:3] == ["python3", "-m", "venv"]:
            yield ["venv", "--quiet", "--python", sys.executable, *words[3:]]
        else:
            assert words[0] == "shop-venv/bin/pip", words
            yield ["pip", *(str(wheel) if word == wheel.name else word for word in words[1:]), "--quiet"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The wheel built, installed by uv from the pins of `mmsearch[local]`; its servers end with the test."""
    folder = tmp_path_factory.mktemp("newcomer")
    subprocess.run([str(ROOT / "scripts" / "wheel.sh"), str(folder / "dist")], check=True, timeout=600)
    (wheel,) = (folder / "dist").iterdir()
    uv = Path(sys.executable).with_name("uv")
    python = folder / "shop-venv" / "bin" / "python"
    # A cache without models, so that none but the wheel's can be served; the node's archives are shared.
    cache = folder / "cache"
    cache.mkdir()
    for archive in archives().values():
        (cache / archive.file_name).symlink_to(fetch(archive, cache_folder()))
    kept = {"HOME", "LANG", "PATH", "TMPDIR", "SSL_CERT_FILE", "UV_CACHE_DIR"}
    passed = (
        "PIP_",
        "UV_",
        "REQUESTS_",
        "HTTP",
        "http",
        "NO_PROXY",
        "no_proxy",
        "JAVA_HOME",
        "OPENSEARCH_JAVA",
    )
    environment = {
        key: value for key, value in os.environ.items() if key in kept or key.startswith(passed)
    } | {"MMSEARCH_CACHE": str(cache), "UV_LINK_MODE": "hardlink", "VIRTUAL_ENV": str(python.parents[1])}
    pins = choose("local", f"{sys.version_info.major}.{sys.version_info.minor}")
    (folder / "requirements-local-3.11.txt").write_text("".join(pin.line() for pin in pins))
    for command in (
        *by_uv(wheel),
        # The extra is resolved against the pins: what it wants beyond them would fail here.
        ["pip", "install", "--quiet", "--offline", f"mmsearch[local] @ {wheel.as_uri()}"],
    ):
        done = subprocess.run(
            [str(uv), *command], env=environment, cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    this = Installed(wheel, python, folder, Home.at(folder / "home"), environment)
    environment["MMSEARCH_HOME"] = str(this.home.folder)
    try:
        yield this
    finally:
        this.run("down", "--delete-data")


@pytest.mark.integration
def test_the_wheel_holds_plugin_and_models_and_fits_a_registry(installed: Installed) -> None:
    assert installed.wheel.stat().st_size < REGISTRY_LIMIT
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert [name for name in names if name.startswith("mmsearch/stack/mmsearch-") and name.endswith(".zip")]
    assert {Path(name).name for name in names if name.endswith(".onnx")} == {
        "fusion_item.onnx", "fusion_query.onnx", "fp32.onnx", "int8.onnx",
    }  # fmt: skip
    assert not [name for name in names if name.startswith("mmsearch/tests") or name.endswith(".so")]


@pytest.mark.integration
def test_the_wheel_alone_serves_ingests_finds_and_goes(installed: Installed) -> None:
    shop = installed.folder / "shop"
    shop.mkdir()
    colours = {"red": (220, 20, 20), "blue": (20, 20, 220), "green": (20, 160, 20)}
    for name, colour in colours.items():
        Image.new("RGB", (96, 96), colour).save(shop / f"{name}.png")
    rows = [
        ("R", "Red square tile", "red.png"),
        ("B", "Oak dining chair", "blue.png"),
        ("G", "Desk lamp", "green.png"),
    ]
    with (shop / "shop.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "title", "image"), *rows])

    where = "import importlib.util as u, mmsearch.cli as c; print(c.__file__, u.find_spec('torch'))"
    found = subprocess.run(
        [str(installed.python), "-c", where],
        cwd=installed.folder, env=installed.environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert str(ROOT) not in found
    assert found.rstrip().endswith("None"), "expected no torch"

    zero = [
        "--http-port",
        "0",
        "--triton-http-port",
        "0",
        "--triton-grpc-port",
        "0",
        "--triton-metrics-port",
        "0",
    ]
    said = installed.run("up", "--heap", "512m", *zero)
    settings = dict(pair.split("=", 1) for pair in said.splitlines()[-1].removeprefix("export ").split())
    installed.environment.update(settings)
    report = json.loads(installed.run("ingest", "shop/shop.csv", "--json"))
    assert (report["read"], report["encoded"], report["indexed"], report["rejected"]) == (3, 3, 3, 0)
    for asked, expected in (
        (("something to sit on at the table", "--mode", "neural"), "B"),
        (("chair", "--mode", "hybrid"), "B"),
        (("--image", "shop/red.png"), "R"),
    ):
        first, *others = installed.run("search", *asked, "--json").splitlines()
        assert json.loads(first)["_id"] == expected
        assert len(others) == 2, asked

    shipped = (ROOT / "opensearch" / "inspection.ndjson").read_text(encoding="utf-8").splitlines()
    requests: list[Request] = []
    with dashboards(200, {"success": True, "successCount": len(shipped)}, requests) as url:
        said = installed.run("dashboards", "import", "--dashboards", url)
    ((path, _, body),) = requests
    assert path.endswith("/api/saved_objects/_import?overwrite=true")
    assert said.startswith(f"{len(shipped)} objects imported")
    assert b"mmsearch-products" in body

    served = installed.home.ports()
    launches = [installed.home.launch(name) for name in SERVERS]
    assert served is not None
    for block in (block for block in COMMANDS if block.mark == "ends servers"):
        for line in block.lines:
            installed.run(*line.split()[1:])
    assert not [port for port in dataclasses.astuple(served) if taken(port)]
    for launch in launches:
        assert launch is not None
        assert launch.left_behind() == []
        if launch.shared_memory:
            assert not list(Path("/dev/shm").glob(f"{launch.shared_memory}*"))
