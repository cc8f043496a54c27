"""Every config.pbtxt, checked-in and served, against Triton's own schema and the architecture's numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from mmsearch.errors import ServedTreeError
from mmsearch.models.architecture import SLOTS, Architecture, load
from mmsearch.models.build import ModelSet
from mmsearch.models.export.export_cache import Exported
from mmsearch.models.repository import (
    MODELS,
    SOURCE,
    add,
    assemble,
    next_version,
    parse_config,
    retire,
    serving,
)

CONFIGS = sorted(SOURCE.rglob("*.pbtxt"))
CHECKED_IN = [model for model in MODELS if (SOURCE / model / "config.pbtxt").exists()]
DEFAULT = load("4tmm_cat")


def shapes(tensors: Any) -> dict[str, tuple[int, list[int]]]:
    return {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in tensors}


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


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_config_parses_by_tritons_schema_and_is_named_like_its_folder(file: Path) -> None:
    config = parse_config(file)
    assert config.name == file.relative_to(SOURCE).parts[0]
    assert config.max_batch_size > 1
    assert config.HasField("dynamic_batching")
    assert config.version_policy.HasField("all")


def test_a_misspelt_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_text('nam: "x"')
    with pytest.raises(text_format.ParseError):
        parse_config(tmp_path / "config.pbtxt")


def test_all_eight_models_have_a_config_and_each_tower_one_for_the_gpu() -> None:
    assert tuple(CHECKED_IN) == MODELS
    for slot in SLOTS:
        gpu = parse_config(SOURCE / slot / "configs" / "gpu.pbtxt")
        cpu = parse_config(SOURCE / slot / "config.pbtxt")
        assert gpu.backend == "onnxruntime"
        assert gpu.instance_group[0].kind == gpu.instance_group[0].KIND_GPU
        assert gpu.optimization.execution_accelerators.gpu_execution_accelerator[0].name == "tensorrt"
        assert shapes(gpu.input) == shapes(cpu.input)
        assert shapes(gpu.output) == shapes(cpu.output)


def test_the_served_tree_agrees_with_the_architecture(built: ModelSet, tmp_path: Path) -> None:
    assert assemble(built, tmp_path / "tree")
    for model in MODELS:
        served = parse_config(tmp_path / "tree" / model / "config.pbtxt")
        checked_in = parse_config(SOURCE / model / "config.pbtxt")
        assert shapes(served.input) == shapes(checked_in.input)
        assert shapes(served.output) == shapes(checked_in.output)
    entry = parse_config(tmp_path / "tree" / "item_encoder" / "config.pbtxt")
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
            config = parse_config(tmp_path / "small" / entry / name)
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
    entry = parse_config(tree / "query_encoder" / "config.pbtxt")
    assert shapes(entry.output)["EMBEDDING"][1] == [-1]  # 768 in one version, 384 in the other
    assert shapes(entry.output)["TEXT_EMBEDDING"][1] == [384]
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
