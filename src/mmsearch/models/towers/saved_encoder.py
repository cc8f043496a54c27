"""Write a text encoder as Hugging Face and sentence-transformers read it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from mmsearch.models.weights import CONFIG, POOLING, TENSORS, TOKENIZER

MODULES = {
    "Transformer": "",
    "Pooling": "1_Pooling",
    "Normalize": "2_Normalize",
}
TOKENIZER_FILES = ("tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
"""optional files beside `tokenizer.json`, which only other libraries read"""


def write_encoder(encoder: nn.Module, tokenizer: Path, max_tokens: int, folder: Path) -> None:
    """Write a transformers encoder with mean pooling and normalization into the new `folder`.

    `tokenizer` is its `tokenizer.json`; `max_tokens` is the length at which sentence-transformers cuts texts.
    The same weights give the same bytes.
    """
    (folder / POOLING).parent.mkdir(parents=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    save_file(tensors, folder / TENSORS, metadata={"format": "pt"})
    encoder.config.to_json_file(folder / CONFIG)  # type: ignore[operator, union-attr]
    shutil.copyfile(tokenizer, folder / TOKENIZER)
    for name in TOKENIZER_FILES:
        if (tokenizer.parent / name).is_file():
            shutil.copyfile(tokenizer.parent / name, folder / name)
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(MODULES.items())
    ]
    pooling = {
        "word_embedding_dimension": int(encoder.config.hidden_size),  # type: ignore[union-attr, arg-type]
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    _write(folder / "modules.json", modules)
    _write(folder / POOLING, pooling)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False})


def _write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
