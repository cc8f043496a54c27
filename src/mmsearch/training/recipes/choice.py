"""Which training fits the data: how many pairs, how long the texts, how many pictures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from mmsearch.errors import TrainingError
from mmsearch.models import architecture as architectures
from mmsearch.models.architecture import Architecture
from mmsearch.training.pairs import Pair, ProductInput
from mmsearch.training.recipes.joint import joint

FEWEST = 100
"""pairs below which a gain on held-out groups cannot be told from chance"""
MANY, LONG = 1000, 15
"""pairs and words of a text (median) from which text towers are trained: measured were 1,200 pairs with 58
words, which gained, and 3,200 with 3, which did not
"""
PICTURED = 0.5
"""share of products with a picture from which a fusion with pictures is trained"""


def chosen(
    products: Sequence[ProductInput], pairs: Sequence[Pair], say: Callable[[str], None]
) -> Architecture:
    """Return the architecture to train, and say which and why. Raise TrainingError for too few pairs."""
    there = {product.identifier: product for product in products}
    usable = [pair for pair in pairs if pair.product in there]
    if len(usable) < FEWEST:
        raise TrainingError(
            f"expected at least {FEWEST} pairs with products of the catalog, got {len(usable)}, of which no "
            "model learns that can be told from the untrained one; give more pairs, or name an architecture"
        )
    found = [there[name] for name in sorted({pair.product for pair in usable})]
    words = statistics.median(len(product.text.split()) for product in found)
    pictured = sum(product.picture is not None for product in found) / len(found)
    moves = len(usable) >= MANY and words >= LONG
    name = "3tmm_gated" if pictured >= PICTURED else "bibert" if moves else "bibert_mlp"
    enough = f"{MANY:,} pairs with texts of {LONG} words"
    why = f"at least {enough} train text towers" if moves else f"fewer than {enough} train the fusion alone"
    say(
        f"{len(usable):,} pairs over {len(found):,} products, texts of {words:.0f} words (median), "
        f"{pictured:.0%} with a picture: {name}{' with moving text towers' if moves else ''}, since {why}"
    )
    architecture = architectures.load(name)
    return joint(architecture) if moves else architecture
