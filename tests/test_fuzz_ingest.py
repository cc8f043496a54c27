"""A minute of Atheris on the reader and on the picture probe, from seeds of every kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .test_catalogue import CSV, JSONL
from .test_images import halves, saved
from .test_records import BAD, GOOD_BUT_ODD

SCRIPT = Path(__file__).with_name("fuzz_ingest.py")


def seeds(target: str) -> list[bytes]:
    if target == "reader":
        lines = [raw for raw, _, _ in BAD.values() if len(raw) < 2_000] + GOOD_BUT_ODD
        return [b"\x01" + line for line in lines] + [b"\x00" + JSONL, b"\x02" + CSV]
    kinds = [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ]
    return [saved(halves(), kind, **options) for kind, options in kinds] + [
        saved(halves().quantize(4), "GIF")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["reader", "picture"])
def test_a_minute_of_fuzzing_finds_nothing(tmp_path: Path, target: str) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds(target)):
        (corpus / str(number)).write_bytes(seed)
    done = subprocess.run(
        [
            sys.executable,
            str(SCRIPT),
            target,
            "-max_total_time=60",
            "-timeout=10",
            "-rss_limit_mb=1500",
            str(corpus),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stderr.splitlines()[-1])
