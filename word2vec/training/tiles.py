"""The innermost loops of the compiled kernel, as vector instructions: what numba's own language can't say.

All products of a block are of the form `out[i] += sum over k of a[k, i] * b[k]`, with rows out[i] and b[k] of
some vectors. A tile of it is kept in registers: `rows` x `vectors` of them are added up while k runs, so that each
number that is loaded is used several times (Goto and van de Geijn 2008, "Anatomy of high-performance matrix
multiplication", section 4). numba compiles `a * b + c` of single numbers, and leaves it to chance which loop becomes
which instructions; so the tiles are written in LLVM's language, which every processor that LLVM knows can run.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from word2vec.training import code_cache


class Registers(NamedTuple):
    """How large a tile the processor's registers hold.

    Attributes:
        lanes: float32 numbers per vector.
        rows: rows of a tile of `vectors` vectors per row.
        vectors: the most vectors per row.
    """

    lanes: int
    rows: int
    vectors: int

    def most_rows(self, vectors: int) -> int:
        """How many rows a tile of so many vectors per row has at most: the fewer vectors, the more rows."""
        return min(self.rows * self.vectors // vectors, 12)


def _registers() -> Registers:
    """Rows x vectors for the sums, and one more for each vector of b and for a number of a."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return Registers(16, 12, 2)  # of 32 registers
    if features.get("avx"):
        return Registers(8, 6, 2)  # of 16
    if llvmlite.binding.get_process_triple().startswith("x86"):
        return Registers(4, 6, 2)  # of 16
    return Registers(4, 12, 2)  # of 32, as arm64 has


KEPT = code_cache.prepare()  # whether what is compiled is kept
# Sums keep their order, and numbers that are none are seen: so not all that "fast" stands for.
compiled = numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"}, cache=KEPT)
REGISTERS = _registers()
_FLOAT, _INT = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, REGISTERS.lanes)
_MOST_ROWS = (0, *(REGISTERS.most_rows(vectors) for vectors in range(1, REGISTERS.vectors + 1)))
FLOAT_BYTES = 4
VECTOR_BYTES = FLOAT_BYTES * REGISTERS.lanes


