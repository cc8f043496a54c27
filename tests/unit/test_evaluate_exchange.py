"""Judgments to and from the Search Relevance Workbench and User Behavior Insights."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mmsearch.cli.judgments import command
from mmsearch.errors import MmsearchError
from mmsearch.evaluation.exchange import ubi, workbench
from mmsearch.evaluation.exchange.judged_file import read_judgments
from mmsearch.evaluation.judgments import Judgments, Query

LIST = {
    "judgmentRatings": [
        {
            "query": "red dress",
            "ratings": [{"docId": "p1", "rating": "3.000"}, {"docId": "p2", "rating": "0.000"}],
        },
        {"query": "jeans", "ratings": [{"docId": "p1", "rating": "1.340"}]},
    ]
}


def labelled() -> Judgments:
    judgments = Judgments()
    judgments.add(Query("red dress", "red dress"), "p1", label="E", purchases=7)
    judgments.add(Query("red dress", "red dress"), "p2", label="I")
    judgments.add(Query("jeans", "jeans"), "p3", purchases=2)
    judgments.add(Query("a.png", None, "a.png"), "p4", label="S")
    return judgments


def test_a_list_goes_out_as_the_api_takes_it() -> None:
    exported = workbench.export(labelled(), "Mine", "by hand")
    assert exported.body == {
        "name": "Mine",
        "description": "by hand",
        "type": "IMPORT_JUDGMENT",
        "judgmentRatings": [
            {
                "query": "red dress",
                "ratings": [{"docId": "p1", "rating": "3.000"}, {"docId": "p2", "rating": "0.000"}],
            },
            {"query": "jeans", "ratings": [{"docId": "p3", "rating": "2.000"}]},
        ],
    }
    assert exported.left_out == ["a.png"]


@pytest.mark.parametrize(
    "document",
    [LIST, {"hits": {"hits": [{"_source": {"name": "x", **LIST}}]}}, {"hits": {"hits": [{"_source": LIST}]}}],
)
def test_a_list_comes_in_from_a_body_or_an_answer(document: dict[str, Any]) -> None:
    assert workbench.read(document).grades == {"red dress": {"p1": 3, "p2": 0}, "jeans": {"p1": 1.34}}


def test_ratings_become_labels_only_when_they_are_four() -> None:
    first = {"judgmentRatings": LIST["judgmentRatings"][:1]}
    assert workbench.read(first, esci=True).labels == {"red dress": {"p1": "E", "p2": "I"}}
    with pytest.raises(MmsearchError, match=r"expected ratings 0, 1, 2 or 3 .* got 1\.34 for query 'jeans'"):
        workbench.read(LIST, esci=True)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "expected a JSON object with judgments, got list"),
        ({"name": "x"}, "expected a list `judgmentRatings`, got none"),
        ({"judgmentRatings": [{"ratings": []}]}, "expected text as the query"),
        ({"judgmentRatings": [{"query": "a", "ratings": [{"rating": "1"}]}]}, "expected a docId"),
        (
            {"judgmentRatings": [{"query": "a", "ratings": [{"docId": "p", "rating": "high"}]}]},
            "expected a number",
        ),
    ],
)
def test_what_is_no_list_is_explained(document: Any, sentence: str) -> None:
    with pytest.raises(MmsearchError) as caught:
        workbench.read(document)
    assert sentence in str(caught.value)


QUERIES = [
    {"query_id": "1", "user_query": "red  dress", "query_response_hit_ids": ["p1", "p2"]},
    {"_source": {"query_id": "2", "user_query": "red dress"}},
    {"query_id": "3", "user_query": ""},
]


def event(action: str, query: str, product: str | None) -> dict[str, Any]:
    return {"action_name": action, "query_id": query, "event_attributes": {"object": {"object_id": product}}}


def test_purchases_of_the_same_words_add_up_and_the_rest_is_told() -> None:
    events = [
        event("purchase", "1", "p1"),
        {"_source": event("purchase", "2", "p1")},
        event("purchase", "2", "p3"),
        event("click", "1", "p2"),
        event("purchase", "9", "p1"),
        event("purchase", "3", "p1"),
        event("purchase", "1", None),
        {"action_name": "purchase", "query_id": "1"},
    ]
    imported = ubi.from_events(QUERIES, events)
    assert imported.judgments.purchases == {"red dress": {"p1": 2, "p3": 1}}
    assert imported.taken == 3
    assert imported.skipped == {"an unknown query_id": 2, "no object_id": 2}
    assert ubi.from_events(QUERIES, events, ["click"]).judgments.purchases == {"red dress": {"p2": 1}}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"event_attributes": [1]}, "something else than an object as event_attributes"),
        ({"event_attributes": "p1"}, "something else than an object as event_attributes"),
        ({"event_attributes": {"object": "p1"}}, "something else than an object as object"),
        ({"event_attributes": {"object": None}}, "no object_id"),
        ({"event_attributes": {"object": {"object_id": ["p1"]}}}, "no object_id"),
        ({"query_id": {"id": "1"}}, "an unknown query_id"),
        ({"query_id": None}, "an unknown query_id"),
        (
            {"event_attributes": {"object": {"object_id": "4006381", "object_id_field": "ean"}}},
            "ids of the field 'ean' (name it by --object-id-field if the products have these ids)",
        ),
    ],
)
def test_an_event_of_another_shape_is_left_out_with_a_reason(changed: dict[str, Any], reason: str) -> None:
    queries: list[dict[str, Any]] = [*QUERIES, {"query_id": "4", "user_query": ["red"]}, {"query_id": [5]}]
    imported = ubi.from_events(queries, [{**event("purchase", "1", "p1"), **changed}])
    assert (imported.taken, imported.skipped) == (0, {reason: 1})


def test_the_field_of_an_id_decides_whether_it_is_a_product() -> None:
    def of(field_name: str, product: str) -> dict[str, Any]:
        attributes = {"object": {"object_id": product, "object_id_field": field_name}}
        return {**event("purchase", "1", None), "event_attributes": attributes}

    events = [of("product_id", "p1"), of("ean", "400"), event("purchase", "1", "p2")]
    assert ubi.from_events(QUERIES, events).judgments.purchases == {"red dress": {"p1": 1, "p2": 1}}
    named = ubi.from_events(QUERIES, events, id_fields=["ean"])
    assert named.judgments.purchases == {"red dress": {"400": 1, "p2": 1}}


def test_judgments_become_events_and_come_back() -> None:
    queries, events = ubi.to_events(labelled(), when=datetime(2025, 1, 2, tzinfo=UTC))
    assert [query["user_query"] for query in queries] == ["red dress", "jeans"]
    assert len(events) == 9
    assert events[0]["timestamp"] == "2025-01-02T00:00:00.000+00:00"
    assert {"application", "action_name", "query_id", "client_id", "timestamp", "event_attributes"} <= set(
        events[0]
    )
    again = ubi.from_events(queries, events).judgments
    assert again.purchases == {"red dress": {"p1": 7}, "jeans": {"p3": 2}}
    assert ubi.to_events(labelled())[0][0]["query_id"] == queries[0]["query_id"]


def run(*arguments: object) -> Any:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_files_are_converted_by_their_endings(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(LIST), encoding="utf-8")
    assert run("convert", tmp_path / "a.json", tmp_path / "a.jsonl").exit_code == 0
    assert read_judgments(tmp_path / "a.jsonl").grades == workbench.read(LIST).grades
    result = run("convert", tmp_path / "a.jsonl", tmp_path / "b.json", "--name", "Again")
    assert result.stdout.startswith("2 queries: JSON Lines to a Search Relevance Workbench judgment list")
    body = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert (body["name"], body["judgmentRatings"]) == ("Again", LIST["judgmentRatings"])


def test_judgments_go_out_and_come_back_as_a_table(tmp_path: Path) -> None:
    lines = [
        {"query": 'red, "dress"', "product_id": "p 1", "label": "E", "purchases": 2, "kind": "named"},
        {"query": "jeans", "product_id": "7", "grade": 1.5},
        {"query_id": "q1", "query": "Möbel", "query_image": "a.png", "product_id": "p3", "label": "I"},
    ]
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    result = run("convert", source, tmp_path / "a.csv")
    assert result.stdout == f"3 queries: JSON Lines to CSV, {tmp_path / 'a.csv'}\n"
    assert read_judgments(tmp_path / "a.csv") == read_judgments(source)


def test_events_in_files_become_judgments(tmp_path: Path) -> None:
    source = tmp_path / "source.jsonl"
    source.write_text('{"query": "rug", "product_id": "p", "purchases": 2}\n', encoding="utf-8")
    assert (
        run("to-events", source, tmp_path / "ubi").stdout == f"1 queries and 2 events: {tmp_path / 'ubi'}\n"
    )
    files = ["--events", tmp_path / "ubi/ubi_events.ndjson", "--queries", tmp_path / "ubi/ubi_queries.ndjson"]
    result = run("from-events", tmp_path / "back.jsonl", *files)
    assert result.stdout == f"2 events became judgments of 1 queries: {tmp_path / 'back.jsonl'}\n"
    assert read_judgments(tmp_path / "back.jsonl") == read_judgments(source)


def test_bad_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    (tmp_path / "e.ndjson").write_text("{}\n[1]\n", encoding="utf-8")
    for arguments, sentence in [
        (("convert", tmp_path / "a.json", tmp_path / "b.jsonl"), "expected JSON in"),
        (
            ("convert", tmp_path / "a.json", tmp_path / "b.xml"),
            "expected a file that ends in .jsonl, .qrels, .json, .csv",
        ),
        (("convert", tmp_path / "none.jsonl", tmp_path / "b.jsonl"), "No such file"),
        (
            ("from-events", "b.jsonl", "--events", tmp_path / "e.ndjson"),
            "expected both --events and --queries",
        ),
        (
            ("from-events", "b.jsonl", "--events", tmp_path / "e.ndjson", "--queries", tmp_path / "e.ndjson"),
            "e.ndjson, line 2: expected a JSON object in line 2, got a list",
        ),
    ]:
        with pytest.raises(MmsearchError) as caught:
            run(*arguments)
        assert sentence in str(caught.value)
