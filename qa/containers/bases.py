"""The images that the Dockerfiles start from, built of packages since no image registry is needed here.

A local tag satisfies `FROM`: what is built on top are the product's own Dockerfiles as they are.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from containers.engine import Engine, mirror

from mmsearch.stack.downloads import fetch
from mmsearch.stack.java import choose
from mmsearch.stack.variants.secured import KNN, OPENSEARCH, SECURITY, write_security_plugin

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VERSION = OPENSEARCH.version
TRITON_VERSION = "25.10"
PYTHON_VERSION = "3.11"
"""Debian 12's"""
PINS = (OPENSEARCH, KNN, SECURITY, TRITON_VERSION, PYTHON_VERSION)
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES = ("ca-certificates", "curl", "openssl", "python3", "python3-pip", "libpython3.11", "procps")
NEURAL = """\
description=Nothing: the plugin that the official image has and ours takes the place of
version={version}.0
name=opensearch-neural-search
classname=none.None
java.version=21
opensearch.version={version}
"""


def build(engine: Engine) -> list[str]:
    """Build what is not there yet; the tags of all."""
    return [
        _image(engine, "mmsearch-debian", "latest", ["debian"], _debian),
        _image(engine, "opensearchproject/opensearch", VERSION, ["opensearch"], _opensearch),
        _image(engine, "nvcr.io/nvidia/tritonserver", f"{TRITON_VERSION}-py3", ["triton"], _triton),
        _image(engine, "opensearchproject/opensearch-dashboards", VERSION, ["dashboards"], None),
        _image(engine, "python", f"{PYTHON_VERSION}-slim", ["python"], None),
    ]


def _image(
    engine: Engine, name: str, tag: str, folders: list[str], prepare: Callable[[Path], None] | None
) -> str:
    """Build `name:tag` unless one of the same recipe is there."""
    recipe = hashlib.sha256(repr((PINS, PACKAGES, NEURAL)).encode())
    for folder in folders:
        for path in sorted((HERE / "bases" / folder).rglob("*")):
            if path.is_file():
                recipe.update(path.read_bytes())
    mark = recipe.hexdigest()[:16]
    full = f"{name}:{tag}"
    format_ = '{{index .Config.Labels "mmsearch.recipe"}}'
    there = engine.run("docker", "image", "inspect", "--format", format_, full, check=False)
    if there.returncode == 0 and there.stdout.strip() == mark:
        return full
    with tempfile.TemporaryDirectory(prefix="mmsearch-base-", dir="/var/tmp") as scratch:
        context = Path(scratch)
        shutil.copytree(HERE / "bases" / folders[0], context, dirs_exist_ok=True)
        if prepare:
            prepare(context)
        engine.run(
            "docker",
            "build",
            "--network=host",
            "--label",
            f"mmsearch.recipe={mark}",
            "--tag",
            full,
            str(context),
        )
    return full


def _debian(context: Path) -> None:
    """Debian 12 by mmdebstrap, with the authorities that this machine trusts."""
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm",
         str(context / "debian.tar"), mirror()],
        check=True,
    )  # fmt: skip
    shutil.copy2(BUNDLE, context / "ca-certificates.crt")


def _opensearch(context: Path) -> None:
    with zipfile.ZipFile(fetch(OPENSEARCH)) as archive:
        archive.extractall(context)
    (unpacked,) = context.glob(f"opensearch-{VERSION}*")
    unpacked.rename(context / "opensearch")
    for script in (context / "opensearch" / "bin").iterdir():
        script.chmod(0o755)
    shutil.copytree(
        choose().home, context / "jdk", symlinks=True, ignore=shutil.ignore_patterns("src.zip", "jmods")
    )
    for path in (context / "jdk").rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(context):
            target = path.resolve()
            path.unlink()
            if target.is_file():
                shutil.copy2(target, path)
    plugins = context / "plugins"
    plugins.mkdir()
    shutil.copy2(fetch(KNN), plugins)
    write_security_plugin(plugins / SECURITY.file_name)
    (context / "neural-search.properties").write_text(NEURAL.format(version=VERSION))


def _triton(context: Path) -> None:
    """The pinned package that carries Triton, with its hashes."""
    choose = [sys.executable, str(ROOT / "requirements" / "choose.py"), "local"]
    with (context / "carrier.txt").open("w") as carrier:
        subprocess.run(
            [*choose, "--python", PYTHON_VERSION, "--only", "nvidia-pytriton"], stdout=carrier, check=True
        )


if __name__ == "__main__":
    from containers.engine import running

    with running() as started:
        print("\n".join(build(started)), file=sys.stdout)
