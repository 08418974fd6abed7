"""A training, from Transform's pairs to a SavedModel and what stands beside it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from word2vec import progress, saved_model_layout, sif, vectors, vocabulary
from word2vec.errors import UserError
from word2vec.serving_model import ServingModel
from word2vec.settings import COMPILED_POSITIONS, Section, SkipGramSettings, TrainerSettings
from word2vec.subwords import Buckets, Subwords
from word2vec.training import (
    alignment,
    blocks,
    building,
    checkpoints,
    collectives,
    exchange,
    model,
    optimizers,
    strategies,
    training,
    warm_start,
)
from word2vec.training.tensorflow_steps import TensorFlowSteps


class Job(Section):
    """All that a worker needs to know; one line of JSON.

    Attributes:
        trainer: the settings.
        skipgram: those by which the pairs were made.
        vocabulary: the path of its file.
        phrases: the paths of theirs, a pass after the other.
        train_files: patterns of the examples' files.
        eval_files: the same for the split eval; empty where no loss is to be measured after the training.
        base_model: the SavedModel to start from, or to lie in one space with; or None.
        checkpoints: a folder that outlives the run.
        logs: the folder of TensorBoard's logs; empty for none.
        serving_model: where the SavedModel goes; empty if nothing is exported.
        code: the code's fingerprint.
    """

    trainer: TrainerSettings
    skipgram: SkipGramSettings
    vocabulary: str
    phrases: list[str] = []
    train_files: list[str]
    eval_files: list[str] = []
    base_model: str | None = None
    checkpoints: str
    logs: str = ""
    serving_model: str = ""
    code: str = ""

    @property
    def starts_warm(self) -> bool:
        """Whether there is a model to start from."""
        return self.trainer.warm_start and bool(self.base_model)

    @property
    def epochs(self) -> int:
        """Passes over all pairs."""
        return (self.starts_warm and self.trainer.warm_start_epochs) or self.trainer.epochs

    @property
    def fingerprint(self) -> str:
        """Tells trainings apart: checkpoints of one must never be taken for those of another.

        It does not change when the folder with the checkpoints and the artifacts is moved.
        """
        here = os.path.dirname(self.checkpoints)
        places = [self.vocabulary, *sorted(self.train_files), self.base_model or ""]
        settings = [self.trainer.filled(), self.skipgram.model_dump(), self.code]
        facts = [settings, [place.removeprefix(f"{here}/") for place in places]]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def train(job: Job) -> None:
    """Trains; the chief exports.

    Raises:
        UserError: the settings do not fit the devices or the data, the training diverged, or a worker has gone.
    """
    trained = _trained(job)
    if not trained.is_chief:
        return
    if job.eval_files:
        batches = trained.data.batches(shards(job.eval_files), trained.shape)
        _tell_eval_loss(trained.network, batches(epoch=0), job.logs)
    _export(job, trained.data.words, trained.network)
    checkpoints.remove(trained.checkpoints)


# Judges vectors: the words', float32 [V, D], and the rows of the n-grams, if there are any.
Judge = Callable[[np.ndarray, Buckets | None], float]


def try_out(job: Job, judge: Judge) -> float:
    """Trains, and exports nothing: all that remains of the vectors is what they are worth.

    Raises:
        DivergedError: the loss is no longer a number.
        UserError: see `train`.
    """
    try:
        trained = _trained(job)
    except training.DivergedError:  # with these settings nobody goes on
        for folder in filter(tf.io.gfile.isdir, (_checkpoints_of(job, compiled) for compiled in (True, False))):
            checkpoints.remove(folder)
        raise
    network = trained.network
    try:
        worth = judge(*_words_and_buckets(network.subwords, _floats(_value(network.target))))
    finally:
        for variable in (*(table.embeddings for table in network.tables), *network.optimizer.variables):
            _release(variable)
    checkpoints.remove(trained.checkpoints)
    return worth


class _Trained(NamedTuple):
    """What a training leaves.

    Attributes:
        network: trained.
        data: what it read.
        shape: of its steps: blocks, and their length.
        checkpoints: the folder of its checkpoints.
        is_chief: whether this process is the one that writes.
    """

    network: model.Word2Vec
    data: Data
    shape: tuple[int, int]
    checkpoints: str
    is_chief: bool


def _trained(job: Job) -> _Trained:
    """Trains, from the newest checkpoint if there is one."""
    settings = job.trainer
    check_drift(job)
    strategy = strategies.get(settings.strategy)
    compiled = _is_compiled(settings, strategy)
    strategies.check_same_job(strategy, job.fingerprint, compiled=compiled)
    data = Data(job)
    # On their cores several machines train tables of their own, which TensorFlow need not hold equal.
    workers = strategies.workers(strategy) if compiled else 1
    shape = building.shape_of_steps(settings, data.corpus, 1 if compiled else strategy.num_replicas_in_sync)
    positions = shape[1] * workers if compiled else np.prod(shape)
    epoch_steps = tf.Variable(max(round(data.corpus.positions / positions), 1), dtype=tf.int64)
    with contextlib.nullcontext() if compiled else strategy.scope():
        network, schedule = built(job, data.words, shape, epoch_steps, workers)
    saved = _checkpoints(job, data.words, strategy, compiled)
    steps, of_epoch = _steps(job, data, network, schedule, shape, strategy, compiled=compiled)
    is_chief = strategies.is_chief(strategy)
    training.Training(
        network,
        steps,
        training.Schedule(job.epochs, settings.checkpoint_seconds),
        epoch_steps=epoch_steps,
        words_per_position=data.words.counts.sum() / data.corpus.positions,
        checkpoints=saved,
        logs=job.logs if is_chief else None,
        workers=workers,
    ).run(of_epoch)
    strategies.leave(strategy)
    return _Trained(network, data, shape, saved.folder, is_chief)


def _steps(
    job: Job,
    data: Data,
    network: model.Word2Vec,
    schedule: optimizers.LinearDecay,
    shape: tuple[int, int],
    strategy: tf.distribute.Strategy,
    *,
    compiled: bool,
) -> tuple[training.Steps, Callable[..., Any]]:
    """What trains, and what gives it the data of an epoch."""
    settings, files = job.trainer, shards(job.train_files)
    streams = strategies.streams(strategy, deterministic=settings.deterministic)
    if not compiled:
        steps = TensorFlowSteps(network, strategy, streams=streams, steps_per_call=settings.steps_per_call)
        return steps, data.batches(files, shape)
    if strategies.workers(strategy) == 1:
        return _compiled_steps(network, schedule, streams, settings), data.chunks(files)
    together = collectives.Collective(strategy)
    exchanging = exchanging_steps(network, schedule, streams, settings, together)
    return exchanging, data.chunks(files, (together.worker, together.workers))


def check_drift(job: Job) -> None:
    """Makes sure that the text is not another one altogether than the last blessed model's.

    Raises:
        UserError: it is.
    """
    limit = job.trainer.max_drift
    if limit is None or not job.base_model:
        return
    before = vocabulary.read(saved_model_layout.vocabulary(job.base_model))
    drift = vocabulary.divergence(vocabulary.read(job.vocabulary), before)
    progress.note(f"the text's words have moved by {drift:.3f} since the last blessed model")
    if drift > limit:
        raise UserError(
            f"the text's words have moved by {drift:.3f} since the last blessed model, trainer.max_drift allows "
            f"{limit:g}: nothing was trained. Look whether the newest text is whole; if it is meant, raise the limit"
        )


class Data:
    """What a training reads: the vocabulary, and the pairs in the forms that the kernels take.

    Attributes:
        words: the vocabulary.
        corpus: what is expected of an epoch.
    """

    def __init__(self, job: Job):
        self.words = vocabulary.read(job.vocabulary)
        self.corpus = building.Corpus.of(self.words, job.skipgram.subsampling)
        self._window = job.skipgram.window
        self._weighting, self._seed = job.trainer.window_weights, job.trainer.seed

    def chunks(self, files: list[str], share: tuple[int, int] = (0, 1)) -> blocks.DocumentChunks:
        """For the compiled kernel: the documents of an epoch, by its number; of a worker's share."""
        return blocks.DocumentChunks(files, weighting=self._weighting, seed=self._seed, share=share)

    def batches(self, files: list[str], shape: tuple[int, int]) -> Callable[..., tf.data.Dataset]:
        """For TensorFlow's: the batches of an epoch, by its number."""
        blocks_per_step, length = shape
        return functools.partial(
            blocks.dataset,
            files,
            window=self._window,
            block_length=length,
            blocks_per_step=blocks_per_step,
            weighting=self._weighting,
            seed=self._seed,
        )


