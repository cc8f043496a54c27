"""The storage of a vector field: the k-NN engine, the bits per number, and the location of the vectors."""

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
    # 7 bits per number, with quantiles per segment; the floats stay on disk.
    ("lucene", "byte"): {"name": "sq", "parameters": {"bits": 7}},
    ("faiss", ""): {},
    # By the level only: k-NN 3.5 uses `type: fp16`, 3.6 uses `bits: 16`, and each rejects the other.
    ("faiss", "fp16"): {},
    ("faiss", "binary"): {"name": "binary", "parameters": {"bits": 1}},
}
# On disk, the level sets it: small vectors are searched, and hits are rescored with full vectors.
_LEVELS = {("lucene", "byte"): "4x", ("faiss", "fp16"): "2x", ("faiss", "binary"): "32x"}


@dataclass(frozen=True, slots=True)
class Storage:
    """`encoder` is "" for full floats; `mode` is `on_disk` or `in_memory`. Raise MismatchError for a
    combination that k-NN does not support."""

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
        """Return the storage of the vector field with this mapping."""
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
        """Return the mapping of a vector field of this dimension, with cosine similarity."""
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
        """Raise MismatchError unless every data node reports that it supports this engine: a node without
        support would crash on the first document."""
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
    """Return a vector field's mapping in the form of older releases, which every release accepts."""
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
    """The values of `--knn-engine`, `--knn-encoder` and `--knn-mode`; None if not given."""

    engine: str | None = None
    encoder: str | None = None
    mode: str | None = None

    def over(self, base: Storage) -> Storage:
        """Return `base` with the given options. Raise MismatchError if k-NN does not support the result."""
        return replace(base, **self._given())

    def differing(self, storage: Storage) -> list[str]:
        """Return the options that differ from `storage`, as written."""
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
    """Return the storage as options."""
    return f"--knn-engine {storage.engine} --knn-encoder {storage.encoder or FULL} --knn-mode {storage.mode}"
