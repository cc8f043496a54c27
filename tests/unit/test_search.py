"""What `mmsearch search` asks and what it prints."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from mmsearch.cli.hits import lines
from mmsearch.cli.main import cli
from mmsearch.errors import SearchError
from mmsearch.search.bodies import search_body

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
    assert lexical["multi_match"]["query"] == "oak chair"
    assert lexical["multi_match"]["fields"][0] == "title^2"
    assert dense == {"neural": {"embedding": {"k": 100, "_name": "dense", "query_text": "oak chair"}}}
    assert clause["filter"] == {
        "bool": {
            "filter": [{"term": {"category.keyword": "Kitchen"}}, {"term": {"attributes.colour": "red"}}]
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
    ("arguments", "told"), [({}, "--image or --like"), ({"mode": "lexical"}, "expected a text")]
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
