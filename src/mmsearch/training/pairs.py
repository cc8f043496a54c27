"""Read pairs of queries and products, and join them with a catalog and with tower features."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mmsearch.errors import CatalogError, PictureError, RecordError, TrainingError
from mmsearch.evaluation.exchange import esci
from mmsearch.evaluation.exchange.judged_file import require_selected
from mmsearch.images.data_uri import is_data_uri
from mmsearch.images.references import located, read
from mmsearch.models.architecture import Architecture
from mmsearch.models.export.export_cache import exported
from mmsearch.models.fusion import registry
from mmsearch.products import reader
from mmsearch.products.catalog import Catalog
from mmsearch.products.feeds.feed import Feed
from mmsearch.products.ids import identifier_or_empty
from mmsearch.products.in_memory import Frame, InMemoryCatalog, plain, rows_of
from mmsearch.products.rows import rows
from mmsearch.products.text import tower_text
from mmsearch.training.features import picture_features, text_features
from mmsearch.training.objective import Features
from mmsearch.training.towers.moving_inputs import MovingInputs, Source
from mmsearch.training.towers.moving_tower import MovingTower
from mmsearch.training.towers.picture_store import PictureStore
from mmsearch.training.towers.token_store import TokenStore

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ProductInput:
    """Tower inputs of a product: `text`, its image (a path, or a `data:` URI), and its `group`."""

    identifier: str
    text: str
    picture: Path | str | None
    group: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, a relevant product, its count, and hard negatives."""

    query: str
    product: str
    count: float
    negatives: tuple[str, ...] = ()


def read_pairs(
    source: Path | Iterable[Any] | Frame, say: Say = lambda _: None, only: Mapping[str, str] | None = None
) -> list[Pair]:
    """Read query, product_id and count (default 1) from a file in any format of a catalog, from dicts or from
    a pandas DataFrame.

    `only` keeps the rows of a file with these values in these columns. Of the Shopping Queries Dataset, the
    exact matches of the split `train` are read, with the irrelevant ones as negatives. Raise TrainingError
    for invalid pairs.
    """
    pairs = []
    records = _of_file(source, say, only or {}) if isinstance(source, Path) else _in_memory(source)
    for where, record in records:
        query, count = record.get("query"), record.get("count", 1)
        product = identifier_or_empty(record.get("product_id"))
        if not (isinstance(query, str) and query.strip() and product):
            raise TrainingError(
                f"expected a query and a product_id in {where}, "
                f"got {json.dumps(record)[:80]}; correct the line"
            )
        if isinstance(count, bool) or not isinstance(count, int | float) or not 0 < count < float("inf"):
            raise TrainingError(f"expected a count above 0 in {where}, got {count!r}; correct the line")
        negatives = record.get("negatives", [])
        others = [identifier_or_empty(name) for name in negatives] if isinstance(negatives, list) else [""]
        if not all(others):
            raise TrainingError(
                f"expected negatives as a list of product ids in {where}, "
                f"got {json.dumps(negatives)[:40]}; correct the line"
            )
        pairs.append(Pair(query, product, float(count), tuple(others)))
    if not pairs:
        name = source if isinstance(source, Path) else "memory"
        raise TrainingError(f"expected pairs in {name}, got none; name a file with at least one line")
    return pairs


def read_products(
    source: Path | InMemoryCatalog,
    root: Path | None = None,
    *,
    say: Say,
    renames: Mapping[str, str] | None = None,
    preset: str | None = None,
    form: str | None = None,
) -> list[ProductInput]:
    """Read a catalog as `mmsearch ingest` does, so that training and serving use the same text.

    `renames`, `preset` and `form` are `--map`, `--preset` and `--format` of `mmsearch ingest`. The first
    image is used, below `root`; the default is the catalog's folder, or the working directory for data in
    memory. `group` names an attribute; by default each product is its own group. Lines that ingest would
    reject are skipped; `say` is called with their number and the reasons. Raise TrainingError when no product
    is left, CatalogError when the file cannot be read.
    """
    products: dict[str, ProductInput] = {}
    left_out: Counter[str] = Counter()
    example = ""
    file, folder = "the products in memory", Path()
    if isinstance(source, Path):
        file, folder = str(source), source.parent
    catalog = Catalog(file, form, say) if isinstance(source, Path) else source
    with closing(Feed(catalog, renames, preset, say)) as lines:
        for line, found in reader.read_products(lines, renames):
            record = found
            if not isinstance(record, RecordError) and record.id in products:
                record = reader.duplicate(line, record.id)
            if isinstance(record, RecordError):
                left_out[record.reason] += 1
                example = example or record.message
                continue
            first = next(iter(record.pictures), None)
            picture = first if first is None or is_data_uri(first) else located(first, root or folder)
            group = record.group or record.id
            products[record.id] = ProductInput(record.id, tower_text(record), picture, group)
    if left_out:
        counts = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common(5))
        say(f"{left_out.total()} lines of {file} are left out: {counts}; such as: {example}")
    if not products:
        raise TrainingError(
            f"expected products in {file}, got none; name a file with at least one line that is a product"
        )
    return list(products.values())


