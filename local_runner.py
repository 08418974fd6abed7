"""Runs the pipeline on this machine: from text to a model that passed its benchmarks.

python local_runner.py --config imdb --corpus 'reviews/*.txt.gz' --set trainer.epochs=3
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import rich.console

from pipeline import arguments, console, engines, layout, lock, metadata_file, orphans
from pipeline.configs import Config
from word2vec import argument_types, importing, streams, whole_files
from word2vec.errors import UserError, printable, reason
from word2vec.training import tf_config

if TYPE_CHECKING:
    from tfx import v1 as tfx

    from components.files import CorpusFile
    from pipeline.inputs import Inputs

COMPRESSION_RATIO = 3

# The exit code of a run whose model was blocked, where one wants to know it by that.
BLOCKED = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the pipeline; returns the exit code."""
    return streams.run(lambda: _main(argv), console.fail)


def _main(argv: Sequence[str] | None) -> int:
    options = _parser().parse_args(argv)
    config = arguments.load(options)
    if options.dry_run and not options.clean:
        raise UserError("--dry-run: expected beside --clean, of which it says what would be removed")
    if options.history or options.explain is not None:
        return _in_one_line(lambda: _look_back(config, options.explain))
    if options.rollback is not None:
        return _in_one_line(lambda: _roll_back(config, options.rollback))
    if options.clean:
        return _in_one_line(lambda: _clean(config, dry_run=options.dry_run))
    return _work(config, options)


def _work(config: Config, options: argparse.Namespace) -> int:
    """Runs the pipeline once, again and again, or as one of several workers; returns the exit code."""
    joins = config.trainer.strategy == "multi_worker" and not tf_config.is_chief()
    inputs = None if joins else _checked(config, waits=options.follow is not None)
    log = _path(config, layout.LOG)
    with console.logs_to(log, verbose=options.verbose) as (screen, errors):
        end = functools.partial(_exit_code, screen=screen, errors=errors, log=log)
        how: Any = {"screen": screen, "log": log, "use_cache": not options.no_cache, "strict": options.strict}

        def run(inputs: Inputs) -> int:
            return _run(config, inputs, **how)

        def run_in_fork(inputs: Inputs) -> None:
            following.run_in_fork(config.run_folder, lambda: end(lambda: run(inputs)))

        try:
            if joins:
                return end(lambda: _join(config, screen))
            if inputs is not None and options.follow is None:
                return end(lambda: _run_alone(config.run_folder, lambda: run(inputs)))
            from pipeline import following  # which imports as much as the check before did

            return end(following.Follower(config, run_in_fork, options.follow, screen, errors).follow)
        except KeyboardInterrupt:
            console.fail("interrupted. The same command goes on from here", errors)
            return streams.INTERRUPTED


def _checked(config: Config, *, waits: bool) -> Inputs | None:
    """What a run would read; None if its files are not there, and it waits for them.

    Raises:
        UserError: a run cannot begin.
    """
    from components import files
    from pipeline import preflight  # here, for what is wrong with the settings is said without it

    try:
        return preflight.check(config)
    except files.NoFileError:
        if not waits:
            raise
        return None


def _exit_code(
    action: Callable[[], int], *, screen: rich.console.Console, errors: rich.console.Console, log: str
) -> int:
    """Does something, tells a person in one line why it failed, and returns the exit code."""
    try:
        code = action()
        console.check(screen)
    except UserError as error:
        console.fail(str(error), errors)
        return 1
    except Exception as error:  # whatever it is, a person gets one line, and the log the rest
        traceback.print_exc()
        if reason(error).startswith(KeyboardInterrupt.__name__):  # Beam makes an error of its own of it
            raise KeyboardInterrupt from error
        console.fail(f"the run stopped: {_reason_of(error)}. The whole story is in {log}", errors)
        return 1
    return code


def _in_one_line(action: Callable[[], int]) -> int:
    """Does something without a log; what ML Metadata or TensorFlow raise is told in one line, too.

    Raises:
        UserError: whatever went wrong.
    """
    try:
        return action()
    except (UserError, OSError):  # which are told so anyway
        raise
    except Exception as error:
        raise UserError(_reason_of(error)) from error


def _reason_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return reason(error)
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    why, kind = reason(error), type(error).__name__
    return why if why == kind else f"{why} ({kind})"  # an error without a text


def _run_alone(run_folder: str, run: Callable[[], int]) -> int:
    """Runs the pipeline, while nobody else may do so."""
    with lock.held(run_folder):
        return run()


