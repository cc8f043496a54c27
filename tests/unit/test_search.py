"""What `mmsearch search` asks and what it prints."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from mmsearch.cli.hits import lines
from mmsearch.cli.main import cli
from mmsearch.errors import SearchError
from mmsearch.search.bodies import WINDOW, search_body

HITS = [
    {
        "_id": "a",
        "_score": 0.8125,
        "_source": {"title": "Oak <chair>", "category": ["Kitchen", "Chairs"], "image": "a b.png"},
        "fields": {
            "_legs": [
                {"name": "lexical", "rank": 3, "score": 1.0, "normalized": 0.5},
                {"name": "dense", "rank": 1, "score": 0.9, "normalized": 1.0},
            ]
        },
    },
    {
        "_id": "b",
        "_score": 0.5,
        "_source": {},
        "fields": {"_legs": [{"name": "dense", "rank": 2, "score": 0.7, "normalized": 0.4, "only": True}]},
    },
]


def test_words_are_a_hybrid_of_words_and_meaning() -> None:
    body = search_body("oak chair", k=5, filters={"category": "Kitchen", "colour": "red"})
    assert body["size"] == 5
    clause = body["query"]["hybrid"]
    lexical, dense = clause["queries"]
    (words,) = lexical["bool"]["must"]
    assert words["multi_match"]["query"] == "oak chair"
    assert words["multi_match"]["fields"][0] == "title^2"
    assert dense == {"neural": {"embedding": {"k": 100, "_name": "dense", "query_text": "oak chair"}}}
    assert clause["filter"] == {
        "bool": {
            "filter": [
                {
                    "bool": {
                        "should": [
                            {"term": {"category.keyword": "Kitchen"}},
                            {"term": {"category_levels": "Kitchen"}},
                        ],
                        "minimum_should_match": 1,
                    }
                },
                {"term": {"attributes.colour": "red"}},
            ]
        }
    }


def test_a_picture_or_a_product_is_asked_by_meaning_alone() -> None:
    assert search_body("", picture="QUI=", k=3)["query"] == {
        "neural": {"embedding": {"k": 3, "_name": "dense", "query_image": "QUI="}}
    }
    assert search_body("", like="p1", k=3, filters={"price": "3"})["query"]["neural"]["embedding"] == {
        "k": 3,
        "_name": "dense",
        "like": {"_id": "p1"},
        "filter": {"term": {"price": "3"}},
    }


def test_words_alone_need_no_encoder() -> None:
    assert "neural" not in str(search_body("chair", mode="lexical"))


@pytest.mark.parametrize(
    ("arguments", "told"), [({}, "--image or --like"), ({"mode": "lexical"}, "expected words")]
)
def test_an_incomplete_question_says_what_is_missing(arguments: dict[str, str], told: str) -> None:
    with pytest.raises(SearchError, match=told):
        search_body("", like="p" if arguments else None, **arguments)


def test_hits_are_lines_with_rank_score_legs_and_title() -> None:
    assert list(lines(HITS)) == [
        "  1    0.8125  lexical 3 · dense 1  Oak <chair> [Kitchen, Chairs]",
        "  2    0.5000  dense 2 only         b",
    ]


def test_a_node_that_is_not_there_is_one_sentence() -> None:
    result = CliRunner().invoke(cli, ["search", "chair", "--opensearch", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert result.stderr.startswith("mmsearch: expected OpenSearch at 127.0.0.1:9 to answer")
    assert len(result.stderr.splitlines()) == 1


def test_hits_are_collapsed_by_a_field() -> None:
    body = search_body("hoodie", k=5, collapse="group")
    assert (body["collapse"], body["size"]) == ({"field": "group"}, 5)
    assert search_body("hoodie", collapse="brand")["collapse"] == {"field": "brand.keyword"}
    near = search_body("hoodie", k=5, mode="neural", collapse="group")["query"]["neural"]["embedding"]
    assert near["k"] == WINDOW
    assert "collapse" not in search_body("hoodie")


@pytest.mark.parametrize("value", ["A>B", ["A > B", "C"]])
def test_a_level_of_a_category_filters(value: object) -> None:
    body = search_body("x", mode="lexical", filters={"category": value})
    (only,) = body["query"]["bool"]["filter"]
    asked = "A > B" if isinstance(value, str) else value
    kind = "term" if isinstance(value, str) else "terms"
    assert only["bool"]["should"][1] == {kind: {"category_levels": asked}}


def test_a_currency_is_found_in_older_indices_too() -> None:
    body = search_body("x", mode="lexical", filters={"currency": "EUR"})
    (only,) = body["query"]["bool"]["filter"]
    assert [list(each["term"]) for each in only["bool"]["should"]] == [["currency"], ["attributes.currency"]]
