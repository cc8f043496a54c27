"""What tries to break mmsearch: `python qa NAME [OPTIONS]`, and `python qa` lists the names."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

CHECKS = {
    "faults": "faults.every",
    "faults-ingest": "faults.ingest",
    "faults-query": "faults.query",
    "faults-hybrids": "faults.hybrids",
    "fuzz": "fuzz.every",
    "soak": "soak.catalog",
    "soak-hybrids": "soak.hybrids",
    "security": "security.every",
    "gpu": "gpu.check",
    "containers": "containers.run",
    "containers-faults": "containers.mutations",
}
"""name → module below qa/"""

if __name__ == "__main__":
    start = runpy.run_path(str(Path(__file__).resolve().parents[1] / "bench" / "__main__.py"))["main"]
    sys.exit(start("qa", CHECKS))
