"""The lexical query as a search template in a real cluster: ingest stores it, every search asks it, a shop
changes it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import mmsearch
from mmsearch.cli.main import cli
from mmsearch.clients.opensearch import HttpError, ask, connect
from mmsearch.search.bodies import search_body
from mmsearch.search.lexical import DEFAULT, lexical_clause, name_of, template

INDEX = "lexical"
PRODUCTS = (
    {"id": "1", "title": "Wooden tables", "description": "For gardens", "title_de": "Holztische"},
    {"id": "2", "title": "Lamp", "description": "Stands on wooden tables", "title_de": "Leuchte"},
    {"id": "3", "title": "Table", "brand": "PowerShot", "description_fr": "Une table"},
)


@pytest.mark.integration
def test_a_shop_changes_the_lexical_query(stack: Any, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.jsonl"
    catalog.write_text("".join(json.dumps(each) + "\n" for each in PRODUCTS))

    def run(*arguments: str) -> Result:
        environment = {**stack.environment, "MMSEARCH_INDEX": INDEX}
        done = CliRunner(env=environment).invoke(cli, list(arguments))
        assert done.exit_code == 0, done.output
        return done

    def found(words: str, mode: str = "lexical") -> list[str]:
        lines = run("search", words, "--mode", mode, "--json").stdout.splitlines()
        return [json.loads(line)["_id"] for line in lines]

    client = connect(stack.opensearch.url)
    name = name_of(INDEX)
    try:
        run("ingest", str(catalog), "--language", "en")
        stored = ask(client, "GET", f"/_scripts/{name}")["script"]
        assert json.loads(stored["source"]) == template()
        assert lexical_clause(client, f"{INDEX}-000001") == DEFAULT
        assert found("table")[0] == "3"
        assert set(found("table")) == {"1", "2", "3"}
        assert found("power shot") == ["3"]
        assert found("Leuchten") == ["2"]
        assert found("gardens", "hybrid")[0] == "1"
        body = {"id": name, "params": {"query": "garden"}}
        hits = ask(client, "POST", f"/{INDEX}/_search/template", body=body)["hits"]["hits"]
        assert [hit["_id"] for hit in hits] == ["1"]
        # A shop's own, with what only a node can render.
        boost = "{{boost}}{{^boost}}2{{/boost}}"
        source = (
            f'{{"query": {{"match": {{"description": {{"query": "{{{{query}}}}", "boost": {boost}}}}}}}}}'
        )
        ask(client, "PUT", f"/_scripts/{name}", body={"script": {"lang": "mustache", "source": source}})
        assert found("table") == ["2"]
        assert found('a "quoted" \\ table') == ["2"]
        run("ingest", str(catalog))
        assert ask(client, "GET", f"/_scripts/{name}")["script"]["source"] == source
        ask(client, "DELETE", f"/_scripts/{name}")
        assert found("table")[0] == "3"
        with pytest.raises(HttpError, match="404"):
            ask(client, "GET", f"/_scripts/{name}")
    finally:
        ask(client, "DELETE", f"/_scripts/{name}") if _stored(client, name) else None
        ask(client, "DELETE", f"/{INDEX}-000001", params={"ignore_unavailable": "true"})
        client.close()


def kettle(colour: str, title: str) -> dict[str, Any]:
    """A product whose text does not say its colour."""
    out = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(out, "PNG")
    return {"id": colour, "title": title, "image": out.getvalue()}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("language", "title", "asked"),
    [
        ("en", "Kettle", {"red kettle": "red", "Blue kettles": "blue", "gray kettle": "gray"}),
        ("none", "Kettle", {"yellow kettle": "yellow", "gray kettle": "gray"}),
        ("de", "Wasserkessel", {"roter Wasserkessel": "red", "graue Wasserkessel": "gray"}),
    ],
)
def test_a_colour_is_found_by_the_images(
    stack: Any, language: str, title: str, asked: dict[str, str]
) -> None:
    index = f"colours-{language}"
    products = [kettle(colour, title) for colour in ("red", "green", "blue", "yellow", "gray", "black")]
    try:
        with mmsearch.Client(stack.opensearch.url, triton=stack.triton.grpc, index=index) as shop:
            assert shop.ingest(products, language=language).indexed == len(products)
            for words, colour in asked.items():
                for mode in ("lexical", "hybrid"):
                    assert shop.search(words, mode=mode)[0].id == colour, (words, mode)
    finally:
        with connect(stack.opensearch.url) as client:
            ask(client, "DELETE", f"/{index}-000001", params={"ignore_unavailable": "true"})


@pytest.mark.integration
def test_an_index_without_the_colours_of_images_is_searched(opensearch: Any) -> None:
    """Indexes of earlier releases lack the field."""
    index = "colours-none-yet"
    with connect(opensearch.url) as client:
        ask(client, "PUT", f"/{index}", body={"mappings": {"properties": {"title": {"type": "text"}}}})
        try:
            for number, title in enumerate(("red kettle", "kettle", "lamp")):
                ask(client, "PUT", f"/{index}/_doc/{number}", body={"title": title})
            ask(client, "POST", f"/{index}/_refresh")
            body = search_body("red kettle", mode="lexical")
            found = ask(client, "POST", f"/{index}/_search", body=body)
            assert [hit["_id"] for hit in found["hits"]["hits"]] == ["0", "1"]
        finally:
            ask(client, "DELETE", f"/{index}")


def _stored(client: Any, name: str) -> bool:
    try:
        ask(client, "GET", f"/_scripts/{name}")
    except HttpError:
        return False
    return True
