"""The pipeline on Kubeflow Pipelines (KFP v2): the same create_pipeline as on one machine.

python kubeflow_runner.py compile --config my.yaml --output pipeline.yaml
python kubeflow_runner.py submit --config my.yaml --parameter trainer_epochs=5 --wait
python kubeflow_runner.py schedule --config my.yaml --cron '0 0 3 * * *'
python kubeflow_runner.py rehearse --config my.yaml
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import rich.console
import rich.markup
import yaml

from components.errors import UserError
from pipeline import arguments
from pipeline.configs import Config


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    options = _parser().parse_args(argv)
    screen = rich.console.Console(highlight=False)
    try:
        return options.run(arguments.load(options), options, screen)
    except UserError as error:
        rich.console.Console(stderr=True).print(f"[red]error:[/red] {rich.markup.escape(str(error))}", soft_wrap=True)
        return 1


def compile_pipeline(config: Config, output: pathlib.Path) -> None:
    """Writes the pipeline's KFP v2 specification (schema 2.1), and behind it what Kubernetes needs to know.

    Args:
        config: all settings.
        output: a .yaml file; it is replaced.

    Raises:
        UserError: settings that a cluster cannot use.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,127}", config.name):
        raise UserError(f"name = {config.name!r}: Kubeflow takes small letters, digits and - only")
    if output.suffix not in (".yaml", ".yml"):
        raise UserError(f"--output {output}: expected a name that ends in .yaml")
    from pipeline.kubeflow import compiler

    documents = [document for document in compiler.compile_pipeline(config) if document]
    beside = output.with_name(f".{output.name}.new")
    beside.write_text(yaml.safe_dump_all(documents, sort_keys=True), encoding="utf-8")
    os.replace(beside, output)


def _compile(config: Config, options: argparse.Namespace, screen: rich.console.Console) -> int:
    compile_pipeline(config, pathlib.Path(options.output))
    screen.print(f"{options.output}: upload it to Kubeflow Pipelines, or start it with submit", soft_wrap=True)
    return 0


def _submit(config: Config, options: argparse.Namespace, screen: rich.console.Console) -> int:
    from pipeline.kubeflow.client import Client

    parameters, client = _parameters(options.parameter), Client(config.kubeflow)
    with tempfile.TemporaryDirectory() as folder:
        package = pathlib.Path(folder) / "pipeline.yaml"
        compile_pipeline(config, package)
        run = client.submit(str(package), config.name, parameters)
    screen.print(client.address(run), soft_wrap=True)
    if not options.wait:
        return 0
    state = client.wait(run, options.timeout)
    screen.print(state)
    return 0 if state.upper() == "SUCCEEDED" else 1


def _schedule(config: Config, options: argparse.Namespace, screen: rich.console.Console) -> int:
    from pipeline.kubeflow.client import Client

    parameters, client = _parameters(options.parameter), Client(config.kubeflow)
    with tempfile.TemporaryDirectory() as folder:
        package = pathlib.Path(folder) / "pipeline.yaml"
        compile_pipeline(config, package)
        made = client.schedule(str(package), config.name, options.cron, parameters)
    screen.print(f"recurring run {config.name} ({made}): {options.cron}", soft_wrap=True)
    return 0


def _rehearse(config: Config, options: argparse.Namespace, screen: rich.console.Console) -> int:
    folder = pathlib.Path(options.folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    package = pathlib.Path(options.pipeline or folder / "pipeline.yaml")
    if not options.pipeline:
        compile_pipeline(config, package)
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    from pipeline.kubeflow.rehearsal import Rehearsal

    try:
        document = next(iter(yaml.safe_load_all(package.read_text(encoding="utf-8"))))
        spec = json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
    except (OSError, UnicodeDecodeError, yaml.YAMLError, json_format.ParseError) as error:
        raise UserError(f"--pipeline {package}: not a compiled pipeline: {str(error).splitlines()[0]}") from None
    parameters = {"pusher_destination": str(folder / "pushed"), **_parameters(options.parameter)}
    rehearsal = Rehearsal(
        spec, folder, parameters, lambda name, seconds: screen.print(f"  [green]✔[/green] {name:<20} {seconds:>6.1f} s")
    )
    pushed = rehearsal.run()["Pusher"]["pushed_model"].metadata
    if not pushed.get("pushed"):
        screen.print("not pushed: the Evaluator blocked it")
        return 1
    screen.print(f"Model       {pushed['pushed_destination']}", soft_wrap=True)
    return 0


def _parameters(given: Sequence[str]) -> dict[str, Any]:
    found = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator:
            raise UserError(f"--parameter {text}: expected name=value, as in --parameter trainer_epochs=5")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--parameter {text}: the value is not YAML") from None
    return found


def _parser() -> argparse.ArgumentParser:
    parser = arguments.parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    made = {}
    for name, run, meaning in (
        ("compile", _compile, "write the KFP v2 specification"),
        ("submit", _submit, "compile and start it"),
        ("schedule", _schedule, "compile, and create or replace a recurring run"),
        ("rehearse", _rehearse, "run the specification on this machine, without a cluster"),
    ):
        made[name] = commands.add_parser(name, help=meaning, description=meaning)
        made[name].set_defaults(run=run)
        arguments.add_settings(made[name], default="kubeflow")
        if name != "compile":
            made[name].add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="of the run")
    made["compile"].add_argument("--output", default="pipeline.yaml", metavar="FILE", help="by default pipeline.yaml")
    made["submit"].add_argument("--wait", action="store_true", help="until it has ended; fails if it failed")
    made["submit"].add_argument("--timeout", type=float, default=86400, metavar="SECONDS", help="of --wait")
    made["schedule"].add_argument(
        "--cron", required=True, help="when, with seconds: '0 0 3 * * *' is at three each night"
    )
    made["rehearse"].add_argument("--pipeline", metavar="FILE", help="a compiled one; by default it is compiled first")
    made["rehearse"].add_argument("--folder", default="runs/rehearsal", help="where everything goes (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
