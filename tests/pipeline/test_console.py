"""What reaches the screen: run in a process of its own, on a pseudo-terminal."""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib
import pty
import re
import subprocess
import sys

import pytest

from components.corpus.report import CorpusReport
from components.evaluator.results import Evaluation, Result
from components.tuner.results import Trial, Tuning
from pipeline import console, lineage, local, summary
from word2vec import progress

ROOT = pathlib.Path(__file__).parent.parent.parent

PROGRAM = """
import logging, os, sys, time
from word2vec import progress
from pipeline import console, local
logging.basicConfig(level=logging.INFO)
with console.logs_to(sys.argv[1], verbose="verbose" in sys.argv) as (screen, errors):
    with console.waiting(screen, "Waiting"):
        print("NOISE from Python")
        os.system("echo NOISE from below")
    with console.RunView(screen) as view:
        view.started("Trainer")
        progress.tell(progress.TrainingProgress(0.25, 1200, 1, 4, 54321.0, 2.5, 0.0123, 83, 0.0))
        progress.note("the baseline [1] is gone")
        time.sleep(0.3)
        view.ended(local.ComponentRun("Trainer", 12.34, False, {}))
        view.started("Pusher")
        view.ended(local.ComponentRun("Pusher", 0.1, True, {}))
    errors.print("an error")
print("after")
"""


def run_on_terminal(tmp_path, *arguments):
    leader, follower = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "logs" / "run.log"), *arguments]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150"}
    with subprocess.Popen(
        command, cwd=ROOT, stdin=follower, stdout=follower, stderr=follower, env=environment
    ) as process:
        os.close(follower)
        screen = b""
        try:
            while data := os.read(leader, 65536):
                screen += data
        except OSError:  # how a pseudo-terminal ends
            pass
    os.close(leader)
    assert process.returncode == 0, screen
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.decode()), (tmp_path / "logs" / "run.log").read_text()


def test_a_bar_and_a_line_a_component_on_the_screen_and_the_rest_in_the_log(tmp_path):
    screen, log = run_on_terminal(tmp_path)
    assert re.search(
        r"training +epoch 1/4 .* 25% step 1,200 +54,321 words/s +loss 2.500 +rate 0.0123 +1:23 left", screen
    )
    assert re.search(r"✔ Trainer +12.3 s +54,321 words/s, loss 2.500", screen)
    assert re.search(r"✔ Pusher +cached", screen)
    assert "! the baseline [1] is gone" in screen
    assert "Waiting" in screen
    assert "an error" in screen
    assert "after" in screen
    assert "NOISE" not in screen
    assert "NOISE from Python" in log
    assert "NOISE from below" in log
    assert "epoch 1 of 4, step 1200, 25.0 %, 54321 words/s" in log
    assert "the baseline [1] is gone" in log
    assert "✔" not in log


def test_verbose_shows_the_logs_too(tmp_path):
    screen, log = run_on_terminal(tmp_path, "verbose")
    for text in (screen, log):
        assert "NOISE from Python" in text
        assert "NOISE from below" in text


@pytest.fixture
def show(capsys):
    import rich.console

    def show(made):
        console.show_summary(rich.console.Console(width=150), made, "runs/x", "runs/x/run.log")
        return capsys.readouterr().out

    return show


def make_result(name, measure, score, coverage, lower_bound=None, **more):
    values = dict.fromkeys(("analogy_accuracy", "spearman_correlation"), float("nan"))
    values |= {measure: score, f"{measure}_lower": score - 0.05, f"{measure}_upper": score + 0.05}
    values |= {"coverage": coverage, "questions": 50.0, "score": score}
    facts = {"section": None, "baseline": {}, "changes": {}, "absolute": None, "failed": (), **more}
    return Result(name, values=values, lower_bound=lower_bound, **facts)


def make_summary(evaluation=None, **changes):
    facts = {
        "corpus": CorpusReport(
            2, 1, 90, 2_500_000, 3, {"not UTF-8": 2}, {"not UTF-8": ["a.txt, line 7: not UTF-8: [b]"]}, []
        ),
        "vocabulary_size": 1234,
        "phrases": 0,
        "evaluation": evaluation
        or Evaluation(
            [
                make_result("wordsim353", "spearman_correlation", 0.421, 0.95, 0.4),
                make_result("mine", "analogy_accuracy", float("nan"), 0.0),
            ],
            True,
        ),
        "blessed": True,
        "withdrawn": False,
        "served": None,
        "neighbours": {"tea": ["coffee", "milk"]},
        "model": "runs/x/serving_model/1",
        "vectors": "runs/x/artifacts/vectors",
        "logs": "runs/x/logs",
        "report": "runs/x/artifacts/Report/report/1/report.html",
    }
    return summary.Summary(**{**facts, **changes})


def test_a_summary_of_a_blessed_model(show):
    out = show(make_summary())
    assert "90 documents, 2.5 MB of text, from 2 files; vocabulary 1,234 words" in out
    assert "skipped 2 documents; 3 had no text; 1 empty files" in out
    assert "a.txt, line 7: not UTF-8: [b]" in out
    assert re.search(r"wordsim353 +spearman correlation +0.421 +0.371 to 0.471 +95% of 50 +✔ ≥ 0.4", out)
    assert re.search(r"mine +- +- +0% of 50", out)
    assert re.search(r"tea +coffee, milk", out)
    assert "runs/x/serving_model/1" in out


