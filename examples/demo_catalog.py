"""`python -m demo_catalog FOLDER [NAME]`: the catalog that `make demo` ingests, furniture, or `software`."""

from __future__ import annotations

import sys
from pathlib import Path

from sample_data import drawn, furniture, software
from sample_data.debian import available

from mmsearch.config import cache_folder

CATALOGS = {"furniture": furniture.write_catalog, "software": software.write_catalog}


def main(folder: Path, name: str = "furniture") -> Path:
    """Write a catalog below `folder`: real furniture, a software store, or drawn shapes where apt-get is
    absent."""
    if available():
        return CATALOGS[name](folder, cache_folder())
    print("no apt-get here, so no real products: the demo takes a small drawn catalog instead")  # noqa: T201
    return drawn.write_catalog(folder)


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), *sys.argv[2:3]))  # noqa: T201
