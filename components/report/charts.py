"""The report's charts, drawn by Plotly. Colours and fonts come from the page, which knows if it is dark."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from components.evaluator.results import Result
from components.report.facts import Curve, Facts, Health, Scatter
from components.tuner.results import Tuning
from word2vec.vocabulary import Vocabulary

BLUE, ORANGE, GREEN, RED, GREY = "#4477aa", "#ee7733", "#228833", "#cc3311", "#888888"

# Of how many times the least value an axis is logarithmic, and how many ticks it has then.
_FAR, _TICKS = 5, 5

# Of an axis with names: else Plotly takes 2001 for a number, and 2001-02-03 for a date.
_NAMES = {"type": "category"}


def draw(facts: Facts) -> dict[str, go.Figure]:
    """All charts, by the name of their place on the page; without those for which there is nothing to draw."""
    judged = [result for result in facts.evaluation.results if result.has_threshold]
    sections = [result for result in facts.evaluation.results if result.section and "analogy" in result.measure]
    charts = {
        "thresholds": _thresholds(judged) if judged else None,
        "trials": _trials(facts.card.tuning) if facts.card.tuning else None,
        "sections": _sections(sections) if sections else None,
        "map": _map(facts.words, facts.places),
        "loss": _training(facts.curves.get("loss"), facts.curves.get("words_per_second")),
        "spans": _spans(facts.corpus.spans) if len(facts.corpus.spans) > 1 else None,
        "frequencies": _frequencies(facts.words),
        "norms": _norms(facts.health),
        "hubs": _hubs(facts.health),
        **{f"scatter-{name}": _scatter(scatter) for name, scatter in facts.scatters.items()},
    }
    return {name: chart for name, chart in charts.items() if chart is not None}


def _trials(tuning: Tuning) -> go.Figure:
    """A line per trial, from setting to setting to its score, which also gives it its colour."""
    names = list(tuning.trials[0].settings)
    scores = [trial.score for trial in tuning.trials]
    axes = [_axis(name, [trial.settings[name] for trial in tuning.trials]) for name in names]
    line = {"color": scores, "colorscale": "Viridis", "showscale": False}
    figure = _figure(go.Parcoords(dimensions=[*axes, {"label": "score", "values": scores}], line=line))
    figure.update_layout(margin={"l": 80, "r": 60, "t": 60, "b": 30})
    return figure


def _axis(name: str, values: list[Any]) -> dict[str, Any]:
    """Numbers by their logarithm where they are far apart, with ticks that say them; names at equal distances."""
    if any(isinstance(value, (str, bool)) for value in values):
        names = sorted({str(value) for value in values})
        places = [names.index(str(value)) for value in values]
        return {"label": name, "values": places, "tickvals": list(range(len(names))), "ticktext": _plain(names)}
    if min(values) <= 0 or max(values) < _FAR * min(values):
        return {"label": name, "values": values}
    ticks = np.geomspace(min(values), max(values), _TICKS)
    return {
        "label": name, "values": np.log10(values).round(4).tolist(), "tickvals": np.log10(ticks).round(4).tolist(),
        "ticktext": [f"{tick:.3g}" for tick in ticks],
    }  # fmt: skip


def _spans(sizes: dict[str, int]) -> go.Figure:
    """Each span's size beside the others': a broken feed is seen at once."""
    bars = go.Bar(x=_plain(sizes), y=[size / 1e6 for size in sizes.values()], marker_color=BLUE)
    return _figure(bars, xaxis=_NAMES, yaxis={"title": "MB"}, height=260)


def _figure(*traces: go.BaseTraceType, height: int = 380, **layout: object) -> go.Figure:
    figure = go.Figure(list(traces))
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 60, "r": 20, "t": 20, "b": 80},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        **layout,
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def _plain(texts: Iterable[str]) -> list[str]:
    """Words and names for Plotly, which reads markup and entities in every text: so they are shown as they stand."""
    return [html.escape(text, quote=False) for text in texts]


def _thresholds(judged: list[Result]) -> go.Figure:
    """One bar per threshold: the score with its interval, the least score, and the last blessed model's."""
    judged = judged[::-1]
    names = _plain(result.name for result in judged)
    scores = [0 if math.isnan(result.score) else result.score for result in judged]
    upper = [result.interval[1] - result.score if result.interval else 0 for result in judged]
    lower = [result.score - result.interval[0] if result.interval else 0 for result in judged]
    marker = {"symbol": "line-ns-open", "size": 26, "line": {"width": 3}}
    named = list(zip(judged, names, strict=True))
    limits = [(result.lower_bound, name) for result, name in named if result.lower_bound is not None]
    before = [(result.baseline_score, name) for result, name in named if result.baseline_score is not None]
    traces: list[go.BaseTraceType] = [
        go.Bar(
            y=names,
            x=scores,
            orientation="h",
            name="score, with its 95 % interval",
            marker_color=[RED if result.failed else GREEN for result in judged],
            error_x={"type": "data", "array": upper, "arrayminus": lower, "color": GREY},
        )
    ]
    for points, name, color in ((limits, "threshold", ORANGE), (before, "last blessed model", BLUE)):
        if points:
            x, y = zip(*points, strict=True)
            traces.append(go.Scatter(x=x, y=y, mode="markers", name=name, marker={**marker, "color": color}))
    return _figure(*traces, height=140 + 46 * len(judged), yaxis=_NAMES)


