"""How TensorFlow uses threads."""

from __future__ import annotations

import tensorflow as tf
from absl import logging


def one_thread_an_op() -> None:
    """Lets each operation of this process run on one thread; different operations still run beside each other.

    The operations of a training step are so small that handing parts of them to other threads costs more than it
    brings, and when two threads add to the same rows, the order of the sums, and with it the result, is left to chance.

    TensorFlow takes this only before its first operation; afterwards a warning is all that can be done.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:
        if tf.config.threading.get_intra_op_parallelism_threads() != 1:
            logging.warning(
                "TensorFlow runs operations on several threads: training is slower, and not exactly repeatable."
            )
