"""The page of results, bench/results.md, and the README's section of speed, from bench/results.

    .venv/bin/python bench page

takes what the benches left under build/bench first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from measuring import plot
from measuring.cells import bound, grouped, judged, of_two_arms, value_of, windows
from measuring.interleaved import shown
from measuring.results import FOLDER, Record, is_void, read, take
from measuring.steps import SUBJECTS

PAGE = Path(__file__).parents[1] / "results.md"
README = Path(__file__).parents[2] / "README.md"
SPEED = "## Speed\n"
NEXT = "## What is different\n"
"""the section that it stands before"""
OURS = "mmsearch"
OTHER_ARMS = {
    "plain script": "A script with Pillow, onnxruntime and opensearch-py's bulk helper, in two threads",
    "onnxruntime + LanceDB": "onnxruntime and LanceDB in one process",
    "official pipeline": "OpenSearch's `text_image_embedding` processor, connected to the same towers",
    "best parts in process": "Decoding and towers alone, one process a core, without an index: the limit",
}
WITHOUT = "No reason is recorded in `bench/results/missed.json`."
INTRODUCTION = """\
# Benchmarks

Written by `bench page` from `bench/results/`, which holds every figure with its machine, date and versions.
Each figure is the median over rounds, in which the compared programs run in turn on one machine.
A ratio is taken within each round.
*Spread* is the lowest and the highest round of our own figure.
*A/A* is the first program against itself: outside 0.95 to 1.05 a table is void and decides nothing."""
CHECKS = ("faults", "fuzz", "security", "soak")
"""subjects whose tables are a line each"""
ABOUT = {
    "shop": (
        "Ingest of products like a shop's",
        "`bench shop`, also with `--busy 2` and `--without-bf16`. Photographs of 1200 to 1600 pixels and "
        "long descriptions, drawn and put together from Debian's packages. *Best parts in process*: decoding "
        "and towers, one process a core, without an index, which is the limit. *Plain script*: Pillow, "
        "onnxruntime and `helpers.bulk` in two threads. *Official pipeline*: `text_image_embedding` with a "
        "connector to the same towers.",
    ),
    "ingest": (
        "Ingest of icons and short titles",
        "`bench ingest`. Client, encoder and node share two cores. *One request a product* is the usual "
        "script: one encoder call and one index request for each product, vectors as JSON, 30 connections. "
        "`ingest-stub` uses an encoder that takes 1 ms a request.",
    ),
    "encoders": (
        "Encoders",
        "`bench encoders`, `bench int8`. Triton against onnxruntime called directly with the same inputs. "
        "`entry` is from `make gpu-check` on a machine without a GPU.",
    ),
    "neural": (
        "`neural`",
        "`bench neural`. The encoder is a stub that answers at once, so that the figures are the plugin's "
        "own. Latency added by `neural`: total minus `knn` minus the encoder call. *Official* is the clause "
        "`neural` of OpenSearch, with a remote ML Commons model that calls the same stub.",
    ),
    "hybrid": (
        "`hybrid`",
        "`bench hybrid`. Against `bool` over the same legs and the official `hybrid`. Facets of `bool` and "
        "the official `hybrid` count all matches of the legs, those of ours the window.",
    ),
    "index": (
        "Index size and legs",
        "`bench slow-legs`, `bench legs`, `bench quantization`, `bench growth`.",
    ),
    "offline": ("Training and measures", "`bench training`, `bench towers`, `bench evaluation`."),
    "quality": (
        "Quality",
        "`make quality`, on keywords of Debian's openclipart and of a software store that no training and no "
        "tuning has seen. "
        "`bench runtimes`: products' vectors by other runtimes of the towers, with queries by each.",
    ),
    "profiles": ("Where the time goes", "`bench profiles`, on real servers with the furniture catalog."),
}


def rows(table: str, record: Record) -> Iterator[str]:
    """A line for each ratio of two arms, and one for figures of one kind; those without a target only where
    the table has none."""
    unit, steady = record.get("unit", ""), record.get("a_against_a", "")
    every = record["figures"]
    some = any(bound(figure) for figure in every)
    single = []
    for figure in every:
        what, value, *_ = figure
        pair = of_two_arms(what, record)
        if pair is None:
            single.append(figure)
        elif bound(figure) or not some:
            (ours, low, high), (other, *_) = pair
            cells = (f"{shown(ours)} {unit}", shown(other), shown(value), f"{shown(low)}–{shown(high)}")
            yield f"| {table}: {what} | {' | '.join(cells)} | {steady} | {judged(figure)} |"
    for kind, figures in grouped(single).items():
        if any(map(bound, figures)):
            yield f"| {table}: {kind} | {'; '.join(map(value_of, figures))} | | | | {steady} | |"


def lines_of(subject: str, tables: Mapping[str, Record]) -> list[str]:
    """A subject's section."""
    title, about = ABOUT[subject]
    dates = sorted({record["date"][:10] for record in tables.values()})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    lines = ["", f"## {title}", f"{about} Measured {when}.", ""]
    if subject == "hybrid":
        return lines + windows(tables)
    if subject == "profiles":
        lines += ["| profile | figures |", "| --- | --- |"]
        return lines + [f"| {table} | {counted(record)} |" for table, record in tables.items()]
    if subject == "index":
        lines += [f"![What grows with the catalog]({plot.PLOT.relative_to(PAGE.parent)})", ""]
    lines += ["| figure | ours | other | ratio | spread | A/A | target |", "| --- " * 7 + "|"]
    return lines + [row for table, record in tables.items() for row in rows(table, record)]


