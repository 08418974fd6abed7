from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tests.word2vec.training.test_blocks import random_documents, write
from word2vec import progress
from word2vec.errors import UserError
from word2vec.training import blocks, model, optimizers, samplers, strategies, training
from word2vec.training.checkpoints import Checkpoints
from word2vec.training.compiled_steps import CompiledSteps
from word2vec.training.tensorflow_steps import TensorFlowSteps

V, WINDOW, LENGTH, BLOCKS = 99, 5, 16, 8


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pairs"), random_documents(600), shards=2)


def make_data(files, kernel="tensorflow"):
    if kernel == "compiled":
        return blocks.DocumentChunks(files, weighting="expected", seed=1)
    return lambda epoch: blocks.dataset(
        files, window=WINDOW, weighting="expected", block_length=LENGTH, blocks_per_step=BLOCKS, seed=1,
        epoch=epoch,
    )  # fmt: skip


def make(
    folder, strategy=None, *, epochs=2, dimensions=8, vocabulary="", learning_rate=0.05, optimizer="sgd",
    sampler="unigram", size=V, kernel="tensorflow", streams=1, steps_per_call=10, checkpoint_seconds=1000,
    table_precision="float32",
):  # fmt: skip
    strategy = strategy or tf.distribute.get_strategy()
    epoch_steps = tf.Variable(140 * (BLOCKS if kernel == "compiled" else 1), dtype=tf.int64)
    with strategy.scope():
        made = model.Word2Vec(
            size,
            dimensions,
            window=WINDOW,
            block_length=LENGTH,
            blocks_per_step=BLOCKS,
            sampler=samplers.make(sampler, np.arange(size, 0, -1), 0.75),
            shared_negatives=16,
            remove_accidental_hits=False,
            table_precision=table_precision,
        )
        decay = optimizers.LinearDecay(learning_rate, 1e-4, epoch_steps, epochs=epochs)
        made.compile(optimizer=optimizers.make(optimizer, decay))
        made.optimizer.build([table.embeddings for table in made.tables])
    if kernel == "compiled":
        steps = CompiledSteps(made, decay, streams=streams, steps_per_call=steps_per_call * BLOCKS)
    else:
        steps = TensorFlowSteps(made, strategy, streams=streams, steps_per_call=steps_per_call)
    folder = pathlib.Path(folder)
    run = training.Training(
        made,
        steps,
        training.Schedule(epochs, checkpoint_seconds),
        epoch_steps=epoch_steps,
        words_per_position=1.5,
        checkpoints=Checkpoints(
            str(folder / "checkpoints"), vocabulary=vocabulary, writes=strategies.is_chief(strategy)
        ),
        logs=str(folder / "logs"),
    )
    return made, run


@pytest.fixture(params=["tensorflow", "compiled"])
def kernel(request):
    return request.param


def vectors(made):
    return made.target.embeddings.numpy()


