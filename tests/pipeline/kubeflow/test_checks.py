from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline import config_files
from pipeline.kubeflow import checks, compiler
from tests.e2e.conftest import ROOT
from word2vec.errors import UserError


def load(**values):
    return config_files.load("kubeflow", values=values)


@pytest.mark.parametrize("name", ["a", "a1-b", "x" * 63])
def test_names(name):
    checks.check(load(name=name))


@pytest.mark.parametrize("name", ["Capitals", "trailing-", "a_b", "a.b", "x" * 64, "x" * 128])
def test_names_that_kfp_or_tfx_refuse(name):
    with pytest.raises(UserError, match=f"^name = '{name}': Kubeflow takes at most 63"):
        checks.check(load(name=name))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pusher.destination": None}, r"^pusher\.destination: is needed"),
        ({"pusher.destination": "/elsewhere"}, r"^pusher\.destination = /elsewhere: .* \(which is at /mnt/models\)"),
        ({"pusher.destination": "/mnt/models2"}, r"^pusher\.destination = /mnt/models2"),
        ({"kubeflow.volume": None}, r"^pusher\.destination = /mnt/models/word2vec: .*of which there is none"),
        (
            {"kubeflow.volume": {"claim": "models", "path": "/minio"}, "pusher.destination": "/minio/word2vec"},
            "KFP has /minio",
        ),
        (
            {"kubeflow.volume.path": "/s3/models", "pusher.destination": "s3://models"},
            r"^kubeflow\.volume\.path = /s3/models: KFP has /s3",
        ),
        ({"corpus.paths": ["/mnt/models/$$/*.txt"]}, r"^corpus\.paths: has \$\$ or \$\("),
        ({"beam.options": ["--region=$(REGION)"]}, r"^beam: has \$\$ or \$\("),
        ({"corpus.paths": ["/mnt/models/$(HOME)/*.txt"]}, r"^corpus\.paths: has \$\$ or \$\("),
        ({"keep.runs": 3}, r"^keep: of what is kept below kubeflow\.root, .* lifecycle rule"),
        ({"keep.spans": 30}, r"^keep: "),
        ({"kubeflow.parameters": ["corpus.window"]}, r"^kubeflow\.parameters: corpus\.window decides which components"),
        ({"kubeflow.parameters": ["trainer.warm_start"]}, r"trainer\.warm_start decides which components there are"),
        ({"beam.runner": "flink", "beam.master": "flink:8081"}, r"^beam\.exchange"),
        ({"serving.infra_validation": "docker"}, r"^serving\.infra_validation = docker: in a cluster"),
        (
            {"serving.infra_validation": "kubernetes", "kubeflow.volume": None, "pusher.destination": "s3://models"},
            r"^serving\.infra_validation = kubernetes: needs kubeflow\.volume",
        ),
        (
            {"trainer.strategy": "multi_worker", "kubeflow.volume": None, "pusher.destination": "s3://models"},
            r"^trainer\.strategy = multi_worker: needs kubeflow\.volume \(ReadWriteMany\)",
        ),
        (
            {
                "trainer.strategy": "multi_worker",
                "kubeflow.training.timeout_seconds": 600,
                "kubeflow.resources": {"default": {"timeout_seconds": 600}},
            },
            r"^kubeflow\.training\.timeout_seconds = 600: expected less than .* timeout_seconds = 600",
        ),
        ({"kubeflow.parameters": ["trainer.strategy"]}, r"^kubeflow\.parameters: trainer\.strategy decides what"),
        ({"kubeflow.parameters": ["beam.workers"]}, r"^kubeflow\.parameters: beam\.workers"),
        ({"kubeflow.parameters": ["serving.infra_validation"]}, r"^kubeflow\.parameters: serving\.infra_validation"),
        ({"kubeflow.parameters": ["tuner.trials"]}, r"^kubeflow\.parameters: tuner\.trials decides which components"),
        ({"tuner.trials": 3}, r"^tuner\.trials = 3: there is nothing to tune"),
        ({"kubeflow.resources": {"Trainr": {"cpu": "1"}}}, "no task Trainr"),
        ({"kubeflow.uncached": ["Trainr"]}, "no task Trainr"),
    ],
)
def test_what_a_cluster_can_not_do(values, message):
    with pytest.raises(UserError, match=message):
        checks.check(load(**values))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kubeflow.resources", {"Trainer": {"memory": "lots"}}),
        ("kubeflow.resources", {"Trainer": {"cpu": "-1"}}),
        ("kubeflow.volume", {"claim": "My_Claim", "path": "/mnt"}),
        ("kubeflow.secrets", [{"name": "s3", "environment": {"key": "NO-VARIABLE"}}]),
        ("kubeflow.image_pull_secrets", ["Registry"]),
        ("kubeflow.namespace", "a b"),
        ("kubeflow.experiment", ""),
        ("kubeflow.experiment", "x" * 129),
        ("kubeflow.root", "/artifacts"),
    ],
)
def test_what_kubernetes_or_kfp_would_refuse(key, value):
    with pytest.raises(UserError, match=key.replace(".", r"\.")):
        load(**{key: value})


