"""The names of the colours that a product's image has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.fakes.fake_opensearch import FakeOpenSearch
from tests.fakes.fake_triton import FakeTriton
from tests.fakes.ingesting import Catalog, picture

from mmsearch.clients.opensearch import connect
from mmsearch.images.colours.dominant import NAMES, SAMPLES, _lab, dominant_colours
from mmsearch.images.colours.names import _WORDS, in_language
from mmsearch.ingest.schema.languages import LANGUAGES
from mmsearch.search.bodies import search_body
from mmsearch.search.lexical import name_of, store, template

RED, BLUE, WHITE, GREY = (220, 20, 30), (20, 60, 200), (255, 255, 255), (120, 120, 120)


def image(product: tuple[int, int, int], ground: tuple[int, int, int] = WHITE) -> NDArray[np.uint8]:
    """A square of the product's colour, a quarter of the image, in the middle of the ground."""
    pixels = np.full((80, 100, 3), ground, np.uint8)
    pixels[20:60, 25:75] = product
    return pixels


def test_lab_is_that_of_the_standard() -> None:
    """Values of sRGB's primaries by B. Lindbloom's calculator, D65."""
    given = np.array([[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]], np.uint8)
    wanted = [[100, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [0, 0, 0]]
    np.testing.assert_allclose(_lab(given), wanted, atol=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_each_sample_has_its_name(name: str) -> None:
    for sample in SAMPLES[name].split():
        colour = tuple(bytes.fromhex(sample))
        assert dominant_colours(np.full((30, 30, 3), colour, np.uint8))[0] == name, sample


@pytest.mark.parametrize("ground", [WHITE, GREY, BLUE])
def test_the_background_is_left_out(ground: tuple[int, int, int]) -> None:
    assert dominant_colours(image(RED, ground)) == ("red",)


def test_a_white_product_on_white_is_white() -> None:
    assert dominant_colours(np.full((60, 60, 3), 255, np.uint8)) == ("white",)


def test_a_hole_in_the_product_is_no_background() -> None:
    """White that the border cannot be reached from belongs to the product."""
    pixels = image(RED)
    pixels[25:55, 32:68] = WHITE
    assert set(dominant_colours(pixels)) == {"white", "red"}


def test_two_colours_are_named_by_their_shares() -> None:
    pixels = image(RED)
    pixels[20:60, 25:40] = BLUE
    assert dominant_colours(pixels) == ("red", "blue")


def test_a_scene_has_no_background() -> None:
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[:, :30], pixels[:, 30:] = RED, BLUE
    assert set(dominant_colours(pixels)) == {"red", "blue"}


def test_every_language_names_every_colour() -> None:
    assert set(_WORDS) <= set(LANGUAGES)
    for language, words in _WORDS.items():
        assert len(words.split()) == len(NAMES), language
    assert in_language(("red", "white"), "de") == ("rot", "weiß")
    assert in_language(("red", "white"), "ja") == ("赤", "白")
    for other in ("en", "", "sv"):
        assert in_language(("red",), other) == ("red",)


def sources(node: FakeOpenSearch) -> dict[str, Any]:
    return node.documents["products-000001"]


def test_ingest_writes_the_colours_of_the_image_and_keeps_them_with_it(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(picture("red"))
    (tmp_path / "blue.png").write_bytes(picture("blue"))
    with FakeTriton() as triton, FakeOpenSearch() as node:
        catalog = Catalog(tmp_path, triton, node)
        product = {"id": "a", "title": "kettle for tea", "image": "red.png", "price": 1}
        catalog.write(product, {"id": "b", "title": "a kettle without an image"})
        catalog.ingest()
        assert sources(node)["a"]["image_colours"] == ["red"]
        assert "image_colours" not in sources(node)["b"]
        mapping = node.indices["products-000001"]["mappings"]["properties"]["image_colours"]
        assert mapping["type"] == "text"
        catalog.write({**product, "price": 2})
        catalog.ingest()
        assert (sources(node)["a"]["price"], sources(node)["a"]["image_colours"]) == (2, ["red"])
        catalog.write({**product, "image": "blue.png"})
        catalog.ingest()
        assert sources(node)["a"]["image_colours"] == ["blue"]
        catalog.write({"id": "a", "title": "kettle for tea"})
        catalog.ingest()
        assert "image_colours" not in sources(node)["a"]


def earlier(*without: str) -> dict[str, Any]:
    """The search template of before colours, without some fields."""
    words = template()["query"]["bool"]["must"][0]["multi_match"]
    fields = [field for field in words["fields"] if not field.startswith(without)]
    return {"query": {"multi_match": {**words, "fields": fields}}}


def test_the_default_query_ranks_by_the_colours_of_images() -> None:
    """They rank what the words find, and find nothing themselves."""
    leg = search_body("red kettle", mode="hybrid")["query"]["hybrid"]["queries"][0]["bool"]
    assert [each["multi_match"]["query"] for each in leg["must"]] == ["red kettle"]
    assert leg["should"] == [{"match": {"image_colours": {"query": "red kettle", "boost": 4}}}]
    assert leg["_name"] == "lexical"


@pytest.mark.parametrize(
    ("stored", "replaced"),
    [
        (None, True),
        (earlier(), True),
        (earlier("attribute_words"), True),
        (earlier("brand"), False),
        (template(), False),
        ("{{#toJson}}query{{/toJson}}", False),
    ],
    ids=["none", "before colours", "before attributes", "changed", "this one", "not json"],
)
def test_an_earlier_releases_template_is_replaced_and_a_changed_one_is_not(
    stored: Any, *, replaced: bool
) -> None:
    with FakeOpenSearch() as node, connect(node.url) as client:
        name = name_of("products")
        if stored is not None:
            node.scripts[name] = stored
        store(client, "products")
        assert node.scripts[name] == (template() if replaced else stored)
