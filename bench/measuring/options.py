"""A bench's command line: its sizes by name, each with a short form, which `--short` chooses."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable

from measuring.interleaved import SHORT


class Options(argparse.ArgumentParser):
    """`Options(__doc__, rounds=(9, 1))` takes `--rounds`, 9 by default and 1 in the short form."""

    def __init__(self, doc: str | None, **sizes: tuple[float, float]) -> None:
        super().__init__(description=(doc or "").partition("\n")[0])
        self.short: dict[str, object] = {}
        """what else is the default in the short form"""
        for name, (size, short) in sizes.items():
            about = f"{size:,} by default, {short:,} in the short form"
            self.short[name] = short
            self.add_argument(f"--{name.replace('_', '-')}", type=type(size), default=size, help=about)
        self.add_argument("--short", action="store_true", help="small sizes, minutes; no result is kept")

    def only(self, choices: Iterable[str]) -> None:
        """Take `--only`, repeatable, of what is run otherwise all."""
        self.add_argument("--only", action="append", choices=list(choices), help="repeatable")

    def parse(self) -> argparse.Namespace:
        """The values; the processes that this one starts run in their short form too."""
        if "--short" in sys.argv[1:] or os.environ.get(SHORT):
            os.environ[SHORT] = "1"
            self.set_defaults(short=True, **self.short)
        return self.parse_args()
