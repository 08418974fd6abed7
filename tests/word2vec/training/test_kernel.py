"""The compiled kernel against the TensorFlow model, which is its definition."""

import itertools
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
import tensorflow as tf

from word2vec.settings import SubwordSettings
from word2vec.subwords import Subwords
from word2vec.training import (
    blocks,
    code_cache,
    kernel,
    kernel_blocks,
    kernel_losses,
    model,
    optimizers,
    samplers,
    tiles,
)

# Of 15 words' n-grams: none, one that a word has three times, one that all have, and many.
_GRAMS = [[], [0, 0, 0], *([0, 1 + word % 3, *range(4, 4 + word)] for word in range(13))]
SUBWORDS = Subwords(
    SubwordSettings(),
    np.append(0, np.cumsum([1 + len(grams) for grams in _GRAMS])),
    np.array([row for word, grams in enumerate(_GRAMS) for row in (word, *(15 + gram for gram in grams))], np.int32),
    np.arange(16, dtype=np.int32),
)
COUNTS = np.array([400, 200, 150, 90, 60, 33, 20, 10, 5, 4, 3, 2, 2, 1, 1], np.int64)
RATE, WARMUP = 0.05, 3


def documents(random, window, length, weighting):
    """Documents of 0 to 30 words, one in which blocks are whole, and some of one word: (token ids, radii)."""
    lengths = np.concatenate([random.integers(0, 30, 5), [2 * length + 2 * window], np.ones(2 * length, int)])
    ids = random.integers(0, len(COUNTS), lengths.sum())
    radii = random.integers(1, window + 1, len(ids)) if weighting == "drawn" else np.full(len(ids), window)
    ragged = [tf.RaggedTensor.from_row_lengths(values, lengths) for values in (ids, radii)]
    return ragged[0], ragged[1]


