"""What reads others' bytes, fuzzed for a minute each: `make fuzz`.

    .venv/bin/python qa fuzz [--only reader] [--seconds 60] [--short]

Atheris, guided by coverage, feeds the readers of catalogs, the picture read_header and ingest's reader of
Triton's answers; random JSON goes to the parsers of both clauses, and spoilt answers to the plugin's HTTP
client and its reader of Triton's answers. Nothing but what each promises may come of it, and nothing may
hang. An input that fails is kept under build/bench/fuzz, and the command that repeats it is printed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

from measuring.child import ROOT, said
from measuring.interleaved import OUTPUT, Table
from measuring.options import Options

SCRIPT = ROOT / "qa" / "fuzz" / "readers.py"
KEPT = OUTPUT / "fuzz"
CATALOGS = ("reader", "document", "xml", "table", "workbook", "packed", "feed")
PYTHON = {target: f"fuzz-{target}" for target in (*CATALOGS, "picture", "reply")}
JAVA = {
    "clauses": ("fuzz-clauses", "org.mmsearch.ClauseFuzzTests"),
    "plugin-reply": ("fuzz-reply-in-the-plugin", "org.mmsearch.encoder.triton.ReplyFuzzTests"),
}
SEEDS = "from tests.integration.test_fuzz_ingest import write_seeds; import sys; write_seeds(*sys.argv[1:])"
STARTING = 240
"""seconds that a fuzzer may take beside its time: Maven compiles, Atheris instruments"""


def atheris(target: str, seconds: int) -> Table:
    """One target of qa/fuzz/readers.py."""
    table = Table(PYTHON[target], "", {})
    corpus = KEPT / target
    for old in corpus.glob("*"):
        old.unlink()
    corpus.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-c", SEEDS, target, str(corpus)], cwd=ROOT, check=True)
    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1500"]
    failed = f"-artifact_prefix={KEPT}/{target}-"
    command = [sys.executable, str(SCRIPT), target, *limits, failed, str(corpus)]
    printed, code = said(command, seconds + STARTING)
    runs = re.search(r"Done (\d+) runs in (\d+) second", printed)
    covered = re.findall(r"cov: (\d+)", printed)
    table.figure("passed", float(code == 0 and runs is not None), {">=": 1})
    table.figure("inputs", float(runs[1]) if runs else 0, {})
    table.figure("branches covered", float(covered[-1]) if covered else 0, {})
    kept = re.search(r"Test unit written to (\S+)", printed)
    if kept:
        table.note(f"Repeat: .venv/bin/python {SCRIPT.relative_to(ROOT)} {target} {kept[1]}")
    table.note(f"Atheris for {seconds} s.")
    return table


def java(target: str, seconds: int) -> Table:
    """One fuzzer among the plugin's tests."""
    name, test = JAVA[target]
    table = Table(name, "", {})
    counted = ROOT / "plugin" / "target" / "surefire-reports" / f"{test}-output.txt"
    counted.unlink(missing_ok=True)
    command = ["scripts/maven.sh", "-q", "test", f"-Dtest={test.rpartition('.')[2]}"]
    printed, code = said([*command, f"-Dtests.fuzz.seconds={seconds}"], seconds + STARTING)
    log = counted.read_text(encoding="utf-8") if counted.is_file() else ""
    found = re.search(r"fuzz: (\d+) inputs, (\d+) taken", log)
    table.figure("passed", float(code == 0 and found is not None), {">=": 1})
    table.figure("inputs", float(found[1]) if found else 0, {})
    table.figure("accepted", float(found[2]) if found else 0, {})
    seed = re.search(r"SeedInfo\.seed\(\[([0-9A-F]+)", printed)
    if seed:
        table.note(f"Repeat: {' '.join(command)} -Dtests.fuzz.seconds={seconds} -Dtests.seed={seed[1]}")
    table.note(f"{test.rpartition('.')[2]} for {seconds} s.")
    return table


def main() -> int:
    parser = Options(__doc__, seconds=(60, 5))
    fuzzers: dict[str, Callable[[str, int], Table]] = {
        **dict.fromkeys(PYTHON, atheris),
        **dict.fromkeys(JAVA, java),
    }
    parser.only(fuzzers)
    asked = parser.parse()
    good = True
    for target in asked.only or fuzzers:
        good &= fuzzers[target](target, asked.seconds).finish()
    return 0 if good else 1
