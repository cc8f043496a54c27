"""Product cards of a page: image, scores by leg, and judgment of a hit."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from mmsearch.errors import Rejection
from mmsearch.images import references
from mmsearch.images.conversion import thumbnail
from mmsearch.search.hits import Hit

SIDE = 160  # pixels of a thumbnail's longer side
Picture = Callable[[str], str | None]


@dataclass(frozen=True)
class Card:
    """One product in a list. `picture` is the URL of an image (a `data:` URI in self-contained files) or
    None.

    legs    name, rank, raw and normalized score of each leg that found it, and `only` if no other leg did
    judged  `E`, `S`, `C`, `I`, a grade or `bought n`; None if unjudged
    marks   short labels such as `only here`
    """

    rank: int
    id: str
    title: str
    score: float
    picture: str | None
    facts: Sequence[str] = ()
    legs: Sequence[Mapping[str, Any]] = ()
    judged: str | None = None
    marks: Sequence[str] = ()


def card(
    rank: int, hit: Hit, picture: Picture, *, judged: str | None = None, marks: Sequence[str] = ()
) -> Card:
    """Return the card of one hit. `picture` maps the product's image reference to a URL."""
    source = hit.source
    reference = first(source.get("image"))
    price = source.get("price")
    facts = [text for key in ("category", "brand") if (text := first(source.get(key)))]
    if isinstance(price, int | float):
        facts.append(f"{price:,.2f} {source.get('currency', '')}".rstrip())
    return Card(
        rank,
        hit.id,
        first(source.get("title")) or hit.id,
        hit.score,
        picture(reference) if reference else None,
        facts,
        hit.legs,
        judged,
        marks,
    )


def first(value: Any) -> str | None:
    """Return the text of a field, or of its first value."""
    if isinstance(value, list):
        value = value[0] if value else None
    return None if value is None else str(value)


class Thumbnails:
    """Images below a folder as small `data:` URIs, each created once. `missing` has the images that failed,
    with the reason.
    """

    def __init__(self, root: Path, side: int = SIDE) -> None:
        self._root = root
        self._side = side
        self._made: dict[str, str | None] = {}
        self.missing: dict[str, str] = {}

    def __call__(self, reference: str) -> str | None:
        if reference not in self._made:
            try:
                self._made[reference] = self._thumbnail(reference)
            except Rejection as error:
                self._made[reference] = None
                self.missing[reference] = str(error)
        return self._made[reference]

    def _thumbnail(self, reference: str) -> str:
        encoded = thumbnail(references.read(reference, self._root))
        with Image.open(io.BytesIO(encoded)) as picture:
            small = picture.convert(
                "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"
            )
        small.thumbnail((self._side, self._side))
        data = io.BytesIO()
        small.save(data, "WEBP", quality=72, method=4)
        return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def environment() -> Environment:
    """Return the template environment of this folder. All values are escaped; an undefined name is an
    error.
    """
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(title: str, subtitle: str, sections: Sequence[tuple[str, Sequence[Card]]]) -> str:
    """Return a self-contained page with one column of cards per section, as written by `mmsearch search
    --html`.
    """
    return environment().get_template("search.html").render(title=title, subtitle=subtitle, sections=sections)
