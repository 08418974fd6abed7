"""Workers on tables of their own: in threads of this process, and in processes that speak through TensorFlow."""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.averaging import Thread, Together
from tests.conftest import free_ports
from tests.word2vec.training.test_blocks import random_documents, write
from tests.word2vec.training.test_training import finish, make, start
from word2vec.training import blocks, exchange, kernel, training
from word2vec.training.compiled_steps import CompiledSteps

V = 99
KEPT = np.full(V, 1 / V)


def in_threads(workers, work):
    """What each worker's work gives."""
    together = Together(workers)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(work, Thread(number, workers, together)) for number in range(workers)]
        return [each.result() for each in running]


def test_the_divisor_by_hand():
    steps = np.array([1e-9, 1e9, 100.0])
    np.testing.assert_allclose(exchange.divisor(np.array([8, 8, 1]), steps, 0.03), [1, 8, 1])
    way = 0.03 * exchange.CURVATURE * 10
    expected = 3 * (1 - np.exp(-way)) / (1 - np.exp(-3 * way))
    np.testing.assert_allclose(exchange.divisor(np.array([3]), np.array([10.0]), 0.03), [expected])


@given(st.integers(1, 10_000), st.floats(1e-9, 1e9), st.floats(1e-6, 10))
def test_no_exchange_goes_further_than_all_of_the_way(workers, steps, rate):
    """Where each worker has covered 1 - q of the way to where the row is best, together they cover at most all."""
    (over,) = exchange.divisor(np.array([workers]), np.array([steps]), rate)
    assert 1 - 1e-9 <= over <= workers + 1e-9
    covered = -np.expm1(-rate * exchange.CURVATURE * steps)
    assert workers * covered / over <= 1 + 1e-9


def test_what_an_exchange_makes_by_hand():
    """Row 0 is changed by one worker, row 1 by both and often, row 2 by both and seldom, row 3 by none."""
    often = np.array([5.0, 1e9, 1e-9, 7.0])

    def work(worker):
        rows = np.arange(8, dtype=np.float32).reshape(4, 2)
        bring = exchange.Exchange([exchange.Shared(rows, often)], worker)
        rows[1:3] += worker.worker + 1
        rows[0] -= 4 * worker.worker
        bring(0.03)
        first = rows.copy()
        rows[3, 0] += 1
        rows[0, 1] += worker.worker
        bring(0.03, frequent=2)
        return first, rows.copy(), rows

    (first, second, _), (same, other, rows) = in_threads(2, work)
    np.testing.assert_allclose(first, [[-4, -3], [2 + 1.5, 3 + 1.5], [4 + 3, 5 + 3], [6, 7]], rtol=1e-6)
    np.testing.assert_array_equal(first, same)
    np.testing.assert_array_equal(second[:2], other[:2])
    assert second[0].tolist() == [-4, -2]
    assert second[3].tolist() == other[3].tolist() == [7, 7]  # each its own still; it is not among the frequent ones
    np.testing.assert_array_equal(rows[3], [7, 7])


def test_what_is_sent_are_the_rows_that_changed():
    together = Together(2)

    def work(number):
        rows = np.zeros((1000, 4), np.float32)
        bring = exchange.Exchange([exchange.Shared(rows, np.ones(1000))], Thread(number, 2, together))
        rows[7] += 1
        bring(0.03)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert together.sent == 1000 * 4 + 16  # which rows they are, and one row


@pytest.mark.parametrize("cbow", [False, True])
def test_how_often_a_row_changes_is_counted_right(cbow):
    weights, mix = kernel.weights(2, 4, "expected", "cbow" if cbow else "skipgram")
    settings = kernel.Settings(2, 4, 6, 5, False, True, weights, mix, 1)
    kept, noise = np.array([0.5, 0.25, 0.25]), np.array([0.2, 0.2, 0.6])
    targets, contexts = exchange.changes_per_block(settings, kept, noise)
    positions, around = 4 * kept, 8 * kept
    np.testing.assert_allclose(targets, around if cbow else positions)
    np.testing.assert_allclose(contexts, (positions if cbow else around) + 6 * noise)


def test_a_row_of_an_n_gram_changes_with_all_its_words():
    weights, mix = kernel.weights(2, 4, "expected", "skipgram")
    splits, rows = np.array([0, 2, 4, 5]), np.array([0, 3, 1, 3, 2], np.int32)
    settings = kernel.Settings(2, 4, 6, 5, False, True, weights, mix, 1, splits, rows)
    targets, _ = exchange.changes_per_block(settings, np.array([0.5, 0.25, 0.25]), np.zeros(3))
    np.testing.assert_allclose(targets, [2, 1, 1, 3])


class Counting:
    """A worker's own steps, of which each adds 1 to the row of its number."""

    steps_per_call = 2
    learning_rate = 0.03

    def __init__(self, rounds):
        self.left, self.rows, self.done = rounds, np.zeros((4, 1), np.float32), []

    def count(self, done):
        self.done.append(done)

    def shared(self, kept, steps):
        return [exchange.Shared(self.rows, np.full(4, 1e-9))]

    def rounds(self, data, *, skip, done):
        for _ in range(self.left):
            self.rows[data] += 1
            yield training.Round(2, 10.0, 5.0, 7, 0.5)


def test_uneven_shares_end_together():
    def work(worker):
        own = Counting([25, 61][worker.worker])
        steps = exchange.ExchangingSteps(own, worker, KEPT, interval=20)
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
        steps = exchange.ExchangingSteps(Slow(300), worker, KEPT, interval=20)
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


def of_worker(folder, files, worker, *, epochs=3):
    """A small training of one worker of several, to its end: its tables, and the training."""
    made, run = make(folder, kernel="compiled", epochs=epochs)
    own = CompiledSteps(made, made.optimizer._learning_rate, streams=1, steps_per_call=4, worker=worker.worker)
    run._how = exchange.ExchangingSteps(own, worker, KEPT, interval=40)
    share = (worker.worker, worker.workers)
    run.run(blocks.DocumentChunks(files, weighting="expected", seed=1, share=share))
    return [table.embeddings.numpy() for table in made.tables], run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pairs"), random_documents(600), shards=2)


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
