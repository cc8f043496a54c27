"""A tower's failures by their cause: memory that is used up is not the inputs' fault, and one request's
inputs are not another's."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument


class TritonError(Exception):
    INVALID_ARG = "INVALID_ARG"
    INTERNAL = "INTERNAL"

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


class Request(dict[str, Any]):
    """One request's inputs by name."""

    def requested_output_names(self) -> list[str]:
        return ["FEATURES"]

    def parameters(self) -> str:
        return "{}"


class Runner:
    """A model of two columns: it doubles its input, and fails as `why` says, or for other widths."""

    def __init__(self) -> None:
        self.why: Exception | None = None
        self.rows: list[int] = []

    def run(self, wanted: list[str], feeds: dict[str, Any]) -> list[Any]:
        rows = feeds["X"]
        self.rows.append(len(rows))
        if self.why:
            raise self.why
        if rows.shape[1] != 2:
            raise InvalidArgument("Got: 3 Expected: 2")
        if len(rows) > 3:
            raise MemoryError("out of memory")
        return [2 * rows]


@pytest.fixture
def tower(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A TowerModel over a Runner, with the few names of Triton's module that it uses."""
    module: Any = types.ModuleType("triton_python_backend_utils")
    module.TritonError = TritonError
    module.Tensor = lambda name, array: (name, array)
    module.get_input_tensor_by_name = lambda request, name: types.SimpleNamespace(
        as_numpy=lambda: request[name]
    )
    module.InferenceResponse = lambda tensors=None, error=None: types.SimpleNamespace(
        tensors=tensors, error=error
    )
    logged: list[str] = []
    module.Logger = types.SimpleNamespace(log_error=logged.append)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", module)
    name = "mmsearch.serving.tower_model"
    monkeypatch.delitem(sys.modules, name, raising=False)
    made = importlib.import_module(name).TowerModel()
    made._inputs, made._outputs, made._cache, made._runner = ["X"], ["FEATURES"], None, Runner()
    made.logged = logged
    yield made
    sys.modules.pop(name, None)


def codes(answers: list[Any]) -> list[str]:
    return [answer.error.code if answer.error else "" for answer in answers]


def rows(count: int, width: int = 2) -> Request:
    return Request(X=np.ones((count, width), np.float32))


@pytest.mark.parametrize("why", [MemoryError("CUDA out of memory"), RuntimeError("CUDA failure 700")])
def test_loss_d14_a_device_that_fails_is_no_fault_of_the_inputs(tower: Any, why: Exception) -> None:
    tower._runner.why = why
    answers = tower.execute([rows(1), rows(1)])
    assert codes(answers) == ["INTERNAL", "INTERNAL"]
    assert str(answers[0].error).startswith(f"expected the model to run, got {type(why).__name__} from")
    assert "CUDA" not in str(answers[0].error)
    # The server's log, to which the answer refers, has it whole.
    assert tower.logged[0] == f"a tower failed: {why}"


def test_loss_d14_one_requests_shape_fails_that_request_alone(tower: Any) -> None:
    answers = tower.execute([rows(1), rows(2, width=3), rows(1)])
    assert codes(answers) == ["", "INVALID_ARG", ""]
    assert tower.logged == []
    for at in (0, 2):
        ((name, array),) = answers[at].tensors
        assert (name, array.tolist()) == ("FEATURES", [[2.0, 2.0]])


def test_loss_d14_a_batch_that_is_too_large_for_memory_is_answered_by_parts(tower: Any) -> None:
    answers = tower.execute([rows(2), rows(2), rows(4)])
    assert codes(answers) == ["", "", "INTERNAL"]
    assert tower._runner.rows == [8, 2, 2, 4]
