"""A software store: the 1,987 desktop applications of Debian's lists, with long descriptions and icons.

Names, summaries, descriptions and keywords are in dozens of languages. The licence of an application, where
its authors name one, stays with the product as `license`; the texts are those that Debian publishes with it.
`python -m sample_data.software FOLDER [LANGUAGE]` writes `catalog.jsonl` and `icons/` there.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import sys
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from mmsearch.config import cache_folder
from sample_data.appstream import Lists, lists

ENGLISH = "en"
LANGUAGES = (ENGLISH, "de", "fr", "ru", "ja")
ICON_SIDE = 128  # pixels
FEWEST, MOST = 2, 40  # applications of a keyword: one is luck, more are a kind of thing
_ORIGINAL = "C"  # what the lists call the language of the authors, which is English nearly always
_BREAK = re.compile(r"</?(?:p|li|ul|ol)>")
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Application:
    """Names, summaries, descriptions and keywords are by language; `icon` is a file's name, or empty."""

    identifier: str
    package: str
    names: Mapping[str, str]
    summaries: Mapping[str, str]
    descriptions: Mapping[str, str]
    keywords: Mapping[str, Sequence[str]]
    categories: Sequence[str]
    developer: str
    license: str
    icon: str

    def speaks(self, language: str) -> bool:
        """Whether its summary is in the language."""
        return language in self.summaries

    def searched_by(self, language: str) -> set[str]:
        """Its keywords in the language, in lower case; of a translation only those that English lacks."""
        own = _folded(self.keywords.get(language, ()))
        return own if language == ENGLISH else own - _folded(self.keywords.get(ENGLISH, ()))

    def record(self, language: str, *, keywords: bool) -> dict[str, object]:
        """The product of a store in the language; its name is often the same in all of them."""
        texts = (self.summaries.get(language, ""), self.descriptions.get(language, ""))
        found: dict[str, object] = {
            "id": self.identifier,
            "title": self.names.get(language) or self.names[ENGLISH],
            "description": "\n".join(text for text in texts if text),
            "category": list(self.categories),
            "brand": self.developer,
            "image": f"icons/{self.icon}" if self.icon else "",
            "package": self.package,
            "license": self.license,
        }
        if keywords:
            found["keywords"] = list(self.keywords.get(language, ()))
        return {name: value for name, value in found.items() if value}


def applications(cache: Path) -> list[Application]:
    """Every desktop application, by its identifier; fetched and read on the first call."""
    kept = cache / "debian" / "applications.jsonl"
    if not kept.is_file():
        written = "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in _read(lists(cache)))
        draft = kept.with_suffix(".draft")
        draft.write_text(written, encoding="utf-8")
        draft.rename(kept)
    return [Application(**json.loads(line)) for line in kept.read_text(encoding="utf-8").splitlines()]


def write_catalog(folder: Path, cache: Path, language: str = ENGLISH, *, keywords: bool = True) -> Path:
    """Write `catalog.jsonl` and `icons/` below `folder` and return the catalog's path."""
    found = [each for each in applications(cache) if each.speaks(language)]
    icons = folder / "icons"
    icons.mkdir(parents=True, exist_ok=True)
    wanted = {each.icon for each in found}
    for archive in lists(cache).icons:
        with tarfile.open(archive) as pictures:
            for member in pictures:
                icon, name = pictures.extractfile(member), Path(member.name).name
                if icon is not None and name in wanted:
                    (icons / name).write_bytes(icon.read())
    catalog = folder / "catalog.jsonl"
    records = (each.record(language, keywords=keywords) for each in found)
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    catalog.write_text("".join(lines), encoding="utf-8")
    return catalog


def queries(found: Sequence[Application], language: str = ENGLISH) -> dict[str, list[str]]:
    """Keyword → the applications of it, for keywords that a few of those that speak the language share."""
    shared: dict[str, list[str]] = defaultdict(list)
    for each in found:
        if each.speaks(language):
            for keyword in each.searched_by(language):
                shared[keyword].append(each.identifier)
    return {word: of for word, of in sorted(shared.items()) if FEWEST <= len(of) <= MOST}


def _folded(keywords: Sequence[str]) -> set[str]:
    return {" ".join(keyword.lower().split()) for keyword in keywords} - {""}


def _read(found: Lists) -> Iterator[Application]:
    icons = set()
    for archive in found.icons:
        with tarfile.open(archive) as pictures:
            icons |= {Path(member.name).name for member in pictures if member.isfile()}
    every: dict[str, Application] = {}
    for file in found.components:
        with gzip.open(file) as stream:
            for entry in yaml.load_all(stream, yaml.CSafeLoader):
                if entry.get("Type") == "desktop-application":
                    every.setdefault(entry["ID"], _application(entry, icons))
    return iter([every[identifier] for identifier in sorted(every)])


def _application(entry: Mapping[str, Any], icons: set[str]) -> Application:
    cached = entry.get("Icon", {}).get("cached", ())
    large = [each["name"] for each in cached if each["width"] == ICON_SIDE and each["name"] in icons]
    return Application(
        identifier=entry["ID"],
        package=entry["Package"],
        names=_by_language(entry["Name"], _line),
        summaries=_by_language(entry.get("Summary", {}), _line),
        descriptions=_by_language(entry.get("Description", {}), _paragraphs),
        keywords={name: words for name in LANGUAGES if (words := entry.get("Keywords", {}).get(_key(name)))},
        categories=entry.get("Categories", ()),
        developer=_line(entry.get("DeveloperName", {}).get(_ORIGINAL, "")),
        license=entry.get("ProjectLicense", ""),
        icon=large[0] if large else "",
    )


def _by_language(texts: Mapping[str, str], plain: Callable[[str], str]) -> dict[str, str]:
    return {name: text for name in LANGUAGES if (text := plain(texts.get(_key(name), "")))}


def _key(language: str) -> str:
    return _ORIGINAL if language == ENGLISH else language


def _line(text: str) -> str:
    return " ".join(html.unescape(text).split())


def _paragraphs(markup: str) -> str:
    """A paragraph or an item of a list a line."""
    parts = (_line(_TAG.sub(" ", part)) for part in _BREAK.split(markup))
    return "\n".join(part for part in parts if part)


if __name__ == "__main__":
    print(write_catalog(Path(sys.argv[1]), cache_folder(), *sys.argv[2:3]))  # noqa: T201
