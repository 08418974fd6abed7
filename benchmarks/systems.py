"""Trains one system on the tokens of a finished run, in this process, and prints its speed, memory and quality.

All systems train on the same tokens and are measured by gensim's own evaluation. Words are counted as they were before
subsampling, in the vocabulary. Called by `benchmarks.bench`, which gives each its own process.
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import parts
from components import builtin
from word2vec import progress

Figures = dict[str, Any]
VectorOf = Callable[[str], "np.ndarray | None"]

SIMILARITIES = ("wordsim353", "simlex999")
BENCHMARKS = ("wordsim353", "simlex999", "analogies")
SECOND_HALF = tuple(f"{name}_second_half" for name in BENCHMARKS)


def newest(run: pathlib.Path, component: str, key: str) -> pathlib.Path:
    """The newest artifact of a component."""
    return max((run / "artifacts" / component / key).iterdir(), key=lambda path: int(path.name))


def vocabulary_of(run: pathlib.Path) -> str:
    """The path of the newest vocabulary."""
    import tensorflow_transform as tft

    from word2vec import vocabulary

    graph = tft.TFTransformOutput(str(newest(run, "Transform", "transform_graph")))
    return vocabulary.path_in(graph)


def trainer_settings(run: pathlib.Path) -> dict[str, Any]:
    """The custom_config of the newest Trainer, from ML Metadata."""
    from ml_metadata.metadata_store import metadata_store
    from tfx.orchestration import metadata

    from pipeline import layout

    connection = metadata.sqlite_metadata_connection_config(str(run / layout.METADATA))
    executions = metadata_store.MetadataStore(connection).get_executions_by_type(
        "tfx.components.trainer.component.Trainer"
    )
    return json.loads(executions[-1].custom_properties["custom_config"].string_value)


def write_tokens(run: pathlib.Path, path: pathlib.Path) -> None:
    """Writes the corpus as the Trainer's words: one document per line, tokens with blanks between them."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    from word2vec import text
    from word2vec.training import blocks

    files = blocks.shards_in(str(newest(run, "ExampleGen", "examples") / "Split-train"))
    spec = {"text": tf.io.FixedLenFeature([], tf.string)}
    documents = (
        tf.data.TFRecordDataset(files, "GZIP").batch(1000).map(lambda rows: tf.io.parse_example(rows, spec)["text"])
    )
    with path.open("wb") as out:
        for lines in documents.map(text.normalize, num_parallel_calls=2):
            out.writelines(b" ".join(line.split()) + b"\n" for line in lines.numpy())


def job_of(run: pathlib.Path, work: pathlib.Path, config: dict[str, Any], **trainer: Any) -> Any:
    """A training on a run's pairs, with some settings of its own."""
    from word2vec.training import job

    return job.Job(
        trainer={**config["trainer"], **trainer},
        skipgram=config["skipgram"],
        vocabulary=vocabulary_of(run),
        train_files=[str(newest(run, "Transform", "transformed_examples") / "Split-train" / "*")],
        checkpoints=str(work),
        logs=str(work / "logs"),
        serving_model=str(work / "model" / "serving_model"),
    )


