"""Where passwords and keys are, and are not."""

from __future__ import annotations

import json
from pathlib import Path

from containers.world import SECRETS, SERVERS, World

SHIM = """\
mkdir -p /tmp/shim && cd /tmp/shim && rm -f seen
printf '#!/bin/bash\\ntr "\\\\0" " " </proc/$$/cmdline >>/tmp/shim/seen\\nexec /usr/bin/curl "$@"\\n' >curl
chmod +x curl
"""
"""puts a `curl` before the real one that writes down its own arguments"""


def look(world: World) -> None:
    with world.check(8, "the health check's password stands in no command line"):
        container = world.container("opensearch")
        kind, *check = world.inspect("opensearch")["Config"]["Healthcheck"]["Test"]
        command = ["sh", "-c", *check] if kind == "CMD-SHELL" else check
        world.engine.run("docker", "exec", container, "bash", "-c", SHIM)
        path = "PATH=/tmp/shim:/usr/local/bin:/usr/bin:/bin"
        world.engine.run("docker", "exec", "--env", path, container, *command)
        seen = world.engine.run("docker", "exec", container, "cat", "/tmp/shim/seen").stdout
        assert "_cluster/health" in seen, f"expected the check to call curl, got {seen!r}"
        for name in SECRETS:
            assert world.secret(name) not in seen, "the password is an argument of curl"
    with world.check(9, "no server has the authority's key or the administrator's; its own is its alone"):
        certificates = world.folder / "deploy" / "certificates"
        kept = {(certificates / name).read_bytes() for name in ("authority/ca.key", "admin/admin.key")}
        for service in SERVERS:
            keys = []
            for mount in world.inspect(service)["Mounts"]:
                if mount["Type"] == "bind":
                    keys += list(Path(mount["Source"]).rglob("*.key"))
            for key in keys:
                assert key.read_bytes() not in kept, f"{key.name} is in {service}"
                assert (key.stat().st_mode & 0o777, key.stat().st_uid) == (0o600, 1000), (
                    f"{service}: {key.name}"
                )
            assert bool(keys) is (service != "triton-cpu"), service


def ended(world: World) -> None:
    """What the watch over all processes saw, from the first command to the last."""
    with world.check(8, "no process of the whole run had a password among its arguments"):
        assert not world.leaks, json.dumps(sorted(world.leaks))
