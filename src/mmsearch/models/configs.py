"""The config.pbtxt of each served model, for CPUs and GPUs: one template each for towers, fusions and entry
models.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from mmsearch.models.architecture import SLOTS, Architecture, fusion_inputs
from mmsearch.models.build import ModelSet
from mmsearch.serving.pictures.pixels import NO_TOWER, PARAMETER, Frame

ENTRIES = {"query": "query_encoder", "item": "item_encoder"}
MODELS = (*ENTRIES.values(), *SLOTS, "fusion_query", "fusion_item")
MAX_TEXT_BYTES = 65_536
MAX_IMAGE_BYTES = 20_000_000
PYTHON, GPU, OPENVINO, ONNXRUNTIME = "python", "gpu", "openvino", "onnxruntime"
FILES = {"config.pbtxt": PYTHON} | {f"configs/{name}.pbtxt": name for name in (GPU, OPENVINO, ONNXRUNTIME)}
"""config files below a model's folder, and what runs towers and fusions by them: our Python models, or with
`--model-config-name=NAME` Triton's own backends, on a GPU or on the CPU
"""
ALL = "max_batch_size: 64 version_policy { all {} }"
# No queue delay: it would slow down a single request, and under load batches form without it.
ON_CPU = """
backend: "python"
dynamic_batching { max_queue_delay_microseconds: 0 }
instance_group { count: 1 kind: KIND_CPU }
"""
# The same model.onnx, run by Triton's onnxruntime backend.
ON_GPU = """
backend: "onnxruntime"
dynamic_batching { preferred_batch_size: [ 16, 32, 64 ] max_queue_delay_microseconds: 500 }
instance_group { count: 1 kind: KIND_GPU }
"""
ON_ONNXRUNTIME = """
backend: "onnxruntime"
dynamic_batching { max_queue_delay_microseconds: 0 }
instance_group { count: 2 kind: KIND_CPU }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
"""
# The backend looks for model.xml by default. Batch and length of the files are dynamic.
ON_OPENVINO = """
backend: "openvino"
default_model_filename: "model.onnx"
dynamic_batching { max_queue_delay_microseconds: 0 }
instance_group { count: 1 kind: KIND_CPU }
parameters { key: "SKIP_OV_DYNAMIC_BATCHSIZE" value { string_value: "YES" } }
parameters { key: "PERFORMANCE_HINT" value { string_value: "THROUGHPUT" } }
"""
TEMPLATES = {PYTHON: ON_CPU, GPU: ON_GPU, OPENVINO: ON_OPENVINO, ONNXRUNTIME: ON_ONNXRUNTIME}
# TensorRT chooses fp16 by itself and does not support the int8 form for CPUs: build with --precision fp32 for
# it.
TENSORRT = """
optimization { execution_accelerators { gpu_execution_accelerator {
  name: "tensorrt"
  parameters { key: "precision_mode" value: "FP16" }
  parameters { key: "max_workspace_size_bytes" value: "2147483648" }
  parameters { key: "trt_engine_cache_enable" value: "true" }
  parameters { key: "trt_engine_cache_path" value: "/tmp/mmsearch-tensorrt" }
} } }
"""
# Two instances: one reads and decodes while the towers work for the other.
ENTRY = """
backend: "python"
dynamic_batching { max_queue_delay_microseconds: 0 }
instance_group { count: 2 kind: KIND_CPU }
"""
TOKENS = {"INPUT_IDS": ("INT64", [-1]), "ATTENTION_MASK": ("INT64", [-1])}

Config = Any  # tritonclient's generated message has no types of its own
Tensors = Mapping[str, tuple[str, list[int]]]


def config_of(built: ModelSet, model: str, version: int = 1, run_by: str = PYTHON) -> Config:
    """Return a model's config for a set, which is `version` of it, as Triton's protobuf message.

    `run_by` is a value of `FILES`.
    """
    if model in SLOTS:
        return tower(built, model, run_by)
    if model in ENTRIES.values():
        return entry(built, model, version, run_by)
    return fusion(built, model, run_by)


def tower(built: ModelSet, slot: str, run_by: str) -> Config:
    """Return the config of a tower: token ids or RGB pixels to features."""
    architecture = built.architecture
    found = architecture.towers[architecture.slots[slot]]
    inputs: Tensors = TOKENS
    if found.reads_pictures:
        size = int(found.numbers["size"])
        inputs = {"PIXELS": ("UINT8", [size, size, 3])}
    template = TEMPLATES[run_by] + (TENSORRT if run_by == GPU else "")
    config = _config(slot, template, inputs, {"FEATURES": ("FP32", [found.dimension])})
    if run_by == OPENVINO and built.precision_of(slot) == "fp32":
        # Without it, bf16 is used too where the processor has it; other processors ignore it.
        _say(config, {"HINT_BF16": "YES"})
    if run_by == PYTHON and slot in ("bibert_item", "clip_image"):
        # The response cache is used if the request asks for it, as ingest does: the unchanged modality of an
        # edited product is then not computed again.
        _say(config, {"remember_mib": 128})
    return config


def fusion(built: ModelSet, model: str, run_by: str) -> Config:
    """Return the config of a fusion: features to vectors. A row of zeros is a missing modality. OpenVINO runs
    towers only.
    """
    side = model.removeprefix("fusion_")
    widths = fusion_inputs(built.architecture, side)
    inputs = {name: ("FP32", [width]) for name, width in widths.items()}
    template = TEMPLATES[ONNXRUNTIME if run_by == OPENVINO else run_by]
    config = _config(model, template, inputs, _vectors(built))
    if run_by == GPU and side == "query":
        config.dynamic_batching.preferred_batch_size[:] = [8, 16, 32]
    return config


def entry(built: ModelSet, model: str, version: int, run_by: str) -> Config:
    """Return the config of an entry model: text and image to vectors. Its parameters describe what it
    serves.
    """
    strings = {name: ("STRING", [1]) for name in ("TEXT", "IMAGE")}
    vectors = _vectors(built)
    config = _config(model, ENTRY, strings, vectors | {"FINGERPRINT": ("STRING", [1])})
    said: dict[str, object] = {
        "fingerprint": built.fingerprint,
        "architecture": built.architecture.name,
        "max_text_bytes": MAX_TEXT_BYTES,
        "max_image_bytes": MAX_IMAGE_BYTES,
        # Dimensions of the newest version. `dims` is -1 once versions differ in dimension.
        **{f"dimension.{name}": dims[0] for name, (_, dims) in vectors.items()},
        f"{PARAMETER}{version}": pixels(built),
    }
    if part := text_part(built.architecture):
        said["text_part"] = part
    if run_by == PYTHON:
        # Small towers run in the processes of this model; those of Triton's backends are separate models.
        said["towers_in_process"] = "yes"
    _say(config, said)
    return config


def text_part(architecture: Architecture) -> int:
    """Return the length of the text part of a vector that concatenates a text and an image of equal weight,
    so that a query can weigh them; 0 for another fusion. Weights need products whose parts have one length,
    also those that lack a text or an image.
    """
    fusion = architecture.fusion
    equal = fusion.kind == "cat" and float(fusion.numbers.get("alpha", 0.5)) == 0.5
    return fusion.text_dimension if equal and fusion.numbers.get("substitute") is not None else 0


def pixels(built: ModelSet) -> str:
    """Return what a client must know to send pixels: preprocessing, fit and size of the picture tower."""
    tower = built.architecture.tower("clip_image")
    if tower is None:
        return NO_TOWER
    return Frame(int(tower.numbers["size"]), str(tower.numbers["fit"])).parameter()


def parsed(file: Path) -> Config:
    """Parse a config.pbtxt into Triton's protobuf message. Raise text_format.ParseError."""
    return text_format.Parse(file.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


def written(config: Config) -> str:
    """Return a message as the text of a config.pbtxt."""
    return text_format.MessageToString(config)


def _vectors(built: ModelSet) -> dict[str, tuple[str, list[int]]]:
    fusion = built.architecture.fusion
    return {
        "EMBEDDING": ("FP32", [fusion.dimension]),
        "TEXT_EMBEDDING": ("FP32", [fusion.text_dimension]),
        "IMAGE_EMBEDDING": ("FP32", [fusion.image_dimension]),
    }


def _config(name: str, template: str, inputs: Tensors, outputs: Tensors) -> Config:
    config = text_format.Parse(f'name: "{name}" {ALL} {template}', model_config_pb2.ModelConfig())
    for tensors, field in ((inputs, config.input), (outputs, config.output)):
        for each, (kind, dims) in tensors.items():
            field.add(name=each, data_type=model_config_pb2.DataType.Value(f"TYPE_{kind}"), dims=dims)
    return config


def _say(config: Config, parameters: Mapping[str, object]) -> None:
    for name, value in parameters.items():
        config.parameters[name].string_value = str(value)
