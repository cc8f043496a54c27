"""A small BERT with random weights and twenty words, written as a training writes a text encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from mmsearch.models import architecture as architectures
from mmsearch.models.architecture import Architecture
from mmsearch.models.towers.saved_encoder import write_encoder

DIMENSION, LAYERS = 16, 3
WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
    *("chair", "table", "lamp", "sofa", "red", "blue", "oak", "old"),
    *("seat", "desk", "light", "couch", "crimson", "azure", "wood", "antique"),
)
TRAINING = {
    "steps": 8,
    "batch": 16,
    "rate": 0.01,
    "tower_rate": 0.01,
    "evaluate_every": 4,
    "seed": 3,
    "holdout": 0.2,
    "patience": 9,
}


def encoder(folder: Path, seed: int = 0) -> Path:
    """The folder of an encoder of three layers."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=DIMENSION,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=32,
        architectures=["BertModel"],
    )
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.add_special_tokens(list(WORDS[:4]))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    drafts = folder.with_name(f"{folder.name}-tokenizer")
    drafts.mkdir(parents=True)
    tokenizer.save(str(drafts / "tokenizer.json"))
    said = {"tokenizer_class": "BertTokenizer", "pad_token": "[PAD]", "model_max_length": 32}
    (drafts / "tokenizer_config.json").write_text(json.dumps(said))
    write_encoder(BertModel(config, add_pooling_layer=False), drafts / "tokenizer.json", 12, folder)
    return folder


def data(name: str, weights: Path, train: Any = None, **training: Any) -> dict[str, Any]:
    """The architecture with a small encoder as its text tower, and narrow heads."""
    found = dict(architectures.load(name).data)
    minilm = {"kind": "bert", "weights": str(weights), "dimension": DIMENSION, "max_tokens": 12}
    found["towers"] = found["towers"] | {"minilm": minilm if train is None else minilm | {"train": train}}
    fusion = dict(found["fusion"])
    fusion |= {"text_dimension": DIMENSION, "image_dimension": DIMENSION}
    fusion |= {"dimension": fusion["dimension"] * DIMENSION // 384}
    if "hidden" in fusion:
        fusion |= {"hidden": 12} | ({"axes": 6} if fusion["axes"] else {})
    found["training"] = found.get("training", {}) | TRAINING | training
    return found | {"fusion": fusion}


def architecture(name: str, weights: Path, train: Any = None, **training: Any) -> Architecture:
    return architectures.parse(data(name, weights, train, **training))
