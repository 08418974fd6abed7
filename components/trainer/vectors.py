"""Vectors as files that other tools read: word2vec's text and binary formats, and TensorBoard's Projector."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import tensorflow as tf
from tensorboard.plugins import projector

from components.vocabulary import Vocabulary

FOLDER, TEXT, BINARY = "vectors", "vectors.txt", "vectors.bin"
PROJECTOR_WORDS = 10_000  # more, and a browser no longer turns them smoothly
_ROWS_AT_A_TIME = 10_000


def write(folder: str, words: Vocabulary, vectors: np.ndarray) -> None:
    """Writes `vectors.txt` and `vectors.bin`, which `KeyedVectors.load_word2vec_format` of gensim reads.

    Args:
        folder: made if needed.
        words: by falling frequency.
        vectors: float32 [V, D].
    """
    tf.io.gfile.makedirs(folder)
    header = f"{len(words)} {vectors.shape[1]}\n".encode()
    _write(os.path.join(folder, TEXT), header, lambda file: _write_table(file, words.words, vectors, " "))
    _write(os.path.join(folder, BINARY), header, lambda file: _write_binary(file, words.words, vectors))


def write_projector(logs: str, words: Vocabulary, vectors: np.ndarray) -> None:
    """Writes the most frequent words for TensorBoard's Projector, into the folder of its logs."""
    most = min(len(words), PROJECTOR_WORDS)
    _write(os.path.join(logs, "vectors.tsv"), b"", lambda file: _write_table(file, None, vectors[:most], "\t"))
    counted = "\n".join(
        f"{word}\t{count}" for word, count in zip(words.words[:most], words.counts[:most].tolist(), strict=True)
    )
    _write(os.path.join(logs, "words.tsv"), b"word\tcount\n", lambda file: file.write(counted.encode() + b"\n"))
    config = projector.ProjectorConfig()
    config.embeddings.add(tensor_name="vectors", tensor_path="vectors.tsv", metadata_path="words.tsv")
    projector.visualize_embeddings(logs, config)


def _write(path: str, header: bytes, body: Callable[[Any], object]) -> None:
    """Writes beside, then renames: a file appears when it is whole."""
    beside = f"{path}.new"
    with tf.io.gfile.GFile(beside, "wb") as file:
        file.write(header)
        body(file)
    tf.io.gfile.rename(beside, path, overwrite=True)


def _write_table(file: Any, words: list[str] | None, vectors: np.ndarray, delimiter: str) -> None:
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style="none")
    for start in range(0, len(vectors), _ROWS_AT_A_TIME):
        rows = vectors[start : start + _ROWS_AT_A_TIME]
        columns = [pa.array(np.ascontiguousarray(column)) for column in rows.T]
        if words is not None:
            columns.insert(0, pa.array(words[start : start + _ROWS_AT_A_TIME]))
        buffer = pa.BufferOutputStream()
        table = pa.Table.from_arrays(columns, names=[str(place) for place in range(len(columns))])
        pyarrow.csv.write_csv(table, buffer, options)
        file.write(buffer.getvalue().to_pybytes())


def _write_binary(file: Any, words: list[str], vectors: np.ndarray) -> None:
    for start in range(0, len(words), _ROWS_AT_A_TIME):
        stop = start + _ROWS_AT_A_TIME
        file.write(
            b"".join(
                word.encode() + b" " + row.tobytes()
                for word, row in zip(words[start:stop], vectors[start:stop], strict=True)
            )
        )
