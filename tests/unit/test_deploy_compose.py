"""docker-compose.yml and the Dockerfiles without a container engine: schema, linter, every name resolved."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml
from choose import choose

from mmsearch.cli.main import cli
from mmsearch.clients.credentials import DashboardsAccess, OpenSearchAccess
from mmsearch.models.configs import FILES

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "deploy").glob("*/Dockerfile"))
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def loaded(**environment: str) -> dict[str, Any]:
    """The file with its ${NAME:-default} and ${NAME:?told} filled in, as compose fills them."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")

    def fill(found: re.Match[str]) -> str:
        name, rule, rest = found.groups()
        value = environment.get(name, "")
        if not value and rule == ":?":
            raise KeyError(name)
        return value or rest or ""

    text = re.sub(r"(?<!\$)\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", fill, text)
    document: dict[str, Any] = yaml.safe_load(text)
    return document


PASSWORDS = {"OPENSEARCH_INITIAL_ADMIN_PASSWORD": "x", "MMSEARCH_DASHBOARDS_SERVER_PASSWORD": "y"}
COMPOSE = loaded(**PASSWORDS)
SERVICES = COMPOSE["services"]


def test_compose_spec_takes_the_file() -> None:
    parsed = compose_spec.PyCompose.from_yaml(yaml.safe_dump(COMPOSE))
    assert set(parsed.service_names()) == set(SERVICES)


def test_compose_spec_would_refuse_a_wrong_one() -> None:
    with pytest.raises(Exception, match=r"(?i)restart|variant"):
        compose_spec.PyCompose.from_yaml("services: {a: {image: b, restart: sometimes}}")


@pytest.mark.parametrize("missing", PASSWORDS)
def test_no_password_no_start(missing: str) -> None:
    assert EXAMPLE[missing] == ""
    with pytest.raises(KeyError, match=missing):
        loaded(**{name: value for name, value in PASSWORDS.items() if name != missing})


def test_every_variable_is_in_the_example_and_with_the_same_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    used = re.findall(r"(?<!\$)\$\{(\w+)(?::[-?]([^}]*))?\}", text)
    assert {name for name, _ in used} == set(EXAMPLE)
    for name, default in used:
        if EXAMPLE[name]:
            assert EXAMPLE[name] == default, name


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_is_built_from_is_there(service: str) -> None:
    build = SERVICES[service].get("build")
    if not build:
        assert re.fullmatch(r"[\w./-]+:\d[\w.]*", SERVICES[service]["image"])
        return
    dockerfile = (ROOT / build["dockerfile"]).read_text(encoding="utf-8")
    declared = set(re.findall(r"^ARG (\w+)", dockerfile, re.M))
    assert set(build.get("args", {})) <= declared
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sources = re.findall(r"^COPY(?: --\S+)* (.+) \S+$", dockerfile, re.M)
    assert sources
    for source in " ".join(sources).split():
        if source == "${PLUGIN_ZIP}":
            assert "ARG PLUGIN_ZIP=plugin/target/mmsearch-${OPENSEARCH_VERSION}.0.zip" in dockerfile
            continue
        assert (ROOT / source).exists(), source
        assert f"!{source.split('/')[0]}" in ignored, f"{source} does not reach the build"


def test_the_plugins_zip_is_the_one_that_maven_makes() -> None:
    pom = (ROOT / "plugin" / "pom.xml").read_text(encoding="utf-8")
    version = re.search(r"<opensearch.version>([\d.]+)</opensearch.version>", pom)
    assert version
    assert SERVICES["opensearch"]["build"]["args"]["OPENSEARCH_VERSION"] == version.group(1)
    assert f"OPENSEARCH_VERSION ?= {version.group(1)}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_bound_paths_are_made_by_the_documented_steps() -> None:
    bound = {
        volume["source"]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if isinstance(volume, dict)
    }
    made = {f"./deploy/certificates/{name}" for name in ("opensearch", "dashboards", "admin", "client")}
    assert bound == made | {"./.mmsearch/model_repository", "./build/demo"}
    named = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if isinstance(volume, str)
    }
    assert named == set(COMPOSE["volumes"])


def test_ports_are_the_projects_and_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert set(published) == {f"127.0.0.1:{p}:{p}" for p in (5601, 8000, 8001, 8002, 9200)}
    exposed = (ROOT / "deploy/triton/Dockerfile").read_text(encoding="utf-8")
    assert "EXPOSE 8000 8001 8002" in exposed


def test_start_order_names_services_that_say_when_they_are_well() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[needed], (name, needed)


