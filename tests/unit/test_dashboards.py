"""The Dashboards objects against the shapes that Dashboards publishes, a server's import, and a filled log.

No Dashboards server runs here. The shapes below are those of its saved-object types (data view, search,
visualisation, dashboard): attributes that its mappings know, JSON inside strings, references that resolve.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.dashboards import command
from mmsearch.cli.main import cli
from mmsearch.clients.credentials import DashboardsAccess
from mmsearch.errors import MmsearchError
from mmsearch.search.dashboards import SHIPPED, fields_used, ndjson, objects, send
from mmsearch.search.query_log import FIELDS

from ..fakes.certificates import issue
from ..fakes.fake_dashboards import Request, dashboards

TEXT = {"type": "string"}
NAME = {"type": "string", "minLength": 1}
VERSIONS = {"index-pattern": "7.6.0", "search": "7.9.3", "visualization": "7.10.0", "dashboard": "7.9.3"}
META = {
    "type": "object",
    "required": ["searchSourceJSON"],
    "properties": {"searchSourceJSON": TEXT},
    "additionalProperties": False,
}


def shape(attributes: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "id", "attributes", "references", "migrationVersion"],
        "additionalProperties": False,
        "properties": {
            "type": {"enum": list(VERSIONS)},
            "id": {"type": "string", "pattern": "^mmsearch-[a-z-]+$"},
            "attributes": {
                "type": "object",
                "properties": attributes,
                "required": required,
                "additionalProperties": False,
            },
            "references": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": NAME, "type": NAME, "id": NAME},
                    "required": ["name", "type", "id"],
                    "additionalProperties": False,
                },
            },
            "migrationVersion": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }


SHAPES = {
    "index-pattern": shape(
        {"title": NAME, "timeFieldName": NAME, "fields": TEXT, "fieldFormatMap": TEXT}, ["title", "fields"]
    ),
    "search": shape(
        {
            "title": NAME,
            "description": TEXT,
            "hits": {"type": "integer"},
            "columns": {"type": "array", "items": NAME, "minItems": 1},
            "sort": {
                "type": "array",
                "items": {
                    "type": "array",
                    "prefixItems": [NAME, {"enum": ["asc", "desc"]}],
                    "minItems": 2,
                    "maxItems": 2,
                },
            },
            "version": {"type": "integer"},
            "kibanaSavedObjectMeta": META,
        },
        ["title", "columns", "sort", "kibanaSavedObjectMeta"],
    ),
    "visualization": shape(
        {
            "title": NAME,
            "description": TEXT,
            "visState": TEXT,
            "uiStateJSON": TEXT,
            "version": {"type": "integer"},
            "kibanaSavedObjectMeta": META,
        },
        ["title", "visState", "uiStateJSON", "kibanaSavedObjectMeta"],
    ),
    "dashboard": shape(
        {
            "title": NAME,
            "description": TEXT,
            "hits": {"type": "integer"},
            "panelsJSON": TEXT,
            "optionsJSON": TEXT,
            "version": {"type": "integer"},
            "timeRestore": {"type": "boolean"},
            "timeFrom": TEXT,
            "timeTo": TEXT,
            "refreshInterval": {"type": "object"},
            "kibanaSavedObjectMeta": META,
        },
        ["title", "panelsJSON", "optionsJSON", "kibanaSavedObjectMeta"],
    ),
}
VIS_STATE = {
    "type": "object",
    "required": ["title", "type", "params", "aggs"],
    "properties": {
        "type": {"enum": ["histogram", "horizontal_bar", "line", "pie", "table"]},
        "aggs": {
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "required": ["id", "enabled", "type", "schema", "params"],
                "additionalProperties": False,
                "properties": {
                    "id": NAME,
                    "enabled": {"const": True},
                    "type": {
                        "enum": [
                            "count",
                            "sum",
                            "avg",
                            "max",
                            "percentiles",
                            "terms",
                            "date_histogram",
                            "filters",
                        ]
                    },
                    "schema": {"enum": ["metric", "segment", "group", "bucket"]},
                    "params": {"type": "object"},
                },
            },
        },
    },
}
SAVED = objects()
BY_ID = {each["id"]: each for each in SAVED}


@pytest.mark.parametrize("identifier", BY_ID)
def test_each_object_has_its_types_shape(identifier: str) -> None:
    each = BY_ID[identifier]
    jsonschema.validate(each, SHAPES[each["type"]])
    assert each["migrationVersion"] == {each["type"]: VERSIONS[each["type"]]}
    for reference in each["references"]:
        assert BY_ID[reference["id"]]["type"] == reference["type"]
    meta = each["attributes"].get("kibanaSavedObjectMeta")
    if meta:
        source = json.loads(meta["searchSourceJSON"])
        assert source["query"]["language"] == "kuery"
        names = {reference["name"] for reference in each["references"]}
        assert source.get("indexRefName", next(iter(names))) in names


@pytest.mark.parametrize("identifier", [i for i, each in BY_ID.items() if each["type"] == "visualization"])
def test_each_visualisation_aggregates_what_its_view_has(identifier: str) -> None:
    each = BY_ID[identifier]
    state = json.loads(each["attributes"]["visState"])
    jsonschema.validate(state, VIS_STATE)
    ids = [aggregation["id"] for aggregation in state["aggs"]]
    assert len(set(ids)) == len(ids)
    metrics = {aggregation["id"] for aggregation in state["aggs"] if aggregation["schema"] == "metric"}
    assert metrics
    view = BY_ID[each["references"][0]["id"]]["attributes"]
    aggregatable = {known["name"] for known in json.loads(view["fields"]) if known["aggregatable"]}
    for aggregation in state["aggs"]:
        params = aggregation["params"]
        if "field" in params:
            assert params["field"] in aggregatable
        if aggregation["type"] == "terms":
            assert params["orderBy"] in {*metrics, "_key"}
    for series in state["params"].get("seriesParams", ()):
        assert series["data"]["id"] in metrics


def test_the_dashboard_shows_panels_that_do_not_overlap() -> None:
    (dashboard,) = [each for each in SAVED if each["type"] == "dashboard"]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    names = {reference["name"] for reference in dashboard["references"]}
    assert {panel["panelRefName"] for panel in panels} == names
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridData"]
        assert grid["i"] == panel["panelIndex"]
        assert grid["x"] + grid["w"] <= 48
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        taken |= cells
    shown = {reference["id"] for reference in dashboard["references"]}
    assert {each["id"] for each in SAVED if each["type"] == "visualization"} <= shown


def test_views_know_every_field_that_is_used() -> None:
    for view, names in fields_used(SAVED).items():
        known = {each["name"] for each in json.loads(BY_ID[view]["attributes"]["fields"])}
        assert names <= known
    log = {
        each["name"]: each["esTypes"] for each in json.loads(BY_ID["mmsearch-log"]["attributes"]["fields"])
    }
    assert log == {name: [kind] for name, kind in FIELDS.items()}


def test_the_product_view_is_the_products_mapping() -> None:
    mapping = json.loads((SHIPPED.parent / "products.mapping.json").read_text(encoding="utf-8"))
    properties = mapping["mappings"]["properties"]
    for each in json.loads(BY_ID["mmsearch-products"]["attributes"]["fields"]):
        node, *path = each["name"].split(".")
        found = properties[node]
        for part in path:
            found = {**found.get("properties", {}), **found.get("fields", {})}[part]
        assert [found["type"]] == each["esTypes"]


def test_pictures_and_products_are_adapted() -> None:
    adapted = objects(pictures="https://shop.example/{{value}}?w=96", products="shop*")
    view = next(each for each in adapted if each["id"] == "mmsearch-products")["attributes"]
    image = json.loads(view["fieldFormatMap"])["image"]
    assert view["title"] == "shop*"
    assert (image["id"], image["params"]["type"]) == ("url", "img")
    assert image["params"]["urlTemplate"] == "https://shop.example/{{value}}?w=96"
    with pytest.raises(MmsearchError, match="put it in place of the reference"):
        objects(pictures="https://shop.example/")


def test_export_writes_what_ships(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["export", str(tmp_path / "x.ndjson")], catch_exceptions=False)
    assert result.stdout == f"{len(SAVED)} objects: {tmp_path / 'x.ndjson'}\n"
    assert (tmp_path / "x.ndjson").read_text(encoding="utf-8") == ndjson(SAVED)
    assert CliRunner().invoke(command, ["export"], catch_exceptions=False).stdout == ndjson(SAVED)


Serve = Callable[..., str]


@pytest.fixture
def requests() -> list[Request]:
    return []


@pytest.fixture
def server(requests: list[Request]) -> Iterator[Serve]:
    """Starts servers that keep what they are sent in `requests`."""
    with ExitStack() as started:

        def serve(status: int, reply: dict[str, Any], certificate: Path | None = None) -> str:
            return started.enter_context(dashboards(status, reply, requests, certificate))

        yield serve


def test_import_sends_every_object(server: Serve, requests: list[Request]) -> None:
    url = server(200, {"success": True, "successCount": len(SAVED)})
    options = ["import", "--dashboards", url, "--user", "admin", "--tenant", "global"]
    environment = {"MMSEARCH_DASHBOARDS_PASSWORD": "secret"}
    result = CliRunner(env=environment).invoke(command, options, catch_exceptions=False)
    assert (
        result.stdout
        == f"{len(SAVED)} objects imported; open {url}/app/dashboards#/view/mmsearch-inspection\n"
    )
    ((path, headers, body),) = requests
    assert path == "/api/saved_objects/_import?overwrite=true"
    assert headers["osd-xsrf"] == "true"
    assert headers["securitytenant"] == "global"
    assert headers["authorization"] == "Basic YWRtaW46c2VjcmV0"
    assert ndjson(SAVED).encode() in body
    assert b'filename="inspection.ndjson"' in body


def test_a_refusal_is_told(server: Serve) -> None:
    refused = {
        "success": False,
        "errors": [{"id": "mmsearch-leg-mix", "error": {"type": "missing_references"}}],
    }
    with pytest.raises(MmsearchError, match="it refused 1: mmsearch-leg-mix, missing_references"):
        send(SAVED, server(200, refused))
    with pytest.raises(MmsearchError, match="got HTTP 401 Unauthorized"):
        send(SAVED, server(401, {"message": "Unauthorized"}))
    with pytest.raises(MmsearchError, match="expected Dashboards at"):
        send(SAVED, "http://127.0.0.1:1")


def test_import_over_tls_believes_the_named_authority_alone(
    server: Serve, requests: list[Request], tmp_path: Path
) -> None:
    authority = issue("authority", authority=True)
    issue("127.0.0.1", authority).write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "other.pem").write_bytes(issue("another", authority=True).pem)
    url = server(200, {"success": True, "successCount": len(SAVED)}, tmp_path)
    (tmp_path / "password").write_text("secret\n")
    environment = {"MMSEARCH_DASHBOARDS_PASSWORD_FILE": str(tmp_path / "password")}

    def imported(authorities: str) -> Result:
        options = ["dashboards", "import", "--dashboards", url, "--user", "admin"]
        return CliRunner(env=environment).invoke(cli, [*options, "--ca-file", str(tmp_path / authorities)])

    refused = imported("other.pem")
    assert refused.exit_code == 1
    assert "expected a valid certificate of Dashboards" in refused.stderr
    assert requests == []
    taken = imported("ca.pem")
    assert taken.exit_code == 0, taken.output
    assert requests[0][1]["authorization"] == "Basic YWRtaW46c2VjcmV0"


def test_a_password_goes_to_no_one_unencrypted() -> None:
    access = DashboardsAccess(user="admin", password="secret")
    with pytest.raises(MmsearchError, match="expected https:// where a user travels"):
        send(SAVED, "http://dashboards.example:5601", access=access)
    with pytest.raises(MmsearchError, match="without user and password") as told:
        send(SAVED, "https://admin:secret@dashboards.example:5601")
    assert "secret" not in str(told.value)
