"""`mmsearch synthetic-pairs`: generate pairs from a catalog's attributes, for trials."""

from __future__ import annotations

from pathlib import Path

import click

from mmsearch.cli.options import catalog_form


@click.command("synthetic-pairs")
@click.argument("catalog", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File for the pairs."
)
@click.option(
    "--count", type=click.IntRange(1), default=10_000, show_default=True, help="Maximum number of pairs."
)
@catalog_form
def command(
    catalog: Path, out: Path, count: int, renamed: dict[str, str], preset: str | None, form: str | None
) -> None:
    """Make pairs for `mmsearch train` from the categories, brands and attributes of CATALOG.

    They show that a training runs. They do not resemble real purchases, so they measure nothing.

    Example: mmsearch synthetic-pairs catalog.jsonl --out pairs.jsonl
    """
    from mmsearch.training.synthetic import write

    written = write(
        catalog,
        out,
        count,
        say=lambda line: click.echo(f"  {line}", err=True),
        renames=renamed,
        preset=preset,
        form=form,
    )
    click.echo(f"{written} synthetic pairs written to {out}")
