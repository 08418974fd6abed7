"""Measures the Evaluator: its time and memory by size of the vocabulary, and its figures beside gensim's.

    python -m benchmarks.evaluation --model runs/imdb/serving_model/VERSION

asks all built-in questions: of made-up vectors for as many words as wanted, each in a process of its own, and of a
model's vectors, which gensim then measures, too. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import tempfile
import time
from typing import Any

import numpy as np
import tensorflow as tf
from gensim.models import KeyedVectors
from google.protobuf import json_format
from tfx.components.evaluator import executor
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts
from tfx.utils import path_constants

from benchmarks import arguments, markdown, parts
from components import builtin
from components.evaluator import eval_config, results
from components.questions import examples, files
from pipeline import configs, engines
from word2vec import saved_model_layout, serving_model, vocabulary

BENCHMARKS = ("google_analogies", "simlex999", "wordsim353")
_NAME = "benchmarks.evaluation"
_DIMENSIONS = 128


def main() -> None:
    """Measures what the arguments ask for; with one in JSON, which is how it calls itself, one part of it."""
    if parts.is_one_of(PARTS):
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=arguments.version, help="a pushed version's folder")
    parser.add_argument(
        "--words", type=arguments.count(2), nargs="*", default=[57_000, 1_000_000], help="sizes of made-up vocabularies"
    )
    options = parser.parse_args()
    if options.model:
        print(beside_gensim(str(options.model)), "\n")
    rows = [_row(size, models) for size in options.words for models in (1, 2)]
    print(markdown.table(["words", "models", "seconds", "peak MiB", "of them, imports"], rows))


def _row(size: int, models: int) -> list[str]:
    with tempfile.TemporaryDirectory() as work:
        folders = [
            parts.call(_NAME, {"part": "make", "size": size, "folder": f"{work}/{number}", "seed": number})["folder"]
            for number in range(models)
        ]
        figures = parts.call(_NAME, {"part": "evaluate", "models": folders, "work": work})
    return [f"{size:,}", str(models), f"{figures['seconds']:.1f}", f"{figures['peak']:,}", f"{figures['imports']:,}"]


def make(size: int, folder: str, seed: int, dimensions: int = _DIMENSIONS) -> dict[str, Any]:
    """Writes a model with made-up vectors for the questions' words and as many more as wanted."""
    words = sorted({word.lower() for question in _questions() for word in question.words})
    words += [f"word{number}" for number in range(size - len(words))]
    os.makedirs(folder)
    path = os.path.join(folder, vocabulary.ASSET)
    pathlib.Path(path).write_text("".join(f"{size - place} {word}\n" for place, word in enumerate(words)))
    vectors = np.random.default_rng(seed).standard_normal((len(words), dimensions), np.float32)
    version = os.path.join(folder, path_constants.SERVING_MODEL_DIR)
    serving_model.ServingModel(vectors, path).save(version)
    return {"folder": folder, "version": version}


def evaluate(models: list[str], work: str) -> dict[str, Any]:
    """Runs TFX's Evaluator as the pipeline does, of the first model, with the second as the baseline."""
    asked, evaluation, blessing = _examples(work), standard_artifacts.ModelEvaluation(), _blessing(work)
    evaluation.uri = f"{work}/evaluation"
    inputs = {"examples": [asked], "model": [_model(models[0])]}
    if models[1:]:
        inputs["baseline_model"] = [_model(models[1])]
    config = eval_config.make(
        {name: {"lower_bound": 0.0} for name in BENCHMARKS},
        min_coverage=0.1, when_uncovered="block", samples=1000, seed=1,
    )  # fmt: skip
    beam = engines.arguments(configs.BeamConfig(), text_bytes=0).evaluator
    context = base_beam_executor.BaseBeamExecutor.Context(beam_pipeline_args=[*beam], tmp_dir=work, unique_id="1")
    imports, start = parts.peak_mib(), time.perf_counter()
    executor.Executor(context).Do(
        inputs,
        {"evaluation": [evaluation], "blessing": [blessing]},
        {"eval_config": json_format.MessageToJson(config), "example_splits": json.dumps(["eval"])},
    )
    outcome = results.read(evaluation.uri)
    return {
        "seconds": time.perf_counter() - start,
        "peak": parts.peak_mib(),
        "imports": imports,
        "values": {result.name: result.values for result in outcome.benchmarks},
    }


PARTS: dict[str, parts.Part] = {"make": make, "evaluate": evaluate}


def beside_gensim(model: str) -> str:
    """A table of both sides' measures of the same vectors."""
    with tempfile.TemporaryDirectory() as work:
        (pathlib.Path(work) / "0").mkdir()
        os.symlink(os.path.abspath(model), os.path.join(work, "0", path_constants.SERVING_MODEL_DIR))
        values = parts.call(_NAME, {"part": "evaluate", "models": [f"{work}/0"], "work": work})["values"]
    vectors = _keyed_vectors(model)
    rows = []
    start = time.perf_counter()
    accuracy, _ = vectors.evaluate_word_analogies(_path("google_analogies"))
    seconds = time.perf_counter() - start
    rows.append(_compared("google_analogies", "analogy_accuracy", values, accuracy))
    for name in ("simlex999", "wordsim353"):
        pearson, spearman, unknown = vectors.evaluate_word_pairs(_path(name))
        rows.append(_compared(name, "spearman_correlation", values, spearman.statistic))
        rows.append(_compared(name, "pearson_correlation", values, pearson.statistic))
        rows.append(_compared(name, "coverage", values, 1 - unknown / 100))
    table = markdown.table(["benchmark", "measure", "ours", "gensim", "difference"], rows)
    return f"{table}\n\ngensim took {seconds:.1f} s for the analogies."


def _compared(benchmark: str, measure: str, values: dict[str, Any], theirs: float) -> list[str]:
    ours = values[benchmark][measure]
    return [benchmark, measure.replace("_", " "), f"{ours:.6f}", f"{theirs:.6f}", f"{abs(ours - theirs):.1e}"]


def _keyed_vectors(model: str) -> KeyedVectors:
    words = vocabulary.read(saved_model_layout.vocabulary(model)).words
    table = tf.train.load_variable(saved_model_layout.variables(model), saved_model_layout.key("unit"))
    keyed = KeyedVectors(table.shape[1])
    keyed.add_vectors(words, table)
    return keyed


def _questions() -> list[Any]:
    return files.read_all([f"{builtin.SCHEME}{name}" for name in BENCHMARKS])


def _path(name: str) -> str:
    return builtin.resolve(f"{builtin.SCHEME}{name}")


def _examples(work: str) -> standard_artifacts.Examples:
    artifact = standard_artifacts.Examples()
    artifact.uri = f"{work}/examples"
    examples.write(_questions(), artifact)
    return artifact


def _model(folder: str) -> standard_artifacts.Model:
    artifact = standard_artifacts.Model()
    artifact.uri, artifact.id = folder, 1
    return artifact


def _blessing(work: str) -> standard_artifacts.ModelBlessing:
    blessing = standard_artifacts.ModelBlessing()
    blessing.uri = f"{work}/blessing"
    return blessing


if __name__ == "__main__":
    main()
