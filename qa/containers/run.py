"""`make containers`: docs/containers.md as it stands, on docker-compose.yml as it is, and its promises.

Prints one line for each command and check; exits 1 when a check failed. Where no engine can run it prints one
`SKIPPED` line and exits 0.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from containers import bases, bounds, checkout, engine, secrecy, steps
from containers.page import sections
from containers.world import FatalError, World

ORDER = (
    ("Start", steps.start),
    ("Ingest and search", steps.ingest),
    ("Check and restart", steps.look_after),
    ("Change the passwords", steps.passwords),
    ("Upgrade", steps.upgrade),
    ("Snapshots", steps.snapshots),
    ("Restore", steps.restore),
    ("Stop", steps.end),
)
"""section of the page → what runs its lines and looks at what they did"""


def drive(started: engine.Engine, folder: Path, only: Iterable[str] = ()) -> World:
    """Every section in order, or those named; the world that it gives has what passed and what failed."""
    world = World(started, folder)
    page = sections(folder / "docs" / "containers.md")
    if list(page) != [title for title, _ in ORDER]:
        raise FatalError(f"expected the page's sections {[title for title, _ in ORDER]}, got {list(page)}")
    wanted = set(only) or set(page)
    try:
        with world.watched():
            for title, step in ORDER:
                if title in wanted:
                    step(world, page[title])
                if title == "Start" and title in wanted:
                    bounds.look(world)
                    secrecy.look(world)
    except FatalError as stop:
        world.say(f"stopped: {stop}")
    except (AssertionError, RuntimeError) as stop:
        world.failed.setdefault(0, []).append(str(stop))
        world.say(f"stopped: {stop}")
    finally:
        secrecy.ended(world)
        world.compose("--profile", "jobs", "down", "--volumes", "--remove-orphans", code=None)
        # Of the images that this run's have taken the place of.
        started.run("docker", "image", "prune", "--force", check=False)
    return world


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--section", action="append", default=[], help="run these sections of the page alone")
    asked = parser.parse_args()
    try:
        with (
            engine.running() as started,
            tempfile.TemporaryDirectory(prefix="mmsearch-containers-", dir="/var/tmp") as name,
        ):
            bases.build(started)
            folder = checkout.copied(Path(name))
            checkout.plugin(folder)
            world = drive(started, folder, asked.section)
    except engine.NoEngineError as error:
        print(f"SKIPPED make containers: {error}")
        return 0
    for number, found in sorted(world.failed.items()):
        print(f"FAILED {number}: {' | '.join(found)}", file=sys.stderr)
    if world.answer:
        print(world.answer)
    return 1 if world.failed else 0


if __name__ == "__main__":
    sys.exit(main())
