"""The sections of docs/containers.md: their lines are run as they stand, then what they promise is looked at.

The numbers are those of the repairs that `mutations.py` takes back.
"""

from __future__ import annotations

import json
import shutil
import time
import zipfile

from containers.bases import VERSION
from containers.world import SERVERS, World

SEARCH = "wooden chair"


def start(world: World, lines: list[str]) -> None:
    with world.check(2, "the documented start ends with 0", fatal=True):
        for line in lines:
            world.line(line)
    with world.check(2, "up starts what goes on, and nothing that ends"):
        # A job among them makes `up --wait` end with 0 or 1, by whether it has ended when it is looked at.
        there = set(world.compose("ps", "--all", "--services").split())
        assert there == set(SERVERS), there
    with world.check(17, "the node is of OPENSEARCH_VERSION, with the plugin of that version"):
        status, about = world.ask("GET", "/")
        assert status == 200, about
        assert about["version"]["number"] == VERSION, about["version"]
        status, plugins = world.ask("GET", "/_cat/plugins?format=json")
        assert ("mmsearch", f"{VERSION}.0") in {(each["component"], each["version"]) for each in plugins}, (
            plugins
        )


def ingest(world: World, lines: list[str]) -> None:
    into, objects, search = lines
    with world.check(12, "the catalog is made by the documented steps, and is taken", fatal=True):
        said = world.line(into)
        assert " indexed, 0 rejected" in said, said[-500:]
    with world.check(1, "saved objects go to Dashboards over TLS"):
        assert "objects imported" in world.line(objects)
    with world.check(0, "a neural clause is answered over TLS", fatal=True):
        hits = json.loads(world.line(search))["hits"]["hits"]
        assert "chair" in " ".join(hit["_source"]["title"] for hit in hits).lower(), hits
    with world.check(10, "a folder that is not there is one sentence"):
        for service, name in (("triton-cpu", "MMSEARCH_MODELS"), ("ingest", "MMSEARCH_CATALOG_FOLDER")):
            arguments = (
                "--project-name",
                "mmsearch-missing",
                "--profile",
                "jobs",
                "create",
                "--no-build",
                service,
            )
            said = world.compose(*arguments, environment={name: "./nowhere"}, code=None)
            world.compose("--project-name", "mmsearch-missing", "--profile", "jobs", "down", code=None)
            sentences = [line for line in said.splitlines() if "nowhere" in line]
            assert len(sentences) == 1, said[-400:]
            assert "does not exist" in sentences[0], sentences
            assert not (world.folder / "nowhere").exists(), "the engine made the folder"


def look_after(world: World, lines: list[str]) -> None:
    doctor, restart, up, again = lines
    with world.check(14, "doctor looks at the servers of the containers"):
        said = world.line(doctor)
        for finding in ("OpenSearch", "plugin", "Triton", "products-000001.embedding"):
            assert f"ok    {finding}" in said, said
        for wrong in ("mmsearch up", "make plugin", "pip install"):
            assert wrong not in said, said
    before = world.count()
    with world.check(0, "the documented restart", fatal=True):
        world.line(restart)
    with world.check(14, "the repairs of a server that is away are compose's"):
        world.compose("stop", "triton-cpu")
        said = world.compose("run", "--rm", "ingest", "ingest", "catalog.jsonl", "--limit", "1", code=1)
        assert "docker compose" in said, said[-400:]
        assert "mmsearch up" not in said, said[-400:]
        said = world.compose("run", "--rm", "ingest", "doctor", code=1)
        assert "WRONG Triton" in said, said
        assert "docker compose" in said, said
    with world.check(11, "ingest waits for a Triton that is still starting"):
        # As after a start of the whole machine: nothing says that Triton is well.
        world.compose("up", "--detach", "--no-deps", "triton-cpu")
        said = world.line(again)
        assert "Triton at triton:8001 does not respond" in said, said[-600:]
    with world.check(0, "healthy again", fatal=True):
        world.line(up)
        assert world.count() == before
    versions(world)
    killed(world, before)


def versions(world: World) -> None:
    """Three versions of every model, as while one is deployed and another is retired."""
    with world.check(4, "Triton runs three versions of every model"):
        for model in (world.folder / ".mmsearch" / "model_repository").iterdir():
            for version in ("2", "3"):
                if (model / "1").is_dir():
                    shutil.copytree(model / "1", model / version)
        world.compose("restart", "triton-cpu")
        world.compose("up", "--wait", "--no-deps", "triton-cpu")
        asked = (
            "curl",
            "--fail",
            "--silent",
            "http://localhost:8000/v2/models/item_encoder/versions/3/ready",
        )
        world.compose("exec", "-T", "triton-cpu", *asked)
        assert world.hits(f"{SEARCH} of version"), "no hits"
        limit = world.inspect("triton-cpu")["HostConfig"]["PidsLimit"]
        used = int(
            world.compose(
                "exec", "-T", "triton-cpu", "sh", "-c", "ls -d /proc/[0-9]*/task/* | wc -l"
            ).split()[-1]
        )
        assert used * 2 < limit, f"{used} threads on two processors, of {limit}"
    for model in (world.folder / ".mmsearch" / "model_repository").iterdir():
        for version in ("2", "3"):
            shutil.rmtree(model / version, ignore_errors=True)
    if 4 in world.failed:
        # What comes next is about one version, and must not fail because of three.
        world.compose("restart", "triton-cpu")
        world.compose("up", "--wait", code=None)