def test_every_service_is_bounded_and_cannot_gain_rights() -> None:
    for name, service in SERVICES.items():
        assert service["mem_limit"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        for network in service["networks"]:
            assert network in COMPOSE["networks"], name


def test_exactly_one_triton_a_profile_under_the_name_that_others_use() -> None:
    for profile in ("cpu", "gpu"):
        tritons = [
            service
            for service in SERVICES.values()
            if profile in service["profiles"] and "tritonserver" in service.get("command", [])
        ]
        assert len(tritons) == 1
        assert tritons[0]["networks"]["servers"]["aliases"] == ["triton"]
        assert ("--model-config-name=gpu" in tritons[0]["command"]) is (profile == "gpu")
    node = yaml.safe_load((ROOT / "deploy/opensearch/opensearch.yml").read_text(encoding="utf-8"))
    assert node["mmsearch.triton.endpoints"] == ["http://triton:8000"]
    assert SERVICES["ingest"]["environment"]["MMSEARCH_TRITON"] == "triton:8001"


def test_gpu_configurations_are_made_for_gpu() -> None:
    (named,) = re.findall(r"--model-config-name=(\w+)", " ".join(SERVICES["triton-gpu"]["command"]))
    assert f"configs/{named}.pbtxt" in FILES


@pytest.mark.parametrize("service", ["ingest", "saved-objects"])
def test_the_jobs_are_commands_of_ours(service: str) -> None:
    arguments = SERVICES[service]["command"]
    command: Any = cli
    context = command.make_context("mmsearch", ["--help"], resilient_parsing=True)
    while hasattr(command, "get_command"):
        command = command.get_command(context, arguments[0])
        assert command, arguments
        arguments = arguments[1:]
    command.make_context(service, list(arguments))


def test_every_environment_name_of_ours_is_read_somewhere() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("cli", "ingest", "src", "deploy")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".sh")
    )
    access = {
        f"MMSEARCH_{of.server}_{each.name.upper()}"
        for of in (OpenSearchAccess, DashboardsAccess)
        for each in fields(of)
    }
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            if name.startswith("MMSEARCH_"):
                assert name in access or name in code, name


def test_certificates_that_the_servers_name_are_the_ones_made(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.fail("expected openssl for deploy/certificates.sh, got none; apt-get install openssl")
    script = str(ROOT / "deploy/certificates.sh")
    if os.geteuid() not in (0, 1000):
        refused = subprocess.run([script, str(tmp_path)], capture_output=True, text=True)
        assert refused.returncode == 1
        assert "repair: sudo" in refused.stderr
        return
    subprocess.run([script, str(tmp_path)], check=True, capture_output=True)
    node = yaml.safe_load((ROOT / "deploy/opensearch/opensearch.yml").read_text(encoding="utf-8"))
    named = [value for key, value in node.items() if key.endswith("_filepath")]
    assert len(named) == 6
    for value in named:
        assert (tmp_path / "opensearch" / value.removeprefix("certificates/")).exists(), value
    for name in ("opensearch", "dashboards"):
        verified = ["-CAfile", "client/ca.pem", "-verify_hostname", name, f"{name}/node.pem"]
        subprocess.run(["openssl", "verify", *verified], check=True, capture_output=True, cwd=tmp_path)
    again = subprocess.run([script, str(tmp_path)], capture_output=True, text=True)
    assert again.returncode == 1
    assert "expected no certificates" in again.stderr


def test_nothing_secret_can_be_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".env", "deploy/certificates/"} <= set(ignored)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_hadolint_has_no_complaint(file: Path) -> None:
    linter = str(Path(sys.executable).with_name("hadolint"))
    found = subprocess.run([linter, "--no-color", str(file)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    assert found.stdout == ""


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").rglob("*.sh")), ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    shell = script.read_text(encoding="utf-8").splitlines()[0].removeprefix("#!")
    subprocess.run([shell, "-n", str(script)], check=True)


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_tritons_packages_are_the_pinned_ones(python: str) -> None:
    pinned = {f"{pin.name}=={pin.version}" for pin in choose("local", python)}
    wanted = (ROOT / "deploy/triton/requirements.txt").read_text(encoding="utf-8").split()
    assert set(wanted) <= pinned
    # What the models import is what is installed; Triton brings triton_python_backend_utils.
    imported = {
        found
        for path in (ROOT / "src" / "mmsearch" / "serving").rglob("*.py")
        for found in re.findall(r"^(?:import|from) ([a-zA-Z]\w+)", path.read_text(encoding="utf-8"), re.M)
    }
    assert {"numpy", "onnxruntime", "openvino", "tokenizers", "PIL"} <= imported
    assert {line.partition("==")[0] for line in wanted} == {
        "numpy",
        "onnxruntime",
        "openvino",
        "tokenizers",
        "pillow",
    }
