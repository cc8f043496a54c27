"""A tower or a fusion as a Triton model: one ONNX file, tensors in and out.

With `configs/gpu.pbtxt`, Triton's own onnxruntime backend serves the same file; this model is for servers
without that backend.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from .embedding_cache import EmbeddingCache
from .microbatch import Microbatches
from .sessions import CPU, GPU, BySize, chosen, open_session, providers, quiet


class TowerModel:
    """Runs `model.onnx` of its version folder on whole dynamic batches."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        # More threads per session slow down every tower as soon as two run at once. Several cores are used by
        # running several slices of a batch.
        options = quiet(int(config["parameters"]["intra_op_threads"]["string_value"]))
        file = Path(args["model_repository"], args["model_version"], "model.onnx")
        self._session = open_session(file, options)
        self._tell(f"{args['model_name']} {args['model_version']}")
        self._inputs = [tensor.name for tensor in self._session.get_inputs()]
        self._outputs = [tensor.name for tensor in self._session.get_outputs()]
        # The runner of whole batches: the session itself, or a wrapper that passes it batches of efficient
        # sizes.
        self._runner: Any = self._session
        least, most = (number(config, f"microbatch_rows_{bound}") for bound in ("least", "most"))
        if chosen(self._session) == GPU and self._session.get_inputs()[0].type == "tensor(uint8)":
            self._runner = BySize(lambda: open_session(file, options), int(config["max_batch_size"]))
        elif chosen(self._session) == CPU and least and most:
            self._runner = Microbatches(self._session, least, most)
        self._cache: EmbeddingCache | None = None
        if mebibytes := number(config, "remember_mib"):
            self._cache = EmbeddingCache(mebibytes << 20)
            self._count_rows(args)

    def _tell(self, model: str) -> None:
        """Log the provider that runs the model: a fallback to the CPU would otherwise only be noticed as
        slowness.
        """
        provider = chosen(self._session)
        if provider == CPU and len(providers(onnxruntime.get_available_providers())) > 1:
            pb_utils.Logger.log_warn(
                f"{model} runs on {provider}: expected CUDA and cuDNN beside onnxruntime, got none; "
                "repair: pip install 'onnxruntime-gpu[cuda,cudnn]'"
            )
        else:
            pb_utils.Logger.log_info(f"{model} runs on {provider}")

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
    got = f"got {type(error).__name__} from onnxruntime"
    if isinstance(error, (InvalidArgument, ValueError)):
        return pb_utils.TritonError(
            f"expected valid input tensors, {got}; compare the inputs' shapes with the model's config",
            pb_utils.TritonError.INVALID_ARG,
        )
    return pb_utils.TritonError(
        f"expected the model to run, {got}; see the server's log, send fewer rows at once, or load the model "
        "again",
        pb_utils.TritonError.INTERNAL,
    )


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
