"""What was once wrong with the containers, a test of the files for each; `make containers` runs them.

The numbers are those of `qa/containers/mutations.py`, which puts each fault back.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import mmsearch
from mmsearch.models.configs import TENSORRT

from .test_deploy_compose import COMPOSE, EXAMPLE, ROOT, SERVICES

SERVERS = ("opensearch", "triton-cpu", "triton-gpu", "dashboards")
JOBS = ("saved-objects", "ingest", "passwords")
WEAK = ("aA1-567", "aaaa-1234", "AAAA-1234", "aaaaAAAA-", "aaaaAAAA1", "")
PASSWORDS = ("OPENSEARCH_INITIAL_ADMIN_PASSWORD", "MMSEARCH_DASHBOARDS_SERVER_PASSWORD")


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def page() -> str:
    return text("docs/containers.md")


def test_01_a_user_travels_to_dashboards_over_tls() -> None:
    command = SERVICES["saved-objects"]["command"]
    assert command[command.index("--dashboards") + 1] == "https://dashboards:5601"
    assert SERVICES["dashboards"]["environment"]["SERVER_SSL_ENABLED"] == "true"


def test_02_what_ends_is_started_by_no_profile_of_servers() -> None:
    for name, service in SERVICES.items():
        assert (service["profiles"] == ["jobs"]) is (name in JOBS), name
        assert (service.get("restart") == "no") is (name in JOBS), name
    lines = re.findall(r"^docker compose .*", page(), re.M)
    for job in JOBS:
        assert any(" run --rm " in line and f" {job}" in line for line in lines), job
    assert all(f" up {job}" not in line for line in lines for job in JOBS)
    # `run` takes an image that is there: a new one of the jobs comes by their profile.
    builds = [line for line in lines if " build" in line or "--build" in line]
    assert builds
    assert all("--profile jobs build" in line for line in builds)


def test_03_no_network_gives_servers_a_way_out() -> None:
    assert COMPOSE["networks"]["servers"] == {"internal": True}
    options = COMPOSE["networks"]["published"]["driver_opts"]
    assert options == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    # A question to a name server outside is a way out too.
    for name, service in SERVICES.items():
        assert service["dns"] == ["127.0.0.1"], name


def test_04_triton_may_have_the_processes_of_three_versions() -> None:
    assert {SERVICES[name]["pids_limit"] for name in ("triton-cpu", "triton-gpu")} == {4096}


class Container:
    """deploy/triton/heal.sh over a `curl` and a `kill` that are written here, its first process this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        script = text("deploy/triton/heal.sh").replace("/opt/mmsearch/", "$FAKED/")
        script = script.replace("/tmp/", "$FAKED/").replace("/proc/[0-9]*", "$FAKED/proc/[0-9]*")
        script = script.replace("${process#/proc/}", "${process##*/}")
        assert "/proc/1/stat" in script
        (folder / "heal.sh").write_text(script)
        (folder / "encodes.sh").write_text(text("deploy/triton/encodes.sh"))
        for pid, name in ((1, "docker-init"), (7, "tritonserver"), (9, "triton_python_b")):
            (folder / "proc" / str(pid)).mkdir(parents=True)
            (folder / "proc" / str(pid) / "comm").write_text(f"{name}\n")

    def check(self, code: int) -> int:
        """One health check while `curl` ends with this code."""
        (self.folder / "curl").write_text(f"#!/bin/sh\nexit {code}\n")
        (self.folder / "curl").chmod(0o755)
        kill = f'kill() {{ echo "$@" >>{self.folder}/killed; }}'
        body = f"{kill}\n. {self.folder}/heal.sh"
        path = f"{self.folder}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "FAKED": str(self.folder)}
        return subprocess.run(["sh", "-c", body], env=environment, capture_output=True).returncode

    def killed(self) -> list[str]:
        found = self.folder / "killed"
        return found.read_text().splitlines() if found.exists() else []


def test_05_the_third_failure_in_a_row_ends_triton_and_the_next_kills_it(tmp_path: Path) -> None:
    triton = Container(tmp_path)
    # Before it was ever well it is starting.
    assert [triton.check(code) for code in (7, 22, 22, 22)] == [1, 1, 1, 1]
    assert [triton.check(code) for code in (0, 22, 22)] == [0, 1, 1]
    assert triton.check(0) == 0
    assert [triton.check(code) for code in (22, 22)] == [1, 1]
    assert triton.killed() == []
    assert triton.check(22) == 1
    assert triton.killed() == ["-TERM 7"]
    assert triton.check(22) == 1
    assert triton.killed() == ["-TERM 7", "-KILL 7"]


def test_05_no_answer_in_time_ends_nothing(tmp_path: Path) -> None:
    triton = Container(tmp_path)
    assert [triton.check(code) for code in (0, 28, 28, 28, 28)] == [0, 1, 1, 1, 1]
    assert triton.killed() == []


