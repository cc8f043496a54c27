"""`mmsearch reindex`: build a new index of the same catalog and move the aliases."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mmsearch.cli import options
from mmsearch.ingest.product_index.storage import StorageOptions
from mmsearch.ingest.reporting.losses import examples
from mmsearch.products.catalog import FORMATS

if TYPE_CHECKING:
    from mmsearch.ingest.recipe import Recipe
    from mmsearch.ingest.reindex.runner import Reindexed

Values = dict[str, Any]


@click.command("reindex")
@click.argument("catalog", required=False)
@options.servers
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of a training, deployed before; default: the newest served version.",
)
@click.option("--anyway", is_flag=True, help="Also a --model that was no better than the untrained one.")
@options.precision
@click.option("--repository", type=click.Path(file_okay=False, path_type=Path), help="The served folder.")
@options.from_before("that of the last ingest", options.working)
@options.from_before("that of the last ingest", options.preset)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    show_default="that of the last ingest",
    help="Format of the catalog.",
)
@options.from_before("that of the old index", options.vectors)
@options.from_before("that of the old index", options.new_index)
@click.option(
    "--max-rejects",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Do not move the aliases if more products of the old index than this are rejected.",
)
@click.option(
    "--allow-fewer",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Move the aliases even if the new index has up to N fewer products or pictures: for a catalog that "
    "has shrunk.",
)
@click.option("--judgments", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--queries",
    type=click.IntRange(0, 10_000),
    default=200,
    show_default=True,
    help="Number of titles to compare both indexes by; 0 moves the aliases without a comparison.",
)
@click.option("--keep", is_flag=True, help="Create the new index, but do not move the aliases.")
@click.pass_context
def command(context: click.Context, /, **values: Any) -> None:
    """Encode an index's catalog by a new model into a new index, compare the two, and move the aliases.

    CATALOG and the options for reading it default to those of the last `mmsearch ingest` into the index.
    The new index keeps settings, shards and storage of the old one, and all aliases move with their filters
    and routing. If products or pictures would be lost, or the indexes cannot be compared, no alias moves
    and the exit code is 1; run the command again to continue with the products encoded so far.

    The old index stays until you delete it, and its model stays loaded. The parity report shows the overlap
    of the two top tens, and the recall of both indexes if --judgments is given.

    \b
    Example:
      mmsearch reindex --model runs/4tmm_gated
      mmsearch reindex --shards 6 --knn-encoder byte
      mmsearch reindex catalog.jsonl --model runs/4tmm_gated --allow-fewer 20
    """
    from mmsearch.errors import MmsearchError

    as_json, index = values["as_json"], values["index"]
    try:
        done = _reindex(values, _given(context))
    except MmsearchError as error:
        if as_json:
            click.echo(json.dumps({"index": index, "moved": False, "error": error.sentence()}))
        raise
    for line in examples(done.report.losses):
        click.echo(f"mmsearch: {line}", err=True)
    if as_json:
        summary: Values = {"old": done.old, "new": done.new, "moved": bool(done.aliases)}
        summary["aliases"] = list(done.aliases)
        summary |= (done.parity.summary() if done.parity else {}) | done.report.summary()
        click.echo(json.dumps(summary))
    else:
        click.echo(_sentences(done, index))
    raise SystemExit(done.report.exit_code)


def _reindex(values: Values, given: set[str]) -> Reindexed:
    from mmsearch.cli.ending import again
    from mmsearch.cli.ingest import fields_of, ingest
    from mmsearch.clients.opensearch import connect
    from mmsearch.clients.triton import Encoder
    from mmsearch.ingest.reindex import runner

    index, opensearch, triton = values["index"], values["opensearch"], values["triton"]
    storage: StorageOptions = values["storage"]
    wanted = runner.Wanted(
        fields=fields_of(values["vectors"]),
        storage=storage,
        shards=values["shards"],
        schema=values["schema"],
        queries=values["queries"],
        judgments=values["judgments"],
        max_rejects=values["max_rejects"],
        allow_fewer=values["allow_fewer"],
        keep=values["keep"],
        resume=again(),
    )
    with closing(connect(opensearch)) as client:
        # Check for errors before a model is deployed.
        old = runner.behind(client, index)
        recipe = runner.readable(_recipe(old.recipe, values, given), old.name, named=bool(values["catalog"]))
        if values["model"]:
            _deploy(values)
        with closing(Encoder(triton)) as encoder:
            served = runner.described(encoder, index, old.name)
        return runner.reindex(
            client,
            index,
            old,
            recipe,
            served,
            wanted,
            fill=lambda job: ingest(job, opensearch, triton),
            say=lambda line: click.echo(f"mmsearch: {line}", err=True),
        )


def _deploy(values: Values) -> None:
    from mmsearch.models import deploy as deploying
    from mmsearch.stack.state import Home

    tree = values["repository"] or Home.at().models
    deployed = deploying.deploy(
        values["model"],
        values["precision"],
        tree,
        lambda line: click.echo(f"  {line}", err=True),
        anyway=values["anyway"],
    )
    deploying.load(deployed, tree, values["triton"])


def _recipe(recorded: Recipe, values: Values, given: set[str]) -> Recipe:
    """Return the recorded options, overridden by those of the command line."""
    recipe = recorded
    if catalog := values["catalog"]:
        path = Path(catalog)
        absolute = catalog if catalog == "-" else str(path.resolve())
        # The pictures of another catalog are in its folder; those of the same one have not moved.
        root = recipe.image_root if absolute == recipe.catalog else str(path.parent.resolve())
        recipe = replace(recipe, catalog=absolute, image_root=root)
        if absolute != recorded.catalog:
            recipe = replace(recipe, limit=None, format=None, preset=None)
    changes: Values = {
        "image_root": values["image_root"] and str(values["image_root"].resolve()),
        "text_only": values["on_bad_image"] == "text-only",
        "fetch": values["fetch_images"],
        "renames": values["renamed"],
        "format": values["form"],
        "preset": values["preset"],
        "processes": values["processes"],
        "batch": values["batch"],
        "patience": values["give_up_after"],
    }
    options_of = {
        "text_only": "on_bad_image",
        "fetch": "fetch_images",
        "renames": "renamed",
        "format": "form",
        "patience": "give_up_after",
    }
    return replace(
        recipe, **{name: value for name, value in changes.items() if options_of.get(name, name) in given}
    )


def _given(context: click.Context) -> set[str]:
    """Return the options that are set on the command line."""
    return {
        name
        for name in context.params
        if context.get_parameter_source(name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    }


def _sentences(done: Reindexed, index: str) -> str:
    lines = [done.report.sentence()]
    if done.parity:
        lines.append(done.parity.sentence())
    names = [index, *sorted(set(done.aliases) - {index})]
    verb = "is" if len(names) == 1 else "are"
    lines.append(
        f"{' and '.join(names)} {verb} {done.new} now; {done.old} stays until you delete it"
        if done.aliases
        else f"{index} stays on {done.old}; {done.new} is ready"
    )
    return "\n".join(lines)
