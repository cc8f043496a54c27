"""Puts each fault that was repaired back and shows what finds it: `python qa containers-faults`

First each fault alone, by the tests of the files (seconds). Then, with `--run`, those that a running container
shows, in groups, by the steps of `make containers`. Prints a line for each; exits 1 when one is not found.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from containers import bases, checkout, engine, run

COMPOSE, NODE, CERTIFICATES = (
    "docker-compose.yml",
    "deploy/opensearch/opensearch.yml",
    "deploy/certificates.sh",
)
PAGE, MASQUERADE = "docs/containers.md", 'com.docker.network.bridge.enable_ip_masquerade: "false"'
HEALTH = 'test: ["CMD", "bash", "mmsearch/health.sh"]'
LEAKING = (
    'test: ["CMD-SHELL", "curl --fail --silent --output /dev/null --cacert config/certificates/ca.pem '
    "--user admin:$$OPENSEARCH_INITIAL_ADMIN_PASSWORD "
    'https://localhost:9200/_cluster/health?wait_for_status=yellow"]'
)
JOB = "  saved-objects:\n    <<: *client\n"
TENSORRT = "      - tensorrt:/tmp/mmsearch-tensorrt\n"
LOG = "  logging: *logging\n  restart: unless-stopped\n  healthcheck: &encodes\n"


@dataclass(frozen=True)
class Fault:
    """(file, what stands there now, what stood there): each is replaced everywhere in its file."""

    number: int
    what: str
    edits: tuple[tuple[str, str, str], ...]


FAULTS = (
    Fault(1, "the job sends its user to Dashboards without TLS", ((COMPOSE, "https://dashboards:5601", "http://dashboards:5601"),)),
    Fault(2, "a job among the servers", ((COMPOSE, JOB, JOB + "    profiles: [cpu, gpu]\n"),)),
    Fault(3, "the published network leads out", ((COMPOSE, MASQUERADE, MASQUERADE.replace("false", "true")),)),
    Fault(4, "1024 processes for Triton", ((COMPOSE, "pids_limit: 4096\n  # What", "pids_limit: 1024\n  # What"),)),
    Fault(5, "a health check that ends nothing", ((COMPOSE, "/opt/mmsearch/heal.sh", "/opt/mmsearch/health.sh"),)),
    Fault(6, "the password is changed in .env alone", ((PAGE, "docker compose --profile cpu run --rm --no-deps passwords\n", ""),)),
    Fault(7, "weak passwords are taken", (
        ("deploy/opensearch/passwords.sh", "acceptable OPENSEARCH_INITIAL_ADMIN_PASSWORD\n", ""),
        ("deploy/opensearch/passwords.sh", "acceptable MMSEARCH_DASHBOARDS_SERVER_PASSWORD\n", ""),
    )),
    Fault(8, "the health check's password is an argument", ((COMPOSE, HEALTH, LEAKING),)),
    Fault(9, "the administrator's key in the node, keys that all may read", (
        (CERTIFICATES, 'chmod 600 "$1/$2.key"', 'chmod 644 "$1/$2.key"'),
        (CERTIFICATES, "cp authority/ca.pem client/ca.pem", "cp authority/ca.pem client/ca.pem; cp admin/admin.key opensearch/"),
    )),
    Fault(10, "folders that are missing are made", ((COMPOSE, "create_host_path: false", "create_host_path: true"),)),
    Fault(11, "ingest does not wait", ((COMPOSE, ", --wait-for-servers]", "]"),)),
    Fault(12, "no step makes the catalog", ((PAGE, "make plugin models demo-catalog", "make plugin models"),)),
    Fault(13, "no place for snapshots", ((NODE, 'path.repo: ["/usr/share/opensearch/snapshots"]\n', ""),)),
    Fault(14, "repairs of another machine", (
        (COMPOSE, "      MMSEARCH_CONTAINER: compose\n", ""),
        ("deploy/client/Dockerfile", "ENV MMSEARCH_CONTAINER=image\n", ""),
    )),
    Fault(15, "memlock without memory_lock", ((NODE, "bootstrap.memory_lock: true\n", ""),)),
    Fault(16, "another name for an image", ((COMPOSE, "image: mmsearch-triton:0.1.0", "image: mmsearch/triton:latest"),)),
    Fault(17, "the zip of one version", (
        ("deploy/opensearch/Dockerfile", "mmsearch-${OPENSEARCH_VERSION}.0.zip", "mmsearch-3.6.0.0.zip"),
    )),
    Fault(18, "TensorRT's engines are built at each start", ((COMPOSE, TENSORRT, ""),)),
    Fault(19, "logs without an end, a Triton that may write", (
        (COMPOSE, LOG, LOG.replace("  logging: *logging\n", "")),
        (COMPOSE, "  init: true\n  read_only: true\n", "  init: true\n"),
    )),
)  # fmt: skip
START, INGEST, AFTER = "Start", "Ingest and search", "Check and restart"
GROUPS: tuple[tuple[tuple[int, ...], tuple[str, ...]], ...] = (
    ((3, 8, 9, 12, 15, 16, 19), (START, INGEST)),
    ((2,), (START,)),
    ((17,), (START,)),
    ((1, 4, 5, 10, 11, 13, 14), (START, INGEST, AFTER, "Snapshots")),
    ((6, 7), (START, "Change the passwords")),
)
"""faults that do not hide each other, and the sections that show them; 18 needs a GPU"""
STOPS = {2: 2, 17: 2}
"""fault → the check that it fails, where that is not its own: neither lets the containers start"""


def put_back(folder: Path, fault: Fault) -> None:
    """Raises ValueError where the file no longer has what the fault replaces."""
    for name, now, before in fault.edits:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        if now not in text:
            raise ValueError(f"expected {name} to hold {now!r}, got none; fix fault {fault.number}")
        path.write_text(text.replace(now, before), encoding="utf-8")


def copies() -> Iterator[Path]:
    while True:
        with tempfile.TemporaryDirectory(prefix="mmsearch-fault-", dir="/var/tmp") as name:
            yield checkout.copied(Path(name))


def by_tests(wanted: set[int]) -> list[int]:
    """Each fault alone, by the tests of the files; those that none finds."""
    missed = []
    for fault, folder in zip([each for each in FAULTS if each.number in wanted], copies(), strict=False):
        put_back(folder, fault)
        done = subprocess.run(
            [".venv/bin/pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_deploy_repairs.py"],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        found = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
        own = [line for line in found if f"::test_{fault.number:02}_" in line]
        said = own[0].split("::")[1].split(" ")[0] if own else f"no test of its own failed, of {len(found)}"
        print(f"{'found ' if own else 'MISSED'} {fault.number:2} {fault.what}: {said}", flush=True)
        if not own:
            missed.append(fault.number)
    return missed


def by_runs(wanted: set[int]) -> list[int]:
    """Groups of faults, each by one run of the sections that show them; those that the run did not find."""
    missed = []
    faults = {each.number: each for each in FAULTS}
    with engine.running() as started:
        bases.build(started)
        for numbers, sections in GROUPS:
            if not wanted & set(numbers):
                continue
            with tempfile.TemporaryDirectory(prefix="mmsearch-fault-", dir="/var/tmp") as name:
                folder = checkout.copied(Path(name))
                checkout.plugin(folder)
                for number in numbers:
                    put_back(folder, faults[number])
                print(f"group {numbers}", flush=True)
                world = run.drive(started, folder, sections)
            for number in numbers:
                found = world.failed.get(STOPS.get(number, number), [])
                said = found[0].splitlines()[0][:160] if found else "every check passed"
                print(
                    f"{'found ' if found else 'MISSED'} {number:2} {faults[number].what}: {said}", flush=True
                )
                if not found:
                    missed.append(number)
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="store_true", help="also by running containers, in groups")
    parser.add_argument("--only", type=int, action="append", default=[], help="these faults alone")
    asked = parser.parse_args()
    wanted = set(asked.only) or {each.number for each in FAULTS}
    missed = by_tests(wanted)
    if asked.run:
        try:
            missed += by_runs(wanted)
        except engine.NoEngineError as error:
            print(f"SKIPPED the running containers: {error}")
    print(f"{len(wanted)} faults put back, {len(missed)} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
