"""Models of a Hugging Face hub: `hf-hub:OWNER/NAME`, or `hf-hub:OWNER/NAME@COMMIT` for one commit of it.

Files are kept in the hub's own cache (`HF_HOME`), so that a model is downloaded once. `HF_ENDPOINT` names
another hub, and `HF_TOKEN` opens private models.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mmsearch.errors import WeightsError

HUB = "hf-hub:"
DESCRIBING = ("*.json", "*.txt", "*.model")
"""patterns of the files that describe a model and its tokenizer"""
LONGEST_CAUSE = 160


def files(source: str, patterns: Sequence[str] = DESCRIBING) -> Path:
    """Download the files of a model that match `patterns` and return their folder, named by the commit.

    Without a connection, what an earlier call has downloaded is used. Raise WeightsError if the hub cannot be
    reached or has no such model.
    """
    repository, _, revision = source.removeprefix(HUB).partition("@")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars
    except ImportError as error:
        raise WeightsError(
            f"expected huggingface_hub to download {source}, got no {error.name}; "
            "repair: pip install 'mmsearch[train]'"
        ) from error
    disable_progress_bars()
    try:
        found = snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=list(patterns),
            # The library itself reads the variable once, when it is imported.
            endpoint=os.environ.get("HF_ENDPOINT"),
        )
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"expected {source} from a model hub, got {cause(error)}; correct the name, or download the "
            "repository where a hub can be reached and name its folder"
        ) from error
    finally:
        enable_progress_bars()
    return Path(found)


def pinned(source: str) -> str:
    """Return the source with its commit, `hf-hub:OWNER/NAME@COMMIT`. Raise WeightsError."""
    repository, _, revision = source.removeprefix(HUB).partition("@")
    commit = revision if is_commit(revision) else files(source).name
    return f"{HUB}{repository}@{commit}"


def is_commit(revision: str) -> bool:
    return len(revision) == 40 and set(revision) <= set("0123456789abcdef")


def cause(error: Exception) -> str:
    """Return the type and the first sentence of an error."""
    first = str(error).strip().split("\n")[0][:LONGEST_CAUSE]
    return f"{type(error).__name__} ({first})" if first else type(error).__name__
