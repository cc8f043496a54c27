"""`mmsearch logs`: print or follow a server's log."""

from __future__ import annotations

import time

import click

from mmsearch.errors import StackError
from mmsearch.stack.embedded import tail
from mmsearch.stack.state import SERVERS, Home


@click.command(name="logs")
@click.argument("name", type=click.Choice([*SERVERS, "supervisor"]))
@click.option("-f", "--follow", is_flag=True, help="Follow the log until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Number of lines from the end.",
)
@click.option("--home", help="State folder.  [default: $MMSEARCH_HOME or ./.mmsearch]")
def command(name: str, follow: bool, lines: int, home: str | None) -> None:
    """Print the last lines of a server's log.

    \b
    Example:
      mmsearch logs opensearch -n 20
      mmsearch logs triton -f
    """
    path = Home.at(home).log(name)
    if not path.exists():
        raise StackError(
            f"expected a log at {path}, got no such file; repair: mmsearch up, or name the right --home"
        )
    with path.open("r", errors="replace") as file:
        click.echo(tail(path, lines))
        file.seek(0, 2)
        while follow:
            if path.exists() and path.stat().st_ino != _inode(file.fileno()):
                break  # a new `up` began a new log
            click.echo(file.read(), nl=False)
            time.sleep(0.5)
    if follow:
        click.echo(f"({path} was replaced)", err=True)


def _inode(descriptor: int) -> int:
    import os

    return os.fstat(descriptor).st_ino