class Heard(list):
    """Collects the progress that is told."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.level, self._stop_after = 0, stop_after

    def handle(self, record):
        self.append(record.progress)
        if len(self) == self._stop_after:
            raise KeyboardInterrupt

    def __enter__(self):
        progress.add_handler(self)
        return self

    def __exit__(self, *error):
        progress.remove_handler(self)


def test_training_learns_falls_and_tells(tmp_path, files, kernel):
    made, run = make(tmp_path, epochs=3, kernel=kernel)
    with Heard() as heard:
        run.run(make_data(files, kernel))
    if kernel == "compiled":  # a step is a block
        chunks = [len(chunk.ids) for chunk in make_data(files, kernel)(0)]
        steps = 3 * sum(-(-tokens // LENGTH) for tokens in chunks)
    else:
        steps = sum(1 for epoch in range(3) for _ in make_data(files)(epoch))
    assert heard[-1].step == run.steps == steps
    assert (heard[-1].epoch, heard[-1].epochs, heard[-1].share) == (3, 3, pytest.approx(1, abs=0.01))
    assert heard[-1].loss < heard[0].loss
    assert all(now.words_per_second > 0 and now.seconds_waited >= 0 for now in heard)
    rates = [now.learning_rate for now in heard]
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert rates[0] == pytest.approx(0.05, rel=0.05)
    assert rates[-1] == pytest.approx(1e-4, abs=2e-4)
    assert np.isfinite(vectors(made)).all()
    assert list((tmp_path / "logs").glob("events*"))


@pytest.mark.parametrize("sampler", ["unigram", "adaptive"])
def test_the_same_seed_gives_the_same_vectors(tmp_path, files, sampler, kernel):
    results = []
    for name in "ab":
        made, run = make(tmp_path / name, sampler=sampler, kernel=kernel)
        run.run(make_data(files, kernel))
        results.append(vectors(made))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "adam", "sampler": "adaptive", "learning_rate": 0.005},
        {"kernel": "compiled"},
        {"kernel": "compiled", "table_precision": "float16"},
        {"kernel": "compiled", "optimizer": "adagrad", "sampler": "adaptive"},
    ],
)
@pytest.mark.parametrize("stop_after", [3, 20])
def test_an_interrupted_training_ends_as_if_it_had_not_been(tmp_path, files, stop_after, settings):
    data, step = make_data(files, settings.get("kernel", "tensorflow")), BLOCKS if "kernel" in settings else 1
    whole, run = make(tmp_path / "whole", **settings)
    run.run(data)
    _, run = make(tmp_path / "parts", checkpoint_seconds=0, **settings)
    with Heard(stop_after), pytest.raises(KeyboardInterrupt):
        run.run(data)
    resumed, run = make(tmp_path / "parts", **settings)
    with Heard() as heard:
        run.run(data)
    assert heard[0].step > 10 * step * (stop_after - 1)
    for one, other in zip(resumed.tables, whole.tables, strict=True):
        np.testing.assert_array_equal(one.embeddings.numpy(), other.embeddings.numpy())


KILLED = """
import sys
from word2vec import threads
threads.one_thread_an_op()
import numpy as np
from tests.word2vec.training import test_training
folder, kernel, *files = sys.argv[1:]
epochs = 12 if kernel == "tensorflow" else 60
made, run = test_training.make(folder, epochs=epochs, checkpoint_seconds=0, kernel=kernel)
print("started", flush=True)
run.run(test_training.make_data(files, kernel))
np.save(sys.argv[1] + "/vectors.npy", test_training.vectors(made))
"""


def start(script, *arguments, **environment):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, **environment})  # fmt: skip


def finish(process, timeout=300):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err[-3000:]


def checkpoints_in(folder):
    """How many there are, while a training writes, renames and removes them."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return len(list((folder / "checkpoints").glob("*/*.index")))


@pytest.mark.slow
def test_killed_at_three_random_moments_it_ends_in_the_same_vectors(tmp_path, files, kernel):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    status, _, err = finish(start(KILLED, whole, kernel, *files))
    assert status == 0, err
    draw = np.random.default_rng()
    for _ in range(3):
        process = start(KILLED, parts, kernel, *files)
        assert process.stdout.readline() == "started\n"
        deadline, enough = time.monotonic() + 120, checkpoints_in(parts)
        while checkpoints_in(parts) <= enough - 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(moment := draw.uniform(0.5, 3.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        print("killed after", moment)
    status, _, err = finish(start(KILLED, parts, kernel, *files))
    assert status == 0, err
    np.testing.assert_array_equal(np.load(parts / "vectors.npy"), np.load(whole / "vectors.npy"))


def test_a_finished_training_is_not_done_again(tmp_path, files, kernel):
    trained, run = make(tmp_path, kernel=kernel)
    run.run(make_data(files, kernel))
    again, run = make(tmp_path, kernel=kernel)
    with Heard() as heard:
        run.run(make_data(files, kernel))
    assert not heard
    np.testing.assert_array_equal(vectors(again), vectors(trained))


def test_several_streams_train_on_every_pair_once_and_as_well(tmp_path, files, kernel):
    one, run = make(tmp_path / "one", epochs=4, kernel=kernel)
    with Heard() as alone:
        run.run(make_data(files, kernel))
    many, others = make(tmp_path / "many", epochs=4, streams=3, kernel=kernel)
    with Heard() as heard:
        others.run(make_data(files, kernel))
    assert int(others._positions) == int(run._positions)
    assert others.steps == run.steps == int(many.optimizer.iterations)
    assert heard[-1].loss < heard[0].loss
    assert heard[-1].loss == pytest.approx(alone[-1].loss, rel=0.05)
    # How alike depends on how the streams interleave, which a busy machine changes: 0.796 was seen.
    assert np.corrcoef(vectors(one).ravel(), vectors(many).ravel())[0, 1] > 0.6
    resumed, again = make(tmp_path / "many", epochs=4, streams=3, kernel=kernel)
    again.run(make_data(files, kernel))
    np.testing.assert_array_equal(vectors(resumed), vectors(many))


def test_divergence_is_said_at_once_and_the_last_checkpoint_stays(tmp_path, files, kernel):
    _, run = make(tmp_path, checkpoint_seconds=0, kernel=kernel)
    with Heard(2), pytest.raises(KeyboardInterrupt):
        run.run(make_data(files, kernel))
    before = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    _, run = make(tmp_path, learning_rate=1e30, kernel=kernel)
    with pytest.raises(UserError, match=r"diverged: the loss is (nan|inf) at step \d+.*trainer.learning_rate"):
        run.run(make_data(files, kernel))
    assert run.steps < 40 * (BLOCKS if kernel == "compiled" else 1)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == before


def test_an_epoch_without_pairs_is_said(tmp_path, kernel):
    lonely = write(tmp_path, [[(1, 1)], [(2, 3)], []], shards=1)
    _, run = make(tmp_path, kernel=kernel)
    with pytest.raises(UserError, match="not a single skip-gram pair"):
        run.run(make_data(lonely, kernel))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"vocabulary": "other"}, "checkpoint is of another vocabulary"),
        ({"dimensions": 9}, r"target vectors are of the shape \[99, 8\], expected \[99, 9\].*trainer.dimensions"),
        ({"size": 98}, r"target vectors are of the shape \[99, 8\], expected \[98, 8\]"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(tmp_path, files, other, message):
    _, run = make(tmp_path, epochs=1)
    run.run(make_data(files))
    made, run = make(tmp_path, epochs=1, **other)
    before = vectors(made)
    with pytest.raises(UserError, match=message):
        run.run(make_data(files))
    np.testing.assert_array_equal(vectors(made), before)


FULL = """
import resource, signal, sys
from word2vec.errors import UserError
from tests.word2vec.training import test_training
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
made, run = test_training.make(sys.argv[1], epochs=3, checkpoint_seconds=0)
saves = []
save = run._checkpoints.save
def limited(step):
    if len(saves) == 2:  # from here on no file may grow beyond this: as if the disk were full
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    saves.append(step)
    save(step)
run._checkpoints.save = limited
try:
    run.run(test_training.make_data(sys.argv[2:]))
except UserError as error:
    print(error, saves)
"""


def test_a_full_disk_is_said_and_the_last_good_checkpoint_stays(tmp_path, files):
    status, out, err = finish(start(FULL, tmp_path, *files))
    assert status == 0, err
    assert "could not be written" in out
    assert "the last good one is step-20" in out
    assert os.listdir(tmp_path / "checkpoints") == ["step-20"]
    resumed, run = make(tmp_path, epochs=3)
    with Heard() as heard:
        run.run(make_data(files))
    assert heard[0].step == 30
    whole, run = make(tmp_path / "whole", epochs=3)
    run.run(make_data(files))
    np.testing.assert_array_equal(vectors(resumed), vectors(whole))


def test_mean_loss_learns_nothing(tmp_path, files):
    made, _ = make(tmp_path)
    before = vectors(made)
    # At the start all scores are 0: a pair costs log 2, and so does each of its five noise words.
    assert training.mean_loss(made, make_data(files)(0)) == pytest.approx(6 * np.log(2), rel=1e-5)
    np.testing.assert_array_equal(vectors(made), before)


REPEATED = """
import sys, pathlib
import numpy as np
from word2vec import threads
threads.one_thread_an_op()
from tests.word2vec.training import test_training
results = []
for name in "ab":
    made, run = test_training.make(pathlib.Path(sys.argv[1]) / name, dimensions=512)
    run.run(test_training.make_data(sys.argv[2:]))
    results.append(test_training.vectors(made))
np.testing.assert_array_equal(*results)
"""


def test_steps_large_enough_for_several_threads_are_repeatable_too(tmp_path, files):
    """In a process of its own: how many threads TensorFlow uses is decided once a process."""
    status, _, err = finish(start(REPEATED, tmp_path, *files))
    assert status == 0, err


SPREAD = """
import json, sys, pathlib
import numpy as np
import tensorflow as tf
name, folder, settings, *files = sys.argv[1:]
if name == "mirrored":
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from word2vec.training import strategies
strategy = strategies.get(name)
assert strategy.num_replicas_in_sync == 2
from tests.word2vec.training import test_training
made, run = test_training.make(folder, strategy, **json.loads(settings))
test_training.refuse_dense_transfers(made, run)
with test_training.Heard() as heard:
    run.run(test_training.make_data(files))
results = [[copy.numpy() for copy in strategy.experimental_local_results(table.embeddings.value)]
           for table in made.tables]
for copies in results:
    for copy in copies:
        np.testing.assert_array_equal(copy, copies[0])
if strategies.is_chief(strategy):
    np.savez(folder + "/result.npz", target=results[0][0], context=results[1][0], losses=[now.loss for now in heard])
print("ended", run.steps, int(run._positions), flush=True)
import os
os._exit(0)
"""


def refuse_dense_transfers(made, run):
    """Fails as soon as a whole table is about to cross devices."""
    rows = made.target.input_dim
    apply = made.optimizer.apply

    def checked(gradients, variables):
        assert all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)
        assert all(gradient.values.shape[0] != rows for gradient in gradients)
        return apply(gradients, variables)

    made.optimizer.apply = checked


def assert_as_one_device(folder, tmp_path, files, **settings):
    one, run = make(tmp_path / "one", **settings)
    with Heard() as heard:
        run.run(make_data(files))
    result = np.load(folder / "result.npz")
    np.testing.assert_allclose(result["losses"], [now.loss for now in heard], rtol=1e-4)
    for table in one.tables:
        np.testing.assert_allclose(result[table.name], table.embeddings.numpy(), rtol=1e-3, atol=1e-4)
    return run


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adagrad"}, {"optimizer": "adam", "sampler": "adaptive"}])
def test_two_devices_train_as_one(tmp_path, files, settings):
    """In a process of its own, for logical devices are made once a process."""
    folder = tmp_path / "two"
    folder.mkdir()
    settings = {"epochs": 1, "learning_rate": 0.01, **settings}
    status, out, err = finish(start(SPREAD, "mirrored", folder, json.dumps(settings), *files))
    assert status == 0, err
    run = assert_as_one_device(folder, tmp_path, files, **settings)
    assert out.split()[-2:] == [str(run.steps), str(int(run._positions))]


def test_blocks_must_divide_by_the_devices():
    strategies.check_divides(2, 16)
    with pytest.raises(UserError, match=r"trainer.blocks_per_step = 15: expected a multiple of 2"):
        strategies.check_divides(2, 15)


def test_strategies_by_name():
    assert strategies.get("auto") is tf.distribute.get_strategy()
    one = strategies.get("one_device")
    assert isinstance(one, tf.distribute.OneDeviceStrategy)
    with one.scope():
        assert strategies.get("auto") is one
    assert strategies.is_chief(one)
    assert strategies.streams(one, deterministic=True) == 1
