"""The runtime of each tower: what this processor has, what is measured, what is chosen and written down."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from mmsearch.errors import ModelError
from mmsearch.models.architecture import load
from mmsearch.models.build import ModelSet
from mmsearch.models.export.export_cache import Exported
from mmsearch.models.precision import served
from mmsearch.models.repository import assemble
from mmsearch.models.runtime import calibrate, record, samples
from mmsearch.models.runtime.defaults import default_choice
from mmsearch.models.runtime.measure import Figures, Tower
from mmsearch.models.runtime.processor import Processor, present
from mmsearch.serving import runtime
from mmsearch.serving.opening import opened
from mmsearch.serving.runtime import Choice

ONNXRUNTIME, BF16 = Choice("onnxruntime", "fp32"), Choice("openvino", "bf16")
SIZE, WIDTH = 8, 6


def silent(_: str) -> None:
    return None


@pytest.mark.parametrize(
    ("flags", "units", "bf16"),
    [
        ("sse2 avx2 avx512f avx512_vnni avx512_bf16 amx_bf16", "AMX", True),
        ("avx2 avx512f avx512_vnni avx512_bf16", "AVX-512 with bf16", True),
        ("avx2 avx512f avx512_vnni", "AVX-512 with VNNI", False),
        ("avx2 avx512f", "AVX-512", False),
        ("sse2 avx2", "AVX2", False),
        ("sse2", "none", False),
    ],
)
def test_units_come_from_the_flags_of_the_processor(
    tmp_path: Path, flags: str, units: str, bf16: bool
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    found = present(file)
    assert (found.name, found.units, found.bf16) == ("Some CPU", units, bf16)


def test_the_environment_hides_bf16_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("flags : avx512f avx512_vnni avx512_bf16 amx_bf16\n")
    monkeypatch.setenv("MMSEARCH_BF16", "off")
    assert present(file).units == "AVX-512 with VNNI"


def measured(choice: Choice, milliseconds: float, lowest: float = 1.0, median: float = 1.0) -> Figures:
    return Figures(choice, milliseconds, median, median, lowest, 1.0)


def test_the_fastest_within_the_floor_is_chosen() -> None:
    first = measured(ONNXRUNTIME, 10.0)
    fast, wrong = measured(BF16, 4.0, 0.99995), measured(BF16, 2.0, 0.9998)
    assert calibrate.choose([first, wrong, fast], "item") is fast
    assert calibrate.choose([first, wrong], "item") is first
    # Pictures have a floor of their own.
    assert calibrate.choose([first, measured(BF16, 4.0, 0.981, 0.9951)], "picture").choice == BF16
    assert calibrate.choose([first, measured(BF16, 4.0, 0.979, 0.9951)], "picture") is first
    assert calibrate.choose([first, measured(BF16, 4.0, 0.981, 0.9949)], "picture") is first


def test_another_runtime_has_to_save_something() -> None:
    first = measured(ONNXRUNTIME, 10.0)
    assert calibrate.choose([first, measured(BF16, 9.6)], "item") is first
    assert calibrate.choose([first, measured(BF16, 9.4)], "item").choice == BF16
    assert calibrate.choose([first, measured(BF16, 9.4)], "query") is first


def test_int8_of_another_runtime_is_compared_with_int8() -> None:
    int8 = replace(BF16, precision="int8")
    first = measured(replace(ONNXRUNTIME, precision="int8"), 10.0)
    assert calibrate.choose([first, measured(int8, 4.0, 0.99, 0.9991)], "item").choice == int8
    assert calibrate.choose([first, measured(int8, 4.0, 0.99, 0.9989)], "item") is first


def test_samples_are_the_same_in_each_call_and_as_long_as_a_shops_texts() -> None:
    texts = samples.products(50)
    assert texts == samples.products(50)
    assert len(set(texts)) == 50
    assert 40 <= np.mean([len(text.split()) for text in texts]) <= 100
    pictures = samples.pictures(3, 32)
    assert (pictures.shape, pictures.dtype) == ((3, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(pictures, samples.pictures(3, 32))
    assert pictures.std(axis=(1, 2, 3)).min() > 20


def text_tower(file: Path) -> None:
    """Mean of the tokens' vectors."""
    table = np.random.default_rng(0).normal(size=(600, WIDTH)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "INPUT_IDS"], ["rows"]),
        helper.make_node("Cast", ["ATTENTION_MASK"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["present"]),
        helper.make_node("ReduceSum", ["present", "middle"], ["FEATURES"], keepdims=0),
    ]
    constants = {"table": table, "last": np.array([2]), "middle": np.array([1])}
    tokens: list[int | str] = ["batch", "tokens"]
    inputs = {"INPUT_IDS": (TensorProto.INT64, tokens), "ATTENTION_MASK": (TensorProto.INT64, tokens)}
    save(file, nodes, constants, inputs)


