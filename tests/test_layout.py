"""The folders are packages under the one name `mmsearch`, and under no shorter name."""

from __future__ import annotations

import importlib
import importlib.util

import pytest

PACKAGES = ["cli", "evaluate", "ingest", "model_repository", "opensearch", "stack", "train"]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_folder_is_the_package_below_mmsearch(name: str) -> None:
    assert importlib.import_module(f"mmsearch.{name}").__name__ == f"mmsearch.{name}"


@pytest.mark.parametrize("name", PACKAGES)
def test_nothing_is_importable_under_its_short_name(name: str) -> None:
    assert importlib.util.find_spec(name) is None
