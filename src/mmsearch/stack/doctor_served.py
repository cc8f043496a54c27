"""Checks of `mmsearch doctor` in a container, where the servers run elsewhere and only their addresses are
known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from opensearchpy import OpenSearch

from mmsearch.clients.native_libraries import ACTION, by_node, lacking
from mmsearch.clients.opensearch import DEFAULT_URL, HttpError, ask, connect
from mmsearch.clients.triton import DEFAULT_TRITON, Encoder, Served
from mmsearch.errors import FaultError, MmsearchError
from mmsearch.stack.doctor import Finding, numpy, python, vector_fields


def examine_served() -> list[Finding]:
    """Check Python, the servers in MMSEARCH_OPENSEARCH and MMSEARCH_TRITON, and their compatibility."""
    found = [python(), numpy(), cache()]
    with closing(Encoder(os.environ.get("MMSEARCH_TRITON", DEFAULT_TRITON))) as encoder:
        triton, served = encoding(encoder)
    found.append(triton)
    try:
        with closing(connect(os.environ.get("MMSEARCH_OPENSEARCH", DEFAULT_URL))) as client:
            found += node(client, served)
    except MmsearchError as error:
        found.append(refused("OpenSearch", error))
    return found


def cache() -> Finding:
    """Check the cache folder, where an ingest stores its journal."""
    folder = Path(os.environ.get("MMSEARCH_CACHE", ""))
    if os.environ.get("MMSEARCH_CACHE") and not os.access(folder, os.W_OK):
        return Finding(
            "state", "wrong", f"{folder} cannot be written", "a volume there that user 10001 may write"
        )
    return Finding("state", "ok", str(folder))


def encoding(encoder: Encoder) -> tuple[Finding, Served | None]:
    """Check that a product's text is encoded: readiness stays true when a model process is dead."""
    try:
        served = encoder.describe()
        encoder.encode([(b"chair", b"")], served, ["EMBEDDING"])
    except FaultError as error:
        return Finding(
            "Triton", "wrong", f"{encoder.name} does not encode: {error}", "mmsearch logs triton"
        ), None
    except MmsearchError as error:
        return refused("Triton", error), None
    return Finding("Triton", "ok", f"{encoder.name} encodes by {served.item_model} {served.version}"), served


def node(client: OpenSearch, served: Served | None) -> Iterator[Finding]:
    """Check the node's version, its plugin, and each mmsearch index. Raise MmsearchError."""
    version = ask(client, "GET", "/")["version"]["number"]
    yield Finding("OpenSearch", "ok", f"{version}, which accepts our credentials")
    plugins = ask(client, "GET", "/_cat/plugins", params={"format": "json"})
    ours = {each["version"] for each in plugins if each["component"] == "mmsearch"}
    if ours:
        yield Finding("plugin", "ok", f"mmsearch {', '.join(sorted(ours))}")
        yield faiss(client)
    else:
        yield Finding(
            "plugin", "wrong", "the node lacks mmsearch", "make plugin, and install its zip in each node"
        )
    for index, field, about in vector_fields(ask(client, "GET", "/_mapping")):
        name = f"{index}.{field}"
        if served is None:
            yield Finding(name, "note", "not compared: Triton does not encode")
        elif about["fingerprint"] == served.fingerprint:
            yield Finding(name, "ok", f"made by the served {about['model']}, {served.fingerprint[:12]}")
        else:
            yield Finding(
                name,
                "wrong",
                f"made by {about['model']} {about['fingerprint'][:12]}, served is {served.fingerprint[:12]}",
                "serve that model again, or mmsearch reindex",
            )


def faiss(client: OpenSearch) -> Finding:
    """Check that a faiss index can be created: every data node needs k-NN's native libraries."""
    try:
        lacks = lacking(by_node(client))
    except HttpError as error:
        return Finding("faiss", "note", f"not known: {error}", f"grant {ACTION}")
    if lacks:
        return Finding("faiss", "note", f"of k-NN's native libraries {lacks}", "leave --knn-engine at lucene")
    return Finding("faiss", "ok", "every data node has k-NN's native libraries")


def refused(name: str, error: MmsearchError) -> Finding:
    """Convert an error to a finding. The repair is the text after the last semicolon."""
    text = error.sentence()
    found, _, repair = text.rpartition("; ")
    return Finding(name, "wrong", found or text, repair.removeprefix("repair: ") if found else "")
