"""Workers on tables of their own: in threads of this process, and in processes that speak through TensorFlow."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import signal
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from benchmarks.averaging import Thread, Together
from tests.conftest import free_ports
from tests.word2vec.training.test_blocks import random_documents, write
from tests.word2vec.training.test_training import finish, make, start
from word2vec.training import blocks, exchange, training
from word2vec.training.compiled_steps import CompiledSteps


def in_threads(workers, work):
    """What each worker's work gives."""
    together = Together(workers)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(work, Thread(number, workers, together)) for number in range(workers)]
        return [each.result() for each in running]


def test_the_divisor_by_hand():
    ones = np.ones((8, 4), np.float32)
    alike, one, apart, against = ones.sum(0), ones[0], np.array([1, 1, 1, 0]), np.array([0, 0, 0, 0])
    change = np.stack([alike, one, apart, against]).astype(np.float32)
    assert exchange.divisor(change, np.array([8 * 4, 4, 3, 8], np.float32)).tolist() == [8, 1, 1, 1]


NUMBERS = st.floats(-100, 100, width=32)


@given(npst.arrays(np.float32, npst.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=NUMBERS))
def test_no_row_moves_further_than_changes_at_right_angles_would_take_it(changes):
    change, length = changes.sum(0)[np.newaxis], np.square(changes).sum()[np.newaxis]
    (over,) = exchange.divisor(change, length)
    assert 1 <= over <= len(changes) * (1 + 1e-4)
    assert np.linalg.norm(change / over) <= np.sqrt(length[0]) * (1 + 1e-4) + 1e-6


def test_what_an_exchange_makes_by_hand():
    """Row 0 is changed by one worker, row 1 by both alike, row 2 by both at right angles, row 3 by none."""

    def work(worker):
        rows = np.arange(8, dtype=np.float32).reshape(4, 2)
        bring = exchange.Exchange([rows], worker)
        rows[0] -= 4 * worker.worker
        rows[1] += 3
        rows[2, worker.worker] += 1
        bring()
        first = rows.copy()
        rows[3, 0] += 1
        rows[0, 1] += worker.worker
        bring(frequent=2)
        return first, rows

    (first, second), (same, other) = in_threads(2, work)
    np.testing.assert_allclose(first, [[-4, -3], [5, 6], [5, 6], [6, 7]], rtol=1e-6)
    np.testing.assert_array_equal(first, same)
    np.testing.assert_array_equal(second, other)
    assert second[0].tolist() == [-4, -2]
    assert second[3].tolist() == [7, 7]  # each its own still: it is not among the frequent ones


def test_rows_of_half_precision_end_alike():
    def work(worker):
        rows = np.linspace(0, 3, 40, dtype=np.float16).reshape(10, 4)
        bring = exchange.Exchange([rows], worker)
        rows[2] += np.float16(0.1 * worker.worker)
        rows[3] += np.float16(0.3)
        bring()
        return rows

    one, other = in_threads(2, work)
    np.testing.assert_array_equal(one, other)
    expected = np.linspace(0, 3, 40, dtype=np.float16).reshape(10, 4).astype(np.float32)
    expected[2] += 0.1
    expected[3] += 0.3  # which both changed alike
    np.testing.assert_allclose(one, expected, atol=0.002)


def test_what_is_sent_are_the_rows_that_changed():
    together = Together(2)

    def work(number):
        rows = np.zeros((1000, 4), np.float32)
        bring = exchange.Exchange([rows], Thread(number, 2, together))
        rows[7] += 1
        bring()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert together.sent == 1000 * 2 + 4 * 2 + 4  # which rows they are, one row, and its length


def test_an_exchange_of_slices_makes_the_same_and_needs_little_memory(monkeypatch):
    def work(worker):
        draw = np.random.default_rng(worker.worker)
        tables = [np.ones((6000, 50), np.float32), np.ones((6000,), np.float32)]
        bring = exchange.Exchange(tables, worker)
        for table in tables:
            table[::2] += draw.normal(size=table[::2].shape).astype(np.float32)
            table[-1] += 1  # another number of rows than the other worker's, and the last one
        tables[0][worker.worker] -= 1
        bring()
        return tables

    exchange._changed(*np.zeros((2, 1, 1), np.uint32))  # compiled before memory is counted
    whole = in_threads(2, work)[0]
    monkeypatch.setattr(exchange, "SLICE", 51 * 100)
    sliced = in_threads(2, work)
    for one, *others in zip(whole, *sliced, strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)
    tables = [np.ones((20_000, 50), np.float32)]
    tracemalloc.start()
    try:
        bring = exchange.Exchange(tables, Thread(0, 1, Together(1)))
        tables[0] += 1
        bring()
        assert tracemalloc.get_traced_memory()[1] < 1.5 * tables[0].nbytes  # of which what it had last is 1
    finally:
        tracemalloc.stop()


