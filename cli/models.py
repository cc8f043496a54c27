"""`mmsearch models`: build and deploy the models that Triton serves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmsearch.cli import options
from mmsearch.cli.options import catalog_form, tls
from mmsearch.clients.opensearch import DEFAULT_URL
from mmsearch.errors import AwayError, UnreachableError
from mmsearch.stack.state import Home

if TYPE_CHECKING:
    from mmsearch.models.build import ModelSet


@click.group("models")
def command() -> None:
    """Build the models that Triton serves.

    Example: mmsearch models build
    """


@command.command("build")
@click.option(
    "--architecture",
    default="4tmm_cat",
    show_default=True,
    help="Architecture: a built-in name, a .json file, or a CLIP: hf-hub:OWNER/NAME or its folder.",
)
@click.option(
    "--weights",
    help="Weights of its CLIP: an open_clip tag, a .safetensors file, a folder, or hf-hub:OWNER/NAME.",
)
@options.precision
@click.option(
    "--repository",
    type=click.Path(file_okay=False, path_type=Path),
    help="The served folder; $MMSEARCH_HOME/model_repository by default.",
)
def build(architecture: str, weights: str | None, precision: str, repository: Path | None) -> None:
    """Export the towers and the fusion of an architecture to the model repository of Triton.

    Exports are cached in ~/.cache/mmsearch/models (or $MMSEARCH_CACHE/models), so a second build takes a
    second and does not need torch. If the repository serves these models already, nothing changes.

    Example: mmsearch models build --architecture 4tmm_cat --precision int8
    """
    from mmsearch.models import precision as precisions
    from mmsearch.models import repository as served
    from mmsearch.models.named import named
    from mmsearch.models.runtime import calibrate, record

    started = time.monotonic()
    tree = repository or Home.at().models

    def say(line: str) -> None:
        click.echo(f"  {line}", err=True)

    precision, built = precisions.build(named(architecture, weights), precision, tree, say)
    changed = served.assemble(built, tree, lambda draft: calibrate.calibrate(draft, say))
    # An unchanged tree may have been measured on another processor.
    calibrate.calibrate(tree, say)
    state = "written" if changed else "unchanged"
    click.echo(
        f"{built.architecture.name} ({precision}), fingerprint {built.fingerprint[:12]}, "
        f"{state} in {tree} in {time.monotonic() - started:.1f} s"
    )
    for line in record.sentences(record.read(tree)):
        click.echo(line)
    _say_loss(built)


@command.command("new")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--catalog",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The products whose texts make the vocabulary.",
)
@click.option(
    "--pairs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Pairs whose queries are read besides.",
)
@click.option(
    "--words",
    type=click.IntRange(1_000, 100_000),
    default=16_000,
    show_default=True,
    help="Most pieces of the vocabulary.",
)
@click.option("--seed", default=0, show_default=True, help="Of the random weights.")
@catalog_form
def new(
    folder: Path,
    catalog: Path,
    pairs: Path | None,
    words: int,
    seed: int,
    renamed: dict[str, str],
    preset: str | None,
    form: str | None,
) -> None:
    """Write an untrained text encoder and its architecture.json into the new folder FOLDER.

    It is for those who may use no pretrained text model: two layers, four heads, and a WordPiece vocabulary
    learned from the catalog and the queries. Train it by `mmsearch train FOLDER/architecture.json`.

    Example: mmsearch models new encoders/bibert --catalog catalog.jsonl --pairs pairs.jsonl
    """
    from mmsearch.training.pairs import read_pairs, read_products
    from mmsearch.training.scratch import new_encoder, vocabulary

    def say(line: str) -> None:
        click.echo(f"  {line}", err=True)

    products = read_products(catalog, say=say, renames=renamed, preset=preset, form=form)
    # A query counts as often as it led to a product.
    queries = [pair.query for pair in read_pairs(pairs, say)] if pairs else []
    tokenizer = vocabulary.trained([*(product.text for product in products), *queries], words)
    file = new_encoder.write(tokenizer, folder, seed)
    click.echo(
        f"{tokenizer.get_vocab_size():,} pieces from {len(products):,} products and "
        f"{len(set(queries)):,} queries; train it by: mmsearch train {file} --pairs {pairs or 'PAIRS'} "
        f"--catalog {catalog}"
    )


@command.command("deploy")
@click.argument("training", type=click.Path(exists=True, file_okay=False, path_type=Path))
@options.precision
@click.option(
    "--repository",
    type=click.Path(file_okay=False, path_type=Path),
    help="The served folder; $MMSEARCH_HOME/model_repository by default.",
)
@click.option(
    "--triton",
    envvar="MMSEARCH_TRITON",
    default="127.0.0.1:8001",
    show_default=True,
    help="HOST:PORT of the server's gRPC, grpcs://HOST:PORT for TLS.",
)
@tls
@click.option("--anyway", is_flag=True, help="Also a training that was no better than the untrained model.")
@click.option(
    "--no-load", is_flag=True, help="Only write the files; the server loads them at its next start."
)
@click.option(
    "--pairs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Pairs not used in training, to measure how int8 changes nDCG@10; needs --catalog.",
)
@click.option(
    "--catalog",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The products of --pairs.",
)
@catalog_form
def deploy(
    training: Path,
    precision: str,
    repository: Path | None,
    triton: str,
    anyway: bool,
    no_load: bool,
    pairs: Path | None,
    catalog: Path | None,
    renamed: dict[str, str],
    preset: str | None,
    form: str | None,
) -> None:
    """Serve the training in the folder TRAINING as a new version in addition to the old ones.

    Old versions stay loaded, so existing indexes keep their encoder; new indexes use the new version.
    Deploying the same training again changes nothing. A training that was no better than the untrained
    model on its held-out groups is refused without --anyway. The command prints the loss of int8, measured on
    general texts when the tower was built, and on your --pairs.

    Example: mmsearch models deploy runs/4tmm_gated
    """
    from mmsearch.models import deploy as deploying

    if (pairs is None) != (catalog is None):
        raise click.UsageError("expected --pairs and --catalog together, got one of them; add the other")
    tree = repository or Home.at().models

    def say(line: str) -> None:
        click.echo(f"  {line}", err=True)

    deployed = deploying.deploy(training, precision, tree, say, anyway=anyway)
    if not no_load:
        deploying.load(deployed, tree, triton)
    built = deployed.built
    state = "written to" if no_load else "served from"
    click.echo(
        f"{built.architecture.name} ({deployed.precision}), fingerprint {built.fingerprint[:12]}, "
        f"version {deployed.version} {state} {tree}"
    )
    _say_loss(built)
    if pairs and catalog and built.precision == "int8":
        from mmsearch.models.trained_files import WEIGHTS
        from mmsearch.training.pairs import read_pairs, read_products
        from mmsearch.training.precision import compare

        compared = compare(
            built.architecture,
            training / WEIGHTS,
            read_products(
                catalog,
                say=lambda line: click.echo(f"  {line}", err=True),
                renames=renamed,
                preset=preset,
                form=form,
            ),
            read_pairs(pairs),
            lambda line: click.echo(f"  {line}", err=True),
        )
        click.echo(compared.sentence())


@command.command("retire")
@click.argument("version", type=click.IntRange(1))
@click.option(
    "--repository",
    type=click.Path(file_okay=False, path_type=Path),
    help="The served folder; $MMSEARCH_HOME/model_repository by default.",
)
@click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True)
@click.option(
    "--triton",
    envvar="MMSEARCH_TRITON",
    default="127.0.0.1:8001",
    show_default=True,
    help="HOST:PORT of the server's gRPC, grpcs://HOST:PORT for TLS.",
)
@tls
def retire(version: int, repository: Path | None, opensearch: str, triton: str) -> None:
    """Stop serving VERSION, which a newer version has replaced, and delete its files.

    Refused while an index uses it: delete that index, or run `mmsearch reindex`. Running requests are
    completed. Files that other versions share are kept.

    Example: mmsearch models retire 1
    """
    from mmsearch.clients.opensearch import ask, connect
    from mmsearch.errors import ServedTreeError
    from mmsearch.models import deploy as deploying
    from mmsearch.models import repository as served

    tree = repository or Home.at().models
    client = connect(opensearch)
    try:
        indexes = ask(client, "GET", "/_mapping", params={"filter_path": "*.mappings._meta.mmsearch"})
    except AwayError as away:
        raise UnreachableError(
            f"expected {away.server} to list the indexes of version {version}, got {away.why}; start it"
        ) from None
    finally:
        client.close()
    using = sorted(name for name, about in indexes.items() if version in _versions(about))
    if using:
        raise ServedTreeError(
            f"expected no index made by version {version}, got {', '.join(using)}; delete it, or move it by "
            "`mmsearch reindex`"
        )
    remaining = served.retire(tree, version)
    deploying.unload(remaining, triton)
    click.echo(f"version {version} is no longer served from {tree}")


def _say_loss(built: ModelSet) -> None:
    """Print the loss by int8 of each text tower, if it was measured."""
    from mmsearch.models.export.calibration import read

    if built.precision != "int8":
        return
    for name, tower in built.towers.items():
        loss = read(tower.loss)
        if loss is not None:
            click.echo(f"{name}: {loss.sentence()}")


def _versions(about: Mapping[str, Any]) -> set[int]:
    """Return the model versions in an index's `_meta`."""
    fields = about["mappings"]["_meta"]["mmsearch"].get("fields", {})
    return {int(field["model_version"]) for field in fields.values() if "model_version" in field}
