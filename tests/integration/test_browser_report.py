"""The report in a real browser: offline, by keyboard, light, dark and in print."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sample_data import drawn
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from mmsearch.evaluation.judgments import Judgments, Query
from mmsearch.evaluation.live import Answers
from mmsearch.evaluation.measures import suite
from mmsearch.evaluation.report.cards import Thumbnails
from mmsearch.evaluation.report.page import render
from mmsearch.evaluation.study import Study
from mmsearch.search.hits import Hit

from ..fakes.chromium import Browser, chromium, complaints, requested, screenshot, until
from ..fakes.drawn_index import products

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn.write_catalog(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def report(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report over two systems and four queries of the drawn catalog."""
    items = products(catalog)
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
    pictures = Thumbnails(catalog.parent)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(study, product_pictures=pictures, query_pictures=pictures), encoding="utf-8")
    return path


def focused(browser: Browser) -> WebElement:
    return browser.switch_to.active_element


def test_the_report_opens_without_asking_for_anything(browser: Browser, report: Path) -> None:
    requested(browser)
    complaints(browser)
    browser.get(report.as_uri())
    time.sleep(0.5)
    assert {address for address in requested(browser) if not address.startswith("data:")} == {report.as_uri()}
    assert not complaints(browser)
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
