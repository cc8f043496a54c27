"""`mmsearch reindex`: the same catalogue by another model, behind the same name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from . import options


@click.command("reindex")
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.servers
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of `mmsearch train`, deployed first; without it, the newest version that is served.",
)
@click.option("--precision", type=click.Choice(["int8", "fp32"]), default="int8", show_default=True)
@click.option("--repository", type=click.Path(file_okay=False, path_type=Path), help="The served folder.")
@click.option("--image-root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--judgments", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--queries", type=click.IntRange(1, 10_000), default=200, show_default=True)
@click.option("--keep", is_flag=True, help="Leave the name where it is; the new index stays beside the old.")
@click.option("--json", "as_json", is_flag=True, help="One summary object on one line.")
def command(
    catalogue: Path,
    index: str,
    opensearch: str,
    triton: str,
    model: Path | None,
    precision: str,
    repository: Path | None,
    image_root: Path | None,
    judgments: Path | None,
    queries: int,
    keep: bool,
    as_json: bool,
) -> None:
    """Encode CATALOGUE by a new model into a new index, compare it with the old one, and move the alias.

    The old index stays until you delete it, and its model stays loaded. The parity report says how many of
    the old top ten the new one has too, and both recalls where --judgments are given.

    Example: mmsearch reindex catalog.jsonl --model runs/4tmm_gated
    """
    from ..ingest.connect import ask, connect
    from ..ingest.encode import Encoder
    from ..ingest.errors import MmsearchError
    from ..ingest.index import DEFAULT_FIELDS, definition
    from ..ingest.job import Job
    from ..stack.state import Home
    from ..train import deploy as deploying
    from ..train.parity import parity
    from .ingest import ingest

    client = connect(opensearch)
    try:
        behind = ask(client, "GET", "/_alias", params={})
        olds = sorted(name for name, about in behind.items() if index in about["aliases"])
        if len(olds) != 1:
            raise MmsearchError(
                f"expected one index behind the alias {index}, got {', '.join(olds) or 'none'}; "
                "name the alias of an index that mmsearch made by --index"
            )
        old = olds[0]
        mapping = ask(client, "GET", f"/{old}/_mapping")[old]["mappings"]
        fields = tuple(mapping.get("_meta", {}).get("mmsearch", {}).get("fields", {})) or DEFAULT_FIELDS
        if model:
            tree = repository or Home.at().models
            deployed = deploying.deploy(
                model, precision, tree, lambda line: click.echo(f"  {line}", err=True)
            )
            deploying.load(deployed, tree, triton)
        encoder = Encoder(triton)
        try:
            served = encoder.describe()
        finally:
            encoder.close()
        new = following(index, behind)
        ask(client, "PUT", f"/{new}", body=definition(served, fields))
        job = Job(
            catalogue=str(catalogue),
            image_root=(image_root or catalogue.parent).resolve(),
            rejects=catalogue.parent / f"{new}.rejects.jsonl",
            index=new,
        )
        report = ingest(job, opensearch, triton)
        ask(client, "POST", f"/{new}/_refresh")
        compared = parity(client, old, new, queries, judgments)
        if not keep:
            moved = [{"remove": {"index": old, "alias": index}}, {"add": {"index": new, "alias": index}}]
            ask(client, "POST", "/_aliases", body={"actions": moved})
    finally:
        client.close()
    if as_json:
        summary = {"old": old, "new": new, "moved": not keep} | compared.summary() | report.summary()
        click.echo(json.dumps(summary))
    else:
        click.echo(f"{report.sentence()}\n{compared.sentence()}")
        place = (
            f"{index} stays on {old}" if keep else f"{index} is {new} now; {old} stays until you delete it"
        )
        click.echo(place)
    raise SystemExit(report.exit_code)


def following(alias: str, behind: dict[str, object]) -> str:
    """The name after the last numbered index of an alias: products-000002 after products-000001."""
    numbers = [
        int(found[1]) for name in behind if (found := re.fullmatch(rf"{re.escape(alias)}-(\d{{6}})", name))
    ]
    return f"{alias}-{max(numbers, default=0) + 1:06d}"