@pytest.mark.parametrize(
    ("script", "codes"),
    [("live.sh", {0: 0, 28: 0, 22: 1, 7: 1, 52: 1}), ("health.sh", {0: 0, 28: 1, 22: 1, 7: 1, 52: 1})],
)
def test_05_alive_is_also_who_does_not_answer_in_time_and_ready_is_who_does(
    script: str, codes: dict[int, int], tmp_path: Path
) -> None:
    (tmp_path / "encodes.sh").write_text(text("deploy/triton/encodes.sh"))
    body = text(f"deploy/triton/{script}").replace("/opt/mmsearch/", f"{tmp_path}/")
    found = {}
    for code in codes:
        (tmp_path / "curl").write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / "curl").chmod(0o755)
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        found[code] = subprocess.run(["sh", "-c", body], env=environment).returncode
    assert found == codes


def test_05_compose_starts_anew_what_the_check_has_ended() -> None:
    for name in ("triton-cpu", "triton-gpu"):
        service = SERVICES[name]
        assert service["healthcheck"]["test"] == ["CMD", "sh", "/opt/mmsearch/heal.sh"]
        assert service["restart"] == "unless-stopped"
        # The first process cannot be killed from inside; what the check kills must not be it.
        assert service["init"] is True


def test_06_the_documented_change_of_passwords_reaches_the_node_first() -> None:
    (section,) = re.findall(r"^## Change the passwords\n(.*?)^## ", page(), re.M | re.S)
    (block,) = re.findall(r"```console\n(.*?)```", section, re.S)
    assert block.splitlines() == [
        "deploy/environment.sh --new-passwords",
        "docker compose --profile cpu run --rm --no-deps passwords",
        "docker compose --profile cpu up --wait",
    ]
    assert SERVICES["passwords"]["entrypoint"] == ["bash", "mmsearch/change-passwords.sh"]
    script = text("deploy/opensearch/change-passwords.sh")
    for user in ("admin", "kibanaserver"):
        assert f"change {user} " in script


def checked(**values: str) -> subprocess.CompletedProcess[str]:
    """passwords.sh, as the node's start and the job source it, outside a container."""
    script = text("deploy/opensearch/passwords.sh").replace("cd /usr/share/opensearch", "")
    return subprocess.run(
        ["bash", "-c", script], env={"PATH": os.environ["PATH"], **values}, capture_output=True, text=True
    )


STRONG = dict.fromkeys(PASSWORDS, "aA1-5678")


@pytest.mark.parametrize("weak", WEAK)
@pytest.mark.parametrize("name", PASSWORDS)
def test_07_a_weak_password_is_refused_in_one_sentence_that_does_not_show_it(name: str, weak: str) -> None:
    done = checked(**{**STRONG, name: weak})
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert f"expected {name} to have eight characters at least" in sentence
    assert f"got {len(weak)} characters; repair: " in sentence
    assert not weak or weak not in sentence


@pytest.mark.parametrize("strong", ["aA1-5678", "Zz9 blank", "ümlautA1x", 'aA1"\\$`x'])
def test_07_a_strong_one_is_taken(strong: str) -> None:
    done = checked(**{**STRONG, PASSWORDS[0]: strong})
    assert (done.returncode, done.stderr) == (0, "")


def test_07_the_node_asks_the_same_of_later_users() -> None:
    settings = yaml.safe_load(text("deploy/opensearch/opensearch.yml"))
    pattern = settings["plugins.security.restapi.password_validation_regex"]
    assert re.fullmatch(pattern, "aA1-5678")
    for weak in WEAK:
        assert not re.fullmatch(pattern, weak), weak
    assert settings["plugins.security.restapi.roles_enabled"] == ["all_access"]


def test_08_a_password_is_no_word_of_a_command() -> None:
    scripts = [*(ROOT / "deploy").rglob("*.sh")]
    assert len(scripts) > 8
    for path in scripts:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "$password" in line or re.search(r"\$\{?(OPENSEARCH_INITIAL|MMSEARCH_DASHBOARDS)", line):
                # printf and `:` are the shell's own; a variable's value stands in no command line by them.
                assert re.match(r"\s*(\w+=\$\()?(printf|: ) ?", line), f"{path.name}: {line}"
    for name, service in SERVICES.items():
        for word in (*service.get("command", ()), *service.get("healthcheck", {}).get("test", ())):
            assert "PASSWORD" not in word, name


def test_09_keys_are_where_they_are_used_and_nowhere_else(tmp_path: Path) -> None:
    if os.geteuid() not in (0, 1000):
        pytest.skip("needs root or user 1000, who may give keys away")
    subprocess.run([str(ROOT / "deploy/certificates.sh"), str(tmp_path)], check=True, capture_output=True)
    keys = {str(path.relative_to(tmp_path)): path.stat() for path in tmp_path.rglob("*.key")}
    assert set(keys) == {"authority/ca.key", "opensearch/node.key", "dashboards/node.key", "admin/admin.key"}
    assert {found.st_mode & 0o777 for found in keys.values()} == {0o600}
    for name, found in keys.items():
        assert found.st_uid == (os.geteuid() if name == "authority/ca.key" else 1000), name
    assert (tmp_path / "authority").stat().st_mode & 0o077 == 0
    mounted = {
        name: {Path(volume["source"]).name for volume in service["volumes"] if isinstance(volume, dict)}
        for name, service in SERVICES.items()
    }
    assert {name for name, folders in mounted.items() if "admin" in folders} == {"passwords"}
    for folders in mounted.values():
        assert not folders & {"authority", "certificates"}


