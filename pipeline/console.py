"""What a person sees of a run: one line per component, a progress bar while training, and what was made."""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import math
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

import rich.console
import rich.live
import rich.markdown
import rich.measure
import rich.progress
import rich.spinner
import rich.table
import rich.text

from pipeline import layout
from word2vec import progress, streams, tuning
from word2vec.progress import TrainingProgress, TrialProgress

if TYPE_CHECKING:  # for these import TFX, which takes longer than to say that a setting is wrong
    from components.evaluator.results import Evaluation, Result
    from components.pusher.rollback import RolledBack
    from pipeline.lineage import Origin, Run
    from pipeline.local import ComponentRun
    from pipeline.summary import Summary

# Columns of running text, and of a table, which no line is broken in.
_TEXT_WIDTH, _WIDEST_TABLE = 100, 1000


def line(*parts: str | tuple[str, str]) -> rich.text.Text:
    """A line to print, the one way for somebody's text to come to the screen: as it stands, and steering nothing.

    Args:
        parts: texts, or (text, style).
    """
    return rich.text.Text.assemble(
        *(streams.visible(part) if isinstance(part, str) else (streams.visible(part[0]), part[1]) for part in parts)
    )


def warn(screen: rich.console.Console, warnings: Iterable[str]) -> None:
    """Tells what is no error, but hardly meant."""
    for warning in warnings:
        screen.print(line(("! ", "yellow"), warning), soft_wrap=True)


