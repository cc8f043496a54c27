"""Sizing by the formulas, with numbers from pencil and paper."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from mmsearch.cli.main import cli
from mmsearch.clients.triton import Encoder
from mmsearch.ingest.sizing import Rates, Shape, encode_rate, plan

from ..fakes.fake_triton import FakeTriton


def test_a_million_products_by_pencil() -> None:
    found = plan(10**6, Shape(dimension=750, replicas=1, within_hours=10), Rates(100, 500, 1_000))
    assert found.vectors_gb == pytest.approx(3.0)  # 1e6 x 4 x 750
    assert found.graph_gb == pytest.approx(0.128)  # 1e6 x 8 x 16
    assert found.memory_gb == pytest.approx(1.1 * 3.128 * 2)
    assert found.disk_gb == pytest.approx((6.0 + 0.128 + 1.0) * 2)
    assert found.shards == 1  # 7.1 GB of 40
    assert found.nodes == 2  # one for each copy
    assert found.encoder_hours == pytest.approx(10_000 / 3600)
    assert found.encoders == 1


def test_a_billion_products_by_pencil() -> None:
    found = plan(10**9, Shape(dimension=750, replicas=1, within_hours=10), Rates(100, 500, 1_000))
    assert found.shards == 179  # 7,128 GB by 40
    assert found.nodes == 216  # 6,881.6 GB of memory by 32, more than 2e9 documents by 18e6 = 112
    assert found.encoders == 278  # 2,777.8 h by 10


def test_the_rate_is_measured_at_the_encoder() -> None:
    with FakeTriton(seconds=0.1, keep=False) as triton:
        encoder = Encoder(triton.url)
        rate = encode_rate(encoder, encoder.describe(), [(b"x", b"")], seconds=2.0, batch=10)
        encoder.close()
    assert 40 <= rate <= 100  # ten rows a tenth of a second, less on a busy machine


def test_the_command_prints_a_table_and_its_formulas() -> None:
    given = [
        "plan",
        "--products",
        "50k,1M",
        "--encode-rate",
        "100",
        "--dimension",
        "768",
        "--source-bytes",
        "1000",
    ]
    result = CliRunner().invoke(cli, given)
    assert result.exit_code == 0, result.output
    assert "| 1,000,000 | 3.1 | 0.1 | 7.0 | 14.5 | 1 | 2 | 2.8 | 1 |" in result.output
    assert "memory  = 1.1 x (vectors + graph)" in result.output
    result = CliRunner().invoke(cli, [*given, "--json"])
    assert [json.loads(line)["products"] for line in result.output.splitlines()] == [50_000, 1_000_000]


def test_without_an_encoder_and_a_rate_the_command_says_what_it_needs() -> None:
    result = CliRunner().invoke(cli, ["plan", "--triton", "127.0.0.1:9"])
    assert result.exit_code == 1
    assert "give --encode-rate" in result.output
