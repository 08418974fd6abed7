from __future__ import annotations

import typing

import pytest

from components import files
from components.corpus import readers
from pipeline import config_files, configs
from word2vec.errors import UserError


def test_presets_are_valid():
    names = {preset.stem: config_files.load(preset.stem).name for preset in config_files.PRESETS.glob("*.yaml")}
    assert names == {"sample": "sample", "imdb": "imdb", "quality": "quality", "kubeflow": "tfx-word2vec"}


def test_every_form_has_its_reader_and_every_reader_its_form():
    forms = typing.get_args(configs.CorpusConfig.model_fields["form"].annotation)
    assert set(forms) == {"auto", *readers.READERS}
    assert {form for _, form in files._FORMS} <= set(readers.READERS)


def test_overrides_are_typed_and_later_ones_win():
    config = config_files.load(
        "sample", ["trainer.epochs=3", "trainer.learning_rate=1e-2", "trainer.epochs=4"], {"name": "mine"}
    )
    assert (config.trainer.epochs, config.trainer.learning_rate, config.name) == (4, 0.01, "mine")


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("trainer.epoch=3", ["trainer.epoch:", "no such setting", "trainer.epochs"]),
        ("epochs=3", ["epochs:", "no such setting", "trainer.epochs"]),
        ("skipgram.window=0", ["skipgram.window = 0", "greater than or equal to 1"]),
        ("skipgram.max_vocabulary=1", ["skipgram.max_vocabulary = 1", "greater than or equal to 2"]),
        ("skipgram.phrases.passes=9", ["skipgram.phrases.passes = 9", "less than or equal to 5"]),
        ("skipgram.phrases={scoring: npmi}", ["skipgram.phrases: threshold 10: scores of npmi are from -1 to 1"]),
        ("skipgram.phrases=true", ["skipgram.phrases = True", "{min_count, threshold, scoring, passes}"]),
        ("corpus.splits={train: 0}", ["corpus.splits.train = 0", "greater than or equal to 1"]),
        ("corpus.splits={eval: 1}", ["corpus.splits", "a split named train is needed"]),
        ("corpus.paths=[]", ["corpus.paths", "at least 1"]),
        ("corpus.form=xml", ["corpus.form = 'xml'", "'mediawiki'"]),
        ("trainer.epochs=many", ["trainer.epochs = 'many'", "integer", "passes over all pairs"]),
        ("trainer.learning_rate=.nan", ["trainer.learning_rate"]),
        ("trainer.min_learning_rate=1", ["min_learning_rate (1.0) is above learning_rate"]),
        ("evaluator.thresholds={wordsim353: 2}", ["evaluator.thresholds.wordsim353.lower_bound = 2", "less than"]),
        ("evaluator.thresholds={wordsim353: {}}", ["evaluator.thresholds.wordsim353", "lower_bound or absolute"]),
        ("evaluator.thresholds={wordsim353: {above: 1}}", ["evaluator.thresholds.wordsim353.above", "no such setting"]),
        ("kubeflow.training.workers=1", ["kubeflow.training.workers = 1", "greater than or equal to 2", "the chief"]),
        ("kubeflow.training.kind=PyTorchJob", ["kubeflow.training.kind = 'PyTorchJob'", "'TrainJob'", "'TFJob'"]),
        ("kubeflow.training.restarts=-1", ["kubeflow.training.restarts = -1"]),
        ("kubeflow.training.starting_seconds=0", ["kubeflow.training.starting_seconds = 0"]),
        ("kubeflow.training.timeout_seconds=0", ["kubeflow.training.timeout_seconds = 0"]),
        ("tuner.trainer.learning_rat=[1, 2]", ["tuner.trainer: learning_rat", "Did you mean learning_rate"]),
        ("tuner.trainer.seed=[1, 2]", ["tuner.trainer: seed: cannot be tuned"]),
        ("tuner.trainer.epochs=5", ["tuner.trainer.epochs = 5", "valid list"]),
        ("tuner.trainer.epochs=[0, 5]", ["tuner.trainer: epochs = 0", "greater than or equal to 1"]),
        ("tuner={skipgram.window: [2, 5]}", ["tuner: skipgram.window: cannot be tuned"]),
        ("tuner.trials=0", ["tuner.trials = 0", "greater than or equal to 1"]),
        ("tuner.algorithm=grid", ["tuner.algorithm = 'grid'", "'hyperband'"]),
        ("tuner.weights.simlex999=-1", ["tuner.weights.simlex999 = -1", "greater than or equal to 0"]),
        ("trainer", ["--set trainer", "key=value"]),
        ("trainer.epochs.more=3", ["trainer.epochs.more"]),
        ("name=../up", ["name = '../up'"]),
        ("trainer.epochs={", ["--set trainer.epochs={", "not YAML"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_key(override, parts):
    with pytest.raises(UserError) as error:
        config_files.load("sample", [override])
    assert all(part in str(error.value) for part in parts), str(error.value)
    assert "\n" not in str(error.value)


def test_every_mistake_is_told_at_once():
    with pytest.raises(UserError) as error:
        config_files.load("sample", ["trainer.epochs=0", "skipgram.window=0"])
    assert len(str(error.value).splitlines()) == 2


def test_files(tmp_path):
    with pytest.raises(UserError, match=r"--config smaple: .*Expected a preset \(imdb, kubeflow, quality, sample\)"):
        config_files.load("smaple")
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\ncorpus: [")
    with pytest.raises(UserError, match=r"bad.yaml, line 2: not YAML"):
        config_files.load(str(bad))
    bad.write_text("- 1")
    with pytest.raises(UserError, match="expected settings"):
        config_files.load(str(bad))
    good = tmp_path / "good.yaml"
    good.write_text("name: mine\ncorpus: {paths: [a.txt]}\ntrainer: {min_learning_rate: 1e-5}\n")
    assert config_files.load(str(good)).trainer.min_learning_rate == 1e-5


def test_settings_lists_every_leaf_with_its_meaning():
    rows = {key: (kind, default, meaning) for key, kind, default, meaning in config_files.settings()}
    assert rows["trainer.epochs"] == ("whole number", "5", "passes over all pairs")
    assert rows["name"][1] == "(needed)"
    assert all(meaning for _, _, meaning in rows.values())
    for key, (_, default, _) in rows.items():  # each default can be given back as it is shown
        if default != "(needed)":
            config_files.load("sample", [f"{key}={default}"] if not key.startswith("evaluator.benchmarks") else [])


def test_phrases_are_off_on_or_more():
    assert config_files.load("sample").skipgram.phrases is None
    assert config_files.load("sample", ["skipgram.phrases={}"]).skipgram.phrases.threshold == 10
    given = ["skipgram.phrases=null", "skipgram.phrases.scoring=npmi", "skipgram.phrases.threshold=0.5"]
    assert config_files.load("sample", given).skipgram.phrases.scoring == "npmi"


def test_a_threshold_is_a_number_or_more():
    config = config_files.load("sample", ["evaluator.thresholds={a: 0.25, b/c d: {absolute: -0.01}}"])
    assert config.evaluator.thresholds["a"].model_dump() == {"lower_bound": 0.25, "absolute": None}
    assert config.evaluator.thresholds["b/c d"].model_dump() == {"lower_bound": None, "absolute": -0.01}


def test_what_is_tuned_may_be_written_with_dots(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("""name: mine
corpus: {paths: [a.txt]}
tuner: {trainer.learning_rate: [0.01, 0.1, log], trainer.dimensions: [100, 200, 300], trials: 20, algorithm: hyperband}
""")
    config = config_files.load(str(file), ["tuner.trainer.epochs=[2, 4]"])
    assert config.tuner.trials == 20
    assert config.tuner.trainer == {
        "dimensions": [100, 200, 300], "epochs": [2, 4], "learning_rate": [0.01, 0.1, "log"]
    }  # fmt: skip
