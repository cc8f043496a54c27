"""Train a fusion, and text towers, on pairs of queries and products."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsearch.api.arguments import path_of, records_of, require_choice, require_number
from mmsearch.api.failures import explained
from mmsearch.api.ingestion import Products, source_of
from mmsearch.api.servers import File
from mmsearch.errors import ArgumentError
from mmsearch.models.trained_files import LOG
from mmsearch.products.catalog import FORMATS
from mmsearch.products.in_memory import Frame

if TYPE_CHECKING:
    import pandas as pd

    from mmsearch.api.client import Format

logger = logging.getLogger("mmsearch.training")
Pairs = File | Iterable[Mapping[str, Any]] | Frame
"""a file of JSON Lines, an iterable of dicts, or a pandas DataFrame"""


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Progress of a training: `step` of at most `steps`, the last `loss` (nats), and the held-out `score`,
    (recall@10 + nDCG@10) / 2.
    """

    step: int
    steps: int
    loss: float
    score: float


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A completed training. `mmsearch models deploy FOLDER` serves it.

    folder        contains `architecture.json`, `fusion.safetensors`, `gain.json`, `log.jsonl`, `curve.svg`,
                  and the towers that moved
    architecture  name of the architecture
    best_step     step with the best held-out score; its weights are kept
    best_score    (recall@10 + nDCG@10) / 2 on held-out queries and products
    steps         number of steps
    seconds       duration of the training
    gain          gain of the held-out score over the untrained model, and its 95 % paired bootstrap interval;
                  None without held-out groups
    verdict       a sentence on the gain, empty without held-out groups
    messages      catalog lines, pairs and images that were left out, with the reason
    """

    folder: Path
    architecture: str
    best_step: int
    best_score: float
    steps: int
    seconds: float
    gain: tuple[float, float, float] | None = None
    verdict: str = ""
    messages: tuple[str, ...] = ()

    def curve(self) -> pd.DataFrame:
        """Return a DataFrame with one row per evaluation: step, loss, recall (the held-out score), and other
        logged values.

        Raises MissingPackageError without pandas.
        """
        with explained("TrainingRun.curve"):
            import pandas
        lines = (self.folder / LOG).read_text(encoding="utf-8").splitlines()
        return pandas.DataFrame([json.loads(line) for line in lines])


def train(
    architecture: str | None = None,
    *,
    pairs: Pairs,
    catalog: Products,
    out: File | None = None,
    image_root: File | None = None,
    map: Mapping[str, str] | None = None,  # noqa: A002 - the option's name
    preset: str | None = None,
    format: Format | None = None,  # noqa: A002
    only: Mapping[str, str] | None = None,
    joint: bool = False,
    weights: str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingRun:
    """Train an architecture with NT-Xent: its fusion, and the towers that move.

    architecture  a name such as "4tmm_gated" or "ViT-B-32", the path of a .json file, a CLIP's folder, or
                  "hf-hub:OWNER/NAME"; default: what fits the pairs and products, with the reason among the
                  messages
    pairs         dicts or a DataFrame with `query`, `product_id`, `count` (default 1) and `negatives` (ids);
                  or a file with these columns in any format of a catalog, or the examples of the Shopping
                  Queries Dataset (ESCI)
    catalog       the products, as for `Client.ingest`; products of one `group` are held out together
    out           folder of the training; default: runs/NAME in the working directory
    image_root    folder with the images; default: the catalog's folder, or the working directory
    map, preset, format
                  as for `Client.ingest`
    only          read only the rows of a file of pairs with these values by column; of the Shopping Queries
                  Dataset, default: {"split": "train"}
    joint         train the upper layers of the text towers too, unless the architecture's file says what
                  moves
    weights       begin with these weights: of the architecture's CLIP towers a .safetensors file, a folder,
                  or a tag of open_clip; of its text tower the folder of an encoder
    steps, seed   replace the values of the architecture
    progress      called at each evaluation

    Outputs of frozen towers are computed once and cached. An interrupted training resumes when it is called
    again with the same folder, pairs, products and images. Omitted data is logged as warnings by
    `mmsearch.training` and listed in `run.messages`. Raises MissingPackageError without mmsearch[train],
    ArchitectureError, TrainingError for unusable pairs, and CatalogError.
    """
    if format is not None:
        require_choice("format", format, FORMATS)
    if weights is not None and architecture is None:
        raise ArgumentError("expected an architecture for the weights, got none; name one such as ViT-B-32")
    if steps is not None:
        require_number("steps", steps, 1)
    if seed is not None:
        require_number("seed", seed, -(2**63), 2**63 - 1)
    given = path_of("pairs", pairs) if isinstance(pairs, str | os.PathLike) else records_of("pairs", pairs)
    name, source = source_of(catalog)
    root = None if image_root is None else path_of("image_root", image_root)
    with explained("mmsearch.train"):
        from mmsearch.models.named import named
        from mmsearch.training.run import run

        described = None if architecture is None else named(str(architecture), weights)
        own = "recipe" if described is None else described.name
        folder = Path("runs", own) if out is None else path_of("out", out)
        messages: list[str] = []

        def say(line: str) -> None:
            messages.append(line)
            logger.warning("%s", line)

        def evaluated(line: dict[str, float], total: int) -> None:
            if progress is not None:
                progress(TrainingProgress(int(line["step"]), total, line["loss"], line["recall"]))

        trained = run(
            described,
            given,
            source or Path(name),
            folder,
            image_root=root,
            renames=map,
            preset=preset,
            form=format,
            only=only,
            moves=joint,
            changes={key: value for key, value in (("steps", steps), ("seed", seed)) if value is not None},
            say=say,
            evaluated=evaluated,
        )
    measured = trained.gain
    return TrainingRun(
        folder.absolute(),
        trained.architecture,
        trained.best_step,
        trained.best_recall,
        trained.steps,
        trained.seconds,
        None if measured is None else (measured.difference, measured.low, measured.high),
        "" if measured is None else measured.sentence(),
        tuple(messages),
    )
