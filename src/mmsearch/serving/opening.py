"""Open a tower's file with the runtime that was chosen for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .runtime import OPENVINO, Choice, Session
from .sessions import open_on_cpu


def opened(
    file: Path, choice: Choice, warn: Callable[[str], None] = lambda _: None, workers: int | None = None
) -> Session:
    """Open a file with the chosen runtime for `workers` concurrent calls, by default those of the choice.

    If OpenVINO is not installed, or the processor has no bf16 units, call `warn` and run the file in fp32 or
    int8, as it is written: the vectors stay within the floors of the choice.
    """
    if choice.runtime == OPENVINO:
        try:
            from .openvino_session import OpenVINOSession
        except ImportError as error:
            warn(
                f"expected openvino to run {file.name} as {choice.name}, got no {error.name}; onnxruntime "
                "runs it; repair: pip install 'mmsearch[local]'"
            )
        else:
            return OpenVINOSession(file, choice.precision, choice.threads, workers or choice.workers, warn)
    session: Session = open_on_cpu(file, choice.threads)
    return session
