"""How a vector field is stored: the k-NN engine, how many bits a number keeps, and where vectors lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from .connect import ask
from .errors import MismatchError

ENGINES = ("lucene", "faiss")
ENCODERS = ("byte", "fp16", "binary")
MODES = ("in_memory", "on_disk")
ATTRIBUTE, NONE = "knn_libraries", "none"
"""the attribute of a node that says that its k-NN has no native libraries, as that of `mmsearch up`"""

_METHODS: dict[tuple[str, str], dict[str, Any]] = {
    ("lucene", ""): {},
    # 7 bits of each number, chosen by each segment; the floats stay on disk.
    ("lucene", "byte"): {"name": "sq", "parameters": {"bits": 7}},
    ("faiss", ""): {},
    ("faiss", "fp16"): {"name": "sq", "parameters": {"type": "fp16"}},
    ("faiss", "binary"): {"name": "binary", "parameters": {"bits": 1}},
}
# On disk the level says it: the searched vectors are small, and hits are scored again by the full ones.
_LEVELS = {("lucene", "byte"): "4x", ("faiss", "fp16"): "2x", ("faiss", "binary"): "32x"}


@dataclass(frozen=True, slots=True)
class Storage:
    """`encoder` is "" for full floats; `mode` is `on_disk` or `in_memory`. Raises MismatchError for a pair
    that k-NN does not have."""

    engine: str = "lucene"
    encoder: str = ""
    mode: str = "in_memory"

    def __post_init__(self) -> None:
        if (self.engine, self.encoder) not in _METHODS:
            takes = [encoder for engine, encoder in _METHODS if engine == self.engine and encoder]
            raise MismatchError(
                f"expected an encoder that {self.engine} has, {' or '.join(takes)}, got {self.encoder}; "
                "change --knn-encoder or --knn-engine"
            )
        if self.mode == "on_disk" and not self.encoder:
            raise MismatchError(
                "expected an encoder beside the mode on_disk, got none; add --knn-encoder "
                f"{'byte' if self.engine == 'lucene' else 'binary'}"
            )

    def field(self, dimension: int) -> dict[str, Any]:
        """The mapping of a vector field of so many floats, compared by cosine."""
        method: dict[str, Any] = {"name": "hnsw", "engine": self.engine, "space_type": "cosinesimil"}
        field = {"type": "knn_vector", "dimension": dimension, "method": method}
        if self.mode == "on_disk":
            return field | {"mode": "on_disk", "compression_level": _LEVELS[self.engine, self.encoder]}
        if encoder := _METHODS[self.engine, self.encoder]:
            method["parameters"] = {"encoder": encoder}
        return field

    def require_libraries(self, client: OpenSearch) -> None:
        """Raises MismatchError when a node says that it cannot run this engine: it would die of the first
        document."""
        if self.engine != "faiss":
            return
        attributes = ask(client, "GET", "/_cat/nodeattrs", params={"format": "json", "h": "node,attr,value"})
        lacking = sorted(
            {each["node"] for each in attributes if (each["attr"], each["value"]) == (ATTRIBUTE, NONE)}
        )
        if lacking:
            raise MismatchError(
                f"expected nodes with k-NN's native libraries for faiss, got {', '.join(lacking)} of "
                "mmsearch up, which has none; leave --knn-engine at lucene, or use the official image's nodes"
            )
