"""The processor of this machine: its name, its units for matrix products, its cores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mmsearch.serving.runtime import bf16_hidden

UNITS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 with bf16",
    "avx512_vnni": "AVX-512 with VNNI",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
}
"""flag of /proc/cpuinfo → units, best first"""
BF16 = ("AMX", "AVX-512 with bf16")
NO_UNITS = "none"


@dataclass(frozen=True, slots=True)
class Processor:
    """`units` are the best of `UNITS`, or `none`; `cores` those that this process may use."""

    name: str
    units: str
    cores: int

    @property
    def bf16(self) -> bool:
        return self.units in BF16


def present(cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
    """Read the processor of this machine. With `MMSEARCH_BF16=off`, its bf16 units are not listed."""
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    units = [said for flag, said in UNITS.items() if flag in flags and not (bf16_hidden() and said in BF16)]
    name = fields.get("model name", "unknown")
    return Processor(name, units[0] if units else NO_UNITS, len(os.sched_getaffinity(0)))
