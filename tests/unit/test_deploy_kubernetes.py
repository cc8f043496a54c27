"""The Kubernetes variants as kustomize renders them: by the published schema, strictly, and each promise."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mmsearch.clients.credentials import OpenSearchAccess
from mmsearch.models.configs import TENSORRT

from ..fakes.kustomized import FOLDER, VARIANTS, manifest, pods, rendered

ROOT = FOLDER.parents[1]
OTHERS = {
    "OpenSearchCluster",
    "OpensearchUser",
    "OpensearchRole",
    "OpensearchUserRoleBinding",
    "PrometheusRule",
}
"""kinds that the operators bring, whose schemas are not Kubernetes' own"""
LABELS = ("opster.io/opensearch-cluster", "opensearch.org/opensearch-cluster")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("version", ["1.31", "1.34"])
def test_schema(variant: str, version: str) -> None:
    checked = 0
    for each in rendered(variant):
        if each["kind"] not in OTHERS:
            kubernetes_validate.validate(each, version, strict=True)
            checked += 1
    assert checked or variant == "alerts"


def test_the_schema_would_refuse_a_wrong_key() -> None:
    wrong = json.loads(json.dumps(manifest("base", "Deployment", "triton")))
    wrong["spec"]["template"]["spec"]["containers"][0]["port"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


def test_every_file_is_used() -> None:
    for folder in VARIANTS:
        used = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text(encoding="utf-8"))
        named = {*used["resources"], *(patch["path"] for patch in used.get("patches", ()) if "path" in patch)}
        there = {path.name for path in (FOLDER / folder).glob("*.yaml")} - {"kustomization.yaml"}
        assert there == {name for name in named if not name.startswith("..")}


def test_the_job_is_in_no_variant_that_is_applied_again() -> None:
    """A Job's template is immutable: an upgrade by `kubectl apply` would be refused."""
    for variant in ("base", "gpu", "operator"):
        assert "Job" not in {each["kind"] for each in rendered(variant)}
    assert [each["kind"] for each in rendered("ingest")] == ["Job"]


def test_the_jobs_pods_wait_for_triton() -> None:
    assert " --wait-for-servers " in script()


def script() -> str:
    (container,) = pods("ingest")["Job/ingest"]["containers"]
    assert container["command"] == ["sh", "-c"]
    (found,) = container["args"]
    return str(found)


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 0), (1, 1), (2, 2), (137, 137)])
def test_exit_code_3_is_no_failure_and_every_other_is_kept(tmp_path: Path, code: int, expected: int) -> None:
    environment = faked(tmp_path, f"exit {code}")
    assert subprocess.run(["sh", "-c", script()], env=environment).returncode == expected
    assert (tmp_path / "asked").read_text().split()[:4] == ["ingest", "catalog.jsonl", "--slice", "3/4"]


def test_the_end_that_kubernetes_asks_for_reaches_ingest_and_is_waited_for(tmp_path: Path) -> None:
    environment = faked(
        tmp_path, "trap 'sleep 1; echo ended >ended; exit 1' TERM\ntouch ready\nwhile :; do sleep 0.1; done"
    )
    with subprocess.Popen(["sh", "-c", script()], env=environment, cwd=tmp_path) as pod:
        while not (tmp_path / "ready").exists():
            assert pod.poll() is None
            time.sleep(0.05)
        pod.send_signal(signal.SIGTERM)
        assert pod.wait(30) == 1
    assert (tmp_path / "ended").exists()


def faked(folder: Path, body: str) -> dict[str, str]:
    """An environment in which `mmsearch` notes its arguments and then does `body`."""
    fake = folder / "mmsearch"
    fake.write_text(f'#!/bin/sh\necho "$@" >{folder}/asked\n{body}\n')
    fake.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": "2"}


def test_every_slice_is_taken_once() -> None:
    job = manifest("ingest", "Job", "ingest")["spec"]
    found = re.search(r"--slice \$slice/(\d+) ", script())
    assert found
    assert int(found.group(1)) == job["completions"]
    assert job["completionMode"] == "Indexed"


def test_rejects_and_what_ingest_remembers_are_on_a_volume() -> None:
    pod = pods("ingest")["Job/ingest"]
    (container,) = pod["containers"]
    assert "--rejects /state/rejects-$slice.jsonl" in script()
    assert {"name": "MMSEARCH_CACHE", "value": "/state"} in container["env"]
    (state,) = [each["name"] for each in container["volumeMounts"] if each["mountPath"] == "/state"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == state]
    assert volume["persistentVolumeClaim"] == {"claimName": "ingest-state"}


def claims(variant: str) -> set[str]:
    return {each["metadata"]["name"] for each in rendered(variant) if each["kind"] == "PersistentVolumeClaim"}


