"""An untrained BERT of two layers and four heads, as a folder that `mmsearch train` begins with."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from mmsearch.errors import TrainingError
from mmsearch.models import architecture as architectures
from mmsearch.models.towers.saved_encoder import write_encoder
from mmsearch.models.trained_files import ARCHITECTURE
from mmsearch.training.scratch.vocabulary import END, PADDING, START, UNKNOWN

NAME, ENCODER = "bibert_new", "encoder"
LAYERS, HEADS, DIMENSION = 2, 4, 256
MAX_TOKENS = 128
TRAINING: dict[str, Any] = {
    "steps": 5000,
    "passes": 6.0,
    "batch": 256,
    "tower_rate": 1e-3,
    "warmup": 100,
    "schedule": "cosine",
    "evaluate_every": 100,
    "patience": 8,
    # Half-way back to random weights is no model.
    "interpolated": False,
}
"""numbers of a training from random weights: high rates, and many passes"""


def write(tokenizer: Tokenizer, folder: Path, seed: int = 0) -> Path:
    """Write `architecture.json` and the encoder with random weights into the new `folder`.

    Return the path of the architecture: `bibert` on this encoder, all of whose weights are trained. The same
    tokenizer and seed give the same bytes. Raise TrainingError if the folder has content.
    """
    from transformers import BertConfig, BertModel

    if folder.exists() and any(folder.iterdir()):
        raise TrainingError(f"expected a new or empty folder, got {folder} with files; name another folder")
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=DIMENSION,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * DIMENSION,
        max_position_embeddings=MAX_TOKENS,
        pad_token_id=tokenizer.token_to_id(PADDING),
        architectures=["BertModel"],
    )
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as drafts:
        torch.manual_seed(seed)
        file = Path(drafts) / "tokenizer.json"
        tokenizer.save(str(file))
        described = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MAX_TOKENS,
            "pad_token": PADDING,
            "unk_token": UNKNOWN,
            "cls_token": START,
            "sep_token": END,
        }
        (Path(drafts) / "tokenizer_config.json").write_text(json.dumps(described, indent=2) + "\n")
        write_encoder(BertModel(config, add_pooling_layer=False), file, MAX_TOKENS, folder / ENCODER)
    target = folder / ARCHITECTURE
    target.write_text(json.dumps(data(), indent=2) + "\n", encoding="utf-8")
    return target


def data() -> dict[str, Any]:
    """Return the data of `bibert` on an encoder in the folder ENCODER beside it."""
    found: dict[str, Any] = copy.deepcopy(dict(architectures.load("bibert").data))
    tower = {"kind": "bert", "weights": ENCODER, "dimension": DIMENSION, "max_tokens": MAX_TOKENS}
    found["towers"] = {"text": tower | {"train": "all"}}
    found["slots"] = dict.fromkeys(found["slots"], "text")
    found["fusion"] |= dict.fromkeys(("text_dimension", "image_dimension", "dimension"), DIMENSION)
    return found | {"name": NAME, "training": TRAINING}