def built(
    job: Job, words: vocabulary.Vocabulary, shape: tuple[int, int], epoch_steps: tf.Variable, workers: int = 1
) -> tuple[model.Word2Vec, optimizers.LinearDecay]:
    """The model, with what it starts from, and its learning rate.

    Args:
        job: says which.
        words: the vocabulary.
        shape: (blocks per step, their length).
        epoch_steps: int64, about how many steps an epoch has.
        workers: with tables of their own.

    Raises:
        UserError: there is not enough memory, or it cannot start from the model that it shall start from.
    """
    network = building.make(words, job.trainer, job.skipgram.window, shape, workers)
    learning_rate = job.trainer.first_learning_rate
    if job.base_model and job.starts_warm:
        start = warm_start.read(job.base_model)
        warm_start.check_dimensions(start, job.trainer.dimensions)
        warm_start.check_same_kind(start, job.trainer.architecture, job.trainer.subwords)
        warm_start.load(start, words, network)
        learning_rate = job.trainer.warm_start_learning_rate or learning_rate
    schedule = building.set_optimizer(network, job.trainer, learning_rate, job.epochs, epoch_steps)
    return network, schedule


def _checkpoints(
    job: Job, words: vocabulary.Vocabulary, strategy: tf.distribute.Strategy, compiled: bool
) -> checkpoints.Checkpoints:
    """The training's own; the two kernels' steps are not the same ones."""
    is_chief = strategies.is_chief(strategy)
    if is_chief:
        checkpoints.sweep(job.checkpoints)
    return checkpoints.Checkpoints(
        _checkpoints_of(job, compiled),
        vocabulary=words.fingerprint,
        writes=is_chief,
        agree=functools.partial(strategies.of_chief, strategy),
    )


