"""int8 towers: rounding by hand, rows that do not depend on one another, wide channels, and the cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from mmsearch.models import architecture as architectures
from mmsearch.models.export.calibration import Loss, calibration_texts, overlap, read, write
from mmsearch.models.export.export_cache import exported
from mmsearch.models.export.quantize import quantize
from mmsearch.serving.sessions import exact
from mmsearch.training import precision
from mmsearch.training.objective import Features
from mmsearch.training.precision import Compared

from ..fakes.small_clip import towers

TABLE = np.array([[1, 0.5, 0.1, -1], [100, 50, 10, -20], [0, 0, 0, 0]], np.float32)
WEIGHTS = np.array([[2, 1], [-1, 4], [0.5, 0.5], [1, -3]], np.float32)


def run(file: Path, ids: np.ndarray) -> np.ndarray:
    feeds = {"INPUT_IDS": ids, "ATTENTION_MASK": np.ones_like(ids)}
    found: np.ndarray = onnxruntime.InferenceSession(file, exact()).run(None, feeds)[0]
    return found


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A table of three words and one product: word numbers [n, t] to float32 [n, t, 2]."""
    nodes = [
        helper.make_node("Mul", ["INPUT_IDS", "ATTENTION_MASK"], ["ids"]),
        helper.make_node("Gather", ["table", "ids"], ["words"]),
        helper.make_node("MatMul", ["words", "weights"], ["FEATURES"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"])
        for name in ("INPUT_IDS", "ATTENTION_MASK")
    ]
    outputs = [helper.make_tensor_value_info("FEATURES", TensorProto.FLOAT, ["n", "t", 2])]
    constants = [numpy_helper.from_array(TABLE, "table"), numpy_helper.from_array(WEIGHTS, "weights")]
    graph = helper.make_graph(nodes, "small", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "fp32.onnx")
    return tmp_path / "fp32.onnx"


def fed(*rows: list[int]) -> dict[str, np.ndarray]:
    ids = np.array(rows, np.int64)
    return {"INPUT_IDS": ids, "ATTENTION_MASK": np.ones_like(ids)}


def test_products_and_tables_are_rounded_to_one_part_in_127(small: Path) -> None:
    target = small.with_name("int8.onnx")
    quantize(small, target, [fed([0, 1, 2])])
    exact, rounded = run(small, np.array([[0, 1, 2]])), run(target, np.array([[0, 1, 2]]))
    np.testing.assert_allclose(exact[0, 0], [0.55, 6.05], rtol=1e-6)  # 2 - .5 + .05 - 1, 1 + 2 + .05 + 3
    # A step of the activations is a 255th of their width, one of the weights a 127th of a column's widest.
    np.testing.assert_allclose(rounded[0, 1], exact[0, 1], rtol=0.03)
    np.testing.assert_array_equal(rounded[0, 2], [0, 0])
    stored = {tensor.name: tensor for tensor in onnx.load(target).graph.initializer}
    assert {name for name in stored if name.endswith("int8")} == {"words.table.int8", "FEATURES.weight.int8"}
    table = numpy_helper.to_array(stored["words.table.int8"])
    np.testing.assert_array_equal(table[:2], [[127, 64, 13, -127], [127, 64, 13, -25]])


def test_a_wide_channel_does_not_cost_the_others_their_precision(tmp_path: Path, small: Path) -> None:
    model = onnx.load(small)
    wide = np.array([[1, 0.01, 0.02, -0.01], [-1, 0.02, -0.01, 0.01], [0.5, 0.01, 0.01, 0.02]], np.float32)
    wide[:, 0] *= 100
    narrow = WEIGHTS * np.array([[0.0001], [1], [1], [1]], np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(wide, "table"))
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(narrow, "weights"))
    nodes = model.graph.node
    # Looked up by another node, so that the table stays exact and only the product is rounded.
    nodes[1].CopyFrom(helper.make_node("GatherND", ["table", "places"], ["words"]))
    nodes.insert(1, helper.make_node("Unsqueeze", ["ids", "last"], ["places"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([2], np.int64), "last"))
    onnx.save(model, tmp_path / "wide.onnx")
    ids = np.array([[0, 1, 2]])
    exact = run(tmp_path / "wide.onnx", ids)

    quantize(tmp_path / "wide.onnx", tmp_path / "int8.onnx", [fed([0, 1, 2])])
    evened = np.abs(run(tmp_path / "int8.onnx", ids) - exact).max()
    # One scale for all channels has steps of 200 / 255, which leave nothing of the narrow ones.
    step = 200 / 255
    plain = np.abs(np.rint(wide / step) * step @ narrow - exact).max()
    assert evened < 0.05 * plain


def test_a_row_does_not_depend_on_its_batch_and_the_loss_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMSEARCH_CACHE", str(tmp_path / "cache"))
    data = dict(architectures.load("clip").data)
    data["towers"] = towers(tmp_path)
    data["slots"] = {"clip_text": "words", "clip_image": "pictures"}
    architecture = architectures.parse(data)
    words, said = architecture.towers["words"], list[str]()
    folder = exported(architecture, words, said.append, "fp32").folder
    assert not (folder / "int8.onnx").exists()
    assert exported(architecture, words, said.append, "fp32", quantized=True).folder == folder
    assert exported(architecture, words, said.append, "int8").folder == folder
    assert [line.split()[0] for line in said] == ["exporting", "quantizing"]
    generator = np.random.default_rng(2)
    ids = np.zeros((8, 77), np.int64)
    for row, length in enumerate(generator.integers(3, 70, 8)):
        ids[row, :length] = generator.integers(0, 49406, length)
        ids[row, length] = 49407
    together = run(folder / "int8.onnx", ids)
    alone = np.concatenate([run(folder / "int8.onnx", ids[row : row + 1]) for row in range(8)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    exact = run(folder / "fp32.onnx", ids)
    assert (exact * together).sum(1).min() > 0.99
    assert not np.allclose(exact, together, atol=1e-5)
    size = {name: (folder / f"{name}.onnx").stat().st_size for name in ("fp32", "int8")}
    assert size["int8"] < 0.35 * size["fp32"]
    loss = read(folder / "int8.json")
    assert loss is not None
    assert 0.95 < loss.lowest_cosine <= loss.cosine < 1
    assert 0.5 < loss.overlap <= 1


def test_the_calibration_is_the_same_each_time_and_knows_long_texts() -> None:
    texts = calibration_texts()
    assert texts == calibration_texts()
    assert len(texts) == 550
    assert len(texts[-1]) > 200


def test_the_overlap_is_the_share_of_the_top_ten_that_stays() -> None:
    before = np.arange(40, dtype=np.float32).reshape(2, 20)
    after = before.copy()
    after[0, :3] = 100  # three of the last ten come to the top of the first row and push three out
    assert overlap(before, after) == pytest.approx((7 + 10) / 20)


def test_the_loss_on_ones_own_pairs_is_that_of_the_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    right = torch.eye(2, 384)
    # In int8 the second query lies nearer to the first product than to its own.
    asked = {"fp32": right, "int8": torch.stack([right[0], 0.9 * right[0] + 0.1 * right[1]])}

    def given(*_: object, precision: str) -> Features:
        return Features(
            query_text=asked[precision],
            query_words=torch.zeros(2, 384),
            item_text=right,
            item_image=torch.zeros(2, 384),
            pairs=torch.tensor([[0, 0], [1, 1]]),
            counts=torch.ones(2),
            known=torch.tensor([0, 3]),
            group=torch.arange(2),
            negatives=torch.zeros(2, 0, dtype=torch.int64),
        )

    monkeypatch.setattr(precision, "features", given)
    found = precision.compare(architectures.load("bibert"), None, [], [], print)
    assert (found.queries, found.fp32, found.overlap) == (2, 1.0, 1.0)
    assert found.int8 == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert found.loss == pytest.approx(1 - found.int8)


def test_what_was_measured_is_said(tmp_path: Path) -> None:
    loss = Loss(0.9983, 0.9953, 0.938)
    write(loss, tmp_path / "int8.json")
    assert read(tmp_path / "int8.json") == loss
    assert read(tmp_path / "none.json") is None
    assert loss.sentence() == "int8 against fp32: overlap@10 0.938, cosine 0.9983 (lowest 0.9953)"
    assert Compared(7, 0.4, 0.399, 0.95).sentence() == (
        "nDCG@10 over 7 queries: fp32 0.4000, int8 0.3990 (-0.2 %), overlap@10 0.950"
    )
    assert Compared(7, 0.4, 0.39, 0.9).sentence().endswith("the loss is large: use --precision fp32")