def _sections(sections: list[Result]) -> go.Figure:
    shown = [result for result in sections if not math.isnan(result.score)][::-1]
    names = _plain(result.name for result in shown)
    of = {
        "first five": ([result.values["analogy_accuracy_top5"] for result in shown], "#bbccee"),
        "first": ([result.score for result in shown], BLUE),
    }
    bars = [
        go.Bar(y=names, x=values, orientation="h", name=f"right answer is the {name}", marker_color=color)
        for name, (values, color) in of.items()
    ]
    layout = {"barmode": "overlay", "xaxis": {"tickformat": ".0%"}, "yaxis": _NAMES}
    return _figure(*bars, height=120 + 24 * len(shown), **layout)


def _scatter(scatter: Scatter) -> go.Figure:
    points = go.Scatter(
        x=scatter.scores, y=scatter.cosines, text=_plain(map(" and ".join, scatter.words)), mode="markers",
        marker={"size": 6, "opacity": 0.6, "color": BLUE},
        hovertemplate="%{text}<br>people %{x}, model %{y:.2f}<extra></extra>",
    )  # fmt: skip
    return _figure(points, xaxis={"title": "people's score"}, yaxis={"title": "cosine"})


def _training(loss: Curve | None, speed: Curve | None) -> go.Figure | None:
    if loss is None or speed is None:
        return None
    traces = [
        go.Scatter(x=loss.steps, y=loss.values, name="loss", line={"color": BLUE}),
        go.Scatter(x=speed.steps, y=speed.values, name="words/s", line={"color": ORANGE}, yaxis="y2"),
    ]
    right = {"title": "words/s", "overlaying": "y", "side": "right", "rangemode": "tozero", "showgrid": False}
    return _figure(*traces, xaxis={"title": "step"}, yaxis={"title": "loss per pair"}, yaxis2=right)


def _frequencies(words: Vocabulary) -> go.Figure:
    ranks = np.unique(np.geomspace(1, len(words), 400).astype(int))
    points = go.Scatter(
        x=ranks, y=words.counts[ranks - 1], text=_plain(words.words[rank - 1] for rank in ranks), mode="lines",
        line={"color": BLUE}, hovertemplate="%{text}: rank %{x}, %{y} times<extra></extra>",
    )  # fmt: skip
    log = {"type": "log", "dtick": 1}
    return _figure(points, xaxis={"title": "rank", **log}, yaxis={"title": "occurrences", **log})


def _norms(health: Health) -> go.Figure:
    """The middle and the outer tenths of the vectors' lengths, by rank."""
    size = len(health.norms)
    edges = np.unique(np.geomspace(1, size, 40).astype(int))
    parts = [health.norms[start - 1 : stop] for start, stop in itertools.pairwise(edges)]
    parts = parts or [health.norms]
    middle = edges[: len(parts)]
    tenths = {share: [float(np.quantile(part, share)) for part in parts] for share in (0.1, 0.5, 0.9)}
    traces = [
        go.Scatter(x=middle, y=tenths[0.9], mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip"),
        go.Scatter(
            x=middle, y=tenths[0.1], mode="lines", line={"width": 0}, fill="tonexty", name="eight of ten words",
            fillcolor="rgba(68,119,170,0.25)",
        ),
        go.Scatter(x=middle, y=tenths[0.5], mode="lines", line={"color": BLUE}, name="median"),
    ]  # fmt: skip
    return _figure(*traces, xaxis={"title": "rank", "type": "log", "dtick": 1}, yaxis={"title": "length"})


def _hubs(health: Health) -> go.Figure:
    names, shares = _plain(health.hubs)[::-1], list(health.hubs.values())[::-1]
    bars = go.Bar(y=names, x=shares, orientation="h", marker_color=BLUE)
    return _figure(
        bars, xaxis={"title": "share of the lists", "tickformat": ".1%", "rangemode": "tozero"}, yaxis=_NAMES
    )


def _map(words: Vocabulary, places: np.ndarray) -> go.Figure:
    """The words, of which some are named; and a mark for the one that is looked for."""
    names = _plain(words.words[: len(places)])
    counts = words.counts[: len(places)]
    named = _spread(places)
    look = {"size": (5 + 9 * np.sqrt(counts / counts.max())).round(1), "color": np.log10(counts).round(2)}
    points = go.Scatter(
        x=places[:, 0].round(3), y=places[:, 1].round(3),
        text=[name if rank in named else "" for rank, name in enumerate(names)],
        customdata=list(zip(names, counts.tolist(), strict=True)),
        mode="markers+text", textposition="top center", textfont={"size": 11},
        marker={**look, "colorscale": "Viridis", "opacity": 0.75, "line": {"width": 0}},
        hovertemplate="%{customdata[0]}, %{customdata[1]} times<extra></extra>",
    )  # fmt: skip
    mark = go.Scatter(
        x=[], y=[], text=[], mode="markers+text", textposition="top center", hoverinfo="skip",
        marker={"size": 18, "color": "rgba(0,0,0,0)", "line": {"color": RED, "width": 3}},
        textfont={"size": 15, "color": RED},
    )  # fmt: skip
    hidden = {"visible": False}
    return _figure(points, mark, height=620, showlegend=False, dragmode="pan", xaxis=hidden, yaxis=hidden)


def _spread(places: np.ndarray, cells: int = 9) -> set[int]:
    """The most frequent word in each cell of a grid over the map: so the names do not cover each other."""
    lowest, size = places.min(0), np.maximum(np.ptp(places, axis=0), 1e-9)
    column, row = np.minimum((places - lowest) / size * cells, cells - 1).astype(int).T
    return set(np.unique(row * cells + column, return_index=True)[1].tolist())
