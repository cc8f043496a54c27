"""Every config.pbtxt that is served, against facts kept here, and the tree that it is served from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from mmsearch.errors import ServedTreeError
from mmsearch.models.architecture import SLOTS, Architecture, load, names
from mmsearch.models.build import ModelSet
from mmsearch.models.configs import FILES, MODELS, config_of, parsed, text_part
from mmsearch.models.export.export_cache import Exported
from mmsearch.models.repository import SOURCE, add, assemble, next_version, retire, serving

DEFAULT = load("4tmm_cat")
TOKENS = {"INPUT_IDS": ("TYPE_INT64", [-1]), "ATTENTION_MASK": ("TYPE_INT64", [-1])}
PIXELS = {"PIXELS": ("TYPE_UINT8", [224, 224, 3])}
WORDS, PICTURE = {"TEXT": ("TYPE_FP32", [384])}, {"IMAGE": ("TYPE_FP32", [384])}
STRINGS = {"TEXT": ("TYPE_STRING", [1]), "IMAGE": ("TYPE_STRING", [1])}
FEATURES = {"FEATURES": ("TYPE_FP32", [384])}
VECTORS = {
    "EMBEDDING": ("TYPE_FP32", [768]),
    "TEXT_EMBEDDING": ("TYPE_FP32", [384]),
    "IMAGE_EMBEDDING": ("TYPE_FP32", [384]),
}
ENTRY = VECTORS | {"FINGERPRINT": ("TYPE_STRING", [1])}
REMEMBERS = {"remember_mib": "128"}
SERVED: dict[str, tuple[Any, Any, dict[str, str]]] = {
    "query_encoder": (STRINGS, ENTRY, {"towers_in_process": "yes"}),
    "item_encoder": (STRINGS, ENTRY, {"towers_in_process": "yes"}),
    "bibert_query": (TOKENS, FEATURES, {}),
    "bibert_item": (TOKENS, FEATURES, REMEMBERS),
    "clip_text": (TOKENS, FEATURES, {}),
    "clip_image": (
        PIXELS,
        FEATURES,
        REMEMBERS,
    ),
    "fusion_query": (
        WORDS | {"CLIP_TEXT": ("TYPE_FP32", [384])} | PICTURE,
        VECTORS,
        {},
    ),
    "fusion_item": (WORDS | PICTURE, VECTORS, {}),
}
"""model → inputs, outputs and parameters of the default architecture on a CPU"""
ENTRIES = ("query_encoder", "item_encoder")


def shapes(tensors: Any) -> dict[str, tuple[int, list[int]]]:
    return {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in tensors}


def named(tensors: Any) -> dict[str, tuple[str, list[int]]]:
    kinds = model_config_pb2.DataType
    return {each.name: (kinds.Name(each.data_type), list(each.dims)) for each in tensors}


def parameters(config: Any) -> dict[str, str]:
    return {name: each.string_value for name, each in config.parameters.items()}


@pytest.fixture
def built(tmp_path: Path) -> ModelSet:
    return drawn_set(tmp_path / "set", DEFAULT, "f" * 64)


def drawn_set(folder: Path, architecture: Architecture, fingerprint: str, mark: str = "") -> ModelSet:
    """A set whose files hold their own names, and `mark` in the fusion's."""
    towers = {}
    for name, tower in architecture.towers.items():
        towers[name] = Exported(tower, folder / name)
        (folder / name).mkdir(parents=True)
        for file in ("fp32.onnx", "int8.onnx", "tokenizer.json"):
            (folder / name / file).write_text(f"{name} {tower.kind} {file}")
    for file in ("fusion_query.onnx", "fusion_item.onnx"):
        (folder / file).write_text(file + mark)
    return ModelSet(folder, architecture, fingerprint, "int8", towers)


def test_every_model_that_is_served_has_its_facts_here() -> None:
    assert set(SERVED) == set(MODELS) == {path.parents[1].name for path in SOURCE.glob("*/1/model.py")}


