"""The report as one HTML page, which needs nothing else: no network, no other file."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

import jinja2
from plotly import offline

from components.card import card
from components.evaluator import metrics
from components.evaluator.results import interval_text
from components.report import charts
from components.report.facts import Facts
from word2vec import tuning

_FOLDER = pathlib.Path(__file__).parent


def render(facts: Facts) -> str:
    """The page."""
    drawn = {name: json.loads(chart.to_json(engine="json")) for name, chart in charts.draw(facts).items()}
    listed = facts.words.words[: len(facts.neighbours.words)]
    pairs = [pair for scatter in facts.scatters.values() for pair in scatter.words]
    data = {
        "charts": drawn,
        "places": facts.places.round(3).tolist(),
        "words": listed,
        "neighbours": [
            [[word, round(float(cosine), 3)] for word, cosine in zip(words, cosines, strict=True)]
            for words, cosines in zip(facts.neighbours.words.tolist(), facts.neighbours.cosines, strict=True)
        ],
        "first": next((pair[0] for pair in pairs if pair[0] in listed), ""),
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_read("page.html.j2")).render(
        card=facts.card,
        corpus=facts.corpus,
        health=facts.health,
        neighbours=facts.neighbours,
        on_map=len(facts.places),
        charts=drawn,
        scatters=list(facts.scatters),
        unjudged=facts.evaluation.unjudged,
        measures=_measures(facts),
        tokens=facts.tokens,
        covered=int(facts.words.counts.sum()) / max(facts.tokens, 1),
        most_frequent=facts.words.words[:30],
        phrases=facts.words.phrases,
        durations=facts.durations,
        notes=facts.notes,
        changes=facts.changes,
        settings=card.flat(facts.card.settings),
        number=_number,
        tuned=tuning.text,
        halves=card.HALVES,
        interval=interval_text,
        style=_read("page.css"),
        script=_read("page.js"),
        plotly=offline.get_plotlyjs(),
        data=_json(data),
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _json(data: Any) -> str:
    """JSON that can stand in a page's script element: no word of the text can end it."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _measures(facts: Facts) -> list[tuple[str, str, float, tuple[float, float]]]:
    """Every measure of every benchmark that is not its score already."""
    rows = []
    for result in facts.evaluation.benchmarks:
        for names in metrics.MEASURES.values():
            for name in names[1:]:
                if not math.isnan(result.values[name]):
                    bounds = result.values[name + metrics.LOWER], result.values[name + metrics.UPPER]
                    rows.append((result.name, name.replace("_", " "), result.values[name], bounds))
    return rows


def _number(value: float | None, form: str = ".3f") -> str:
    return "" if value is None or math.isnan(value) else format(value, form)
