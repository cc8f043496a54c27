"""Archives of the embedded OpenSearch, by Maven coordinates and pinned sha256."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmsearch.config import cache_folder
from mmsearch.errors import StackError


@dataclass(frozen=True)
class Archive:
    """A zip with Maven coordinates. Content with another sha256 is rejected."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Return the file name in the cache."""
        return f"{self.artifact}-{self.version}.zip"


Resolve = Callable[[Archive, Path, bool], Path]
"""(archive, scratch folder, whether the local Maven repository may be used) → path of an unverified zip"""


def archives(pinned: str = "downloads.json") -> dict[str, Archive]:
    """Return the pinned archives by plugin name, in the order of installation, and `opensearch` for the
    distribution.

    `pinned` is a file in this folder.
    """
    pins = json.loads(Path(__file__).with_name(pinned).read_text())
    return {name: Archive(**pin) for name, pin in pins.items()}


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(archive: Archive, cache: Path | None = None, resolve: Resolve | None = None) -> Path:
    """Return the archive's zip in the cache. Download it if it is missing or has the wrong sha256.

    Concurrent processes are serialized: one downloads, the others wait. Raise StackError when the download
    fails or does not have the pinned sha256.
    """
    cache = cache or cache_folder()
    resolve = resolve or resolve_with_jgo
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / archive.file_name
    with locked(cache / f".{archive.file_name}.lock"):
        if kept.exists() and sha256_of(kept) == archive.sha256:
            return kept
        got = "nothing"
        # If the copy in the local Maven repository is corrupt, download from the registry.
        for machine_repository in (True, False):
            with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as scratch:
                found = resolve(archive, Path(scratch), machine_repository)
                copy = Path(scratch) / f"copy-{archive.file_name}"
                shutil.copyfile(found, copy)
                got = sha256_of(copy)
                if got == archive.sha256:
                    copy.replace(kept)
                    return kept
    raise StackError(
        f"expected {archive.file_name} with sha256 {archive.sha256}, got {got}; "
        "repair: try again, and check your Maven mirror if it fails again"
    )


def resolve_with_jgo(archive: Archive, scratch: Path, machine_repository: bool) -> Path:
    """Download with jgo, the Maven client in Python. `scratch` is its repository, so that no partial file is
    kept.
    """
    from jgo.maven import MavenContext

    machine = [Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")]
    context = MavenContext(repo_cache=scratch, local_repos=machine if machine_repository else [], timeout=60)
    zip_of = (
        context.project(archive.group, archive.artifact).at_version(archive.version).artifact(packaging="zip")
    )
    failure: Exception | None = None
    for _ in range(3):
        try:
            return Path(zip_of.resolve())
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
            failure = error
            # jgo leaves a partial download under the final name and would reuse it.
            if zip_of.cached_path is not None:
                zip_of.cached_path.unlink(missing_ok=True)
    raise StackError(
        f"expected {archive.group}:{archive.artifact}:{archive.version} from the Maven registry, "
        f"got {type(failure).__name__} three times; repair: check the network or the proxy, "
        f"or put {archive.file_name} into {cache_folder()}"
    ) from failure


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file while the block runs. The kernel releases the lock if its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
