"""The catalogs that the demo ingests: parsed from libraries of a Debian package, or drawn."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import evaluate_demo
import pytest
from PIL import Image
from sample_data import appstream, debian, descriptions, drawn, furniture, software

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


COMPONENTS = """---
File: DEP-11
Version: '0.16'
---
Type: desktop-application
ID: org.example.Sketch
Package: sketch
Name: {C: Sketch, de: Skizze}
Summary: {C: Draw &amp; paint, de: Zeichnen und malen}
Description:
  C: <p>Draws   lines.</p><ul><li>Fast</li><li>Small</li></ul>
Categories: [Graphics, VectorGraphics]
Keywords: {C: [Drawing, picture], de: [Zeichnung, picture]}
DeveloperName: {C: A. Maker}
ProjectLicense: GPL-3.0
Icon:
  cached:
  - {name: sketch_sketch.png, width: 64, height: 64}
  - {name: sketch_sketch.png, width: 128, height: 128}
---
Type: desktop-application
ID: paint.desktop
Package: paint
Name: {C: Paint}
Summary: {C: Paint pictures, de: Bilder malen}
Description: {C: <p>Paints.</p>}
Categories: [Graphics]
Keywords: {C: [drawing], de: [zeichnung]}
Icon:
  cached:
  - {name: paint_paint.png, width: 64, height: 64}
---
Type: addon
ID: sketch-addon
Package: sketch-addon
Name: {C: Addon}
Summary: {C: No application}
"""


@pytest.fixture
def applications(tmp_path: Path) -> Path:
    """A cache with lists of two applications, one of which has a large icon."""
    lists = tmp_path / "cache" / "debian" / "applications"
    lists.mkdir(parents=True)
    (lists / "host_main_dep11_Components-amd64.yml.gz").write_bytes(gzip.compress(COMPONENTS.encode()))
    with tarfile.open(lists / "host_main_dep11_icons-128x128.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("sketch_sketch.png")
        entry.size = len(_png())
        archive.addfile(entry, io.BytesIO(_png()))
    return tmp_path / "cache"


def test_applications_become_catalog_lines_with_icons(tmp_path: Path, applications: Path) -> None:
    catalog = software.write_catalog(tmp_path / "out", applications)
    products = [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()]
    assert products == [
        {
            "id": "org.example.Sketch",
            "title": "Sketch",
            "description": "Draw & paint\nDraws lines.\nFast\nSmall",
            "category": ["Graphics", "VectorGraphics"],
            "brand": "A. Maker",
            "image": "icons/sketch_sketch.png",
            "package": "sketch",
            "license": "GPL-3.0",
            "keywords": ["Drawing", "picture"],
        },
        {
            "id": "paint.desktop",
            "title": "Paint",
            "description": "Paint pictures\nPaints.",
            "category": ["Graphics"],
            "package": "paint",
            "keywords": ["drawing"],
        },
    ]
    assert (tmp_path / "out/icons/sketch_sketch.png").read_bytes() == _png()


def test_a_translated_store_is_asked_by_translated_keywords(tmp_path: Path, applications: Path) -> None:
    folder = evaluate_demo.write_software(tmp_path / "out", applications, language="de")
    products = [json.loads(line) for line in (folder / "catalog.jsonl").read_text("utf-8").splitlines()]
    assert [each["title"] for each in products] == ["Skizze", "Paint"]
    assert [each["description"] for each in products] == ["Zeichnen und malen", "Bilder malen"]
    assert not any("keywords" in each for each in products)
    judged = [json.loads(line) for line in (folder / "judgments.jsonl").read_text("utf-8").splitlines()]
    # `picture` is an English keyword of the application too.
    assert judged == [
        {"query": "zeichnung", "product_id": "org.example.Sketch", "label": "E", "kind": "meant"},
        {"query": "zeichnung", "product_id": "paint.desktop", "label": "E", "kind": "meant"},
    ]


def test_sources_without_lists_of_applications_are_named(tmp_path: Path) -> None:
    (tmp_path / "debian" / "applications").mkdir(parents=True)
    with pytest.raises(MmsearchError, match=r"expected apt's sources to have lists of applications"):
        appstream.lists(tmp_path)


LIST = """\
Package: gimp-data
Description-md5: 1
Description-en: Data files for GIMP
 This package contains architecture-independent supporting data files for use with
 the image editor GIMP and others.

Package: ping2
Description-md5: 2
Description-en: tool that pings in both directions
 It pings from here to there and back again, and says in which direction
 packets are lost.
 .
 A second paragraph
 of two lines.

Package: short
Description-en: says little
 No.

Package: ping3
Description-en: tool that pings in both directions
 It pings from here to there and back again, and says in which direction
 packets are lost.
 .
 A second paragraph
 of two lines.
"""


def test_descriptions_are_pairs_without_what_belongs_to_applications() -> None:
    found = list(descriptions.parsed(LIST))
    assert [each.package for each in found] == ["gimp-data", "ping2", "short", "ping3"]
    assert found[1].summary == "tool that pings in both directions"
    assert found[1].text.split("\n") == [
        "It pings from here to there and back again, and says in which direction packets are lost.",
        "A second paragraph of two lines.",
    ]
    kept = descriptions.usable(found, ["gimp"])
    assert kept == [found[1]]
    products, pairs = descriptions.pairs_of(kept, 5)
    assert products[0]["description"] == found[1].text
    assert products[0].get("title", found[1].summary) == found[1].summary
    assert pairs[0]["product_id"] == "ping2"
    assert pairs[0]["query"] in "tool pings both directions" or pairs[0]["query"] == found[1].summary
    assert descriptions.pairs_of(kept, 5) == (products, pairs)


def test_libraries_are_no_programs() -> None:
    names = ["gimp-help", "libgimp2.0", "python3-gimp", "gimp-dev", "texteditor", "ruby-gimp"]
    found = [descriptions.Description(name, "A summary", "A description") for name in names]
    assert [each.package for each in descriptions.programs(found)] == ["gimp-help", "texteditor"]


def test_sources_without_descriptions_are_named(tmp_path: Path) -> None:
    (tmp_path / "debian" / "descriptions").mkdir(parents=True)
    with pytest.raises(MmsearchError, match=r"expected apt's sources to have descriptions of packages"):
        descriptions.descriptions(tmp_path)
