"""The JSON bodies for OpenSearch's own APIs: what they say must be what the rest of mmsearch does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tritonclient.grpc import model_config_pb2

from mmsearch.models.architecture import load
from mmsearch.models.build import ModelSet
from mmsearch.models.configs import config_of
from mmsearch.search import query_log

ROOT = Path(__file__).parents[2]


def body(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "opensearch" / name).read_text(encoding="utf-8"))
    return found


def request(*texts: str) -> dict[str, Any]:
    """The connector's request as ML Commons writes it: the texts as a JSON array for the parameter."""
    (action,) = body("ml_commons_connector.json")["actions"]
    assert action["pre_process_function"] == "connector.pre_process.default.embedding"
    filled: dict[str, Any] = json.loads(
        action["request_body"].replace("${parameters.input}", json.dumps(texts))
    )
    return filled


@pytest.mark.parametrize("text", ["chair", 'a "quoted" chair', "Stühle\n"])
def test_connector_asks_as_triton_is_asked(text: str) -> None:
    asked = request(text)
    expected = json.loads((ROOT / "deploy/triton/health.json").read_text(encoding="utf-8"))
    expected["inputs"][0]["data"] = [text]
    assert asked == expected


def test_connector_names_inputs_and_outputs_of_the_query_encoder() -> None:
    config = config_of(ModelSet(Path(), load("4tmm_cat"), "f" * 64, "int8", {}), "query_encoder")
    kinds = model_config_pb2.DataType
    declared = {each.name: kinds.Name(each.data_type) for each in (*config.input, *config.output)}
    asked = request("chair")
    for tensor in asked["inputs"]:
        assert declared[tensor["name"]] == "TYPE_STRING"
        assert tensor["datatype"] == "BYTES"
    assert {tensor["name"] for tensor in asked["inputs"]} == {"TEXT", "IMAGE"}
    assert [declared[output["name"]] for output in asked["outputs"]] == ["TYPE_FP32"]


def test_connectors_address_is_filled_by_its_parameters() -> None:
    connector = body("ml_commons_connector.json")
    url = connector["actions"][0]["url"]
    for name, value in connector["parameters"].items():
        url = url.replace(f"${{parameters.{name}}}", value)
    assert url == "http://triton:8000/v2/models/query_encoder/versions/1/infer"
    assert connector["protocol"] == "http"


def test_connector_holds_no_secret() -> None:
    # ML Commons refuses a connector without any.
    assert body("ml_commons_connector.json")["credential"] == {"none": "none"}


def test_pipeline_says_mmsearchs_defaults() -> None:
    pipeline = body("hybrid.pipeline.json")
    (processor,) = pipeline["phase_results_processors"]
    fusion = processor["normalization-processor"]
    assert fusion["normalization"] == {"technique": "min_max"}
    assert fusion["combination"]["technique"] == "arithmetic_mean"
    assert sum(fusion["combination"]["parameters"]["weights"]) == 1


def test_template_is_the_mapping_without_vectors() -> None:
    template = body("products.template.json")
    assert template["template"] == body("products.mapping.json")
    assert template["index_patterns"] == ["products-*"]
    assert "knn_vector" not in json.dumps(template)


def test_policy_deletes_logs_and_nothing_else() -> None:
    policy = body("log.ism.json")["policy"]
    states = {state["name"]: state for state in policy["states"]}
    assert policy["default_state"] in states
    for state in states.values():
        assert all(transition["state_name"] in states for transition in state["transitions"])
    ((patterns,),) = [template["index_patterns"] for template in policy["ism_template"]]
    assert query_log.INDEX.startswith(patterns.rstrip("*"))
    assert not "products-000001".startswith(patterns.rstrip("*"))
