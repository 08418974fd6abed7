from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from components import progress
from components.errors import UserError
from components.trainer import blocks, model, samplers, strategies, training
from tests.components.trainer.test_blocks import SPEC, random_documents, write

V = 99


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pairs"), random_documents(600), shards=2)


def make_blocks(files, blocks_per_step=8):
    return lambda epoch: blocks.dataset(
        files, SPEC, window=5, block_length=16, blocks_per_step=blocks_per_step, seed=1, epoch=epoch
    )


def make(tmp_path, strategy=None, epochs=2, dimensions=8, **schedule):
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        sampler = samplers.UnigramSampler(np.arange(V, 0, -1), 0.75)
        made = model.SkipGram(
            sampler,
            vocabulary_size=V,
            dimensions=dimensions,
            negatives=5,
            shared_negatives=16,
            bias="expected_count",
            seed=1,
        )
    schedule = {
        "learning_rate": 0.05,
        "min_learning_rate": 1e-4,
        "steps_per_call": 10,
        "checkpoint_seconds": 1000,
        **schedule,
    }
    run = training.Training(
        made, strategy, training.Schedule(epochs, **schedule), epoch_positions=18_000, words_per_position=1.5,
        checkpoints=str(tmp_path / "checkpoints"), logs=str(tmp_path / "logs"),
    )  # fmt: skip
    return made, run


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


def test_training_learns_falls_and_tells(tmp_path, files):
    made, run = make(tmp_path, epochs=3)
    with Heard() as heard:
        run.run(make_blocks(files))
    steps = sum(1 for epoch in range(3) for _ in make_blocks(files)(epoch))
    assert heard[-1].step == steps
    assert (heard[-1].epoch, heard[-1].epochs, heard[-1].share) == (3, 3, pytest.approx(1, abs=0.01))
    assert heard[-1].loss < heard[0].loss
    assert all(now.words_per_second > 0 for now in heard)
    assert float(run.learning_rate()) == pytest.approx(1e-4)
    assert np.isfinite(made.target.numpy()).all()
    assert list((tmp_path / "logs").glob("events*"))


def test_the_same_seed_gives_the_same_vectors(tmp_path, files):
    vectors = []
    for name in "ab":
        made, run = make(tmp_path / name)
        run.run(make_blocks(files))
        vectors.append(made.target.numpy())
    np.testing.assert_array_equal(*vectors)


@pytest.mark.parametrize("stop_after", [3, 15])
def test_an_interrupted_training_ends_as_if_it_had_not_been(tmp_path, files, stop_after):
    whole, run = make(tmp_path / "whole")
    run.run(make_blocks(files))
    _, run = make(tmp_path / "parts", checkpoint_seconds=0)
    with Heard(stop_after), pytest.raises(KeyboardInterrupt):
        run.run(make_blocks(files))
    resumed, run = make(tmp_path / "parts")
    with Heard() as heard:
        run.run(make_blocks(files))
    assert heard[0].step > 10 * (stop_after - 1)
    np.testing.assert_array_equal(resumed.target.numpy(), whole.target.numpy())
    np.testing.assert_array_equal(resumed.context.numpy(), whole.context.numpy())


def test_a_finished_training_is_not_done_again(tmp_path, files):
    trained, run = make(tmp_path)
    run.run(make_blocks(files))
    again, run = make(tmp_path)
    with Heard() as heard:
        run.run(make_blocks(files))
    assert not heard
    np.testing.assert_array_equal(again.target.numpy(), trained.target.numpy())


def test_divergence_is_said(tmp_path, files):
    _, run = make(tmp_path, learning_rate=1e6)
    with pytest.raises(UserError, match=r"diverged.*trainer.learning_rate"):
        run.run(make_blocks(files))


def test_mean_loss_learns_nothing(tmp_path, files):
    made, _ = make(tmp_path)
    before = made.target.numpy().copy()
    # At the start all scores are 0: a pair costs log 2, and so does each of its five noise words.
    assert training.mean_loss(made, make_blocks(files)(0)) == pytest.approx(6 * np.log(2), rel=1e-5)
    np.testing.assert_array_equal(made.target.numpy(), before)


def test_blocks_must_divide_by_the_devices():
    class Two:
        num_replicas_in_sync = 2

    assert strategies.blocks_per_replica(Two(), 16) == 8
    with pytest.raises(UserError, match=r"trainer.blocks_per_step = 15: expected a multiple of 2"):
        strategies.blocks_per_replica(Two(), 15)


def test_strategies_by_name():
    assert strategies.get("auto") is tf.distribute.get_strategy()
    one = strategies.get("one_device")
    assert isinstance(one, tf.distribute.OneDeviceStrategy)
    with one.scope():
        assert strategies.get("auto") is one


REPEATED = """
import sys, pathlib
import numpy as np
from components import threads
threads.one_thread_an_op()
from tests.components.trainer import test_training
vectors = []
for name in "ab":
    made, run = test_training.make(pathlib.Path(sys.argv[1]) / name, dimensions=128)
    run.run(test_training.make_blocks(sys.argv[2:], blocks_per_step=32))
    vectors.append(made.target.numpy())
np.testing.assert_array_equal(*vectors)
"""


def test_steps_large_enough_for_several_threads_are_repeatable_too(tmp_path, files):
    """In a process of its own: how many threads TensorFlow uses is decided once a process."""
    command = [sys.executable, "-c", REPEATED, str(tmp_path), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


MIRRORED = """
import sys, pathlib
import numpy as np
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from components.trainer import strategies
from tests.components.trainer import test_training
strategy = strategies.get("mirrored")
assert strategy.num_replicas_in_sync == 2
folder = pathlib.Path(sys.argv[1])
made, run = test_training.make(folder, strategy)
run.run(test_training.make_blocks(sys.argv[2:], blocks_per_step=4))
copies = [table.numpy() for table in strategy.experimental_local_results(made.target.value)]
np.testing.assert_array_equal(*copies)
with test_training.Heard() as heard:
    print(int(run._step), int(run._positions), float(run._epoch_positions))
np.save(folder / "vectors.npy", copies[0])
"""


def test_two_devices_train_on_every_pair_once_and_stay_equal(tmp_path, files):
    """In a process of its own, for logical devices are made once a process."""
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, str(tmp_path), *files],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    steps, positions, _ = (float(value) for value in done.stdout.split())
    one, run = make(tmp_path / "one")
    run.run(make_blocks(files))
    assert positions == int(run._positions)
    assert steps == pytest.approx(int(run._step), abs=4)
    # The noise differs, the pairs do not: the vectors of both trainings point the same way.
    a, b = np.load(tmp_path / "vectors.npy"), one.target.numpy()
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9
