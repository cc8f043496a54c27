"""Vectors of an entry model of a Triton under test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tritonclient.grpc as grpcclient


def embeddings(address: str, model: str, texts: Sequence[str], images: Sequence[bytes]) -> np.ndarray:
    """EMBEDDING of n texts and images, float32 [n, dimension]; empty ones are missing."""
    inputs = []
    for name, values in (("TEXT", [text.encode() for text in texts]), ("IMAGE", images)):
        tensor = grpcclient.InferInput(name, [len(values), 1], "BYTES")
        tensor.set_data_from_numpy(np.array(values, dtype=object).reshape(-1, 1))
        inputs.append(tensor)
    with grpcclient.InferenceServerClient(address) as client:
        found: np.ndarray = client.infer(model, inputs).as_numpy("EMBEDDING")
    return found
