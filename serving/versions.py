"""The versions of a model: the newest one is served; a new one is verified and warm before it takes over."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import functools
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (the ops of the served model)
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from serving import folders, verification
from serving.batching import Arrays, Batcher
from serving.errors import ServingError, invalid, not_found, shortened
from word2vec import errors, version_folders
from word2vec.questions import MOST_TOGETHER
from word2vec.signatures import MOST_ANSWERS, MOST_NEIGHBOURS

# Rows of a request: the answers to more would take much memory.
MOST_ROWS = 10_000

# Numbers of a table of vectors in a request.
MOST_NUMBERS = 1_000_000

# Bytes of a request, or values of an answer, above which they are read and built beside the other requests.
_LARGE = 50_000

# A version that failed is tried again when its files change; else, as the system may have been to blame, after a
# minute, then after twice as long each time.
_FIRST_WAIT, _LONGEST_WAIT = 60.0, 3600.0

# Errors of TensorFlow's that are no request's fault.
_SERVER_ERRORS = (tf.errors.InternalError, tf.errors.UnknownError, tf.errors.AbortedError, tf.errors.CancelledError)


class Version:
    """A loaded and verified SavedModel.

    Args:
        number: the version's.
        folder: the version's.
        threads: where its signatures run.
        at_once: how many calls of a signature run beside each other.

    Attributes:
        signature_defs: `meta_graph_pb2.SignatureDef` by name, as `GetModelMetadata` gives them.
        users: requests that are being answered.

    Raises:
        Exception: it cannot be loaded, or is not whole: of many kinds, TensorFlow's and UserError among them.
    """

    def __init__(self, number: int, folder: str, threads: concurrent.futures.Executor, at_once: int):
        self.folder, self.number, self.users = folder, number, 0
        self.signature_defs = _signature_defs(folder)
        with folders.without_globs(folder) as plain:
            self._model = tf.saved_model.load(plain)
        self._batchers = {
            name: Batcher(functools.partial(_call, function), threads, at_once)
            for name, function in self._model.signatures.items()
        }
        verification.verify(folder, self._model, self.signature_defs, self._answer)

    async def predict(self, signature: str, inputs: Arrays) -> Arrays:
        """Answers a request.

        Args:
            signature: its name; empty for `serving_default`.
            inputs: by name; texts as arrays of bytes objects.

        Raises:
            ServingError: there is no such signature, or the inputs are not what it takes.
        """
        signature = signature or tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
        _check_inputs(inputs, self.signature(signature), signature)
        try:
            return await self._batchers[signature](inputs)
        except tf.errors.OpError as error:
            raise _refusal(signature, error) from error

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        """What a signature takes and gives.

        Raises:
            ServingError: there is none of this name.
        """
        if name not in self._batchers:
            raise invalid(f'no signature "{shortened(name)}". There are {", ".join(sorted(self._batchers))}')
        return self.signature_defs[name]

    def _answer(self, signature: str, inputs: Arrays) -> Arrays:
        return _call(self._model.signatures[signature], inputs)


@dataclasses.dataclass(frozen=True)
class _Failure:
    """A version that could not be loaded: why, from which files, and when it is tried again."""

    reason: str
    files: Any
    wait: float
    again: float


class Versions:
    """Loads new versions as they appear in a folder, and drops the old one when its last request is answered.

    Args:
        name: the model's.
        folder: of the versions, each in a folder whose name is a number.
        cores: how many calls run beside each other.
    """

    def __init__(self, name: str, folder: str, *, cores: int):
        self.name, self.folder = name, folder
        self._threads = concurrent.futures.ThreadPoolExecutor(cores, "predict")
        self._builders = concurrent.futures.ThreadPoolExecutor(cores, "build")
        self._cores = cores
        self._loaded: dict[int, Version] = {}
        self._failed: dict[int, _Failure] = {}
        self._served: Version | None = None

    @property
    def served(self) -> Version | None:
        """The version that is served; None while there is none."""
        return self._served

    @property
    def failures(self) -> Mapping[int, str]:
        """Why versions are not loaded, by number."""
        return {number: failure.reason for number, failure in self._failed.items()}

    @contextlib.contextmanager
    def use(self, name: str, number: int | None = None) -> Iterator[Version]:
        """Holds a version while a request is answered.

        Args:
            name: of the model.
            number: of the version; by default the one that is served.

        Raises:
            ServingError: there is no such model or version.
        """
        if name != self.name:
            raise not_found(f'no model "{shortened(name)}". This server has "{self.name}"')
        version = self._served if number is None else self._loaded.get(number)
        if version is None:
            there = ", ".join(map(str, sorted(self._loaded))) or "none yet"
            raise not_found(f"no version {number if number is not None else ''} of {name} is loaded. There is: {there}")
        version.users += 1
        try:
            yield version
        finally:
            version.users -= 1

    def states(self) -> Mapping[int, str]:
        """AVAILABLE or UNLOADING, by version."""
        return {
            number: "AVAILABLE" if version is self._served else "UNLOADING" for number, version in self._loaded.items()
        }

    async def build(self, size: int, function: Callable[..., Any], *arguments: Any) -> Any:
        """Reads a request or builds an answer; while that of a large one is done, others are answered.

        Args:
            size: bytes of the request, or values of the answer.
            function: what does it.
            *arguments: the function's.
        """
        if size <= _LARGE:
            return function(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._builders, function, *arguments)

    async def refresh(self) -> None:
        """Serves the newest version of the folder that can be served, and drops others that nobody uses.

        Raises:
            OSError, tf.errors.OpError: the folder cannot be listed.
        """
        folders_by_number = await asyncio.to_thread(folders.find, self.folder)
        self._failed = {number: failure for number, failure in self._failed.items() if number in folders_by_number}
        for number in sorted(folders_by_number, reverse=True):
            if number in self._loaded or await self._load(number, folders_by_number[number]):
                self._served = self._loaded[number]
                break
        for number, version in list(self._loaded.items()):
            if version is not self._served and not version.users:
                del self._loaded[number], version
                # A loaded model is in reference cycles; its memory must not wait for a collection by chance.
                await asyncio.to_thread(gc.collect)
                logging.info("%s: version %d is dropped", self.name, number)

    @contextlib.asynccontextmanager
    async def watched(self, seconds: float) -> AsyncIterator[None]:
        """Refreshes every so many seconds, whatever happens."""
        task = asyncio.create_task(self._watch(seconds))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            for threads in (self._threads, self._builders):
                threads.shutdown(wait=False, cancel_futures=True)

    async def _watch(self, seconds: float) -> None:
        last_reason = ""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.refresh()
                last_reason = ""
            except Exception as error:  # whatever it is, the next look may find things mended
                reason = errors.reason(error)
                if reason != last_reason:
                    logging.warning("%s: cannot look for new versions, and tries again: %s", self.name, reason)
                last_reason = reason

    async def _load(self, number: int, folder: str) -> bool:
        start = time.monotonic()
        files, failed = await asyncio.to_thread(_files, folder), self._failed.get(number)
        same = failed if failed is not None and failed.files == files else None
        if same is not None and start < same.again:
            return False
        try:
            version = await asyncio.to_thread(Version, number, folder, self._threads, self._cores)
        except Exception as error:  # a version that can't be loaded must not stop the one that is served
            reason = errors.reason(error)
            if failed is None or failed.reason != reason:
                logging.warning("%s: version %d cannot be served: %s", self.name, number, reason)
            wait = _FIRST_WAIT if same is None else min(2 * same.wait, _LONGEST_WAIT)
            self._failed[number] = _Failure(reason, files, wait, time.monotonic() + wait)
            await asyncio.to_thread(gc.collect)
            return False
        self._failed.pop(number, None)
        self._loaded[number] = version
        logging.info("%s: version %d is served (loaded in %.1f s)", self.name, number, time.monotonic() - start)
        return True


def _files(folder: str) -> list[tuple[str, int, int]] | None:
    """What changes when a version's files do: paths, lengths and times; None where that cannot be told."""
    try:
        paths = [os.path.join(at, name) for at, _, names in tf.io.gfile.walk(folder) for name in names]
        stats = [(path, tf.io.gfile.stat(path)) for path in sorted(paths)]
        return [(path, stat.length, stat.mtime_nsec) for path, stat in stats]
    except (tf.errors.OpError, OSError):
        return None