def test_a_wrong_name_is_said_before_anything_is_imported():
    """In less time than TFX takes to import."""
    program = (
        "import sys, kubeflow_runner\n"
        "code = kubeflow_runner.main(['compile', '--name', 'trailing-'])\n"
        "sys.exit(code if not {'tfx', 'tensorflow', 'kfp'} & set(sys.modules) else 99)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: name = 'trailing-'")


@pytest.fixture(scope="module")
def spec():
    return compiler.compile_pipeline(load())[0]


@pytest.mark.parametrize(
    "given",
    [{}, {"trainer_epochs": 3}, {"corpus_paths": ["a"], "evaluator_thresholds": {}}, {"pusher_destination": "s3://x"}],
)
def test_parameters_that_kfp_takes(spec, given):
    checks.check_parameters(spec, given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trainer_epoch": 3}, "^parameter trainer_epoch: there is none. There are corpus_paths, "),
        ({"trainer_epochs": "3"}, '^parameter trainer_epochs = "3": expected a whole number'),
        ({"trainer_epochs": True}, "^parameter trainer_epochs = true: expected a whole number"),
        ({"trainer_epochs": 2.5}, "^parameter trainer_epochs = 2.5: expected a whole number"),
        ({"trainer_epochs": None}, "^parameter trainer_epochs = null: expected a whole number"),
        ({"corpus_paths": ["$(A)/a.txt"]}, r"^parameter corpus_paths: has \$\$ or \$\("),
        ({"corpus_paths": "a.txt"}, '^parameter corpus_paths = "a.txt": expected a list'),
        ({"pusher_destination": 7}, "^parameter pusher_destination = 7: expected text"),
        ({"evaluator_thresholds": []}, r"^parameter evaluator_thresholds = \[\]: expected a mapping"),
    ],
)
def test_parameters_that_kfp_refuses(spec, given, message):
    with pytest.raises(UserError, match=message):
        checks.check_parameters(spec, given)


@pytest.mark.parametrize("parameters", [["corpus.paths"], ["trainer.epochs"]])
def test_a_thousand_paths_are_refused_where_they_are_compiled(parameters):
    """As a parameter's default, and in the command: no argument of a process may have more than 128 KiB."""
    paths = [f"/mnt/models/texts/{'x' * 100}/{number}.txt" for number in range(1200)]
    with pytest.raises(UserError, match=r"^corpus.paths: is too large: .*Name a folder or a glob"):
        compiler.compile_pipeline(load(**{"corpus.paths": paths, "kubeflow.parameters": parameters}))


def test_a_thousand_paths_are_refused_where_a_run_is_started(spec):
    checks.check_sizes(spec, {"corpus_paths": ["/mnt/models/" + "x" * 100] * 1000})
    with pytest.raises(UserError, match=r"^corpus_paths: is too large: .* KB in one argument .* takes 128"):
        checks.check_sizes(spec, {"corpus_paths": ["/mnt/models/" + "x" * 100] * 1200})
