"""What each task is told is all that it depends on, and nothing else."""

from __future__ import annotations

import json

import pytest

from pipeline import config_files
from pipeline.kubeflow import compiler, needs

# Another value for each setting that a run has: what a component makes of it, it must be told.
OTHERS = {
    "name": "other",
    "corpus.paths": ["gs://texts/*.gz"],
    "corpus.form": "lines",
    "corpus.compression": "gzip",
    "corpus.encoding": "cp1252",
    "corpus.text_field": "body",
    "corpus.delimiter": ";",
    "corpus.quoting": "none",
    "corpus.max_document_bytes": 5,
    "corpus.max_skipped_share": 0.5,
    "corpus.splits": {"train": 9, "eval": 1},
    "corpus.shards": 3,
    "corpus.window": None,  # as above
    "corpus.schema_file": "/mnt/models/schema.pbtxt",
    "skipgram.window": 9,
    "skipgram.min_count": 3,
    "skipgram.max_vocabulary": 1000,
    "skipgram.subsampling": 0.5,
    "skipgram.max_single_letter_share": 0.9,
    "skipgram.phrases": {"min_count": 3},
    "skipgram.seed": 2,
    "trainer.dimensions": 64,
    "trainer.epochs": 2,
    "trainer.architecture": "cbow",
    "trainer.subwords": {"min": 2},
    "trainer.loss": "negative_sampling",
    "trainer.negatives": 6,
    "trainer.shared_negatives": 16,
    "trainer.sampler": "uniform",
    "trainer.noise_power": 0.5,
    "trainer.bias": "learned",
    "trainer.bias_start": "share",
    "trainer.bias_learning_rate": 0.05,
    "trainer.remove_accidental_hits": False,
    "trainer.window_weights": "drawn",
    "trainer.optimizer": "adagrad",
    "trainer.learning_rate": 0.02,
    "trainer.min_learning_rate": 0.001,
    "trainer.warmup_steps": 10,
    "trainer.block_length": 16,
    "trainer.blocks_per_step": 2,
    "trainer.steps_per_call": 100,
    "trainer.precision": "bfloat16",
    "trainer.table_precision": "float16",
    "trainer.strategy": "one_device",
    "trainer.exchange_positions": 50_000,
    "trainer.deterministic": True,
    "trainer.kernel": "tensorflow",
    "trainer.checkpoint_seconds": 60.0,
    "trainer.warm_start": True,
    "trainer.align": "last_blessed",
    "trainer.max_drift": 0.2,
    "trainer.warm_start_learning_rate": 0.01,
    "trainer.warm_start_epochs": 2,
    "trainer.seed": 5,
    "tuner.trials": 3,
    "tuner.trainer": {"negatives": [5, 10]},
    "tuner.algorithm": "bayesian",
    "tuner.weights": {"simlex999": 0.5},
    "tuner.seed": 2,
    "tuner.questions_seed": 2,
    "evaluator.benchmarks": ["builtin://simlex999"],
    "evaluator.thresholds": {"simlex999": {"lower_bound": 0.2, "absolute": None}},
    "evaluator.min_coverage": 0.2,
    "evaluator.when_uncovered": "pass",
    "evaluator.bootstrap_samples": 200,
    "evaluator.composed_words": True,
    "evaluator.min_stability": 0.5,
    "evaluator.seed": 2,
    "pusher.destination": "/mnt/models/other",
    "keep.versions": 3,
    "serving.infra_validation": "kubernetes",
    "serving.image": "registry.example/serving",
    "serving.tags": ["2.20.0"],
    "serving.loading_seconds": 100,
    "report.map_words": 20,
    "report.neighbour_words": 30,
    "report.seed": 4,
}


def load(**values):
    """With every component that there can be."""
    there = {
        "serving.infra_validation": "kubernetes",
        "tuner.trials": 2,
        "tuner.trainer": {"learning_rate": [0.01, 0.1, "log"]},
    }
    return config_files.load("kubeflow", values={**there, **values})


def tfx_components(config):
    spec = compiler.tfx_spec(config)
    return {name: compiler.TfxComponent.of(spec, name) for name in spec["root"]["dag"]["tasks"]}


@pytest.fixture(scope="module")
def before():
    return tfx_components(load())


def test_every_setting_is_tried():
    """Of those that say how and where, the environment tells; of `kubeflow` the compiled file."""
    elsewhere = {"keep.runs", "keep.spans"}  # only runs on one machine have them
    keys = {row[0] for row in config_files.settings() if row[0].partition(".")[0] not in ("root", "beam", "kubeflow")}
    keys -= elsewhere
    assert set(OTHERS) == keys


