"""The parts of a block's work in which skip-gram and CBOW differ.

Names and shapes are as in `kernel.Scratch`. Of the flags `many` and `single` one is True and the other None: `many` for
skip-gram, whose queries are words and have many keys each; `single` for CBOW, whose queries are mixed and have a single
key each, that at their own place.
"""

from __future__ import annotations

from word2vec.training import kernel_blocks, kernel_rows
from word2vec.training.tiles import compiled


@compiled
def begin(single, all_weights, all_mix, length, around, of_query, mix):
    """What the pairs of whole windows count per query, into of_query[4], and what their queries are mixed from."""
    kernel_blocks.add_up(all_weights, of_query[4])
    if single is not None:
        kernel_blocks.share_out(all_mix, None, None, 0, length, around, of_query[1], mix[0])


@compiled
def weigh(many, single, inside, all_weights, whole, left, right, start, length, reach, weights, total):
    """What the pairs of each query count in all; and where not all windows are whole, what each pair counts."""
    if inside:
        total[:] = whole
        return
    if many is not None:
        kernel_blocks.cut(all_weights, left, right, start, length, reach, weights)
    if single is not None:
        kernel_blocks.count_single(left, right, start, length, weights)
    kernel_blocks.add_up(weights, total)


@compiled
def read(
    many, single, inside, context, target, ids, columns, left, right, start, length, around, all_mix, inputs, mix,
    spare, words, queries, turned, outs, product, splits, rows, firsts,
):  # fmt: skip
    """Copies a block's rows, mixes its queries, and turns them."""
    kernel_rows.copy(context, ids[:columns], words)
    if many is not None:
        _read_targets(target, ids[columns:], queries, splits, rows, firsts)
    if single is not None:
        _read_targets(target, ids[columns:], inputs, splits, rows, firsts)
        if not inside:
            kernel_blocks.share_out(all_mix, left, right, start, length, around, spare, mix[1])
        share, nothing = mix[0 if inside else 1], ids[:0]
        kernel_rows.aim(outs, target, ids[columns : columns + length], queries, False)
        kernel_rows.add_to_queries(
            outs, inputs, share, inputs.shape[0], length, around, product, context, target, nothing, 1
        )
    kernel_rows.turn(queries, turned)


@compiled
def _read_targets(target, ids, out, splits, rows, firsts):
    if splits is None:
        kernel_rows.copy(target, ids, out)
    else:
        kernel_rows.compose(target, ids, out, splits, rows, firsts)


@compiled
def move_targets(
    many, single, inside, target, squares, rate, direct, ids, keys, columns, length, around, reach, inputs, mix, mixed,
    words, moves, sums, outs, product, context, following, parts, splits, rows, firsts, key,
):  # fmt: skip
    """Moves the target rows, of the queries or of what they are mixed from."""
    if splits is not None:
        direct = False
    if many is not None:
        kernel_rows.aim(outs, target, ids[columns:], sums, direct)
        kernel_rows.add_to_queries(outs, words, moves, keys, length, reach, product, context, target, following, parts)
    if single is not None:
        kernel_rows.move_single(outs, words, moves, keys, mixed, product, context, target, following, parts)
        kernel_rows.aim(outs, target, ids[columns:], sums, direct)
        share, nothing = mix[0 if inside else 1], ids[:0]
        kernel_rows.add_to_words(
            outs, mixed, share, inputs.shape[0], length, around, product, context, target, nothing, 1
        )
    if splits is None:
        kernel_rows.add_sums(target, ids[columns:], sums, squares, rate, direct, key)
    else:
        kernel_rows.add_to_all(target, ids[columns:], sums, splits, rows, firsts, key)


@compiled
def move_contexts(
    many, single, context, squares, rate, direct, ids, keys, length, reach, queries, moves, sums, outs, product, target,
    following, parts, key,
):  # fmt: skip
    """Moves the context rows, of the keys and of the noise."""
    kernel_rows.aim(outs, context, ids, sums, direct)
    if many is not None:
        kernel_rows.add_to_words(outs, queries, moves, keys, length, reach, product, context, target, following, parts)
    if single is not None:
        columns = ids.shape[0]
        kernel_rows.add_to_single(outs, queries, moves, columns, keys, product, context, target, following, parts)
    kernel_rows.add_sums(context, ids, sums, squares, rate, direct, ~key)
