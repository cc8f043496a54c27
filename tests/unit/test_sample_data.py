"""The catalogs that the demo ingests: parsed from libraries of a Debian package, or drawn."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from sample_data import debian, drawn, furniture

from mmsearch.errors import MmsearchError

PROPERTIES = r"""# a comment
id=SweetHome3D#Test
name=Test library
license=Public domain
id#2=Test#lampe
name#2=Lampe \u00e0 pied
tags#2=
category#2=Lights
icon#2=/test/lampe.png
width#2=30
depth#2=30.5
height#2=160
id#1=Test#armchair
name#1=Armchair
tags#1=Seat, Soft
creator#1=A. Maker
category#1=Living room
icon#1=/test/armchair.png
width#1=59.4
depth#1=62.7
height#1=105
"""


def _png() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(data, "PNG")
    return data.getvalue()


def test_a_furniture_library_becomes_catalog_lines_with_pictures(tmp_path: Path) -> None:
    libraries = tmp_path / "cache/debian" / furniture.PACKAGE / "usr/share/sweethome3d/furniture"
    libraries.mkdir(parents=True)
    with zipfile.ZipFile(libraries / "Test.sh3f", "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", PROPERTIES.encode("latin-1"))
        archive.writestr("test/armchair.png", _png())
        archive.writestr("test/lampe.png", _png())

    catalog = furniture.write_catalog(tmp_path / "out", tmp_path / "cache")

    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    assert products == [
        {
            "id": "test-armchair",
            "title": "Armchair",
            "category": "Living room",
            "image": "pictures/test-armchair.png",
            "collection": "Test library",
            "license": "Public domain",
            "creator": "A. Maker",
            "tags": ["Seat", "Soft"],
            "width_cm": 59.4,
            "depth_cm": 62.7,
            "height_cm": 105.0,
        },
        {
            "id": "test-lampe",
            "title": "Lampe à pied",
            "category": "Lights",
            "image": "pictures/test-lampe.png",
            "collection": "Test library",
            "license": "Public domain",
            "width_cm": 30.0,
            "depth_cm": 30.5,
            "height_cm": 160.0,
        },
    ]
    assert (catalog.parent / "pictures/test-armchair.png").read_bytes() == _png()


def test_the_drawn_catalog_has_a_different_picture_for_every_product(tmp_path: Path) -> None:
    catalog = drawn.write_catalog(tmp_path)
    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    pictures = {(tmp_path / product["image"]).read_bytes() for product in products}
    assert len(products) == len(drawn.SHAPES) * len(drawn.COLOURS) == len(pictures)


def test_without_apt_the_error_names_the_package_and_the_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    with pytest.raises(MmsearchError, match=r"Debian package no-such.*run this on Debian"):
        debian.unpacked("no-such", tmp_path)