def counted(record: Record, most: int = 9) -> str:
    """A table's figures in a cell, those of one kind together, up to so many kinds."""
    kinds = list(grouped(record["figures"]).items())[:most]
    return "; ".join(f"{kind}: {', '.join(map(value_of, figures))}" for kind, figures in kinds)


def checks(subjects: Mapping[str, Mapping[str, Record]]) -> list[str]:
    """Faults, fuzzing, security and soak: a line a table."""
    commands = ", ".join(f"`make {subject}`" for subject in CHECKS)
    lines = ["", "## Faults, fuzzing, security, soak", f"{commands}, in full.", ""]
    lines += ["| check | date | targets met | counted |", "| --- | --- | --- | --- |"]
    for subject in CHECKS:
        for table, record in subjects[subject].items():
            verdicts = [verdict for *_, verdict in record["figures"] if verdict]
            met = f"{verdicts.count('met')} of {len(verdicts)}"
            said = record.get("notes", [counted(record, 2)])[0]
            plain = [figure for figure in record["figures"] if not bound(figure)]
            if len(plain) <= 2:  # as fuzzing counts its inputs
                said = " ".join([said, *(f"{what}: {shown(value)}." for what, value, *_ in plain)])
            lines.append(f"| {table} | {record['date'][:10]} | {met} | {said} |")
    return lines


def missed(subjects: Mapping[str, Mapping[str, Record]], reasons: Sequence[Mapping[str, Any]]) -> list[str]:
    """The missed and void targets, those of one reason together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for table, record in ((name, each) for tables in subjects.values() for name, each in tables.items()):
        for figure in record["figures"]:
            what, value, _, verdict = figure
            if verdict in ("missed", "void"):
                of = (each["why"] for each in reasons if each["table"] == table and what in each["figures"])
                wanted = bound(figure) + (", void" if verdict == "void" else "")
                groups.setdefault((table, next(of, WITHOUT)), []).append(f"{what} {shown(value)} ({wanted})")
    return [f"- **{table}**: {'; '.join(figures)}. {why}" for (table, why), figures in groups.items()]


def improvements(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Before and after of changes that were measured in turns."""
    lines = [
        "",
        "## Before and after",
        "A change and the code before it, measured in turn on one machine.",
        "",
    ]
    lines += ["| change | before → after |", "| --- | --- |"]
    return lines + [f"| {each['change']} | {'; '.join(each['figures'])} |" for each in found]


def page() -> str:
    """The whole page."""
    subjects = {subject: read(subject) for subject in SUBJECTS}
    verdicts = [row[3] for tables in subjects.values() for r in tables.values() for row in r["figures"]]
    counts = ", ".join(f"{verdicts.count(word)} {word}" for word in ("met", "missed", "void"))
    reasons = json.loads((FOLDER / "missed.json").read_text(encoding="utf-8"))
    lines = [INTRODUCTION, "", "## Targets", f"{counts}. Those that are not met:", ""]
    lines += missed(subjects, reasons)
    for subject in ABOUT:
        if subjects[subject]:
            lines += lines_of(subject, subjects[subject])
        if subject == "quality":
            lines += checks(subjects)
    lines += improvements(json.loads((FOLDER / "improvements.json").read_text(encoding="utf-8")))
    return "\n".join(lines) + "\n"


def with_speed(readme: str, tables: Mapping[str, Record]) -> str:
    """The README with the section of these tables. Raise ValueError where it has no place for it."""
    before, following, after = readme.partition(NEXT)
    if not following:
        raise ValueError(f"expected the README to have the section {NEXT.strip()}, got none; put it back")
    return before.partition(SPEED)[0] + "".join(f"{line}\n" for line in speed(tables)) + following + after


def speed(tables: Mapping[str, Record]) -> list[str]:
    """The lines of the section; none where the table is lacking or void."""
    record = tables.get("shop")
    if record is None or is_void(record):
        return []
    arms, ratios = record["arms"], {what: value for what, value, *_ in record["figures"]}
    ours = (
        f"mmsearch ingests {shown(arms[OURS][0])} products a second. The programs below ran in turns with it "
        f"([all figures](bench/results.md)). Measured on {record['notes'][0]} Machine: "
    )
    lines = [SPEED.strip(), ours + record["notes"][1].partition(";")[0].rstrip(".") + ".", ""]
    lines += ["| | products a second | mmsearch relative to it |", "| --- | --- | --- |"]
    for arm, about in OTHER_ARMS.items():
        if arm in arms:
            lines.append(f"| {about} | {shown(arms[arm][0])} | {shown(ratios[f'{OURS} / {arm}'])} |")
    return [*lines, ""]


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None).parse_args()
    return renew()


def renew() -> int:
    """Take what was measured since, and write the page."""
    for line in take():
        print(line)
    plot.draw(read("index")["growth"])
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(with_speed(README.read_text(encoding="utf-8"), read("shop")), encoding="utf-8")
    print(PAGE)
    return 0
