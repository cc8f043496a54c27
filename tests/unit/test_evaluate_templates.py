"""Search bodies with placeholders: filled, and cut to what a query has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmsearch.errors import MmsearchError
from mmsearch.evaluation.templates import Template, load

MATCH: dict[str, Any] = {"match": {"title": "{{query}}"}}
NEURAL: dict[str, Any] = {
    "neural": {"embedding": {"query_text": "{{query}}", "query_image": "{{query_image}}", "k": "{{k}}"}}
}


def filled(query: dict[str, Any], text: str | None, image: str | None) -> Any:
    body = Template("system", {"query": query, "track_total_hits": False}).filled(text, image, 50)
    return body and body["query"]


def test_text_and_picture_are_filled_in() -> None:
    assert filled(MATCH, 'a "red" {{k}}', None) == {"match": {"title": 'a "red" {{k}}'}}
    assert filled(NEURAL, "chair", "aGk=") == {
        "neural": {"embedding": {"query_text": "chair", "query_image": "aGk=", "k": 50}}
    }
    assert filled({"match": {"title": "buy {{query}} now"}}, "a", None) == {"match": {"title": "buy a now"}}


def test_a_clause_keeps_what_the_query_has() -> None:
    assert filled(NEURAL, "chair", None) == {"neural": {"embedding": {"query_text": "chair", "k": 50}}}
    assert filled(NEURAL, None, "aGk=") == {"neural": {"embedding": {"query_image": "aGk=", "k": 50}}}


def test_a_clause_without_anything_to_ask_is_left_out() -> None:
    should = {"bool": {"should": [MATCH, NEURAL], "filter": [{"term": {"brand.keyword": "x"}}]}}
    assert filled(should, None, "aGk=") == {
        "bool": {
            "should": [{"neural": {"embedding": {"query_image": "aGk=", "k": 50}}}],
            "filter": [{"term": {"brand.keyword": "x"}}],
        }
    }
    assert filled({"multi_match": {"query": "{{query}}", "fields": ["title"]}}, None, "aGk=") is None
    assert filled({"bool": {"should": [MATCH], "filter": [{"match_all": {}}]}}, None, "aGk=") is None
    assert filled(NEURAL, None, None) is None


def test_a_hybrid_that_loses_a_leg_keeps_the_ratios_of_the_others() -> None:
    hybrid = {
        "hybrid": {
            "queries": [NEURAL, MATCH, NEURAL],
            "fusion": {
                "normalization": {"technique": "min_max", "parameters": {"lower_bounds": [1, 2, 3]}},
                "combination": {"technique": "arithmetic_mean", "parameters": {"weights": [0.25, 0.5, 0.25]}},
            },
        }
    }
    left = filled(hybrid, None, "aGk=")["hybrid"]
    assert len(left["queries"]) == 2
    assert left["fusion"]["combination"]["parameters"]["weights"] == [0.5, 0.5]
    assert left["fusion"]["normalization"]["parameters"]["lower_bounds"] == [1, 3]
    assert filled(hybrid, "chair", "aGk=")["hybrid"]["fusion"] == hybrid["hybrid"]["fusion"]


def test_templates_are_loaded_from_files_and_from_json(tmp_path: Path) -> None:
    path = tmp_path / "bm25.json"
    path.write_text('{"query": {"match": {"title": "{{ query }}"}}}', encoding="utf-8")
    assert load("bm25", str(path)).filled("a", None, 10) == {"query": {"match": {"title": "a"}}}
    assert load("bm25", '{"query": {"match_all": {}}}', "other").index == "other"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("nowhere.json", "expected the search body of system 'x' in nowhere.json, got: No such file"),
        ("{", "expected JSON as the search body of system 'x'"),
        ('{"size": 3}', "expected a search body with a `query` object for system 'x'"),
        ('{"query": {"match": {"t": "{{text}}"}}}', "expected the placeholders query, query_image and k"),
    ],
)
def test_what_is_no_template_is_explained(source: str, sentence: str) -> None:
    with pytest.raises(MmsearchError) as caught:
        load("x", source)
    assert sentence in str(caught.value)
