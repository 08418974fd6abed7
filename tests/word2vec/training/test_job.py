"""What tells one training from another."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from word2vec.errors import UserError
from word2vec.settings import SkipGramSettings, TrainerSettings
from word2vec.training import building, job, model, training
from word2vec.vocabulary import Vocabulary

MADE = job.Job(
    trainer={"epochs": 5},
    skipgram={},
    checkpoints="/runs/a/checkpoints",
    code="c0de",
    vocabulary="/runs/a/artifacts/Transform/transform_graph/6/vocabulary",
    train_files=["/runs/a/artifacts/Transform/transformed_examples/6/Split-train/*"],
    base_model="/runs/a/artifacts/Trainer/model/3/Format-Serving",
    logs="/runs/a/artifacts/Trainer/model_run/7",
    serving_model="/runs/a/artifacts/Trainer/model/7/Format-Serving",
)


def test_a_folder_that_was_moved_has_the_same_checkpoints():
    moved = job.Job.model_validate_json(MADE.model_dump_json().replace("/runs/a/", "/b/"))
    assert moved.checkpoints == "/b/checkpoints"
    assert moved.fingerprint == MADE.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"code": "other"},
        {"trainer": TrainerSettings(epochs=6)},
        {"trainer": TrainerSettings(epochs=5, architecture="cbow")},
        {"trainer": TrainerSettings(epochs=5, learning_rate=0.02)},
        {"skipgram": SkipGramSettings(window=4)},
        {"vocabulary": "/runs/a/artifacts/Transform/transform_graph/9/vocabulary"},
        {"train_files": ["/elsewhere/Split-train/*"]},
        {"base_model": None},
    ],
)
def test_another_training_has_others(change):
    assert MADE.model_copy(update=change).fingerprint != MADE.fingerprint


def test_the_model_is_what_the_settings_say():
    settings = TrainerSettings(
        architecture="cbow", dimensions=12, loss="sampled_softmax", negatives=7, shared_negatives=9, bias="learned",
        bias_start="share", window_weights="harmonic", seed=3, remove_accidental_hits=False, table_precision="float16",
    )  # fmt: skip
    words = Vocabulary(["a", "b", "c"], np.array([3, 2, 1]))
    config = building.make(words, settings, 4, (2, 8)).get_config()
    names = set(TrainerSettings.model_fields) & set(inspect.signature(model.Word2Vec).parameters)
    names -= {"sampler", "block_length", "blocks_per_step", "subwords"}  # these are made of several settings
    assert {name: config[name] for name in names} == {name: getattr(settings, name) for name in names}
    assert all(config[name] != TrainerSettings.model_fields[name].default for name in names)
    assert (config["window"], config["blocks_per_step"], config["block_length"]) == (4, 2, 8)


def test_a_model_with_subwords_has_their_rows_too():
    words = Vocabulary(["ab", "abc", "x"], np.array([3, 2, 1]))
    settings = TrainerSettings(subwords={"min": 2, "max": 3, "buckets": 2**31 - 1}, dimensions=4)
    made = building.make(words, settings, 4, (2, 8))
    # <a ab b> <ab ab>; <a ab bc c> <ab abc bc>; <x x> <x>
    assert made.subwords.splits.tolist() == [0, 6, 14, 18]
    assert (
        made.target.input_dim
        == made.subwords.size
        == 3 + len({*["<a", "ab", "b>", "<ab", "ab>", "bc", "c>", "abc", "bc>", "<x", "x>", "<x>"]})
    )
    assert made.context.input_dim == 3


@pytest.mark.parametrize(
    ("optimizer", "subwords", "needed"),
    [("sgd", None, "0.3 GB"), ("adam", None, "0.7 GB"), ("sgd", {"min": 2, "max": 2}, "0.3 GB")],
)
def test_tables_that_memory_does_not_hold_are_refused_before_they_are_made(monkeypatch, optimizer, subwords, needed):
    monkeypatch.setattr(building.memory, "free", lambda: 2e8)
    settings = TrainerSettings(optimizer=optimizer, dimensions=50_000, subwords=subwords)
    words = Vocabulary([f"{number}" for number in range(500)], np.arange(500, 0, -1))
    with pytest.raises(UserError, match=rf"of 500 words.* of 50000 numbers each, take {needed} to train, and 0.2 GB"):
        building.make(words, settings, 4, (1, 8))


def test_what_is_told_a_worker_is_what_it_reads():
    assert job.Job.model_validate_json(MADE.model_dump_json()) == MADE


@pytest.mark.parametrize("ending", ["", "-compiled"])
@pytest.mark.parametrize(
    ("error", "kept"), [(training.DivergedError("nan"), False), (UserError("the disk is full"), True)]
)
def test_a_trial_that_diverged_leaves_no_checkpoints(tmp_path, monkeypatch, ending, error, kept):
    """One that was stopped by anything else goes on from them."""
    made = MADE.model_copy(update={"checkpoints": str(tmp_path)})
    folder, other = tmp_path / f"{made.fingerprint}{ending}", tmp_path / "other"

    def trains(job):
        for each in (folder, other):
            (each / "step-7").mkdir(parents=True)
        raise error

    monkeypatch.setattr(job, "_trained", trains)
    with pytest.raises(type(error)):
        job.try_out(made, lambda vectors, buckets: 1.0)
    assert folder.exists() == kept
    assert other.exists()