@pytest.mark.parametrize("model", SERVED)
def test_on_a_cpu_the_python_backend_serves_what_its_facts_say(built: ModelSet, model: str) -> None:
    config = config_of(built, model)
    inputs, outputs, said = SERVED[model]
    assert (config.name, config.backend, config.max_batch_size) == (model, "python", 64)
    assert (named(config.input), named(config.output)) == (inputs, outputs)
    assert config.HasField("dynamic_batching")
    assert (config.dynamic_batching.max_queue_delay_microseconds, config.version_policy.HasField("all")) == (
        0,
        True,
    )
    (group,) = config.instance_group
    assert (group.count, group.kind) == (2 if model in ENTRIES else 1, group.KIND_CPU)
    if model in ENTRIES:
        said = said | {
            "fingerprint": "f" * 64,
            "architecture": "4tmm_cat",
            "max_text_bytes": "65536",
            "max_image_bytes": "20000000",
            "dimension.EMBEDDING": "768",
            "dimension.TEXT_EMBEDDING": "384",
            "dimension.IMAGE_EMBEDDING": "384",
            "text_part": "384",
            "pixels.1": "2 pad 224",
        }
    assert parameters(config) == said


@pytest.mark.parametrize("architecture", [name for name in names() if name != "4tmm_cat"])
def test_only_parts_of_equal_weight_can_be_weighed_by_a_query(architecture: str) -> None:
    assert (text_part(load(architecture)), text_part(DEFAULT)) == (0, 384)


@pytest.mark.parametrize("model", SERVED)
def test_on_a_gpu_triton_runs_towers_and_fusions_itself(built: ModelSet, model: str) -> None:
    cpu, gpu = config_of(built, model), config_of(built, model, run_by="gpu")
    assert (gpu.name, shapes(gpu.input), shapes(gpu.output)) == (model, shapes(cpu.input), shapes(cpu.output))
    if model in ENTRIES:
        assert gpu.backend == "python"
        assert parameters(gpu) == {k: v for k, v in parameters(cpu).items() if k != "towers_in_process"}
        return
    (group,) = gpu.instance_group
    assert (gpu.backend, group.count, group.kind) == ("onnxruntime", 1, group.KIND_GPU)
    sizes = [8, 16, 32] if model == "fusion_query" else [16, 32, 64]
    assert list(gpu.dynamic_batching.preferred_batch_size) == sizes
    assert gpu.dynamic_batching.max_queue_delay_microseconds == 500
    accelerators = gpu.optimization.execution_accelerators.gpu_execution_accelerator
    assert [(each.name, dict(each.parameters)) for each in accelerators] == [
        (
            "tensorrt",
            {
                "precision_mode": "FP16",
                "max_workspace_size_bytes": "2147483648",
                "trt_engine_cache_enable": "true",
                "trt_engine_cache_path": "/tmp/mmsearch-tensorrt",
            },
        )
    ] * (model in SLOTS)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("model", SERVED)
def test_on_a_cpu_tritons_own_backends_run_the_same_files(built: ModelSet, model: str, backend: str) -> None:
    ours, own = config_of(built, model), config_of(built, model, run_by=backend)
    assert (shapes(own.input), shapes(own.output)) == (shapes(ours.input), shapes(ours.output))
    (group,) = own.instance_group
    assert group.kind == group.KIND_CPU
    if model in ENTRIES:
        assert own.backend == "python"
        assert "towers_in_process" not in parameters(own)
    elif backend == "onnxruntime" or model not in SLOTS:
        assert own.backend == "onnxruntime"
        assert parameters(own) == {"intra_op_thread_count": "1"}
    else:
        assert (own.backend, own.default_model_filename) == ("openvino", "model.onnx")
        assert parameters(own) == {
            "SKIP_OV_DYNAMIC_BATCHSIZE": "YES",
            "PERFORMANCE_HINT": "THROUGHPUT",
            # The text towers of this set are int8.
            **({"HINT_BF16": "YES"} if model == "clip_image" else {}),
        }


