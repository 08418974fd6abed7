"""Tables of half precision in the compiled kernel: their numbers are read as float32, and written rounded by chance.

A float16 has 11 bits. Most steps of a training are smaller than half of the last one, and would be lost if the sum were
rounded to the nearest number. So it is rounded up or down by chance, with the probabilities by which it is right on
average (stochastic rounding; Gupta et al. 2015, arXiv 1502.02551, section 3).

numba has no float16 on processors: such a table is an array of uint16, of the same bits.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from word2vec.training.tiles import compiled

_BITS = 13  # of a float32's that a float16 has not
_INT, _SHORT, _FLOAT, _HALF = ir.IntType(32), ir.IntType(16), ir.FloatType(), ir.HalfType()
# Of a row's number and key a hash ("lowbias32", Wellons 2018), whose first bits are the chance.
_GAMMA, _FIRST, _SECOND = 0x9E3779B9, 0x7FEB352D, 0x846CA68B


def are_known() -> bool:
    """Whether this processor converts float16 and float32 into each other."""
    is_x86 = llvmlite.binding.get_process_triple().startswith(("x86", "i386", "i686"))
    return not is_x86 or bool(llvmlite.binding.get_host_cpu_features().get("f16c"))


@intrinsic
def widen(typing, number):
    """A table's number as float32: a float32 as it is, or a float16's bits (uint16)."""

    def generate(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        if number == types.float32:
            return args[0]
        return builder.fpext(builder.bitcast(args[0], _HALF), _FLOAT)

    return types.float32(number), generate


@intrinsic
def narrow(typing, before, number, chance):
    """A float32 as a table's number: of the type of `before`, rounded up or down by 13 bits of chance (uint32)."""

    def generate(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        if before == types.float32:
            return args[1]
        bits = builder.add(builder.bitcast(args[1], _INT), args[2])
        kept = builder.and_(bits, _INT(2**32 - 2**_BITS))
        return builder.bitcast(builder.fptrunc(builder.bitcast(kept, _FLOAT), _HALF), _SHORT)

    return before(before, types.float32, types.uint32), generate


@intrinsic
def chance(typing, key, number):
    """13 bits that a row's key (uint32) and the number's place in it decide: uint32."""

    def generate(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        key, place = args[0], builder.trunc(args[1], _INT)
        bits = builder.add(builder.mul(place, _INT(_GAMMA)), key)
        bits = builder.mul(builder.xor(bits, builder.lshr(bits, _INT(16))), _INT(_FIRST))
        bits = builder.mul(builder.xor(bits, builder.lshr(bits, _INT(15))), _INT(_SECOND))
        return builder.lshr(bits, _INT(32 - _BITS))

    return types.uint32(types.uint32, types.int64), generate


@compiled
def add(row, change, key):
    """Adds numbers, float32, to those of a table's row; the key decides the rounding."""
    for number in range(row.shape[0]):
        row[number] = narrow(row[number], widen(row[number]) + change[number], chance(key, number))