def test_the_claims_secret_and_user_that_are_named_are_made() -> None:
    made = claims("base")
    for variant in ("base", "gpu", "operator", "ingest", "fill"):
        for name, pod in pods(variant).items():
            for volume in pod["volumes"]:
                claim = volume.get("persistentVolumeClaim", {}).get("claimName")
                assert claim is None or claim in made | claims(variant), (name, claim)
    secrets = {each["metadata"]["name"]: each for each in rendered("operator") if each["kind"] == "Secret"}
    (credentials,) = [
        each for each in pods("ingest")["Job/ingest"]["volumes"] if each["name"] == "credentials"
    ]
    named = {
        source["secret"]["name"]: [item["key"] for item in source["secret"]["items"]]
        for source in credentials["projected"]["sources"]
    }
    cluster = manifest("operator", "OpenSearchCluster", "products")
    # The operator makes this one, of the cluster's name, where it generates the HTTP certificates.
    assert named.pop(f"{cluster['metadata']['name']}-http-cert") == ["ca.crt"]
    assert cluster["spec"]["security"]["tls"]["http"]["generate"] is True
    assert {name: list(secrets[name]["data"]) for name in named} == named
    environment = {
        each["name"]: each["value"] for each in pods("ingest")["Job/ingest"]["containers"][0]["env"]
    }
    user = manifest("operator", "OpensearchUser", environment["MMSEARCH_OPENSEARCH_USER"])["spec"]
    assert user["passwordFrom"]["name"] in secrets
    assert user["passwordFrom"]["key"] in secrets[user["passwordFrom"]["name"]]["data"]
    binding = manifest("operator", "OpensearchUserRoleBinding", "ingest")["spec"]
    assert binding["users"] == ["ingest"]
    for role in binding["roles"]:
        assert manifest("operator", "OpensearchRole", role)
    for kind in ("OpensearchUser", "OpensearchRole", "OpensearchUserRoleBinding"):
        assert manifest("operator", kind, "ingest")["spec"]["opensearchCluster"] == {"name": "products"}


