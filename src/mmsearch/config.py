"""Settings from the environment that every part shares, and the one cache folder.

    MMSEARCH_CACHE        where downloads, exported models, fetched images and journals are kept
    MMSEARCH_HOME         the state of the embedded servers, default ./.mmsearch
    MMSEARCH_PLUGIN_ZIP   the plugin's zip that the embedded node installs

Addresses and credentials of servers are read by `clients.credentials`, and by the command line's options.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(*parts: str) -> Path:
    """The folder `parts` below `$MMSEARCH_CACHE`, by default below `~/.cache/mmsearch`.

    `models` holds exported towers and sets, `features` what towers said in trainings, `pictures` images that
    were fetched, `ingest` the journals of runs; archives of the embedded servers lie at its top.
    """
    given = os.environ.get("MMSEARCH_CACHE")
    return (Path(given).expanduser() if given else Path.home() / ".cache" / "mmsearch").joinpath(*parts)


def home_folder(given: str | Path | None = None) -> Path:
    """The given folder, `$MMSEARCH_HOME`, or `.mmsearch` in the working directory; absolute."""
    return Path(given or os.environ.get("MMSEARCH_HOME") or ".mmsearch").expanduser().absolute()


def plugin_zip() -> Path | None:
    """The zip that `$MMSEARCH_PLUGIN_ZIP` names."""
    given = os.environ.get("MMSEARCH_PLUGIN_ZIP")
    return Path(given) if given else None
