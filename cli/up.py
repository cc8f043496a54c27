"""`mmsearch up`: start the embedded servers."""

from __future__ import annotations

from pathlib import Path

import click

from mmsearch.stack import triton_server
from mmsearch.stack.embedded import READY_WITHIN, Wanted, up
from mmsearch.stack.state import SERVERS, Home, Ports

PORT = click.IntRange(0, 65535)


@click.command(name="up")
@click.option("--http-port", type=PORT, help="OpenSearch's port; 0 takes a free one.  [default: 9200]")
@click.option("--triton-http-port", type=PORT, help="Triton's HTTP port.  [default: 8000]")
@click.option("--triton-grpc-port", type=PORT, help="Triton's gRPC port.  [default: 8001]")
@click.option("--triton-metrics-port", type=PORT, help="Triton's metrics port.  [default: 8002]")
@click.option("--only", type=click.Choice(SERVERS), help="Start only this server.")
@click.option("--heap", help="Heap of OpenSearch in Java's notation, for example 2g.  [default: 1g]")
@click.option(
    "--plugin-zip",
    type=click.Path(path_type=Path),
    help="Zip of the plugin, instead of the one built in this checkout.",
)
@click.option("--ready-within", type=float, default=READY_WITHIN, show_default=True, help="Seconds to wait.")
@click.option("--home", help="State folder.  [default: $MMSEARCH_HOME or ./.mmsearch]")
@click.pass_context
def command(
    context: click.Context,
    http_port: int | None,
    triton_http_port: int | None,
    triton_grpc_port: int | None,
    triton_metrics_port: int | None,
    only: str | None,
    heap: str | None,
    plugin_zip: Path | None,
    ready_within: float,
    home: str | None,
) -> None:
    """Start the embedded OpenSearch and Triton, and wait until both respond to real requests.

    If no models are built, the default models are built first. On a processor where the towers were not
    measured yet, their runtimes are chosen again. If the servers run already, nothing happens.
    The state folder remembers the ports.

    \b
    Example:
      mmsearch up
      mmsearch up --home /tmp/second --http-port 0 --triton-http-port 0 \\
          --triton-grpc-port 0 --triton-metrics-port 0
    """
    place = Home.at(home)
    wanted = Wanted(
        servers=(only,) if only else SERVERS,
        http_port=http_port,
        triton_http_port=triton_http_port,
        triton_grpc_port=triton_grpc_port,
        triton_metrics_port=triton_metrics_port,
        heap=heap,
        plugin_zip=plugin_zip,
        ready_within=ready_within,
    )
    if triton_server.NAME in wanted.servers and triton_server.missing_models(place):
        # Imported here, because only building needs these packages.
        from mmsearch.cli.models import build

        click.echo("triton: no models yet, building the default ones", err=True)
        context.invoke(build, repository=place.models)
    elif triton_server.NAME in wanted.servers:
        from mmsearch.models.runtime import calibrate

        # On another processor than before, the runtimes of the towers are measured again.
        calibrate.calibrate(place.models, lambda line: click.echo(f"triton: {line}", err=True))
    for server in up(place, wanted, lambda line: click.echo(line, err=True)):
        click.echo(f"{server.name}: {server.versions}" + (" (was up)" if server.was_up else ""))
    ports = place.ports() or Ports()
    if (ports.http, ports.triton_grpc) != (Ports().http, Ports().triton_grpc):
        click.echo(
            f"export MMSEARCH_OPENSEARCH=http://127.0.0.1:{ports.http} "
            f"MMSEARCH_TRITON=127.0.0.1:{ports.triton_grpc}"
        )
