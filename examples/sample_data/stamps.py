"""Drawings and photographs with captions in many languages: Debian's `tuxpaint-stamps-default` (GPL-2).

A stamp's keywords are the names of the folders that it lies in ("animals", "birds"). Letters and digits are
left out: their captions are single signs.
"""

from __future__ import annotations

import re
from pathlib import Path

from sample_data.debian import unpacked
from sample_data.openclipart import Clipart

PACKAGE = "tuxpaint-stamps-default"
ROOT = Path("usr/share/tuxpaint/stamps")
ENGLISH = "en"
LANGUAGES = (ENGLISH, "de", "fr")
_LEFT_OUT = "alphabets"
_STYLE = "cartoon"
"""a folder that says how stamps are drawn, not what they show"""


def stamps(cache: Path, language: str = ENGLISH) -> list[Clipart]:
    """Every stamp with a caption in the language, by its path; downloaded on the first call."""
    root = unpacked(PACKAGE, cache) / ROOT
    found = []
    for picture in sorted(root.rglob("*.png")):
        folders = picture.parent.relative_to(root).parts
        caption = picture.with_suffix(".txt")
        if _LEFT_OUT in folders or not caption.is_file():
            continue
        title = captions(caption.read_text(encoding="utf-8", errors="replace")).get(language, "")
        if title:
            words = (re.sub(r"^\d+_|_", " ", folder).strip() for folder in folders if folder != _STYLE)
            identifier = str(picture.relative_to(root).with_suffix(""))
            found.append(Clipart(identifier, title, tuple(sorted({*words})), picture))
    return found


def captions(text: str) -> dict[str, str]:
    """Captions by language: the first line is English, the others are `LANGUAGE.utf8=CAPTION`."""
    first, *others = text.splitlines() or [""]
    found = {ENGLISH: first.strip()}
    for line in others:
        language, _, caption = line.partition(".utf8=")
        if caption.strip():
            found[language] = caption.strip()
    return {language: caption for language, caption in found.items() if caption}
