"""Compiles the pipeline for Kubeflow Pipelines (KFP v2): the same create_pipeline as on one machine.

python kubeflow_runner.py compile --config my.yaml --output pipeline.yaml
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import sys
from collections.abc import Sequence

import rich.console
import rich.markup

from components.errors import UserError
from pipeline import arguments
from pipeline.configs import Config


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    options = _parser().parse_args(argv)
    screen = rich.console.Console(highlight=False)
    try:
        compile_pipeline(arguments.load(options), pathlib.Path(options.output))
    except UserError as error:
        rich.console.Console(stderr=True).print(f"[red]error:[/red] {rich.markup.escape(str(error))}", soft_wrap=True)
        return 1
    screen.print(f"{options.output}: upload it to Kubeflow Pipelines, or start it with kfp", soft_wrap=True)
    return 0


def compile_pipeline(config: Config, output: pathlib.Path) -> None:
    """Writes the pipeline's KFP v2 specification (schema 2.1).

    Args:
        config: all settings.
        output: a .yaml file; it is replaced.

    Raises:
        UserError: settings that a cluster cannot use.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,127}", config.name):
        raise UserError(f"name = {config.name!r}: Kubeflow takes small letters, digits and - only")
    if not config.pusher.destination:
        raise UserError("pusher.destination: is needed, for on a cluster there is no run folder to put the model into")
    changes = [name for name, threshold in config.evaluator.thresholds.items() if threshold.absolute is not None]
    if changes:
        raise UserError(
            f"evaluator.thresholds.{changes[0]}.absolute: Kubeflow Pipelines has no resolvers, which would find the "
            "last blessed model. Give a lower_bound alone"
        )
    if config.serving.infra_validation == "docker":
        raise UserError("serving.infra_validation = docker: in a cluster, set it to kubernetes")
    if config.trainer.warm_start:
        raise UserError("trainer.warm_start: Kubeflow Pipelines has no resolvers, which would find the last model")
    if output.suffix not in (".yaml", ".yml"):
        raise UserError(f"--output {output}: expected a name that ends in .yaml")
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

    from pipeline.pipeline import create_pipeline

    dag = create_pipeline(
        config,
        corpus_fingerprint="",
        benchmarks_fingerprint="",
        root=config.kubeflow.root,
        checkpoints="/tmp/checkpoints",
        beam_pipeline_args=[],
        transform_beam_pipeline_args=[],
        has_resolvers=False,
    )
    # The fingerprints that the cache needs stand for files that only the cluster may see.
    dag.enable_cache = False
    beside = output.with_name(f".{output.stem}.new{output.suffix}")
    beside.unlink(missing_ok=True)
    runner_config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=config.kubeflow.image, use_pipeline_spec_2_1=True
    )
    kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=runner_config, output_dir=str(output.parent), output_filename=beside.name
    ).run(dag)
    os.replace(beside, output)


def _parser() -> argparse.ArgumentParser:
    parser = arguments.parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    compiler = commands.add_parser("compile", help="write the KFP v2 specification")
    arguments.add_settings(compiler, default="kubeflow")
    compiler.add_argument("--output", default="pipeline.yaml", metavar="FILE", help="by default pipeline.yaml")
    return parser


if __name__ == "__main__":
    sys.exit(main())
