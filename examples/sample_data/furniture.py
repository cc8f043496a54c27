"""A real catalog to try mmsearch on: the 820 furniture items of Debian's `sweethome3d-furniture`.

Each item has a name, a category, a creator, its size in centimetres and a rendered picture of 128 px or more.
The licences are those of the five libraries: CC-BY-3.0 and CC0, kept with each product as `license`.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sample_data.debian import unpacked

PACKAGE = "sweethome3d-furniture"
_ENTRY = re.compile(r"^(?P<key>[A-Za-z]+)#(?P<number>\d+)=(?P<value>.*)$")
_HEADER = re.compile(r"^(?P<key>name|license)=(?P<value>.*)$")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)")


def write_catalog(folder: Path, cache: Path) -> Path:
    """Write `catalog.jsonl` and `pictures/` below `folder` and return the catalog's path."""
    libraries = sorted((unpacked(PACKAGE, cache) / "usr/share/sweethome3d/furniture").glob("*.sh3f"))
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    lines = []
    for library in libraries:
        with zipfile.ZipFile(library) as archive:
            for product, icon in _products(library.stem, archive):
                (folder / str(product["image"])).write_bytes(archive.read(icon))
                lines.append(json.dumps(product, ensure_ascii=False))
    catalog = folder / "catalog.jsonl"
    catalog.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return catalog


def _products(library: str, archive: zipfile.ZipFile) -> Iterator[tuple[dict[str, object], str]]:
    """Each item of one library as a catalog record, with its picture's name in the archive."""
    header, items = _parse(archive.read("PluginFurnitureCatalog.properties").decode("latin-1"))
    for number in sorted(items):
        item = items[number]
        identifier = f"{library}-{item['id'].rsplit('#', 1)[-1]}".lower()
        record: dict[str, object] = {
            "id": identifier,
            "title": item["name"],
            "category": item["category"],
            "image": f"pictures/{identifier}.png",
            "collection": header["name"],
            "license": header["license"],
        }
        if item.get("creator"):
            record["creator"] = item["creator"]
        tags = [tag.strip() for tag in item.get("tags", "").split(",") if tag.strip()]
        if tags:
            record["tags"] = tags
        for side in ("width", "depth", "height"):
            record[f"{side}_cm"] = float(item[side])
        yield record, item["icon"].lstrip("/")


def _parse(text: str) -> tuple[dict[str, str], dict[int, dict[str, str]]]:
    """The library's own properties and those of its items, by number, from a Java properties file."""
    header: dict[str, str] = {}
    items: dict[int, dict[str, str]] = defaultdict(dict)
    for line in text.splitlines():
        if entry := _ENTRY.match(line):
            items[int(entry["number"])][entry["key"]] = _unescape(entry["value"])
        elif own := _HEADER.match(line):
            header[own["key"]] = _unescape(own["value"])
    return header, items


def _unescape(value: str) -> str:
    """A properties value with its `\\uXXXX` and backslash escapes undone, white space folded."""
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else match[2], value)
    return " ".join(plain.split())
