"""Hits for people: lines for a terminal, a page with pictures for a browser."""

from __future__ import annotations

import html as markup
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Hit = dict[str, Any]


def lines(hits: Sequence[Hit]) -> Iterator[str]:
    """Rank, score, legs and title of each hit, in columns."""
    shown = [legs(hit) for hit in hits]
    width = max(map(len, shown), default=0)
    for number, (hit, found) in enumerate(zip(hits, shown, strict=True), 1):
        score = hit.get("_score")
        columns = [f"{number:3}", f"{score:8.4f}" if score is not None else f"{'-':>8}"]
        if width:
            columns.append(found.ljust(width))
        yield "  ".join([*columns, title(hit)])


def legs(hit: Hit) -> str:
    """Where each leg had the hit: `lexical 3 · dense 1`, with `only` where one leg alone found it."""
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
    """One page that needs nothing else but the pictures below `image_root`."""
    cards = []
    for number, hit in enumerate(hits, 1):
        images = hit.get("_source", {}).get("image") or []
        first = images if isinstance(images, str) else next(iter(images), "")
        picture = f'<img src="{markup.escape(_address(first, image_root))}" alt="">' if first else ""
        shown = "" if hit.get("_score") is None else f"{hit['_score']:.4f}"
        cards.append(
            f"<li>{picture}<b>{markup.escape(title(hit))}</b>"
            f"<small>{number}. {shown} {markup.escape(legs(hit))}</small></li>"
        )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{markup.escape(asked)}</title>'
        "<style>body{font:16px sans-serif;margin:2em}ul{display:flex;flex-wrap:wrap;gap:1em;padding:0}"
        "li{list-style:none;width:12em}img{width:12em;height:12em;object-fit:contain;display:block}"
        "small{display:block;color:#555}</style>"
        f"<h1>{markup.escape(asked)}</h1><ul>{''.join(cards)}</ul></html>\n"
    )


def _address(reference: str, image_root: Path) -> str:
    if reference.startswith(("http://", "https://")):
        return reference
    return (image_root / reference).resolve().as_uri()
