"""What the report tells: gathered from the artifacts of a run, before anything is drawn."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (the ops of the served model)
import tensorflow_transform as tft
from tfx.utils import path_utils

from components.card import card
from components.card import names as card_names
from components.corpus.report import CorpusReport
from components.evaluator import results
from components.questions import examples
from components.report import changes
from components.report.changes import Changes
from word2vec import plane, questions, saved_model_layout, saved_vectors, vocabulary, whole_files
from word2vec.vocabulary import Vocabulary

NEIGHBOURS = 10
_AT_A_TIME = 1000


@dataclasses.dataclass(frozen=True)
class Curve:
    """A training's scalar: int64 [n] steps, and a float64 [n] value at each."""

    steps: np.ndarray
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class Scatter:
    """The covered pairs of a benchmark: float64 [n] people's scores and cosines, and the words."""

    scores: np.ndarray
    cosines: np.ndarray
    words: list[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The nearest words of the most frequent ones: string [n, k] and float32 [n, k] cosines, the nearest first."""

    words: np.ndarray
    cosines: np.ndarray


@dataclasses.dataclass(frozen=True)
class Health:
    """How the vectors are spread.

    Attributes:
        rare: the share of words that occur fewer than n times, by n.
        norms: float32 [V], each vector's length, by the word's rank.
        hubs: the ten words that are most often among others' neighbours, with the share of lists they are in.
    """

    rare: dict[int, float]
    norms: np.ndarray
    hubs: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Facts:
    """All of it; `tokens` are the text's, also those that are not in the vocabulary.

    `changes` are those since the last blessed model; None without one.
    """

    card: card.ModelCard
    evaluation: results.Evaluation
    corpus: CorpusReport
    words: Vocabulary
    tokens: int
    curves: dict[str, Curve]
    scatters: dict[str, Scatter]
    neighbours: Neighbours
    health: Health
    places: np.ndarray
    durations: dict[str, float]
    notes: list[str]
    changes: Changes | None = None


def gather(
    artifacts: Mapping[str, Sequence[str]],
    *,
    map_words: int,
    neighbour_words: int,
    seed: int,
    durations: str,
    notes: str,
) -> Facts:
    """Reads the artifacts.

    Args:
        artifacts: the URIs of `examples`, of which there may be several, and of the one `transform_graph`, `model`,
            `model_run`, `evaluation`, `model_card` and `benchmarks`; and perhaps of a `baseline_model`.
        map_words: how many of the most frequent words are on the map.
        neighbour_words: of how many the neighbours are listed.
        seed: of the map.
        durations: a file with the components' seconds by name; none are shown if it is missing or damaged.
        notes: a file with the list of what was noted in the run; nothing is shown if it is missing or damaged.
    """
    uris = {key: several[0] for key, several in artifacts.items() if several}
    graph = tft.TFTransformOutput(uris["transform_graph"])
    words = vocabulary.read(vocabulary.path_in(graph))
    model = tf.saved_model.load(path_utils.serving_model_path(uris["model"]))
    neighbours = _neighbours(model, words.words[:neighbour_words])
    with tf.io.gfile.GFile(os.path.join(uris["model_card"], card_names.JSON)) as file:
        model_card = card.ModelCard.model_validate_json(file.read())
    evaluation = results.read(uris["evaluation"])
    return Facts(
        card=model_card,
        evaluation=evaluation,
        corpus=CorpusReport.of(artifacts["examples"]),
        words=words,
        tokens=vocabulary.read_tokens(vocabulary.path_in(graph, vocabulary.TOKENS_ASSET)),
        curves=_curves(uris["model_run"]),
        scatters=_scatters(model.signatures[evaluation.signature], uris["benchmarks"]),
        neighbours=neighbours,
        health=_health(words, model.norms.numpy(), neighbours),
        places=plane.places(model.unit[:map_words].numpy(), seed=seed),
        durations=whole_files.read_json(durations, dict),
        notes=whole_files.read_json(notes, list),
        changes=_changes(uris["model"], uris.get("baseline_model")),
    )


def _changes(model: str, baseline: str | None) -> Changes | None:
    folders = [path_utils.serving_model_path(uri) for uri in (model, baseline) if uri is not None]
    if len(folders) < 2 or not tf.io.gfile.exists(saved_model_layout.vocabulary(folders[1])):
        return None
    (words, vectors), (words_before, before) = map(saved_vectors.read, folders)
    return changes.between(words, vectors, words_before, before)


def _neighbours(model: tf.Module, words: list[str]) -> Neighbours:
    ask = model.signatures["most_similar"]
    answers = [
        ask(words=tf.constant(words[start : start + _AT_A_TIME]), k=tf.constant(NEIGHBOURS))
        for start in range(0, len(words), _AT_A_TIME)
    ]
    names = np.concatenate([answer["neighbours"].numpy() for answer in answers])
    cosines = np.concatenate([answer["scores"].numpy() for answer in answers])
    return Neighbours(np.char.decode(names.astype(np.bytes_), "utf-8"), cosines)


def _curves(logs: str) -> dict[str, Curve]:
    """The scalars of TensorBoard's logs."""
    points: dict[str, dict[int, float]] = {}
    for path in sorted(tf.io.gfile.glob(os.path.join(logs, "events.out.tfevents.*"))):
        for record in tf.data.TFRecordDataset(path):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                points.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return {
        tag: Curve(np.array(sorted(by_step)), np.array([by_step[step] for step in sorted(by_step)]))
        for tag, by_step in points.items()
    }


def _scatters(evaluate: Any, benchmarks: str) -> dict[str, Scatter]:
    """Every pair's cosine beside people's score, by benchmark."""
    points_by_benchmark: dict[str, list[tuple[float, float, tuple[str, str]]]] = {}
    for pairs in examples.pairs(benchmarks):
        answers = evaluate(examples=pairs.examples)["answers"]
        cosines = tf.boolean_mask(answers, tf.sequence_mask(pairs.counts))[:, questions.ANSWERS.index(questions.COSINE)]
        rows = (tensor.numpy() for tensor in (pairs.benchmarks, pairs.scores, pairs.words, cosines))
        for name, score, words, cosine in zip(*rows, strict=True):
            if not np.isnan(cosine):
                pair = words[0].decode(), words[1].decode()
                points_by_benchmark.setdefault(name.decode(), []).append((float(score), float(cosine), pair))
    return {
        name: Scatter(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]), [row[2] for row in rows])
        for name, rows in sorted(points_by_benchmark.items())
    }


def _health(words: Vocabulary, norms: np.ndarray, neighbours: Neighbours) -> Health:
    names, times = np.unique(neighbours.words, return_counts=True)
    most = np.argsort(-times, kind="stable")[:10]
    return Health(
        rare={count: float((words.counts < count).mean()) for count in (10, 20, 50, 100)},
        norms=norms,
        hubs={str(names[place]): float(times[place] / len(neighbours.words)) for place in most},
    )
