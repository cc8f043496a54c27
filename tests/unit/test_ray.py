"""`--engine ray` without a cluster: what does not start is said in a sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mmsearch.errors import IngestError
from mmsearch.ingest import on_ray
from mmsearch.ingest.job import Job


def test_a_ray_that_does_not_start_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(**_: Any) -> None:
        raise Exception("The current node timed out during startup.\nMore lines.")

    ray = ModuleType("ray")
    vars(ray).update(is_initialized=lambda: False, init=late, data=ModuleType("ray.data"))
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", vars(ray)["data"])
    monkeypatch.setattr(on_ray, "find_spec", lambda _: True)
    monkeypatch.setattr(on_ray, "prepare_servers", lambda *_: None)
    for client in ("Encoder", "connect"):
        monkeypatch.setattr(on_ray, client, lambda _: SimpleNamespace(close=lambda: None))
    catalog = tmp_path / "catalog.jsonl"
    catalog.write_text('{"id": "1", "title": "chair"}\n', encoding="utf-8")
    job = Job(str(catalog), tmp_path, tmp_path / "rejects.jsonl", index="products")
    with pytest.raises(IngestError, match=r"expected Ray to start, got: The current node timed out during"):
        on_ray.run_on_ray(job, "http://localhost:9200", "localhost:8001", workers=2, say=lambda _: None)