def test_the_tree_holds_each_config_as_it_is_made(built: ModelSet, tmp_path: Path) -> None:
    assemble(built, tmp_path / "tree")
    for model in MODELS:
        for name, run_by in FILES.items():
            assert parsed(tmp_path / "tree" / model / name) == config_of(built, model, run_by=run_by)


def test_a_set_without_a_picture_tower_says_so(tmp_path: Path) -> None:
    texts = drawn_set(tmp_path, load("bibert"), "b" * 64)
    assert parameters(config_of(texts, "item_encoder", 7))["pixels.7"] == "none"


def test_a_misspelt_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_text('nam: "x"')
    with pytest.raises(text_format.ParseError):
        parsed(tmp_path / "config.pbtxt")


def test_the_served_tree_agrees_with_the_architecture(built: ModelSet, tmp_path: Path) -> None:
    assert assemble(built, tmp_path / "tree")
    entry = parsed(tmp_path / "tree" / "item_encoder" / "config.pbtxt")
    assert shapes(entry.output)["EMBEDDING"][1] == [DEFAULT.fusion.dimension]
    assert entry.parameters["fingerprint"].string_value == built.fingerprint
    assert entry.parameters["architecture"].string_value == "4tmm_cat"
    assert int(entry.parameters["max_image_bytes"].string_value) == 20_000_000
    assert (tmp_path / "tree" / "clip_text" / "1" / "model.onnx").read_text() == "minilm bert int8.onnx"
    assert (
        tmp_path / "tree" / "clip_image" / "1" / "model.onnx"
    ).read_text() == "lite0 class_names fp32.onnx"


