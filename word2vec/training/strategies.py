"""Which devices train."""

from __future__ import annotations

import contextlib
import functools

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.distribute import multi_worker_util
from tensorflow.python.eager import context

from word2vec import settings, threads
from word2vec.errors import UserError
from word2vec.training import tf_config
from word2vec.training.blocks import Batch, Blocks
from word2vec.training.checkpoints import plain_message

# So long a worker may be silent before the others give it up.
SILENT_SECONDS = 30


def get(name: settings.Strategy) -> tf.distribute.Strategy:
    """The strategy for a setting.

    Args:
        name: `auto` (the strategy in scope if there is one, else all GPUs, else the CPU), `one_device`, `mirrored`
            (all GPUs, or all logical CPU devices where there is none) or `multi_worker` (as TF_CONFIG says).

    Raises:
        UserError: TF_CONFIG is missing or wrong.
    """
    if name == "multi_worker":
        tf_config.check()
        _wait_for_silent_workers()
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        if tf.distribute.has_strategy() or not gpus:
            return tf.distribute.get_strategy()
        name = "mirrored" if len(gpus) > 1 else "one_device"
    devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    return (
        tf.distribute.OneDeviceStrategy(devices[0]) if name == "one_device" else tf.distribute.MirroredStrategy(devices)
    )


def _wait_for_silent_workers() -> None:
    """Gives workers more time than TensorFlow's 10 s in which they may give no sign of life.

    A node that is moved, or a network that is away for a moment, may take as long, and to give a worker up ends all.
    TensorFlow has no public way to say so; the strategy leaves a configuration alone that is there.
    """
    cluster = tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec()
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=multi_worker_util.coordination_leader(cluster),
        heartbeat_timeout_in_ms=SILENT_SECONDS * 1000,
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(name=job, num_tasks=cluster.num_tasks(job))
            for job in cluster.jobs
            if job in ("chief", "worker")
        ],
    )


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes: the only one, or the first of several."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_type == "worker" and resolver.task_id == 0)


def check_same_job(strategy: tf.distribute.Strategy, fingerprint: str, *, compiled: bool) -> None:
    """Looks whether all workers do the same: others would wait for them for ever.

    Args:
        strategy: theirs.
        fingerprint: of the settings and inputs.
        compiled: whether the compiled kernel trains.

    Raises:
        UserError: they do not, or not all of them came.
    """
    if len(set(_gather(strategy, int(fingerprint[:15], 16)))) > 1:
        raise UserError("the workers have different settings or inputs. Start them all again, with the same command")
    if len(set(_gather(strategy, int(compiled)))) > 1:
        raise UserError(
            "some workers have GPUs, and others none. Give all of them the same, or set trainer.kernel=tensorflow"
        )


def of_chief(strategy: tf.distribute.Strategy, value: int) -> int:
    """The chief's value, whatever a worker's own one is.

    Raises:
        UserError: not all of the workers came.
    """
    return _gather(strategy, value)[0]


def leave(strategy: tf.distribute.Strategy) -> None:
    """Waits until no other worker needs anything of this one any more, which may then end.

    Workers fetch from each other what they sum: who ends as soon as it has its own sum breaks that of another. Who has
    the answer here knows that all others had theirs of everything before, and for this one nobody needs an answer.
    """
    with contextlib.suppress(UserError):
        _gather(strategy, 0)


def _gather(strategy: tf.distribute.Strategy, value: int) -> list[int]:
    """The values of all workers, the chief's first."""
    if strategy.cluster_resolver is None:
        return [value]

    @tf.function
    def gather() -> tf.Tensor:
        return strategy.run(lambda: tf.distribute.get_replica_context().all_gather(tf.constant([value], tf.int64), 0))

    try:
        (everyone, *_) = strategy.experimental_local_results(gather())
    except tf.errors.OpError as error:
        raise UserError(
            f"the workers of TF_CONFIG did not all come: {plain_message(error)}. Start them all again"
        ) from None
    return everyone.numpy().tolist()


def streams(strategy: tf.distribute.Strategy, *, deterministic: bool) -> int:
    """How many streams of steps train at the same time on one device.

    A CPU's cores are best used by one stream each, all on the same tables (Hogwild, Recht et al. 2011, arXiv
    1106.5730): steps touch few rows, and seldom the same ones. The order of their updates is then left to chance.
    """
    return threads.cores() if is_on_cores(strategy) and not deterministic else 1


def is_on_cores(strategy: tf.distribute.Strategy) -> bool:
    """Whether one device of this machine trains, and that is the CPU; other machines may train too."""
    here = strategy.num_replicas_in_sync // workers(strategy)
    return here == 1 and not tf.config.list_logical_devices("GPU")


def workers(strategy: tf.distribute.Strategy) -> int:
    """How many machines train."""
    return len(_addresses(strategy)) or 1


def number(strategy: tf.distribute.Strategy) -> int:
    """Which of the machines this is, counted from 0; the chief is 0."""
    everyone, resolver = _addresses(strategy), strategy.cluster_resolver
    return everyone.index(resolver.cluster_spec().task_address(resolver.task_type, resolver.task_id)) if everyone else 0


def _addresses(strategy: tf.distribute.Strategy) -> list[str]:
    """Of all machines that train, the chief's first; empty if there is this one alone."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return []
    jobs = resolver.cluster_spec().as_dict()
    return [*jobs.get("chief", []), *jobs.get("worker", [])]


def check_divides(replicas: int, blocks_per_step: int) -> None:
    """Looks whether the replicas can share a step's blocks.

    Raises:
        UserError: the blocks do not divide by the replicas.
    """
    if blocks_per_step % replicas:
        raise UserError(
            f"trainer.blocks_per_step = {blocks_per_step}: expected a multiple of {replicas}, "
            "the number of devices that train"
        )


def distribute(strategy: tf.distribute.Strategy, stacks: tf.data.Dataset) -> tf.distribute.DistributedDataset:
    """Hands each replica its share of every step's blocks, in their order.

    Args:
        strategy: spreads the work.
        stacks: of `Batch`es of several steps.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return stacks

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * local

        def shares(stack: Batch) -> tf.data.Dataset:
            size = stack.blocks.ids.shape[1] // replicas
            of_replicas = [
                tf.data.Dataset.from_tensors(
                    Batch(stack.step, Blocks(*(x[:, i * size : (i + 1) * size] for x in stack.blocks)))
                )
                for i in range(first, first + local)
            ]
            return functools.reduce(lambda a, b: a.concatenate(b), of_replicas)

        return stacks.flat_map(shares)

    return strategy.distribute_datasets_from_function(of_worker)
