"""The compiled kernel: what a stream does with its blocks, as one function of machine code.

It computes what `Word2Vec` computes with blocks that are steps of their own (`blocks_per_step` 1): tests hold both
against each other. A block's rows are copied into the core's own cache, multiplied there, and their changes are added
to the tables at once. Nothing else happens, and Python's lock is not held: each core has a stream of its own, all on
the same tables (Hogwild, Recht et al. 2011, arXiv 1106.5730).

A block's columns are its keys and then its noise words. Its arrays stand as [column, query], so that what a column does
to the block's queries is a vector. Skip-gram's queries are the words at the block's positions, and its keys are these
and a window more on either side; CBOW's keys are the words at the positions, and its queries are mixed from these and a
window more on either side (`architectures`). CBOW's queries have one key each, that at their own place: where a key
would have a row, all keys have one together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from word2vec.settings import Architecture, WindowWeights
from word2vec.training import kernel_blocks, kernel_losses, kernel_parts, kernel_rows, window_weights
from word2vec.training.kernel_rows import LANES, ROWS
from word2vec.training.tiles import FLOAT_BYTES, compiled, multiply

MEASURED_EVERY = 64  # the loss is measured at one block in so many, and at the first and last of a call
LOSS, PAIRS, POSITIONS = 0, 1, 2  # the places of a call's sums


class Tables(NamedTuple):
    """The model's tables, or Adagrad's accumulators of their rows.

    Attributes:
        target: float32 [V, D], or uint16, the bits of float16 (`kernel_halves`); with subwords those of buckets behind
            them; of accumulators float32 [V].
        context: likewise.
        bias: float32 [V]; None if it is fixed.
    """

    target: np.ndarray
    context: np.ndarray
    bias: np.ndarray | None = None


class Noise(NamedTuple):
    """The sampler, as it is between two calls.

    Attributes:
        kept: float32 [V], of the alias table.
        alias: int32 [V], likewise.
        log_expected: float32 [V], log(expected count); None where scores are not corrected by it.
        losses: float32 [V], of the adaptive sampler; None for others.
        rate: how fast these move.
    """

    kept: np.ndarray
    alias: np.ndarray
    log_expected: np.ndarray | None
    losses: np.ndarray | None
    rate: float


class Rates(NamedTuple):
    """The learning rate, as `optimizers.LinearDecay` has it.

    Attributes:
        initial: after the warm-up.
        minimum: it never falls below this.
        steps: after so many it would reach 0.
        warmup: how many steps it rises.
        bias: what a learned bias' learning rate is of it.
    """

    initial: float
    minimum: float
    steps: float
    warmup: float
    bias: float = 1.0


class Settings(NamedTuple):
    """What does not change while training.

    Attributes:
        window: w.
        length: L, positions per block.
        noise: K, noise words per block.
        negatives: noise words asked for per pair.
        softmax: whether the loss is a softmax over a pair's context and the noise, else logistic regression.
        distinct: whether noise that is a pair's own context does not count for that pair.
        weights: float32 [keys, Q], what a pair counts, or [1, Q], of each query's only pair; Q is L filled up to whole
            vectors.
        mix: float32 [inputs, Q], what an input counts in a query; None where the inputs are the queries.
        seed: decides the noise.
        splits: int64 [V + 1], where each word's rows of the target table are in `rows`, as `subwords.Subwords` has
            them; None where each word has its own row alone.
        rows: int32, likewise.
    """

    window: int
    length: int
    noise: int
    negatives: int
    softmax: bool
    distinct: bool
    weights: np.ndarray
    mix: np.ndarray | None
    seed: int
    splits: np.ndarray | None = None
    rows: np.ndarray | None = None


class Chunk(NamedTuple):
    """A stream of positions, cut into blocks.

    Attributes:
        ids: int32 [w + n + w], with w words in front and behind that are no pair's; n is a multiple of L.
        left: int32 [n], how many words on its left are around each position.
        right: int32 [n], the same on its right.
        order: int64 [blocks], the order in which they are trained.
        first: the number of the first of them in its epoch; it decides the noise.
    """

    ids: np.ndarray
    left: np.ndarray
    right: np.ndarray
    order: np.ndarray
    first: int


class Scratch(NamedTuple):
    """A stream's own memory, kept from block to block. W and Q are D and L, filled up to whole vectors.

    Attributes:
        ids: int32 [2, columns + inputs], of this block and of the next: the words of the columns and of the inputs.
        inputs: float32 [inputs, W], the target rows that are mixed; None where they are the queries.
        mix: float32 [2, inputs, Q], how much of each is in each query, for whole windows and for others; likewise.
        mixed: float32 [L, W], what each query moves by; likewise.
        queries: float32 [Q, W], the target rows, or what is mixed from them.
        turned: float32 [W, Q], the same.
        words: float32 [columns, W], the context rows.
        weights: float32 as `Settings.weights`, what each key and query count as a pair.
        moves: float32 as these and the noise words, first the scores, then what they move their rows by.
        of_query: float32 [5, Q]: what each query's pairs count in all; for a while, what a column counts, the greatest
            score of the noise, and log Z of the noise; and what whole windows' pairs count in all.
        sums: float32 [columns or inputs, W], for rows that can't be added to at once.
        outs: int64 [columns or inputs], addresses.
        firsts: int32 [inputs], where each word of the inputs stands first among them; for subwords.
    """

    ids: np.ndarray
    inputs: np.ndarray | None
    mix: np.ndarray | None
    mixed: np.ndarray | None
    queries: np.ndarray
    turned: np.ndarray
    words: np.ndarray
    weights: np.ndarray
    moves: np.ndarray
    of_query: np.ndarray
    sums: np.ndarray
    outs: np.ndarray
    firsts: np.ndarray


def whole_vectors(numbers: int) -> int:
    """A count of float32 numbers, filled up to whole vectors."""
    return -(-numbers // LANES) * LANES


def scratch(settings: Settings, dimensions: int) -> Scratch:
    """The memory of a stream."""
    rows, queries = settings.weights.shape
    mixes = settings.mix is not None
    keys, inputs = (rows, settings.length) if settings.mix is None else (settings.length, len(settings.mix))
    columns, width = keys + settings.noise, whole_vectors(dimensions)
    most = max(columns, inputs)

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    return Scratch(
        ids=np.zeros((2, columns + inputs), np.int32),
        inputs=zeros(inputs, width) if mixes else None,
        mix=zeros(2, inputs, queries) if mixes else None,
        mixed=zeros(settings.length, width) if mixes else None,
        queries=zeros(queries, width),
        turned=zeros(width, queries),
        words=zeros(columns, width),
        weights=zeros(rows, queries),
        moves=zeros(rows + settings.noise, queries),
        of_query=zeros(5, queries),
        sums=zeros(most, width),
        outs=np.zeros(most, np.int64),
        firsts=np.zeros(inputs, np.int32),
    )


def weights(
    window: int, length: int, weighting: WindowWeights, architecture: Architecture
) -> tuple[np.ndarray, np.ndarray | None]:
    """What a block's pairs count, and what its queries are mixed from, where all windows are whole.

    Args:
        window: w.
        length: L.
        weighting: see `window_weights`.
        architecture: see `architectures`.

    Returns:
        `Settings.weights` and `Settings.mix`.
    """
    query = np.arange(whole_vectors(length))
    distance = np.abs(np.arange(length + 2 * window)[:, np.newaxis] - window - query)
    around = np.pad(window_weights.by_distance(window, weighting), (1, whole_vectors(length)))[distance]
    around = np.where(query < length, around, 0).astype(np.float32)
    if architecture == "skipgram":
        return around, None
    return (query < length).astype(np.float32)[np.newaxis], around


def train(
    chunk: Chunk,
    tables: Tables,
    accumulators: Tables | None,
    settings: Settings,
    noise: Noise,
    rates: Rates,
    own: Scratch,
    *,
    begin: int,
    end: int,
    step: int,
    sums: np.ndarray,
) -> int:
    """Trains on some blocks of a chunk, in their order; Python's lock is not held meanwhile.

    Args:
        chunk: the blocks.
        tables: the model; changed in place.
        accumulators: Adagrad's, changed in place; None for plain SGD.
        settings: of the training.
        noise: the sampler; what the adaptive one lost is changed in place.
        rates: the learning rate.
        own: memory that no other stream uses meanwhile.
        begin: the place in the chunk's order of the first block.
        end: the place after the last.
        step: how many blocks were trained on before, which decides the learning rate.
        sums: float64 [3]; added to it are, of the blocks that were measured, the loss and the pairs, and of all blocks
            the positions that have pairs.

    Returns:
        How many blocks were trained on: fewer than asked for where the loss is no longer a number.
    """
    # What is None is not even compiled.
    softmax = True if settings.softmax else None
    many, single = (True, None) if settings.mix is None else (None, True)
    return _train(
        *chunk, *tables, *(accumulators or (None, None, None)), *noise, *rates, *own,
        settings.window, settings.length, settings.negatives, softmax, settings.distinct, settings.weights,
        settings.mix, settings.seed, settings.splits, settings.rows, many, single, begin, end, step, sums, multiply(),
    )  # fmt: skip


def compile_ahead() -> None:
    """Compiles what the default settings need, so that the first training need not wait for it."""
    table = np.zeros((1, 1), np.float32)
    settings = Settings(1, 1, 1, 1, False, True, *weights(1, 1, "expected", "skipgram"), 1)
    nothing = np.zeros(0, np.int32)
    train(
        Chunk(nothing, nothing, nothing, np.zeros(0, np.int64), 0),
        Tables(table, table, None),
        None,
        settings,
        Noise(np.zeros(1, np.float32), nothing, None, None, 0.0),
        Rates(0.0, 0.0, 1.0, 0.0),
        scratch(settings, 1),
        begin=0,
        end=0,
        step=0,
        sums=np.zeros(3),
    )


@compiled
def _train(
    stream, left, right, order, first,
    target, context, bias, target_squares, context_squares, bias_squares,
    kept, alias, log_expected, noise_losses, noise_rate,
    initial, minimum, steps, warmup, bias_share,
    both_ids, inputs, mix, mixed, queries, turned, words, weights, moves, of_query, row_sums, outs, firsts,
    window, length, negatives, softmax, distinct, all_weights, all_mix, seed, splits, rows_of, many, single,
    begin, end, step, sums, product,
):  # fmt: skip
    """See `train`."""
    rows, columns, dimensions = all_weights.shape[0], words.shape[0], target.shape[1]
    keys = columns - (moves.shape[0] - rows)
    reach = (keys - length) // 2  # of the keys on either side of a query, as `around` is of the inputs
    around = window - reach
    total, whole = of_query[0], of_query[4]
    kernel_parts.begin(single, all_weights, all_mix, length, around, of_query, mix)
    parts = -(-length // ROWS) + -(-keys // ROWS) + 1  # in which the next block's rows are asked for
    # Rows can be added to as they are; or sums are made first, of which Adagrad has to know all, and which are rounded
    # once where the tables are of half precision.
    direct = target_squares is None and dimensions % LANES == 0 and target.itemsize == FLOAT_BYTES
    for place in range(begin - 1, end):
        ids, following = both_ids[place & 1], both_ids[(place + 1) & 1]
        if place + 1 < end:
            kernel_blocks.choose(following, stream, order[place + 1] * length, keys, columns, around, reach)
            kernel_blocks.draw(following[keys:columns], kept, alias, seed, first + place + 1)
        if place < begin:
            continue
        start, rate = order[place] * length, _rate(step + place - begin, initial, minimum, steps, warmup)
        inside, positions = kernel_blocks.look_at(left, right, start, length, window)
        sums[POSITIONS] += positions
        kernel_parts.weigh(many, single, inside, all_weights, whole, left, right, start, length, reach, weights, total)
        pairs = all_weights if inside else weights
        kernel_parts.read(
            many, single, inside, context, target, ids, columns, left, right, start, length, around, all_mix, inputs,
            mix, of_query[1], words, queries, turned, outs, product, splits, rows_of, firsts,
        )  # fmt: skip
        kernel_rows.score(words, queries, turned, moves, outs, keys, reach, dimensions, product, many, single)
        kernel_rows.add_to_scores(moves, ids[:columns], rows, bias, log_expected, single)
        of_keys, of_noise = ids[:keys], ids[keys:columns]
        hits = distinct and kernel_losses.any_hit(of_keys, of_noise)
        if place in (begin, end - 1) or (step + place - begin) % MEASURED_EVERY == 0:
            sums[LOSS] += kernel_losses.loss(
                moves, of_keys, of_noise, pairs, of_query, negatives, hits, single, softmax
            )
            sums[PAIRS] += total.sum()
            if not np.isfinite(sums[LOSS]):
                return place - begin + 1
        kernel_losses.observe(moves[rows:], of_noise, length, total, noise_losses, noise_rate, row_sums[:, 0])
        scale = rate if target_squares is None else np.float32(1)
        key = kernel_blocks.rounding_key(seed, first + place)
        kernel_losses.move(
            moves, of_keys, of_noise, pairs, of_query, reach, negatives, hits, single, scale, weights, softmax
        )
        kernel_parts.move_targets(
            many, single, inside, target, target_squares, rate, direct, ids, keys, columns, length, around, reach,
            inputs, mix, mixed, words, moves, row_sums, outs, product, context, following, parts, splits, rows_of,
            firsts, key,
        )  # fmt: skip
        kernel_parts.move_contexts(
            many, single, context, context_squares, rate, direct, ids[:columns], keys, length, reach, queries, moves,
            row_sums, outs, product, target, following, parts, key,
        )  # fmt: skip
        kernel_rows.add_to_bias(bias, ids[:columns], moves, rows, row_sums, bias_squares, rate, bias_share, single)
    return end - begin


@compiled
def _rate(step, initial, minimum, steps, warmup):
    falling, rising = initial * (1 - step / steps), initial * (step + 1) / max(warmup, 1.0)
    return np.float32(max(rising if step < warmup else falling, minimum))