class Both:
    """The same model twice: in TensorFlow, and as arrays that the kernel changes."""

    def __init__(self, *, dimensions=12, window=2, length=7, noise=6, optimizer="sgd", sampler="unigram",
                 bias_rate_share=1.0, **settings):  # fmt: skip
        self.random = np.random.default_rng(3)
        self.window, self.length, self.noise = window, length, noise
        self.weighting = settings.get("window_weights", "expected")
        weights, mix = kernel.weights(window, length, self.weighting, settings.get("architecture", "skipgram"))
        self.model = model.Word2Vec(
            len(COUNTS), dimensions, window=window, block_length=length, blocks_per_step=1, shared_negatives=noise,
            sampler=samplers.make(sampler, COUNTS, 0.75), **settings,
        )  # fmt: skip
        self.rates = kernel.Rates(RATE, 0.001, 40.0, float(WARMUP), bias_rate_share)
        schedule = optimizers.LinearDecay(RATE, 0.001, 40, warmup_steps=WARMUP)
        self.model.compile(optimizer=optimizers.make(optimizer, schedule, rate_shares={"bias": bias_rate_share}))
        self.model.optimizer.build([table.embeddings for table in self.model.tables])
        for table in self.model.tables:
            table.embeddings.assign(self.random.normal(0, 0.7, table.embeddings.shape))
        self.arrays = [table.embeddings.numpy().copy() for table in self.model.tables]
        self.arrays[2:] = [bias.reshape(-1) for bias in self.arrays[2:]]
        self.squares = [np.full(len(COUNTS), 0.1, np.float32) for _ in self.arrays] if optimizer == "adagrad" else []
        self.tables = kernel.Tables(*self.arrays, *[None] * (3 - len(self.arrays)))
        self.accumulators = kernel.Tables(*self.squares, *[None] * (3 - len(self.squares))) if self.squares else None
        objective = self.model.objective
        self.settings = kernel.Settings(
            window=window, length=length, noise=noise, negatives=self.model.negatives,
            softmax=settings["loss"] == "sampled_softmax",
            distinct=settings.get("remove_accidental_hits", True),
            weights=weights, mix=mix, seed=1,
            **{name: getattr(settings["subwords"], name) for name in ("splits", "rows") if settings.get("subwords")},
        )  # fmt: skip
        drawn = self.model.sampler
        kept, alias = samplers.alias_table(drawn.probability(tf.range(len(COUNTS))).numpy().astype(np.float64))
        corrected = objective.corrected and self.model.bias is not None
        expected = drawn.expected_count(tf.range(len(COUNTS)), self.model.negatives).numpy()
        self.adaptive = sampler == "adaptive"
        self.drawn = kernel.Noise(
            kept, alias, np.log(expected) if corrected else None,
            np.full(len(COUNTS), np.log(2), np.float32) if self.adaptive else None, 0.05,
        )  # fmt: skip

    def train(self):
        """Both, on the same blocks and noise; the summed loss of each."""
        token_ids, radii = documents(self.random, self.window, self.length, self.weighting)
        packed = blocks.pack(token_ids, radii, self.window, self.length)
        count = packed.ids.shape[0]
        around = packed.left.numpy() + packed.right.numpy()
        assert self.weighting == "drawn" or (around == 2 * self.window).all(1).any()
        assert (around == 0).all(1).any()
        order = self.random.permutation(count)
        ids = np.zeros(count * self.length + 2 * self.window, np.int32)
        ids[self.window : self.window + len(token_ids.flat_values)] = token_ids.flat_values
        left, right = (np.ascontiguousarray(side.numpy().reshape(-1)) for side in packed[1:])
        chunk = kernel.Chunk(ids, left, right, order, 11)
        sums = np.zeros(3)
        own = kernel.scratch(self.settings, self.arrays[0].shape[1])
        losses = np.zeros(2)
        for place, block in enumerate(order):
            noise = np.zeros(self.noise, np.int32)
            kernel_blocks.draw(noise, self.drawn.kept, self.drawn.alias, 1, chunk.first + place)
            expected = self.model.sampler.expected_count
            of_block = blocks.Blocks(*(part[block : block + 1] for part in packed))
            sampled = model.SampledValues(
                noise[np.newaxis],
                expected(self.model.examples.keys(of_block), self.model.negatives),
                expected(noise[np.newaxis], self.model.negatives),
            )
            scores, gradients = self.model.gradients(of_block, sampled, self.model.optimizer.scale_loss(1.0))
            if place in (0, count - 1) or place % kernel.MEASURED_EVERY == 0:
                losses[0] += float(self.model.objective.value(scores))
            self.model.optimizer.apply(gradients, [table.embeddings for table in self.model.tables])
        done = kernel.train(
            chunk, self.tables, self.accumulators, self.settings, self.drawn, self.rates, own,
            begin=0, end=count, step=0, sums=sums,
        )  # fmt: skip
        assert done == count
        assert sums[kernel.POSITIONS] == np.count_nonzero(left + right)
        losses[1] = sums[kernel.LOSS]
        return losses

    def assert_same(self):
        for table, array in zip(self.model.tables, self.arrays, strict=True):
            expected = table.embeddings.numpy().reshape(array.shape)
            # Of what is added up: the largest numbers' last bits are in the differences of all.
            np.testing.assert_allclose(array, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))
        for mine, array in zip(self.squares, getattr(self.model.optimizer, "accumulators", []), strict=True):
            np.testing.assert_allclose(mine, array.numpy(), rtol=1e-5)
        if self.adaptive:
            np.testing.assert_allclose(self.drawn.losses, self.model.sampler._loss.numpy(), rtol=1e-5)


LOSSES = ("nce", "negative_sampling", "sampled_softmax")


