"""What the colours of images bring to queries such as "red chair", and what they cost others.

    .venv/bin/python bench colours [--others furniture openclipart] [--short]

Debian's furniture catalog, with and without `image_colours` in the lexical query, by the default hybrid.
Nothing is timed. The queries are a colour and a kind, which is the last word of titles, or a category.

`shifted`: the bench gives each product a colour and shifts the hue of its picture, so that the truth is what
the bench chose; the product's text does not know. A picture that is too dark for a hue keeps its own. The
target is of kinds of more than ten products, since ten hits hold all of a smaller one whatever the colours;
kinds of more than twenty, and of at least two, stand beside it.

`judged`: the 100 items whose colours were judged by eye, alone in an index, with their own pictures, by
kinds of at least two.

`others`: tags and keywords that people filed, whose nDCG is not to fall.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import evaluate_demo
import numpy as np
from measuring.interleaved import Table
from measuring.options import Options
from measuring.real_node import Both, both, say
from PIL import Image

from mmsearch import Client
from mmsearch.api.evaluation import evaluate
from mmsearch.config import cache_folder
from mmsearch.search.bodies import search_body
from mmsearch.search.lexical import DEFAULT, Clause

DEPTH = 10
RECALL, NDCG = f"recall(exact)@{DEPTH}", f"ndcg(esci)@{DEPTH}"
AT_LEAST, OTHERS_AT_LEAST = 2.0, 0.99
"""with the colours over without: of queries with a colour, and of others"""
FIELD = "image_colours"
JUDGED = Path(__file__).parents[2] / "examples" / "sample_data" / "furniture_colours.csv"
OTHERS = {"furniture": evaluate_demo.write_furniture, "openclipart": evaluate_demo.write_openclipart}
BRIGHT_ENOUGH = 0.3
"""share of the product's pixels that may be darker than its colour needs"""
_BRACKETS = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_WORD = re.compile(r"[^\W\d_]+")


class Shade(NamedTuple):
    """A colour as people see it: its hue in degrees, its saturation, and the value (HSV) from which on the
    hue has this name; a dark orange is a brown."""

    hue: float
    saturation: tuple[float, float]
    value: float


SHADES = {
    "red": Shade(0, (0.75, 1), 0.4),
    "orange": Shade(28, (0.8, 1), 0.75),
    "yellow": Shade(53, (0.65, 1), 0.75),
    "green": Shade(120, (0.5, 1), 0.35),
    "turquoise": Shade(176, (0.55, 1), 0.5),
    "blue": Shade(222, (0.6, 1), 0.4),
    "purple": Shade(280, (0.5, 1), 0.4),
    "pink": Shade(330, (0.4, 0.6), 0.75),
}
Products = Sequence[Mapping[str, Any]]


def possible(picture: Image.Image) -> list[str]:
    """The colours that a picture is bright enough for."""
    product = np.asarray(picture.getchannel("A")) > 0
    if not product.any():
        return []
    value = np.quantile(np.asarray(picture.convert("RGB").convert("HSV"))[product][:, 2], BRIGHT_ENOUGH)
    return [name for name, shade in SHADES.items() if value / 255 >= shade.value]


def shifted(picture: Image.Image, colour: str) -> Image.Image:
    """The picture in the colour: another hue, grey parts more saturated, the same light and background."""
    shade = SHADES[colour]
    hsv = np.asarray(picture.convert("RGB").convert("HSV")).copy()
    hsv[..., 0] = round(shade.hue / 360 * 255)
    hsv[..., 1] = np.clip(hsv[..., 1], *(round(255 * edge) for edge in shade.saturation))
    found = Image.fromarray(hsv, "HSV").convert("RGB")
    found.putalpha(picture.getchannel("A"))
    return found


def shift(folder: Path, products: Products) -> dict[str, list[str]]:
    """Shift the pictures of a catalog; the colour of each product by its id."""
    colours = {}
    for product in products:
        path = folder / str(product["image"])
        with Image.open(path) as opened:
            picture = opened.convert("RGBA")
        if names := possible(picture):
            drawn = int.from_bytes(hashlib.sha256(str(product["id"]).encode()).digest()[:8], "big")
            colours[str(product["id"])] = [names[drawn % len(names)]]
            shifted(picture, names[drawn % len(names)]).save(path)
    return colours


def kinds(products: Products) -> dict[str, set[str]]:
    """The ids of the products of each kind."""
    found: dict[str, set[str]] = defaultdict(set)
    for product in products:
        words = _WORD.findall(_BRACKETS.sub("", str(product["title"])).lower())
        for kind in (*words[-1:], str(product["category"]).lower()):
            found[kind].add(str(product["id"]))
    return dict(found)


def asked(
    products: Products, colours: Mapping[str, Sequence[str]], more_than: int
) -> Iterator[dict[str, str]]:
    """The judged pairs of every colour and kind that one to ten products are of."""
    every = sorted({colour for found in colours.values() for colour in found})
    for kind, members in sorted(kinds(products).items()):
        for colour in every if len(members) > more_than else ():
            relevant = sorted(each for each in members if colour in colours.get(each, ()))
            if 0 < len(relevant) <= DEPTH:
                yield from (
                    {"query": f"{colour} {kind}", "product_id": each, "label": "E"} for each in relevant
                )


def body(mode: str, lexical: Clause) -> dict[str, Any]:
    """A search body with a placeholder for the query."""
    return search_body("{{query}}", k=DEPTH, mode=mode, lexical=lexical)


