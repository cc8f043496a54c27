"""Ray and the local run give the same index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog, picture

MMSEARCH = [sys.executable, "-c", "from mmsearch.cli.main import main; main()"]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton(keep=False) as triton, FakeOpenSearch() as node:
        yield Catalog(tmp_path, triton, node)


def command(catalog: Catalog, index: str, *options: str) -> tuple[int, dict[str, object], str]:
    done = subprocess.run(
        [*MMSEARCH, "ingest", str(catalog.path), "--index", index, "--json", "--processes", "0", *options],
        env={
            **os.environ,
            "MMSEARCH_OPENSEARCH": catalog.node.url,
            "MMSEARCH_TRITON": catalog.triton.url,
            "MMSEARCH_CACHE": str(catalog.folder / "cache"),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    last = done.stdout.splitlines()[-1] if done.stdout else "{}"
    return done.returncode, json.loads(last), done.stderr


@pytest.mark.slow
def test_two_workers_on_ray_leave_what_a_local_run_leaves(catalog: Catalog) -> None:
    (catalog.folder / "p.png").write_bytes(picture())
    catalog.write(
        *({"id": f"p{n}", "title": f"thing {n}", "price": n} for n in range(200)),
        *({"id": f"q{n}", "title": f"seen {n}", "image": "p.png"} for n in range(20)),
        "{broken",
        {"id": "nowhere", "title": "x", "image": "nowhere.png"},
    )
    code, report, _ = command(catalog, "plain")
    assert (code, report["indexed"], report["rejected"]) == (3, 220, 2)
    plain = catalog.rejected_beside()
    code, report, err = command(catalog, "spread", "--engine", "ray", "--workers", "2")
    assert code == 3, err
    assert (report["read"], report["indexed"], report["rejected"]) == (222, 220, 2)
    assert report["reasons"] == {"rejected": {"not_json": 1, "not_found": 1}}
    assert catalog.node.sources("spread") == catalog.node.sources("plain")
    lines = [entry["line"] for entry in catalog.rejected_beside()]
    assert lines == [entry["line"] for entry in plain] == [221, 222]
    rows = catalog.triton.rows
    code, report, err = command(catalog, "spread", "--engine", "ray", "--workers", "2")
    assert (report["unchanged"], report["encoder_calls"]) == (220, 0), err
    assert catalog.triton.rows == rows


def test_a_server_that_is_away_is_one_sentence(catalog: Catalog) -> None:
    catalog.write({"id": "a", "title": "x"})
    catalog.triton.stop()
    code, _, err = command(catalog, "spread", "--engine", "ray")
    assert code == 1
    assert err.startswith("mmsearch: expected Triton")
