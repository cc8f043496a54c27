"""A larger catalog that a Debian package ships: the 6,900 pictures of openclipart, with their titles and
keywords.

The pictures are in the public domain. Those that only repeat another by a link are left out.
`python -m sample_data.clipart FOLDER` writes `catalog.jsonl` there and prints its path and the pictures'
folder.
"""

from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path

from mmsearch.config import cache_folder
from sample_data.debian import unpacked

PICTURES, DRAWINGS = "openclipart-png", "openclipart-svg"
ROOT = Path("usr/share/openclipart")
_METADATA = re.compile(r"<metadata.*?</metadata>", re.DOTALL)
_TITLE = re.compile(r"<dc:title>(.*?)</dc:title>", re.DOTALL)
_KEYWORD = re.compile(r"<rdf:li>(.*?)</rdf:li>", re.DOTALL)


def write_catalog(folder: Path, cache: Path) -> tuple[Path, Path]:
    """Write `catalog.jsonl` below `folder`; return its path and the image root that its pictures are
    named from."""
    root = unpacked(PICTURES, cache) / ROOT / "png"
    drawings = unpacked(DRAWINGS, cache) / ROOT / "svg"
    folder.mkdir(parents=True, exist_ok=True)
    catalog = folder / "catalog.jsonl"
    seen: set[Path] = set()
    with catalog.open("w", encoding="utf-8") as file:
        for picture in sorted(root.rglob("*.png")):
            real = picture.resolve()
            if real in seen or not real.is_file():
                continue
            seen.add(real)
            name = picture.relative_to(root)
            file.write(
                json.dumps(_record(name, drawings / name.with_suffix(".svg")), ensure_ascii=False) + "\n"
            )
    return catalog, root


def _record(picture: Path, drawing: Path) -> dict[str, object]:
    """One product: its title is the drawing's own, or the file's name where it has none."""
    text = drawing.read_text(encoding="utf-8", errors="replace") if drawing.is_file() else ""
    about = _METADATA.search(text)
    title = _TITLE.search(about[0]) if about else None
    keywords = sorted({_plain(word) for word in _KEYWORD.findall(about[0])} - {""}) if about else []
    record: dict[str, object] = {
        "id": str(picture.with_suffix("")),
        "title": (_plain(title[1]) if title else "") or picture.stem.replace("_", " "),
        "category": picture.parts[0],
        "image": str(picture),
    }
    return {**record, "keywords": keywords} if keywords else record


def _plain(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


if __name__ == "__main__":
    for path in write_catalog(Path(sys.argv[1]), cache_folder()):
        print(path)  # noqa: T201
