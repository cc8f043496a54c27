"""What words find in catalogs that Debian packages ship: lexical, dense and hybrid searches, an index of the
same texts by one analyser alone, and the lexical query beside others.

    .venv/bin/python bench lexical [--sets software furniture] [--record FILE] [--short]

Nothing is timed. The queries are keywords and tags, not purchases, and no catalog holds them. The encoders
know English, so that the stores in other languages are asked by words only.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import evaluate_demo
import orjson
from measuring.interleaved import Table
from measuring.options import Options
from measuring.real_node import Both, both
from opensearchpy import OpenSearch
from sample_data import software

from mmsearch import Client
from mmsearch.api.evaluation import evaluate
from mmsearch.clients.opensearch import ask, connect
from mmsearch.config import cache_folder
from mmsearch.products.catalog import Catalog
from mmsearch.products.reader import read_products
from mmsearch.products.record import Product
from mmsearch.search.lexical import DEFAULT

ENGLISH = ("openclipart", "furniture", "software")
TRANSLATED = tuple(f"software-{each}" for each in software.LANGUAGES if each != software.ENGLISH)
OPENCLIPART_QUERIES = 250
"""the sample of docs/evaluation.md"""
MEASURES = {"ndcg(esci)@10": "nDCG@10", "recall(exact)@10": "R@10", "recall(exact)@100": "R@100"}
ANALYSERS = {"de": "german", "fr": "french", "ru": "russian", "ja": "cjk"}
BEFORE = Path(__file__).parent / "lexical_before.json"
"""what `mmsearch search` of the release before found"""
AS_BEFORE: dict[str, Any] = {
    "multi_match": {
        "query": "{{query}}",
        "fields": ["title^2", "description", "category", "brand"],
        "type": "cross_fields",
    }
}
OWN = DEFAULT["bool"]["must"][0]["multi_match"]
"""the words' part of the query; the rest ranks by the colours of images"""
UNSTEMMED = [name for name in OWN["fields"] if ".exact" in name]
STEMMED = [name for name in OWN["fields"] if name not in UNSTEMMED]
PLAIN = AS_BEFORE["multi_match"]["fields"]


def _multi_match(fields: Sequence[str], kind: str, **options: object) -> dict[str, Any]:
    return {"multi_match": {"query": "{{query}}", "fields": fields, "type": kind, **options}}


OTHERS: dict[str, dict[str, Any]] = {
    "as before": AS_BEFORE,
    "without colours": {"multi_match": OWN},
    "without whole words": _multi_match(STEMMED, "cross_fields", tie_breaker=0.3),
    "without a tie breaker": _multi_match(OWN["fields"], "cross_fields"),
    "every word": _multi_match(OWN["fields"], "cross_fields", tie_breaker=0.3, operator="and"),
    "best_fields": _multi_match(OWN["fields"], "best_fields", tie_breaker=0.3),
    "most_fields": _multi_match(OWN["fields"], "most_fields"),
    "combined_fields": {"combined_fields": {"query": "{{query}}", "fields": PLAIN}},
    "title^1": _multi_match(["title", *OWN["fields"][1:]], "cross_fields", tie_breaker=0.3),
    "title^4": _multi_match(["title^4", *OWN["fields"][1:]], "cross_fields", tie_breaker=0.3),
    "and phrases with a slop of 2": {
        "bool": {"should": [DEFAULT, _multi_match(PLAIN, "phrase", slop=2, boost=0.5)]}
    },
}
"""queries that were not chosen, on the same index"""
Found = dict[str, dict[str, float]]
"""system → measure → mean"""


def written(folder: Path, name: str) -> Path:
    """The folder of a set, with `catalog.jsonl` and `judgments.jsonl`."""
    cache = cache_folder()
    match name.partition("-"):
        case ("openclipart", *_):
            return evaluate_demo.write_openclipart(folder / name, cache, OPENCLIPART_QUERIES)
        case ("furniture", *_):
            return evaluate_demo.write_furniture(folder / name, cache)
        case (_, _, language):
            write = partial(evaluate_demo.write_software, folder / name, cache)
            return write(language=language) if language else write()
    raise ValueError(name)


def languages_of(name: str) -> Sequence[str]:
    """The analysers that a set is held against."""
    language = name.partition("-")[2]
    return ("standard", ANALYSERS[language] if language else "english")


def products(catalog: Path) -> Iterator[Product]:
    for _, found in read_products(Catalog(str(catalog))):
        if not isinstance(found, Product):
            raise found
        yield found


