"""An entry model: strings and images, encoded or as pixels, in; vectors out.

The rows of a dynamic batch form one list. Each tower runs once on the rows that have its modality, and the
fusion runs once at the end, in this process. `serving.json` describes the towers.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from .fusion_session import FusionSession
from .pictures.images import read
from .pictures.pixels import Frame, PictureError
from .rows import Limits, RefusedError, Rows, read_rows
from .tokens import Numbers, Tokens
from .tower_calls import TowerCalls, TowerError
from .words import UNREADABLE

Floats = NDArray[np.float32]
VECTORS = ("EMBEDDING", "TEXT_EMBEDDING", "IMAGE_EMBEDDING")
Reading = tuple[dict[str, Any], list[int], Numbers, Numbers]
"""a text tower, its rows, their token numbers and masks"""


class EntryModel:
    """`query_encoder` or `item_encoder`, whichever `serving.json` in its version folder describes."""

    def initialize(self, args: dict[str, str]) -> None:
        folder = Path(args["model_repository"], args["model_version"])
        self._serving = json.loads((folder / "serving.json").read_text(encoding="utf-8"))
        self._fingerprint = self._serving["fingerprint"].encode()
        self._limits = Limits(self._serving["max_text_bytes"], self._serving["max_image_bytes"])
        self._text_towers = [
            (tower, Tokens(folder / tower["tokenizer"], tower["max_tokens"], tower.get("pad_to")))
            for tower in self._serving["text_towers"]
        ]
        self._fusion = FusionSession(folder / "fusion.onnx")
        picture = self._serving["picture_tower"]
        parameters = json.loads(args["model_config"])["parameters"]
        self._towers = TowerCalls(
            folder,
            [*self._serving["text_towers"], *filter(None, [picture])],
            in_process=parameters.get("towers_in_process", {}).get("string_value") == "yes",
        )
        self._frame = Frame(picture["size"], picture["fit"]) if picture else None
        # Pillow and calls to the towers release the GIL, so threads run in parallel here.
        self._pool = ThreadPoolExecutor(max(2, len(self._text_towers) + min(2, os.cpu_count() or 1)))

    def finalize(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def execute(self, requests: list[Any]) -> list[Any]:
        inputs = [(tensor(request, "TEXT"), tensor(request, "IMAGE")) for request in requests]
        rows, refused = read_rows(inputs, self._limits)
        wanted = [
            name for name in VECTORS if any(name in request.requested_output_names() for request in requests)
        ]
        vectors: dict[str, Floats] = {}
        remember = any(json.loads(request.parameters() or "{}").get("remember") for request in requests)
        try:
            if wanted and rows.owners:
                rows, vectors = self._encode(rows, wanted, refused, remember)
        except TowerError as error:
            failure = pb_utils.TritonError(str(error), pb_utils.TritonError.INTERNAL)
            return [
                pb_utils.InferenceResponse(error=invalid(refused[owner]) if owner in refused else failure)
                for owner in range(len(requests))
            ]
        return [
            self._answer(owner, request, rows, vectors, refused) for owner, request in enumerate(requests)
        ]

    def _answer(
        self,
        owner: int,
        request: Any,
        rows: Rows,
        vectors: dict[str, Floats],
        refused: dict[int, RefusedError],
    ) -> Any:
        if owner in refused:
            return pb_utils.InferenceResponse(error=invalid(refused[owner]))
        mine = [row for row, of in enumerate(rows.owners) if of == owner]
        asked = request.requested_output_names()
        tensors = [pb_utils.Tensor(name, vectors[name][mine]) for name in vectors if name in asked]
        if "FINGERPRINT" in asked:
            stamp = np.full((len(mine), 1), self._fingerprint, dtype=object)
            tensors.append(pb_utils.Tensor("FINGERPRINT", stamp))
        return pb_utils.InferenceResponse(tensors)

    def _encode(
        self, rows: Rows, wanted: list[str], refused: dict[int, RefusedError], remember: bool
    ) -> tuple[Rows, dict[str, Floats]]:
        """Return vectors for all rows. Requests with a text that no tower reads, or an image that does not
        decode, are moved to `refused`.
        """
        rows, read = self._read_texts(rows, refused)
        running = self._start_text_towers(read, any(rows.pictures), remember)
        pixels = self._decode(rows, refused)
        features: dict[str, Floats] = {}
        if pixels:
            tower = self._serving["picture_tower"]
            stacked = np.stack(list(pixels.values()))
            found = self._towers.run(tower["model"], {"PIXELS": stacked}, remember)
            spread(features, tower, list(pixels), found, len(rows.owners))
        for tower, present, future in running:
            spread(features, tower, present, future.result(), len(rows.owners))
        kept = rows.without(refused)
        if not kept.owners:
            return kept, {}
        keep = [row for row, owner in enumerate(rows.owners) if owner not in refused]
        feeds = {
            name: features[name][keep] if name in features else np.zeros((len(keep), width), np.float32)
            for name, width in self._serving["fusion"]["inputs"].items()
        }
        return kept, self._fuse(feeds, wanted)

    def _fuse(self, feeds: dict[str, Floats], wanted: list[str]) -> dict[str, Floats]:
        try:
            return self._fusion.run(feeds, wanted)
        except Exception as error:
            # The message of the runtime may contain file paths, so only the exception type is returned.
            pb_utils.Logger.log_error(f"the fusion failed: {error}")
            raise TowerError(
                f"expected the fusion to run on its towers' features, got {type(error).__name__} from "
                "onnxruntime; see the server's log, or deploy the model again"
            ) from error

    def _read_texts(self, rows: Rows, refused: dict[int, RefusedError]) -> tuple[Rows, list[Reading]]:
        """Return the rows that are not refused, and what each text tower has to read of them."""
        present = [row for row, text in enumerate(rows.texts) if text is not None]
        texts = [text for text in rows.texts if text is not None]
        if not texts or not self._text_towers:
            return rows, []
        found = [(tower, *tokens.read(texts)) for tower, tokens in self._text_towers]
        anywhere = np.logical_or.reduce([readable for *_, readable in found])
        if not anywhere.all():
            refuse_unread(
                rows, [row for row, is_read in zip(present, anywhere, strict=True) if not is_read], refused
            )
            return self._read_texts(rows.without(refused), refused)
        return rows, [
            # A text that only another tower reads is a missing modality to this one.
            (
                tower,
                [row for row, is_read in zip(present, readable, strict=True) if is_read],
                numbers[readable],
                mask[readable],
            )
            for tower, numbers, mask, readable in found
            if readable.any()
        ]

    def _start_text_towers(
        self, read: list[Reading], pictured: bool, remember: bool
    ) -> list[tuple[dict[str, Any], list[int], Future[Floats]]]:
        if len(read) == 1 and not pictured:
            # With a single call there is nothing to overlap, and this thread is faster.
            tower, present, numbers, mask = read[0]
            done: Future[Floats] = Future()
            done.set_result(self._run_text(tower, numbers, mask, remember))
            return [(tower, present, done)]
        return [
            (tower, present, self._pool.submit(self._run_text, tower, numbers, mask, remember))
            for tower, present, numbers, mask in read
        ]

    def _run_text(self, tower: dict[str, Any], numbers: Numbers, mask: Numbers, remember: bool) -> Floats:
        return self._towers.run(tower["model"], {"INPUT_IDS": numbers, "ATTENTION_MASK": mask}, remember)

    def _decode(self, rows: Rows, refused: dict[int, RefusedError]) -> dict[int, NDArray[np.uint8]]:
        """Return pixels by row. A request with invalid pixels, or an image that does not decode, is rejected
        as a whole.
        """
        present = [row for row, picture in enumerate(rows.pictures) if picture]
        if not present:
            return {}
        if self._frame is None:
            for row in present:
                refused[rows.owners[row]] = RefusedError(
                    "expected text alone, since this model set has no picture tower, got a picture; "
                    "serve an architecture with one"
                )
            return {}

        def one(row: int, frame: Frame = self._frame) -> NDArray[np.uint8] | PictureError:
            try:
                return read(rows.pictures[row], frame)
            except PictureError as error:
                return error

        decoded = self._pool.map(one, present) if len(present) > 1 else map(one, present)
        pixels = {}
        for row, result in zip(present, decoded, strict=True):
            if isinstance(result, PictureError):
                refused[rows.owners[row]] = RefusedError(str(result))
            else:
                pixels[row] = result
        return {row: array for row, array in pixels.items() if rows.owners[row] not in refused}


def tensor(request: Any, name: str) -> NDArray[Any]:
    array: NDArray[Any] = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
    return array


def invalid(why: RefusedError) -> Any:
    return pb_utils.TritonError(str(why), pb_utils.TritonError.INVALID_ARG)


def refuse_unread(rows: Rows, unread: list[int], refused: dict[int, RefusedError]) -> None:
    """Refuse the requests of rows whose text has no word that a tower knows. The message begins with the
    code and names the rows, so that a client can send them again without the text.
    """
    for owner in {rows.owners[row] for row in unread}:
        first = rows.owners.index(owner)
        numbers = [str(row - first) for row in unread if rows.owners[row] == owner]
        refused[owner] = RefusedError(
            f"{UNREADABLE}: in row {' '.join(numbers)}: expected a text with words that the text tower "
            "knows, got none; send a picture alone, or serve a model of that language"
        )


def spread(
    features: dict[str, Floats], tower: dict[str, Any], present: list[int], found: Floats, rows: int
) -> None:
    """Scatter a tower's outputs to their rows under each input name that it feeds. Other rows are zero, which
    marks a missing modality.
    """
    full = np.zeros((rows, found.shape[1]), np.float32)
    full[present] = found
    for name in tower["feeds"]:
        features[name] = full
