"""What a user writes in an afternoon: decode, two towers, `helpers.bulk`, in two threads of one process.

    python plain_script.py URL INDEX CATALOG TEXT_MODEL TOKENIZER PICTURE_MODEL

It has no check, no retry and no memory of what was encoded. Pillow decodes JPEGs at the tower's size, and
onnxruntime runs the ONNX files that mmsearch serves. Prints `RATE`, products a second, and `CPU`, processor
milliseconds a product, from the first product read to the last one written.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from opensearchpy import OpenSearch, helpers
from PIL import Image
from tokenizers import Tokenizer

SIDE = 224
BATCH = 32
THREADS = 2
MAPPING = {
    "title": {"type": "text"},
    "description": {"type": "text"},
    "embedding": {
        "type": "knn_vector",
        "dimension": 768,
        "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
    },
}


def session(file: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options)


def pixels(file: Path) -> Any:
    """uint8 [SIDE, SIDE, 3], the whole picture on white."""
    with Image.open(file) as picture:
        picture.draft("RGB", (SIDE, SIDE))
        small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    square = Image.new("RGB", (SIDE, SIDE), "white")
    square.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return np.asarray(square)


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main(url: str, index: str, catalog: str, text_model: str, tokenizer: str, picture_model: str) -> None:
    text_tower, picture_tower = session(text_model), session(picture_model)
    tokens = Tokenizer.from_file(tokenizer)
    tokens.enable_truncation(128)
    tokens.enable_padding()
    client, root = OpenSearch(url), Path(catalog).parent
    client.indices.delete(index=index, ignore_unavailable=True)
    settings = {"index.knn": True, "number_of_replicas": 0}
    client.indices.create(index=index, body={"settings": settings, "mappings": {"properties": MAPPING}})

    def write(products: Sequence[dict[str, Any]]) -> None:
        texts = [
            f"{product['title']} {product.get('category', '')} {product['description']}"
            for product in products
        ]
        found = tokens.encode_batch(texts)
        feeds = {
            "INPUT_IDS": np.array([each.ids for each in found], np.int64),
            "ATTENTION_MASK": np.array([each.attention_mask for each in found], np.int64),
        }
        (words,) = text_tower.run(None, feeds)[:1]
        pictures = np.stack([pixels(root / product["image"]) for product in products])
        (views,) = picture_tower.run(None, {"PIXELS": pictures})[:1]
        vectors = np.hstack([unit(words), unit(views)]) / np.sqrt(2)
        helpers.bulk(
            client,
            (
                {"_index": index, "_id": product["id"], **product, "embedding": vector.tolist()}
                for product, vector in zip(products, vectors, strict=True)
            ),
        )

    started, before = time.perf_counter(), time.process_time()
    products = [json.loads(line) for line in Path(catalog).read_text(encoding="utf-8").splitlines()]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, [products[at : at + BATCH] for at in range(0, len(products), BATCH)]))
    spent = time.process_time() - before
    print(f"RATE {len(products) / (time.perf_counter() - started)}")
    print(f"CPU {1e3 * spent / len(products)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