def features(
    architecture: Architecture,
    products: list[ProductInput],
    pairs: list[Pair],
    say: Say,
    known: Mapping[str, list[str]] | None = None,
    precision: str = "fp32",
    *,
    moving: Mapping[str, MovingTower] | None = None,
    cut: int = 64,
) -> Features:
    """Compute (or read from the cache) the features of the frozen towers, and join pairs and products by
    number.

    `known` maps a query to further relevant products, which must not become negatives. `precision` is that of
    the text towers. Of the towers in `moving` the tokens are kept instead of features, at most `cut` of a
    text. Pairs with a product that is not in the catalog are skipped and counted. Raise
    TrainingError when no pair is left.
    """
    places = {product.identifier: number for number, product in enumerate(products)}
    queries = sorted({pair.query for pair in pairs})
    fusion = architecture.fusion
    sources: dict[str, Source] = {}

    def texts_of(name: str, slot: str, texts: list[str], width: int) -> torch.Tensor:
        tower = (moving or {}).get(architecture.slots.get(slot, ""))
        if tower is None:
            return _texts(architecture, slot, texts, width, say, precision)
        store = _tokens(tower, texts, cut)
        sources[name] = Source(tower.tower.name, store)
        return (store.lengths(torch.arange(len(store))) > 0).float().unsqueeze(1)

    query_text = texts_of("query_text", "bibert_query", queries, fusion.text_dimension)
    query_words = texts_of("query_words", "clip_text", queries, fusion.image_dimension)
    read = query_text.any(1) | query_words.any(1)
    if not read.all():
        # A search by such a query is refused, so there is nothing to learn for it.
        left_out = {
            query for query, known_words in zip(queries, read.tolist(), strict=True) if not known_words
        }
        say(f"{len(left_out)} of {len(queries)} queries are left out, of which the towers know no word")
        kept = [pair for pair in pairs if pair.query not in left_out]
        if not kept:
            raise TrainingError(
                "expected queries with words that the text tower knows, got none; use a tower of their "
                "language"
            )
        return features(architecture, products, kept, say, known, precision, moving=moving, cut=cut)
    numbers = {query: number for number, query in enumerate(queries)}
    joined = [
        (numbers[pair.query], places[pair.product], pair.count) for pair in pairs if pair.product in places
    ]
    if len(joined) < len(pairs):
        say(f"{len(pairs) - len(joined)} of {len(pairs)} pairs name products that the catalog lacks")
    if not joined:
        raise TrainingError(
            "expected pairs whose product_id is in the catalog, got none; use the same ids in both"
        )
    codes = {query * len(products) + product for query, product, _ in joined}
    for query, right in (known or {}).items():
        if query in numbers:
            codes |= {numbers[query] * len(products) + places[name] for name in right if name in places}
    hard: list[set[int]] = [set() for _ in queries]
    for pair in pairs:
        hard[numbers[pair.query]] |= {places[name] for name in pair.negatives if name in places}
    for number, chosen in enumerate(hard):
        hard[number] = {place for place in chosen if number * len(products) + place not in codes}
    most = max(map(len, hard))
    group = {name: number for number, name in enumerate(sorted({product.group for product in products}))}
    texts = [product.text for product in products]
    item_text = texts_of("item_text", "bibert_item", texts, fusion.text_dimension)
    unread = sum(bool(text) for text in texts) - int(item_text.any(1).sum())
    if unread and "bibert_item" in architecture.slots:
        say(
            f"{unread} of {len(products)} products have a text without a word known to the tower, which is "
            "ignored"
        )
    seen = (moving or {}).get(architecture.slots.get("clip_image", ""))
    if seen is None:
        item_image = _pictures(architecture, products, say)
    else:
        store = _store(architecture, seen, products, say)
        sources["item_image"] = Source(seen.tower.name, store)
        item_image = store.present().float().unsqueeze(1)
    joined = _with_something(joined, item_text.any(1) | item_image.any(1), say)
    return Features(
        query_text=query_text,
        query_words=query_words,
        item_text=item_text,
        item_image=item_image,
        pairs=torch.tensor([pair[:2] for pair in joined], dtype=torch.int64),
        counts=torch.tensor([pair[2] for pair in joined], dtype=torch.float32),
        known=torch.tensor(sorted(codes), dtype=torch.int64),
        group=torch.tensor([group[product.group] for product in products], dtype=torch.int64),
        negatives=torch.tensor(
            [sorted(chosen) + [-1] * (most - len(chosen)) for chosen in hard], dtype=torch.int64
        ).view(len(queries), most),
        moving=MovingInputs(moving, sources) if moving else None,
    )


