"""`mmsearch doctor`: check the installation and the servers."""

from __future__ import annotations

import dataclasses
import json

import click

from mmsearch.cli.in_container import fitted, kind
from mmsearch.stack.doctor import Finding, examine
from mmsearch.stack.doctor_served import examine_served
from mmsearch.stack.state import Home

SIGN = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@click.option("--home", help="State folder.  [default: $MMSEARCH_HOME or ./.mmsearch]")
def command(as_json: bool, home: str | None) -> None:
    """Check installation and servers, and print a repair for each problem; exit 1 if there is one.

    In a container, it checks the servers in MMSEARCH_OPENSEARCH and MMSEARCH_TRITON.

    \b
    Example:
      mmsearch doctor
    """
    findings = examine_served() if kind() else examine(Home.at(home))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(sentence(finding))
    if any(finding.state == "wrong" for finding in findings):
        raise click.exceptions.Exit(1)


def sentence(finding: Finding) -> str:
    """Return one line about a finding."""
    repair = f"; repair: {fitted(finding.repair)}" if finding.repair else ""
    return f"{SIGN[finding.state]} {finding.name}: {finding.found}{repair}"
