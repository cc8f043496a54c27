"""Pairs to train text on: a few words of a Debian package's summary, and its long description.

The packages of applications are left out, so that a model can be tested on the software store, whose texts it
has not read. `python -m sample_data.descriptions FOLDER [PAIRS]` writes `catalog.jsonl` and `pairs.jsonl`
there.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsearch.config import cache_folder
from mmsearch.errors import MmsearchError
from sample_data import apt_lists, software

TRANSLATIONS = "*_i18n_Translation-en*"
UNPACK = "/usr/lib/apt/apt-helper"
SEED = 20250107
LIBRARY = re.compile(
    "^(?:lib|python3?-|python[0-9]|golang-|node-|ruby-|r-|ghc|fonts-|elpa-|php-|php[0-9]|linux-|gir1|rust-"
    "|texlive-|hunspell-|task-|ocaml|haskell|gcc|puppet-|erlang-|asterisk-|myspell|lua-|tryton-|tesseract-ocr-"
    "|cl-|dict-|aspell|qml|xfonts|ros-|gambas)|-(?:dev|doc|dbg|data|common|perl|java|modules|dkms|headers|cil"
    "|ruby|el|prof|tests?|examples|source|gnu|gnuabi64|cross|jni|clojure|ocaml)$|-doc-|-l10n-"
)
"""names of packages that are no programs, seven of ten, with descriptions that resemble each other"""
FEWEST = 12
"""words of a description that says something"""
FEW_WORDS = 0.7
"""share of queries that are one to three neighbouring words of a summary; the others are whole summaries"""
STOP = frozenset(
    (
        "a",
        "an",
        "and",
        "as",
        "at",
        "by",
        "for",
        "from",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "that",
        "the",
        "this",
        "to",
        "using",
        "via",
        "with",
        "without",
    )
)


@dataclass(frozen=True, slots=True)
class Description:
    """A package's name, its summary of one line, and its long description."""

    package: str
    summary: str
    text: str


def descriptions(cache: Path) -> list[Description]:
    """Every package with a long description of its own, by name; fetched on the first call."""
    target = cache / "debian" / "descriptions"
    if not target.is_dir():
        apt_lists.fetch(target, (TRANSLATIONS,), languages="en")
    files = sorted(target.glob(TRANSLATIONS))
    if not files:
        raise MmsearchError(
            f"expected apt's sources to have descriptions of packages, got none in {target}; name Debian's "
            "main archive in /etc/apt, remove that folder, and run it again"
        )
    found: dict[str, Description] = {}
    for file in files:
        for each in parsed(_unpacked(file)):
            found.setdefault(each.package, each)
    return [found[name] for name in sorted(found)]


def parsed(text: str) -> Iterator[Description]:
    """Yield the packages of a list. A line that is a dot parts paragraphs."""
    for block in text.split("\n\n"):
        package, lines = "", []
        for line in block.splitlines():
            if line.startswith("Package: "):
                package = line.removeprefix("Package: ")
            elif line.startswith("Description-en: "):
                lines = [line.removeprefix("Description-en: ")]
            elif line.startswith(" ") and lines:
                lines.append("" if line.strip() == "." else line.strip())
        if package and lines:
            paragraphs = "\n".join(lines[1:]).split("\n\n")
            long = "\n".join(" ".join(each.split()) for each in paragraphs if each.strip())
            yield Description(package, lines[0].strip(), long)


def usable(found: Iterable[Description], left_out: Sequence[str]) -> list[Description]:
    """Packages with a description that no package before them has, without those in `left_out`, what belongs
    to them (`gimp-data` to `gimp`), and what says the same.
    """
    every = list(found)
    names = frozenset(left_out)
    said = {each.text for each in every if _belongs(each.package, names)}
    kept = []
    for each in every:
        if len(each.text.split()) >= FEWEST and each.text not in said:
            said.add(each.text)
            kept.append(each)
    return kept


def pairs_of(found: Sequence[Description], count: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Products and pairs of up to `count` packages, the same in each call. Half of the products have the
    summary as title.
    """
    random_ = random.Random(SEED)  # noqa: S311 - not for secrets
    chosen = sorted(random_.sample(range(len(found)), min(count, len(found))))
    products, pairs = [], []
    for each in (found[place] for place in chosen):
        product = {"id": each.package, "description": each.text}
        if random_.random() < 0.5:
            product["title"] = each.summary
        products.append(product)
        pairs.append({"query": _query(each.summary, random_), "product_id": each.package})
    return products, pairs


def programs(found: Iterable[Description]) -> list[Description]:
    """Those that are programs, by their names."""
    return [each for each in found if not LIBRARY.search(each.package)]


def write(folder: Path, cache: Path, count: int, *, every: bool = False) -> Path:
    """Write `catalog.jsonl` and `pairs.jsonl` of up to `count` programs, or packages of `every` kind, below
    `folder`, and return the folder.
    """
    applications = [each.package for each in software.applications(cache)]
    found = usable(descriptions(cache), applications)
    products, pairs = pairs_of(found if every else programs(found), count)
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in (("catalog.jsonl", products), ("pairs.jsonl", pairs)):
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        (folder / name).write_text(lines, encoding="utf-8")
    return folder


def _belongs(package: str, names: frozenset[str]) -> bool:
    parts = package.split("-")
    return any("-".join(parts[:count]) in names for count in range(1, len(parts) + 1))


def _query(summary: str, random_: random.Random) -> str:
    words = [word for word in summary.split() if word.lower().strip("(),") not in STOP]
    if not words or random_.random() >= FEW_WORDS:
        return summary
    size = random_.randint(1, 3)
    start = random_.randint(0, max(0, len(words) - size))
    return " ".join(words[start : start + size]).strip("(),;:.") or summary


def _unpacked(file: Path) -> str:
    done = subprocess.run([UNPACK, "cat-file", str(file)], check=True, capture_output=True)
    return done.stdout.decode()


if __name__ == "__main__":
    amount = int(sys.argv[2]) if len(sys.argv) > 2 else sys.maxsize
    print(write(Path(sys.argv[1]), cache_folder(), amount))  # noqa: T201
