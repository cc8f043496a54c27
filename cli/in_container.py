"""Adapts the repairs in messages to the place where the command runs; in a container, some use compose."""

from __future__ import annotations

import os
import re

RUN = "docker compose --profile cpu run --rm ingest"
REPAIRS = (
    (r"mmsearch up\b(?: --[a-z-]+ \S+)*", "docker compose --profile cpu up --wait"),
    (r"mmsearch logs triton", "docker compose --profile cpu logs triton-cpu"),
    (r"mmsearch logs opensearch", "docker compose --profile cpu logs opensearch"),
    (r"mmsearch down\b", "docker compose --profile cpu down"),
    (r"mmsearch status", "docker compose --profile cpu ps"),
    # These use folders of the machine that runs the containers.
    (r"mmsearch (models|train|pairs|ui)\b", r"outside the container: mmsearch \1"),
    (r"make plugin\b", "outside the container: make plugin"),
    (r"pip install ('mmsearch\[\w+\]'|\S+)", r"a virtual environment outside the container: pip install \1"),
    (
        r"(?<!container: )mmsearch (ingest|retry|reindex|delete|search|evaluate|tune|doctor|dashboards)\b",
        rf"{RUN} \1",
    ),
)


def kind() -> str:
    """Return `compose`, `image` for any other container of mmsearch, or an empty text."""
    return os.environ.get("MMSEARCH_CONTAINER", "")


def fitted(text: str) -> str:
    """Return the message with the repairs that work here."""
    if kind() != "compose":
        return text
    for pattern, repair in REPAIRS:
        text = re.sub(pattern, repair, text)
    return text
