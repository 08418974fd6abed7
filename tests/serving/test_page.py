"""The server's page, in a real browser."""

from __future__ import annotations

import pytest
from selenium.webdriver.support.wait import WebDriverWait

from serving.client import Embeddings
from tests import chromium
from tests.serving.conftest import WORDS


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    with chromium.browser(tmp_path_factory.mktemp("page")) as driver:
        driver.get(server.rest)
        yield driver


def until(page, condition):
    return WebDriverWait(page, 30).until(lambda _: condition())


def ask(page, form, **words):
    for name, word in words.items():
        field = page.find_element("css selector", f"#{form} [name={name}]")
        field.clear()
        field.send_keys(word)
    page.find_element("css selector", f"#{form} button").click()


def listed(page, name):
    script = f"return [...document.querySelectorAll('#{name} li')].map(item => item.innerText)"
    return [text.split() for text in page.execute_script(script)]


def test_neighbours(page, server):
    ask(page, "similar", words="Tea")
    until(page, lambda: len(listed(page, "neighbours")) == 10)
    with Embeddings(server.rest) as words:
        assert listed(page, "neighbours") == [[f"{score:.3f}", word] for word, score in words.most_similar("tea")]
    ask(page, "similar", words="<b>")
    until(page, lambda: listed(page, "neighbours") == [["unknown:", "<b>"]])


def test_words_can_be_added_and_taken_off(page, server):
    ask(page, "similar", words=" king woman  -man ")
    until(page, lambda: listed(page, "neighbours") and listed(page, "neighbours")[0][1] == "queen")
    with Embeddings(server.rest) as words:
        expected = words.most_similar(["king", "woman"], ["man"])
    assert listed(page, "neighbours") == [[f"{score:.3f}", word] for word, score in expected]
    ask(page, "similar", words="king -nothing")
    until(page, lambda: listed(page, "neighbours") == [["unknown:", "one", "of", "these", "words"]])


def test_analogy(page):
    ask(page, "analogy", a="man", b="king", c="woman")
    until(page, lambda: listed(page, "answers") and listed(page, "answers")[0][1] == "queen")


def test_the_map_has_the_words(page):
    until(page, lambda: page.find_elements("css selector", "#map .trace"))
    assert page.execute_script("return document.getElementById('map').data[0].hovertext") == WORDS


def test_the_version_is_told_and_nothing_failed(page, server):
    assert page.find_element("id", "status").text == "version 7"
    assert chromium.problems(page) == []
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert all(name.startswith((server.rest, "data:")) for name in loaded)


def test_it_fits_a_phone(page):
    size = {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    until(page, lambda: page.execute_script("return document.documentElement.scrollWidth") <= 390)
