"""Which devices train."""

from __future__ import annotations

import tensorflow as tf

from components.errors import UserError


def get(name: str) -> tf.distribute.Strategy:
    """The strategy for a setting.

    Args:
        name: `auto` (the strategy in scope if there is one, else all GPUs, else the CPU), `one_device` or `mirrored`
            (all GPUs, or all logical CPU devices where there is none).
    """
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        if tf.distribute.has_strategy() or not gpus:
            return tf.distribute.get_strategy()
        name = "mirrored" if len(gpus) > 1 else "one_device"
    devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    return (
        tf.distribute.OneDeviceStrategy(devices[0]) if name == "one_device" else tf.distribute.MirroredStrategy(devices)
    )


def blocks_per_replica(strategy: tf.distribute.Strategy, blocks_per_step: int) -> int:
    """Each replica's share of a step.

    Raises:
        UserError: the blocks do not divide by the replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if blocks_per_step % replicas:
        raise UserError(
            f"trainer.blocks_per_step = {blocks_per_step}: expected a multiple of {replicas}, "
            "the number of devices that train"
        )
    return blocks_per_step // replicas
