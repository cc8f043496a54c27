"""What other checkouts' encoders do against this one's, in turns: before and after of a change.

    git clone . ../before && git -C ../before checkout COMMIT && make -C ../before setup
    .venv/bin/python bench checkouts ../before [../before-that] [--rounds 9]

Each checkout's default models are served by a Triton of its own, which its own `mmsearch up` starts. All of
them are asked by the same requests, so that only what is served differs.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from encoders.served import BATCH, CALLERS, CALLS, TEXT, Encoders, per_second
from measuring.carriers import by_grpc, by_http, tensor
from measuring.interleaved import Table, measure
from measuring.real_node import median_ms

from mmsearch.stack.state import Home, Ports

HERE = Path(__file__).parents[2]
ANY_PORT = [f"--triton-{kind}-port=0" for kind in ("http", "grpc", "metrics")]


@contextmanager
def served(checkout: Path) -> Iterator[Ports]:
    """A checkout's Triton with its default models, ended after; its ports."""
    mmsearch = checkout / ".venv" / "bin" / "mmsearch"
    with tempfile.TemporaryDirectory() as folder:
        home = Home.at(Path(folder) / "home")
        at = [f"--home={home.folder}"]
        subprocess.run([mmsearch, "models", "build", "--repository", home.models], check=True, cwd=checkout)
        try:
            subprocess.run([mmsearch, "up", "--only=triton", *ANY_PORT, *at], check=True, cwd=checkout)
            yield home.ports() or Ports()
        finally:
            subprocess.run([mmsearch, "down", *at], check=True, cwd=checkout)


def name(checkout: Path) -> str:
    """The commit that a checkout is at."""
    if checkout == HERE:
        return "here"
    said = subprocess.run(
        ["git", "-C", checkout, "log", "-1", "--format=%h"], check=True, capture_output=True, text=True
    )
    return said.stdout.strip()


def tables(encoders: dict[str, Encoders], rounds: int) -> list[Table]:
    """Milliseconds of one row, and rows a second of batches, of every checkout."""
    vectors, features = ("EMBEDDING", "FINGERPRINT"), ("FEATURES",)
    latency, rates = {}, {}
    for where, served_by in encoders.items():
        asked = by_http(served_by.client, "query_encoder", served_by.rows(1, TEXT), vectors)
        offered = by_grpc(
            served_by.channel, "item_encoder", served_by.rows(1, picture=served_by.picture), vectors
        )
        latency[f"query_encoder, {where}"] = lambda call=asked: median_ms([call] * CALLS)
        latency[f"item_encoder, {where}"] = lambda call=offered: median_ms([call] * CALLS)
        products = served_by.rows(BATCH, TEXT, served_by.picture)
        for what, model, inputs, outputs in (
            ("text tower", "bibert_query", served_by.text(BATCH), features),
            ("picture tower", "clip_image", [tensor("PIXELS", served_by.pixels(BATCH))], features),
            ("item_encoder", "item_encoder", products, vectors),
        ):
            call = by_grpc(served_by.channel, model, inputs, outputs)
            rates[f"{what}, {where}"] = lambda call=call: per_second(call, CALLERS)
    found = [
        measure("checkouts-latency", latency, rounds=rounds, unit="ms"),
        measure("checkouts-throughput", rates, rounds=rounds, unit="rows a second"),
    ]
    for table in found:
        for arm in table.figures:
            what, _, where = arm.rpartition(", ")
            if where in encoders and where != "here":
                table.figure(f"{what}: here / {where}", table.ratio(f"{what}, here", arm), {})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkouts", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    with ExitStack() as stack:
        encoders = {
            name(checkout): Encoders(stack.enter_context(served(checkout)))
            for checkout in (HERE, *(folder.resolve() for folder in asked.checkouts))
        }
        finished = [table.finish() for table in tables(encoders, asked.rounds)]
    return 0 if all(finished) else 1
