"""Whether a version that was loaded is a whole model of this project: it serves only then."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import prediction_log_pb2

from word2vec import saved_model_layout, sif, signatures, warmup
from word2vec.errors import UserError

Arrays = Mapping[str, np.ndarray]


def verify(
    folder: str,
    model: Any,
    signature_defs: Mapping[str, meta_graph_pb2.SignatureDef],
    call: Callable[[str, Arrays], Arrays],
) -> None:
    """Checks a loaded version, and warms it up on the way.

    Args:
        folder: the version's.
        model: what `tf.saved_model.load` returned.
        signature_defs: by name, as they stand in the folder.
        call: runs a signature.

    Raises:
        UserError: a signature is missing or takes or gives something else; the vocabulary, the vectors and the counts
            do not belong together; or a question is answered wrong.
        tf.errors.OpError: it does not answer the requests that it brings along for that.
    """
    there = {
        name: expected
        for name, expected in signatures.SIGNATURES.items()
        if name in signature_defs or name not in signatures.LATER
    }
    for name, expected in there.items():
        _check_signature(name, expected, signature_defs)
    words = _check_sizes(saved_model_layout.vocabulary(folder), model)
    _replay(folder, call)
    for name, inputs in warmup.requests(words, model.unit.shape[1]).items():
        if name not in there:
            continue
        inputs = {key: _encoded(value) for key, value in inputs.items()}
        _check_answer(name, inputs, call(name, inputs), model)


def _check_signature(
    name: str, expected: signatures.Signature, signature_defs: Mapping[str, meta_graph_pb2.SignatureDef]
) -> None:
    if name not in signature_defs:
        raise UserError(f"it has no signature {name}")
    for what in ("inputs", "outputs"):
        there = {key: tf.as_dtype(info.dtype) for key, info in getattr(signature_defs[name], what).items()}
        wanted = getattr(expected, what)
        # Outputs that came later hurt nobody; inputs that came later would have to be given.
        if there != wanted and (what == "inputs" or not wanted.items() <= there.items()):
            raise UserError(f"the {what} of its signature {name} are {_listed(there)}, expected {_listed(wanted)}")


def _listed(tensors: Mapping[str, tf.DType]) -> str:
    return ", ".join(f"{name} ({dtype.name})" for name, dtype in sorted(tensors.items())) or "none"


def _check_sizes(path: str, model: Any) -> list[str]:
    """Returns the most frequent words."""
    words, counts = _read_vocabulary(path)
    shapes = {name: _shape(model, name) for name in ("unit", "norms", "weights")}
    if len(shapes["unit"]) != 2 or any(shape[:1] != (len(counts),) for shape in shapes.values()):
        sizes = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise UserError(f"its vocabulary has {len(counts):,} words, and its variables are of other sizes: {sizes}")
    if not np.allclose(sif.weights(counts), model.weights.numpy(), rtol=1e-3):
        raise UserError("its vocabulary's counts are not those of its vectors")
    _check_ngrams(model)
    if getattr(model, "common", None) is not None and _shape(model, "common") != shapes["unit"][1:]:
        raise UserError(f"what its texts have in common is of another size: {list(_shape(model, 'common'))}")
    norms = model.norms.numpy()
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise UserError("some of its vectors are no finite numbers")
    return words


def _check_ngrams(model: Any) -> None:
    if getattr(model, "ngrams", None) is None:
        return
    numbers, rows = _shape(model, "ngram_buckets"), _shape(model, "ngram_rows")
    if rows != (*numbers, model.unit.shape[1]):
        raise UserError(f"its n-grams are {list(numbers)}, and their rows of other sizes: {list(rows)}")
    if not np.isfinite(model.ngram_rows.numpy()).all():
        raise UserError("some rows of its n-grams are no finite numbers")


def _read_vocabulary(path: str) -> tuple[list[str], np.ndarray]:
    """The first words and all counts: the other words of a large vocabulary would take memory, and are not needed."""
    with tf.io.gfile.GFile(path, "rb") as file:
        lines = file.read().removesuffix(b"\n").split(b"\n")
    try:
        words = [line.partition(b" ")[2].decode() for line in lines[: warmup.WORDS]]
        counts = np.array([line.partition(b" ")[0] for line in lines]).astype(np.float64)
    except ValueError:
        raise UserError("its vocabulary is damaged: expected a count and a word in each line") from None
    if not all(words) or len(words) < 2 or not (np.isfinite(counts).all() and (counts >= 0).all() and counts.any()):
        raise UserError("its vocabulary is damaged: expected a count and a word in each line, and two lines at least")
    return words, counts


def _shape(model: Any, name: str) -> tuple[int, ...]:
    if not hasattr(getattr(model, name, None), "shape"):
        raise UserError(f"it has no variable {name}: it is of another release, or no model of this project")
    return tuple(getattr(model, name).shape)


def _replay(folder: str, call: Callable[[str, Arrays], Arrays]) -> None:
    """The requests that the model brings along; TF Serving sends them too, and a failure ends its loading."""
    path = os.path.join(folder, warmup.EXTRA, warmup.FILE)
    if not tf.io.gfile.exists(path):
        return
    for record in tf.data.TFRecordDataset(path):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        if request.model_spec.signature_name not in signatures.SIGNATURES:
            raise UserError(f'a warm-up request is for a signature "{request.model_spec.signature_name}"')
        call(
            request.model_spec.signature_name,
            {name: tf.make_ndarray(value) for name, value in request.inputs.items()},
        )


def _check_answer(name: str, inputs: Arrays, outputs: Arrays, model: Any) -> None:
    rows = len(next(iter(inputs.values())))
    for key, value in outputs.items():
        if value.shape[:1] != (rows,):
            raise UserError(f"{name}: of {rows} questions, {key} is of the shape {list(value.shape)}")
        if value.dtype.kind == "f" and not name.startswith("evaluate") and not np.isfinite(value).all():
            raise UserError(f"{name}: {key} has numbers that are not finite")
    if "embeddings" in outputs and outputs["embeddings"].shape[1:] != (model.unit.shape[1],):
        raise UserError(f"{name}: embeddings are of the shape {list(outputs['embeddings'].shape)}")
    if not outputs.get("known", outputs.get("known_share", np.ones(1))).any():
        raise UserError(f"{name}: it knows none of its own most frequent words")


def _encoded(values: np.ndarray) -> np.ndarray:
    if values.dtype != object:
        return values
    return np.array([value.encode() if isinstance(value, str) else value for value in values], object)
