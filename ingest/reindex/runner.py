"""Reindex a catalog with another model: fill a new index, check it, then move the aliases to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import HttpError, ask
from mmsearch.clients.retry import Patience
from mmsearch.clients.triton import Encoder, Served
from mmsearch.errors import AwayError, MismatchError, MmsearchError, NotMovedError
from mmsearch.ingest.job import Job
from mmsearch.ingest.product_index.aliases import aliases_of, moved
from mmsearch.ingest.product_index.foreign_fields import attributes_of_others
from mmsearch.ingest.product_index.storage import Storage, StorageOptions
from mmsearch.ingest.product_index.target import template_repair
from mmsearch.ingest.recipe import PIPE, Recipe
from mmsearch.ingest.reindex.carry_over import carry
from mmsearch.ingest.reindex.completeness import require_complete
from mmsearch.ingest.reindex.parity import Parity, parity
from mmsearch.ingest.reindex.successor import fills, successor
from mmsearch.ingest.reporting.stats import Report
from mmsearch.ingest.schema.attributes import PARTS
from mmsearch.ingest.schema.fields import Schema, SchemaOptions
from mmsearch.ingest.schema.sample import schema_for
from mmsearch.products.catalog import Catalog
from mmsearch.products.feeds.feed import Feed
from mmsearch.products.rejects import beside
from mmsearch.products.sampled import LINES, Sampled
from mmsearch.search.lexical import stored_or_said

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Settings of the new index, and how much of the old index it may lack before the alias is kept where it
    is.

    `fields`, `storage`, `shards` and `schema` default to those of the old index. `queries=0` skips the
    comparison. `keep` leaves the aliases unchanged. `resume` is the command that continues after a stop.
    """

    fields: tuple[str, ...] | None = None
    storage: StorageOptions = field(default_factory=StorageOptions)
    shards: int | None = None
    schema: SchemaOptions = field(default_factory=SchemaOptions)
    queries: int = 200
    judgments: Path | None = None
    max_rejects: int = 0
    allow_fewer: int = 0
    keep: bool = False
    resume: str = ""


@dataclass(frozen=True, slots=True)
class Old:
    """The index behind the alias: its name, its part of `GET /INDEX`, how it was filled, and whether mmsearch
    created it. An index that mmsearch did not create has no vectors to compare.
    """

    name: str
    about: Mapping[str, Any]
    recipe: Recipe
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Reindexed:
    """Result: the two indices, the moved aliases (none with `keep`), the comparison and the report of the
    run.
    """

    old: str
    new: str
    aliases: tuple[str, ...]
    parity: Parity | None
    report: Report


def behind(client: OpenSearch, alias: str) -> Old:
    """Return the index behind an alias. Raise MismatchError if there is none, or more than one."""
    found = _said(lambda: ask(client, "GET", "/_alias"), f"{alias} stays where it is")
    olds = sorted(name for name, about in found.items() if alias in about["aliases"])
    if len(olds) != 1:
        raise MismatchError(
            f"expected one index behind the alias {alias}, got {', '.join(olds) or 'none'}; "
            "name the alias of an index by --index"
        )
    (name,) = olds
    about = _said(lambda: ask(client, "GET", f"/{name}"), f"{alias} stays on {name}")[name]
    meta = about["mappings"].get("_meta", {}).get("mmsearch", {})
    return Old(name, about, Recipe.read(meta), ours=bool(meta.get("fields")))


def readable(recipe: Recipe, old: str, *, named: bool) -> Recipe:
    """Return the recipe if its catalog can be read. `named` says that the user passed the catalog now.

    Raise MismatchError with the repair if it cannot be read.
    """
    if recipe.catalog == PIPE:
        if named:
            return recipe
        got = "standard input"
    elif not recipe.catalog:
        got = "none"
    elif Path(recipe.catalog).is_file():
        return recipe
    else:
        got = f"{recipe.catalog}, which does not exist"
    raise MismatchError(
        f"expected the file of the last ingest into {old}, got {got}; name it: mmsearch reindex CATALOG"
    )


def described(encoder: Encoder, alias: str, old: str) -> Served:
    """Return the description of the served encoder. Raise NotMovedError when Triton is unreachable."""
    return _said(encoder.describe, f"{alias} stays on {old}")


def reindex(
    client: OpenSearch,
    alias: str,
    old: Old,
    recipe: Recipe,
    served: Served,
    wanted: Wanted,
    fill: Callable[[Job], Report],
    say: Callable[[str], None],
) -> Reindexed:
    """Fill a new index by `fill`, copy fields of other systems from the old one, check it, and move every
    alias of the old index to it.

    Raise NotMovedError, ComparisonError or any error of `fill`; no alias has moved then. The old index is
    never written to.
    """
    state = f"{alias} stays on {old.name}"
    new, filled_before = _said(lambda: _index(client, alias, old, recipe, served, wanted, say), state)
    job = replace(_job(recipe, new, filled_before), resume=wanted.resume)

    def filled() -> tuple[Report, Parity | None]:
        report = fill(job)
        ask(client, "POST", f"/{old.name}/_refresh")
        carried = carry(client, old.name, new, Patience(job.patience, say))
        if carried:
            say(f"{carried} products keep the fields that others have written into {old.name}")
        limits = {"max_rejects": wanted.max_rejects, "allow_fewer": wanted.allow_fewer}
        require_complete(client, old.name, new, job.rejects, **limits)
        if not old.ours or (not wanted.queries and wanted.judgments is None):
            return report, None
        return report, parity(client, old.name, new, wanted.queries, wanted.judgments)

    report, compared = _said(filled, f"{state}, and {new} remains for another attempt")
    names = () if wanted.keep else _move(client, old.name, new, state)
    if names:
        stored_or_said(client, alias, say)
    return Reindexed(old.name, new, names, compared, report)


