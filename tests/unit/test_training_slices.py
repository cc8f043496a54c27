"""Batches in slices, by one process or several: the same gradients and the same loss as in one piece."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from gpu.check import lacking

from mmsearch.evaluation.report.plots import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from mmsearch.training import distributed
from mmsearch.training.loop import Run, train
from mmsearch.training.objective import Training
from mmsearch.training.progress.curve import curve

from ..fakes.small_training import CPU, NUMBERS, drawn, fresh, small


def without_dropout(name: str, numbers: Training) -> Run:
    data = drawn(small(name))
    wrong = torch.tensor([[(query + 1) % 4, -1] for query in range(12)])
    run = Run(fresh(name), replace(data, negatives=wrong), numbers, CPU)
    for module in run.fusion.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return run


@pytest.mark.parametrize("name", ["4tmm_gated", "3tmm_mlp", "bibert_mlp"])
@pytest.mark.parametrize("chunk", [5, 16, 100])
def test_slices_carry_the_gradients_of_the_whole_batch(name: str, chunk: int) -> None:
    numbers = replace(NUMBERS, titles=0.5)
    whole = without_dropout(name, numbers)
    slices = without_dropout(name, replace(numbers, chunk=chunk))
    assert slices.advance() == pytest.approx(whole.advance(), rel=1e-5)
    assert whole.heat.grad is not None
    torch.testing.assert_close(slices.heat.grad, whole.heat.grad, atol=1e-5, rtol=1e-3)
    own = dict(slices.fusion.named_parameters())
    for key, parameter in whole.fusion.named_parameters():
        if parameter.grad is None:
            assert own[key].grad is None or not own[key].grad.any(), key
        else:
            torch.testing.assert_close(own[key].grad, parameter.grad, atol=1e-5, rtol=1e-3)


def test_a_training_in_slices_is_repeatable_with_dropout() -> None:
    numbers = replace(NUMBERS, chunk=10, steps=6)
    first, again = (train(fresh("4tmm_gated"), drawn(small("4tmm_gated")), numbers, device=CPU) for _ in "ab")
    for key, value in first.fusion.state_dict().items():
        assert torch.equal(value, again.fusion.state_dict()[key]), key


def test_each_process_has_its_own_gpu_and_all_share_the_cpu() -> None:
    assert distributed.device(True, {"LOCAL_RANK": "1"}) == torch.device("cuda", 1)
    assert distributed.device(True, {}) == torch.device("cuda", 0)
    assert distributed.device(False, {"LOCAL_RANK": "1"}) == torch.device("cpu")


def test_without_a_gpu_the_check_is_one_sentence() -> None:
    assert "No GPU is visible" in str(lacking(False, ["CPUExecutionProvider"]))
    assert "pip install onnxruntime-gpu" in str(lacking(True, ["CPUExecutionProvider"]))
    assert lacking(True, ["CUDAExecutionProvider", "CPUExecutionProvider"]) is None


def test_the_curve_runs_from_the_highest_loss_to_the_lowest() -> None:
    lines = [{"step": 0, "loss": 4.0, "recall": 0.1}, {"step": 10, "loss": 2.0, "recall": 0.3}]
    drawing = curve(lines, best_step=10)
    left, right, low, high = LEFT + 8, WIDTH - RIGHT - 8, HEIGHT - BOTTOM, TOP
    assert f'points="{left}.0,{high}.0 {right}.0,{low}.0"' in drawing
    assert f'points="{left}.0,{low}.0 {right}.0,{high}.0"' in drawing
    root = ElementTree.fromstring(drawing)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"loss 2.000–4.000", "held-out recall 0.100–0.300", "step (best: 10)"} <= set(words)


def test_a_curve_of_no_line_yet_is_a_picture_too() -> None:
    ElementTree.fromstring(curve([], best_step=0))


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        textwrap.dedent(f"""
        import json, sys
        sys.path.insert(0, {str(Path(__file__).parents[1] / "fakes")!r})
        from dataclasses import replace
        from pathlib import Path
        from small_training import CPU, NUMBERS, drawn, fresh, small
        from mmsearch.training import distributed
        from mmsearch.training.loop import Run
        with distributed.group():
            run = Run(fresh("4tmm_gated"), drawn(small("4tmm_gated")), replace(NUMBERS, chunk=8), CPU)
            losses = [run.advance() for _ in range(4)]
            name = f"{{distributed.rank()}}-of-{{distributed.size()}}.json"
            (Path(sys.argv[1]) / name).write_text(json.dumps(losses))
        """)
    )
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=300)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([sys.executable, *torchrun, script, tmp_path], check=True, timeout=300)
    alone, first, second = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("0-of-1", "0-of-2", "1-of-2")
    )
    assert first == second
    assert first == pytest.approx(alone, rel=1e-5)
    assert alone[-1] != alone[0]
