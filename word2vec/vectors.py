"""Vectors as files that other tools read: word2vec, fastText, gensim, Parquet and TensorBoard's Projector."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import tensorflow as tf
from tensorboard.plugins import projector

from word2vec import fasttext_file
from word2vec.subwords import Buckets
from word2vec.vocabulary import Vocabulary

FOLDER, TEXT, BINARY = "vectors", "vectors.txt", "vectors.bin"
KEYED_VECTORS, PARQUET, FASTTEXT = "vectors.kv", "vectors.parquet", "fasttext.bin"
PROJECTOR_WORDS = 10_000  # more, and a browser no longer turns them smoothly
_ROWS_AT_A_TIME = 10_000


def write(folder: str, words: Vocabulary, vectors: np.ndarray) -> None:
    """Writes `vectors.txt` and `vectors.bin`, word2vec's formats."""
    write_text(folder, words, vectors)
    write_binary(folder, words, vectors)


# The writers of each form take the same.
#
# Args:
#     folder: made if needed.
#     words: by falling frequency.
#     vectors: float32 [V, D].
#
# Returns:
#     The paths of the files.


def write_text(folder: str, words: Vocabulary, vectors: np.ndarray) -> list[str]:
    """Writes word2vec's text, which `KeyedVectors.load_word2vec_format` of gensim reads."""
    path = _path(folder, TEXT)
    with _replacing(path) as beside, tf.io.gfile.GFile(beside, "wb") as file:
        file.write(_header(vectors))
        _write_table(file, words.words, vectors, " ")
    return [path]


def write_binary(folder: str, words: Vocabulary, vectors: np.ndarray) -> list[str]:
    """Writes word2vec's binary format, which `KeyedVectors.load_word2vec_format(..., binary=True)` reads."""
    path = _path(folder, BINARY)
    with _replacing(path) as beside, tf.io.gfile.GFile(beside, "wb") as file:
        file.write(_header(vectors))
        _write_rows(file, words.words, vectors)
    return [path]


def write_keyed_vectors(folder: str, words: Vocabulary, vectors: np.ndarray) -> list[str]:
    """Writes what gensim's `KeyedVectors.load` reads, with the counts; to a local folder."""
    from gensim.models import KeyedVectors  # only those who want it wait for it

    keyed = KeyedVectors(vectors.shape[1])
    keyed.add_vectors(words.words, vectors)
    keyed.allocate_vecattrs(["count"], [np.int64])
    keyed.expandos["count"][:] = words.counts
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        keyed.save(os.path.join(beside, KEYED_VECTORS))
        # Large tables are in files of their own, which must be there when the first one is.
        names = sorted(os.listdir(beside), key=len, reverse=True)
        for name in names:
            os.replace(os.path.join(beside, name), os.path.join(folder, name))
    return [os.path.join(folder, name) for name in reversed(names)]


def write_parquet(folder: str, words: Vocabulary, vectors: np.ndarray) -> list[str]:
    """Writes the columns `word` (string), `count` (int64) and `vector` (a list of D float32)."""
    path = _path(folder, PARQUET)
    kind = pa.list_(pa.float32(), vectors.shape[1])
    schema = pa.schema([("word", pa.string()), ("count", pa.int64()), ("vector", kind)])
    with _replacing(path) as beside, pyarrow.parquet.ParquetWriter(beside, schema) as writer:
        for start in range(0, len(words), _ROWS_AT_A_TIME):
            stop = start + _ROWS_AT_A_TIME
            flat = pa.array(np.ascontiguousarray(vectors[start:stop]).ravel())
            rows = pa.FixedSizeListArray.from_arrays(flat, type=kind)
            writer.write_batch(
                pa.record_batch([words.words[start:stop], words.counts[start:stop], rows], schema=schema)
            )
    return [path]


def write_projector(folder: str, words: Vocabulary, vectors: np.ndarray) -> list[str]:
    """Writes the most frequent words for TensorBoard's Projector, into the folder of its logs."""
    most = min(len(words), PROJECTOR_WORDS)
    table, names = _path(folder, "vectors.tsv"), _path(folder, "words.tsv")
    with _replacing(table) as beside, tf.io.gfile.GFile(beside, "wb") as file:
        _write_table(file, None, vectors[:most], "\t")
    counted = zip(words.words[:most], words.counts[:most].tolist(), strict=True)
    with _replacing(names) as beside, tf.io.gfile.GFile(beside, "w") as file:
        file.write("".join(f"{word}\t{count}\n" for word, count in [("word", "count"), *counted]))
    config = projector.ProjectorConfig()
    config.embeddings.add(tensor_name="vectors", tensor_path="vectors.tsv", metadata_path="words.tsv")
    projector.visualize_embeddings(folder, config)
    return [table, names, os.path.join(folder, "projector_config.pbtxt")]


def write_fasttext(folder: str, words: Vocabulary, vectors: np.ndarray, buckets: Buckets | None = None) -> list[str]:
    """Writes fastText's own file, with the rows of n-grams of which vectors of other words are made."""
    path = _path(folder, FASTTEXT)
    with _replacing(path) as beside, tf.io.gfile.GFile(beside, "wb") as file:
        fasttext_file.write(file, words, vectors, buckets)
    return [path]


FORMS: dict[str, Callable[..., list[str]]] = {
    "text": write_text,
    "binary": write_binary,
    "keyed_vectors": write_keyed_vectors,
    "parquet": write_parquet,
    "projector": write_projector,
    "fasttext": write_fasttext,
}


def _path(folder: str, name: str) -> str:
    tf.io.gfile.makedirs(folder)
    return os.path.join(folder, name)


def _header(vectors: np.ndarray) -> bytes:
    return "{} {}\n".format(*vectors.shape).encode()


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[str]:
    """Gives a path beside a file, on any file system; what is written there takes the file's place when it is whole."""
    beside = f"{path}.new"
    yield beside
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


def _write_rows(file: Any, words: list[str], vectors: np.ndarray) -> None:
    for start in range(0, len(words), _ROWS_AT_A_TIME):
        stop = start + _ROWS_AT_A_TIME
        file.write(
            b"".join(
                word.encode() + b" " + row.tobytes()
                for word, row in zip(words[start:stop], vectors[start:stop], strict=True)
            )
        )