def _signature_defs(folder: str) -> dict[str, meta_graph_pb2.SignatureDef]:
    with tf.io.gfile.GFile(os.path.join(folder, version_folders.MARK), "rb") as file:
        saved = saved_model_pb2.SavedModel.FromString(file.read())
    return {
        name: signature
        for graph in saved.meta_graphs[:1]
        for name, signature in graph.signature_def.items()
        if name != "__saved_model_init_op"
    }


def _call(function: tf.types.experimental.ConcreteFunction, inputs: Arrays) -> Arrays:
    try:
        outputs = function(**{name: tf.constant(value) for name, value in inputs.items()})
    except UnicodeDecodeError:  # TensorFlow stumbles over its own error, which quotes an input that is no text
        raise tf.errors.InvalidArgumentError(None, None, "an input cannot be read, and is no text") from None
    return {name: value.numpy() for name, value in outputs.items()}


def _check_inputs(inputs: Arrays, definition: meta_graph_pb2.SignatureDef, signature: str) -> None:
    """Checks that inputs are of the types and ranks that a signature takes, and not too many.

    Raises:
        ServingError: they are not.
    """
    if set(inputs) != set(definition.inputs):
        names = shortened(", ".join(sorted(inputs)) or "none", 200)
        raise invalid(f"{signature}: expected the inputs {', '.join(sorted(definition.inputs))}, got {names}")
    for name, value in inputs.items():
        info = definition.inputs[name]
        dtype = tf.as_dtype(info.dtype)
        if value.dtype != dtype.as_numpy_dtype:
            raise invalid(f"{signature}: input {name} is {value.dtype}, expected {dtype.name}")
        shape = info.tensor_shape
        if not shape.unknown_rank and value.ndim != len(shape.dim):
            raise invalid(f"{signature}: input {name} has {value.ndim} dimensions, expected {len(shape.dim)}")
        most = MOST_ROWS // MOST_TOGETHER if name == "examples" else most_values(dtype)
        if value.size > most:
            raise invalid(f"{signature}: input {name} has {value.size:,} values, expected at most {most:,}")
    if "k" in inputs:
        rows = max(len(value) for name, value in inputs.items() if name != "k")
        most = int(np.clip(inputs["k"].max(initial=0), 0, MOST_NEIGHBOURS))
        if rows * most > MOST_ANSWERS:
            raise invalid(
                f"{signature}: {rows:,} rows x {most:,} neighbours are {rows * most:,} answers, expected at most "
                f"{MOST_ANSWERS:,}. Ask for fewer neighbours, or in several requests"
            )


def most_values(dtype: tf.DType) -> int:
    """How many values of a type an input may have: texts and whole numbers are one per row, others are in vectors."""
    return MOST_NUMBERS if dtype.is_floating else MOST_ROWS


def _refusal(signature: str, error: tf.errors.OpError) -> ServingError:
    """What a client hears of an error that an operation of the graph met."""
    if isinstance(error, _SERVER_ERRORS):
        code = grpc.StatusCode.INTERNAL
    elif isinstance(error, tf.errors.ResourceExhaustedError):
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
    else:
        code = grpc.StatusCode.INVALID_ARGUMENT
    return ServingError(code, f"{signature}: {shortened(errors.reason(error), 400)}")
