"""TFX's own Evaluator on small served models: every way out of the gate."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts

from components.evaluator import component, eval_config, results
from word2vec.questions import Question, serialize
from word2vec.serving_model import ServingModel
from word2vec.settings import SubwordSettings
from word2vec.subwords import Buckets, Subwords

WORDS = [f"word{number}" for number in range(60)]
TRUE = np.random.default_rng(0).normal(size=(60, 16)).astype(np.float32)


def noisy(strength, seed=1):
    return (TRUE + strength * np.random.default_rng(seed).normal(size=TRUE.shape)).astype(np.float32)


def cosine(a, b):
    return float(TRUE[a] @ TRUE[b] / np.linalg.norm(TRUE[a]) / np.linalg.norm(TRUE[b]))


def asked():
    """People's scores are the true cosines; the second section has words that no model knows, too."""
    draw = np.random.default_rng(2)
    for section in ("near", "far"):
        for a, b in draw.integers(0, 60, (150, 2)):
            yield Question("pairs", section, (WORDS[a], WORDS[b]), cosine(a, b))
    for number in range(100):
        yield Question("pairs", "far", ("nothing", f"none{number}"), 1.0)


class Gate:
    """Evaluates models in a folder."""

    def __init__(self, folder, questions):
        self._folder, self._id = folder, 0
        self.examples = standard_artifacts.Examples()
        self.examples.uri = str(folder / "examples")
        self.examples.split_names = artifact_utils.encode_split_names(["eval"])
        (folder / "examples" / "Split-eval").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / "examples" / "Split-eval" / "all.gz"), "GZIP") as writer:
            for example in serialize(questions):
                writer.write(example)

    def model(self, vectors, buckets=None):
        self._id += 1
        artifact = standard_artifacts.Model()
        artifact.uri, artifact.id = str(self._folder / f"model{self._id}"), self._id
        vocabulary = self._folder / "vocabulary"
        vocabulary.write_text("".join(f"{100 - place} {word}\n" for place, word in enumerate(WORDS)))
        ServingModel(vectors, str(vocabulary), buckets=buckets).save(f"{artifact.uri}/Format-Serving")
        return artifact

    def __call__(self, model, baseline, thresholds, **options):
        self._id += 1
        evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
        evaluation.uri, blessing.uri = (str(self._folder / f"{name}{self._id}") for name in ("evaluation", "blessing"))
        config = eval_config.make(thresholds, **{"samples": 300, **options})
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=["--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"],
            tmp_dir=str(self._folder / "tmp"),
            unique_id="1",
        )
        component.Executor(context).Do(
            {"examples": [self.examples], "model": [model], **({"baseline_model": [baseline]} if baseline else {})},
            {"evaluation": [evaluation], "blessing": [blessing]},
            {"eval_config": json_format.MessageToJson(config), "example_splits": json.dumps(["eval"])},
        )
        return results.read(evaluation.uri), blessing.get_int_custom_property("blessed") == 1


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    return Gate(tmp_path_factory.mktemp("gate"), asked())


@pytest.fixture(scope="module")
def models(gate):
    return {"good": gate.model(noisy(0.3)), "like it": gate.model(noisy(0.3, seed=2)), "bad": gate.model(noisy(1.5))}


LIMITS = {"pairs": {"lower_bound": 0.7, "absolute": -0.05}, "pairs/near": {"absolute": 0.0}}


def test_composed_words_are_judged_where_that_is_asked(gate, models):
    """A baseline that cannot compose words is asked for those that it knows."""
    letters = SubwordSettings(min=1, max=1, buckets=100_000)
    numbers = Subwords.of(WORDS, letters).buckets
    rows = np.random.default_rng(3).normal(size=(len(numbers), 16)).astype(np.float32)
    model = gate.model(noisy(0.3), Buckets(letters, numbers, rows))
    plain, _ = gate(model, models["good"], LIMITS)
    assert (plain.results[0].coverage, plain.results[0].composed) == (0.75, 0)
    found, _ = gate(model, models["good"], LIMITS, composed_words=True)
    assert (plain.signature, found.signature) == ("evaluate", "evaluate_composed")
    assert [result.coverage for result in found.results] == [1, 1, 1]
    assert [result.composed for result in found.results] == [100, 100, 0]
    assert (found.results[0].baseline["coverage"], found.results[0].baseline["composed"]) == (0.75, 0)
    assert found.results[1].score != plain.results[1].score
    assert found.results[2].score == plain.results[2].score


def test_blessed_without_a_baseline(gate, models):
    """Change thresholds wait for a baseline."""
    found, blessed = gate(models["good"], None, LIMITS)
    assert blessed
    assert found.reasons == []
    whole, far, near = found.results
    assert [result.name for result in found.results] == ["pairs", "pairs/far", "pairs/near"]
    assert (whole.coverage, far.coverage, near.coverage) == (300 / 400, 150 / 250, 1.0)
    assert whole.interval[0] < whole.score < whole.interval[1]
    assert (whole.lower_bound, whole.absolute, whole.changes, whole.baseline_score) == (0.7, None, {}, None)


def test_blocked_by_value(gate, models):
    found, blessed = gate(models["bad"], None, LIMITS)
    assert not blessed
    (reason,) = found.reasons
    assert reason.startswith("pairs: spearman correlation 0.")
    assert "below its threshold 0.7" in reason


