"""The Kubernetes variants as kustomize renders them; it is built once by Go, where there is one."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
VARIANTS = ("base", "gpu", "operator", "ingest", "fill", "alerts")
MODULE = "sigs.k8s.io/kustomize/kustomize/v5@v5.4.3"
CACHE = Path.home() / ".cache" / "mmsearch" / "containers" / "bin"
GO = ("go", "/usr/local/go/bin/go")


@functools.cache
def program() -> str:
    """kustomize of PATH or the cache, else built; skips the test where neither it nor Go is there."""
    found = shutil.which("kustomize") or shutil.which("kustomize", path=str(CACHE))
    if found:
        return found
    go = next((each for each in GO if shutil.which(each)), None)
    if go is None:
        pytest.skip("needs kustomize on PATH, or Go to build it")
    environment = {**os.environ, "GOBIN": str(CACHE), "GOFLAGS": "-mod=mod"}
    built = subprocess.run(
        [go, "install", MODULE], env=environment, capture_output=True, text=True, timeout=900
    )
    if built.returncode != 0:
        pytest.skip(f"needs kustomize, which Go could not build: {built.stderr.strip()[-200:]}")
    return str(CACHE / "kustomize")


@functools.cache
def rendered(variant: str) -> tuple[dict[str, Any], ...]:
    """Every manifest of the variant, from a copy in which the credentials were made as documented."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "kubernetes"
        shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("credentials"))
        subprocess.run([str(copy / "credentials.sh")], check=True, capture_output=True)
        done = subprocess.run(
            [program(), "build", str(copy / variant)], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    return tuple(document for document in yaml.safe_load_all(done.stdout) if document)


def manifest(variant: str, kind: str, name: str) -> dict[str, Any]:
    """The one of this kind and name."""
    (found,) = [
        each for each in rendered(variant) if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    return found


def pods(variant: str) -> dict[str, dict[str, Any]]:
    """The pod of each workload, by kind and name."""
    found = {}
    for each in rendered(variant):
        name = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] == "Pod":
            found[name] = each["spec"]
        elif each["kind"] in ("Deployment", "Job"):
            found[name] = each["spec"]["template"]["spec"]
    return found
