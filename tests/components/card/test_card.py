from __future__ import annotations

import markdown_it
import pytest

from components.card import card
from components.tuner.results import Trial, Tuning

ODD = [
    "a|b", "`", "``a`b", "a\nb", "<script>alert(1)</script>", "*a*", "_a_", "google_analogies", "[a](http://b)",
    "&lt;", "a\\|b", "\\", " a ", "~~a~~", "<http://a>", "![a](b)", "\x1b[2J", "# a", "__a__b__", "- a", "+ a",
]  # fmt: skip


def make(name: str) -> card.ModelCard:
    """A card with a text in each place that takes somebody's."""
    benchmark = card.Benchmark(
        name=name, measure="spearman_correlation", score=0.5, interval=None, coverage=1, lower_bound=None,
        baseline_score=None, change=None, change_interval=None, least_change=None, passed=True,
    )  # fmt: skip
    return card.ModelCard(
        name=name, created="2026", words=5, dimensions=2, blessed=False, reasons=[f"{name} is low"],
        benchmarks=[benchmark], baseline=name, settings={"trainer": {"epochs": name}},
        corpus=card.Corpus(paths=[name, name], fingerprint="f", documents=1, bytes=1, files=1, skipped=0),
        code=card.Code(version="1", fingerprint="c", commit=None, libraries={}),
    )  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_names_are_shown_as_they_stand(name):
    tokens = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(make(name).markdown())
    inline = [token for token in tokens if token.type == "inline"]
    kinds = {child.type for token in inline for child in token.children} | {token.type for token in tokens}
    assert not {"html_inline", "html_block", "link_open", "image", "em_open", "strong_open", "s_open"} & kinds
    texts = ["".join(child.content for child in token.children) for token in inline]
    shown = name.replace("\n", "\\n").replace("\x1b", "\\x1b")
    heading, row = f"Word vectors: {shown}".strip(), [shown.strip(), "spearman_correlation"]
    assert texts[0] == heading
    assert f"{shown} is low".lstrip() in texts
    assert any(texts[place : place + 2] == row for place in range(len(texts)))
    assert texts[texts.index("trainer.epochs") + 1] == shown
    assert any(f"skipped: {shown}, {shown}" in text for text in texts)


@pytest.mark.parametrize(
    ("trainer", "name"),
    [({"architecture": "cbow"}, "CBOW"), ({"architecture": "skipgram"}, "skip-gram"), ({}, "skip-gram")],
)
def test_the_architecture_is_named(trainer, name):
    made = make("a").model_copy(update={"settings": {"trainer": trainer}})
    assert f"5 words, 2 dimensions; {name}. Made 2026." in made.markdown()


def test_it_says_of_how_many_questions_a_word_was_composed():
    made = make("pairs")
    assert "| 100% |" in made.markdown()
    judged = made.benchmarks[0].model_copy(update={"composed": 1234})
    assert "| 100%, 1,234 composed |" in made.model_copy(update={"benchmarks": [judged]}).markdown()


def test_it_tells_what_was_tuned_and_that_the_gate_judged_by_other_questions():
    assert "Tuning" not in make("a").markdown()
    best = {"learning_rate": 0.0123456, "optimizer": "sgd"}
    found = Tuning(settings=best, score=0.4321, trials=[Trial(settings=best, score=0.4321)] * 7)
    told = make("a").model_copy(update={"tuning": found})
    assert "learning_rate 0.01235, optimizer sgd: the best of 7 trials, with a score of 0.432." in told.markdown()
    assert "the half of the questions that the trials were not judged by" in told.markdown()
    assert card.ModelCard.model_validate_json(told.model_dump_json()) == told
