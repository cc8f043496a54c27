"""`python -m evaluate_demo FOLDER`: catalogs with judgments that Debian packages ship, to evaluate
on.

openclipart: half of the collection (whole groups of near-duplicates, so that no twin is elsewhere), its
keywords as queries, Exact for the pictures that people filed under the keyword. A keyword may stand in the
title or not: the attribute `kind` tells `named` (in the titles), `meant` (in none) and `mixed` queries apart.
The other half is written too, as a catalog with pairs to train on: nothing of it is in the index.

furniture: the items of `sweethome3d-furniture`, their tags as queries.

software: the applications of Debian's lists, keywords that a few of them share as queries; and software-de,
software-fr, software-ru and software-ja, the applications whose texts are translated, by keywords that are.

emoji: Noto's emoji by their names, keywords of Unicode's CLDR as queries.

stamps: Tux Paint's stamps by their captions, the names of their folders as queries; and stamps-de and
stamps-fr with captions in that language and the same English queries.

No catalog holds its tags or keywords.

The labels are what people filed, not purchases, and nobody judged the rest: products outside a query's
keyword are unjudged, though most are irrelevant.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sample_data import emoji, furniture, openclipart, software, stamps

from mmsearch.config import cache_folder

FEWEST, MOST = 2, 40  # relevant products of a query: one is luck, more are a kind of thing
SEED = 20250107


def write_openclipart(folder: Path, cache: Path, queries: int | None = None) -> Path:
    """Write `catalog.jsonl`, `pictures/` and `judgments.jsonl` below `folder`; return the folder."""
    data = openclipart.collection(cache)
    half = openclipart.folds(data.group)
    kept, others = (
        [number for number in range(len(data.products)) if half[number] == side] for side in (0, 1)
    )
    _write_products(folder, data, kept)
    _write_training(folder / "training", data, others)
    in_pool = set(kept)
    judged: dict[str, list[str]] = {}
    kinds = {}
    for keyword, meant in data.relevant.items():
        here = [number for number in meant if number in in_pool]
        named = [number for number in data.named.get(keyword, ()) if number in in_pool]
        judged[keyword] = [data.products[number].identifier for number in sorted({*here, *named})]
        kinds[keyword] = "meant" if not named else "named" if not here else "mixed"
    _write(folder / "judgments.jsonl", _pairs(_sampled(judged, queries), kinds))
    return folder


def _write_products(folder: Path, data: openclipart.Collection, numbers: Sequence[int]) -> None:
    """`catalog.jsonl` with the pictures beside it; products of one group are near-duplicates."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    records = []
    for number in numbers:
        product = data.products[number]
        picture = f"pictures/{product.identifier.replace('/', '--')}.png"
        link = folder / picture
        if not link.exists():
            link.hardlink_to(product.picture)
        group = int(data.group[number])
        records.append({"id": product.identifier, "title": product.title, "image": picture, "group": group})
    _write(folder / "catalog.jsonl", records)


def _write_training(folder: Path, data: openclipart.Collection, numbers: Sequence[int]) -> None:
    """A catalog and `pairs.jsonl`: keywords of which no stem stands in the picture's title."""
    _write_products(folder, data, numbers)
    chosen = set(numbers)
    pairs = (
        {"query": keyword, "product_id": data.products[number].identifier, "count": 1}
        for keyword, meant in sorted(data.relevant.items())
        for number in meant
        if number in chosen
    )
    _write(folder / "pairs.jsonl", pairs)


def write_furniture(folder: Path, cache: Path, queries: int | None = None) -> Path:
    """The same files for the furniture; `kind` tells whether a tag stands in the titles."""
    catalog = furniture.write_catalog(folder, cache)
    judged: dict[str, list[str]] = defaultdict(list)
    in_title: dict[str, int] = defaultdict(int)
    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    for product in products:
        for tag in {tag.lower() for tag in product.pop("tags", ())}:
            judged[tag].append(product["id"])
            in_title[tag] += tag in product["title"].lower()
    _write(catalog, products)
    kinds = {
        tag: "meant" if not in_title[tag] else "named" if in_title[tag] == len(found) else "mixed"
        for tag, found in judged.items()
    }
    _write(folder / "judgments.jsonl", _pairs(_sampled(judged, queries), kinds))
    return folder


def write_software(
    folder: Path, cache: Path, queries: int | None = None, language: str = software.ENGLISH
) -> Path:
    """The same files for the store in one language; `kind` tells whether a keyword stands in the texts."""
    catalog = software.write_catalog(folder, cache, language, keywords=False)
    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    texts = {each["id"]: f"{each['title']}\n{each.get('description', '')}".lower() for each in products}
    judged = software.queries(software.applications(cache), language)
    kinds = {}
    for keyword, found in judged.items():
        said = sum(keyword in texts[identifier] for identifier in found)
        kinds[keyword] = "meant" if not said else "named" if said == len(found) else "mixed"
    _write(folder / "judgments.jsonl", _pairs(_sampled(judged, queries), kinds))
    return folder


def write_emoji(folder: Path, cache: Path, queries: int | None = None) -> Path:
    """The same files for the emoji; `kind` tells whether a keyword stands in the names."""
    return _write_cliparts(folder, emoji.emoji(cache), queries)


def write_stamps(
    folder: Path, cache: Path, queries: int | None = None, language: str = stamps.ENGLISH
) -> Path:
    """The same files for the stamps; `kind` tells whether a folder's name stands in the captions."""
    return _write_cliparts(folder, stamps.stamps(cache, language), queries)


def _write_cliparts(folder: Path, products: Sequence[openclipart.Clipart], queries: int | None) -> Path:
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    records = []
    judged: dict[str, list[str]] = defaultdict(list)
    in_title: dict[str, int] = defaultdict(int)
    for each in products:
        picture = f"pictures/{each.identifier.replace('/', '--')}.png"
        if not (folder / picture).exists():
            shutil.copyfile(each.picture, folder / picture)
        records.append({"id": each.identifier, "title": each.title, "image": picture})
        for keyword in dict.fromkeys(each.keywords):
            judged[keyword].append(each.identifier)
            in_title[keyword] += keyword in each.title.lower()
    _write(folder / "catalog.jsonl", records)
    kinds = {
        keyword: "meant" if not in_title[keyword] else "named" if in_title[keyword] == len(found) else "mixed"
        for keyword, found in judged.items()
    }
    _write(folder / "judgments.jsonl", _pairs(_sampled(judged, queries), kinds))
    return folder


def _sampled(judged: Mapping[str, Sequence[str]], most: int | None) -> dict[str, Sequence[str]]:
    fitting = sorted(query for query, products in judged.items() if FEWEST <= len(products) <= MOST)
    if most is not None and len(fitting) > most:
        fitting = sorted(random.Random(SEED).sample(fitting, most))  # noqa: S311 - a sample, not a secret
    return {query: judged[query] for query in fitting}


def _pairs(judged: Mapping[str, Sequence[str]], kinds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for query, products in judged.items():
        for product in products:
            yield {"query": query, "product_id": product, "label": "E", "kind": kinds[query]}


def _write(path: Path, records: Any) -> None:
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text(lines, encoding="utf-8")


def main(folder: Path, queries: int | None = None) -> None:
    """Write all sets below `folder`."""
    cache = cache_folder()
    write_openclipart(folder / "openclipart", cache, queries)
    write_furniture(folder / "furniture", cache, queries)
    for language in software.LANGUAGES:
        name = "software" if language == software.ENGLISH else f"software-{language}"
        write_software(folder / name, cache, queries, language)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
