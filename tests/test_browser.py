"""The search page and the report in a real browser: typed, dropped, clicked, by keyboard, light and dark,
offline."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait
from werkzeug.serving import make_server

from mmsearch.cli.search import question
from mmsearch.evaluate.app import create
from mmsearch.evaluate.cards import Thumbnails
from mmsearch.evaluate.judgments import Judgments, Query
from mmsearch.evaluate.live import Answers, Hit
from mmsearch.evaluate.measures import suite
from mmsearch.evaluate.report import render
from mmsearch.evaluate.study import Study
from mmsearch.stack import drawn

pytestmark = pytest.mark.integration
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,1600",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
Browser = webdriver.Chrome


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    subprocess.run([str(Path(__file__).with_name("browser.sh"))], check=True)
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn.write_catalogue(tmp_path_factory.mktemp("drawn"))


def products(catalogue: Path) -> dict[str, dict[str, Any]]:
    lines = catalogue.read_text(encoding="utf-8").splitlines()
    return {product["id"]: product for product in map(json.loads, lines)}


class DrawnIndex:
    """Answers as the plugin does, by plain rules: words in the title, the picture's main colour, likeness of
    ids."""

    def __init__(self, catalogue: Path) -> None:
        self.products = products(catalogue)
        self.asked: list[dict[str, Any]] = []

    def search(self, body: dict[str, Any]) -> Mapping[str, Any]:
        self.asked.append(body)
        query = body["query"]
        hybrid = "hybrid" in query
        lexical = query["hybrid"]["queries"][0] if hybrid else query.get("bool", {}).get("must", [{}])[0]
        dense = (
            query["hybrid"]["queries"][1]["neural"]["embedding"]
            if hybrid
            else query.get("neural", {}).get("embedding")
        )
        words = lexical.get("multi_match", {}).get("query", "").lower().split()
        legs: dict[str, list[str]] = {}
        if words:
            legs["lexical"] = [
                i for i, p in self.products.items() if set(words) & set(p["title"].lower().split())
            ]
        if dense:
            legs["dense"] = self._near(dense)
        order = list(dict.fromkeys(product for found in reversed(legs.values()) for product in found))
        if "black" in json.dumps(query.get("bool", {}).get("filter", [])):
            order = []
        wanted = [v for f in _terms(query) for v in f.values()]
        order = [product for product in order if not wanted or self.products[product]["category"] in wanted]
        return {
            "took": 3,
            "hits": {
                "hits": [self._hit(product, legs if hybrid else {}) for product in order[: body["size"]]]
            },
            "aggregations": {
                "category": {"buckets": [{"key": shape, "doc_count": 8} for shape in drawn.SHAPES[:3]]},
                "brand": {"buckets": []},
            },
        }

    def _near(self, dense: dict[str, Any]) -> list[str]:
        if "like" in dense:
            colour = dense["like"]["_id"].split("-")[0]
        elif dense.get("query_image"):
            colour = "purple"
        else:
            colour = next((c for c in drawn.COLOURS if c in dense.get("query_text", "")), "red")
        return [product for product, about in self.products.items() if about["colour"] == colour]

    def _hit(self, product: str, legs: Mapping[str, list[str]]) -> dict[str, Any]:
        found = [name for name, ids in legs.items() if product in ids]
        evidence = [
            {
                "name": name,
                "rank": legs[name].index(product) + 1,
                "score": 0.9,
                "normalized": 1.0,
                **({"only": True} if len(found) == 1 else {}),
            }
            for name in found
        ]
        return {
            "_id": product,
            "_score": 0.5,
            "_source": self.products[product],
            "fields": {"_legs": evidence},
        }


def _terms(node: Any) -> list[dict[str, str]]:
    if isinstance(node, dict):
        own = [node["term"]] if "term" in node else []
        return own + [term for value in node.values() for term in _terms(value)]
    return [term for item in node for term in _terms(item)] if isinstance(node, list) else []


@pytest.fixture
def page(browser: Browser, catalogue: Path) -> Iterator[DrawnIndex]:
    """The page, open in the browser, over the drawn catalogue."""
    index = DrawnIndex(catalogue)
    server = make_server(
        "127.0.0.1", 0, create(question, index.search, catalogue.parent, index="drawn"), threaded=True
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    browser.get(f"http://127.0.0.1:{server.server_port}/")
    browser.get_log("browser")
    yield index
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.get("about:blank")
    server.shutdown()
    thread.join()
    server.server_close()
    assert not severe


def until(browser: Browser, condition: Callable[[Browser], Any]) -> Any:
    return WebDriverWait(browser, 20, 0.05).until(condition)


def titles(browser: Browser, column: int = 0) -> list[str]:
    """The products' titles of one column, read at one moment."""
    script = """
        const column = document.querySelectorAll("#results .column")[arguments[0]];
        return column ? [...column.querySelectorAll(".card b")].map((each) => each.textContent) : [];"""
    return [text.split(". ", 1)[1] for text in browser.execute_script(script, column)]


def settled(browser: Browser, text: str) -> None:
    """Wait for the status line to say so."""
    until(browser, lambda b: text in b.find_element(By.ID, "status").text)