@orphans.ended_with_this_process()
def _run(
    config: Config, inputs: Inputs, *, screen: rich.console.Console, log: str, use_cache: bool, strict: bool
) -> int:
    """Runs the pipeline; returns the exit code."""
    screen.print(console.line(("tfx-word2vec", "bold"), f"  {config.name}  ", (config.run_folder, "dim")))
    console.warn(screen, config.warnings)
    console.check(screen)
    metadata_file.has_runs(config.run_folder, writes=True)  # or it says what is the matter
    started = time.perf_counter()
    with console.waiting(screen, "Starting TensorFlow and TFX …"), importing.quickly():
        from pipeline import beam_workers, local, summary
        from word2vec import threads

        _log_everything()
        threads.one_thread_an_op()
        beam_workers.register()
        dag, readings = _pipelines(config, inputs)
        for each in (dag, *readings.values()):
            each.enable_cache = use_cache
            each.metadata_connection_config = _metadata(config)
    screen.print(console.line("  ", ("✔", "green"), f" {'start':<20} {time.perf_counter() - started:>6.1f} s"))
    with console.RunView(screen) as view:
        durations, notes = _path(config, layout.DURATIONS), _path(config, layout.NOTES)
        runner = local.LocalRunner(view, config.run_folder, durations, notes, readings)
        runs = runner.run(dag)
    if runs is None:
        return 0  # TFX's command line wanted to know the pipeline, and says itself what it did
    with console.waiting(screen, "Reading what was made …"):
        run_summary = summary.read(runs)
        whole_files.link(_path(config, layout.VECTORS), os.path.relpath(run_summary.vectors, config.run_folder))
        with whole_files.replacing(_path(config, layout.REPORT)) as beside:
            shutil.copyfile(run_summary.report, beside)
    console.show_summary(screen, run_summary, config.run_folder, log)
    if config.keep.is_limited:
        _remove_old(config, screen, log)
    screen.print(console.line((f"{time.perf_counter() - started:.0f} s in all", "dim")))
    return BLOCKED if strict and run_summary.model is None else 0


def _remove_old(config: Config, screen: rich.console.Console, log: str) -> None:
    """Removes what is not needed after a run, and says what keeps it from that."""
    import ml_metadata
    import tensorflow as tf

    from pipeline import cleaning

    try:
        with console.waiting(screen, "Removing what is not needed …"):
            cleaner = cleaning.cleaner_of(config)
            cleaner.remove(cleaner.plan())
            cleaning.trim_log(log)
    except (OSError, tf.errors.OpError, ml_metadata.errors.StatusError) as error:  # versions may be in a bucket
        console.warn(screen, [f"what is not needed could not be removed: {reason(error)}"])


def _pipelines(config: Config, inputs: Inputs) -> tuple[tfx.dsl.Pipeline, dict[str, tfx.dsl.Pipeline]]:
    """The pipeline, and those that read the spans before, the first one first, by the spans' names."""
    from pipeline.pipeline import create_pipeline, create_reading

    same: Any = {"fingerprints": inputs.fingerprints, "root": config.run_folder}
    dag = create_pipeline(
        config,
        checkpoints=_path(config, layout.CHECKPOINTS),
        beam=_beam(config, inputs.corpus),
        spans=inputs.spans,
        others=inputs.others,
        durations=_path(config, layout.DURATIONS),
        notes=_path(config, layout.NOTES),
        **same,
    )
    return dag, {
        span.label: create_reading(config, span, beam=_beam(config, span.files), **same)
        for span in reversed(inputs.spans)
    }


def _beam(config: Config, corpus_files: Iterable[CorpusFile]) -> engines.Arguments:
    text_bytes = sum(file.size * (COMPRESSION_RATIO if file.compression != "none" else 1) for file in corpus_files)
    return engines.arguments(config.beam, text_bytes)


def _look_back(config: Config, version: str | None) -> int:
    """Prints the runs that were made, or where a version comes from; returns the exit code."""
    if version is not None:
        _check_version("--explain", version)
    if not metadata_file.has_runs(config.run_folder):  # Lineage knows too, but imports first
        raise UserError(_never_run(config))
    screen = console.screen()
    with console.waiting(screen, "Reading the metadata …"), console.quiet():
        from pipeline.lineage import Lineage

        lineage = Lineage(config.run_folder, config.destination)
        if version:
            show = functools.partial(console.show_origin, screen, version, lineage.explain(version))
        else:
            show = functools.partial(console.show_history, screen, lineage.history())
    show()
    console.check(screen)
    return 0


