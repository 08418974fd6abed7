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

from components.errors import UserError

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from components.vocabulary import Vocabulary

# As `components.vectors` has them.
FORMS = ("text", "binary", "keyed_vectors", "parquet", "projector")

_KEY = "{}/.ATTRIBUTES/VARIABLE_VALUE"


@dataclasses.dataclass(frozen=True)
class Vectors:
    """What a model knows: its words by falling frequency, with counts, and float32 [V, D] vectors."""

    words: Vocabulary
    table: np.ndarray

    def layers(self, *, trainable: bool = False) -> tuple[keras.layers.Layer, keras.layers.Embedding]:
        """Keras layers that start from these vectors.

        Args:
            trainable: whether the training of a model with them changes the vectors.

        Returns:
            (TextVectorization, Embedding): from texts to ids, by the same normalisation as in training; and from ids to
            vectors: 0 is padding, which is masked, and 1 an unknown word; both have zeros.
        """
        import keras

        from components import text

        @keras.saving.register_keras_serializable("tfx_word2vec")
        def standardize(texts: tf.Tensor) -> tf.Tensor:
            return text.normalize(texts)

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
        UserError: it holds no model of this project.
    """
    import tensorflow as tf  # seconds that --help need not wait

    from components import vocabulary

    asset = os.path.join(model, "assets", vocabulary.ASSET)
    if not tf.io.gfile.exists(asset):
        raise UserError(
            f"{model}: not a pushed version. Expected a folder such as runs/sample/serving_model/1790000000"
        )
    reader = tf.train.load_checkpoint(os.path.join(model, "variables", "variables"))
    if not reader.has_tensor(_KEY.format("unit")):
        raise UserError(f"{model}: pushed by an older release, which kept vectors in another way. Push it anew")
    unit, norms = (reader.get_tensor(_KEY.format(name)) for name in ("unit", "norms"))
    unit *= norms[:, np.newaxis]
    return Vectors(vocabulary.read(asset), unit)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="FOLDER", help="a pushed version's folder")
    parser.add_argument("--form", required=True, nargs="+", choices=FORMS, help="which files: %(choices)s")
    parser.add_argument("--to", required=True, metavar="FOLDER", help="where they go; made if needed")
    options = parser.parse_args(arguments)
    try:
        from components import vectors

        found = load(options.model)
        for form in options.form:
            for path in vectors.FORMS[form](options.to, found.words, found.table):
                print(path)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