def _checkpoints_of(job: Job, compiled: bool) -> str:
    """The folder of a training's checkpoints."""
    return os.path.join(job.checkpoints, job.fingerprint + ("-compiled" if compiled else ""))


def _export(job: Job, words: vocabulary.Vocabulary, network: model.Word2Vec) -> None:
    """Writes the SavedModel, with what a later training can start from, and the vectors beside it."""
    table, rotation, space = _aligned(job, words, network)
    rest = {table.name: _value(table) for table in network.tables if table is not network.target}
    if rotation is not None or table.dtype != network.target.variable_dtype:
        _release(network.target.embeddings)
    if rotation is not None:
        rest["context"] = alignment.turn(rest["context"], rotation)
    warm_start.write(job.serving_model, rest, space, job.trainer.architecture)
    del rest
    _release(network.context.embeddings)
    target, buckets = _words_and_buckets(network.subwords, table)
    vectors.write(os.path.join(os.path.dirname(job.serving_model.rstrip("/")), vectors.FOLDER), words, target)
    vectors.write_projector(job.logs, words, target)
    common = sif.common_component(shards(job.train_files), target, words.counts, job.skipgram.subsampling)
    ServingModel(tf.convert_to_tensor(target), job.vocabulary, job.phrases, buckets, common).save(job.serving_model)


def _words_and_buckets(of: Subwords | None, table: np.ndarray) -> tuple[np.ndarray, Buckets | None]:
    """The words' vectors, float32 [V, D], and the rows of the n-grams, if there are any, from a table of targets."""
    if of is None:
        return table, None
    return of.compose(table), Buckets(of.settings, of.buckets, table[len(table) - len(of.buckets) :])


