"""A tower or a fusion as a Triton model: one ONNX file, tensors in and out.

With `configs/`, Triton's own backends serve the same file; this model is for servers without them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from . import runtime
from .embedding_cache import EmbeddingCache
from .microbatch import Microbatches
from .opening import opened
from .sessions import CPU, GPU, BySize, InvalidArgument, chosen, on_cpu_alone, open_session, quiet


class TowerModel:
    """Runs `model.onnx` of its version folder on whole dynamic batches."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"], args["model_version"])
        model = f"{args['model_name']} {args['model_version']}"
        self._outputs = [tensor["name"] for tensor in config["output"]]
        # The runner of whole batches, which passes them on in efficient sizes.
        self._runner, self._inputs = self._opened(folder, model, int(config["max_batch_size"]))
        self._cache: EmbeddingCache | None = None
        if mebibytes := number(config, "remember_mib"):
            self._cache = EmbeddingCache(mebibytes << 20)
            self._count_rows(args)

    def _opened(self, folder: Path, model: str, most: int) -> tuple[Any, list[str]]:
        """Open the file on the GPU if there is one, else by `runtime.json`, and log what runs it. Return it
        with the names of its inputs.
        """
        file = folder / "model.onnx"
        choice = runtime.read(folder).get(folder.parent.name, runtime.Choice())
        if not on_cpu_alone():
            session = open_session(file, quiet())
            if chosen(session) == GPU:
                pb_utils.Logger.log_info(f"{model} runs on {GPU}")
                pictures = session.get_inputs()[0].type == "tensor(uint8)"
                runner = BySize(lambda: open_session(file, quiet()), most) if pictures else session
                return runner, names(session)
            # A fallback to the CPU would otherwise only be noticed as slowness.
            pb_utils.Logger.log_warn(
                f"{model} runs on {CPU}: expected CUDA and cuDNN beside onnxruntime, got none; "
                "repair: pip install 'onnxruntime-gpu[cuda,cudnn]'"
            )
        pb_utils.Logger.log_info(f"{model} runs on the CPU by {choice.name}")
        session = opened(file, choice, pb_utils.Logger.log_warn)
        return Microbatches(session, choice) if choice.most else session, names(session)

    def _count_rows(self, args: dict[str, str]) -> None:
        """Update Triton's metrics: rows computed, and rows taken from the cache."""
        self._family = pb_utils.MetricFamily(
            name="mmsearch_tower_rows",
            description="Rows of towers with a cache, by hit or miss",
            kind=pb_utils.MetricFamily.COUNTER,
        )
        model = {"model": args["model_name"], "version": args["model_version"]}
        self._counts = {
            how: self._family.Metric(labels=model | {"how": how}) for how in ("computed", "cached")
        }

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return a response for each request. If the whole batch fails, each request is run alone, so that
        one failure does not affect the others.
        """
        arrays = [self._arrays(request) for request in requests]
        wanted = [name for name in self._outputs if any(name in r.requested_output_names() for r in requests)]
        try:
            if self._cache is not None and any(map(asks_to_remember, requests)):
                answers = [self._remember(self._cache, joined(arrays))]
            else:
                answers = self._runner.run(wanted, joined(arrays))
        except Exception as error:
            if len(requests) > 1:
                return [answer for request in requests for answer in self.execute([request])]
            return [pb_utils.InferenceResponse(error=_failure(error))]
        responses, start = [], 0
        for request, feed in zip(requests, arrays, strict=True):
            stop = start + len(feed[self._inputs[0]])
            responses.append(
                pb_utils.InferenceResponse(
                    [
                        pb_utils.Tensor(name, answer[start:stop])
                        for name, answer in zip(wanted, answers, strict=True)
                        if name in request.requested_output_names()
                    ]
                )
            )
            start = stop
        return responses

    def _remember(self, memory: EmbeddingCache, feeds: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the first output; only rows that are not cached are computed."""
        answer, computed = memory.run(feeds, lambda some: self._runner.run(self._outputs[:1], some)[0])
        self._counts["computed"].increment(computed)
        self._counts["cached"].increment(len(answer) - computed)
        return answer

    def _arrays(self, request: Any) -> dict[str, NDArray[Any]]:
        return {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}


def _failure(error: Exception) -> Any:
    """Return INVALID_ARG for invalid inputs, which must not be retried, else INTERNAL, for example when
    memory is exhausted or a device is lost.
    """
    # The message of the runtime may contain file paths, so only the exception type is returned.
    got = f"got {type(error).__name__} from its runtime"
    if isinstance(error, (InvalidArgument, ValueError)):
        return pb_utils.TritonError(
            f"expected valid input tensors, {got}; compare the inputs' shapes with the model's config",
            pb_utils.TritonError.INVALID_ARG,
        )
    pb_utils.Logger.log_error(f"a tower failed: {error}")
    return pb_utils.TritonError(
        f"expected the model to run, {got}; see the server's log, send fewer rows at once, or load the model "
        "again",
        pb_utils.TritonError.INTERNAL,
    )


def names(session: Any) -> list[str]:
    """Return the names of the inputs of a session. A fusion that ignores a modality has no input for it."""
    return [tensor.name for tensor in session.get_inputs()]


def number(config: dict[str, Any], parameter: str) -> int:
    """Return an integer parameter of the config; 0 if it is missing or empty."""
    return int(config["parameters"].get(parameter, {}).get("string_value") or 0)


def asks_to_remember(request: Any) -> bool:
    """Return whether the request allows cached rows."""
    return bool(json.loads(request.parameters() or "{}").get("remember"))


def joined(feeds: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Concatenate the requests' inputs along the batch. The arrays of a single request are not copied."""
    if len(feeds) == 1:
        return feeds[0]
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