def test_blocked_by_change(gate, models):
    limits = {"pairs": {"absolute": -0.05}, "pairs/near": {"lower_bound": -1.0, "absolute": 0.0}}
    found, blessed = gate(models["bad"], models["good"], limits)
    assert not blessed
    assert [reason.split(":")[0] for reason in found.reasons] == ["pairs", "pairs/near"]
    assert "changed by -0." in found.reasons[0]
    assert "its threshold is -0.05" in found.reasons[0]
    whole = found.benchmarks[0]
    assert whole.changes["change"] == pytest.approx(whole.score - whole.baseline_score)
    assert whole.changes["change_lower"] < whole.changes["change"] < whole.changes["change_upper"] < -0.05
    assert whole.changes["significant_change"] == whole.changes["change"]


def test_a_change_within_the_noise_does_not_block(gate, models):
    limits = {"pairs": {"absolute": 0.0}, "pairs/near": {"absolute": 0.0}, "pairs/far": {"absolute": 0.0}}
    found, blessed = gate(models["like it"], models["good"], limits)
    assert blessed
    assert all(result.changes["significant_change"] == 0 != result.changes["change"] for result in found.results)
    found, blessed = gate(models["good"], models["bad"], limits)
    assert blessed
    assert all(result.changes["significant_change"] > 0.05 for result in found.results)


@pytest.mark.parametrize(("when_uncovered", "passes"), [("block", False), ("pass", True)])
def test_too_little_coverage(gate, models, when_uncovered, passes):
    limits = {"pairs": {"lower_bound": 0.1}, "pairs/far": {"lower_bound": 0.99, "absolute": 0.5}}
    found, blessed = gate(models["good"], models["bad"], limits, min_coverage=0.7, when_uncovered=when_uncovered)
    assert blessed == passes
    said = "pairs/far: cannot judge, for only 60% of its 250 questions"
    assert [reason[: len(said)] for reason in found.reasons] == ([] if passes else [said])


def test_without_thresholds_nothing_is_blessed(gate, models):
    found, blessed = gate(models["good"], models["bad"], {})
    assert not blessed
    assert "no threshold is set" in found.reasons[0]
    assert not math.isnan(found.benchmarks[0].score)


ODD = {
    "one": [(0, 1, 1.0)],
    "two": [(0, 1, 1.0), (2, 3, 5.0)],
    "twice": [(0, 1, 1.0), (2, 3, 5.0)] * 20,
    "flat": [(first, 1, 5.0) for first in range(2, 32)],
    "same": [(0, 1, float(score)) for score in range(5)],
    "few": [(0, 1, 1.0), (2, 3, 5.0), *((0, 99, float(score)) for score in range(6))],
    "none": [(98, 99, 1.0), (98, 97, 2.0), (98, 96, 3.0)],
    "fine": [(first, 1, float(first)) for first in range(2, 5)],
}
PROBLEMS = {
    "one": "1 pair is too few to judge (at least 3)",
    "two": "2 pairs are too few to judge (at least 3)",
    "twice": "40 pairs, 2 of them different, are too few to judge (at least 3)",
    "flat": "all scores are the same, of 30 pairs",
    "same": "all answers of the model are the same, to 5 pairs",
    "few": "2 pairs of its 8 with all their words in the vocabulary are too few to judge (at least 3)",
    "none": "only 0% of its 3 questions have all their words in the vocabulary "
    "(evaluator.min_coverage, evaluator.when_uncovered)",
}


@pytest.fixture(scope="module")
def odd_gate(tmp_path_factory):
    name = [*WORDS, *(f"none{number}" for number in range(60, 100))].__getitem__
    return Gate(
        tmp_path_factory.mktemp("odd"),
        [Question(key, "all", (name(a), name(b)), score) for key, rows in ODD.items() for a, b, score in rows],
    )


@pytest.mark.parametrize("limit", ["lower_bound", "absolute"])
@pytest.mark.parametrize("when_uncovered", ["block", "pass"])
def test_what_cannot_be_judged_says_why(odd_gate, when_uncovered, limit):
    limits = {key: {limit: -1.0} for key in ODD}
    good, other = odd_gate.model(noisy(0.3)), odd_gate.model(noisy(0.3, seed=2))
    found, blessed = odd_gate(good, other, limits, when_uncovered=when_uncovered)
    said = sorted(f"{key}: {{}}, for {problem}" for key, problem in PROBLEMS.items())
    if when_uncovered == "block":
        assert not blessed
        assert found.reasons == [line.format("cannot judge") for line in said]
        assert found.unjudged == []
    else:
        assert blessed
        assert found.reasons == []
        assert found.unjudged == [line.format("passes without a score") for line in said]


def test_what_has_no_threshold_says_why_it_has_no_score(odd_gate):
    found, blessed = odd_gate(odd_gate.model(noisy(0.3)), None, {"fine": {"lower_bound": -1.0}})
    assert blessed
    assert found.unjudged == sorted(f"{key}: no score, for {problem}" for key, problem in PROBLEMS.items())


def test_a_share_is_never_rounded_up():
    """996 of 1,000 are not 100 %."""
    values = {"coverage": 0.996, "questions": 1000.0, "score": math.nan, "spearman_correlation": 0.5}
    values["analogy_accuracy"] = math.nan
    result = results.Result("mine", None, values, {}, {}, 0.1, None, ("lower_bound",))
    assert result.reasons[0].startswith("mine: cannot judge, for only 99% of its 1000 questions")
