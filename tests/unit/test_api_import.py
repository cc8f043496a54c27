"""`import mmsearch` is quick: its names are there, and what they need is loaded when they are used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import mmsearch

HEAVY = ("torch", "pandas", "onnxruntime", "tritonclient", "grpc", "numpy", "opensearchpy", "PIL", "click")


def loaded(code: str) -> tuple[list[str], list[str]]:
    """Which heavy packages, and which modules of ours, a fresh interpreter has after the code."""
    code += (
        f"\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
        "\nprint(sorted(name for name in sys.modules if name.startswith('mmsearch')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, ours = done.stdout.splitlines()
    return eval(heavy), eval(ours)


def test_import_loads_nothing_but_itself() -> None:
    assert loaded("import mmsearch; mmsearch.__version__; dir(mmsearch)") == ([], ["mmsearch"])


def test_a_client_is_made_without_what_its_methods_need() -> None:
    heavy, _ = loaded("import mmsearch; mmsearch.Client('http://localhost:9200')")
    assert heavy == []


def test_a_search_needs_no_encoder() -> None:
    code = (
        "import mmsearch\n"
        "try: mmsearch.Client('http://127.0.0.1:9').search('chair')\n"
        "except mmsearch.MmsearchError: pass\n"
    )
    assert set(loaded(code)[0]) & {"torch", "pandas", "onnxruntime", "tritonclient", "grpc"} == set()


@pytest.mark.parametrize("name", mmsearch.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(mmsearch, name)
    assert name in dir(mmsearch)
    if name != "__version__":
        assert value.__doc__
        module = importlib.import_module(value.__module__)
        assert getattr(module, name) is value


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mmsearch' has no attribute 'Shop'"):
        _ = mmsearch.Shop  # type: ignore[attr-defined]


def test_every_method_of_the_client_says_what_it_takes() -> None:
    methods = [name for name, value in vars(mmsearch.Client).items() if callable(value) and name[0] != "_"]
    assert methods == ["close", "ingest", "search", "encode_queries", "encode_products", "delete"]
    for name in methods:
        assert getattr(mmsearch.Client, name).__doc__
