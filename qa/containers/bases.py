"""The images that the Dockerfiles start from, built of packages since no image registry is needed here.

A local tag satisfies `FROM`: what is built on top are the product's own Dockerfiles as they are.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from containers.engine import Engine, mirror

from mmsearch.stack.downloads import Archive, fetch
from mmsearch.stack.java import choose

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VERSION = "3.5.0"
"""of OpenSearch: the newest that the security plugin's only served 3.x release runs on"""
TRITON_VERSION = "25.10"
PYTHON_VERSION = "3.11"
"""Debian 12's"""
OPENSEARCH = Archive(
    "org.opensearch.distribution.integ-test-zip",
    "opensearch",
    VERSION,
    "b676ad392c95a94d8d2bd8785b8b922c7811536daf6a9ec0c7277a34bd8a17a9",
)
KNN = Archive(
    "org.opensearch.plugin",
    "opensearch-knn",
    f"{VERSION}.0",
    "99fdf3ac9ef95974e276298b83a58532bf21ba13bd5fd96a4b59465b7e613309",
)
SECURITY = Archive(
    "org.opensearch.plugin",
    "opensearch-security",
    "3.4.0.0",
    "fc164c084979f7f793d295b6bca56bf8bee76dafb762adef9f14fa872e0a7596",
)
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
    _security(plugins / SECURITY.file_name)
    (context / "neural-search.properties").write_text(NEURAL.format(version=VERSION))


def _security(target: Path) -> None:
    """The security plugin, its descriptor saying that it is for this OpenSearch: for tests alone."""
    with zipfile.ZipFile(fetch(SECURITY)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename == "plugin-descriptor.properties":
                before = b"\nopensearch.version=3.4.0\n"
                if before not in data:
                    raise RuntimeError("expected the security plugin of 3.4.0, got another")
                data = data.replace(before, f"\nopensearch.version={VERSION}\n".encode())
            new.writestr(entry, data)


def _triton(context: Path) -> None:
    """The pinned package that carries Triton, with its hashes."""
    pins = (ROOT / "requirements" / PYTHON_VERSION / "local.txt").read_text(encoding="utf-8")
    found = re.search(r"^nvidia-pytriton==(?:.*\\\n)+.*\n", pins, re.M)
    if not found:
        raise RuntimeError(f"expected nvidia-pytriton in requirements/{PYTHON_VERSION}/local.txt, got none")
    (context / "carrier.txt").write_text(found.group())


if __name__ == "__main__":
    from containers.engine import running

    with running() as started:
        print("\n".join(build(started)), file=sys.stdout)
