"""Steps of the compiled kernel: a stream per core, all on the model's own tables."""

from __future__ import annotations

import collections
import concurrent.futures
import ctypes
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from word2vec.training import blocks, chunks, kernel, losses, optimizers, training, window_weights
from word2vec.training.model import Word2Vec

# What a stream takes at a time: so few that all streams end a round together, so many that Python does not count.
BLOCKS_PER_PIECE = 256

# Between the seeds of two workers: more than anybody's seeds are apart.
_SEEDS_APART = 2**40


class _Piece(NamedTuple):
    """Some blocks of a chunk, and how many were trained on before them."""

    chunk: kernel.Chunk
    begin: int
    end: int
    step: int


class _Done(NamedTuple):
    """What a stream did in a round, and when it ended."""

    steps: int
    sums: np.ndarray
    ended: float


class CompiledSteps:
    """Trains a model on this machine's cores; see `training.Steps`. A step is one block.

    The kernel changes the model's variables where they are in memory: nothing is copied, and what saves, loads or
    serves the model does not know of it.

    Args:
        model: compiled with `optimizers.SGD` or `optimizers.RowAdagrad`, and built.
        rate: the optimizer's learning rate.
        streams: how many threads train at the same time; the result of 1 is always the same.
        steps_per_call: steps of a round; fewer where the sampler learns, and in the last one of an epoch.
        worker: which of several this is; each draws noise of its own.

    Attributes:
        steps_per_call: steps of a round.

    Raises:
        ValueError: the model has subwords, and the optimizer is another than plain SGD.
    """

    def __init__(
        self, model: Word2Vec, rate: optimizers.LinearDecay, *, streams: int, steps_per_call: int, worker: int = 0
    ):
        if model.subwords is not None and hasattr(model.optimizer, "accumulators"):
            raise ValueError("the compiled kernel trains subwords by plain SGD alone")
        self._model, self._rate = model, rate
        self._streams, self.steps_per_call = streams, steps_per_call
        if model.sampler.losses is not None:
            # It draws by what it has learned only after a round: when each word was drawn once on average.
            once_each = model.sampler.vocabulary_size // model.shared_negatives
            self.steps_per_call = min(steps_per_call, max(once_each, BLOCKS_PER_PIECE))
        weights, mix = kernel.weights(model.window, model.block_length, model.window_weights, model.architecture)
        self._settings = kernel.Settings(
            window=model.window,
            length=model.block_length,
            noise=model.shared_negatives,
            negatives=model.negatives,
            softmax=isinstance(model.objective, losses.SampledSoftmax),
            distinct=model.remove_accidental_hits,
            weights=weights,
            mix=mix,
            seed=model.seed + worker * _SEEDS_APART,
            splits=None if model.subwords is None else model.subwords.splits,
            rows=None if model.subwords is None else model.subwords.rows,
        )
        self._scratch = [kernel.scratch(self._settings, model.target.output_dim) for _ in range(streams)]
        chunks.compile_ahead(radii=window_weights.by_radius(model.window_weights))

    def rounds(self, data: Iterable[blocks.Documents], *, skip: int, done: int) -> Iterator[training.Round]:
        """See `training.Steps`."""
        tables, accumulators = self._tables()
        noise = self._noise()
        pieces = self._pieces(data, skip, done)
        asked = time.perf_counter()
        taken = self._take(pieces)
        waited = time.perf_counter() - asked
        with concurrent.futures.ThreadPoolExecutor(self._streams) as pool:
            while taken:
                if noise.losses is not None:  # this sampler learns
                    noise = self._noise()
                queue = collections.deque(taken)
                work = queue, tables, accumulators, noise, self._rates()
                running = [pool.submit(self._train, *work, own) for own in self._scratch]
                try:
                    taken = self._take(pieces)  # meanwhile
                    ready = time.perf_counter()
                    results = [stream.result() for stream in running]
                finally:
                    queue.clear()  # who interrupts waits for a piece, not for the round
                steps = sum(result.steps for result in results)
                sums = sum((result.sums for result in results), np.zeros(3))
                self._model.sampler.observed(steps * self._settings.noise)
                done += steps
                self._model.optimizer.iterations.assign(done)
                loss, pairs, positions = (float(sums[place]) for place in (kernel.LOSS, kernel.PAIRS, kernel.POSITIONS))
                yield training.Round(steps, loss, pairs, round(positions), waited)
                waited = max(ready - min(result.ended for result in results), 0.0)

    def _pieces(self, data: Iterable[blocks.Documents], skip: int, done: int) -> Iterator[_Piece]:
        """The blocks of an epoch but the first `skip`, in pieces of which whole ones make a round."""
        first = 0
        left = self.steps_per_call  # of the round
        for documents in data:
            chunk = chunks.cut(documents, self._settings.window, self._settings.length, first)
            count = len(chunk.order)
            begin = max(skip - first, 0)
            while begin < count:
                end = min(begin + BLOCKS_PER_PIECE, begin + left, count)
                yield _Piece(chunk, begin, end, done + first + begin - skip)
                left = left - (end - begin) or self.steps_per_call
                begin = end
            first += count

    def _take(self, pieces: Iterator[_Piece]) -> list[_Piece]:
        """The pieces of a round."""
        taken, steps = [], 0
        while steps < self.steps_per_call and (piece := next(pieces, None)):
            taken.append(piece)
            steps += piece.end - piece.begin
        return taken

    def _train(
        self,
        queue: collections.deque[_Piece],
        tables: kernel.Tables,
        accumulators: kernel.Tables | None,
        noise: kernel.Noise,
        rates: kernel.Rates,
        own: kernel.Scratch,
    ) -> _Done:
        """Trains on pieces until none is left, or the loss is no longer a number."""
        sums, steps = np.zeros(3), 0
        while np.isfinite(sums[kernel.LOSS]):
            try:
                piece = queue.popleft()
            except IndexError:
                break
            steps += kernel.train(
                piece.chunk, tables, accumulators, self._settings, noise, rates, own,
                begin=piece.begin, end=piece.end, step=piece.step, sums=sums,
            )  # fmt: skip
        return _Done(steps, sums, time.perf_counter())

    def count(self, done: int) -> None:
        """Says how many steps of the whole training are done, which decides the learning rate."""
        self._model.optimizer.iterations.assign(done)

    def agree(self, mean: Callable[[np.ndarray], np.ndarray]) -> None:
        """Goes on from what all workers' samplers have learned; `mean` is over the workers' arrays."""
        self._model.sampler.agree(mean)

    def in_place(self) -> list[np.ndarray]:
        """All that a training changes, where it is in memory: float32 or float16 [V, ...]."""
        tables, accumulators = self._tables()
        return [_as_floats(array) for array in (*tables, *(accumulators or ())) if array is not None]

    def _tables(self) -> tuple[kernel.Tables, kernel.Tables | None]:
        """The model's variables and Adagrad's accumulators, where they are in memory."""
        model = self._model
        tables = [in_place(table.embeddings.value) for table in model.tables]
        if model.bias is not None:
            tables[-1] = tables[-1].reshape(-1)
        squares = [in_place(variable.value) for variable in getattr(model.optimizer, "accumulators", [])]
        return kernel.Tables(*tables), kernel.Tables(*squares) if squares else None

    def _noise(self) -> kernel.Noise:
        """The sampler as it is now."""
        sampler, model = self._model.sampler, self._model
        log_expected = None
        if model.bias is not None and model.objective.corrected:
            log_expected = sampler.log_expected_counts(model.negatives)
        losses_of_noise = sampler.losses
        observed = None if losses_of_noise is None else in_place(losses_of_noise)
        return kernel.Noise(*sampler.alias_table(), log_expected, observed, sampler.rate)

    def _rates(self) -> kernel.Rates:
        rate, bias = self._rate, self._model.bias
        return kernel.Rates(
            initial=rate.initial,
            minimum=rate.minimum,
            steps=float(rate.epochs * int(rate.epoch_steps)),
            warmup=float(rate.warmup_steps),
            bias=1.0 if bias is None else self._model.optimizer.rate_share(bias.embeddings),
        )


def in_place(variable: tf.Variable) -> np.ndarray:
    """A variable's own memory as an array, to be read and written until TensorFlow writes to the variable.

    Args:
        variable: float32 or float16.

    Returns:
        float32; or uint16, the bits of float16, which numba does not know on a processor.

    Raises:
        RuntimeError: TensorFlow has read or written single rows of the variable, and since then hands out copies.
    """
    # What is read from a variable shares its memory, until an operation has touched single rows of it.
    one, other = variable.read_value(), variable.read_value()
    shared = np.asarray(memoryview(one))
    if shared.ctypes.data != np.asarray(memoryview(other)).ctypes.data:
        raise RuntimeError(f"{variable.name}: TensorFlow hands out copies of this variable")
    kind = ctypes.c_float if variable.dtype == tf.float32 else ctypes.c_uint16
    return np.ctypeslib.as_array(ctypes.cast(shared.ctypes.data, ctypes.POINTER(kind)), shared.shape)


def _as_floats(array: np.ndarray) -> np.ndarray:
    return array if array.dtype == np.float32 else array.view(np.float16)