@pytest.mark.parametrize("key", OTHERS)
def test_a_task_that_a_setting_changes_is_told_it(before, key):
    after = tfx_components(load(**{key: OTHERS[key]}))
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed <= {name for name in before if needs.depends_on(name, key)}
    same = load().model_dump()
    for part in key.split("."):
        same = same[part]
    assert changed or same == OTHERS[key]


def test_a_container_makes_the_same_of_what_it_is_told(monkeypatch):
    """All settings changed: for each task, what is made of its own settings is what is made of all of them."""
    # The TensorFlow model, which is among them, has no such tables.
    changed = load(**{key: value for key, value in OTHERS.items() if key != "trainer.table_precision"})
    parameters = ["trainer.epochs", "evaluator.thresholds", "corpus.paths"]
    given = {needs.parameter_name(key): OTHERS[key] for key in parameters}
    monkeypatch.setenv(needs.PLACE, needs.place(changed))
    for name, whole in tfx_components(changed).items():
        settings = needs.settings_of(name, changed, parameters)
        assert not set(settings) & set(parameters)
        own = {
            parameter: value
            for parameter, value in given.items()
            if needs.depends_on(name, parameter.replace("_", ".", 1))
        }
        config, _ = needs.config_in_container(json.loads(json.dumps(settings)), own)
        assert tfx_components(config)[name] == whole, name


def test_facts_and_what_kfp_may_add_are_no_settings(monkeypatch):
    monkeypatch.delenv(needs.PLACE, raising=False)
    inputs = {"trainer_epochs": 3, "pushed_version": "7", "something_new": 1}
    config, facts = needs.config_in_container({}, inputs)
    assert (config.trainer.epochs, facts) == (3, {"pushed_version": "7"})


def test_the_trainers_task_is_told_how_its_job_is_made(monkeypatch):
    """And of the number of workers KFP's cache hears, for the result depends on it."""
    values = {
        "trainer.strategy": "multi_worker",
        "kubeflow.image": "registry.example/word2vec:1",
        "kubeflow.image_pull_secrets": ["registry"],
        "kubeflow.resources": {"Trainer": {"cpu": "8", "gpus": 2}},
        "kubeflow.secrets": [{"name": "aws", "environment": {"id": "AWS_ACCESS_KEY_ID"}}],
        "kubeflow.service_account": "word2vec",
        "kubeflow.training": {"workers": 3, "kind": "TFJob", "restarts": 5, "timeout_seconds": 60},
    }
    config = load(**values)
    settings = needs.settings_of("Trainer", config, [])
    assert settings["kubeflow.training.workers"] == 3
    assert [key for key in settings if key.startswith("kubeflow.")] == ["kubeflow.training.workers"]
    assert "kubeflow.training.workers" not in needs.settings_of("Evaluator", config, [])
    monkeypatch.setenv(needs.PLACE, needs.place(config, "Trainer"))
    told, _ = needs.config_in_container(settings, {})
    for key in ("image", "image_pull_secrets", "resources", "secrets", "service_account", "training", "volume"):
        assert getattr(told.kubeflow, key) == getattr(config.kubeflow, key), key
    told, _ = needs.config_in_container({**settings, "kubeflow.training.workers": 4}, {})
    assert told.kubeflow.training.workers == 4  # the command has the last word
    assert "registry" not in needs.place(config, "Evaluator")
    assert "registry" not in needs.place(load(**{**values, "trainer.strategy": "auto"}), "Trainer")


def test_the_learning_rate_follows_an_optimizer_that_the_run_sets(monkeypatch):
    monkeypatch.delenv(needs.PLACE, raising=False)
    settings = needs.settings_of("Trainer", load(), ["trainer.optimizer"])
    config, _ = needs.config_in_container(settings, {"trainer_optimizer": "adam"})
    assert config.trainer.filled()["learning_rate"] == 0.001


@pytest.mark.parametrize(
    ("key", "value"),
    [("corpus.splits", {"train": 9, "eval": 1}), ("evaluator.thresholds", {"b": 0.2, "a": {"absolute": -0.1}})],
)
def test_the_order_of_a_mapping_makes_no_difference(key, value):
    """KFP's structs have none."""
    one, other = (load(**{key: mapping}) for mapping in (value, dict(reversed(value.items()))))
    assert json.dumps(one.model_dump()) == json.dumps(other.model_dump())


@pytest.mark.parametrize(
    ("change", "noted"), [({"kubeflow.root": "s3://other"}, True), ({"kubeflow.host": "https://other"}, False)]
)
def test_the_cache_takes_note_of_the_root(change, noted):
    assert (needs.note("SchemaGen", load()) != needs.note("SchemaGen", load(**change))) == noted
