"""The pipeline on Kubeflow Pipelines (KFP v2): the same create_pipeline as on one machine.

python kubeflow_runner.py compile --config my.yaml --output pipeline.yaml
python kubeflow_runner.py submit --config my.yaml --parameter trainer_epochs=5 --wait
python kubeflow_runner.py schedule --config my.yaml --cron '0 0 3 * * *'
python kubeflow_runner.py rehearse --config my.yaml
python kubeflow_runner.py rollback --config my.yaml 1767225600
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import rich.console
import yaml

from pipeline import arguments, console, yaml_reader
from pipeline.configs import Config
from pipeline.kubeflow import checks
from word2vec import argument_types, streams, whole_files
from word2vec.errors import UserError, printable, reason


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    return streams.run(lambda: _main(argv), console.fail)


def _main(argv: Sequence[str] | None) -> int:
    # Without a command it compiles, as TFX's own runners for KFP v2 do, and as TFX's command line calls it.
    options = _parser().parse_args((sys.argv[1:] if argv is None else argv) or ["compile"])
    screen = console.screen()
    code = options.run(arguments.load(options), options, screen)
    console.check(screen)
    return code


def compile_pipeline(config: Config, output: pathlib.Path) -> None:
    """Writes the pipeline's KFP v2 specification (schema 2.1), and behind it what Kubernetes needs to know.

    Args:
        config: all settings.
        output: a .yaml file; it is replaced.

    Raises:
        UserError: settings that a cluster cannot use.
    """
    checks.check(config)
    if output.suffix not in (".yaml", ".yml"):
        raise UserError(f"--output {printable(str(output))}: expected a name that ends in .yaml")
    try:
        output.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # names that no file system has
        raise UserError(f"--output {printable(str(output))}: {reason(error)}") from None
    is_there = output.parent.is_dir() and not output.is_dir() and os.access(output.parent, os.W_OK | os.X_OK)
    if not is_there:
        raise UserError(f"--output {printable(str(output))}: expected a file in a folder that can be written to")
    with console.quiet():  # TensorFlow's notes on this machine say nothing of a cluster
        from pipeline.kubeflow import compiler

        documents = [document for document in compiler.compile_pipeline(config) if document]
    whole_files.write_text(output, yaml.safe_dump_all(documents, sort_keys=True))


def _compile(config: Config, options: argparse.Namespace, screen: rich.console.Console) -> int:
    compile_pipeline(config, pathlib.Path(options.output))
    console.warn(screen, config.warnings)
    screen.print(console.line(f"{options.output}: upload it to Kubeflow Pipelines, or start it with submit"))
    return 0


def _submit(config: Config, options: argparse.Namespace, screen: rich.console.Console) -> int:
    from pipeline.kubeflow.client import Client

    parameters, client = _parameters(options.parameter), Client(config.kubeflow)
    with _compiled(config, parameters) as package:
        run = client.submit(package, config.name, parameters)
    screen.print(console.line(client.address(run)))
    if not options.wait:
        return 0
    try:
        state = client.wait(run, options.timeout)
    except KeyboardInterrupt:
        raise UserError(f"run {run}: no longer waited for; it goes on: {client.address(run)}") from None
    screen.print(console.line(state))
    return 0 if state == "SUCCEEDED" else 1


def _schedule(config: Config, options: argparse.Namespace, screen: rich.console.Console) -> int:
    from pipeline.kubeflow.client import Client, check_cron

    check_cron(options.cron)
    parameters, client = _parameters(options.parameter), Client(config.kubeflow)
    with _compiled(config, parameters) as package:
        recurring_run = client.schedule(package, config.name, options.cron, parameters)
    screen.print(console.line(f"recurring run {config.name} ({recurring_run}): {options.cron}"))
    return 0


@contextlib.contextmanager
def _compiled(config: Config, parameters: dict[str, Any]) -> Iterator[str]:
    """A compiled file for the time, which takes the parameters."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        except OSError as error:
            raise UserError(f"TMPDIR: there is no folder for a while: {reason(error)}") from None
        package = pathlib.Path(folder) / "pipeline.yaml"
        compile_pipeline(config, package)
        spec, _ = _read(package)
        checks.check_parameters(spec, parameters)
        checks.check_sizes(spec, parameters)
        yield str(package)


