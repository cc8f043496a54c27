"""`mmsearch status`: the state of the embedded servers."""

from __future__ import annotations

import dataclasses
import json

import click

from mmsearch.stack.embedded import State, states
from mmsearch.stack.state import Home


@click.command(name="status")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@click.option("--home", help="State folder.  [default: $MMSEARCH_HOME or ./.mmsearch]")
def command(as_json: bool, home: str | None) -> None:
    """Show the state of the embedded servers; exit 1 if one does not respond.

    \b
    Example:
      mmsearch status
      mmsearch status --json
    """
    found = states(Home.at(home))
    if as_json:
        click.echo(json.dumps({each.name: dataclasses.asdict(each) for each in found}))
    else:
        for each in found:
            click.echo(sentence(each))
    if not all(each.answers for each in found):
        raise click.exceptions.Exit(1)


def sentence(state: State) -> str:
    """Return one line about a server."""
    ports = ", ".join(f"{name} {port}" for name, port in state.ports.items())
    if state.pid is None:
        waiting = f", its supervisor {state.supervisor} restarts it" if state.supervisor else ""
        return f"{state.name}: not running{waiting}"
    about = f"pid {state.pid}, up {state.uptime or 0:.0f} s, {state.restarts} restarts, {ports}"
    if state.answers is None:
        return f"{state.name}: running but not responding ({state.reason}); {about}"
    return f"{state.name}: {state.answers}; {about}"
