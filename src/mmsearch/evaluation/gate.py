"""Gates for continuous integration: a condition on a measure, for example `ndcg@10 >= baseline - 0.5%`.

    [SYSTEM:] MEASURE (>= | > | <= | <) (NUMBER | BASE [(+ | -) NUMBER[%] | * NUMBER])

BASE is another system, or `baseline`. Without SYSTEM the gate applies to every system except the base. `%` is
relative to the base's value: `baseline - 0.5%` is 0.995 of it. A plain number is in units of the measure. A
gate with `>=` does not pass with 0 on both sides.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mmsearch.errors import MmsearchError

BASELINE = "baseline"
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_NUMBER = r"[0-9]*\.?[0-9]+(?:e-?[0-9]+)?"
_GATE = re.compile(
    rf"""^\s*(?:(?P<system>[^\s:<>=]+)\s*:\s*)?(?P<measure>[^\s<>=]+)\s*(?P<comparison>>=|<=|>|<)\s*
    (?:(?P<number>{_NUMBER})
      |(?P<base>[^\s<>=*+]+)(?:\s*(?P<sign>[+*-])\s*(?P<amount>{_NUMBER})(?P<percent>%)?)?)\s*$""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Verdict:
    """The result of a gate for one system: its value and the bound."""

    gate: str
    system: str
    value: float
    bound: float
    passed: bool

    def __str__(self) -> str:
        state = "passed" if self.passed else "FAILED"
        found = f"{state}: {self.gate} for {self.system}: {self.value:.4f} against {self.bound:.4f}"
        nothing = not self.passed and self.value == self.bound == 0
        return f"{found}; zero against zero shows nothing, check judgments and index" if nothing else found


@dataclass(frozen=True)
class Gate:
    """A parsed gate."""

    text: str
    system: str | None
    measure: str
    comparison: str
    base: str | None
    sign: str
    amount: float
    percent: bool

    def check(self, values: Mapping[str, float], baseline: str) -> list[Verdict]:
        """Return one verdict per system. `values` are the measure's means by system, `baseline` the name of
        the baseline.
        """
        base = baseline if self.base == BASELINE and BASELINE not in values else self.base
        for name in (self.system, base):
            if name is not None and name not in values:
                known = ", ".join(values)
                raise MmsearchError(
                    f"expected a system out of {known} in the gate {self.text!r}, got {name!r}; name one"
                )
        bound = self._bound(values[base]) if base else self.amount
        systems = [self.system] if self.system else [name for name in values if name != base]
        if not systems:
            raise MmsearchError(
                f"expected a system to compare with {base} in the gate {self.text!r}, got none; add another "
                "--system, or give a number instead of the baseline"
            )
        return [
            Verdict(self.text, name, values[name], bound, self._passes(values[name], bound))
            for name in systems
        ]

    def _passes(self, value: float, bound: float) -> bool:
        """Return whether the gate holds. `>=` with 0 on both sides does not: nothing was found."""
        if self.comparison == ">=" and value == bound == 0:
            return False
        return _COMPARISONS[self.comparison](value, bound)

    def _bound(self, base: float) -> float:
        if self.sign == "*":
            return base * self.amount
        step = base * self.amount / 100 if self.percent else self.amount
        return base + step if self.sign == "+" else base - step


def parse_gate(text: str) -> Gate:
    """Parse a gate."""
    written = _GATE.match(text)
    if not written or (written["sign"] == "*" and written["percent"]):
        raise MmsearchError(
            f"expected a gate such as 'ndcg@10 >= baseline - 0.5%' or 'hybrid: recall@100 > 0.6', got "
            f"{text!r}; rewrite it"
        )
    return Gate(
        text.strip(),
        written["system"],
        written["measure"],
        written["comparison"],
        written["base"],
        written["sign"] or "+",
        float(written["number"] or written["amount"] or 0),
        bool(written["percent"]),
    )
