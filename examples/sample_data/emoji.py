"""Drawings with names and keywords: Noto's emoji, by what Unicode's CLDR says they are looked for with.

The glyphs are the font's (Debian's `fonts-noto-color-emoji`, SIL Open Font License 1.1), the words those of
`unicode-cldr-core` (Unicode licence). Skin tones and flags are left out: hundreds that differ in a colour.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image, ImageDraw, ImageFont

from mmsearch.training.words import words
from sample_data.debian import unpacked
from sample_data.openclipart import Clipart

FONT_PACKAGE, WORDS_PACKAGE = "fonts-noto-color-emoji", "unicode-cldr-core"
FONT = Path("usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
COMMON = Path("usr/share/unicode/cldr/common")
ANNOTATIONS = ("annotations/en.xml", "annotationsDerived/en.xml")
# The one size that the font's pictures have, and a frame that holds them.
SIZE, FRAME, MARGIN = 109, 160, 12
_TONES = range(0x1F3FB, 0x1F400)
_FLAGS = (range(0x1F1E6, 0x1F200), range(0xE0020, 0xE0080))
# A character that the font lacks.
_ABSENT = "\u4e00"


def emoji(cache: Path) -> list[Clipart]:
    """Every emoji that the font draws as one picture, by its name; downloaded and drawn on the first call."""
    named: dict[str, tuple[str, tuple[str, ...]]] = {}
    for file in ANNOTATIONS:
        named |= described((unpacked(WORDS_PACKAGE, cache) / COMMON / file).read_text(encoding="utf-8"))
    folder = cache / "emoji"
    if not folder.is_dir():
        font = ImageFont.truetype(str(unpacked(FONT_PACKAGE, cache) / FONT), SIZE)
        draw(list(named), font, folder)
    return [
        Clipart(f"emoji/{_code(signs)}", name, keywords, picture)
        for signs, (name, keywords) in named.items()
        if (picture := folder / f"{_code(signs)}.png").is_file()
    ]


def described(xml: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """CLDR's annotations: the name and keywords, in lower case, of each sequence of characters.

    What has no name is left out, and so are ASCII, flags, and what wears a skin tone.
    """
    names: dict[str, str] = {}
    keywords: dict[str, tuple[str, ...]] = {}
    for entry in ElementTree.fromstring(xml).iter("annotation"):  # noqa: S314 - a signed package's own file
        signs, text = entry.get("cp", ""), entry.text or ""
        if entry.get("type") == "tts":
            names[signs] = text.strip()
        else:
            kept = (keyword.strip().lower() for keyword in text.split("|"))
            keywords[signs] = tuple(keyword for keyword in kept if words(keyword))
    return {
        signs: (name, keywords.get(signs, ())) for signs, name in names.items() if name and _is_picture(signs)
    }


def _is_picture(signs: str) -> bool:
    codes = [ord(sign) for sign in signs]
    left_out = any(code in _TONES or any(code in flags for flags in _FLAGS) for code in codes)
    return bool(codes) and not signs.isascii() and not left_out


def _code(signs: str) -> str:
    return "-".join(f"{ord(sign):x}" for sign in signs)


def draw(every: list[str], font: ImageFont.FreeTypeFont, folder: Path) -> None:
    """Writes a PNG into `folder` for each sequence that the font has as one picture; all or none."""
    nothing = {_drawn(font, signs).tobytes() for signs in (_ABSENT, " ")}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        draft = Path(scratch) / "emoji"
        draft.mkdir()
        for signs in every:
            picture = _drawn(font, signs)
            # A sequence that the font does not join is drawn as its parts, side by side.
            if font.getlength(signs) < 1.5 * font.size and picture.tobytes() not in nothing:
                picture.save(draft / f"{_code(signs)}.png")
        try:
            draft.rename(folder)
        except OSError:  # another process was first; its pictures are the same
            if not folder.is_dir():
                raise


def _drawn(font: ImageFont.FreeTypeFont, signs: str) -> Image.Image:
    picture = Image.new("RGB", (FRAME, FRAME), "white")
    ImageDraw.Draw(picture).text((MARGIN, MARGIN), signs, "black", font, embedded_color=True)
    return picture
