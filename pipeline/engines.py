"""What Beam is told for each engine: the settings in `beam`, as its options."""

from __future__ import annotations

import os

from pipeline.configs import BeamConfig

# Starting one process a core costs some 20 s; with two, Transform wins that back from here on (docs/design.md).
BYTES_WORTH_MORE_PROCESSES = 200_000_000

# By its class: the name DirectRunner would make Beam look for another runner on the network first.
_DIRECT = "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"


def arguments(beam: BeamConfig, text_bytes: int) -> tuple[list[str], list[str]]:
    """Beam's options.

    Args:
        beam: the settings.
        text_bytes: about how much text there is.

    Returns:
        (for every component, for Transform, which has the most to do).
    """
    cores = os.cpu_count() or 1
    if beam.runner != "direct":
        distributed = [*_ENGINES[beam.runner](beam, beam.workers or cores), *beam.options]
        return distributed, distributed
    workers = beam.workers or (cores if text_bytes > BYTES_WORTH_MORE_PROCESSES else 1)
    direct = [_DIRECT, *beam.options]
    if workers == 1:
        return direct, direct
    return direct, [*direct, "--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]


def _flink(beam: BeamConfig, workers: int) -> list[str]:
    return [
        "--runner=FlinkRunner",
        f"--flink_master={beam.master or '[local]'}",
        f"--parallelism={workers}",
        *_workers_at(beam),
    ]


def _spark(beam: BeamConfig, workers: int) -> list[str]:
    return ["--runner=SparkRunner", f"--spark_master_url={beam.master or f'local[{workers}]'}", *_workers_at(beam)]


def _dataflow(beam: BeamConfig, workers: int) -> list[str]:
    return ["--runner=DataflowRunner", f"--num_workers={workers}"]


def _prism(beam: BeamConfig, workers: int) -> list[str]:
    return ["--runner=PrismRunner", *_workers_at(beam)]


def _workers_at(beam: BeamConfig) -> list[str]:
    """Without a cluster, Python's part runs in the process that submits; on one, the options say where."""
    return [] if beam.master else ["--environment_type=LOOPBACK"]


_ENGINES = {"flink": _flink, "spark": _spark, "dataflow": _dataflow, "prism": _prism}