def _with_something(
    joined: list[tuple[int, int, float]], present: torch.Tensor, say: Say
) -> list[tuple[int, int, float]]:
    """Return the pairs whose product has a text or an image that the towers read, by `present`, bool [n]."""
    there: list[bool] = present.tolist()
    kept = [pair for pair in joined if there[pair[1]]]
    if not kept:
        raise TrainingError(
            "expected products with a text or an image that the architecture's towers read, got none; give "
            "the products images, or name an architecture that reads their text"
        )
    if len(kept) < len(joined):
        say(
            f"{len(joined) - len(kept)} of {len(joined)} pairs are left out, whose products have neither a "
            "text nor an image that the towers read"
        )
    return kept


def _tokens(tower: MovingTower, texts: list[str], cut: int) -> TokenStore:
    return TokenStore(texts, tower.tokens(cut), tower.width)


def _store(
    architecture: Architecture, tower: MovingTower, products: list[ProductInput], say: Say
) -> PictureStore:
    if architecture.fusion.kind in registry.FUSION_HEADS:
        raise TrainingError(
            f"expected a frozen image tower beside the fusion {architecture.fusion.kind}, which fits a map "
            f"to its features, got `train` of {tower.tower.name}; freeze it, or train it by the fusion "
            "image_only first"
        )
    numbers = tower.tower.numbers
    pictures = [product.picture for product in products]
    return PictureStore(pictures, int(numbers["size"]), str(numbers["fit"]), _without(products, say))


def _texts(
    architecture: Architecture, slot: str, texts: list[str], width: int, say: Say, precision: str
) -> torch.Tensor:
    tower = architecture.tower(slot)
    if tower is None:
        return torch.zeros(len(texts), width)
    return torch.from_numpy(text_features(exported(architecture, tower, say, precision), texts, precision))


def _pictures(architecture: Architecture, products: list[ProductInput], say: Say) -> torch.Tensor:
    tower = architecture.tower("clip_image")
    if tower is None:
        return torch.zeros(len(products), architecture.fusion.image_dimension)
    encoded = (_read(product, say) for product in products)
    without = _without(products, say)
    return torch.from_numpy(picture_features(exported(architecture, tower, say), encoded, without))


def _without(products: list[ProductInput], say: Say) -> Callable[[int, str], None]:
    """Return what says that the image of a product, by its number, is not read, and why."""
    return lambda number, why: say(f"{products[number].identifier} trains without its picture: {why}")


def _read(product: ProductInput, say: Say) -> bytes:
    if product.picture is None:
        return b""
    try:
        if isinstance(product.picture, str):
            return read(product.picture, Path())
        return product.picture.read_bytes()
    except (OSError, PictureError) as error:
        why = error.strerror if isinstance(error, OSError) else error.message
        say(f"{product.identifier} trains without its picture: {why}")
        return b""


def _in_memory(source: Iterable[Any] | Frame) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each pair with its position for messages. None and NaN are missing values."""
    for number, row in enumerate(rows_of(source), 1):
        where = f"pair {number}"
        try:
            record = plain(row)
        except (TypeError, ValueError) as error:
            raise TrainingError(f"expected values that JSON has in {where}, got {error}") from None
        if not isinstance(record, dict):
            raise TrainingError(f"expected a dict as {where}, got {type(row).__name__}")
        yield where, {key: value for key, value in record.items() if value is not None}


def _of_file(file: Path, say: Say, only: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each pair with its position for messages."""
    try:
        found = _lines(file, say, only)
        first = next(found, None)
        if first is None:
            return
        esci.require_judged(first[1], file)
        found = itertools.chain([first], found)
        yield from esci.pairs(found) if esci.is_esci(first[1]) else found
    except FileNotFoundError as error:
        raise TrainingError(f"expected the file {file}, got none; correct the path") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise TrainingError(
            f"expected {file} to be readable to the end, got: {why}; write it again"
        ) from error
    except RecordError as error:
        raise TrainingError(
            f"expected an object in line {error.line} of {file}, got none: {error.message}; correct the line"
        ) from error
    except CatalogError as error:
        raise TrainingError(f"expected pairs in {file}: {error}") from error


def _lines(file: Path, say: Say, only: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the selected rows of a file."""
    wanted = dict(only)
    columns: list[str] = []
    read = left = 0
    for number, record in rows(file, say):
        read += 1
        if read == 1:
            columns = list(record)
            if esci.is_esci(record) and "split" in record:
                wanted.setdefault("split", esci.TRAIN)
        if esci.selected(record, wanted):
            yield f"line {number} of {file}", record
        else:
            left += 1
    if said := require_selected(left, read, wanted, columns, file):
        say(said)