@pytest.mark.parametrize("architecture", ["skipgram", "cbow"])
@pytest.mark.parametrize(
    ("loss", "bias", "hits"), itertools.product(LOSSES, ("expected_count", "learned"), (True, False))
)
def test_every_loss_and_bias_is_the_models(loss, bias, hits, architecture):
    both = Both(loss=loss, bias=bias, remove_accidental_hits=hits, architecture=architecture)
    before = [array.copy() for array in both.arrays]
    losses = both.train()
    assert losses[0] > 0
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    both.assert_same()
    assert all(np.abs(a - b).max() > 0.01 for a, b in zip(before, both.arrays, strict=True))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adagrad"},
        {"optimizer": "adagrad", "bias": "learned"},
        {"bias": "learned", "bias_start": "share", "bias_rate_share": 3.0},
        {"optimizer": "adagrad", "bias": "learned", "bias_rate_share": 0.25},
        {"window_weights": "drawn"},
        {"window_weights": "harmonic"},
        {"sampler": "log_uniform", "bias": "learned"},
        {"sampler": "uniform"},
        {"sampler": "adaptive"},
        {"dimensions": 64},
        {"dimensions": 1},
        {"dimensions": 19, "optimizer": "adagrad"},
        {"length": 1, "window": 1, "noise": 1},
        {"length": 16, "window": 5, "noise": 16, "dimensions": 32},
        {"length": 33, "window": 9, "noise": 40, "dimensions": 40},
        {"length": 3, "window": 20, "noise": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("architecture", ["skipgram", "cbow"])
def test_every_setting_is_the_models(architecture, loss, settings):
    both = Both(loss=loss, architecture=architecture, **settings)
    losses = both.train()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    both.assert_same()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [{}, {"length": 16, "window": 5, "dimensions": 32}, {"length": 33, "dimensions": 19}])
@pytest.mark.parametrize("architecture", ["skipgram", "cbow"])
def test_words_of_many_rows_are_the_models(architecture, shape, loss):
    both = Both(loss=loss, architecture=architecture, subwords=SUBWORDS, **shape)
    before = both.arrays[0].copy()
    losses = both.train()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    both.assert_same()
    moved = np.abs(both.arrays[0] - before).max(1) > 1e-4
    assert moved.all()