def picture_tower(file: Path) -> None:
    """A projection of the pixels."""
    weights = np.random.default_rng(1).normal(size=(SIZE * SIZE * 3, WIDTH)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["PIXELS"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["FEATURES"]),
    ]
    shape: list[int | str] = ["batch", SIZE, SIZE, 3]
    save(file, nodes, {"weights": weights}, {"PIXELS": (TensorProto.UINT8, shape)})


def save(file: Path, nodes: list[Any], constants: dict[str, Any], inputs: dict[str, Any]) -> None:
    graph = helper.make_graph(
        nodes,
        "tower",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info("FEATURES", TensorProto.FLOAT, ["batch", WIDTH])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, file)


def tokenizer(file: Path) -> None:
    words = sorted({word for text in samples.products(80) for word in text.replace(".", " ").split()})
    known = {"[UNK]": 0} | {word: number for number, word in enumerate(words[:590], 1)}
    built = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    built.pre_tokenizer = pre_tokenizers.Whitespace()
    built.save(str(file))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A served repository of real, tiny towers, and an empty cache."""
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MMSEARCH_BF16", raising=False)
    folder = tmp_path / "set"
    default = load("4tmm_cat")
    architecture = replace(
        default,
        towers={
            name: replace(tower, numbers={**tower.numbers, "size": SIZE}) if tower.reads_pictures else tower
            for name, tower in default.towers.items()
        },
    )
    towers = {}
    for name, tower in architecture.towers.items():
        towers[name] = Exported(tower, folder / name)
        (folder / name).mkdir(parents=True)
        if tower.reads_pictures:
            picture_tower(folder / name / "fp32.onnx")
        else:
            text_tower(folder / name / "fp32.onnx")
            shutil.copy(folder / name / "fp32.onnx", folder / name / "int8.onnx")
            tokenizer(folder / name / "tokenizer.json")
    for side in ("query", "item"):
        (folder / f"fusion_{side}.onnx").write_text(side)
    built = ModelSet(folder, architecture, "f" * 64, "fp32", towers, "int8")
    assemble(built, tmp_path / "tree")
    return tmp_path / "tree"


def processor(bf16: bool) -> Processor:
    return Processor("Some CPU", "AVX-512 with bf16" if bf16 else "AVX2", 2)


def test_a_calibration_is_written_beside_the_models_and_done_once(tree: Path) -> None:
    said: list[str] = []
    assert calibrate.calibrate(tree, said.append, processor(True))
    assert len(said) == 3  # queries, items, pictures
    found = record.read(tree)
    assert found["processor"] == {"name": "Some CPU", "units": "AVX-512 with bf16", "cores": 2}
    assert set(found["towers"]) == {"bibert_query/1", "bibert_item/1", "clip_image/1"}
    for name, tower in found["towers"].items():
        model, version = name.split("/")
        choice = Choice(**tower["choice"])
        assert runtime.read(tree / model / version) == {model: choice}
        names = [each["name"] for each in tower["candidates"]]
        wanted = ["int8"] if tower["role"] == "query" else ["bf16", "fp32"]
        assert names == [
            f"onnxruntime-{'int8' if tower['role'] == 'query' else 'fp32'}",
            *(f"openvino-{each}" for each in wanted),
        ]
        assert choice.name in names
        assert tower["milliseconds"] > 0
    # The entry models run the same choices.
    entry = runtime.read(tree / "item_encoder" / "1")
    assert entry == {name: runtime.read(tree / name / "1")[name] for name in ("bibert_item", "clip_image")}
    lines = list(record.sentences(found))
    assert len(lines) == 3
    assert all("overlap@10" in line and "measured" in line for line in lines)

    assert not calibrate.calibrate(tree, said.append, processor(True))
    assert len(said) == 3


def test_another_processor_is_measured_anew_and_the_former_one_is_remembered(tree: Path) -> None:
    said: list[str] = []
    calibrate.calibrate(tree, said.append, processor(True))
    assert calibrate.calibrate(tree, said.append, processor(False))
    assert len(said) == 6
    item = record.read(tree)["towers"]["bibert_item/1"]
    assert [each["name"] for each in item["candidates"]] == ["onnxruntime-fp32", "openvino-fp32"]
    assert calibrate.calibrate(tree, said.append, processor(True))
    assert len(said) == 6


def test_a_version_that_is_added_gets_the_choices_of_the_towers_that_it_shares(tree: Path) -> None:
    calibrate.calibrate(tree, silent, processor(True))
    second = tree / "item_encoder" / "2"
    shutil.copytree(tree / "item_encoder" / "1", second)
    chosen = runtime.read(second)
    runtime.write(second, dict.fromkeys(chosen, Choice()))
    assert calibrate.calibrate(tree, silent, processor(True))
    assert runtime.read(second) == chosen


def test_a_tower_that_no_version_calls_any_more_loses_its_line(tree: Path) -> None:
    second = tree / "item_encoder" / "2"
    shutil.copytree(tree / "item_encoder" / "1", second)
    about = json.loads((second / "serving.json").read_text())
    about["picture_tower"]["version"] = 2
    (second / "serving.json").write_text(json.dumps(about))
    shutil.copytree(tree / "clip_image" / "1", tree / "clip_image" / "2")
    calibrate.calibrate(tree, silent, processor(True))
    assert "clip_image/2" in record.read(tree)["towers"]
    shutil.rmtree(second)
    assert calibrate.calibrate(tree, silent, processor(True))
    assert "clip_image/2" not in record.read(tree)["towers"]
    assert not calibrate.calibrate(tree, silent, processor(True))


def test_a_tree_of_an_earlier_release_is_left_alone(tree: Path) -> None:
    for file in tree.glob("*_encoder/1/serving.json"):
        about = json.loads(file.read_text())
        for tower in (*about["text_towers"], about["picture_tower"]):
            del tower["precision"]
        file.write_text(json.dumps(about))
    said: list[str] = []
    calibrate.calibrate(tree, said.append, processor(True))
    assert said == []
    assert record.read(tree)["towers"] == {}


def test_a_setting_decides_runtime_rows_and_threads(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEARCH_ITEM_RUNTIME", "openvino-fp32:16:2")
    monkeypatch.setenv("MMSEARCH_PICTURE_RUNTIME", "onnxruntime")
    calibrate.calibrate(tree, silent, processor(True))
    towers = record.read(tree)["towers"]
    item = Choice(**towers["bibert_item/1"]["choice"])
    assert (item.name, item.most, item.threads) == ("openvino-fp32", 16, 2)
    assert towers["clip_image/1"]["choice"]["runtime"] == "onnxruntime"
    assert [towers[name]["overridden"] for name in ("bibert_item/1", "clip_image/1", "bibert_query/1")] == [
        True,
        True,
        False,
    ]
    assert any("by setting" in line for line in record.sentences(record.read(tree)))


@pytest.mark.parametrize(
    "setting", ["tensorrt", "openvino-int4", "openvino:0", "openvino:8:1:1", "openvino:"]
)
def test_a_setting_that_cannot_run_is_refused(setting: str) -> None:
    tower = Tower(Path(), "item", default_choice("fp32", pictures=False))
    with pytest.raises(
        ModelError, match=r"expected MMSEARCH_ITEM_RUNTIME to be auto or one of onnxruntime-fp32.*, got"
    ):
        calibrate.override(setting, tower, bf16=True)


def test_bf16_is_no_setting_without_the_units() -> None:
    tower = Tower(Path(), "item", default_choice("fp32", pictures=False))
    with pytest.raises(ModelError, match="got 'openvino-bf16'"):
        calibrate.override("openvino-bf16", tower, bf16=False)


def test_a_tree_without_the_set_serves_it_in_no_precision(tmp_path: Path) -> None:
    assert served(load("4tmm_cat"), tmp_path / "none") is None


def run(session: Any, count: int) -> np.ndarray:
    pixels = samples.pictures(count, SIZE)
    found: np.ndarray = session.run(["FEATURES"], {"PIXELS": pixels})[0]
    return found


def test_each_runtime_gives_the_vectors_of_the_file(tmp_path: Path) -> None:
    picture_tower(tmp_path / "model.onnx")
    exact = run(opened(tmp_path / "model.onnx", ONNXRUNTIME), 5)
    said: list[str] = []
    session = opened(tmp_path / "model.onnx", replace(BF16, precision="fp32"), said.append)
    np.testing.assert_allclose(run(session, 5), exact, rtol=1e-4)
    assert [tensor.name for tensor in session.get_inputs()] == ["PIXELS"]
    assert said == []


def test_hidden_bf16_units_run_in_fp32_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture_tower(tmp_path / "model.onnx")
    monkeypatch.setenv("MMSEARCH_BF16", "off")
    said: list[str] = []
    session = opened(tmp_path / "model.onnx", BF16, said.append)
    exact = run(opened(tmp_path / "model.onnx", ONNXRUNTIME), 5)
    np.testing.assert_allclose(run(session, 5), exact, rtol=1e-4)
    assert said == ["expected bf16 units to run model.onnx, got none; it runs in fp32; repair: mmsearch up"]


def test_without_openvino_the_same_file_runs_by_onnxruntime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture_tower(tmp_path / "model.onnx")
    monkeypatch.delitem(sys.modules, "mmsearch.serving.openvino_session", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    said: list[str] = []
    session = opened(tmp_path / "model.onnx", BF16, said.append)
    assert type(session).__name__ == "InferenceSession"
    assert run(session, 2).shape == (2, WIDTH)
    (line,) = said
    assert line.startswith("expected openvino to run model.onnx as openvino-bf16, got no openvino;")


def test_choices_survive_their_file(tmp_path: Path) -> None:
    choices = {"clip_image": Choice("openvino", "bf16", 1, 4, 1, False)}
    runtime.write(tmp_path, choices)
    assert runtime.read(tmp_path) == choices
    assert json.loads((tmp_path / "runtime.json").read_text())["clip_image"]["most"] == 4
    assert runtime.read(tmp_path / "none") == {}


def test_the_first_calls_of_openvino_may_come_at_once(tmp_path: Path) -> None:
    """Its Python code blocks forever if two threads are the first to call it."""
    picture_tower(tmp_path / "model.onnx")
    code = f"""
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from mmsearch.serving.openvino_session import OpenVINOSession
session = OpenVINOSession(Path({str(tmp_path / "model.onnx")!r}), "fp32", 1, 4, print)
feeds = {{"PIXELS": np.zeros((1, {SIZE}, {SIZE}, 3), np.uint8)}}
with ThreadPoolExecutor(4) as pool:
    assert len(list(pool.map(lambda _: session.run(["FEATURES"], feeds), range(40)))) == 40
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
