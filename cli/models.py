"""`mmsearch models`: build what Triton serves."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ..stack.state import Home
from .options import tls


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
    help="Which architecture: a name that comes with mmsearch, or a .json file.",
)
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp32"]),
    default="int8",
    show_default=True,
    help="Of the text towers: int8 for CPUs, fp32 for GPUs.",
)
@click.option(
    "--repository",
    type=click.Path(file_okay=False, path_type=Path),
    help="The served folder; $MMSEARCH_HOME/model_repository by default.",
)
def build(architecture: str, precision: str, repository: Path | None) -> None:
    """Export an architecture's towers and fusion, and put the served repository together.

    Exports are cached under ~/.cache/mmsearch/models (or $MMSEARCH_CACHE/models): a second build takes a
    second and needs no torch. A repository that serves this set already is left alone.

    Example: mmsearch models build --architecture 4tmm_cat --precision int8
    """
    from ..train import architecture as architectures
    from ..train import build as building
    from ..train import repository as served

    started = time.monotonic()
    tree = repository or Home.at().models
    built = building.build(
        architectures.load(architecture), precision, lambda line: click.echo(f"  {line}", err=True)
    )
    changed = served.assemble(built, tree)
    state = "written" if changed else "unchanged"
    click.echo(
        f"{built.architecture.name} ({precision}), fingerprint {built.fingerprint[:12]}, "
        f"{state} in {tree} in {time.monotonic() - started:.1f} s"
    )


@command.command("deploy")
@click.argument("training", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp32"]),
    default="int8",
    show_default=True,
    help="Of the text towers: int8 for CPUs, fp32 for GPUs.",
)
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
@click.option(
    "--no-load", is_flag=True, help="Write the files only; the server takes them at its next start."
)
def deploy(training: Path, precision: str, repository: Path | None, triton: str, no_load: bool) -> None:
    """Serve what `mmsearch train` left in the folder TRAINING, as a new version beside the old ones.

    The old versions go on answering, so an index that was made by one keeps its encoder; a new index takes
    the new version. Deploying the same training again changes nothing.

    Example: mmsearch models deploy runs/4tmm_gated
    """
    from ..train import deploy as deploying

    tree = repository or Home.at().models
    deployed = deploying.deploy(training, precision, tree, lambda line: click.echo(f"  {line}", err=True))
    if not no_load:
        deploying.load(deployed, tree, triton)
    built = deployed.built
    state = "written to" if no_load else "served from"
    click.echo(
        f"{built.architecture.name} ({precision}), fingerprint {built.fingerprint[:12]}, "
        f"version {deployed.version} {state} {tree}"
    )
