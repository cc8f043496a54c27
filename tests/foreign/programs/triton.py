"""Vectors of texts from Triton, by KServe's protocol and the standard library alone."""

from __future__ import annotations

import json
import urllib.request


def encode(url: str, texts: list[str], model: str) -> list[list[float]]:
    """Unit vectors, one a text."""
    vectors: list[list[float]] = []
    for start in range(0, len(texts), 32):
        part = texts[start : start + 32]
        columns = {"TEXT": part, "IMAGE": [""] * len(part)}
        inputs = [
            {"name": name, "datatype": "BYTES", "shape": [len(part), 1], "data": values}
            for name, values in columns.items()
        ]
        body = json.dumps({"inputs": inputs, "outputs": [{"name": "EMBEDDING"}]}).encode()
        with urllib.request.urlopen(f"{url}/v2/models/{model}/infer", body, timeout=60) as answer:
            (output,) = json.load(answer)["outputs"]
        width, data = output["shape"][1], output["data"]
        vectors += [data[row : row + width] for row in range(0, len(data), width)]
    return vectors