class Counting:
    """A worker's own steps, of which each adds 1 to the row of its number."""

    steps_per_call = 2

    def __init__(self, rounds):
        self.left, self.rows, self.done = rounds, np.zeros((4, 1), np.float32), []

    def count(self, done):
        self.done.append(done)

    def in_place(self):
        return [self.rows]

    def agree(self, mean):
        assert mean(np.ones(3)).tolist() == [1, 1, 1]

    def rounds(self, data, *, skip, done):
        for _ in range(self.left):
            self.rows[data] += 1
            yield training.Round(2, 10.0, 5.0, 7, 0.5)


def test_uneven_shares_end_together():
    def work(worker):
        own = Counting([25, 61][worker.worker])
        steps = exchange.ExchangingSteps(own, worker, interval=20)
        return steps.interval, list(steps.rounds(worker.worker, skip=0, done=100)), own

    (interval, first, one), (_, second, other) = in_threads(2, work)
    assert interval == 20
    assert first == second
    assert [each.steps for each in first] == [20] * 7
    assert sum(each.positions for each in first) == 7 * (25 + 61)
    assert (first[0].loss, first[0].pairs, first[0].waited) == (200.0, 100.0, 5.0)
    assert one.done == other.done == [120, 140, 160, 180, 200, 220, 240]
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_allclose(one.rows[:2, 0], [25, 61])


@pytest.mark.parametrize(("slow", "told"), [(0.02, 1), (0.001, 0)])
def test_who_is_slow_is_told_once(notes, slow, told):
    class Slow(Counting):
        def rounds(self, data, *, skip, done):
            for done_ in super().rounds(data, skip=skip, done=done):
                time.sleep(slow if data == 2 else 0.001)
                yield done_

    def work(worker):
        steps = exchange.ExchangingSteps(Slow(300), worker, interval=20)
        list(steps.rounds(worker.worker, skip=0, done=0))

    in_threads(3, work)
    lines = [note for note in notes if note.startswith("worker 2 takes ")]
    assert len(lines) == 3 * told == len(notes)  # each worker tells it


@pytest.mark.parametrize(("files", "workers"), [(3, 2), (3, 3), (1, 3), (2, 5)])
def test_the_workers_shares_are_the_whole_text_once(tmp_path, files, workers):
    names = write(tmp_path, random_documents(2000), shards=files)

    def texts(share, epoch):
        chunks = blocks.DocumentChunks(names, weighting="expected", seed=1, share=share)
        return [chunk.ids.tolist() for chunk in chunks(epoch)]

    for epoch in range(2):
        shares = [texts((worker, workers), epoch) for worker in range(workers)]
        assert sorted(itertools.chain(*shares)) == sorted(texts((0, 1), epoch))
        assert files < workers or all(shares)


