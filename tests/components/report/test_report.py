"""The report's page, in a real browser where there is one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from components.card import card
from components.corpus.report import CorpusReport
from components.evaluator.results import Evaluation, Result
from components.report import charts, facts, page
from components.tuner.results import Trial, Tuning
from tests import chromium
from word2vec.vocabulary import Vocabulary

WORDS = ["the", "tea", "coffee", "</script><b>", *(f"word{number}" for number in range(40))]


def make_result(name, section, measure, failed=(), **more):
    values = dict.fromkeys(
        f"{measure}{suffix}"
        for measure in (
            *("analogy_accuracy", "analogy_accuracy_top5", "cosmul_accuracy", "cosmul_accuracy_top5"),
            *("spearman_correlation", "pearson_correlation"),
        )
        for suffix in ("", "_lower", "_upper")
    )
    values = dict.fromkeys(values, float("nan"))
    for found in values:
        if found.startswith(measure[:7]):
            values[found] = 0.4 + (0.1 if found.endswith("_upper") else 0)
    values |= {"coverage": 0.9, "questions": 100.0, "score": 0.4}
    baseline = {**values, "spearman_correlation": 0.5}
    changes = {"change": -0.1, "change_lower": -0.2, "change_upper": -0.05, "significant_change": -0.1}
    facts = {"lower_bound": None, "absolute": None, "baseline": baseline, "changes": changes, **more}
    return Result(name, section, values=values, failed=tuple(failed), **facts)


def make_facts(**changes):
    evaluation = Evaluation(
        [
            make_result("pairs", None, "spearman_correlation", ["absolute"], lower_bound=0.3, absolute=-0.05),
            make_result("quads", None, "analogy_accuracy", lower_bound=0.2),
            make_result("quads", "capitals", "analogy_accuracy"),
            make_result("quads", "families", "analogy_accuracy"),
        ],
        True,
    )
    counts = np.array([5000 // (rank + 1) for rank in range(len(WORDS))])
    draw = np.random.default_rng(1)
    neighbours = np.array([[WORDS[(rank + step) % len(WORDS)] for step in range(1, 6)] for rank in range(len(WORDS))])
    made = {
        "card": card.ModelCard(
            name="trial",
            created="2026-01-02T03:04:05+00:00",
            words=len(WORDS),
            dimensions=16,
            blessed=False,
            reasons=evaluation.reasons,
            benchmarks=card.benchmarks_of(evaluation),
            baseline="runs/x/model/1",
            corpus=card.Corpus(paths=["a"], fingerprint="f00", documents=9, bytes=900, files=1, skipped=2),
            settings={"trainer": {"epochs": 5}},
            code=card.Code(version="1", fingerprint="c0de", commit=None, libraries={"tensorflow": "2"}),
        ),
        "evaluation": evaluation,
        "corpus": CorpusReport(1, 0, 9, 900, 0, {"not UTF-8": 2}, {}, []),
        "words": Vocabulary(WORDS, counts),
        "tokens": int(counts.sum()) * 2,
        "curves": {
            name: facts.Curve(np.arange(0, 1000, 100), np.linspace(5, 1, 10)) for name in ("loss", "words_per_second")
        },
        "scatters": {
            "pairs": facts.Scatter(np.array([1.0, 9]), np.array([0.1, 0.8]), [("tea", "coffee"), ("a", "tea")])
        },
        "neighbours": facts.Neighbours(neighbours, np.full(neighbours.shape, 0.5, np.float32)),
        "health": facts.Health({10: 0.5}, draw.random(len(WORDS)).astype(np.float32), {"the": 0.1, "tea": 0.05}),
        "places": draw.normal(size=(30, 2)),
        "durations": {"Trainer": 12.3},
        "notes": ["the last blessed model is not whole: <b>"],
    }
    return facts.Facts(**{**made, **changes})


def test_every_chart_has_its_place():
    made = make_facts()
    text = page.render(made)
    for name in charts.draw(made):
        assert f'<div class="chart" id="{name}"></div>' in text
    for part in (
        "Blocked: not pushed",
        "<li>the last blessed model is not whole: &lt;b&gt;</li>",
        "changed by -0.100",
        "900",
        "f00",
        "Trainer",
        "12.3",
        "50.0% of the text's",
        "<td>trainer.epochs<td>5",
    ):
        assert part in text


def test_what_is_missing_leaves_no_empty_place():
    made = make_facts(curves={}, scatters={}, durations={}, notes=[])
    made = dataclasses.replace(made, evaluation=Evaluation(made.evaluation.results[:1], True))
    text = page.render(made)
    assert 'class="chart"' in text
    assert 'id="notes"' not in text
    for name in ("loss", "sections", "scatter-pairs"):
        assert f'id="{name}"' not in text


def test_phrases_are_listed_where_there_are_any():
    assert "phrases" not in page.render(make_facts())
    words = [*WORDS[:-1], "new_york"]
    shown = page.render(make_facts(words=Vocabulary(words, np.arange(len(words), 0, -1))))
    assert "<dt>phrases<dd>1 of the words, the most frequent new_york" in shown


def test_no_word_of_the_text_becomes_markup():
    assert "</script><b>" not in page.render(make_facts()).replace("&lt;", "<").partition("plotly.js")[0]
    data = page.render(make_facts()).rpartition('id="data">')[2]
    assert "\\u003c/script>\\u003cb>" in data.partition("</script>")[0]


def test_the_charts_show_words_and_names_as_they_stand():
    odd = ["<b>x</b>", "a&lt;b", '<a href="javascript:1">y</a>', "2001", "2002"]
    made = make_facts()
    words = Vocabulary(odd, np.array([9, 8, 7, 6, 5]))
    evaluation = Evaluation(
        [
            make_result("<i>q", None, "analogy_accuracy", lower_bound=0.2),
            make_result("<i>q", "&amp;<br>", "analogy_accuracy"),
        ],
        True,
    )
    made = dataclasses.replace(
        made,
        words=words,
        evaluation=evaluation,
        places=made.places[:5],
        health=dataclasses.replace(made.health, hubs=dict.fromkeys(odd, 0.1)),
        scatters={"<i>q": facts.Scatter(np.ones(1), np.ones(1), [("<b>x</b>", "&amp;")])},
    )
    shown = []
    for chart in charts.draw(made).values():
        for trace in chart.data:
            for values in (trace.x, trace.y, trace["text"], getattr(trace, "customdata", None)):
                shown += [str(value) for row in ([] if values is None else values) for value in np.ravel(row)]
    assert {"&lt;b&gt;x&lt;/b&gt;", "a&amp;lt;b", "&lt;i&gt;q/&amp;amp;&lt;br&gt;"} <= set(shown)
    assert "&lt;b&gt;x&lt;/b&gt; and &amp;amp;" in shown
    assert not [text for text in shown if "<" in text or ">" in text]
    assert charts.draw(made)["hubs"].layout.yaxis.type == "category"


def make_tuned():
    settings = [
        {"dimensions": 100, "learning_rate": 0.01, "optimizer": "sgd", "remove_accidental_hits": True},
        {"dimensions": 200, "learning_rate": 0.1, "optimizer": "adagrad", "remove_accidental_hits": False},
        {"dimensions": 150, "learning_rate": 0.05, "optimizer": "sgd", "remove_accidental_hits": False},
    ]
    trials = [Trial(settings=each, score=0.5 - place / 10) for place, each in enumerate(settings)]
    made = make_facts()
    found = Tuning(settings=settings[0], score=0.5, trials=trials)
    return dataclasses.replace(made, card=made.card.model_copy(update={"tuning": found}))


def test_a_trial_is_a_line_through_its_settings_to_its_score():
    made = make_tuned()
    (lines,) = charts.draw(made)["trials"].data
    axes = {axis.label: axis for axis in lines.dimensions}
    assert list(axes) == ["dimensions", "learning_rate", "optimizer", "remove_accidental_hits", "score"]
    assert list(axes["score"]["values"]) == list(lines.line.color) == [0.5, 0.4, 0.3]
    assert list(axes["dimensions"]["values"]) == [100, 200, 150]
    assert axes["dimensions"].ticktext is None
    assert list(axes["learning_rate"]["values"]) == pytest.approx([-2, -1, np.log10(0.05)], abs=1e-4)
    assert axes["learning_rate"].ticktext[0] == "0.01"
    assert axes["learning_rate"].ticktext[-1] == "0.1"
    assert list(axes["optimizer"].ticktext) == ["adagrad", "sgd"]
    assert list(axes["optimizer"]["values"]) == [1, 0, 1]
    assert list(axes["remove_accidental_hits"].ticktext) == ["False", "True"]
    text = page.render(made)
    assert '<div class="chart" id="trials"></div>' in text
    assert "learning_rate 0.01, optimizer sgd" in text
    assert "the half of the questions that the trials were not judged by" in text
    assert "Tuning" not in page.render(make_facts())


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    (folder / "report.html").write_text(page.render(make_facts()), encoding="utf-8")
    with chromium.browser(folder) as driver:
        driver.get((folder / "report.html").as_uri())
        yield driver


def test_the_trials_are_drawn(tmp_path):
    """By WebGL, of which a browser without a graphics card complains, and draws it all the same."""
    (tmp_path / "report.html").write_text(page.render(make_tuned()), encoding="utf-8")
    with chromium.browser(tmp_path) as driver:
        driver.get((tmp_path / "report.html").as_uri())
        assert driver.execute_script("return document.body.dataset.ready") == "yes"
        assert len(driver.find_elements("css selector", "#trials .y-axis")) == 5
        assert [entry for entry in chromium.problems(driver) if entry["level"] == "SEVERE"] == []


def type_word(browser, word):
    field = browser.find_element("id", "word")
    field.clear()
    field.send_keys(word)
    return browser.find_element("id", "neighbours").text


def test_it_renders_without_errors_and_without_a_network(browser):
    assert browser.execute_script("return document.body.dataset.ready") == "yes"
    assert chromium.problems(browser) == []
    assert browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []
    empty = "return [...document.querySelectorAll('.chart')].filter(c => !c.querySelector('.trace')).map(c => c.id)"
    assert browser.execute_script(empty) == []
    assert len(browser.find_elements("class name", "chart")) == 8
    assert "Blocked" in browser.find_element("id", "verdict").text


def test_typing_a_word_shows_its_neighbours_and_marks_it(browser):
    assert type_word(browser, "Tea").splitlines()[0].startswith("coffee 0.50")
    assert browser.execute_script("return document.getElementById('map').data[1].text[0]") == "tea"
    browser.find_element("css selector", "#neighbours a").click()
    assert browser.find_element("id", "word").get_attribute("value") == "coffee"
    assert "</script><b>" in browser.find_element("id", "neighbours").text
    assert "is not among the 44 most frequent words" in type_word(browser, "xyzzy")


def test_it_fits_a_phone_and_the_dark(browser):
    from selenium.webdriver.support import wait

    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    )
    width = (
        "return Math.max(document.documentElement.scrollWidth, "
        "...[...document.querySelectorAll('.main-svg')].map(chart => chart.getBoundingClientRect().width))"
    )
    wait.WebDriverWait(browser, 10).until(lambda browser: browser.execute_script(width) <= 390)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 28)"
    assert browser.execute_script("return document.getElementById('loss').layout.font.color") == "#e6e6e6"
    assert chromium.problems(browser) == []
