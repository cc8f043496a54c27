"""What each running server may do: reach, use and keep."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import yaml
from containers.engine import mirror
from containers.world import SERVERS, World


def look(world: World) -> None:
    with world.check(3, "no server reaches the world"):
        address = urlsplit(mirror())
        port = address.port or (443 if address.scheme == "https" else 80)
        there = f"{socket.gethostbyname(str(address.hostname))}:{port}"
        ask = [
            "curl",
            "--silent",
            "--insecure",
            "--output",
            "/dev/null",
            "--max-time",
            "3",
            f"{address.scheme}://{there}/",
        ]
        control = world.engine.run("docker", "run", "--rm", "mmsearch-debian", *ask, check=False)
        assert control.returncode == 0, f"expected a container of the engine's own network to reach {there}"
        # Where a name server is reached it answers at once; without one getent tries for long.
        name = ["timeout", "4", "getent", "hosts", str(address.hostname)]
        known = world.engine.run("docker", "run", "--rm", "mmsearch-debian", *name, check=False)
        assert known.returncode == 0, f"expected a container of the engine's own network to know {name[-1]}"
        for service in SERVERS:
            for command in (ask, name):
                done = world.engine.run("docker", "exec", world.container(service), *command, check=False)
                assert done.returncode != 0, f"{service} reaches {command[-1]}"
    with world.check(15, "the node asks for its memory to stay, and says what came of it"):
        _, answer = world.ask("GET", "/_nodes?filter_path=**.mlockall")
        (node,) = answer["nodes"].values()
        log = world.compose("logs", "--no-log-prefix", "opensearch")
        assert node["process"]["mlockall"] or "Unable to lock JVM Memory" in log, (
            "memory_lock was not asked for"
        )
    with world.check(16, "images have the names that Kubernetes uses"):
        base = yaml.safe_load((world.folder / "deploy/kubernetes/base/kustomization.yaml").read_text())
        wanted = {f"{image['name']}:{image['newTag']}" for image in base["images"]}
        named = set(world.compose("--profile", "jobs", "config", "--images").split())
        assert wanted <= named, (wanted, named)
    with world.check(
        19, "logs rotate, processors are limited, rights are dropped, Triton's files are read-only"
    ):
        for service in SERVERS:
            host = world.inspect(service)["HostConfig"]
            assert host["LogConfig"]["Config"].keys() >= {"max-size", "max-file"}, service
            assert 0 < host["NanoCpus"] <= 2e9, service
            assert host["CapDrop"] == ["ALL"], service
        assert world.inspect("triton-cpu")["HostConfig"]["ReadonlyRootfs"]
