"""A minute of Atheris on what reads catalogs, pictures and Triton's answers, from seeds of every kind."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import orjson
import pytest
from tritonclient.grpc import service_pb2 as wire

from mmsearch.products.feeds.preset import all_presets
from mmsearch.products.mapping.sources import alternatives

from ..unit.test_catalog import CSV, JSONL
from ..unit.test_formats import ATOM, DANGEROUS, DOCUMENTS, PACKED, RSS, YML, as_excel_writes, table, workbook
from ..unit.test_images import halves, saved
from ..unit.test_records import BAD, GOOD_BUT_ODD

TARGETS = ("reader", "document", "xml", "table", "workbook", "packed", "feed", "picture", "reply")
SCRIPT = Path(__file__).parents[2] / "qa" / "fuzz" / "readers.py"


def answered() -> bytes:
    """Two unit vectors and their fingerprint, as Triton sends them."""
    answer = wire.ModelInferResponse(model_name="item_encoder", model_version="1")
    vectors = np.eye(2, 3, dtype=np.float32).tobytes()
    prints = 2 * (b"\x08\x00\x00\x00" + b"f" * 8)
    for name, kind, shape, data in (
        ("EMBEDDING", "FP32", [2, 3], vectors),
        ("FINGERPRINT", "BYTES", [2, 1], prints),
    ):
        answer.outputs.add(name=name, datatype=kind, shape=shape)
        answer.raw_output_contents.append(data)
    return bytes(answer.SerializeToString())


def described() -> bytes:
    """What an entry model says of itself."""
    answer = wire.ModelConfigResponse()
    answer.config.name = "item_encoder"
    answer.config.max_batch_size = 64
    answer.config.output.add(name="EMBEDDING", data_type=11, dims=[3])
    for name, value in (("fingerprint", "f" * 8), ("dimension.EMBEDDING", "3"), ("max_text_bytes", "100")):
        answer.config.parameters[name].string_value = value
    return bytes(answer.SerializeToString())


def seeds(target: str) -> list[bytes]:
    if target == "reply":
        return [b"\x00" + answered(), b"\x01" + described()]
    if target == "reader":
        lines = [raw for raw, _, _ in BAD.values() if len(raw) < 2_000] + GOOD_BUT_ODD
        return [b"\x01" + line for line in lines] + [b"\x00" + JSONL, b"\x02" + CSV]
    if target == "document":
        return list(DOCUMENTS.values())
    if target == "xml":
        texts = [RSS, ATOM, YML.replace("windows-1251", "utf-8"), *DANGEROUS.values()]
        return [text.encode() for text in texts if len(text) < 9_000]
    if target == "table":
        encodings = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252")
        return [f"sep=;\n{table(';')}".encode(), b"\n" + CSV] + [
            table(separator).encode(encoding) for separator in ",;\t|" for encoding in encodings
        ]
    if target == "feed":
        values = [
            "<p>A &amp; B",
            "A > B, A > C",
            "1.299,00 EUR",
            "https://x/a.jpg, b",
            "sku=a,size=S|sku=b",
            "id:1",
        ]
        return [
            bytes([number]) + b"".join(orjson.dumps(dict.fromkeys(names, value)) + b"\n" for value in values)
            for number, names in enumerate(fields_of_presets())
        ]
    if target == "packed":
        return [pack(data) for pack in PACKED.values() for data in (JSONL, CSV)]
    if target == "workbook":
        with zipfile.ZipFile(
            io.BytesIO(as_excel_writes(workbook(["id", "title"], [7, "Oak chair"])))
        ) as archive:
            members = ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml", "xl/styles.xml")
            return [bytes([number]) + archive.read(name) for number, name in enumerate(members)]
    kinds = [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
    ]
    return [saved(halves(), kind, **options) for kind, options in kinds] + [
        saved(halves().quantize(4), "GIF")
    ]


def fields_of_presets() -> list[list[str]]:
    """The columns that each preset reads."""
    return [
        sorted({path for source in preset.fields.values() for each in alternatives(source) for path in each})
        for _, preset in sorted(all_presets().items())
    ]


def write_seeds(target: str, folder: str) -> None:
    for number, seed in enumerate(seeds(target)):
        Path(folder, str(number)).write_bytes(seed)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_minute_of_fuzzing_finds_nothing(tmp_path: Path, target: str) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_seeds(target, str(corpus))
    done = subprocess.run(
        [
            # A process begins with the peak memory of the one that it was forked from, here that of the whole
            # suite: a shell in between has little.
            *("sh", "-c", '"$@"; exit $?', "sh"),
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
