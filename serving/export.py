"""A pushed model's vectors as files that other tools read, and as a Keras layer.

python -m serving.export --model runs/sample/serving_model/VERSION --form keyed_vectors parquet --to FOLDER
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from typing import TYPE_CHECKING

import numpy as np

from serving import command_line, folders
from serving.quiet import quiet
from word2vec import saved_model_layout
from word2vec.errors import UserError, reason

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from word2vec.subwords import Buckets
    from word2vec.vocabulary import Vocabulary

# As `word2vec.vectors` has them.
FORMS = ("text", "binary", "keyed_vectors", "parquet", "projector", "fasttext")

_EXPECTED = "Expected a folder such as runs/sample/serving_model/1790000000"


@dataclasses.dataclass(frozen=True)
class Vectors:
    """What a model knows: its words by falling frequency, with counts, and float32 [V, D] vectors.

    `buckets` are the rows of n-grams of which vectors of other words are made; None if it has none.
    """

    words: Vocabulary
    table: np.ndarray
    buckets: Buckets | None = None

    def layers(self, *, trainable: bool = False) -> tuple[keras.layers.Layer, keras.layers.Embedding]:
        """Keras layers that start from these vectors.

        Args:
            trainable: whether the training of a model with them changes the vectors.

        Returns:
            (TextVectorization, Embedding): from texts to ids, by the same normalisation as in training; and from ids to
            vectors: 0 is padding, which is masked, and 1 an unknown word; both have zeros.
        """
        import keras
        import tensorflow as tf

        from word2vec import text

        @keras.saving.register_keras_serializable("tfx_word2vec")
        def standardize(texts: tf.Tensor) -> tf.Tensor:
            return tf.reshape(text.normalize(tf.reshape(texts, [-1])), tf.shape(texts))

        lookup = keras.layers.TextVectorization(standardize=standardize, vocabulary=self.words.words)
        table = np.concatenate([np.zeros((2, self.table.shape[1]), np.float32), self.table])
        initializer = keras.initializers.Constant(table)
        embedding = keras.layers.Embedding(
            *table.shape, embeddings_initializer=initializer, mask_zero=True, trainable=trainable
        )
        return lookup, embedding


def load(model: str) -> Vectors:
    """Reads a pushed version.

    Args:
        model: its folder.

    Raises:
        UserError: it does not hold a model of this project, or a damaged one.
    """
    if "://" not in model:
        _check(model)
    with quiet():
        import tensorflow as tf  # seconds that --help need not wait

        from word2vec import saved_vectors, vocabulary

    try:
        words = vocabulary.read(saved_model_layout.vocabulary(model))
        with folders.without_globs(model) as plain:
            reader = tf.train.load_checkpoint(saved_model_layout.variables(plain))
            unit, norms = (reader.get_tensor(saved_model_layout.key(name)) for name in ("unit", "norms"))
            buckets = saved_vectors.read_buckets(plain)
    except Exception as error:  # TensorFlow has many for files that are missing or damaged
        raise UserError(f"{model}: its files are missing or damaged: {reason(error)}") from None
    if not len(words) == len(unit) == len(norms):
        raise UserError(
            f"{model}: damaged: its vocabulary has {len(words):,} words, and there are {len(unit):,} vectors"
        )
    unit *= norms[:, np.newaxis]
    return Vectors(words, unit, buckets)


def _check(model: str) -> None:
    if not os.path.exists(model):
        raise UserError(f"{model}: no such folder. {_EXPECTED}")
    if not os.path.isdir(model):
        raise UserError(f"{model}: a file. {_EXPECTED}")
    if not os.path.exists(saved_model_layout.vocabulary(model)):
        newest = max(folders.find(model).items(), default=None)
        raise UserError(
            f"{model}: the folder of the versions. Expected one of them, as {newest[1]}"
            if newest
            else f"{model}: not a pushed version. {_EXPECTED}"
        )


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return command_line.run(lambda: _run(arguments))


def _run(arguments: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m serving.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="FOLDER", help="a pushed version's folder")
    parser.add_argument("--form", required=True, nargs="+", choices=FORMS, help="which files: %(choices)s")
    parser.add_argument("--to", required=True, metavar="FOLDER", help="where they go; made if needed")
    options = parser.parse_args(arguments)
    _check_target(options.to)
    exported = load(options.model)
    with quiet():
        from word2vec import vectors

    for form in dict.fromkeys(options.form):
        try:
            more = {"buckets": exported.buckets} if form == "fasttext" else {}
            paths = vectors.FORMS[form](options.to, exported.words, exported.table, **more)
        except Exception as error:  # each writer's library has its own
            raise UserError(f"--to {options.to}: {form} cannot be written: {reason(error)}") from None
        for path in paths:
            command_line.say(path)


def _check_target(folder: str) -> None:
    """Says that a folder cannot be written to before the model is read."""
    if "://" in folder:
        return
    there = os.path.abspath(folder)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not folder or not os.path.isdir(there):
        raise UserError(
            f"--to {folder}: {there if folder else 'nothing'} is no folder. Expected a folder, or a new one"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"--to {folder}: {there} cannot be written to")


if __name__ == "__main__":
    sys.exit(main())
