"""Trains this project's model and gensim's on the same tokens, in turn, and compares speed, memory and quality.

    python local_runner.py --config imdb --corpus 'reviews/*.gz'
    python benchmarks/against_gensim.py runs/imdb

Takes the text and the pairs from a finished run, and its Trainer's settings. Each side trains in a process of its own,
and both are measured by gensim's own evaluation. Words are counted as they were before subsampling, in the vocabulary.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import types
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Runs both sides, and prints a table and a line of JSON a side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="the folder of a finished run, such as runs/imdb")
    parser.add_argument("--threads", type=int, default=2, help="gensim's; ours takes what TensorFlow takes")
    parser.add_argument("--side", choices=["ours", "gensim"], help=argparse.SUPPRESS)
    parser.add_argument("--work", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        trained = _train_ours(options) if options.side == "ours" else _train_gensim(options)
        print(json.dumps({"side": options.side, **trained, **_quality(options.work / f"{options.side}.bin")}))
        return
    with tempfile.TemporaryDirectory() as work:
        _write_tokens(options.run, pathlib.Path(work) / "tokens.txt")
        sides = [_run_side(side, options, work) for side in ("gensim", "ours")]
    for key in sides[0]:
        print(f"{key:<20} {sides[0][key]!s:>12} {sides[1][key]!s:>12}")
    print(f"{'words/s, ratio':<20} {sides[1]['words_per_second'] / sides[0]['words_per_second']:>25.2f}")


def _run_side(side: str, options: argparse.Namespace, work: str) -> dict[str, Any]:
    command = [sys.executable, __file__, str(options.run), "--threads", str(options.threads), "--side", side]
    done = subprocess.run([*command, "--work", work], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _newest(run: pathlib.Path, component: str, key: str) -> pathlib.Path:
    return max((run / "artifacts" / component / key).iterdir(), key=lambda path: int(path.name))


def _settings(run: pathlib.Path) -> dict[str, Any]:
    """The custom_config of the newest Trainer, from ML Metadata."""
    from ml_metadata.metadata_store import metadata_store
    from tfx.orchestration import metadata

    connection = metadata.sqlite_metadata_connection_config(str(run / "metadata.sqlite"))
    executions = metadata_store.MetadataStore(connection).get_executions_by_type(
        "tfx.components.trainer.component.Trainer"
    )
    return json.loads(executions[-1].custom_properties["custom_config"].string_value)


def _write_tokens(run: pathlib.Path, path: pathlib.Path) -> None:
    """Writes the corpus as the Trainer's words: a document a line, tokens with blanks between them."""
    import tensorflow as tf

    from components import records, text

    files = records.read_files(str(_newest(run, "ExampleGen", "examples") / "Split-train"))
    spec = {"text": tf.io.FixedLenFeature([], tf.string)}
    documents = (
        tf.data.TFRecordDataset(files, "GZIP").batch(1000).map(lambda rows: tf.io.parse_example(rows, spec)["text"])
    )
    with path.open("wb") as out:
        for lines in documents.map(text.normalize, num_parallel_calls=2):
            out.writelines(b" ".join(line.split()) + b"\n" for line in lines.numpy())


def _train_ours(options: argparse.Namespace) -> dict[str, Any]:
    import logging

    import numpy as np
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (the ops of the served model)
    import tensorflow_transform as tft
    from gensim.models import KeyedVectors

    from components import progress, vocabulary
    from components.trainer import run_fn

    class Latest(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            self.progress = record.progress

    transform = str(_newest(options.run, "Transform", "transform_graph"))
    examples = _newest(options.run, "Transform", "transformed_examples") / "Split-train" / "*"
    config = {**_settings(options.run), "checkpoints": str(options.work / "checkpoints"), "eval_split": None}
    arguments = types.SimpleNamespace(
        custom_config=config,
        transform_output=transform,
        train_files=[str(examples)],
        model_run_dir=str(options.work / "logs"),
        serving_model_dir=str(options.work / "model"),
    )
    latest = Latest()
    progress.add_handler(latest)
    started = time.perf_counter()
    run_fn.run_fn(arguments)
    seconds = time.perf_counter() - started
    path = tft.TFTransformOutput(transform).vocabulary_file_by_name(vocabulary.ASSET)
    words = vocabulary.read(path).words
    vectors = tf.saved_model.load(arguments.serving_model_dir).signatures["serving_default"](words=tf.constant(words))
    keyed = KeyedVectors(config["trainer"]["dimensions"])
    keyed.add_vectors(words, np.asarray(vectors["embeddings"]))
    keyed.save_word2vec_format(str(options.work / "ours.bin"), binary=True)
    return _figures(len(words), seconds, latest.progress.words_per_second)


def _train_gensim(options: argparse.Namespace) -> dict[str, Any]:
    from gensim.models import Word2Vec

    config = _settings(options.run)
    trainer, skipgram = config["trainer"], config["skipgram"]
    # min_count as the vocabulary has it; gensim's other settings are named alike.
    model = Word2Vec(
        vector_size=trainer["dimensions"],
        window=skipgram["window"],
        min_count=skipgram["min_count"],
        max_final_vocab=skipgram["max_vocabulary"],
        sg=1,
        negative=trainer["negatives"],
        sample=skipgram["subsampling"],
        workers=options.threads,
        seed=trainer["seed"],
    )
    tokens = str(options.work / "tokens.txt")
    model.build_vocab(corpus_file=tokens)
    started = time.perf_counter()
    total = {"total_examples": model.corpus_count, "total_words": model.corpus_total_words}
    model.train(corpus_file=tokens, epochs=trainer["epochs"], **total)
    seconds = time.perf_counter() - started
    model.wv.save_word2vec_format(str(options.work / "gensim.bin"), binary=True)
    words = sum(model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key)
    return _figures(len(model.wv), seconds, trainer["epochs"] * words / seconds)


def _figures(words: int, seconds: float, speed: float) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"vocabulary": words, "train_seconds": round(seconds, 1), "words_per_second": round(speed), "peak_mib": peak}


def _quality(path: pathlib.Path) -> dict[str, float]:
    from gensim.models import KeyedVectors
    from gensim.test.utils import datapath

    vectors = KeyedVectors.load_word2vec_format(str(path), binary=True)
    return {
        "wordsim353": round(float(vectors.evaluate_word_pairs(datapath("wordsim353.tsv"))[1].statistic), 4),
        "simlex999": round(float(vectors.evaluate_word_pairs(datapath("simlex999.txt"))[1].statistic), 4),
        "google_analogies": round(float(vectors.evaluate_word_analogies(datapath("questions-words.txt"))[0]), 4),
    }


if __name__ == "__main__":
    main()