@pytest.mark.parametrize(("files", "workers"), [(5, 4), (9, 8), (15, 8), (6, 4), (4, 4), (1, 4)])
def test_no_worker_has_much_more_than_the_others(tmp_path, monkeypatch, files, workers):
    """All wait for the longest share, and its learning rate falls too fast."""
    monkeypatch.setattr(blocks, "DOCUMENTS_PER_CHUNK", 10)
    names = write(tmp_path, random_documents(2000), shards=files)
    sizes = [
        sum(len(chunk.ids) for chunk in blocks.DocumentChunks(names, weighting="expected", seed=1, share=share)(0))
        for share in ((worker, workers) for worker in range(workers))
    ]
    assert max(sizes) < 1.15 * np.mean(sizes)
    read = [len(blocks.DocumentChunks(names, weighting="expected", seed=1, share=(0, workers))._files)]
    assert read == [files // workers + files % workers]  # and not all of them


def of_worker(folder, files, worker, *, epochs=3):
    """A small training of one worker of several, to its end: its tables, and the training."""
    made, run = make(folder, kernel="compiled", epochs=epochs)
    own = CompiledSteps(made, made.optimizer._learning_rate, streams=1, steps_per_call=4, worker=worker.worker)
    run._how = exchange.ExchangingSteps(own, worker, interval=40)
    share = (worker.worker, worker.workers)
    run.run(blocks.DocumentChunks(files, weighting="expected", seed=1, share=share))
    return [table.embeddings.numpy() for table in made.tables], run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pairs"), random_documents(600), shards=2)


class StoppedError(Exception):
    """Ends a training in the midst."""


def test_workers_whose_sampler_learns_go_on_to_the_same_bits(tmp_path, files):
    """All draw alike after an exchange, so that the chief's checkpoint has what all need."""

    def work(folder, worker, stops_after=None):
        made, run = make(
            tmp_path / folder, kernel="compiled", epochs=3, sampler="adaptive",
            checkpoint_seconds=0 if stops_after else 1000,
        )  # fmt: skip
        run._checkpoints._writes = worker.worker == 0
        if worker.worker:
            run._checkpoints._agree = lambda step: max(run._checkpoints.steps(), default=-1)
        own = CompiledSteps(made, made.optimizer._learning_rate, streams=1, steps_per_call=4, worker=worker.worker)
        run._how = exchange.ExchangingSteps(own, worker, interval=40)
        saved, save = [], run._checkpoints.save

        def stop(step):
            save(step)
            saved.append(step)
            if len(saved) == stops_after:
                raise StoppedError

        run._checkpoints.save = stop
        share = (worker.worker, worker.workers)
        with contextlib.suppress(StoppedError):
            run.run(blocks.DocumentChunks(files, weighting="expected", seed=1, share=share))
        return [table.embeddings.numpy() for table in made.tables] + [made.sampler.losses.numpy()]

    whole, other = in_threads(2, lambda worker: work("whole", worker))
    np.testing.assert_array_equal(whole[-1], other[-1])
    cut, _ = in_threads(2, lambda worker: work("cut", worker, stops_after=8))
    assert not np.array_equal(cut[0], whole[0])
    rest, _ = in_threads(2, lambda worker: work("cut", worker))
    for one, again in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(one, again)


PROCESS = """
import json, os, sys
import numpy as np
from word2vec.training import strategies
strategy = strategies.get("multi_worker")
from word2vec.training import collectives
from tests.word2vec.training import test_exchange
folder, *files = sys.argv[1:]
worker = collectives.Collective(strategy)
assert (strategies.workers(strategy), strategies.is_on_cores(strategy)) == (2, True)
tables, run = test_exchange.of_worker(f"{folder}/process-{worker.worker}", files, worker)
strategies.leave(strategy)
np.savez(f"{folder}/{worker.worker}.npz", *tables)
print("ended", run.steps, int(worker.sent), flush=True)
os._exit(0)
"""


def test_processes_make_what_threads_make(tmp_path, files):
    def work(worker):
        return of_worker(tmp_path / f"thread-{worker.worker}", files, worker)

    (tables, run), (same, _) = in_threads(2, work)
    for one, other in zip(tables, same, strict=True):
        np.testing.assert_array_equal(one, other)

    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        processes.append(start(PROCESS, tmp_path, *files, TF_CONFIG=json.dumps(config)))
    ended = [finish(process) for process in processes]
    assert [status for status, _, _ in ended] == [0, 0], ended
    sent = {int(out.split()[-1]) for _, out, _ in ended}
    assert len(sent) == 1
    assert [out.split()[-2] for _, out, _ in ended] == [str(run.steps)] * 2
    for number in range(2):
        made = np.load(tmp_path / f"{number}.npz")
        for one, name in zip(tables, made.files, strict=True):
            np.testing.assert_allclose(made[name], one, rtol=1e-5, atol=1e-6)


SILENT = """
import os, sys, time
import numpy as np
from word2vec.training import strategies
strategy = strategies.get("multi_worker")
from word2vec.training import collectives
worker = collectives.Collective(strategy)
for number in range(3):
    worker.sum(np.ones(1))
    print(number, flush=True)
    time.sleep(1)
strategies.leave(strategy)
os._exit(0)
"""


@pytest.mark.slow
def test_a_worker_may_be_silent_for_longer_than_tensorflow_gives_it(tmp_path):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = [
        start(
            SILENT, TF_CONFIG=json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
        )
        for index in range(2)
    ]
    assert processes[1].stdout.readline() == "0\n"
    processes[1].send_signal(signal.SIGSTOP)
    time.sleep(15)
    processes[1].send_signal(signal.SIGCONT)
    ended = [finish(process) for process in processes]
    assert [status for status, _, _ in ended] == [0, 0], ended


def test_another_number_of_workers_goes_on_at_the_same_part(tmp_path, files):
    def interrupted(worker):
        made, run = make(tmp_path if worker.worker == 0 else tmp_path / "other", kernel="compiled", epochs=4)
        run._workers, run._how = worker.workers, None
        run._steps_of.assign(worker.workers)
        for count, value in ((run._steps, 600), (run._step_in_epoch, 40), (run._epoch_steps, 280), (run._epoch, 2)):
            count.assign(value)
        made.optimizer.iterations.assign(600)
        run._checkpoints.save(600)

    in_threads(1, lambda _: interrupted(Thread(0, 2, Together(1))))
    made, run = make(tmp_path, kernel="compiled", epochs=4)
    run.run(blocks.DocumentChunks(files, weighting="expected", seed=1))
    of_epoch = sum(-(-len(chunk.ids) // 16) for chunk in blocks.DocumentChunks(files, weighting="expected", seed=1)(0))
    assert run.steps == 2 * 600 - 2 * 40 + 2 * of_epoch
    assert int(made.optimizer.iterations) == run.steps
    assert np.isfinite(made.target.embeddings.numpy()).all()
