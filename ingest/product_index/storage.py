"""How a vector field is stored: the k-NN engine, how many bits a number keeps, and where vectors lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from opensearchpy import OpenSearch

from mmsearch.clients.native_libraries import ACTION, by_node, lacking
from mmsearch.clients.opensearch import HttpError
from mmsearch.errors import MismatchError

ENGINES = ("lucene", "faiss")
ENCODERS = ("byte", "fp16", "binary")
MODES = ("in_memory", "on_disk")
FULL = "float"
"""what the option calls full floats; in `Storage` they are the empty text"""

_METHODS: dict[tuple[str, str], dict[str, Any]] = {
    ("lucene", ""): {},
    # 7 bits of each number, chosen by each segment; the floats stay on disk.
    ("lucene", "byte"): {"name": "sq", "parameters": {"bits": 7}},
    ("faiss", ""): {},
    # By its level alone: what k-NN 3.5 calls `type: fp16`, 3.6 calls `bits: 16`, and each refuses the other.
    ("faiss", "fp16"): {},
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
                "expected an encoder with the mode on_disk, got none; add --knn-encoder "
                f"{'byte' if self.engine == 'lucene' else 'binary'}"
            )

    @classmethod
    def of(cls, field: Mapping[str, Any]) -> Storage:
        """How the vector field with this mapping is stored."""
        method: dict[str, Any] = field.get("method") or {}
        engine, mode = method.get("engine", "lucene"), field.get("mode", "in_memory")
        encoder = method.get("parameters", {}).get("encoder") or {}
        bits = encoder.get("parameters", {}).get("bits")
        match engine, encoder.get("name"):
            case "lucene", "sq":
                return cls(engine, "byte", mode)
            case "faiss", "sq" | "binary" as name:
                return cls(engine, "binary" if name == "binary" or bits == 1 else "fp16", mode)
        levels = {(of, level): encoder for (of, encoder), level in _LEVELS.items()}
        return cls(engine, levels.get((engine, field.get("compression_level", "")), ""), mode)

    def field(self, dimension: int) -> dict[str, Any]:
        """The mapping of a vector field of so many floats, compared by cosine."""
        method: dict[str, Any] = {"name": "hnsw", "engine": self.engine, "space_type": "cosinesimil"}
        field = {"type": "knn_vector", "dimension": dimension, "method": method}
        if self.mode == "on_disk":
            return field | {"mode": "on_disk", "compression_level": _LEVELS[self.engine, self.encoder]}
        if encoder := _METHODS[self.engine, self.encoder]:
            method["parameters"] = {"encoder": encoder}
        elif self.encoder:
            field["compression_level"] = _LEVELS[self.engine, self.encoder]
        return field

    def require_libraries(self, client: OpenSearch) -> None:
        """Raises MismatchError unless every data node says that it can run this engine: one that cannot would
        die of the first document."""
        if self.engine != "faiss":
            return
        try:
            lacks = lacking(by_node(client))
        except HttpError as error:
            raise MismatchError(
                "expected every data node to report whether it has k-NN's native libraries for faiss, got "
                f"{error}; grant {ACTION}, or leave --knn-engine at lucene"
            ) from None
        if lacks:
            raise MismatchError(
                f"expected k-NN's native libraries for faiss on every data node, got {lacks}; use nodes of "
                "the official image with the mmsearch plugin, or leave --knn-engine at lucene"
            )


def for_every_release(field: Mapping[str, Any]) -> dict[str, Any]:
    """A vector field's mapping, as a node of an older release has it, so that each release takes it."""
    method: dict[str, Any] = field.get("method") or {}
    others = {**method.get("parameters", {})}
    encoder: dict[str, Any] = others.pop("encoder", None) or {}
    parameters = encoder.get("parameters", {})
    if encoder.get("name") != "sq" or parameters.get("type") != "fp16" or parameters.get("clip"):
        return dict(field)
    kept = {**method, "parameters": others}
    return {**field, "compression_level": _LEVELS["faiss", "fp16"], "method": kept}


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """What `--knn-engine`, `--knn-encoder` and `--knn-mode` say; None for each that was not given."""

    engine: str | None = None
    encoder: str | None = None
    mode: str | None = None

    def over(self, base: Storage) -> Storage:
        """`base` with what was given. Raises MismatchError for a storage that k-NN does not have."""
        return replace(base, **self._given())

    def differing(self, storage: Storage) -> list[str]:
        """The options that `storage` does not have, as they are written."""
        return [
            f"--knn-{name} {value or FULL}"
            for name, value in self._given().items()
            if value != getattr(storage, name)
        ]

    def __bool__(self) -> bool:
        return bool(self._given())

    def _given(self) -> dict[str, str]:
        given = {"engine": self.engine, "encoder": self.encoder, "mode": self.mode}
        return {name: "" if value == FULL else value for name, value in given.items() if value is not None}


def described(storage: Storage) -> str:
    """The storage as options."""
    return f"--knn-engine {storage.engine} --knn-encoder {storage.encoder or FULL} --knn-mode {storage.mode}"
