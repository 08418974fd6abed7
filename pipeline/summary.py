"""What a run made, read from its artifacts: the corpus, the scores against their thresholds, the verdict, the model."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.util import model_utils
from tfx.utils import path_utils

from components.corpus.report import CorpusReport
from components.evaluator import results
from components.questions import examples
from components.report import component
from components.tuner import results as results_of_tuning
from components.tuner.results import Tuning
from pipeline import rolling_back
from pipeline.local import ComponentRun
from word2vec import vectors, vocabulary


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run made.

    Attributes:
        corpus: what ExampleGen read.
        vocabulary_size: words.
        phrases: how many of these are phrases.
        evaluation: the scores, and why the model was blocked if it was.
        blessed: whether the Evaluator blessed the model, and nobody rolled it back since.
        withdrawn: whether it was rolled back.
        served: whether TF Serving loaded it and answered; None if that was not tried.
        neighbours: of some words the nearest, by word.
        model: the pushed model's folder, or None.
        vectors: the folder of the vectors, as files that other tools read.
        logs: the folder of TensorBoard's logs.
        report: the report's page.
        tuning: what the Tuner found; None without one.
    """

    corpus: CorpusReport
    vocabulary_size: int
    phrases: int
    evaluation: results.Evaluation
    blessed: bool
    withdrawn: bool
    served: bool | None
    neighbours: dict[str, list[str]]
    model: str | None
    vectors: str
    logs: str
    report: str
    tuning: Tuning | None = None


def read(runs: Mapping[str, ComponentRun]) -> Summary:
    """Reads the artifacts of a finished run."""
    words = vocabulary.read(vocabulary.path_in(tft.TFTransformOutput(_uri(runs, "Transform", "transform_graph"))))
    pushed = runs["Pusher"].outputs["pushed_model"][0]
    blessing = runs["Evaluator"].outputs["blessing"][0]
    withdrawn = bool(blessing.get_int_custom_property(rolling_back.WITHDRAWN))
    reader = "Window" if "Window" in runs else "ExampleGen"
    return Summary(
        corpus=CorpusReport.of(artifact.uri for artifact in runs[reader].outputs["examples"]),
        vocabulary_size=len(words),
        phrases=len(words.phrases),
        evaluation=results.read(_uri(runs, "Evaluator", "evaluation")),
        blessed=model_utils.is_model_blessed(blessing),
        withdrawn=withdrawn,
        served=_served(runs),
        neighbours=_neighbours(
            path_utils.serving_model_path(_uri(runs, "Trainer", "model")),
            _well_known(_uri(runs, "QuestionExampleGen", "examples"), words),
        ),
        model=pushed.get_string_custom_property("pushed_destination")
        if pushed.get_int_custom_property("pushed") and not withdrawn
        else None,
        vectors=os.path.join(_uri(runs, "Trainer", "model"), vectors.FOLDER),
        logs=_uri(runs, "Trainer", "model_run"),
        report=os.path.join(_uri(runs, "Report", "report"), component.FILE),
        tuning=_tuning(runs),
    )


def _tuning(runs: Mapping[str, ComponentRun]) -> Tuning | None:
    if "Tuner" not in runs:
        return None
    return results_of_tuning.read(*(_uri(runs, "Tuner", key) for key in ("best_hyperparameters", "tuner_results")))


def _served(runs: Mapping[str, ComponentRun]) -> bool | None:
    if "InfraValidator" not in runs:
        return None
    return model_utils.is_infra_validated(runs["InfraValidator"].outputs["blessing"][0])


def _uri(runs: Mapping[str, ComponentRun], component: str, key: str) -> str:
    return runs[component].outputs[key][0].uri


def _well_known(benchmarks: str, words: vocabulary.Vocabulary) -> list[str]:
    """Words of the similarity benchmarks, those most frequent in the corpus: they mean more to a reader than `the`."""
    asked: set[str] = set()
    for pairs in examples.pairs(benchmarks):
        asked |= {word.decode().lower() for word in pairs.words.numpy().ravel()}
    return [word for word in words.words if word in asked][:6] or words.words[:6]


def _neighbours(model: str, words: list[str]) -> dict[str, list[str]]:
    answers = tf.saved_model.load(model).signatures["most_similar"](words=tf.constant(words), k=tf.constant(6))
    return {
        word: [neighbour.decode() for neighbour in row]
        for word, row in zip(words, answers["neighbours"].numpy(), strict=True)
    }
