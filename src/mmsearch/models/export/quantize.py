"""Quantize a text tower's fp32 ONNX file to int8 such that a row's vector is independent of its batch.

Weights are int8 per output channel. Activations are int8 with static ranges, calibrated on a few hundred
texts; dynamic ranges per batch would let one text change another's vector. Wide activation channels are first
balanced against the weights (SmoothQuant, arXiv 2211.10438), since one wide channel would cost all others
their precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]
Floats = NDArray[np.float32]
Feeds = Mapping[str, NDArray[np.int64]]
MIGRATION = 0.75
"""migration strength of SmoothQuant: 0 balances for the weights only, 1 for the activations only"""
SMALL = 1e-5


def quantize(source: Path, target: Path, batches: Iterable[Feeds]) -> None:
    """Write the int8 form of `source`. The inputs in `batches` calibrate the ranges of activations.

    Matrix products with constant weights and embedding tables become int8. The other nodes are not changed.
    """
    model = onnx.load(source)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    products = [node for node in nodes if node.op_type == "MatMul" and _is_matrix(node.input[1], weights)]
    readers: dict[str, list[Floats]] = {}
    for node in products:
        readers.setdefault(node.input[0], []).append(weights[node.input[1]])
    writer = _Writer(weights)
    ranges = activation_ranges(model, sorted(readers), batches)
    activations = {name: writer.activation(name, ranges[name], readers[name]) for name in readers}
    for node in nodes:
        if node.op_type == "MatMul" and _is_matrix(node.input[1], weights):
            writer.product(node, activations[node.input[0]])
        elif node.op_type == "Gather" and _is_matrix(node.input[0], weights):
            writer.lookup(node)
        else:
            writer.nodes.append(node)
    writer.write(model, target)


def activation_ranges(
    model: Any, names: Sequence[str], batches: Iterable[Feeds]
) -> dict[str, tuple[Floats, Floats]]:
    """Return the minimum and maximum of each channel of each tensor over all batches (float32)."""
    watched = onnx.ModelProto.FromString(model.SerializeToString())
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString())
    found: dict[str, tuple[Floats, Floats]] = {}
    for feeds in batches:
        for name, answer in zip(names, session.run(list(names), dict(feeds)), strict=True):
            rows = answer.reshape(-1, answer.shape[-1])
            low, high = rows.min(0), rows.max(0)
            before = found.get(name, (low, high))
            found[name] = (np.minimum(low, before[0]), np.maximum(high, before[1]))
    return found


@dataclass(frozen=True, slots=True)
class _Activation:
    """A balanced and quantized activation: the tensor's name and the divisor of each channel."""

    name: str
    even: Floats


class _Writer:
    """Collect the nodes and constants of the int8 graph in topological order."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self._prepared: dict[str, list[Any]] = {}

    def activation(
        self, name: str, range_of: tuple[Floats, Floats], readers: Sequence[Floats]
    ) -> _Activation:
        """Prepare an activation's nodes once for all products that read it; the first product writes them."""
        low, high = range_of
        wide = np.maximum(np.abs(low), np.abs(high)).clip(min=SMALL)
        narrow = np.max([np.abs(reader).max(1) for reader in readers], axis=0).clip(min=SMALL)
        even = wide**MIGRATION / narrow ** (1 - MIGRATION)
        even = (even / np.exp(np.log(even).mean())).astype(np.float32)
        # Zero must be exactly representable, so that a zero stays a zero.
        bottom, top = min(0.0, float((low / even).min())), max(SMALL, float((high / even).max()))
        step = np.float32((top - bottom) / 255)
        scale = self._constant(f"{name}.step", np.array(step))
        zero = self._constant(f"{name}.zero", np.array(np.rint(-bottom / step), np.uint8))
        factors = self._constant(f"{name}.even", (1 / even).astype(np.float32))
        self._prepared[name] = [
            helper.make_node("Mul", [name, factors], [f"{name}.evened"]),
            helper.make_node("QuantizeLinear", [f"{name}.evened", scale, zero], [f"{name}.quantized"]),
            helper.make_node("DequantizeLinear", [f"{name}.quantized", scale, zero], [f"{name}.dequantized"]),
        ]
        return _Activation(f"{name}.dequantized", even)

    def product(self, node: Any, activation: _Activation) -> None:
        self.nodes += self._prepared.pop(node.input[0], [])
        # The same weight may be multiplied with several activations, each with its own balance.
        name = f"{node.output[0]}.weight"
        whole, scales = _rounded(self.weights[node.input[1]] * activation.even[:, None], axis=0)
        constants = [
            self._constant(f"{name}.int8", whole),
            self._constant(f"{name}.scale", scales.ravel()),
            self._constant(f"{name}.zero", np.zeros(scales.size, np.int8)),
        ]
        self.nodes += [
            helper.make_node("DequantizeLinear", constants, [f"{name}.dequantized"], axis=1),
            helper.make_node("MatMul", [activation.name, f"{name}.dequantized"], list(node.output)),
        ]

    def lookup(self, node: Any) -> None:
        """Write an embedding table with one scale for each row."""
        name = node.output[0]
        whole, scales = _rounded(self.weights[node.input[0]], axis=1)
        table = self._constant(f"{name}.table.int8", whole)
        scale = self._constant(f"{name}.table.scale", scales)
        self.nodes += [
            helper.make_node("Gather", [table, node.input[1]], [f"{name}.int8"]),
            helper.make_node("Gather", [scale, node.input[1]], [f"{name}.scale"]),
            helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]),
        ]

    def write(self, model: Any, target: Path) -> None:
        read = {name for node in self.nodes for name in node.input}
        kept = [numpy_helper.from_array(array, name) for name, array in self.weights.items() if name in read]
        del model.graph.node[:], model.graph.initializer[:]
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend([*kept, *self.tensors])
        onnx.save(model, target)

    def _constant(self, name: str, array: Array) -> str:
        self.tensors.append(numpy_helper.from_array(array, name))
        return name


def _is_matrix(name: str, weights: Mapping[str, Array]) -> bool:
    return name in weights and weights[name].ndim == 2 and weights[name].dtype == np.float32


def _rounded(values: Floats, axis: int) -> tuple[NDArray[np.int8], Floats]:
    """Return integers in [-127, 127] and their scale along `axis`, so that values ≈ integers · scale."""
    scale = (np.abs(values).max(axis, keepdims=True).clip(min=1e-12) / 127).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale
