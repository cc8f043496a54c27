"""Architectures and controls on held-out openclipart keywords: two folds, each trained on the other half."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sample_data.openclipart import Collection, folds

from fusion_study.auxiliary_images import AuxiliaryImages
from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.runs import Run
from mmsearch.models.architecture import Architecture, load
from mmsearch.models.fusion import registry
from mmsearch.models.fusion.base import Fusion
from mmsearch.training.bm25 import Bm25
from mmsearch.training.loop import Trained, train
from mmsearch.training.objective import Features, Training
from mmsearch.training.pairs import Pair, ProductInput, features
from mmsearch.training.towers.moving_tower import MovingTower
from mmsearch.training.towers.pick import moving_tower

Scores = NDArray[np.float32]
Say = Callable[[str], None]
DEPTH = 100
UNTRAINED = ("bibert", "clip", "4tmm_cat", "4tmm_alpha_cat")
TRAINED = ("bibert_mlp", "clip_mlp", "3tmm_mlp", "3tmm_gated", "4tmm_mlp", "4tmm_gated")
# What pictures bring, each is held against itself, trained with the pictures of other products.
MULTIMODAL = ("3tmm_mlp", "3tmm_gated", "4tmm_mlp", "4tmm_gated")
WEIGHTS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True, slots=True)
class Half:
    """One fold as a pool: its products' numbers, and for each keyword that it answers which are right.

    `relevant` bool [q, n]; `ignored` bool [q, n] are products that carry the keyword in their title: words
    find them already, so they are taken out of that query's ranking, right or wrong.
    """

    side: int
    items: NDArray[np.int64]
    keywords: list[str]
    relevant: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


def halves(data: Collection) -> list[Half]:
    """The two folds of the collection."""
    side = folds(data.group)
    found = []
    for number in (0, 1):
        items = np.flatnonzero(side == number)
        place = {int(item): position for position, item in enumerate(items)}
        keywords = sorted(
            keyword for keyword, right in data.relevant.items() if any(item in place for item in right)
        )

        def marks(
            of: Mapping[str, list[int]], keywords: list[str] = keywords, place: dict[int, int] = place
        ) -> NDArray[np.bool_]:
            table = np.zeros((len(keywords), len(place)), bool)
            for row, keyword in enumerate(keywords):
                table[row, [place[item] for item in of.get(keyword, []) if item in place]] = True
            return table

        found.append(Half(number, items, keywords, marks(data.relevant), marks(data.named)))
    return found


def judgments(pools: Sequence[Half]) -> Judgments:
    """Each keyword of each pool is a query of its own; its products have grade 1."""
    judged = Judgments()
    for pool in pools:
        for keyword, row in zip(pool.keywords, pool.relevant, strict=True):
            for place in np.flatnonzero(row):
                judged.add(Query(f"{pool.side}/{keyword}", keyword), str(pool.items[place]), grade=1.0)
    return judged


def run_of(name: str, pools: Sequence[Half], tables: Sequence[Scores]) -> Run:
    """The top hundred of each query by score, ties by product number."""
    answers: dict[str, dict[str, float]] = {}
    for pool, table in zip(pools, tables, strict=True):
        kept = np.where(pool.ignored, -np.inf, table)
        order = np.argsort(-kept, axis=1, kind="stable")[:, :DEPTH]
        for keyword, row, places in zip(pool.keywords, kept, order, strict=True):
            answers[f"{pool.side}/{keyword}"] = {
                str(pool.items[place]): float(row[place]) for place in places if np.isfinite(row[place])
            }
    return Run(name, answers)


@dataclass(frozen=True, slots=True)
class Trial:
    """One training: an architecture and a seed, asked about the fold `side`; `shuffled` has the pictures
    of other products."""

    name: str
    seed: int
    side: int
    shuffled: bool = False

    @property
    def label(self) -> str:
        shuffled = " shuffled" if self.shuffled else ""
        return f"{self.name}{shuffled}, seed {self.seed}, fold {self.side}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a trial's fusion answered, and how well it did on the groups that its training held out."""

    scores: tuple[Scores, Scores, Scores]
    held_out: float


@dataclass(slots=True)
class Study:
    """The collection's features by architecture and half, and everything that is measured on them."""

    data: Collection
    pools: list[Half]
    say: Say
    auxiliary_images: AuxiliaryImages | None = None

    def half(
        self,
        architecture: Architecture,
        pool: Half,
        shuffle: int | None = None,
        precision: str = "fp32",
        moving: Mapping[str, MovingTower] | None = None,
    ) -> Features:
        """Features and pairs of one half; with `shuffle` each product has another's picture. Towers in
        `moving` read the texts themselves."""
        chosen = [self.data.products[item] for item in pool.items]
        group = [str(self.data.group[item]) for item in pool.items]
        pictures = [clipart.picture for clipart in chosen]
        if shuffle is not None:
            order = np.random.default_rng(shuffle).permutation(len(pictures))
            pictures = [pictures[place] for place in order]
        products = [
            ProductInput(clipart.identifier, clipart.title, picture, name)
            for clipart, picture, name in zip(chosen, pictures, group, strict=True)
        ]
        pairs = [
            Pair(keyword, products[place].identifier, 1.0)
            for table in (pool.relevant, pool.ignored)
            for row, keyword in enumerate(pool.keywords)
            for place in np.flatnonzero(table[row])
        ]
        return features(architecture, products, pairs, self.say, precision=precision, moving=moving)

    def lesson(
        self,
        architecture: Architecture,
        side: int,
        shuffle: int | None = None,
        moving: Mapping[str, MovingTower] | None = None,
    ) -> Features:
        """What is trained on before the fold `side` is asked about: the other fold, and the auxiliary images.

        Those that resemble a picture of `side` are left out; with `shuffle` they are exchanged too.
        """
        lesson = self.half(architecture, self.pools[1 - side], shuffle, moving=moving)
        if self.auxiliary_images is None:
            return lesson
        asked_about = self.data.hashes[self.pools[side].items]
        image, asked = self.auxiliary_images.unlike(asked_about).features(architecture, self.say)
        if shuffle is not None:
            image = image[torch.randperm(len(image), generator=torch.Generator().manual_seed(shuffle))]
        return replace(lesson, auxiliary_image=image, auxiliary_queries=asked)

    def tables(self, fusion: Fusion, data: Features, pool: Half) -> tuple[Scores, Scores, Scores]:
        """Cosines of a half's keywords with its products: fused, text alone, picture alone."""
        queries, items = torch.arange(len(data.query_text)), torch.arange(data.items)
        if data.moving is not None:
            data.moving.rest()
        with torch.inference_mode():
            asked = fusion.eval().query(*data.asking(queries), data.no_images(len(queries)))
            offered = fusion.item(data.rows("item_text", items), data.rows("item_image", items))
        fused, text, image = ((left @ right.T).numpy() for left, right in zip(asked, offered, strict=True))
        return fused, text, image

    def untrained(self, name: str) -> list[tuple[Scores, Scores, Scores]]:
        architecture = load(name)
        fusion = registry.build(architecture)
        return [self.tables(fusion, self.half(architecture, pool), pool) for pool in self.pools]

    def trained(self, trial: Trial) -> Asked:
        """Trained on one half and asked about the other."""
        return self.trained_with(load(trial.name), trial)[0]

    def trained_with(self, architecture: Architecture, trial: Trial) -> tuple[Asked, Trained]:
        """The same for an architecture of any data, whose towers may move."""
        pool = self.pools[trial.side]
        towers = {name: moving_tower(tower) for name, tower in architecture.towers.items() if tower.moving}
        numbers = replace(Training.of(architecture.data["training"]), seed=trial.seed)
        torch.manual_seed(trial.seed)
        fusion = registry.build(architecture)
        lesson = self.lesson(architecture, trial.side, trial.seed if trial.shuffled else None, towers or None)
        result = train(fusion, lesson, numbers, device=torch.device("cpu"))
        self.say(f"{trial.label}: best at step {result.best_step} of {result.steps}, {result.seconds:.0f} s")
        asked = self.half(
            architecture, pool, trial.seed + 1 if trial.shuffled else None, moving=towers or None
        )
        return Asked(self.tables(fusion, asked, pool), result.best_recall), result

    def prepare(self, names: Sequence[str]) -> None:
        """Computes the features that trainings of these architectures read, so that none does it twice."""
        seen: set[str] = set()
        for architecture in map(load, names):
            towers = {repr((slot, architecture.tower(slot))) for slot in architecture.slots}
            if not towers <= seen:
                seen |= towers
                for pool in self.pools:
                    self.lesson(architecture, pool.side)

    def bm25(self) -> list[Scores]:
        tables = []
        for pool in self.pools:
            index = Bm25([self.data.products[item].title for item in pool.items])
            tables.append(np.stack([index.scores(keyword) for keyword in pool.keywords]).astype(np.float32))
        return tables