@intrinsic
def add_tile(typing, rows, vectors, outs, offset, a, a_row, a_step, b, b_step, count, gap, more):
    """Adds a tile of a product: `out[i] += sum over k of a[k, i] * b[k]`.

    Args:
        typing: numba's own.
        rows: how many rows i, at most `REGISTERS.most_rows(vectors)`.
        vectors: how many vectors per row, at most `REGISTERS.vectors`.
        outs: the address of the rows' addresses.
        offset: what is added to each of them, in bytes.
        a: the address of a[0, 0].
        a_row: the bytes from a[k, i] to a[k, i + 1].
        a_step: the bytes from a[k, i] to a[k + 1, i].
        b: the address of b[0].
        b_step: the bytes from b[k] to b[k + 1].
        count: how many k, from 0 on; at least one.
        gap: how many k are then left out.
        more: how many k follow.
    """

    def generate(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        rows, vectors, *operands = args
        done = builder.append_basic_block("done")
        kinds = builder.switch(builder.add(builder.mul(rows, _INT(8)), vectors), done)
        for vector in range(1, REGISTERS.vectors + 1):
            for row in range(1, REGISTERS.most_rows(vector) + 1):
                block = builder.append_basic_block(f"tile_{row}_{vector}")
                kinds.add_case(_INT(row * 8 + vector), block)
                builder.position_at_end(block)
                _add_tile(builder, row, vector, operands, done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 12), generate


def _add_tile(builder: ir.IRBuilder, rows: int, vectors: int, operands: list[ir.Value], done: ir.Block) -> None:
    """One tile of a size that is known: a loop over k with all sums in registers, then the sums are added."""
    outs, offset, a, a_row, a_step, b, b_step, count, gap, more = operands
    # One instruction where the processor has one, else a product and a sum.
    multiply_add = _intrinsic(builder, "fmuladd", 3)
    entry = builder.block
    loop, between, end = (builder.append_basic_block(name) for name in ("loop", "between", "end"))
    a_rows = [builder.add(a, builder.mul(a_row, _INT(row))) for row in range(rows)]
    span = builder.append_basic_block("span")
    builder.branch(span)

    # The first span of k, and then the second if there is one.
    builder.position_at_end(span)
    begin, stop = builder.phi(_INT), builder.phi(_INT)
    before = [[builder.phi(_VECTOR) for _ in range(vectors)] for _ in range(rows)]
    builder.branch(loop)

    builder.position_at_end(loop)
    step = builder.phi(_INT)
    sums = [[builder.phi(_VECTOR) for _ in range(vectors)] for _ in range(rows)]
    of_a, of_b = builder.mul(step, a_step), builder.add(b, builder.mul(step, b_step))
    of_b = [_load(builder, _place(builder, of_b, place), _VECTOR) for place in range(vectors)]
    added = []
    for row in range(rows):
        number = _spread(builder, _load(builder, builder.add(a_rows[row], of_a), _FLOAT))
        added.append([builder.call(multiply_add, (number, of_b[place], sums[row][place])) for place in range(vectors)])
    following = builder.add(step, _INT(1))
    builder.cbranch(builder.icmp_signed("<", following, stop), loop, between)

    builder.position_at_end(between)
    second = builder.add(count, gap)
    last = builder.add(second, more)
    again = builder.and_(builder.icmp_signed("==", begin, _INT(0)), builder.icmp_signed(">", more, _INT(0)))
    builder.cbranch(again, span, end)

    def join(phi: ir.PhiInstr, one: ir.Value, of_one: ir.Block, other: ir.Value, of_other: ir.Block) -> None:
        phi.add_incoming(one, of_one)
        phi.add_incoming(other, of_other)

    nothing = ir.Constant(_VECTOR, [0.0] * _VECTOR.count)
    join(begin, _INT(0), entry, second, between)
    join(stop, count, entry, last, between)
    join(step, begin, span, following, loop)
    for row in range(rows):
        for place in range(vectors):
            join(before[row][place], nothing, entry, added[row][place], between)
            join(sums[row][place], before[row][place], span, added[row][place], loop)

    builder.position_at_end(end)
    for row in range(rows):
        out = builder.add(_load(builder, builder.add(outs, _INT(8 * row)), _INT), offset)
        for place in range(vectors):
            address = _place(builder, out, place)
            _store(builder, builder.fadd(_load(builder, address, _VECTOR), added[row][place]), address)
    builder.branch(done)


def _multiply(outs, rows, offset, width, a, a_row, a_step, b, b_step, count, gap, more):
    """`out[i] += sum over k of a[k, i] * b[k]` for all rows i, and `width` vectors from `offset` bytes on.

    The other arguments are as `add_tile` has them.
    """
    most = _MOST_ROWS[min(width, REGISTERS.vectors)]
    if count <= 0:
        a, b, count, gap, more = a + gap * a_step, b + gap * b_step, more, 0, 0
    if count <= 0:
        return
    for vector in range(0, width, REGISTERS.vectors):
        vectors = min(REGISTERS.vectors, width - vector)
        place = offset + vector * VECTOR_BYTES
        for row in range(0, rows, most):
            size = min(most, rows - row)
            to, of_a = outs + 8 * row, a + row * a_row
            add_tile(size, vectors, to, place, of_a, a_row, a_step, b + place, b_step, count, gap, more)


def multiply() -> int:
    """The address of the compiled `_multiply`, for `call`.

    It is compiled alone, for numba would compile it again with each function that calls it, and with each of their
    callers: half a minute instead of two seconds.
    """
    return _compiled_multiply().address


@functools.cache  # an address is good as long as its function lives
def _compiled_multiply() -> Any:
    return numba.cfunc(types.void(*[types.int64] * 12), cache=KEPT)(_multiply)


@intrinsic
def call(typing, address, outs, rows, offset, width, a, a_row, a_step, b, b_step, count, gap, more):
    """Calls the function at an address, with arguments as `multiply` has them."""

    def generate(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_INT] * (len(args) - 1))
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 13), generate


