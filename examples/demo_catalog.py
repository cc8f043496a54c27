"""`python -m demo_catalog FOLDER`: the catalog that `make demo` ingests."""

from __future__ import annotations

import sys
from pathlib import Path

from sample_data import drawn, furniture
from sample_data.debian import available

from mmsearch.config import cache_folder


def main(folder: Path) -> Path:
    """Write the demo's catalog below `folder`: real furniture, or drawn shapes where apt-get is absent."""
    if available():
        return furniture.write_catalog(folder, cache_folder())
    print("no apt-get here, so no real furniture: the demo takes a small drawn catalog instead")  # noqa: T201
    return drawn.write_catalog(folder)


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))  # noqa: T201