def _rehearse(config: Config, options: argparse.Namespace, screen: rich.console.Console) -> int:
    folder = pathlib.Path(options.folder).absolute()
    package = pathlib.Path(options.pipeline or folder / "pipeline.yaml")
    if not options.pipeline:
        checks.check(config)
        if config.serving.infra_validation != "off":
            raise UserError(
                "rehearse: there is no Kubernetes here to start a TF Serving in. Add --set serving.infra_validation=off"
            )
        if config.trainer.strategy == "multi_worker":
            raise UserError(
                "rehearse: there is no Kubernetes here to start a job of many pods in. Add --set trainer.strategy=auto"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise UserError(f"--folder {printable(str(folder))}: {reason(error)}") from None
        compile_pipeline(config, package)
    spec, platform = _read(package)
    from pipeline.kubeflow.rehearsal import run

    rehearsal = run.Rehearsal(
        spec,
        platform,
        folder,
        volumes={claim: pathlib.Path(path) for claim, path in _pairs("--volume", options.volume, "CLAIM=FOLDER")},
        parameters=_parameters(options.parameter),
        tell=functools.partial(_tell, screen),
        version=run.VERSIONS[options.kfp],
    )
    pushed = rehearsal.pushed(rehearsal.run())
    screen.print(console.line(f"Model       {pushed}" if pushed else "not pushed: it is blocked"))
    return 0 if pushed else 1


def _roll_back(config: Config, options: argparse.Namespace, screen: rich.console.Console) -> int:
    """Has an earlier version served again; returns the exit code."""
    if not config.pusher.destination:
        raise UserError("pusher.destination: is needed: it says where the versions are")
    with console.waiting(screen, "Rolling back …"), console.quiet():
        from components.pusher import rollback

        done = rollback.to(config.destination, options.version)
    for line in console.rolled_back(options.version, done):
        screen.print(line)
    return 0


def _tell(screen: rich.console.Console, task: str, seconds: float, *, cached: bool) -> None:
    time = ("  cached", "dim") if cached else f"{seconds:>6.1f} s"
    screen.print(console.line("  ", ("✔", "green"), f" {task:<20} ", time))


def _read(package: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A compiled pipeline: the specification, and what Kubernetes needs to know; both as JSON."""
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    try:
        spec, *platform = yaml.safe_load_all(package.read_text(encoding="utf-8"))
        if not all(isinstance(each, dict) for each in (spec, *platform)):
            raise ValueError("expected mappings")
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError, json_format.ParseError) as error:
        raise UserError(f"--pipeline {printable(str(package))}: not a compiled pipeline: {reason(error)}") from None
    return spec, platform[0] if platform else {}


def _pairs(option: str, given: Sequence[str], expected: str) -> list[tuple[str, str]]:
    pairs = [text.partition("=")[::2] for text in given]
    for text, (name, _) in zip(given, pairs, strict=True):
        if "=" not in text or not name.strip():
            raise UserError(f"{option} {printable(text)}: expected {expected}")
        if sum(name == other for other, _ in pairs) > 1:
            raise UserError(f"{option} {printable(name)}: is given twice. Remove one")
    return pairs


def _parameters(given: Sequence[str]) -> dict[str, Any]:
    pairs = _pairs("--parameter", given, "name=value, as in --parameter trainer_epochs=5")
    return {name: yaml_reader.parse(value, f"--parameter {printable(f'{name}={value}')}") for name, value in pairs}


def _parser() -> argparse.ArgumentParser:
    parser = arguments.parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True, help="by default compile")
    subparsers = {}
    for name, run, meaning in (
        ("compile", _compile, "write the KFP v2 specification"),
        ("submit", _submit, "compile and start it"),
        ("schedule", _schedule, "compile, and create or replace a recurring run"),
        ("rehearse", _rehearse, "run the specification on this machine, without a cluster"),
        ("rollback", _roll_back, "have an earlier version served again, in pusher.destination as this machine sees it"),
    ):
        subparsers[name] = commands.add_parser(name, help=meaning, description=meaning)
        subparsers[name].set_defaults(run=run)
        arguments.add_settings(subparsers[name], default="kubeflow")
        if name not in ("compile", "rollback"):
            subparsers[name].add_argument(
                "--parameter", action="append", default=[], metavar="NAME=VALUE", help="sets a parameter of the run"
            )
    subparsers["rollback"].add_argument("version", metavar="VERSION", help="the version's number")
    subparsers["compile"].add_argument(
        "--output", default="pipeline.yaml", metavar="FILE", help="by default pipeline.yaml"
    )
    subparsers["submit"].add_argument(
        "--wait", action="store_true", help="wait until the run has ended; fails if the run failed"
    )
    subparsers["submit"].add_argument(
        "--timeout",
        type=argument_types.number(1, 10**8),
        default=86400,
        metavar="SECONDS",
        help="how long --wait waits (%(default)s)",
    )
    subparsers["schedule"].add_argument(
        "--cron", required=True, help="when, with seconds: '0 0 3 * * *' is at three each night"
    )
    subparsers["rehearse"].add_argument(
        "--volume", action="append", default=[], metavar="CLAIM=FOLDER", help="a folder for a volume's claim"
    )
    subparsers["rehearse"].add_argument(
        "--kfp",
        default="2.15",
        choices=("2.4", "2.5", "2.15"),
        help="imitate this version of KFP, and those after it (%(default)s)",
    )
    subparsers["rehearse"].add_argument(
        "--pipeline", metavar="FILE", help="a compiled one; by default it is compiled first"
    )
    subparsers["rehearse"].add_argument(
        "--folder", default="runs/rehearsal", help="where everything goes (%(default)s)"
    )
    return parser


if __name__ == "__main__":
    streams.leave(main())
