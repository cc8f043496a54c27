"""In which language a catalog is, how its words are analysed, and what becomes of titles in several."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from mmsearch.errors import ArgumentError, MismatchError
from mmsearch.ingest.schema import analysis
from mmsearch.ingest.schema.fields import Schema, SchemaOptions, translated
from mmsearch.ingest.schema.languages import LANGUAGES, language_of
from mmsearch.ingest.schema.sample import schema_for
from mmsearch.products import language
from mmsearch.products.record import Line, Product, parse
from mmsearch.products.sampled import LINES, Sampled

from ..fakes.fake_opensearch import FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog
from ..fakes.reindexing import Shop, ingested

GERMAN = (
    "Ein Stuhl aus massiver Eiche mit gepolsterter Sitzfläche, der in jedes Esszimmer passt.",
    "Die Lampe leuchtet warm und lässt sich über einen Schalter an der Schnur bequem bedienen.",
    "Dieses Regal bietet viel Platz für Bücher und wird ohne Werkzeug innerhalb weniger Minuten aufgebaut.",
    "Der Teppich ist aus reiner Wolle gewebt und fühlt sich unter den Füßen angenehm weich an.",
    "Unser Schrank verbirgt Kleider, Schuhe und Koffer hinter drei Schiebetüren mit großen Spiegeln.",
)
ENGLISH = (
    "A chair of solid oak with an upholstered seat that fits into every dining room.",
    "The lamp gives a warm light and is switched on and off by a button on its cable.",
    "This shelf has a lot of room for books and is put together without tools within minutes.",
    "The rug is woven of pure wool and feels pleasantly soft under your feet.",
    "Our wardrobe hides clothes, shoes and suitcases behind three sliding doors with large mirrors.",
)


def lines(*records: dict[str, Any]) -> list[Line]:
    return [Line(number, orjson.dumps(record)) for number, record in enumerate(records, 1)]


@pytest.fixture
def said() -> list[str]:
    return []


def test_languages_are_told_from_enough_words() -> None:
    assert language.language_of(GERMAN) == "de"
    assert language.language_of(ENGLISH) == "en"
    assert (
        language.language_of(
            [
                "新しい木の椅子です。軽くて丈夫です。" * 3,
                "壁に掛ける時計で、音がしません。" * 9,
                *["とても静かな扇風機です。" * n for n in range(1, 9)],
            ]
        )
        == "ja"
    )
    assert language.language_of(["Oak chair", "Table"]) is None
    # What is said a thousand times is said once.
    assert language.language_of(f"oak chair {number % 7}" for number in range(1000)) is None


def test_a_catalogs_language_is_detected_and_said(said: list[str]) -> None:
    german = lines(*({"id": str(n), "title": "Stück", "description": text} for n, text in enumerate(GERMAN)))
    assert schema_for(german, None, SchemaOptions(), said.append) == Schema("de", types={})
    assert said == ["the products are in German; name another language by --language"]
    assert schema_for(german, None, SchemaOptions("fr"), said.append).language == "fr"
    assert schema_for(german, None, SchemaOptions(), said.append, Schema("it", ("fr",))) == Schema(
        "it", ("fr",), types={}
    )
    assert len(said) == 1
    few = lines({"id": "1", "title": "Oak chair"}, {"title": "without an id"})
    assert schema_for(few, None, SchemaOptions(), said.append).language == "none"
    assert said[1:] == [
        "the language of the products was not recognized; words are not stemmed; name it by --language"
    ]


def test_a_language_without_a_stemmer_is_named(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmsearch.ingest.schema.sample.language_of", lambda texts: "pl")
    assert schema_for(lines({"id": "1"}), None, SchemaOptions(), said.append) == Schema("none", types={})
    assert "the products are in 'pl', which OpenSearch has no stemmer for" in said[0]


@pytest.mark.parametrize(
    ("written", "code"), [("de", "de"), ("German", "de"), ("nb", "no"), ("pt_BR", "pt-br")]
)
def test_languages_have_codes_and_names(written: str, code: str) -> None:
    assert language_of(written).code == code


def test_an_unknown_language_is_one_sentence() -> None:
    with pytest.raises(
        ArgumentError, match=r"expected a language that OpenSearch analyses, none, ar, .*'xx'"
    ):
        language_of("xx")


def test_every_analyser_is_made_of_filters_that_are_there() -> None:
    built_in = {
        "apostrophe", "arabic_normalization", "asciifolding", "bengali_normalization", "cjk_width",
        "decimal_digit", "flatten_graph", "german_normalization", "hindi_normalization",
        "indic_normalization", "lowercase", "persian_normalization", "sorani_normalization",
    }  # fmt: skip
    for synonyms in (False, True):
        made = analysis.settings(LANGUAGES.values(), synonyms=synonyms)["analysis"]
        known = {*made["filter"], *built_in, *([analysis.SYNONYMS] if synonyms else [])}
        assert len(made["analyzer"]) == 3 * len(LANGUAGES) + synonyms
        for name, about in made["analyzer"].items():
            assert set(about["filter"]) <= known, name
            # No graph goes into an index, nor to the synonyms.
            if not name.endswith("_query") and "mmsearch_parts" in about["filter"]:
                assert "flatten_graph" in about["filter"], name
        english = [made["filter"].get(each, each) for each in made["analyzer"]["mmsearch_en"]["filter"]]
        assert english == [
            {"type": "stemmer", "language": "possessive_english"},
            {"type": "word_delimiter_graph", "preserve_original": True, "stem_english_possessive": False},
            *("flatten_graph", "lowercase"),
            {"type": "stop", "stopwords": "_english_"},
            {"type": "stemmer_override", "rules": ["gray=>grey"]},
            {"type": "stemmer", "language": "light_english"},
            "asciifolding",
        ]
        asked = made["analyzer"]["mmsearch_de_query"]["filter"]
        assert (analysis.SYNONYMS in asked) == synonyms


def test_a_new_index_has_the_languages_fields(tmp_path: Path) -> None:
    body: dict[str, Any] = {
        "settings": {"index": {}},
        "mappings": {
            "properties": {
                **{name: {"type": "text"} for name in ("title", "description", "brand")},
                "category": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
            }
        },
    }
    Schema("de", ("fr",)).apply(body)
    properties = body["mappings"]["properties"]
    assert properties["title"] == {
        "type": "text",
        "analyzer": "mmsearch_de",
        "search_analyzer": "mmsearch_de_query",
        "fields": {"exact": {"type": "text", "analyzer": "mmsearch_de_exact"}},
    }
    assert properties["description"]["similarity"] == "mmsearch_long"
    assert properties["description"]["fields"]["exact"]["similarity"] == "mmsearch_long"
    assert properties["category"]["fields"] == {"keyword": {"type": "keyword"}}
    french = properties["translations"]["properties"]["fr"]["properties"]
    assert french["title"] == {
        "type": "text", "analyzer": "mmsearch_fr", "search_analyzer": "mmsearch_fr_query"
    }  # fmt: skip
    index = body["settings"]["index"]
    assert {"mmsearch_de", "mmsearch_fr_query"} <= set(index["analysis"]["analyzer"])
    assert index["similarity"] == {"mmsearch_long": {"type": "BM25", "b": 0.4}}


def read(record: dict[str, Any], language: str | None = None) -> Product:
    return parse(Line(1, orjson.dumps({"id": "1", **record})), None, language)


@pytest.mark.parametrize(
    "record",
    [
        {"title": {"en": "Chair", "de": "Stuhl"}},
        {"title.en": "Chair", "title.de": "Stuhl"},
        {"title_en": "Chair", "title_de": "Stuhl"},
        {"title_EN": "Chair", "title_de": "Stuhl"},
    ],
)
def test_a_title_in_several_languages_is_taken_in_the_indexs_own(record: dict[str, Any]) -> None:
    assert read(record).title == read(record, "en").title == "Chair"
    german = read(record, "de")
    assert german.title == "Stuhl"
    fields = Schema("de", ("en",)).split(german.attributes).fields()
    assert fields == {"translations": {"en": {"title": "Chair"}}}
    assert translated(fields) == {"title_en": "Chair"}
    # A language without analysers stays what it was: an attribute.
    assert list(Schema("de").split(german.attributes).fields()) == ["attributes"]


def test_a_title_stays_where_there_is_one() -> None:
    found = read({"title": "Chair", "title_de": "Stuhl", "title_id": 7, "titles": "x"}, "de")
    assert (found.title, found.attributes) == ("Chair", {"title_de": "Stuhl", "title_id": 7, "titles": "x"})


def test_translations_are_told_from_other_columns(said: list[str]) -> None:
    both = lines({"id": "1", "title": "Chair", "title_de": "Stuhl", "description_fr": "Une chaise"})
    assert schema_for(both, None, SchemaOptions("en"), said.append).translations == ("de", "fr")
    lone = lines(*({"id": str(n), "title": "x", "title_de": text} for n, text in enumerate(GERMAN)))
    assert schema_for(lone, None, SchemaOptions("en"), said.append).translations == ("de",)
    column = lines(*({"id": str(n), "title": text, "title_id": f"T-{n}"} for n, text in enumerate(ENGLISH)))
    assert schema_for(column, None, SchemaOptions("en"), said.append).translations == ()


def test_a_sample_stays_to_be_read() -> None:
    class Source:
        closed = False

        def __iter__(self) -> Iterator[Line]:
            return (Line(number, b"{}") for number in range(LINES + 5))

        def share(self) -> float:
            return 0.5

        def close(self) -> None:
            self.closed = True

    source = Source()
    sampled = Sampled(source)
    assert [line.number for line in sampled.first()] == list(range(LINES))
    assert [line.number for line in sampled] == list(range(LINES + 5))
    assert sampled.share() == 0.5
    sampled.close()
    assert source.closed


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton() as triton, FakeOpenSearch() as node:
        yield Catalog(tmp_path, triton, node)


def test_a_feed_in_several_languages_is_kept_and_changed(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": {"en": text, "de": GERMAN[n]}} for n, text in enumerate(ENGLISH)))
    assert catalog.ingest().indexed == 5
    meta = catalog.node.indices["products-000001"]["mappings"]["_meta"]["mmsearch"]
    assert meta["schema"] == {"language": "en", "translations": ["de"]}
    source = catalog.node.sources()["1"]
    assert source["title"] == ENGLISH[1]
    assert source["translations"] == {"de": {"title": GERMAN[1]}}
    assert "attributes" not in source
    calls = len(catalog.triton.calls)
    catalog.write({"id": "1", "title_de": "Leuchte"})
    assert catalog.ingest(partial=True).indexed == 1
    assert catalog.node.sources()["1"]["translations"] == {"de": {"title": "Leuchte"}}
    assert len(catalog.triton.calls) == calls
    catalog.write({"id": "1", "title": {"en": "Lamp"}})
    assert catalog.ingest(partial=True).indexed == 1
    source = catalog.node.sources()["1"]
    assert (source["title"], source["translations"]) == ("Lamp", {"de": {"title": "Leuchte"}})


def test_another_language_for_an_index_that_is_there_is_refused(catalog: Catalog) -> None:
    catalog.write(*({"id": str(n), "title": text} for n, text in enumerate(ENGLISH)))
    catalog.ingest()
    catalog.ingest(schema=SchemaOptions("en"))
    with pytest.raises(MismatchError, match=r"--language de, got en; .* mmsearch reindex --language de"):
        catalog.ingest(schema=SchemaOptions("de"))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with ingested(tmp_path, monkeypatch) as made:
        yield made


def test_reindex_brings_an_index_of_before_to_its_language(shop: Shop) -> None:
    old = shop.node.indices["products-000001"]
    del old["mappings"]["_meta"]["mmsearch"]["schema"]
    del old["settings"]["index"]["analysis"], old["settings"]["index"]["similarity"]
    for name in ("title", "description", "category", "brand"):
        for key in ("analyzer", "search_analyzer", "similarity"):
            old["mappings"]["properties"][name].pop(key, None)
    shop.run("reindex", "--language", "german")
    new = shop.node.indices["products-000002"]
    assert new["mappings"]["_meta"]["mmsearch"]["schema"] == {"language": "de", "translations": []}
    assert new["mappings"]["properties"]["title"]["analyzer"] == "mmsearch_de"
    assert new["mappings"]["properties"]["category"]["fields"]["keyword"]["type"] == "keyword"
    assert "mmsearch_de_query" in new["settings"]["index"]["analysis"]["analyzer"]
    shop.run("reindex")
    newest = shop.node.indices["products-000003"]
    assert newest["mappings"]["properties"]["title"]["search_analyzer"] == "mmsearch_de_query"
