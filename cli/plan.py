"""`mmsearch plan`: the resources for a catalog of some size."""

from __future__ import annotations

import dataclasses
import json

import click
import numpy as np

from mmsearch.cli import options
from mmsearch.clients.opensearch import HttpError, ask, connect
from mmsearch.clients.triton import Encoder, Row
from mmsearch.errors import AwayError, UnreachableError
from mmsearch.ingest.sizing import FORMULAS, Plan, Rates, Shape, encode_rate, plan
from mmsearch.serving.pictures.pixels import Frame, packed

SOURCE_BYTES = 1_500.0
INDEX_RATE = 500.0
UNITS = {"k": 10**3, "M": 10**6, "B": 10**9}


def _counts(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    found = []
    for part in value.split(","):
        number, factor = (part[:-1], UNITS[part[-1]]) if part[-1:] in UNITS else (part, 1)
        try:
            found.append(int(float(number) * factor))
        except ValueError:
            raise click.BadParameter(f"expected numbers such as 50k,1M,1B, got {part!r}") from None
    if min(found) < 1:
        raise click.BadParameter(f"expected at least one product, got {value!r}")
    return found


@click.command("plan")
@click.option("--products", default="1M,100M,1B", show_default=True, callback=_counts)
@click.option(
    "--encode-rate", type=click.FloatRange(0, min_open=True), help="Products per second of one encoder."
)
@click.option(
    "--index-rate",
    type=click.FloatRange(0, min_open=True),
    default=INDEX_RATE,
    show_default=True,
    help="Documents per second of one data node, HNSW graph included; bench ingest --table bulk measures it.",
)
@click.option("--source-bytes", type=click.FloatRange(0), help="Bytes per product on disk, without vectors.")
@click.option(
    "--dimension", type=click.IntRange(1), help="Dimension of the vectors.  [default: the served model's]"
)
@click.option(
    "--fields", type=click.IntRange(1), default=1, show_default=True, help="Number of vector fields."
)
@click.option("--replicas", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--within",
    type=click.FloatRange(0, min_open=True),
    default=24.0,
    show_default=True,
    help="Hours that the ingest may take.",
)
@click.option(
    "--node-memory",
    type=click.FloatRange(1),
    default=64.0,
    show_default=True,
    help="Memory of a data node in GB.",
)
@click.option(
    "--picture", "pictures", is_flag=True, help="Measure the encoder with pictures, instead of text only."
)
@click.option("--json", "as_json", is_flag=True, help="Print the plans as JSON, one object per line.")
@options.servers
def command(
    products: list[int],
    encode_rate: float | None,
    index_rate: float,
    source_bytes: float | None,
    dimension: int | None,
    fields: int,
    replicas: int,
    within: float,
    node_memory: float,
    pictures: bool,
    as_json: bool,
    index: str,
    opensearch: str,
    triton: str,
) -> None:
    """Size vectors, memory, disk, shards, nodes and encoders for a catalog.

    Missing values are measured: the encoder's rate by calling it for five seconds, the size of a product
    from the existing index.

    \b
    Example:
      mmsearch plan
      mmsearch plan --products 5M --encode-rate 800 --dimension 768 --within 12
    """
    if encode_rate is None or dimension is None:
        measured, served = _measured(triton, pictures=pictures)
        encode_rate, dimension = encode_rate or measured, dimension or served
    if source_bytes is None:
        source_bytes = _stored(opensearch, index, dimension * fields)
    rates = Rates(encode_rate, index_rate, source_bytes)
    shape = Shape(dimension, fields, replicas=replicas, within_hours=within, node_memory_gb=node_memory)
    plans = [plan(count, shape, rates) for count in products]
    if as_json:
        for each in plans:
            click.echo(json.dumps(dataclasses.asdict(each)))
        return
    click.echo(
        f"one encoder {rates.encode:,.0f} products/s, one data node {rates.index:,.0f} documents/s, "
        f"{rates.source_bytes:,.0f} bytes a product besides its {fields} x {dimension} floats, "
        f"{1 + replicas} copies, loaded within {within:g} h\n"
    )
    click.echo(table(plans))
    click.echo(f"\n{FORMULAS}")


def table(plans: list[Plan]) -> str:
    """Return the plans as a Markdown table."""
    lines = [
        "| products | vectors GB | graph GB | memory GB | disk GB | shards | nodes | hours | encoders |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {each.products:,} | {each.vectors_gb:,.1f} | {each.graph_gb:,.1f} | {each.memory_gb:,.1f} "
        f"| {each.disk_gb:,.1f} | {each.shards:,} | {each.nodes:,} | {each.encoder_hours:,.1f} "
        f"| {each.encoders:,} |"
        for each in plans
    ]
    return "\n".join(lines)


def _measured(triton: str, *, pictures: bool) -> tuple[float, int]:
    """Measure products per second and the dimension of the served encoder."""
    encoder = Encoder(triton, remember=False)
    try:
        served = encoder.describe()
        frame = served.frame() if pictures else None
        rows: list[Row] = [
            (
                f"a product with the number {number}, and some words on what it is".encode(),
                _drawn(number, frame),
            )
            for number in range(32)
        ]
        return encode_rate(encoder, served, rows), served.dimensions["EMBEDDING"]
    except AwayError as away:
        raise UnreachableError(
            f"expected {away.server} to answer for a measurement, got {away.why}; start it, or give "
            "--encode-rate and --dimension"
        ) from None
    finally:
        encoder.close()


def _drawn(number: int, frame: Frame | None) -> bytes:
    """A picture as ingest sends it; nothing without a frame."""
    if frame is None:
        return b""
    from PIL import Image

    noise = Image.effect_noise((frame.size, frame.size), 20 + number).convert("RGB")
    return packed(np.asarray(noise, dtype=np.uint8), frame)


def _stored(opensearch: str, index: str, floats: int) -> float:
    """Return a product's bytes on disk without vectors, from the existing index, or else a typical value."""
    client = connect(opensearch)
    try:
        total = ask(client, "GET", f"/{index}/_stats/store,docs")["_all"]["primaries"]
        count = int(total["docs"]["count"])
        if count < 1_000:
            return SOURCE_BYTES
        return max(200.0, int(total["store"]["size_in_bytes"]) / count - 4.0 * floats)
    except (AwayError, HttpError):
        return SOURCE_BYTES
    finally:
        client.close()
