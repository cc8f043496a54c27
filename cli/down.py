"""`mmsearch down`: stop the embedded servers."""

from __future__ import annotations

import click

from mmsearch.stack.embedded import delete, down
from mmsearch.stack.state import Home


@click.command(name="down")
@click.option("--delete-data", is_flag=True, help="Also delete the node with all its indexes.")
@click.option("--home", help="State folder.  [default: $MMSEARCH_HOME or ./.mmsearch]")
def command(delete_data: bool, home: str | None) -> None:
    """Stop the embedded servers.

    Only processes that are recorded in the state folder are stopped. Indexes are kept for the next `up`.

    \b
    Example:
      mmsearch down
    """
    place = Home.at(home)
    if not down(place, click.echo):
        click.echo(f"nothing was running for {place.folder}")
    if delete_data:
        delete(place)
        click.echo("the node and its data are deleted")