def _schema(
    client: OpenSearch, old: Old, recipe: Recipe, wanted: Wanted, say: Callable[[str], None]
) -> Schema:
    """Return the schema of the new index: that of the old one, completed from the first products of the
    catalog.
    """
    mappings = old.about["mappings"]
    fields = mappings.get("properties", {})
    before = Schema.read(mappings.get("_meta", {}).get("mmsearch", {}), fields)
    others = _of_others(client, old.name)
    if recipe.catalog == PIPE:
        return schema_for((), recipe.renames, wanted.schema, say, before, fields, others)
    with closing(
        Sampled(Feed(Catalog(recipe.catalog, recipe.format), recipe.renames, recipe.preset))
    ) as catalog:
        return schema_for(catalog.first(), recipe.renames, wanted.schema, say, before, fields, others)


def _of_others(client: OpenSearch, old: str) -> list[dict[str, Any]]:
    """Return the attributes of some products of the old index that partial feeds and other systems wrote."""
    body = {"size": LINES, "_source": [*PARTS, "ingest.attributes"]}
    hits = ask(client, "POST", f"/{old}/_search", body=body)["hits"]["hits"]
    return [attributes_of_others(hit.get("_source", {})) for hit in hits]


def _index(
    client: OpenSearch,
    alias: str,
    old: Old,
    recipe: Recipe,
    served: Served,
    wanted: Wanted,
    say: Callable[[str], None],
) -> tuple[str, bool]:
    """Return the new index, and whether an earlier attempt has partly filled it."""
    body = successor(
        old.name,
        old.about,
        served,
        fields=wanted.fields,
        options=wanted.storage,
        shards=wanted.shards,
        schema=_schema(client, old, recipe, wanted, say),
        files=wanted.schema.files,
    )
    there: dict[str, Any] = ask(client, "GET", "/_alias")
    for name in sorted(there, reverse=True):
        if name.startswith(f"{alias}-") and not there[name]["aliases"]:
            about = ask(client, "GET", f"/{name}")[name]
            if fills(about, old.name, body):
                return name, True
    if wanted.storage:
        Storage.of(body["mappings"]["properties"]["embedding"]).require_libraries(client)
    new = following(alias, there)
    try:
        ask(client, "PUT", f"/{new}", body=body)
    except HttpError as error:
        if repair := template_repair(error):
            raise MismatchError(
                f"expected OpenSearch to create the index {new}, got {error}{repair}"
            ) from None
        raise
    return new, False


def _job(recipe: Recipe, new: str, filled_before: bool) -> Job:
    # The index of an earlier attempt is updated to the catalog; products that are no longer in it are
    # deleted.
    return Job(
        catalog=recipe.catalog,
        image_root=Path(recipe.image_root),
        rejects=beside(recipe.catalog, prefix=f"{new}."),
        index=new,
        format=recipe.format,
        limit=recipe.limit,
        text_only=recipe.text_only,
        fetch=recipe.fetch,
        renames=recipe.renames,
        preset=recipe.preset,
        processes=recipe.processes,
        batch=recipe.batch,
        patience=recipe.patience,
        sync=1.0 if filled_before else None,
    )


def _move(client: OpenSearch, old: str, new: str, state: str) -> tuple[str, ...]:
    """Move every alias of the old index in one request, with its properties. Return their names."""
    aliases = _said(lambda: aliases_of(client, old), state)
    try:
        ask(client, "POST", "/_aliases", body={"actions": moved(aliases, old, new)})
    except HttpError as error:
        raise NotMovedError(
            f"expected OpenSearch to move {', '.join(aliases)} from {old} to {new}, got {error}; {state}, "
            "move them by POST _aliases"
        ) from None
    except AwayError as away:
        raise NotMovedError(
            f"expected OpenSearch to move {', '.join(aliases)} from {old} to {new}, got {away.why}; they may "
            "have moved, see GET _alias"
        ) from None
    return tuple(aliases)


def following(alias: str, names: Iterable[str]) -> str:
    """Return the next numbered name of an alias: products-000002 after products-000001."""
    pattern = re.compile(rf"{re.escape(alias)}-(\d{{6}})")
    numbers = [int(found[1]) for name in names if (found := pattern.fullmatch(name))]
    return f"{alias}-{max(numbers, default=0) + 1:06d}"


def _said(question: Callable[[], T], state: str) -> T:
    """Return the response. An error's sentence also says which index the alias points to."""
    try:
        return question()
    except AwayError as away:
        why = f"expected {away.server} to answer, got {away.why}, run it again when it responds"
    except HttpError as error:
        why = f"expected OpenSearch to do what a reindex needs, got {error}"
    except MmsearchError as error:
        why = error.sentence()
    raise NotMovedError(f"{why}; {state}")