def test_10_a_folder_that_is_not_there_is_not_made() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            if isinstance(volume, dict):
                assert volume["bind"] == {"create_host_path": False}, name
            else:
                assert not volume.startswith((".", "/")), name


def test_11_ingest_waits_for_servers() -> None:
    assert "--wait-for-servers" in SERVICES["ingest"]["command"]


def test_12_the_catalog_of_the_example_is_made_before_it_is_mounted() -> None:
    assert EXAMPLE["MMSEARCH_CATALOG_FOLDER"] == "./build/demo"
    assert re.search(r"^demo-catalog:.*\n(?:\t.*\n)*\t.*build/demo$", text("Makefile"), re.M)
    made, used = page().index("make plugin models demo-catalog"), page().index("run --rm ingest")
    assert made < used


def test_13_snapshots_have_a_place_and_a_drill_with_the_models() -> None:
    settings = yaml.safe_load(text("deploy/opensearch/opensearch.yml"))
    (target,) = settings["path.repo"]
    assert f"snapshots:{target}" in SERVICES["opensearch"]["volumes"]
    assert "mkdir -p snapshots" in text("deploy/opensearch/Dockerfile")
    assert target in page()
    assert page().index("tar --create --file build/backup/models.tar") < page().index("tar --extract --file")


def test_14_a_container_names_repairs_that_it_has() -> None:
    for name in ("ingest", "saved-objects"):
        assert SERVICES[name]["environment"]["MMSEARCH_CONTAINER"] == "compose"
    assert "ENV MMSEARCH_CONTAINER=image" in text("deploy/client/Dockerfile")


def test_15_memory_is_locked_where_the_limit_allows_it() -> None:
    assert yaml.safe_load(text("deploy/opensearch/opensearch.yml"))["bootstrap.memory_lock"] is True
    assert SERVICES["opensearch"]["ulimits"]["memlock"] == {"soft": -1, "hard": -1}


def test_16_images_are_named_once() -> None:
    images = {service["image"] for service in SERVICES.values() if "build" in service}
    assert images == {
        f"mmsearch-{name}:{mmsearch.__version__}" for name in ("opensearch", "triton", "client")
    }
    for variant in ("base", "ingest", "fill"):
        named = yaml.safe_load(text(f"deploy/kubernetes/{variant}/kustomization.yaml"))["images"]
        assert {f"{each['name']}:{each['newTag']}" for each in named} <= images


def test_17_one_variable_sets_the_version_of_zip_and_images() -> None:
    raw = text("docker-compose.yml")
    assert raw.count("${OPENSEARCH_VERSION:-") == 2
    assert SERVICES["opensearch"]["build"]["args"]["OPENSEARCH_VERSION"] == EXAMPLE["OPENSEARCH_VERSION"]
    assert SERVICES["dashboards"]["image"].endswith(f":{EXAMPLE['OPENSEARCH_VERSION']}")
    dockerfile = text("deploy/opensearch/Dockerfile")
    assert "ARG PLUGIN_ZIP=plugin/target/mmsearch-${OPENSEARCH_VERSION}.0.zip" in dockerfile
    assert "PLUGIN_ZIP := plugin/target/mmsearch-$(OPENSEARCH_VERSION).0.zip" in text("Makefile")


def test_17_another_versions_zip_is_built_of_all_that_maven_is_given() -> None:
    folders = re.findall(r"cp -r --parents (.+) build/(zip|plugin)-\$\*", text("Makefile"))
    assert [name for _, name in folders] == ["zip", "plugin"]
    read = {"scripts/maven.sh", *re.findall(r"[\w/]+\.toml", text("scripts/maven.sh"))}
    assert "pyproject.toml" in read
    for copied, name in folders:
        assert read <= set(copied.split()), name


def test_18_tensorrts_engines_are_on_a_volume() -> None:
    (path,) = re.findall(r'trt_engine_cache_path" value: "(.+?)"', TENSORRT)
    assert f"tensorrt:{path}" in SERVICES["triton-gpu"]["volumes"]
    # Its owner is the image's: a volume is made as the folder that it is put over.
    assert f"install --directory --owner 1000 {path}" in text("deploy/triton/Dockerfile")


@pytest.mark.parametrize("name", SERVICES)
def test_19_logs_end_and_every_container_is_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}
    assert 0 < float(service["cpus"]) <= 2
    assert service["pids_limit"] >= 512
    assert service["mem_limit"]
    assert service["cap_drop"] == ["ALL"]
    # The node and Dashboards write beside their data; all else has a folder for what passes.
    if name not in ("opensearch", "dashboards"):
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]


def test_19_every_server_is_among_these() -> None:
    assert set(SERVICES) == {*SERVERS, *JOBS}