def killed(world: World, before: int) -> None:
    with world.check(5, "a killed model process heals by itself"):
        started = world.inspect("triton-cpu")["State"]["StartedAt"]
        # The brackets keep the shell that looks from finding itself.
        kill = (
            "for p in /proc/[0-9]*; do if tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q 'query_encode[r]'; "
            "then kill -9 ${p#/proc/}; fi; done"
        )
        world.compose("exec", "-T", "triton-cpu", "sh", "-c", kill, code=None)
        time.sleep(1)
        status, _ = world.ask("GET", "/products/_search", neural(f"{SEARCH} killed"))
        assert status != 200, "expected the killed process to be missed"
        world.until(
            "Triton's main process to be ended",
            lambda: world.inspect("triton-cpu")["State"]["StartedAt"] != started,
            90,
        )
        world.until(
            "search to come back", lambda: world.ask("GET", "/products/_search", neural("back"))[0] == 200
        )
    with world.check(0, "a killed node comes back with its products"):
        world.engine.run("kill", "-9", str(world.inspect("opensearch")["State"]["Pid"]))
        world.until("the node to answer", lambda: world.ask("GET", "/products/_count")[0] == 200, 180)
        assert world.count() == before
        world.compose("up", "--wait", code=None)


def neural(text: str) -> dict[str, object]:
    return {"query": {"neural": {"embedding": {"query_text": text, "k": 5}}}, "size": 5}


def passwords(world: World, lines: list[str]) -> None:
    before = world.secret("OPENSEARCH_INITIAL_ADMIN_PASSWORD")
    with world.check(6, "after the documented steps the new password holds and the old one does not"):
        for line in lines:
            world.line(line)
        after = world.secret("OPENSEARCH_INITIAL_ADMIN_PASSWORD")
        assert after != before, "the password is the same"
        assert world.ask("GET", "/", password=after)[0] == 200
        assert world.ask("GET", "/", password=before)[0] == 401
        for service in ("opensearch", "dashboards"):
            assert world.health(service) == "healthy", service
    with world.check(7, "weak passwords are refused where strong ones are promised"):
        for weak in ("aA1-567", "aaaa-1234", "AAAA-1234", "aaaaAAAA-", "aaaaAAAA1"):
            environment = {"OPENSEARCH_INITIAL_ADMIN_PASSWORD": weak}
            for service in ("opensearch", "passwords"):
                # Whatever is let through ends at once: `true` is in the node's place.
                asked = ("run", "--rm", "--no-deps", service, *(["true"] if service == "opensearch" else []))
                said = world.compose(*asked, environment=environment, code=1)
                assert "expected OPENSEARCH_INITIAL_ADMIN_PASSWORD to have eight characters" in said, said[
                    -300:
                ]
                if weak != "aA1-567":
                    break
            path = "/_plugins/_security/api/internalusers/shopper"
            status, answer = world.ask("PUT", path, {"password": weak})
            assert status == 400, f"{weak} was answered by {status} {answer}"
        assert world.ask("PUT", path, {"password": "aA1-5678-Zq"})[0] == 201
        world.ask("DELETE", path)


def upgrade(world: World, lines: list[str]) -> None:
    before, running = world.count(), world.container("opensearch")
    zip_path = world.folder / "plugin" / "target" / f"mmsearch-{VERSION}.0.zip"
    with zipfile.ZipFile(zip_path, "a") as archive:
        archive.comment = b"another build"
    with world.check(0, "an upgraded plugin keeps the index"):
        for line in lines:
            world.line(line)
        assert world.container("opensearch") != running, "the container is the old one"
        assert world.count() == before
        assert world.hits(f"{SEARCH} upgraded")


def snapshots(world: World, lines: list[str]) -> None:
    with world.check(13, "a snapshot and the models are kept"):
        for line in lines:
            world.line(line)
        assert (world.folder / "build/backup/snapshots.tar").stat().st_size > 100_000


def restore(world: World, lines: list[str]) -> None:
    before, hits = world.count(), world.hits(SEARCH)
    with world.check(13, "the restored index has the same products and answers the same"):
        said = ""
        for line in lines:
            said = world.line(line)
        assert [hit["_id"] for hit in json.loads(said)["hits"]["hits"]][:5] == hits
        assert world.count() == before


def end(world: World, lines: list[str]) -> None:
    answer = world.hits(SEARCH)
    with world.check(0, "nothing is left"):
        for line in lines:
            world.line(line)
        left = world.engine.run("docker", "ps", "--all", "--quiet").stdout
        volumes = world.engine.run("docker", "volume", "ls", "--quiet", "--filter", "name=mmsearch_").stdout
        assert not left.strip(), left
        assert not volumes.strip(), volumes
    world.answer = f"GET https://localhost:9200/products/_search with neural {SEARCH!r}: {', '.join(answer)}"
