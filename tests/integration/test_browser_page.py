"""The search page in a real browser: typed, dropped, clicked, two systems side by side."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sample_data import drawn
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from werkzeug.serving import make_server

from mmsearch.evaluation.ui.app import create
from mmsearch.search.bodies import search_body

from ..fakes.chromium import Browser, chromium, complaints, screenshot, until
from ..fakes.drawn_index import DrawnIndex

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn.write_catalog(tmp_path_factory.mktemp("drawn"))


@pytest.fixture
def page(browser: Browser, catalog: Path) -> Iterator[DrawnIndex]:
    """The page, open in the browser, over the drawn catalog."""
    index = DrawnIndex(catalog)
    server = make_server(
        "127.0.0.1", 0, create(search_body, index.search, catalog.parent, index="drawn"), threaded=True
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    browser.get(f"http://127.0.0.1:{server.server_port}/")
    complaints(browser)
    yield index
    severe = complaints(browser)
    browser.get("about:blank")
    server.shutdown()
    thread.join()
    server.server_close()
    assert not severe


def titles(browser: Browser, column: int = 0) -> list[str]:
    """The products' titles of one column, read at one moment."""
    script = """
        const column = document.querySelectorAll("#results .column")[arguments[0]];
        return column ? [...column.querySelectorAll(".card b")].map((each) => each.textContent) : [];"""
    return [text.split(". ", 1)[1] for text in browser.execute_script(script, column)]


def settled(browser: Browser, text: str) -> None:
    """Wait for the status line to say so."""
    until(browser, lambda b: text in b.find_element(By.ID, "status").text)


def test_words_are_typed_and_pictures_are_seen(browser: Browser, page: DrawnIndex) -> None:
    browser.switch_to.active_element.send_keys("red ball", Keys.ENTER)
    settled(browser, "hybrid, 50% dense: ")
    assert "Red ball" in titles(browser)
    pictures = browser.find_elements(By.CSS_SELECTOR, ".card img")
    until(
        browser,
        lambda b: all(b.execute_script("return arguments[0].naturalWidth", p) == 128 for p in pictures[:6]),
    )
    tags = [tag.text for tag in browser.find_elements(By.CSS_SELECTOR, ".card .tag")]
    assert any(tag.startswith("lexical #") for tag in tags)
    assert any(tag.endswith(" only") for tag in tags)
    screenshot(browser, "words")


def test_a_picture_is_dropped(browser: Browser, page: DrawnIndex, catalog: Path) -> None:
    data = base64.b64encode((catalog.parent / "pictures/purple-kite.png").read_bytes()).decode()
    browser.execute_script(
        """
        const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], "kite.png", { type: "image/png" }));
        for (const kind of ["dragenter", "dragover", "drop"]) {
          document.getElementById("drop").dispatchEvent(
            new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        data,
    )
    settled(browser, "neural: ")
    assert titles(browser)[0].startswith("Purple")
    asked = page.asked[-1]["query"]["neural"]["embedding"]
    assert asked["query_image"]
    assert "query_text" not in asked
    assert browser.find_element(By.ID, "preview").is_displayed()
    screenshot(browser, "picture")


def test_a_picture_is_chosen_with_words_and_cleared(
    browser: Browser, page: DrawnIndex, catalog: Path
) -> None:
    browser.find_element(By.ID, "text").send_keys("ball")
    browser.find_element(By.ID, "picture").send_keys(str(catalog.parent / "pictures/red-box.png"))
    settled(browser, "hybrid, 50% dense: ")
    dense = page.asked[-1]["query"]["hybrid"]["queries"][1]["neural"]["embedding"]
    assert dense["query_image"]
    assert dense["query_text"] == "ball"
    browser.find_element(By.ID, "clear").click()
    settled(browser, "Type words, drop a picture, or both.")
    assert titles(browser) == []
    assert not browser.find_element(By.ID, "preview").is_displayed()


def test_two_systems_stand_side_by_side(browser: Browser, page: DrawnIndex) -> None:
    browser.find_element(By.ID, "text").send_keys("ball")
    browser.find_element(By.ID, "compare").click()
    settled(browser, "; lexical: ")
    left, right = titles(browser, 0), titles(browser, 1)
    assert left != right
    assert "only here" in browser.find_element(By.ID, "results").text
    boxes = [each.rect for each in browser.find_elements(By.CSS_SELECTOR, "#results .column")]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < 2
    screenshot(browser, "side-by-side")


def test_mode_and_weight_change_what_is_asked(browser: Browser, page: DrawnIndex) -> None:
    browser.find_element(By.ID, "text").send_keys("green", Keys.ENTER)
    settled(browser, "hybrid, 50% dense: ")
    slider = browser.find_element(By.NAME, "a_weight")
    slider.send_keys(Keys.ARROW_RIGHT)
    settled(browser, "hybrid, 55% dense: ")
    weights = page.asked[-1]["query"]["hybrid"]["fusion"]["combination"]["parameters"]["weights"]
    assert weights == [0.45, 0.55]
    Select(browser.find_element(By.NAME, "a_mode")).select_by_visible_text("lexical")
    settled(browser, "lexical: ")
    assert "bool" in page.asked[-1]["query"]
    assert not slider.is_displayed()


def test_more_like_this_and_facets(browser: Browser, page: DrawnIndex) -> None:
    browser.find_element(By.ID, "text").send_keys("orange", Keys.ENTER)
    settled(browser, "hybrid, 50% dense: ")
    browser.find_element(By.CSS_SELECTOR, ".like").click()
    settled(browser, "neural: ")
    assert page.asked[-1]["query"]["neural"]["embedding"]["like"]["_id"].startswith("orange-")
    assert browser.find_element(By.ID, "like-title").text.startswith("Orange")
    facet = browser.find_element(By.CSS_SELECTOR, '.facet[data-value="box"]')
    facet.click()
    until(browser, lambda b: titles(b) == ["Orange box"])
    pressed = browser.find_element(By.CSS_SELECTOR, '.facet[data-value="box"]')
    assert pressed.get_attribute("aria-pressed") == "true"
    pressed.click()
    until(browser, lambda b: len(titles(b)) > 1)
