"""Formats hits: lines for a terminal, an HTML page with pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Hit = dict[str, Any]


def lines(hits: Sequence[Hit]) -> Iterator[str]:
    """Return rank, score, legs and title of each hit, in columns."""
    shown = [legs(hit) for hit in hits]
    width = max(map(len, shown), default=0)
    for number, (hit, found) in enumerate(zip(hits, shown, strict=True), 1):
        score = hit.get("_score")
        columns = [f"{number:3}", f"{score:8.4f}" if score is not None else f"{'-':>8}"]
        if width:
            columns.append(found.ljust(width))
        yield "  ".join([*columns, title(hit)])


def legs(hit: Hit) -> str:
    """Return the rank in each leg: `lexical 3 · dense 1`, with `only` if one leg alone found the hit."""
    found = []
    for leg in hit.get("fields", {}).get("_legs", []):
        alone = " only" if leg.get("only") else ""
        found.append(f"{leg['name']} {leg['rank']}{alone}")
    return " · ".join(found)


def title(hit: Hit) -> str:
    source = hit.get("_source", {})
    name = source.get("title") or hit["_id"]
    category = source.get("category")
    if not category:
        return str(name)
    return f"{name} [{category if isinstance(category, str) else ', '.join(category)}]"


def html(asked: str, hits: Sequence[Hit], image_root: Path) -> str:
    """Return a self-contained HTML page: the hits as cards with their pictures (below `image_root`)."""
    # Imported here: a search without --html needs neither pictures nor templates.
    from mmsearch.evaluation.report import cards
    from mmsearch.search import hits as search_hits

    picture = cards.Thumbnails(image_root, side=320)
    found = [search_hits.Hit.of(hit) for hit in hits]
    shown = [cards.card(rank, hit, picture) for rank, hit in enumerate(found, 1)]
    return cards.page(asked, f"{len(shown)} hits", [("Results", shown)])