def test_a_summary_counts_phrases_where_there_are_any(show):
    assert "phrases" not in show(make_summary())
    assert "vocabulary 1,234 words, 56 of them phrases" in show(make_summary(phrases=56))


def test_a_summary_tells_what_was_tuned_and_by_what(show):
    assert "Tuned" not in show(make_summary())
    best = {"dimensions": 200, "learning_rate": 0.0312345}
    found = Tuning(settings=best, score=0.4321, trials=[Trial(settings=best, score=0.4321)] * 20)
    out = show(make_summary(tuning=found))
    assert re.search(r"Tuned +dimensions 200, learning_rate 0.03123: score 0.432, the best of 20 trials", out)
    assert "the benchmarks above, and the gate, are of the other half" in out


def test_history_tells_what_was_tuned(capsys):
    import rich.console

    run = lineage.Run(datetime.datetime(2026, 1, 2), "blessed", "17", True, True, {"pairs": 0.5}, [])
    console.show_history(rich.console.Console(width=150), [run])
    assert "tuned" not in capsys.readouterr().out
    console.show_history(rich.console.Console(width=150), [run, dataclasses.replace(run, tuned={"dimensions": 200})])
    out = capsys.readouterr().out
    assert re.search(r"Settings that were tuned\n2026-01-02 00:00:00 +dimensions 200\n$", out)


def test_trials_are_lines_of_their_own(capsys):
    import rich.console

    with console.RunView(rich.console.Console(width=150)) as view:
        view.started("Tuner")
        progress.tell_trial(progress.TrialProgress(1, 2, "epochs 3"))
        progress.tell(progress.TrainingProgress(0.25, 1200, 1, 4, 54321.0, 2.5, 0.0123, 83, 0.0))
        progress.tell_trial(progress.TrialProgress(1, 2, "epochs 3", score=0.25, best=0.25))
        progress.tell_trial(progress.TrialProgress(2, 2, "epochs 4"))
        progress.tell_trial(progress.TrialProgress(2, 2, "epochs 4", best=0.25, failure="training diverged"))
        view.ended(local.ComponentRun("Tuner", 12.34, False, {}))
    assert [line.strip() for line in capsys.readouterr().out.splitlines() if "trial" in line] == [
        "trial 1 of 2: epochs 3: score 0.250, the best so far 0.250",
        "trial 2 of 2: epochs 4: failed: training diverged",
    ]


def test_a_narrow_screen_cuts_nothing(capsys):
    import rich.console

    console.show_summary(rich.console.Console(width=40), make_summary(), "runs/x", "runs/x/run.log")
    out = capsys.readouterr().out
    assert re.search(r"wordsim353 +spearman correlation +0.421 +0.371 to 0.471 +95% of 50 +✔ ≥ 0.4", out)


def test_a_card_breaks_text_but_no_table(capsys, monkeypatch):
    """Into a pipe: text in lines of 80, a table's rows whole, and no blanks at a line's end."""
    monkeypatch.setenv("COLUMNS", "80")
    screen, cell = console.screen(), "x" * 200
    console._print_block(screen, "one two three " * 30)
    console._print_block(screen, f"| setting | value |\n|---|---|\n| corpus.paths | {cell} |")
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if cell not in line and "─" not in line) <= 80
    assert sum(line.count("three") for line in lines) == 30
    assert sum(cell in line and "corpus.paths" in line for line in lines) == 1
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_summary_of_a_blocked_model(show):
    changes = {"change": -0.1, "change_lower": -0.12, "change_upper": -0.08, "significant_change": -0.1}
    before = {"spearman_correlation": 0.521, "analogy_accuracy": float("nan")}
    below = make_result(
        "wordsim353", "spearman_correlation", 0.421, 0.95, 0.5,
        baseline=before, changes=changes, absolute=-0.01, failed=("lower_bound", "absolute"),
    )  # fmt: skip
    blind = make_result("mine", "analogy_accuracy", float("nan"), 0.0, 0.1, failed=("lower_bound",))
    out = show(make_summary(Evaluation([below, blind], True), blessed=False, model=None))
    assert "not blessed, not pushed" in out
    assert re.search(r"wordsim353 .* 0.421 +0.371 to 0.471 +0.521 +-0.100 +95% of 50 +✘ ≥ 0.5 +✘ change ≥ -0.01", out)
    assert "wordsim353: spearman correlation 0.421 is 0.079 below its threshold 0.5" in out
    assert "wordsim353: spearman correlation changed by -0.100 (95 % interval -0.120 to -0.080)" in out
    assert "mine: cannot judge, for only 0% of its 50 questions" in out
    assert "serving_model" not in out


def test_a_summary_of_a_model_that_tf_serving_can_not_serve(show):
    out = show(make_summary(served=False, model=None))
    assert re.search(r"not pushed: TF Serving did not load it, or did not answer.\s+runs/x/run.log says why", out)
    assert "blessed" in show(make_summary(served=True))
