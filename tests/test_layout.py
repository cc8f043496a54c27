"""The folders are packages under the one name `mmsearch`, and under no shorter name."""

from __future__ import annotations

import importlib
import importlib.util
import os

import pytest

PACKAGES = ["cli", "evaluate", "ingest", "model_repository", "opensearch", "stack", "train"]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_folder_is_the_package_below_mmsearch(name: str) -> None:
    assert importlib.import_module(f"mmsearch.{name}").__name__ == f"mmsearch.{name}"


@pytest.mark.parametrize("name", PACKAGES)
def test_no_folder_is_importable_under_its_short_name(name: str) -> None:
    # opensearch-py's protobufs own the top-level name `opensearch`; what counts is that it is not ours.
    spec = importlib.util.find_spec(name)
    ours = importlib.import_module(f"mmsearch.{name}").__file__
    assert spec is None or spec.origin != ours


def test_the_packages_under_test_are_the_ones_meant() -> None:
    wheel = os.environ.get("MMSEARCH_TESTS_EXPECT") == "wheel"
    location = str(importlib.import_module("mmsearch.cli").__file__)
    assert ("site-packages" in location) is wheel
