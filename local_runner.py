"""Runs the pipeline on this machine: from text to a model that passed its benchmarks.

python local_runner.py --config imdb --corpus 'reviews/*.txt.gz' --set trainer.epochs=3
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
import traceback
from collections.abc import Sequence

import rich.console
import rich.markup

from components.errors import UserError
from pipeline import arguments, console, engines, lock
from pipeline.configs import Config

COMPRESSION_RATIO = 3

# The exit code of a run whose model was blocked, where one wants to know it by that.
BLOCKED = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the pipeline; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        config = arguments.load(options)
    except UserError as error:
        return _fail(rich.console.Console(stderr=True), str(error))
    log = os.path.join(config.run_folder, "run.log")
    if options.history or options.explain:
        return _look_back(config, options.explain)
    with console.logs_to(log, verbose=options.verbose) as (screen, errors):
        try:
            if config.trainer.strategy == "multi_worker" and not _is_chief():
                _join(config, screen)
            else:
                with lock.held(config.run_folder):
                    pushed = _run(config, screen, log, use_cache=not options.no_cache)
                return 0 if pushed or not options.strict else BLOCKED
            return 0
        except UserError as error:
            return _fail(errors, str(error))
        except KeyboardInterrupt:
            _fail(errors, "interrupted. The same command goes on from here")
            return 130
        except SystemExit:  # so argparse ends, in which Beam reads its options
            return _fail(errors, f"beam.options: Beam does not take them; the end of {log} has its words")
        except Exception as error:  # whatever it is, a person gets one line, and the log the rest
            traceback.print_exc()
            return _fail(errors, f"{type(error).__name__}: {_first_line(error)}\nThe whole story is in {log}")


def _run(config: Config, screen: rich.console.Console, log: str, *, use_cache: bool) -> bool:
    """Runs the pipeline; returns whether it ended in a pushed model."""
    screen.print(f"[bold]tfx-word2vec[/bold]  {config.name}  [dim]{config.run_folder}[/dim]")
    _check_infra_validation(config)
    engines.check(config.beam)
    started = time.perf_counter()
    with console.waiting(screen, "Starting TensorFlow and TFX …"):
        from components import threads
        from pipeline import local, summary
        from pipeline.inputs import Inputs
        from pipeline.pipeline import create_pipeline

        _log_everything()
        threads.one_thread_an_op()
        inputs = Inputs.find(config)
        text_bytes = sum(file.size * (COMPRESSION_RATIO if file.compression != "none" else 1) for file in inputs.corpus)
        dag = create_pipeline(
            config,
            fingerprints=inputs.fingerprints,
            root=config.run_folder,
            checkpoints=_checkpoints(config),
            beam=engines.arguments(config.beam, text_bytes),
            durations=_durations(config),
            notes=_notes(config),
        )
        dag.enable_cache = use_cache
        dag.metadata_connection_config = _metadata(config)
    screen.print(f"  [green]✔[/green] {'start':<20} {time.perf_counter() - started:>6.1f} s")
    with console.RunView(screen) as view:
        runner = local.LocalRunner(view, config.run_folder, _durations(config), _notes(config))
        runner.run(dag)
    with console.waiting(screen, "Reading what was made …"):
        made = summary.read(runner.runs)
        _link_vectors(config, made.vectors)
        report = os.path.join(config.run_folder, "report.html")
        shutil.copyfile(made.report, f"{report}.new")
        os.replace(f"{report}.new", report)
    console.show_summary(screen, made, config.run_folder, log)
    screen.print(f"[dim]{time.perf_counter() - started:.0f} s in all[/dim]")
    return made.model is not None


def _check_infra_validation(config: Config) -> None:
    """Makes sure that TF Serving can be started, before anything long begins."""
    if config.serving.infra_validation == "kubernetes":
        raise UserError(
            "serving.infra_validation = kubernetes: works within a cluster. For this machine set it to docker"
        )
    if config.serving.infra_validation == "docker":
        import docker

        try:
            docker.from_env().ping()
        except docker.errors.DockerException as error:
            raise UserError(
                f"serving.infra_validation = docker: Docker does not answer: {_first_line(error)}. Start it, or set "
                "serving.infra_validation=off"
            ) from None


def _look_back(config: Config, version: str | None) -> int:
    """Prints the runs that were made, or where a version comes from; returns the exit code."""
    screen = rich.console.Console(highlight=False)
    try:
        with console.waiting(screen, "Reading the metadata …"), console.quiet():
            from pipeline.lineage import Lineage

            destination = config.pusher.destination or os.path.join(config.run_folder, "serving_model")
            lineage = Lineage(config.run_folder, destination)
            found = lineage.explain(version) if version else lineage.history()
    except UserError as error:
        return _fail(rich.console.Console(stderr=True), str(error))
    if version:
        console.show_origin(screen, version, found)
    else:
        console.show_history(screen, found)
    return 0


def _is_chief() -> bool:
    from components.trainer import workers

    return workers.is_chief_by_environment()


def _join(config: Config, screen: rich.console.Console) -> None:
    """Trains as one of several workers, of which the chief runs the pipeline."""
    from components.trainer import workers

    screen.print(f"[bold]tfx-word2vec[/bold]  {config.name}  [dim]worker; the chief's run calls it to train[/dim]")
    _log_everything()
    with console.RunView(screen) as view:
        view.started("Trainer")
        workers.join(_checkpoints(config))
    screen.print("  [green]✔[/green] trained")


def _checkpoints(config: Config) -> str:
    return os.path.join(config.run_folder, "checkpoints")


def _durations(config: Config) -> str:
    return os.path.join(config.run_folder, "durations.json")


def _notes(config: Config) -> str:
    return os.path.join(config.run_folder, "notes.json")


def _link_vectors(config: Config, vectors: str) -> None:
    """Makes `vectors` in the run's folder lead to the newest model's."""
    link = os.path.join(config.run_folder, "vectors")
    beside = f"{link}.new"
    with contextlib.suppress(FileNotFoundError):
        os.remove(beside)
    os.symlink(os.path.relpath(vectors, config.run_folder), beside)
    if os.path.isdir(link) and not os.path.islink(link):  # so scp and other programs copy a link
        shutil.rmtree(link)
    os.replace(beside, link)


def _log_everything() -> None:
    import absl.logging

    absl.logging.use_absl_handler()
    absl.logging.set_verbosity(absl.logging.INFO)


def _metadata(config: Config) -> object:
    from tfx.orchestration import metadata

    return metadata.sqlite_metadata_connection_config(os.path.join(config.run_folder, "metadata.sqlite"))


def _fail(screen: rich.console.Console, message: str) -> int:
    screen.print(f"[red]error:[/red] {rich.markup.escape(message)}", soft_wrap=True)
    return 1


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]


def _parser() -> argparse.ArgumentParser:
    parser = arguments.parser(__doc__)
    arguments.add_settings(parser, default="sample")
    parser.add_argument("--strict", action="store_true", help=f"end with exit code {BLOCKED} if no model is pushed")
    parser.add_argument("--no-cache", action="store_true", help="do everything anew, even what has not changed")
    parser.add_argument("--history", action="store_true", help="list the runs that were made, and their verdicts")
    parser.add_argument("--explain", metavar="VERSION", help="say where a pushed version comes from")
    parser.add_argument(
        "--verbose", action="store_true", help="show TensorFlow's, TFX's and Beam's logs on the screen too"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
