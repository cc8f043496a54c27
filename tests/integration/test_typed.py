"""A user's script is checked against the installed wheel: types are found from outside, and what is wrong is
seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from choose import choose

from ..fakes.checkout import copy_sources

BIN = Path(sys.executable).parent
RIGHT = """\
import mmsearch

products = [{"id": "1", "title": "Oak chair", "price": 12.5}]
with mmsearch.Client("http://localhost:9200", triton="localhost:8001", auth=("shop", "secret")) as shop:
    report: mmsearch.IngestReport = shop.ingest(products, image_root="pictures")
    for hit in shop.search("somewhere to sit", filter={"category": "Seats"}, k=10, weights=(1, 2)):
        print(hit.id, hit.score + 1, [leg["rank"] + 1 for leg in hit.legs], hit.source["title"])
    print(report.rejected + 1, report.reasons, shop.encode_queries(["oak chair"]).shape)
    found = mmsearch.evaluate("judgments.jsonl", {"hybrid": "hybrid"}, client=shop)
    print(found.means["hybrid"], mmsearch.tune("judgments.jsonl", client=shop).held_out, shop.delete(["1"]))
run = mmsearch.train("4tmm_gated", pairs=[{"query": "chair", "product_id": "1"}], catalog=products)
print(run.best_score + 1, mmsearch.__version__)
"""
WRONG = """\
import mmsearch
shop = mmsearch.Client("http://localhost:9200", triton=8001)
hits = shop.search("chair", k="ten")
hits = shop.search("chair", mode="fast")
print(hits[0].scores)
print(shop.ingest([]).reject)
print(shop.encode_queries(["a"]).shapes)
shop.ingest(5)
mmsearch.evaluate("judgments.jsonl", {}).mean
mmsearch.train("4tmm_gated", pairs="pairs.jsonl")
mmsearch.Shop
"""
FIRST_WRONG = 2
"""the line that the first mistake stands on; each line after it has one"""


@dataclass(frozen=True)
class User:
    """An environment with the wheel and what the client needs, and a folder for scripts."""

    folder: Path

    def mypy(self, script: str) -> str:
        """What `mypy --strict` says."""
        python = self.folder / "venv" / "bin" / "python"
        command = [BIN / "mypy", "--strict", "--no-error-summary", "--python-executable", python]
        return self._said([*command, self._written(script)])

    def pyright(self, script: str) -> dict[int, list[str]]:
        """What pyright says in its strict mode, by line; it may be fetched first."""
        settings = {"typeCheckingMode": "strict", "venvPath": str(self.folder), "venv": "venv"}
        (self.folder / "pyrightconfig.json").write_text(json.dumps(settings))
        there = subprocess.run([BIN / "pyright", "--version"], capture_output=True, text=True, timeout=300)
        if there.returncode:
            pytest.skip(f"pyright's own part cannot be fetched: {there.stderr.strip().splitlines()[-1:]}")
        report = json.loads(
            self._said([BIN / "pyright", "--project", self.folder, "--outputjson", self._written(script)])
        )
        assert report["summary"]["filesAnalyzed"] == 1
        found: dict[int, list[str]] = {}
        for each in report["generalDiagnostics"]:
            found.setdefault(each["range"]["start"]["line"] + 1, []).append(each["message"])
        return found

    def _written(self, script: str) -> Path:
        path = self.folder / "script.py"
        path.write_text(script, encoding="utf-8")
        return path

    def _said(self, command: list[Path | str]) -> str:
        done = subprocess.run(
            list(map(str, command)), cwd=self.folder, capture_output=True, text=True, timeout=300
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    folder = tmp_path_factory.mktemp("typed")
    tree = copy_sources(folder / "tree")
    pins = choose("core", f"{sys.version_info.major}.{sys.version_info.minor}")
    (folder / "core.txt").write_text("".join(pin.line() for pin in pins))
    environment = os.environ | {"VIRTUAL_ENV": str(folder / "venv"), "UV_LINK_MODE": "hardlink"}
    for command in (
        [BIN / "python", "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", tree],
        [BIN / "uv", "venv", "--quiet", "--python", sys.executable, folder / "venv"],
        [BIN / "uv", "pip", "sync", "--quiet", "--require-hashes", folder / "core.txt"],
    ):
        subprocess.run(list(map(str, command)), env=environment, check=True, capture_output=True)
    (wheel,) = (folder / "dist").iterdir()
    install = [str(BIN / "uv"), "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, env=environment, check=True, capture_output=True)
    return User(folder)


@pytest.mark.integration
def test_mypy_finds_the_types_of_a_users_script(user: User) -> None:
    assert user.mypy(RIGHT) == ""
    wrong = [int(line.split(":")[1]) for line in user.mypy(WRONG).splitlines() if ": error:" in line]
    assert sorted(set(wrong)) == list(range(FIRST_WRONG, len(WRONG.splitlines()) + 1))


@pytest.mark.integration
def test_pyright_finds_the_types_of_a_users_script(user: User) -> None:
    assert user.pyright(RIGHT) == {}
    assert sorted(user.pyright(WRONG)) == list(range(FIRST_WRONG, len(WRONG.splitlines()) + 1))


@pytest.mark.integration
def test_the_wheel_and_what_the_client_needs_are_enough(user: User) -> None:
    code = (
        "import mmsearch, sys\n"
        "shop = mmsearch.Client('http://127.0.0.1:9', triton='127.0.0.1:9')\n"
        "for call in (lambda: shop.search('chair'), lambda: shop.ingest([{'id': '1', 'title': 'x'}]),\n"
        "             lambda: shop.encode_queries(['chair']), lambda: shop.delete(['1'])):\n"
        "    try: call()\n"
        "    except mmsearch.MmsearchError as error: print(type(error).__name__)\n"
        "judged = [{'query': 'q', 'product_id': 'a', 'grade': 1}]\n"
        "print(mmsearch.evaluate(judged, {'x': {'q': {'a': 1}}}).means)\n"
        "heavy = ('torch', 'pandas', 'onnxruntime')\n"
        "print([name for name in heavy if name in sys.modules], mmsearch.__file__)\n"
    )
    python = user.folder / "venv" / "bin" / "python"
    done = subprocess.run([python, "-c", code], cwd=user.folder, capture_output=True, text=True, check=True)
    *errors, means, loaded = done.stdout.splitlines()
    assert errors == ["UnreachableError"] * 4
    assert "'x': {" in means
    assert loaded.startswith("[] ")
    assert "site-packages" in loaded
    said = subprocess.run([python, "-m", "mmsearch", "--help"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("Usage: mmsearch [OPTIONS] COMMAND")
