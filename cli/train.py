"""`mmsearch train`: train a fusion, and text towers, on pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from mmsearch.cli import options
from mmsearch.cli.ending import messages


@click.command("train")
@click.argument("config", required=False)
@click.option(
    "--pairs",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of query, product_id and count, or ESCI's examples.",
)
@click.option(
    "--catalog",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The catalog, read as `mmsearch ingest` reads it; products of one `group` are held out together.",
)
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the training."
)
@click.option(
    "--image-root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the pictures.  [default: the catalog's folder]",
)
@options.catalog_form
@options.only
@click.option("--joint", is_flag=True, help="Train the upper layers of the text towers too.")
@click.option(
    "--weights",
    metavar="SOURCE",
    help="Begin with these weights: of CONFIG's CLIP towers a .safetensors file, a folder, or a tag of "
    "open_clip; of its text tower the folder of an encoder, such as towers/minilm of a training.",
)
@click.option(
    "--steps", type=click.IntRange(1), help="Maximum number of steps, instead of the architecture's."
)
@click.option("--seed", type=int, help="Random seed, instead of the architecture's.")
def command(
    config: str | None,
    pairs: Path,
    catalog: Path,
    out: Path,
    image_root: Path | None,
    renamed: dict[str, str],
    preset: str | None,
    form: str | None,
    only: dict[str, str],
    joint: bool,
    weights: str | None,
    steps: int | None,
    seed: int | None,
) -> None:
    """Train the architecture CONFIG with NT-Xent: a name, a .json file, or a CLIP's folder or hub name.

    Without CONFIG, the pairs and the catalog decide, and the reason is printed. Frozen towers' outputs are
    computed once and cached; towers move by --joint or as CONFIG says. The gain over the untrained model on
    held-out groups is printed at the end. An interrupted training resumes when the same command is run again
    with the same pairs, products and pictures.

    \b
    Example:
      mmsearch train --pairs pairs.jsonl --catalog catalog.jsonl --out runs/shop
      mmsearch train bibert --joint --pairs pairs.jsonl --catalog catalog.jsonl --out runs/text
      mmsearch train 3tmm_gated --joint --weights runs/text/towers/minilm --pairs pairs.jsonl \\
        --catalog catalog.jsonl --out runs/shop
      mmsearch train 4tmm_gated --pairs pairs.jsonl --catalog catalog.jsonl --out runs/4tmm_gated
      mmsearch train 4tmm_gated --pairs pairs.jsonl --catalog shop.csv --map title=name --out runs/shop
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from mmsearch.api.training import TrainingProgress, train

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeRemainingColumn(),
    )
    with (
        messages(lambda line: click.echo(f"  {line}", err=True)),
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task(f"training {config or ''}", total=None)

        def evaluated(now: TrainingProgress) -> None:
            progress.update(
                task,
                completed=now.step,
                total=now.steps,
                description=f"loss {now.loss:.3f}  held out {now.score:.3f}",
            )

        run = train(
            config,
            pairs=pairs,
            catalog=catalog,
            out=out,
            image_root=image_root,
            map=renamed,
            preset=preset,
            format=cast(Any, form),
            only=only,
            joint=joint,
            weights=weights,
            steps=steps,
            seed=seed,
            progress=evaluated,
        )
    click.echo(
        f"{run.architecture}: best at step {run.best_step} of {run.steps}, "
        f"held-out (recall@10 + nDCG@10) / 2 = {run.best_score:.3f}, {run.seconds:.0f} s; "
        f"mmsearch models deploy {out}"
    )
    if run.verdict:
        click.echo(run.verdict)