def test_models_and_catalog_can_be_filled() -> None:
    pod = pods("fill")["Pod/fill"]
    (container,) = pod["containers"]
    mounts = {each["name"]: each for each in container["volumeMounts"]}
    for volume in pod["volumes"]:
        name = volume["persistentVolumeClaim"]["claimName"]
        assert not volume["persistentVolumeClaim"].get("readOnly")
        assert not mounts[volume["name"]].get("readOnly")
        assert manifest("base", "PersistentVolumeClaim", name)["spec"]["accessModes"] == ["ReadWriteMany"]
    assert {each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"]} == {"models", "catalog"}
    assert (
        pod["securityContext"]["fsGroup"] == pods("base")["Deployment/triton"]["securityContext"]["fsGroup"]
    )


def test_our_pods_are_what_restricted_asks_for() -> None:
    assert manifest("base", "Namespace", "mmsearch")["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }
    for variant in ("base", "gpu", "operator", "ingest", "fill"):
        for name, pod in pods(variant).items():
            assert pod["securityContext"]["runAsNonRoot"] is True, name
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
            assert pod["automountServiceAccountToken"] is False, name
            for container in pod["containers"]:
                rights = container["securityContext"]
                assert rights["allowPrivilegeEscalation"] is False, name
                assert rights["capabilities"] == {"drop": ["ALL"]}, name
                assert rights["readOnlyRootFilesystem"] is True, name


def test_the_operators_cluster_fits_its_namespaces_level() -> None:
    """Its init container is root, which `baseline` allows; no container of it is privileged."""
    labels = manifest("operator", "Namespace", "mmsearch")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    general = manifest("operator", "OpenSearchCluster", "products")["spec"]["general"]
    assert general["setVMMaxMapCount"] is False
    assert general["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert general["podSecurityContext"]["runAsUser"] == 1000


def peers(policy: dict[str, Any], way: str, port: int) -> list[dict[str, str]]:
    """The labels of the pods that a rule of this port names."""
    side = {"ingress": "from", "egress": "to"}[way]
    return [
        peer["podSelector"]["matchLabels"]
        for rule in policy["spec"].get(way, ())
        if port in [each["port"] for each in rule.get("ports", ())]
        for peer in rule.get(side, ())
        if "podSelector" in peer
    ]


def test_both_labels_of_the_operators_are_in_every_policy() -> None:
    both = [{label: "products"} for label in LABELS]
    assert peers(manifest("base", "NetworkPolicy", "triton"), "ingress", 8000) == both
    assert peers(manifest("base", "NetworkPolicy", "ingest"), "egress", 9200) == both
    nodes = [manifest("operator", "NetworkPolicy", f"opensearch-{version}") for version in (2, 3)]
    assert [each["spec"]["podSelector"]["matchLabels"] for each in nodes] == both
    assert manifest("operator", "OpenSearchCluster", "products")["metadata"]["name"] == "products"
    for each in nodes:
        assert {"app.kubernetes.io/name": "ingest"} in peers(each, "ingress", 9200)
        assert {"app.kubernetes.io/name": "triton"} in peers(each, "egress", 8000)


def test_nothing_is_reached_that_no_policy_names() -> None:
    deny = manifest("base", "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for each in rendered("base"):
        if each["kind"] == "NetworkPolicy":
            for rule in (*each["spec"].get("ingress", ()), *each["spec"].get("egress", ())):
                assert rule.get("from") or rule.get("to"), each["metadata"]["name"]
                assert rule["ports"], each["metadata"]["name"]


def test_liveness_takes_no_answer_in_time_as_busy() -> None:
    (container,) = pods("base")["Deployment/triton"]["containers"]
    assert container["livenessProbe"]["exec"]["command"] == ["sh", "/opt/mmsearch/live.sh"]
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["exec"]["command"] == ["sh", "/opt/mmsearch/health.sh"]
    # Two models, two seconds each, and the probe waits for the script's own verdict.
    shared = (ROOT / "deploy/triton/encodes.sh").read_text(encoding="utf-8")
    found = re.search(r"for model in (.+); do\n +curl .*--max-time (\d+) ", shared)
    assert found
    longest = len(found.group(1).split()) * int(found.group(2))
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["timeoutSeconds"] > longest


def test_the_gpu_variant_asks_for_a_gpu_and_its_configuration() -> None:
    base, gpu = (pods(each)["Deployment/triton"]["containers"][0] for each in ("base", "gpu"))
    assert gpu["args"] == [*base["args"], "--model-config-name=gpu"]
    assert gpu["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in base["resources"]["limits"]
    assert gpu["startupProbe"]["failureThreshold"] * gpu["startupProbe"]["periodSeconds"] >= 900
    (mount,) = [each["mountPath"] for each in gpu["volumeMounts"] if each["name"] == "tensorrt"]
    assert re.findall(r'trt_engine_cache_path" value: "(.+?)"', TENSORRT) == [mount]
    assert "tensorrt" in claims("gpu")


def test_alert_rules_are_there_each_with_its_words() -> None:
    (rules,) = rendered("alerts")
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"]]
    assert {rule["alert"] for rule in alerts} == {
        "TritonUnavailable", "TritonRefuses", "TritonQueues", "IngestFailed",
    }  # fmt: skip
    for rule in alerts:
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert 'namespace="mmsearch"' in rule["expr"]


def test_tritons_keep_apart_on_nodes() -> None:
    pod = pods("base")["Deployment/triton"]
    (term,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    wanted = term["podAffinityTerm"]["labelSelector"]["matchLabels"]
    labels = manifest("base", "Deployment", "triton")["spec"]["template"]["metadata"]["labels"]
    assert wanted.items() <= labels.items()


def test_selectors_meet_labels() -> None:
    labels = manifest("base", "Deployment", "triton")["spec"]["template"]["metadata"]["labels"]
    selectors = (
        manifest("base", "Deployment", "triton")["spec"]["selector"]["matchLabels"],
        manifest("base", "Service", "triton")["spec"]["selector"],
        manifest("base", "NetworkPolicy", "triton")["spec"]["podSelector"]["matchLabels"],
        manifest("base", "PodDisruptionBudget", "triton")["spec"]["selector"]["matchLabels"],
    )
    for selector in selectors:
        assert selector.items() <= labels.items()
    ingest = manifest("ingest", "Job", "ingest")["spec"]["template"]["metadata"]["labels"]
    policy = manifest("base", "NetworkPolicy", "ingest")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= ingest.items()
    assert peers(manifest("base", "NetworkPolicy", "triton"), "ingress", 8001) == [policy]
    target = manifest("base", "HorizontalPodAutoscaler", "triton")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "triton")


def test_ports_lead_to_the_container() -> None:
    (container,) = pods("base")["Deployment/triton"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8000, "grpc": 8001, "metrics": 8002}
    for port in manifest("base", "Service", "triton")["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"]


def test_volumes_are_declared_and_mounted() -> None:
    for variant in ("base", "gpu", "operator", "ingest", "fill"):
        for pod in pods(variant).values():
            declared = {volume["name"] for volume in pod["volumes"]}
            assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == declared


def test_ingests_environment_is_what_the_client_reads() -> None:
    (container,) = pods("ingest")["Job/ingest"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    readable = {
        f"MMSEARCH_OPENSEARCH_{name.upper()}{file}"
        for name in (each.name for each in fields(OpenSearchAccess))
        for file in ("", "_FILE" if name in OpenSearchAccess.secrets else "")
    }
    assert set(given) <= readable | {"MMSEARCH_OPENSEARCH", "MMSEARCH_TRITON", "MMSEARCH_CACHE"}
    assert given["MMSEARCH_TRITON"] == "triton.mmsearch.svc:8001"


def test_the_operator_gets_the_plugin_that_is_built() -> None:
    general = manifest("operator", "OpenSearchCluster", "products")["spec"]["general"]
    assert general["pluginsList"][0].endswith(f"/mmsearch-{general['version']}.0.zip")
    pom = (ROOT / "plugin" / "pom.xml").read_text(encoding="utf-8")
    assert f"<opensearch.version>{general['version']}<" in pom


def test_the_password_is_made_and_cannot_be_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "deploy/kubernetes/operator/credentials/" in ignored