def _aligned(
    job: Job, words: vocabulary.Vocabulary, network: model.Word2Vec
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """The targets in the last blessed model's space, if that is wanted and there is one; else in a new space.

    Returns:
        the table, float32 [V or more, D]; what turned it, float64 [D, D], if anything; and the space.
    """
    table = _floats(_value(network.target))
    if job.base_model and job.trainer.align == "last_blessed":
        start = warm_start.read(job.base_model, vectors_alone=True)
        warm_start.check_dimensions(start, job.trainer.dimensions)
        rotation = warm_start.rotation(start, words, _words_and_buckets(network.subwords, table)[0])
        if rotation is not None:
            return alignment.turn(table, rotation), rotation, start.space
    return table, None, hashlib.sha256(table.data).hexdigest()[:16]


def _value(table: model.WordTable) -> np.ndarray:
    """A table's vectors, not a copy."""
    return np.asarray(memoryview(table.embeddings.value.read_value()))


def _floats(table: np.ndarray) -> np.ndarray:
    """A table as float32, a copy where it is of half precision."""
    return table.astype(np.float32, copy=False)


def _release(keras_variable: Any) -> None:
    """Frees a variable's memory, which the traced functions of the training would hold to the process' end."""
    for variable in getattr(keras_variable.value, "values", [keras_variable.value]):
        # An empty value takes the place of the table; the shape that the variable was made with is not looked at.
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=tf.zeros([0], variable.dtype))


def _compiled_steps(
    network: model.Word2Vec, schedule: optimizers.LinearDecay, streams: int, settings: TrainerSettings
) -> training.Steps:
    from word2vec.training.compiled_steps import CompiledSteps  # numba takes seconds

    per_call = max(settings.steps_per_call * COMPILED_POSITIONS // settings.block_length, 1)
    return CompiledSteps(network, schedule, streams=streams, steps_per_call=per_call)


def exchanging_steps(
    network: model.Word2Vec,
    schedule: optimizers.LinearDecay,
    streams: int,
    settings: TrainerSettings,
    together: exchange.Collective,
) -> training.Steps:
    """Of one worker of several, on tables of its own.

    Args:
        network: compiled, with the same values on all workers.
        schedule: its learning rate; a step is a step of all workers at the same time.
        streams: of this worker.
        settings: of the training.
        together: all the workers.
    """
    from word2vec.training.compiled_steps import CompiledSteps

    fewest = exchange.FEWEST_POSITIONS // settings.block_length
    of_epoch = max(int(schedule.epoch_steps) // exchange.AT_LEAST, fewest)
    interval = max(min(settings.exchange_positions // settings.block_length, of_epoch), exchange.PARTS)
    own = CompiledSteps(
        network, schedule, streams=streams, steps_per_call=interval // exchange.PARTS, worker=together.worker
    )
    return exchange.ExchangingSteps(own, together, interval=interval)


def _is_compiled(settings: TrainerSettings, strategy: tf.distribute.Strategy) -> bool:
    """Whether the compiled kernel trains: where it is asked for, or where it can.

    Raises:
        UserError: it is asked for, but the devices are not this machine's cores.
    """
    on_cores = strategies.is_on_cores(strategy)
    if settings.kernel == "compiled" and not on_cores:
        raise UserError(
            "trainer.kernel = compiled: trains on a CPU's cores, but there is a GPU, or trainer.strategy has several "
            "devices. Set trainer.kernel=auto"
        )
    if settings.table_precision != "float32":
        _check_halves(on_cores=on_cores)
    return settings.kernel != "tensorflow" and on_cores and settings.why_not_compiled() is None


def _check_halves(*, on_cores: bool) -> None:
    """Makes sure that tables of half precision can be trained here.

    Raises:
        UserError: they cannot.
    """
    if not on_cores:
        raise UserError(
            "trainer.table_precision = float16: is trained on a CPU's cores alone, but there is a GPU, or "
            "trainer.strategy has several devices. Set trainer.table_precision=float32"
        )
    from word2vec.training import kernel_halves  # numba takes seconds

    if not kernel_halves.are_known():
        raise UserError(
            "trainer.table_precision = float16: this CPU does not convert float16 (it has no F16C). "
            "Set trainer.table_precision=float32"
        )


def shards(patterns: list[str]) -> list[str]:
    """The files of examples, sorted within each pattern's folder."""
    return [path for pattern in patterns for path in blocks.shards_in(os.path.dirname(pattern))]


def _tell_eval_loss(network: model.Word2Vec, batches: tf.data.Dataset, logs: str) -> None:
    with tf.summary.create_file_writer(logs).as_default(step=0):
        tf.summary.scalar("eval_loss", training.mean_loss(network, batches))
