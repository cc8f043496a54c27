"""Settings from environment variables that all parts share, and the cache folder.

    MMSEARCH_CACHE        folder of downloads, exported models, downloaded images and journals
    MMSEARCH_HOME         state of the embedded servers, default ./.mmsearch
    MMSEARCH_BF16         `off` hides the processor's bf16 units
    MMSEARCH_ITEM_RUNTIME, MMSEARCH_PICTURE_RUNTIME, MMSEARCH_QUERY_RUNTIME
                          runtimes of the towers instead of measured ones, see docs/operations.md
    MMSEARCH_PLUGIN_ZIP   zip of the plugin that the embedded node installs

`clients.credentials` and the options of the command line read the addresses and credentials of servers.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(*parts: str) -> Path:
    """Return the path `parts` below `$MMSEARCH_CACHE`, by default below `~/.cache/mmsearch`.

    Subfolders: `models` has exported towers and model sets, `features` the cached tower outputs of training,
    `pictures` downloaded images, `ingest` the journals of runs. Archives of the embedded servers are at the
    top level.
    """
    given = os.environ.get("MMSEARCH_CACHE")
    return (Path(given).expanduser() if given else Path.home() / ".cache" / "mmsearch").joinpath(*parts)


def home_folder(given: str | Path | None = None) -> Path:
    """Return the given folder, `$MMSEARCH_HOME`, or `.mmsearch` in the working directory, as an absolute
    path.
    """
    return Path(given or os.environ.get("MMSEARCH_HOME") or ".mmsearch").expanduser().absolute()


def plugin_zip() -> Path | None:
    """Return the path in `$MMSEARCH_PLUGIN_ZIP`, or None."""
    given = os.environ.get("MMSEARCH_PLUGIN_ZIP")
    return Path(given) if given else None