def test_an_entry_holds_the_files_of_small_towers_and_calls_the_large_ones(
    built: ModelSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_process(tree: Path, entry: str) -> list[str]:
        folder = tree / entry / "1"
        about = json.loads((folder / "serving.json").read_text())
        towers = [*about["text_towers"], about["picture_tower"]]
        files = [tower["in_process"]["file"] for tower in towers if tower["in_process"]]
        assert sorted(path.name for path in folder.glob("*.onnx")) == sorted([*files, "fusion.onnx"])
        return files

    assemble(built, tmp_path / "small")
    assert in_process(tmp_path / "small", "query_encoder") == ["bibert_query.onnx", "clip_image.onnx"]
    assert in_process(tmp_path / "small", "item_encoder") == ["bibert_item.onnx", "clip_image.onnx"]
    monkeypatch.setattr("mmsearch.models.repository.MOST_IN_PROCESS", 1)
    assemble(built, tmp_path / "large")
    assert in_process(tmp_path / "large", "query_encoder") == []
    for name, said in (("config.pbtxt", "yes"), ("configs/gpu.pbtxt", "")):
        for entry in ("query_encoder", "item_encoder"):
            config = parsed(tmp_path / "small" / entry / name)
            assert config.parameters["towers_in_process"].string_value == said


def test_assembling_twice_changes_nothing_and_another_set_replaces_it(
    built: ModelSet, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    assemble(built, tree)
    (tree / "mark").touch()
    assert not assemble(built, tree)
    assert (tree / "mark").exists()
    assert assemble(replace(built, fingerprint="e" * 64, precision="fp32"), tree)
    assert not (tree / "mark").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "tree"]


def test_a_second_version_stands_beside_the_first_and_serves_no_tower_twice(
    built: ModelSet, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    assemble(built, tree)
    smaller = load("3tmm_gated")
    trained = drawn_set(tmp_path / "trained", smaller, "a" * 64, " trained")
    assert next_version(trained, tree) == (2, True)
    changed = add(trained, tree, 2)
    assert changed == ["clip_image", "fusion_query", "fusion_item", "query_encoder", "item_encoder"]
    assert next_version(trained, tree) == (2, False)
    assert next_version(built, tree) == (1, False)
    described = json.loads((tree / "item_encoder" / "2" / "serving.json").read_text())
    assert described["fingerprint"] == "a" * 64
    assert described["text_towers"][0]["version"] == 1
    assert described["picture_tower"]["version"] == described["fusion"]["version"] == 2
    entry = parsed(tree / "query_encoder" / "config.pbtxt")
    assert shapes(entry.output)["EMBEDDING"][1] == [-1]  # 768 in one version, 384 in the other
    assert shapes(entry.output)["TEXT_EMBEDDING"][1] == [384]
    # A client that encodes by the first version must know what its picture tower takes.
    assert {key: value for key, value in parameters(entry).items() if key.startswith("pixels.")} == {
        "pixels.1": "2 pad 224",
        "pixels.2": "2 pad 224",
    }
    assert not assemble(built, tree)
    assert (tree / "query_encoder" / "2").is_dir()


def test_a_folder_of_other_things_is_left_alone(built: ModelSet, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "photo.jpg").touch()
    with pytest.raises(ServedTreeError, match="got other files"):
        assemble(built, tmp_path / "tree")
    assert [path.name for path in (tmp_path / "tree").iterdir()] == ["photo.jpg"]


def test_a_tower_in_two_slots_of_a_query_is_called_once(built: ModelSet) -> None:
    pins = dict.fromkeys(MODELS, 3)
    query, item = serving(built, "query", pins), serving(built, "item", pins)
    assert [(tower["model"], tower["feeds"]) for tower in query["text_towers"]] == [
        ("bibert_query", ["TEXT", "CLIP_TEXT"])
    ]
    assert [(tower["model"], tower["feeds"]) for tower in item["text_towers"]] == [("bibert_item", ["TEXT"])]
    versions = [query["fusion"]["version"], query["picture_tower"]["version"]]
    assert versions + [tower["version"] for tower in query["text_towers"]] == [3, 3, 3]
    json.dumps(query)


def versions_of(tree: Path) -> dict[str, list[str]]:
    return {model: sorted(each.name for each in (tree / model).glob("[0-9]*")) for model in MODELS}


def test_a_retired_version_leaves_what_others_use_of_it(built: ModelSet, tmp_path: Path) -> None:
    """Version 2 has version 1's towers and a fusion of its own; version 3 reads no words by CLIP."""
    tree = tmp_path / "tree"
    assemble(built, tree)
    second = drawn_set(tmp_path / "second", load("4tmm_gated"), "a" * 64, mark=" trained")
    second = replace(second, towers=built.towers | second.towers)
    add(second, tree, 2)
    before = versions_of(tree)

    remaining = retire(tree, 1)
    after = versions_of(tree)
    assert list(remaining)[:2] == ["query_encoder", "item_encoder"]
    assert after == before | {model: [str(each) for each in left] for model, left in remaining.items()}
    for entry in ("query_encoder", "item_encoder"):
        assert after[entry] == ["2"]
        about = json.loads((tree / entry / "2" / "serving.json").read_text())
        for called in (*about["text_towers"], about["fusion"]):
            assert (tree / called["model"] / str(called["version"]) / "model.onnx").exists()
    # Built again it is not version 1 once more, nor is the whole tree replaced.
    assert not assemble(built, tree)
    assert versions_of(tree) == after
    assert next_version(built, tree) == (3, True)
    with pytest.raises(ServedTreeError, match=r"expected a version out of 2 in .*, got 1"):
        retire(tree, 1)
    with pytest.raises(ServedTreeError, match="expected a version older than 2, which is the newest"):
        retire(tree, 2)


def test_a_model_that_no_version_uses_any_more_is_gone(built: ModelSet, tmp_path: Path) -> None:
    """Triton does not start with a model that has no version."""
    tree = tmp_path / "tree"
    assemble(built, tree)
    words = drawn_set(tmp_path / "words", load("bibert_mlp"), "b" * 64)
    add(words, tree, 2)
    assert (tree / "clip_image").exists()
    remaining = retire(tree, 1)
    assert remaining["clip_image"] == []
    assert not (tree / "clip_image").exists()
    assert sorted(json.loads((tree / "served.json").read_text())["versions"]) == ["2"]