class Listener(logging.Handler):
    """Keeps the latest progress, and adds up the waiting."""

    latest: progress.TrainingProgress | None = None

    def __init__(self):
        super().__init__()
        self.waited = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Hears of progress."""
        now = progress.of(record)
        if isinstance(now, progress.TrainingProgress):
            self.latest = now
            self.waited += now.seconds_waited


def _ours(options: dict[str, Any], run: pathlib.Path, work: pathlib.Path) -> Figures:
    if options.get("cores"):
        os.sched_setaffinity(0, range(options["cores"]))
    import tensorflow_text  # noqa: F401

    from word2vec import threads, vectors
    from word2vec.training import job

    threads.one_thread_an_op()
    listener = Listener()
    progress.add_handler(listener)
    started = time.perf_counter()
    training = job_of(run, work, options["config"], seed=options["seed"], epochs=options["epochs"])
    job.train(training)
    seconds = time.perf_counter() - started
    peak = parts.peak_mib()
    from gensim.models import KeyedVectors

    keyed = KeyedVectors.load_word2vec_format(str(work / "model" / vectors.FOLDER / vectors.BINARY), binary=True)
    assert listener.latest is not None  # every training that ends well tells of its steps
    speed = listener.latest.words_per_second
    figures = _figures(options, speed, peak, keyed, _served(work / "model" / "serving_model"))
    return {**figures, "vocabulary": len(keyed), "input_wait": listener.waited / seconds}


def _served(model: pathlib.Path) -> VectorOf:
    import tensorflow as tf

    ask = tf.saved_model.load(str(model)).signatures["serving_default"]

    def vector_of(word: str) -> np.ndarray | None:
        answer = ask(words=tf.constant([word]))
        there = answer["known"] | answer.get("composed", False)
        return answer["embeddings"].numpy()[0] if there.numpy()[0] else None

    return vector_of


def _gensim(options: dict[str, Any], run: pathlib.Path, work: pathlib.Path) -> Figures:
    from gensim.models import FastText, Word2Vec

    trainer, skipgram = options["config"]["trainer"], options["config"]["skipgram"]
    kind, more = Word2Vec, {}
    if subwords := trainer.get("subwords"):
        kind, more = FastText, {"min_n": subwords["min"], "max_n": subwords["max"], "bucket": subwords["buckets"]}
    model = kind(
        **more,
        vector_size=trainer["dimensions"],
        window=skipgram["window"],
        min_count=skipgram["min_count"],
        max_final_vocab=skipgram["max_vocabulary"],
        sg=int(trainer["architecture"] == "skipgram"),
        negative=trainer["negatives"],
        sample=skipgram["subsampling"],
        workers=options["threads"],
        seed=options["seed"],
    )
    model.build_vocab(corpus_file=options["tokens"])
    started = time.perf_counter()
    model.train(
        corpus_file=options["tokens"],
        epochs=options["epochs"],
        total_examples=model.corpus_count,
        total_words=model.corpus_total_words,
    )
    seconds = time.perf_counter() - started
    words = sum(model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key)
    peak = parts.peak_mib()

    def vector_of(word: str) -> np.ndarray | None:
        return model.wv[word] if word in model.wv else None  # noqa: SIM401 (it has no get)

    return _figures(options, options["epochs"] * words / seconds, peak, model.wv, vector_of)


def _fasttext(options: dict[str, Any], run: pathlib.Path, work: pathlib.Path) -> Figures:
    import fasttext
    from gensim.models import KeyedVectors

    trainer, skipgram = options["config"]["trainer"], options["config"]["skipgram"]
    subwords = trainer.get("subwords") or {"min": 0, "max": 0, "buckets": 1}
    started = time.perf_counter()
    model = fasttext.train_unsupervised(
        options["tokens"],
        model=trainer["architecture"],
        dim=trainer["dimensions"],
        ws=skipgram["window"],
        neg=trainer["negatives"],
        minCount=skipgram["min_count"],
        t=skipgram["subsampling"],
        epoch=options["epochs"],
        minn=subwords["min"],
        maxn=subwords["max"],
        bucket=subwords["buckets"],
        thread=options["threads"],
        verbose=0,
    )
    seconds = time.perf_counter() - started
    peak = parts.peak_mib()
    words, counts = model.get_words(include_freq=True)
    known = [(word, count) for word, count in zip(words, counts, strict=True) if word != "</s>"]
    keyed = KeyedVectors(trainer["dimensions"])
    keyed.add_vectors([word for word, _ in known], np.array([model.get_word_vector(word) for word, _ in known]))
    speed = options["epochs"] * sum(count for _, count in known) / seconds
    return _figures(options, speed, peak, keyed, model.get_word_vector)


def _figures(
    options: dict[str, Any], words_per_second: float, peak_rss_mib: int, vectors: Any, vector_of: VectorOf
) -> Figures:
    figures = {"words_per_second": round(words_per_second), "peak_rss_mib": peak_rss_mib}
    if options.get("speed_only"):
        return figures
    if held_out := options.get("held_out"):
        figures |= of_unknown_words(vector_of, set(held_out))
    return {**figures, **quality(vectors)}


def of_unknown_words(vector_of: VectorOf, words: set[str]) -> Figures:
    """Spearman's correlation of the pairs that have one of some words, which the model has not seen.

    Args:
        vector_of: from a word to its vector, float [D]; None if it has none.
        words: that were held out of the text.

    Returns:
        By benchmark with `_unknown`, the correlation; with `_pairs`, of how many pairs.
    """
    from scipy import stats

    figures: Figures = {}
    for name in SIMILARITIES:
        scores, cosines = [], []
        for one, other, score in similar_pairs(name):
            if not {one, other} & words:
                continue
            a, b = vector_of(one), vector_of(other)
            if a is not None and b is not None and a.any() and b.any():
                scores.append(score)
                cosines.append(float(a @ b / np.sqrt((a @ a) * (b @ b))))
        figures[f"{name}_unknown"] = round(float(stats.spearmanr(scores, cosines).statistic), 4)
        figures[f"{name}_pairs"] = len(scores)
    return figures


def similar_pairs(name: str) -> list[tuple[str, str, float]]:
    """The pairs of a benchmark with people's scores, in small letters."""
    lines = pathlib.Path(builtin.resolve(f"{builtin.SCHEME}{name}")).read_text(encoding="utf-8").splitlines()
    rows = [line.lower().split("\t") for line in lines if not line.startswith("#")]
    return [(one, other, float(score)) for one, other, score in rows]


def quality(vectors: Any) -> Figures:
    """What gensim's own evaluation says of vectors, a `KeyedVectors`: of all questions, and of every other one."""
    with tempfile.TemporaryDirectory() as folder:
        overall = _scores(vectors, *_files())
        halves = _scores(vectors, *(_second_half(path, folder) for path in _files()))
    return dict(zip((*BENCHMARKS, *SECOND_HALF), (*overall, *halves), strict=True))


def _files() -> list[str]:
    """Of BENCHMARKS."""
    return [builtin.resolve(f"{builtin.SCHEME}{name}") for name in ("wordsim353", "simlex999", "google_analogies")]


def _scores(vectors: Any, wordsim353: str, simlex999: str, analogies: str) -> list[float]:
    pairs = [vectors.evaluate_word_pairs(path)[1].statistic for path in (wordsim353, simlex999)]
    return [round(float(score), 4) for score in (*pairs, vectors.evaluate_word_analogies(analogies)[0])]


def _second_half(path: str, folder: str) -> str:
    """A file with the second of each two questions, below the same headings."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    questions = [place for place, line in enumerate(lines) if line[0] not in ":#"]
    first = set(questions[::2])
    half_file = pathlib.Path(folder, pathlib.PurePath(path).name)
    half_file.write_text("".join(line for place, line in enumerate(lines) if place not in first), encoding="utf-8")
    return str(half_file)


SYSTEMS: dict[str, Callable[..., Figures]] = {"tfx-word2vec": _ours, "gensim": _gensim, "fasttext": _fasttext}


def main() -> None:
    """Trains the system that the first argument, in JSON, asks for."""
    options = parts.request()
    run, work = pathlib.Path(options["run"]), pathlib.Path(options["work"])
    parts.answer(SYSTEMS[options["system"]](options, run, work))


if __name__ == "__main__":
    main()
