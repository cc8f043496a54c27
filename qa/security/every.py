"""What quality asks of security, each by the tests that try it: `make security`.

    .venv/bin/python qa security [--only tls]

Each line is a set of tests in its full form, fifty picture bombs among them. How many of them ran is shown,
and none may fail.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring.child import ROOT, said
from measuring.interleaved import Table
from measuring.options import Options
from measuring.pytested import PYTEST

NAME = "security"
PLUGIN = (
    "DataUriTests",
    "ImageHeaderTests",
    "TokenSecrecyTests",
    "TritonTlsTests",
    "TritonCertificatesTests",
    "VectorCacheTests",
)
SECONDS = 600


@dataclass(frozen=True)
class Tried:
    """One demand: the tests that try it."""

    what: str
    arguments: tuple[str, ...]


PYTHON = {
    "addresses": Tried(
        "requests that reach a forbidden address, of 60 forms, redirects and names that change",
        ("tests/unit/test_fetch.py", "-k", "forbidden or changes_after or disagree or certificate or proxy"),
    ),
    "bodies": Tried(
        "pictures by URL that are too large, that drip, or that lead round in circles",
        ("tests/unit/test_fetch.py", "-k", "bounded or drips or endless"),
    ),
    "allowed": Tried(
        "requests, addresses and headers beyond what an own host, a proxy or a header allows",
        ("tests/unit/test_fetch_options.py",),
    ),
    "roots": Tried(
        "local pictures outside --image-root, by links and by ..", ("tests/unit/test_images.py", "-k", "root")
    ),
    "bombs": Tried(
        "fifty bombs: more than 250 MB or 2 s, or an ingest that ends",
        (
            *("tests/unit/test_images.py", "tests/unit/test_image_formats.py"),
            *("-k", "bomb or damaged or ends_its_decoder or more_than_a_picture"),
        ),
    ),
    "catalogs": Tried(
        "XML entities, bombs of each compression, workbooks that take too much",
        ("tests/unit/test_formats.py", "-k", "bombs or entities or dangerous or workbook or memory"),
    ),
    "tls": Tried(
        "certificates that are taken or refused wrongly, on three links", ("tests/unit/test_access_tls.py",)
    ),
    "secrets": Tried(
        "a planted secret in logs, errors, rejects, summaries or ps; credentials from files and environment",
        ("tests/unit/test_access.py",),
    ),
    "weights": Tried(
        "pickled weights that are loaded",
        (
            "tests/unit/test_training_clip.py",
            "tests/unit/test_training_clip_tokens.py",
            "-k",
            "pickle or refus",
        ),
    ),
    "downloads": Tried(
        "downloads with another content than the pinned one", ("tests/unit/test_downloads.py",)
    ),
}
JAVA = "plugin"


def count(report: Path) -> tuple[int, int]:
    """Tests that ran and tests that failed, by JUnit's XML."""
    ran = failed = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        number = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
        ran += number["tests"] - number["skipped"]
        failed += number["failures"] + number["errors"]
    return ran, failed


def by_pytest(tried: Tried) -> tuple[int, int]:
    """Runs tests in their full form; (ran, failed)."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        said([*PYTEST, "-q", "-m", "slow or not slow", f"--junitxml={report}", *tried.arguments], SECONDS)
        return count(report) if report.is_file() else (0, 1)


def by_maven() -> tuple[int, int]:
    """Runs the plugin's; (ran, failed)."""
    reports = ROOT / "plugin" / "target" / "surefire-reports"
    for old in reports.glob("TEST-*.xml"):
        old.unlink()
    _, code = said(["scripts/maven.sh", "-q", "test", f"-Dtest={','.join(PLUGIN)}"], SECONDS)
    counts = [count(file) for file in reports.glob("TEST-*.xml")]
    ran, failed = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return ran, failed or int(code != 0)


def main() -> int:
    parser = Options(__doc__)
    parser.only([*PYTHON, JAVA])
    asked = parser.parse()
    table, total = Table(NAME, "", {}), 0
    for name in asked.only or [*PYTHON, JAVA]:
        if name == JAVA:
            what = "in the plugin: a picture's size, tokens, TLS, the cache of another fingerprint"
            ran, failed = by_maven()
        else:
            what = PYTHON[name].what
            ran, failed = by_pytest(PYTHON[name])
        total += ran
        table.figure(f"{what}: failed tests of {ran}", failed if ran else 1, {"<=": 0}, exact=True)
    table.note(f"{total} tests.")
    return 0 if table.finish() else 1
