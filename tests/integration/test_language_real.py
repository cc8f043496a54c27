"""Every language's analysers on a real node: they are taken, and words are found as a shopper writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch

from mmsearch.clients.opensearch import ask, connect
from mmsearch.ingest.schema.analysis import SYNONYMS, settings, text_field
from mmsearch.ingest.schema.languages import LANGUAGES

pytestmark = pytest.mark.integration
INDEX = "languages"


@pytest.fixture
def client(opensearch: Any) -> Iterator[OpenSearch]:
    made = connect(opensearch.url)
    try:
        yield made
    finally:
        ask(made, "DELETE", f"/{INDEX}", params={"ignore_unavailable": "true"})
        made.close()


def make(client: OpenSearch, code: str, *titles: str, synonyms: tuple[str, ...] = ()) -> None:
    """An index of titles in a language, their ids their places."""
    ask(client, "DELETE", f"/{INDEX}", params={"ignore_unavailable": "true"})
    language = LANGUAGES[code]
    index = settings([language], synonyms=bool(synonyms))
    if synonyms:
        about = {"type": "synonym_graph", "synonyms": list(synonyms), "synonym_analyzer": "mmsearch_plain"}
        index["analysis"]["filter"][SYNONYMS] = about
    mapping = {"title": text_field(language, exact=True), "description": text_field(language, long=True)}
    ask(client, "PUT", f"/{INDEX}", body={"settings": index, "mappings": {"properties": mapping}})
    for number, title in enumerate(titles):
        ask(client, "PUT", f"/{INDEX}/_doc/{number}", body={"title": title})
    ask(client, "POST", f"/{INDEX}/_refresh")


def found(client: OpenSearch, words: str, field: str = "title") -> list[str]:
    answer = ask(client, "POST", f"/{INDEX}/_search", body={"query": {"match": {field: words}}})
    return [hit["_id"] for hit in answer["hits"]["hits"]]


@pytest.mark.parametrize("synonyms", [False, True], ids=["", "synonyms"])
def test_the_node_takes_every_language(client: OpenSearch, *, synonyms: bool) -> None:
    index = settings(LANGUAGES.values(), synonyms=synonyms)
    if synonyms:
        about = {"type": "synonym_graph", "synonyms": ["sofa, couch"], "synonym_analyzer": "mmsearch_plain"}
        index["analysis"]["filter"][SYNONYMS] = about
    mapping = {code: text_field(language, exact=True) for code, language in LANGUAGES.items()}
    ask(client, "PUT", f"/{INDEX}", body={"settings": index, "mappings": {"properties": mapping}})
    title = "Sofa PowerShot usb3 15 \u6728\u306e\u6905\u5b50"
    document = dict.fromkeys(LANGUAGES, title)
    ask(client, "PUT", f"/{INDEX}/_doc/0", body=document, params={"refresh": "true"})
    for code in LANGUAGES:
        for words, field in (("powershot", code), ("power shot", code), ("sofa", f"{code}.exact")):
            assert found(client, words, field) == ["0"], (words, field)


def test_words_are_found_as_they_are_asked(client: OpenSearch) -> None:
    asked = {
        "en": (
            ("table", "Wooden tables"),
            ("kid cafe", "The kids' café chair"),
            ("lamp", "led_lamp"),
            ("shear", "HedgeShear"),
            ("usb4", "USB 4 hub"),
            ("MP 3", "mp3 player"),
            ("grey", "Gray rugs"),
        ),
        "de": (("stuhl", "Stühle aus Eiche"), ("SCHRAENKE", "Schränke")),
        "fr": (("armoires", "L'armoire à glace"), ("canape", "Canapé bleu")),
        "ru": (("деревянный стул", "Деревянные стулья"),),
        "es": (("jardin", "Sillas de jardín"),),
        "nl": (("stoel", "Houten stoelen"),),
        # Letters of their own are not folded.
        "sv": (("lampa", "Gröna lampor"), ("får", "far och mor"), ("far", "får")),
        "ja": (("椅子", "木の椅子"), ("箱", "青い箱")),
        "none": (("cafe", "Krzesło Café-Bar"), ("grey", "Gray rug")),
    }
    for code, pairs in asked.items():
        make(client, code, *(title for _, title in pairs))
        for number, (words, _) in enumerate(pairs):
            expected = [str(3 - number)] if code == "sv" and number else [str(number)]
            assert found(client, words) == expected, (code, words)


def test_synonyms_of_several_words_are_found(client: OpenSearch) -> None:
    make(client, "en", "Red sofas", "Desk", synonyms=("couch, sofa", "three piece suite => sofa"))
    assert found(client, "couches") == []
    assert found(client, "Couch") == ["0"]
    assert found(client, "three piece suite") == ["0"]
