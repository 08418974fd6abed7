"""The versions of a model: the newest one is served; a new one is warm before it takes over from the old one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (the ops of the served model)
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from components import warmup
from serving.batching import Arrays, Batcher
from serving.errors import invalid, not_found

MARK = "saved_model.pb"  # written last

# Rows of a request: the answers to more would take much memory.
MOST_ROWS = 10_000


class Version:
    """A loaded SavedModel.

    Args:
        folder: the version's.
        threads: where its signatures run.
        at_once: how many calls of a signature run beside each other.

    Attributes:
        number: the folder's name.
        signature_defs: `meta_graph_pb2.SignatureDef` by name, as `GetModelMetadata` gives them.
        users: requests that are being answered.
    """

    def __init__(self, folder: str, threads: concurrent.futures.Executor, at_once: int):
        self.folder, self.number, self.users = folder, int(os.path.basename(folder)), 0
        self.signature_defs = _signature_defs(folder)
        self._model = tf.saved_model.load(folder)
        self._batchers = {
            name: Batcher(functools.partial(_call, function), threads, at_once)
            for name, function in self._model.signatures.items()
        }
        self._warm_up()

    async def predict(self, signature: str, inputs: Arrays) -> Arrays:
        """Answers a request.

        Args:
            signature: its name; empty for `serving_default`.
            inputs: by name; texts as arrays of bytes objects.

        Raises:
            ServingError: there is no such signature, or the inputs are not what it takes.
        """
        signature = signature or tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
        if signature not in self._batchers:
            raise invalid(f'no signature "{signature}". There are {", ".join(sorted(self._batchers))}')
        checked = _checked(inputs, self.signature_defs[signature], signature)
        try:
            return await self._batchers[signature](checked)
        except tf.errors.InvalidArgumentError as error:
            raise invalid(f"{signature}: {error.message.splitlines()[0]}") from None

    def _warm_up(self) -> None:
        """Replays the requests that the model brings along."""
        path = os.path.join(self.folder, warmup.EXTRA, warmup.FILE)
        if not tf.io.gfile.exists(path):
            return
        for record in tf.data.TFRecordDataset(path):
            request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
            _call(
                self._model.signatures[request.model_spec.signature_name],
                {name: tf.make_ndarray(value) for name, value in request.inputs.items()},
            )


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
        self._cores = cores
        self._loaded: dict[int, Version] = {}
        self._failed: dict[int, float] = {}

    @property
    def newest(self) -> Version | None:
        """The version that is served; None while there is none."""
        return self._loaded[max(self._loaded)] if self._loaded else None

    @contextlib.contextmanager
    def use(self, name: str, number: int | None = None) -> Iterator[Version]:
        """Holds a version while a request is answered.

        Args:
            name: of the model.
            number: of the version; by default the newest.

        Raises:
            ServingError: there is no such model or version.
        """
        if name != self.name:
            raise not_found(f'no model "{name}". This server has "{self.name}"')
        version = self.newest if number is None else self._loaded.get(number)
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
        newest = self.newest
        return {number: "AVAILABLE" if version is newest else "UNLOADING" for number, version in self._loaded.items()}

    async def refresh(self) -> None:
        """Loads the newest version of the folder if it is not loaded yet, and drops older ones that nobody uses."""
        found = await asyncio.to_thread(find, self.folder)
        newest = max(found, default=None)
        if newest is not None and newest not in self._loaded and newest > max(self._loaded, default=-1):
            await self._load(newest)
        for number, version in list(self._loaded.items()):
            if version is not self.newest and not version.users:
                del self._loaded[number], version
                # A loaded model is in reference cycles; its memory must not wait for a collection by chance.
                await asyncio.to_thread(gc.collect)
                logging.info("%s: version %d is dropped", self.name, number)

    @contextlib.asynccontextmanager
    async def watched(self, seconds: float) -> AsyncIterator[None]:
        """Refreshes every so many seconds."""

        async def watch() -> None:
            while True:
                await asyncio.sleep(seconds)
                await self.refresh()

        task = asyncio.create_task(watch())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._threads.shutdown()

    async def _load(self, number: int) -> None:
        start = time.perf_counter()
        folder = os.path.join(self.folder, str(number))
        try:
            version = await asyncio.to_thread(Version, folder, self._threads, self._cores)
        except Exception as error:  # a version that can't be loaded must not stop the one that is served
            if number not in self._failed:
                logging.warning("%s: version %d cannot be loaded, and is tried again: %s", self.name, number, error)
            self._failed[number] = start
            return
        self._failed.pop(number, None)
        self._loaded[number] = version
        logging.info("%s: version %d is served (loaded in %.1f s)", self.name, number, time.perf_counter() - start)


def find(folder: str) -> list[int]:
    """The numbers of the versions that are whole."""
    if not tf.io.gfile.isdir(folder):
        return []
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    return [int(name) for name in names if name.isdecimal() and tf.io.gfile.exists(os.path.join(folder, name, MARK))]


def _signature_defs(folder: str) -> dict[str, meta_graph_pb2.SignatureDef]:
    with tf.io.gfile.GFile(os.path.join(folder, MARK), "rb") as file:
        saved = saved_model_pb2.SavedModel.FromString(file.read())
    return {
        name: signature
        for name, signature in saved.meta_graphs[0].signature_def.items()
        if name != "__saved_model_init_op"
    }


def _call(function: tf.types.experimental.ConcreteFunction, inputs: Arrays) -> Arrays:
    return {name: value.numpy() for name, value in function(**{n: tf.constant(v) for n, v in inputs.items()}).items()}


def _checked(inputs: Arrays, definition: meta_graph_pb2.SignatureDef, signature: str) -> Arrays:
    """The inputs in the types and ranks that a signature takes.

    Raises:
        ServingError: they are others.
    """
    if set(inputs) != set(definition.inputs):
        raise invalid(
            f"{signature}: expected the inputs {', '.join(sorted(definition.inputs))}, got "
            f"{', '.join(sorted(inputs)) or 'none'}"
        )
    checked = {}
    for name, value in inputs.items():
        info = definition.inputs[name]
        dtype = tf.as_dtype(info.dtype)
        if (dtype == tf.string) != (value.dtype == object):
            raise invalid(f"{signature}: input {name} is {value.dtype}, expected {dtype.name}")
        shape = info.tensor_shape
        if not shape.unknown_rank and value.ndim != len(shape.dim):
            raise invalid(f"{signature}: input {name} has {value.ndim} dimensions, expected {len(shape.dim)}")
        if value.size > MOST_ROWS:
            raise invalid(f"{signature}: input {name} has {value.size:,} values, expected at most {MOST_ROWS:,}")
        checked[name] = value if dtype == tf.string else _as(value, dtype, f"{signature}: input {name}")
    return checked


def _as(value: np.ndarray, dtype: tf.DType, what: str) -> np.ndarray:
    """Numbers in another type, if it holds them."""
    with np.errstate(invalid="ignore"):
        cast = value.astype(dtype.as_numpy_dtype)
    if dtype.is_integer and not np.array_equal(cast, value):
        raise invalid(f"{what}: expected {dtype.name}")
    return cast