def _roll_back(config: Config, version: str) -> int:
    """Has an earlier version served again; returns the exit code."""
    _check_version("--rollback", version)
    screen = console.screen()
    if not metadata_file.has_runs(config.run_folder, writes=True):
        raise UserError(_never_run(config))
    with lock.held(config.run_folder), console.waiting(screen, "Rolling back …"), console.quiet():
        from pipeline import rolling_back

        done = rolling_back.roll_back(config.run_folder, config.destination, config.name, version)
    for line in console.rolled_back(version, done):
        screen.print(line)
    console.check(screen)
    return 0


def _clean(config: Config, *, dry_run: bool) -> int:
    """Removes what nothing live needs, or says what that is; returns the exit code."""
    screen = console.screen()
    if not metadata_file.has_runs(config.run_folder, writes=True):
        raise UserError(_never_run(config))
    with lock.held(config.run_folder):
        with console.waiting(screen, "Looking for what is not needed …"), console.quiet():
            from pipeline import cleaning

            cleaner = cleaning.cleaner_of(config)
            plan = cleaner.plan()
        for each in plan.folders:
            screen.print(console.line(f"{each.bytes / 1e6:>12,.1f} MB  {each.path}"), soft_wrap=True)
        if not dry_run:
            cleaner.remove(plan)
    verb = "would be removed" if dry_run else "were removed"
    screen.print(console.line(f"{len(plan.folders):,} folders, {plan.bytes / 1e6:,.1f} MB, {verb}."))
    console.check(screen)
    return 0


def _check_version(option: str, version: str) -> None:
    if not re.fullmatch("[0-9]{1,19}", version):
        raise UserError(f"{option} {printable(version[:40])!r}: expected a version's number, as --history lists them")


def _never_run(config: Config) -> str:
    return f"{printable(config.run_folder)}: no run has been made here. Expected a run's name (--name) that exists"


@orphans.ended_with_this_process()
def _join(config: Config, screen: rich.console.Console) -> int:
    """Trains as one of several workers, of which the chief runs the pipeline; returns the exit code."""
    from word2vec.training import workers

    about = "worker; the chief's run calls it to train", "dim"
    screen.print(console.line(("tfx-word2vec", "bold"), f"  {config.name}  ", about))
    console.check(screen)
    _log_everything()
    with console.RunView(screen) as view:
        view.started("Trainer")
        workers.join(_path(config, layout.CHECKPOINTS))
    screen.print(console.line("  ", ("✔", "green"), " trained"))
    return 0


def _path(config: Config, name: str) -> str:
    """Of one of `layout`'s."""
    return os.path.join(config.run_folder, name)


def _log_everything() -> None:
    import absl.logging

    absl.logging.use_absl_handler()
    absl.logging.set_verbosity(absl.logging.INFO)


def _metadata(config: Config) -> object:
    from tfx.orchestration import metadata

    return metadata.sqlite_metadata_connection_config(_path(config, layout.METADATA))


def _parser() -> argparse.ArgumentParser:
    parser = arguments.parser(__doc__)
    arguments.add_settings(parser, default="sample")
    parser.add_argument("--strict", action="store_true", help=f"end with exit code {BLOCKED} if no model is pushed")
    parser.add_argument("--no-cache", action="store_true", help="do everything anew, even what has not changed")
    parser.add_argument(
        "--follow",
        type=argument_types.number(1, 86_400, "seconds"),
        metavar="SECONDS",
        help="run again when there is something new to read, and look every so many seconds, until stopped",
    )
    past = parser.add_mutually_exclusive_group()
    past.add_argument("--clean", action="store_true", help="remove what nothing live needs (keep.*)")
    parser.add_argument("--dry-run", action="store_true", help="with --clean: only say what would be removed")
    past.add_argument("--history", action="store_true", help="list the runs that were made, and their verdicts")
    past.add_argument(
        "--rollback",
        metavar="VERSION",
        help="serve an earlier version again; those after it are never a baseline again",
    )
    past.add_argument("--explain", metavar="VERSION", help="say where a pushed version comes from")
    parser.add_argument(
        "--verbose", action="store_true", help="show TensorFlow's, TFX's and Beam's logs on the screen too"
    )
    return parser


if __name__ == "__main__":
    streams.leave(main())