def screenshot(browser: Browser, name: str) -> None:
    """Kept where MMSEARCH_SCREENSHOTS says, for people to look at."""
    folder = os.environ.get("MMSEARCH_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


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


def test_a_picture_is_dropped(browser: Browser, page: DrawnIndex, catalogue: Path) -> None:
    data = base64.b64encode((catalogue.parent / "pictures/purple-kite.png").read_bytes()).decode()
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
    browser: Browser, page: DrawnIndex, catalogue: Path
) -> None:
    browser.find_element(By.ID, "text").send_keys("ball")
    browser.find_element(By.ID, "picture").send_keys(str(catalogue.parent / "pictures/red-box.png"))
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


@pytest.fixture(scope="module")
def report(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report over two systems and four queries of the drawn catalogue."""
    items = products(catalogue)
    judgments = Judgments()
    answered = {name: Answers(name) for name in ("bm25", "hybrid")}
    for colour in ("red", "blue", "green", "black"):
        query = Query(colour, colour, f"pictures/{colour}-ball.png" if colour == "blue" else None)
        for product, about in items.items():
            judgments.add(query, product, label="E" if about["colour"] == colour else "I")
        exact = [product for product, about in items.items() if about["colour"] == colour]
        other = [product for product, about in items.items() if about["category"] == "ball"]
        for name, order in (("bm25", other), ("hybrid", exact + other)):
            unique = list(dict.fromkeys(order))[:8]
            answered[name].hits[query.id] = [Hit(p, 1.0 - n / 10, items[p]) for n, p in enumerate(unique)]
            answered[name].took[query.id] = 2.0
    study = Study(
        judgments, [a.run for a in answered.values()], suite(judgments), "bm25", 10, answers=answered
    )
    pictures = Thumbnails(catalogue.parent)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(study, product_pictures=pictures, query_pictures=pictures), encoding="utf-8")
    return path


def requested(browser: Browser) -> list[str]:
    """The addresses that pages have asked for since the last call."""
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def focused(browser: Browser) -> WebElement:
    return browser.switch_to.active_element


def test_the_report_opens_without_asking_for_anything(browser: Browser, report: Path) -> None:
    requested(browser)
    browser.get_log("browser")
    browser.get(report.as_uri())
    time.sleep(0.5)
    assert {address for address in requested(browser) if not address.startswith("data:")} == {report.as_uri()}
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    images = browser.find_elements(By.CSS_SELECTOR, "details[open] .card img")
    assert len(images) == 16
    for column in browser.find_elements(By.CSS_SELECTOR, "details[open] .columns > section"):
        right = column.rect["x"] + column.rect["width"]
        cards = column.find_elements(By.CSS_SELECTOR, ".card")
        assert all(each.rect["x"] + each.rect["width"] <= right + 1 for each in cards)
    browser.execute_script("arguments[0].scrollIntoView()", images[0])
    until(browser, lambda b: b.execute_script("return arguments[0].naturalWidth", images[0]) > 0)
    screenshot(browser, "report")


def test_the_report_is_usable_by_keyboard(browser: Browser, report: Path) -> None:
    browser.get(report.as_uri())
    queries = browser.find_elements(By.CSS_SELECTOR, "details.query")
    assert [each.get_attribute("open") is not None for each in queries] == [True, False, False, False]
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys("j")
    body.send_keys("j")
    assert focused(browser).tag_name == "summary"
    focused(browser).send_keys("o")
    until(browser, lambda b: queries[1].get_attribute("open") is not None)
    focused(browser).send_keys(Keys.SPACE)
    until(browser, lambda b: queries[1].get_attribute("open") is None)
    focused(browser).send_keys("k")
    assert focused(browser).find_element(By.XPATH, "..") == queries[0]
    box = browser.find_element(By.ID, "filter")
    box.send_keys("bl")
    until(browser, lambda b: b.find_element(By.ID, "count").text == "2 of 4 queries")
    rows = [
        row.text.split()[0]
        for row in browser.find_elements(By.CSS_SELECTOR, "#per-query tbody tr")
        if row.is_displayed()
    ]
    assert sorted(rows) == ["black", "blue"]


def test_light_and_dark_and_print(browser: Browser, report: Path) -> None:
    browser.get(report.as_uri())

    def ink_and_paper() -> tuple[str, str]:
        style = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
        ink, paper = browser.execute_script(style)
        return ink, paper

    def emulate(**features: str) -> None:
        listed = [{"name": "prefers-color-scheme", "value": features.get("scheme", "")}]
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": features.get("media", ""), "features": listed}
        )

    emulate(scheme="light")
    light = ink_and_paper()
    emulate(scheme="dark")
    dark = ink_and_paper()
    screenshot(browser, "report-dark")
    emulate(media="print", scheme="light")
    assert ink_and_paper() == ("rgb(0, 0, 0)", "rgb(255, 255, 255)")
    assert not browser.find_element(By.CSS_SELECTOR, "nav").is_displayed()
    emulate()
    assert _luminance(light[0]) < 0.2 < 0.8 < _luminance(light[1])
    assert _luminance(dark[1]) < 0.2 < 0.7 < _luminance(dark[0])


def _luminance(colour: str) -> float:
    red, green, blue = (int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