def _match(boost: float) -> dict[str, Any]:
    return {"match": {FIELD: {"query": "{{query}}", "boost": boost}}}


def _as_field(boost: float) -> Clause:
    fields = [*WORDS["multi_match"]["fields"], f"{FIELD}^{boost}"]
    return {"multi_match": {**WORDS["multi_match"], "fields": fields}}


def _as_leg(weight: float) -> dict[str, Any]:
    """A hybrid with the colours as a leg of their own."""
    found = body("hybrid", WORDS)
    hybrid = found["query"]["hybrid"]
    hybrid["queries"].append(_match(1))
    weights = [(1 - weight) / 2, (1 - weight) / 2, weight]
    combination = {"technique": "arithmetic_mean", "parameters": {"weights": weights}}
    hybrid["fusion"] = {"combination": combination}
    return found


WORDS: Clause = DEFAULT["bool"]["must"][0]
"""the lexical query without the colours"""
SYSTEMS = {
    f"{mode}, {name}": body(mode, lexical)
    for mode in ("lexical", "hybrid")
    for name, lexical in (("without", WORDS), ("with", DEFAULT))
}
OTHER_WAYS = {
    **{f"a field of the words, boost {boost}": body("hybrid", _as_field(boost)) for boost in (1, 2, 3)},
    **{
        f"beside the words, boost {boost}": body(
            "hybrid", {"bool": {"must": [WORDS], "should": [_match(boost)]}}
        )
        for boost in (1, 2, 8)
    },
    "instead of the words too, boost 4": body("hybrid", {"bool": {"should": [WORDS, _match(4)]}}),
    **{f"a third leg, weight {weight}": _as_leg(weight) for weight in (0.15, 0.2)},
}
"""hybrids that were not chosen"""


def read(catalog: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]


def judged_by_eye() -> dict[str, list[str]]:
    """The colours of the items that were judged, the first is the dominant one."""
    with JUDGED.open(encoding="utf-8", newline="") as stream:
        return {row["id"]: row["colours"].split(";") for row in csv.DictReader(stream)}


def ingested(servers: Both, name: str, catalog: Path) -> Client:
    """An index of a catalog."""
    say(f"{name}: ingest")
    shop = Client(servers.url, triton=servers.triton, index=f"bench-colours-{name}")
    report = shop.ingest(catalog, on_bad_image="text-only")
    if report.exit_code:
        raise RuntimeError(report.sentence())
    return shop


def measured(
    tables: Sequence[Table], shop: Client, what: str, judged: Path | list[dict[str, str]], least: float | None
) -> None:
    """Add a set's figures: of queries with a colour R@10, of others nDCG@10. A target is of the hybrid."""
    table, of_ways = tables
    measure, short = (NDCG, "nDCG") if isinstance(judged, Path) else (RECALL, "R")
    found = evaluate(judged, {**SYSTEMS, **OTHER_WAYS}, client=shop, measures=[measure], depth=DEPTH)
    if found.problems:
        raise RuntimeError(f"expected an answer to every query, got {found.problems}")
    values = {name: next(iter(of.values())) for name, of in found.means.items()}
    for name in SYSTEMS:
        table.figure(f"{what}: {name}, {short}@{DEPTH}", round(values[name], 4), {}, exact=True)
    for mode in ("lexical", "hybrid"):
        ratio = values[f"{mode}, with"] / max(values[f"{mode}, without"], 1e-9)
        bound = {">=": least if mode == "hybrid" else None}
        table.figure(f"{what}: {mode}, with / without", round(ratio, 4), bound, exact=True)
    for name in ("hybrid, without", "hybrid, with", *OTHER_WAYS):
        of_ways.figure(f"{name}: {what}", round(values[name], 4), {}, exact=True)
    table.note(f"{what}: {len(found.study.judgments.queries)} queries.")


def main() -> int:
    parser = Options(__doc__)
    parser.short["others"] = []
    parser.add_argument("--others", nargs="*", choices=list(OTHERS), default=list(OTHERS))
    options = parser.parse()
    tables = Table("quality-colours", "", {}), Table("quality-colours-ways", "", {})
    with tempfile.TemporaryDirectory() as scratch, both() as servers:
        folder = evaluate_demo.write_furniture(Path(scratch) / "shifted", cache_folder())
        products = read(folder / "catalog.jsonl")
        colours = shift(folder, products)
        with ingested(servers, "shifted", folder / "catalog.jsonl") as shop:
            for most, least in ((DEPTH, AT_LEAST), (2 * DEPTH, None), (1, None)):
                pairs = list(asked(products, colours, most))
                measured(tables, shop, f"shifted, kinds of more than {most}", pairs, least)
        folder = evaluate_demo.write_furniture(Path(scratch) / "judged", cache_folder())
        by_eye = judged_by_eye()
        some = [product for product in products if product["id"] in by_eye]
        catalog = folder / "some.jsonl"
        catalog.write_text("".join(json.dumps(each) + "\n" for each in some), encoding="utf-8")
        with ingested(servers, "judged", catalog) as shop:
            measured(tables, shop, "judged", list(asked(some, by_eye, 1)), None)
            pairs = list(asked(some, by_eye, DEPTH))
            measured(tables, shop, f"judged, kinds of more than {DEPTH}", pairs, None)
        for name in options.others:
            folder = OTHERS[name](Path(scratch) / name, cache_folder())
            with ingested(servers, name, folder / "catalog.jsonl") as shop:
                measured(tables, shop, name, folder / "judgments.jsonl", OTHERS_AT_LEAST)
    tables[1].finish()
    return 0 if tables[0].finish() else 1
