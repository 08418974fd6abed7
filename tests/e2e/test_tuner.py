"""A run that tunes: what the Tuner finds, the Trainer trains with, and the gate judges by other questions."""

from __future__ import annotations

import json
import re
import time

import pytest

from components.card.card import ModelCard
from components.questions import examples
from components.report import facts
from components.tuner import results
from components.tuner.judge import Judge
from tests.e2e.conftest import make_project
from tests.e2e.test_pipeline import COMPONENTS
from word2vec import questions, saved_model_layout, saved_vectors

# None of the dimensions is that of the project's own settings.
TUNED = (
    *("--set", "tuner.trials=3", "--set", "tuner.trainer.dimensions=[8, 24]"),
    *("--set", "tuner.trainer.learning_rate=[0.01, 0.1, log]", "--set", "trainer.epochs=2"),
)
OTHER_NAME = ("--name", "killed")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("tuner"))


@pytest.fixture(scope="module")
def out(project):
    return project.run(*TUNED).stdout


def tuning(project, name="tiny"):
    return results.read(
        *(str(project.artifact("Tuner", key, name)) for key in ("best_hyperparameters", "tuner_results"))
    )


def pushed_card(project):
    (version,) = project.pushed()
    return ModelCard.model_validate_json((version / "assets.extra" / "model_card.json").read_text())


def test_the_model_has_the_settings_that_were_found(project, out):
    assert set(re.findall(r"✔ (\w+) ", out)) == {"start", "Tuner", *COMPONENTS}
    found = tuning(project)
    assert len(found.trials) == 3
    assert found.settings["dimensions"] in (8, 24)
    assert found.score == max(trial.score for trial in found.trials)
    _, vectors = saved_vectors.read(str(project.pushed()[0]))
    assert vectors.shape[1] == found.settings["dimensions"]
    rates = facts._curves(str(project.artifact("Trainer", "model_run")))["learning_rate"].values
    assert rates[0] == pytest.approx(found.settings["learning_rate"] / 2, rel=0.01)  # after the first of two epochs


def test_a_trial_is_judged_by_what_the_trainer_makes_of_its_settings(project, out):
    """To the bit, for the project's training is deterministic; the SavedModel has lengths and unit vectors apart."""
    words, vectors = saved_vectors.read(str(project.pushed()[0]))
    judge = Judge(
        examples.read(str(project.artifact("QuestionExampleGen", "examples")), examples.TUNING),
        saved_model_layout.vocabulary(str(project.pushed()[0])),
        weights={},
        min_coverage=0.1,
    )
    assert len(words) == len(vectors)
    assert judge(vectors) == pytest.approx(tuning(project).score, abs=1e-6)


def test_the_card_tells_them(project, out):
    found, card = tuning(project), pushed_card(project)
    assert card.tuning == found
    assert card.dimensions == found.settings["dimensions"]
    assert card.settings["trainer"]["learning_rate"] == found.settings["learning_rate"]
    assert card.settings["tuner"]["trials"] == 3
    assert "The benchmarks are of the half of the questions" in card.markdown()


def test_the_screen_and_the_report_tell_them(project, out):
    found = tuning(project)
    assert (
        len(re.findall(r"trial \d of 3: dimensions \d+, learning_rate [\d.]+: score [\d.]+, the best so far", out)) == 3
    )
    assert re.search(rf"Tuned +dimensions {found.settings['dimensions']}, .*: score .*, the best of 3 trials", out)
    assert "by half of the questions" in out
    page = (project.folder / "runs" / "tiny" / "report.html").read_text()
    assert '<div class="chart" id="trials"></div>' in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    (lines,) = data["charts"]["trials"]["data"]
    assert lines["type"] == "parcoords"
    assert [axis["label"] for axis in lines["dimensions"]] == ["dimensions", "learning_rate", "score"]
    assert lines["dimensions"][2]["values"] == [trial.score for trial in found.trials]


def test_the_gate_judges_by_the_other_half(project, out):
    asked = str(project.artifact("QuestionExampleGen", "examples"))
    halves = []
    for split in (examples.SPLIT, examples.TUNING):
        labels = [questions.pairs([example]).scores for example in examples.read(asked, split)]
        halves.append(sum(map(len, labels)))
    assert sum(halves) == 64
    assert min(halves) > 0
    total = re.search(r"topics +spearman.* of (\d+) ", out)[1]
    assert int(total) == halves[0]


def test_history_and_explain_tell_them(project, out):
    found = tuning(project)
    shown = project.run(*TUNED, "--history").stdout
    assert re.search(rf"Settings that were tuned\n.*dimensions {found.settings['dimensions']}, learning_rate", shown)
    origin = project.run(*TUNED, "--explain", project.pushed()[0].name).stdout
    assert "the best of 3 trials" in origin
    assert "Tuner" in origin


def test_nothing_is_tuned_again_until_something_changes(project, out):
    again = project.run(*TUNED).stdout
    assert set(re.findall(r"✔ (\w+) +cached", again)) == {"Tuner", *COMPONENTS}
    other = project.run(*TUNED, "--set", "report.map_words=20").stdout
    assert set(re.findall(r"✔ (\w+) +cached", other)) == {"Tuner", *COMPONENTS} - {"Report"}


def test_a_tuning_that_was_killed_goes_on(project, out):
    """With the same trials, and without the first one again."""
    run = project.start(*TUNED, *OTHER_NAME)
    deadline = time.monotonic() + 240
    while not re.search("trial 1 of 3: .*: score", project.whole_log("killed")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    run.kill()
    run.wait()
    assert len(list((project.folder / "runs" / "killed" / "checkpoints").glob("*-tuning/state.json"))) == 1
    rest = project.run(*TUNED, *OTHER_NAME).stdout
    assert "trial 1 of 3" not in rest
    assert tuning(project, "killed") == tuning(project)
    assert not list((project.folder / "runs" / "killed" / "checkpoints").iterdir())