@pytest.mark.parametrize("architecture", ["skipgram", "cbow"])
def test_a_stream_that_is_cut_anywhere_ends_in_the_same_tables(architecture):
    whole, parts = (Both(loss="nce", dimensions=16, length=5, architecture=architecture) for _ in range(2))
    ids = np.random.default_rng(5).integers(0, len(COUNTS), 5 * 40 + 4).astype(np.int32)
    reach = np.full(200, 2, np.int32)
    chunk = kernel.Chunk(ids, reach, reach, np.random.default_rng(6).permutation(40), 7)
    for both, cuts in ((whole, (0, 40)), (parts, (0, 1, 17, 18, 40))):
        own = kernel.scratch(both.settings, 16)
        for begin, end in itertools.pairwise(cuts):
            kernel.train(
                chunk, both.tables, None, both.settings, both.drawn, both.rates, own,
                begin=begin, end=end, step=begin, sums=np.zeros(3),
            )  # fmt: skip
    for one, other in zip(whole.arrays, parts.arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_stops_at_a_loss_that_is_no_number():
    both = Both(loss="nce", dimensions=16, length=5)
    both.arrays[0][:] = np.nan
    ids, reach = np.zeros(5 * 40 + 4, np.int32), np.full(200, 2, np.int32)
    sums = np.zeros(3)
    done = kernel.train(
        kernel.Chunk(ids, reach, reach, np.arange(40), 0), both.tables, None, both.settings, both.drawn, both.rates,
        kernel.scratch(both.settings, 16), begin=0, end=40, step=0, sums=sums,
    )  # fmt: skip
    assert done == 1
    assert np.isnan(sums[kernel.LOSS])


def test_noise_follows_the_alias_table():
    shares = COUNTS / COUNTS.sum()
    kept, alias = samplers.alias_table(shares)
    drawn = np.zeros(200_000, np.int32)
    kernel_blocks.draw(drawn, kept, alias, 1, 2)
    np.testing.assert_allclose(np.bincount(drawn, minlength=len(COUNTS)) / len(drawn), shares, atol=0.005)
    other = np.zeros(len(drawn), np.int32)
    kernel_blocks.draw(other, kept, alias, 1, 3)
    assert np.mean(other == drawn) < 0.5  # another block has other noise
    kernel_blocks.draw(other, kept, alias, 1, 2)
    np.testing.assert_array_equal(other, drawn)


@pytest.mark.parametrize("rows", [1, 5, 6, 7, 13])
@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("counts", [(0, 0, 0), (1, 0, 0), (9, 0, 0), (4, 0, 3), (4, 2, 1), (0, 3, 5), (1, 1, 0)])
def test_products_of_every_shape(rows, width, counts):
    random = np.random.default_rng(1)
    (count, gap, more), size = counts, width * tiles.REGISTERS.lanes
    a, b = (random.normal(size=(sum(counts), columns)).astype(np.float32) for columns in (rows, size))
    out = random.normal(size=(rows, size)).astype(np.float32)
    used = [*range(count), *range(count + gap, count + gap + more)]
    expected = out + a[used].T @ b[used]
    outs = np.array([row.ctypes.data for row in out])
    of_products(tiles.multiply(), outs, rows, width, a, b, counts)
    np.testing.assert_allclose(out, expected, atol=1e-5)


@numba.njit
def of_products(product, outs, rows, width, a, b, counts):
    step = b.shape[1] * 4
    tiles.call(product, outs.ctypes.data, rows, 0, width, a.ctypes.data, 4, rows * 4, b.ctypes.data, step, *counts)


def test_exponentials_are_exact_to_the_last_bits():
    scores = np.concatenate([np.linspace(-87, 87, 4001), [-1e9, 1e9, 0, -np.inf, np.inf]]).astype(np.float32)
    found = np.array([kernel_losses.sigmoid(score) for score in scores])
    expected = 1 / (1 + np.exp(-np.clip(scores.astype(np.float64), -87, 87)))
    np.testing.assert_allclose(found, expected, rtol=3e-7)
    assert np.isnan(kernel_losses.sigmoid(np.float32(np.nan)))
    lanes = tiles.REGISTERS.lanes
    for sign in (1, -1):
        vectors = np.append(scores, np.full(-len(scores) % lanes, np.nan, np.float32)).reshape(-1, lanes)
        of_logistic(vectors, np.full(lanes, 2, np.float32), np.float32(3), np.float32(sign))
        found = vectors.reshape(-1)
        expected = 6 / (1 + np.exp(-sign * np.clip(scores.astype(np.float64), -87, 87)))
        np.testing.assert_allclose(found[: len(scores)], expected, rtol=4e-7)
        assert np.isnan(found[len(scores) :]).all()


@numba.njit
def of_logistic(values, weights, factor, sign):
    step = values.shape[1] * 4
    tiles.weigh(values.ctypes.data, step, weights.ctypes.data, 0, len(values), factor, sign)


UNWRITABLE = """
import sys
import numpy as np
from word2vec.training import kernel, tiles
assert tiles.KEPT == (sys.argv[1] == "kept"), tiles.KEPT
kernel.compile_ahead()
print(sum(kernel._train.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_compiled_code_is_kept_where_it_can_be(tmp_path):
    def hits(folder, kept):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "XDG_CACHE_HOME": str(folder)}
        command = [sys.executable, "-c", UNWRITABLE, kept]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    assert hits(tmp_path, "kept") == 0
    assert hits(tmp_path, "kept") == 1
    file = tmp_path / "file"
    file.touch()
    assert hits(file / "below", "not kept") == 0  # no folder can be made there


def test_a_user_without_a_home_gets_no_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what Python does for a user that it does not know
    assert not code_cache.prepare()
    assert not list(tmp_path.iterdir())
