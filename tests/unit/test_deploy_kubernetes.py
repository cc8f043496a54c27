"""The kustomize base: every manifest by the published schema, strictly, and every name resolved."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mmsearch.clients.credentials import OpenSearchAccess

BASE = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))
MANIFESTS: list[dict[str, Any]] = [
    # Through JSON, so that what YAML shares by anchors is written out.
    json.loads(json.dumps(document))
    for name in KUSTOMIZATION["resources"]
    for document in yaml.safe_load_all((BASE / name).read_text(encoding="utf-8"))
]


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in MANIFESTS if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
@pytest.mark.parametrize("version", ["1.31", "1.34"])
def test_schema(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schema_would_refuse_a_wrong_key() -> None:
    wrong = json.loads(json.dumps(named("Deployment", "triton")))
    wrong["spec"]["template"]["spec"]["containers"][0]["port"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


def test_every_file_is_used_or_says_why_not() -> None:
    others = {path.name for path in BASE.glob("*.yaml")} - set(KUSTOMIZATION["resources"])
    assert others == {"kustomization.yaml", "opensearch-operator.yaml"}
    assert "not part of the base" in (BASE / "opensearch-operator.yaml").read_text(encoding="utf-8")


def test_images_are_given_tags() -> None:
    images = {
        container["image"]
        for manifest in MANIFESTS
        if "template" in manifest.get("spec", {})
        for container in manifest["spec"]["template"]["spec"]["containers"]
    }
    assert images == {image["name"] for image in KUSTOMIZATION["images"]}


def test_selectors_meet_labels() -> None:
    labels = named("Deployment", "triton")["spec"]["template"]["metadata"]["labels"]
    assert named("Deployment", "triton")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert named("Service", "triton")["spec"]["selector"].items() <= labels.items()
    policy = named("NetworkPolicy", "triton")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    budget = named("PodDisruptionBudget", "triton")["spec"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    ingest = named("Job", "ingest")["spec"]["template"]["metadata"]["labels"]
    assert policy["ingress"][1]["from"][0]["podSelector"]["matchLabels"].items() <= ingest.items()
    target = named("HorizontalPodAutoscaler", "triton")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "triton")


def test_ports_lead_to_the_container() -> None:
    (container,) = named("Deployment", "triton")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8000, "grpc": 8001, "metrics": 8002}
    for port in named("Service", "triton")["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"]
    allowed = [rule["ports"][0]["port"] for rule in named("NetworkPolicy", "triton")["spec"]["ingress"]]
    assert allowed == [8000, 8001, 8002]


def test_volumes_are_declared_and_mounted() -> None:
    for kind, name in (("Deployment", "triton"), ("Job", "ingest")):
        pod = named(kind, name)["spec"]["template"]["spec"]
        declared = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == declared


def test_every_slice_is_taken_once() -> None:
    job = named("Job", "ingest")["spec"]
    (argument,) = job["template"]["spec"]["containers"][0]["args"]
    found = re.search(r"--slice \$\(\(JOB_COMPLETION_INDEX \+ 1\)\)/(\d+)", argument)
    assert found
    assert int(found.group(1)) == job["completions"]
    assert job["completionMode"] == "Indexed"


def test_ingests_environment_is_what_the_client_reads() -> None:
    (container,) = named("Job", "ingest")["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    readable = {
        f"MMSEARCH_OPENSEARCH_{name.upper()}{file}"
        for name in (each.name for each in fields(OpenSearchAccess))
        for file in ("", "_FILE" if name in OpenSearchAccess.secrets else "")
    }
    assert set(given) <= readable | {"MMSEARCH_OPENSEARCH", "MMSEARCH_TRITON", "MMSEARCH_CACHE"}
    assert given["MMSEARCH_TRITON"] == f"triton.{KUSTOMIZATION['namespace']}.svc:8001"


def test_the_operator_gets_the_plugin_that_is_built() -> None:
    cluster = yaml.safe_load((BASE / "opensearch-operator.yaml").read_text(encoding="utf-8"))
    general = cluster["spec"]["general"]
    assert general["pluginsList"][0].endswith(f"/mmsearch-{general['version']}.0.zip")
    pom = (BASE.parents[1] / "plugin" / "pom.xml").read_text(encoding="utf-8")
    assert f"<opensearch.version>{general['version']}<" in pom
    policy = named("NetworkPolicy", "triton")["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert policy == {"opster.io/opensearch-cluster": cluster["metadata"]["name"]}
