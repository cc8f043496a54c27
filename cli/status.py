"""`mmsearch status`: the state of the embedded servers, and the weight of the images in each index."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import click

from mmsearch.errors import StackError
from mmsearch.ingest.measuring.alignment import KEY, said
from mmsearch.models.runtime import record as records
from mmsearch.stack import opensearch_node
from mmsearch.stack.embedded import State, states
from mmsearch.stack.loopback import ask
from mmsearch.stack.ports import HOST
from mmsearch.stack.state import Home


@click.command(name="status")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@click.option("--home", help="State folder.  [default: $MMSEARCH_HOME or ./.mmsearch]")
def command(as_json: bool, home: str | None) -> None:
    """Show the state of the embedded servers and the runtime of each tower, with the figures of its
    measurement; exit 1 if a server does not respond.

    Also shows how much the images of each index weigh in a search by text, if an ingest has measured it.

    \b
    Example:
      mmsearch status
      mmsearch status --json
    """
    place = Home.at(home)
    found = states(place)
    measured = records.read(place.models)
    if as_json:
        servers = {each.name: dataclasses.asdict(each) for each in found}
        weighed = indexes(found)
        click.echo(json.dumps(servers | {"runtime": measured} | ({KEY: weighed} if weighed else {})))
    else:
        for each in found:
            click.echo(sentence(each))
        for line in records.sentences(measured):
            click.echo(f"tower {line}")
        for index, about in indexes(found).items():
            if weight := said(about):
                click.echo(f"{index}: {weight}")
    if not all(each.answers for each in found):
        raise click.exceptions.Exit(1)


def indexes(servers: list[State]) -> dict[str, Mapping[str, Any]]:
    """Return what the `_meta` of each index of an answering OpenSearch says of its images."""
    (node,) = (each for each in servers if each.name == opensearch_node.NAME)
    if node.answers is None:
        return {}
    path = f"_mapping?filter_path=*.mappings._meta.mmsearch.{KEY}"
    try:
        found = ask(f"http://{HOST}:{node.ports['http']}/{path}")
    except (StackError, OSError, ValueError):
        # It has just answered; the next status says why it does not now.
        return {}
    ours = {
        name: about.get("mappings", {}).get("_meta", {}).get("mmsearch", {})
        for name, about in sorted(found.items())
    }
    return {name: meta[KEY] for name, meta in ours.items() if KEY in meta}


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