@intrinsic
def turn_square(typing, source, source_step, out, out_step):
    """Turns a square of `lanes` x `lanes` numbers: `out[i, k] = source[k, i]`; addresses, and bytes from row to row.

    Pairs of rows exchange halves, then quarters, and so on: log2(lanes) rounds.
    """

    def generate(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        source, source_step, out, out_step = args
        lanes = _VECTOR.count

        def at(address: ir.Value, step: ir.Value, row: int) -> ir.Value:
            return builder.add(address, builder.mul(step, _INT(row)))

        rows = [_load(builder, at(source, source_step, row), _VECTOR) for row in range(lanes)]
        half = lanes // 2
        while half:
            lower = [lane if not lane & half else lanes + lane - half for lane in range(lanes)]
            upper = [lane + half for lane in lower]
            for row in range(lanes):
                if not row & half:
                    pair = rows[row], rows[row + half]
                    rows[row], rows[row + half] = _mix(builder, *pair, lower), _mix(builder, *pair, upper)
            half //= 2
        for row in range(lanes):
            _store(builder, rows[row], at(out, out_step, row))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def dot(typing, a, b, count):
    """The sum of the products of two rows' numbers: the addresses of the rows, and how many vectors each has."""

    def generate(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        a, b, count = args
        multiply_add, entry = _intrinsic(builder, "fmuladd", 3), builder.block
        loop, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        place, before = builder.phi(_INT), builder.phi(_VECTOR)
        offset = builder.mul(place, _INT(VECTOR_BYTES))
        of_a, of_b = (_load(builder, builder.add(row, offset), _VECTOR) for row in (a, b))
        after, following = builder.call(multiply_add, (of_a, of_b, before)), builder.add(place, _INT(1))
        builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
        for phi, first, next_one in ((place, _INT(0), following), (before, _all(0), after)):
            phi.add_incoming(first, entry)
            phi.add_incoming(next_one, loop)
        builder.position_at_end(done)
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
        name = f"llvm.vector.reduce.fadd.v{_VECTOR.count}f32"
        add_up = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(add_up, (_FLOAT(-0.0), after), fastmath=("reassoc",))  # in pairs, not one after the other

    return types.float32(*[types.int64] * 3), generate


@intrinsic
def weigh(typing, values, step, weights, weight_step, rows, factor, sign):
    """What scores of the logistic loss move by: `values[row] = factor * weights[row] * sigmoid(sign * values[row])`.

    Args:
        typing: numba's own.
        values: the address of values[0].
        step: the bytes from values[row] to values[row + 1].
        weights: the address of weights[0].
        weight_step: the bytes from weights[row] to weights[row + 1].
        rows: how many vectors.
        factor: of all of them.
        sign: 1 or -1.
    """

    def generate(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        values, step, weights, weight_step, rows, factor, sign = args
        factor, sign = _spread(builder, factor), _spread(builder, builder.fneg(sign))
        with cgutils.for_range(builder, rows) as loop:
            address = builder.add(values, builder.mul(loop.index, step))
            weight = builder.add(weights, builder.mul(loop.index, weight_step))
            power = _exp(builder, builder.fmul(_load(builder, address, _VECTOR), sign))
            weighted = builder.fmul(factor, _load(builder, weight, _VECTOR))
            _store(builder, builder.fdiv(weighted, builder.fadd(_all(1), power)), address)
        return context.get_dummy_value()

    kinds = [types.int64] * 5 + [types.float32] * 2
    return types.void(*kinds), generate


@intrinsic
def exp(typing, x):
    """e^x of a float32; see `_exp`."""

    def generate(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        return _exp(builder, args[0])

    return types.float32(types.float32), generate


def _exp(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """e^x of a number or a vector, as 2^n e^r with |r| <= (ln 2) / 2 and a polynomial for e^r (Cephes' expf).

    x is cut to what float32 can hold; what is not a number stays so.
    """
    kind = x.type
    whole = ir.VectorType(ir.IntType(32), kind.count) if isinstance(kind, ir.VectorType) else ir.IntType(32)

    def multiply_add(*operands: ir.Value) -> ir.Value:
        return builder.call(_intrinsic(builder, "fmuladd", 3, kind), operands)

    x = builder.select(builder.fcmp_ordered("<", x, _all(-87, kind)), _all(-87, kind), x)
    x = builder.select(builder.fcmp_ordered(">", x, _all(87, kind)), _all(87, kind), x)
    n = builder.call(_intrinsic(builder, "rint", 1, kind), [builder.fmul(x, _all(1.4426950408889634, kind))])
    r = multiply_add(n, _all(-0.693359375, kind), x)
    r = multiply_add(n, _all(2.12194440e-4, kind), r)
    p = _all(1.9875691500e-4, kind)
    for coefficient in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 1):
        p = multiply_add(p, r, _all(coefficient, kind))
    exponent = builder.add(builder.fptosi(n, whole), _all(127, whole))
    power = builder.shl(exponent, _all(23, whole))
    return builder.fmul(p, builder.bitcast(power, kind))


def _all(number: float, kind: ir.Type = _VECTOR) -> ir.Constant:
    """A number, or a vector whose lanes are all that number."""
    of = kind.element if isinstance(kind, ir.VectorType) else kind
    value = int(number) if isinstance(of, ir.IntType) else float(np.float32(number))
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def _intrinsic(builder: ir.IRBuilder, name: str, operands: int, kind: ir.Type = _VECTOR) -> ir.Function:
    """LLVM's own function for numbers or vectors."""
    suffix = f"v{kind.count}f32" if isinstance(kind, ir.VectorType) else "f32"
    function = ir.FunctionType(kind, [kind] * operands)
    return cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.{suffix}")


@intrinsic
def prefetch(typing, address):
    """Asks for the cache line at an address, without waiting for it."""

    def generate(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        flags = [ir.IntType(32)(flag) for flag in (1, 3, 1)]  # to be written, into the nearest cache, data
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, *(flag.type for flag in flags)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [builder.inttoptr(args[0], cgutils.voidptr_t), *flags])
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _place(builder: ir.IRBuilder, address: ir.Value, vector: int) -> ir.Value:
    return builder.add(address, _INT(4 * _VECTOR.count * vector))


def _load(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type) -> ir.Value:
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    value.align = 4
    return value


def _store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer())).align = 4


def _spread(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """A vector whose lanes are all the number."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return _mix(builder, first, undefined, [0] * _VECTOR.count)


def _mix(builder: ir.IRBuilder, one: ir.Value, other: ir.Value, lanes: list[int]) -> ir.Value:
    """A vector of the given lanes of two, the second's counted after the first's."""
    return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))