def screen(file: TextIO | None = None) -> rich.console.Console:
    """A console for standard output, or another stream: it knows no markup, breaks no lines and never fails."""
    output = streams.Output(file or sys.stdout)
    return rich.console.Console(
        file=output,  # type: ignore[arg-type]  # rich says IO[str], and needs no more of it than Output has
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


def check(console: rich.console.Console) -> None:
    """Looks whether all that was printed could be written; that nobody reads any more is no fault.

    Raises:
        UserError: it could not.
    """
    if isinstance(console.file, streams.Output):
        console.file.check()


def fail(message: str, console: rich.console.Console | None = None) -> None:
    """Tells an error, on standard error or the console."""
    if console is None and sys.stderr is None:
        return
    text = rich.text.Text.assemble(("error:", "red"), " ", streams.visible(message, keep="\n"))
    (console or screen(sys.stderr)).print(text, soft_wrap=True)


@contextlib.contextmanager
def logs_to(path: str, *, verbose: bool) -> Iterator[tuple[rich.console.Console, rich.console.Console]]:
    """Sends all that is printed to a file, and gives two consoles that still write to the screen: output and errors.

    TensorFlow and Beam write to the descriptors from C++: so those are what is turned, not Python's streams.

    Args:
        path: the log file; it is appended to.
        verbose: show everything on the screen as well.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    before = os.dup(1), os.dup(2)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    out, err = (screen(os.fdopen(os.dup(each), "w", encoding=encoding, errors=streams.ERRORS)) for each in before)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    target = _tee(log, before[0]) if verbose else log
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(target, 1)
    os.dup2(target, 2)
    try:
        yield out, err
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(before[0], 1)
        os.dup2(before[1], 2)
        atexit.register(os.dup2, log, 2)  # what Beam says while its servers stop, after all


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Lets TensorFlow's and Beam's messages, which come from C++, go nowhere."""
    sys.stderr.flush()
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def _tee(*targets: int) -> int:
    """A descriptor; what is written to it goes to all targets."""
    source, sink = os.pipe()

    def copy() -> None:
        while data := os.read(source, 65536):
            for target in targets:
                with contextlib.suppress(OSError):  # nobody reads it, or it is full: the others still get it
                    os.write(target, data)

    threading.Thread(target=copy, daemon=True).start()
    return sink


def waiting(console: rich.console.Console, text: str) -> contextlib.AbstractContextManager[object]:
    """A spinner beside a text, while something is done in its context; it leaves no trace."""
    return _spinner(console, text) if console.is_terminal else contextlib.nullcontext()


def _spinner(console: rich.console.Console, text: str) -> rich.live.Live:
    """Rich's own `status` would catch what is printed in the meantime, and put the logs on the screen."""
    spinner = rich.spinner.Spinner("dots", line(text))
    return rich.live.Live(spinner, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)


class RunView(logging.Handler):
    """Shows a run as it goes: the observer of the components, and the handler of the training's progress."""

    def __init__(self, console: rich.console.Console):
        super().__init__()
        self._console = console
        self._status: rich.live.Live | None = None
        self._bar: rich.progress.Progress | None = None
        self._latest: TrainingProgress | None = None
        self._trial = ""
        self._last_share = 0.0

    def __enter__(self) -> RunView:
        progress.add_handler(self)
        return self

    def __exit__(self, *error: object) -> None:
        progress.remove_handler(self)
        self._stop()

    def started(self, component: str) -> None:
        """A component starts."""
        self._latest, self._trial = None, ""
        if self._console.is_terminal:
            self._status = _spinner(self._console, f"{component} …")
            self._status.start()
        else:
            self._print(f"  {component} …")

    def ended(self, run: ComponentRun) -> None:
        """A component ended."""
        self._stop()
        time = f"{'cached' if run.cached else f'{run.seconds:.1f} s':>8}", "dim" if run.cached else ""
        latest = self._latest
        figures = f"   {latest.words_per_second:,.0f} words/s, loss {latest.loss:.3f}" if latest else ""
        self._print("  ", ("✔", "green"), f" {run.component:<20} ", time, (figures, "dim"))

    def emit(self, record: logging.LogRecord) -> None:
        """A note, or the progress of the training or of the trials."""
        now = progress.of(record)
        if now is None:
            self._print("  ", ("!", "yellow"), f" {record.getMessage()}")
            return
        if isinstance(now, TrialProgress):
            self._show_trial(now)
            return
        self._latest = now
        if self._console.is_terminal:
            self._show_bar(now)
        elif now.share >= self._last_share + 0.1 or now.share < self._last_share:
            self._last_share = now.share
            self._print(f"    {record.getMessage()}")

    def _show_trial(self, now: TrialProgress) -> None:
        self._trial = f"  trial {now.number}/{now.trials}"
        self._stop()  # the next training has a bar of its own
        if now.has_ended:
            self._print(f"    {now}")

    def _print(self, *parts: str | tuple[str, str]) -> None:
        self._console.print(line(*parts), soft_wrap=True)

    def _show_bar(self, now: TrainingProgress) -> None:
        if self._bar is None:
            self._stop()
            columns = rich.progress
            self._bar = columns.Progress(
                columns.TextColumn("  training{task.fields[trial]}  epoch {task.fields[epoch]}"),
                columns.BarColumn(),
                columns.TaskProgressColumn(),
                columns.TextColumn(
                    "step {task.fields[step]}  {task.fields[speed]} words/s  "
                    "loss {task.fields[loss]}  rate {task.fields[rate]}  {task.fields[left]} left"
                ),
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._bar.add_task("training", total=1.0, trial="", epoch="", step="", speed="", loss="", rate="", left="")
            self._bar.start()
        minutes, seconds = divmod(int(now.seconds_left), 60)
        self._bar.update(
            self._bar.task_ids[0],
            completed=now.share,
            trial=self._trial,
            epoch=f"{now.epoch}/{now.epochs}",
            step=f"{now.step:,}",
            speed=f"{now.words_per_second:,.0f}",
            loss=f"{now.loss:.3f}",
            rate=f"{now.learning_rate:.4f}",
            left=f"{minutes}:{seconds:02d}",
        )

    def _stop(self) -> None:
        for live in (self._status, self._bar):
            if live is not None:
                live.stop()
        self._status = self._bar = None


def show_summary(console: rich.console.Console, summary: Summary, run_folder: str, log: str) -> None:
    """Prints what a run made."""
    console.print()
    _show_corpus(console, summary)
    _print_whole(console, _benchmark_table(summary.evaluation.shown))
    if any(result.changes for result in summary.evaluation.shown):
        _tell(console, ("            * of the questions that both models cover", "dim"))
    for each in summary.evaluation.unjudged:
        _tell(console, f"            {each}")
    _show_tuning(console, summary)
    _show_stability(console, summary.evaluation)
    _show_verdict(console, summary, log)
    _tell(console, ("Neighbours", "bold"))
    for word, neighbours in summary.neighbours.items():
        _tell(console, f"            {word:<12} {', '.join(neighbours)}")
    places = {
        "Report": os.path.join(run_folder, layout.REPORT),
        "Model": summary.model,
        "Vectors": os.path.join(run_folder, layout.VECTORS),
        "TensorBoard": f"tensorboard --logdir {summary.logs}",
        "Log": log,
        "All of it": run_folder,
    }
    for name, place in places.items():
        if place:
            _tell(console, (f"{name:<12}", "bold"), place)


def _show_corpus(console: rich.console.Console, summary: Summary) -> None:
    corpus = summary.corpus
    phrases = f", {summary.phrases:,} of them phrases" if summary.phrases else ""
    _tell(
        console,
        ("Corpus", "bold"),
        f"      {corpus.documents:,} documents, {corpus.bytes / 1e6:,.1f} MB of text, "
        f"from {corpus.files:,} files; vocabulary {summary.vocabulary_size:,} words{phrases}",
    )
    if corpus.skipped or corpus.empty or corpus.empty_files:
        _tell(
            console,
            f"            skipped {sum(corpus.skipped.values()):,} documents; "
            f"{corpus.empty:,} had no text; {corpus.empty_files:,} empty files",
        )
        for each in corpus.skipped_lines():
            _tell(console, f"          {each}")


def _show_tuning(console: rich.console.Console, summary: Summary) -> None:
    found = summary.tuning
    if found is None:
        return
    best = f"{tuning.text(found.settings)}: score {found.score:.3f}, the best of {len(found.trials):,} trials"
    _tell(console, ("Tuned", "bold"), f"       {best}")
    _tell(console, "            by half of the questions; the benchmarks above, and the gate, are of the other half")


def _show_stability(console: rich.console.Console, evaluation: Evaluation) -> None:
    moved = evaluation.stability
    if moved is None or not (moved.same_space or moved.lower_bound is not None):
        return
    limit = "" if moved.lower_bound is None else f" (≥ {moved.lower_bound:g})"
    _tell(
        console,
        ("Stability", "bold"),
        f"   {moved.score:.3f}{limit}: the mean cosine of {moved.words:,} words' vectors with the last blessed model's",
    )


def _show_verdict(console: rich.console.Console, summary: Summary, log: str) -> None:
    verdict = "Verdict     ", "bold"
    if summary.blessed and summary.served is False:
        _tell(console, verdict, ("not pushed", "red"), ": TF Serving did not load it, or did not answer.")
        _tell(console, f"            {log} says why")
    elif summary.blessed:
        _tell(console, verdict, ("blessed", "green"), ": every threshold is reached")
    elif summary.withdrawn:
        _tell(console, verdict, ("rolled back, not pushed", "red"), ": an earlier version is served (--history)")
    else:
        _tell(console, verdict, ("not blessed, not pushed", "red"))
        for reason in summary.evaluation.reasons:
            _tell(console, f"            {reason}")


def rolled_back(version: str, done: RolledBack) -> list[rich.text.Text]:
    """What going back to a version has done."""
    return [
        line(f"Version {version} is served again, as version {done.version}."),
        line(
            f"Withdrawn, and never a baseline again: {', '.join(done.withdrawn)}. "
            f"The next training starts from version {version}, and is compared with it."
        ),
        line(
            "It reads the text as it is then. If the text was what was bad, mend or remove it before the next run; in "
            "place of a day, put an empty file."
        ),
    ]


def _tell(console: rich.console.Console, *parts: str | tuple[str, str]) -> None:
    console.print(line(*parts), soft_wrap=True)


def show_history(console: rich.console.Console, runs: list[Run]) -> None:
    """Prints one line per run, why a model was blocked, and what was tuned."""
    names = sorted({name for run in runs for name in run.scores})
    table = rich.table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("Started", "Verdict", "Version", "Model"):
        table.add_column(column, no_wrap=True)
    for name in names:
        table.add_column(line(name), justify="right", no_wrap=True)
    for run in runs:
        color = {"blessed": "green", "blocked": "red"}.get(run.ended, "yellow")
        table.add_row(
            f"{run.started:%Y-%m-%d %H:%M:%S}",
            line((run.ended, color)),
            line(run.version or "-", ("" if run.is_there or not run.version else " removed", "dim")),
            {True: "trained", False: "cached", None: "-"}[run.trained],
            *(_number(run.scores.get(name, math.nan)) for name in names),
        )
    _print_whole(console, table)
    if any(run.reasons for run in runs):
        console.print()
        _tell(console, ("Why models were blocked", "bold"))
    for run in runs:
        for reason in run.reasons:
            _tell(console, (f"{run.started:%Y-%m-%d %H:%M:%S}", "dim"), f"  {reason}")
    _show_tuned(console, runs)


def _show_tuned(console: rich.console.Console, runs: list[Run]) -> None:
    if any(run.tuned for run in runs):
        console.print()
        _tell(console, ("Settings that were tuned", "bold"))
    for run in runs:
        if run.tuned:
            _tell(console, (f"{run.started:%Y-%m-%d %H:%M:%S}", "dim"), f"  {tuning.text(run.tuned)}")


def _print_whole(console: rich.console.Console, table: rich.console.RenderableType) -> None:
    """Prints what has tables with all of its text, also on a screen that is too narrow for it."""
    needed = rich.measure.Measurement.get(console, console.options.update(max_width=1000), table).maximum
    wide = rich.console.Console(
        file=console.file,
        width=max(console.width, needed),
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=console.is_terminal,
    )
    wide.print(table)


def show_origin(console: rich.console.Console, version: str, origin: Origin) -> None:
    """Prints a model's card, and the executions that it depends on."""
    for block in streams.visible(origin.card.markdown(), keep="\n").split("\n\n"):
        _print_block(console, block)
    if origin.card.baseline:
        console.print()
        _tell(console, f"The model that it was compared with is version {origin.baseline or 'never pushed'}.")
    console.print()
    _tell(console, (f"How version {version} was made", "bold"))
    for step in origin.steps:
        at = f"  {step.ended:%Y-%m-%d %H:%M:%S}  {step.component:<20} "
        span = origin.span_of(step)
        _tell(console, at, (f"execution {step.execution}", "dim"), f"   {span}" if span else "")
        for uri in step.artifacts:
            _tell(console, f"      {uri}", ("" if os.path.exists(uri) else "  its folder is gone", "dim"))


def _print_block(console: rich.console.Console, block: str) -> None:
    """Prints a block of Markdown: text in lines that fit, a table as wide as it is, and no blanks at a line's end."""
    width = _WIDEST_TABLE if block.startswith("|") else min(console.width, _TEXT_WIDTH)
    text = io.StringIO()
    drawn = rich.console.Console(
        file=text, width=width, highlight=False, emoji=False, force_terminal=console.is_terminal,
        color_system=console.color_system,  # type: ignore[arg-type]  # rich's own is str where it takes its names
    )  # fmt: skip
    drawn.print(rich.markdown.Markdown(block, hyperlinks=False))
    lines = "\n".join(each.rstrip() for each in text.getvalue().split("\n")).strip("\n")
    console.file.write(f"{lines}\n\n")


def _benchmark_table(shown: list[Result]) -> rich.table.Table:
    from components.evaluator.results import interval_text  # as above

    has_baseline = any(result.changes for result in shown)
    table = rich.table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=True, header_style="bold")
    compared = ["last blessed", "change*"] if has_baseline else []
    columns = ["Benchmarks", "", "score", "95 % interval", *compared, "coverage", ""]
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if 1 < place < len(columns) - 1 else "left", no_wrap=True)
    for result in shown:
        scores = (result.baseline_score, "{:.3f}"), (result.change, "{:+.3f}")
        before = ["" if score is None else _number(score, form) for score, form in scores] if has_baseline else []
        table.add_row(
            line(result.name),
            line(result.measure),
            _number(result.score),
            interval_text(result.interval),
            *before,
            f"{result.coverage:.0%} of {result.values['questions']:,.0f}"
            + (f", {result.composed:,} composed" if result.composed else ""),
            _limits(result),
        )
    return table


def _number(value: float, form: str = "{:.3f}") -> str:
    return "-" if math.isnan(value) else form.format(value)


def _limits(result: Result) -> rich.text.Text:
    """The thresholds of a benchmark, and whether they are reached."""
    limits = {
        "lower_bound": None if result.lower_bound is None else f"≥ {result.lower_bound:g}",
        "absolute": None if result.absolute is None else f"change ≥ {result.absolute:+g}",
    }
    parts = [
        line((f"✘ {limit}", "red")) if name in result.failed else line(("✔", "green"), f" {limit}")
        for name, limit in limits.items()
        if limit
    ]
    return rich.text.Text("  ").join(parts)
