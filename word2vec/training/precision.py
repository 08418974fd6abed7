"""Mixed precision: which policy, and whether this machine computes it natively."""

from __future__ import annotations

import pathlib

import keras
import tensorflow as tf
from absl import logging

from word2vec import settings

_INSTRUCTIONS = {"bfloat16": ("avx512_bf16", "amx_bf16", "bf16"), "float16": ("avx512_fp16", "amx_fp16", "asimdhp")}


def policy(precision: settings.Precision) -> keras.DTypePolicy:
    """Keras' policy: products in that type, variables in float32."""
    if precision == "float32":
        return keras.DTypePolicy("float32")
    if not tf.config.list_logical_devices("GPU") and not _cpu_has(precision):
        logging.warning("This CPU has no instructions for %s: training will be slower than in float32.", precision)
    return keras.DTypePolicy(f"mixed_{precision}")


def _cpu_has(precision: str) -> bool:
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return any(flag in flags for flag in _INSTRUCTIONS[precision])