@contextmanager
def analysed_alone(client: OpenSearch, catalog: Path, analyser: str) -> Iterator[str]:
    """An index of the texts of a catalog's products, each field by the one analyser; gone after."""
    index = f"bench-alone-{analyser}"
    text = {"type": "text", "analyzer": analyser}
    mapping = dict.fromkeys(("title", "description", "category", "brand"), text)
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    ask(client, "PUT", f"/{index}", body={"settings": settings, "mappings": {"properties": mapping}})
    lines = bytearray()
    for each in products(catalog):
        source = {"title": each.title, "description": each.description, "category": each.category}
        lines += orjson.dumps({"index": {"_id": each.id}}) + b"\n"
        lines += orjson.dumps({**source, "brand": each.brand}) + b"\n"
    headers = {"content-type": "application/x-ndjson"}
    ask(client, "POST", f"/{index}/_bulk", body=bytes(lines), params={"refresh": "true"}, headers=headers)
    try:
        yield index
    finally:
        ask(client, "DELETE", f"/{index}")


def measured(servers: Both, folder: Path, name: str) -> dict[str, Any]:
    """A set's size, and what each system finds in it."""
    index = f"bench-{name}"
    with Client(servers.url, triton=servers.triton, index=index) as shop:
        report = shop.ingest(folder / "catalog.jsonl", on_bad_image="text-only")
        if report.exit_code:
            raise RuntimeError(report.sentence())
        systems: dict[str, Any] = {"lexical": "lexical"}
        if name in ENGLISH:
            systems |= {"dense": "neural", "hybrid": "hybrid"}
        judged = folder / "judgments.jsonl"
        study = partial(evaluate, judged, client=shop, measures=list(MEASURES))
        found = study(systems)
        means: Found = named(found.means)
        others: Found = named(study({name: {"query": query} for name, query in OTHERS.items()}).means)
        with connect(servers.url) as client:
            for analyser in languages_of(name):
                with analysed_alone(client, folder / "catalog.jsonl", analyser) as alone:
                    means |= named(study({f"{analyser} alone@{alone}": {"query": AS_BEFORE}}).means)
            ask(client, "DELETE", f"/{index}-000001")
        return {
            "products": report.indexed,
            "queries": len(found.study.judgments.queries),
            "systems": means,
            "others": others,
        }


def named(means: Found) -> Found:
    """The means by the measures' short names, to four digits."""
    return {
        system: {short: round(of[name], 4) for name, short in MEASURES.items()}
        for system, of in means.items()
    }


def table_of(sets: dict[str, Any], before: dict[str, Any]) -> Table:
    """Every figure, and beside those of the release before the difference."""
    table = Table("quality-lexical", "", {})
    for name, about in sets.items():
        systems: Found = about["systems"]
        was: Found = before.get(name, {}).get("systems", {})
        alone = max(
            (each["nDCG@10"] for system, each in systems.items() if system.endswith("alone")), default=0.0
        )
        for system, values in systems.items():
            for measure, value in values.items():
                target: dict[str, float | None] = {}
                if (system, measure) == ("lexical", "nDCG@10"):
                    target = {">=": TARGETS.get(name, alone)}
                beside = f", before {was[system][measure]:.3f}" if system in was else ""
                table.figure(f"{name}, {system}: {measure}{beside}", value, target, exact=True)
        table.note(f"{name}: {about['products']} products, {about['queries']} queries.")
    return table


def table_of_queries(sets: dict[str, Any]) -> Table:
    """nDCG@10 of the lexical query and of those that were not chosen, and their means over the sets."""
    table = Table("quality-lexical-queries", "", {})
    columns = {
        name: {"chosen": about["systems"]["lexical"], **about["others"]} for name, about in sets.items()
    }
    for query in ("chosen", *OTHERS):
        values = {name: column[query]["nDCG@10"] for name, column in columns.items()}
        for name, value in {**values, "mean": sum(values.values()) / len(values)}.items():
            table.figure(f"{query}: {name}", round(value, 4), {}, exact=True)
    return table


TARGETS = {"openclipart": 0.240}
"""nDCG@10 of lexical searches; in the other sets that of the best analyser alone"""


def main() -> int:
    parser = Options(__doc__)
    parser.short["sets"] = ["furniture"]
    parser.add_argument("--sets", nargs="+", choices=[*ENGLISH, *TRANSLATED], default=[*ENGLISH, *TRANSLATED])
    parser.add_argument("--record", type=Path, help="also write the figures there, as the ones before")
    asked = parser.parse()
    before = json.loads(BEFORE.read_text(encoding="utf-8")) if BEFORE.is_file() else {}
    with tempfile.TemporaryDirectory() as scratch, both() as servers:
        sets = {}
        for name in asked.sets:
            print(f"{name}: ingest and searches", file=sys.stderr)
            sets[name] = measured(servers, written(Path(scratch), name), name)
    if asked.record:
        asked.record.write_text(json.dumps(sets, indent=1) + "\n", encoding="utf-8")
    table_of_queries(sets).finish()
    return 0 if table_of(sets, before).finish() else 1
