"""Parse systems of the command line: `NAME=body.json`, `NAME={...}`, `NAME=file.run`, or the name of a
built-in.

`NAME@INDEX=…` searches another index.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.exchange import trec
from mmsearch.evaluation.runs import Run
from mmsearch.evaluation.templates import Template, load

RUN_ENDINGS = (".run", ".trec", ".txt")


def index_of(written: str) -> str | None:
    """The index that `NAME@INDEX=SOURCE` names, or None."""
    return written.partition("=")[0].partition("@")[2] or None


def read_system(written: str, built_in: Mapping[str, Mapping[str, Any]]) -> Template | Run:
    """Return the search body or the finished run that `written` specifies; `built_in` has the bodies known by
    name.
    """
    name, equals, source = written.partition("=")
    name, _, index = name.partition("@")
    if not equals:
        if name not in built_in:
            raise MmsearchError(
                f"expected a system as NAME=body.json, NAME=file.run or one of {', '.join(built_in)}, got "
                f"{written!r}"
            )
        return Template(name, built_in[name], index or None)
    if not name or not source:
        raise MmsearchError(f"expected a system as NAME=SOURCE, got {written!r}; give it a name and a source")
    if source in built_in:
        return Template(name, built_in[source], index or None)
    if source.endswith(RUN_ENDINGS):
        if not Path(source).is_file():
            raise MmsearchError(
                f"expected the run of system {name!r} in {source}, found no file; name a TREC run"
            )
        return trec.read_run(Path(source), name)
    return load(name, source, index or None)
