"""How TensorFlow uses threads, and how many cores there are."""

from __future__ import annotations

import contextlib
import os
import pathlib

import tensorflow as tf
from absl import logging


def cores() -> int:
    """The cores that this process may use: those it may run on, or fewer if a container gets only a share of them."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(max(min(available, _quota()), 1))


def _quota(root: pathlib.Path = pathlib.Path("/sys/fs/cgroup")) -> float:
    """The cores' time that the container's control group allows, in cores; infinite if it sets no limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (root / "cpu.max").read_text(encoding="ascii").split()
        return float("inf") if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        share, span = (int((root / "cpu" / f"cpu.cfs_{name}_us").read_text("ascii")) for name in ("quota", "period"))
        return share / span if share > 0 else float("inf")
    return float("inf")


def one_thread_an_op() -> None:
    """Lets each operation of this process run on one thread; different operations still run beside each other.

    The operations of a training step are so small that handing parts of them to other threads costs more than it
    brings, and when two threads add to the same rows, the order of the sums, and with it the result, is left to chance.

    There is one thread more than cores for the operations to share: with as many as cores, a training stream that comes
    back from its input waits until the other streams leave a thread.

    TensorFlow takes this only before its first operation; afterwards a warning is all that can be done.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(cores() + 1)
    except RuntimeError:
        if tf.config.threading.get_intra_op_parallelism_threads() != 1:
            logging.warning(
                "TensorFlow runs operations on several threads: training is slower, and not exactly repeatable."
            )
