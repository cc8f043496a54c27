"""`python -m demo_catalog FOLDER`: the catalogue that `make demo` ingests."""

from __future__ import annotations

import sys
from pathlib import Path

from sample_data import drawn, furniture
from sample_data.debian import available

from mmsearch.stack.downloads import cache_folder


def main(folder: Path) -> Path:
    """Write the demo's catalogue below `folder`: real furniture, or drawn shapes where apt-get is absent."""
    if available():
        return furniture.write_catalogue(folder, cache_folder())
    print("no apt-get here, so no real furniture: the demo takes a small drawn catalogue instead")  # noqa: T201
    return drawn.write_catalogue(folder)


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))  # noqa: T201
