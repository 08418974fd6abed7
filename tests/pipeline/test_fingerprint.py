"""The cache follows imports: a component's fingerprint changes with what it runs, and with nothing else."""

from __future__ import annotations

import pathlib
import shutil

import pytest
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2

from pipeline import cache, fingerprint, nodes

COMPONENTS = (
    *("card", "corpus", "evaluator", "infra_validator", "pusher"),
    *("questions", "report", "skipgram", "trainer", "tuner"),
)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The project's code, which a test may change."""
    for package in ("word2vec", "components"):
        shutil.copytree(fingerprint._ROOT / package, tmp_path / package)
    monkeypatch.setattr(fingerprint, "_ROOT", tmp_path)
    return tmp_path


def prints():
    fingerprint.of_code.cache_clear()
    fingerprint._imported.cache_clear()
    return {name: fingerprint.of_code(name) for name in COMPONENTS}


@pytest.fixture(autouse=True)
def _forget():
    yield
    fingerprint.of_code.cache_clear()
    fingerprint._imported.cache_clear()


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("components/report/charts.py", {"report"}),
        ("components/report/page.css", {"report"}),
        ("components/corpus/schema/schema.pbtxt", {"corpus"}),
        ("components/records.py", {"corpus", "questions", "report", "skipgram", "tuner"}),
        ("components/pusher/push.py", {"pusher"}),
        ("components/infra_validator/executor.py", {"infra_validator"}),
        ("components/card/component.py", {"card", "pusher", "report"}),
        ("components/evaluator/baseline.py", {"evaluator"}),
        ("components/skipgram/preprocessing.py", {"skipgram"}),
        ("word2vec/text.py", {"skipgram", "trainer", "tuner"}),
        ("components/tuner/search.py", {"tuner"}),
        ("components/tuner/results.py", {"tuner", "card", "pusher", "report"}),
        ("word2vec/training/compiled_steps.py", {"trainer", "tuner"}),
        ("word2vec/plane.py", {"report"}),
        ("word2vec/__init__.py", set(COMPONENTS)),
    ],
)
def test_what_a_change_touches(copy, file, changed):
    before = prints()
    with (copy / file).open("a") as out:
        out.write("\n")
    after = prints()
    assert {name for name in COMPONENTS if after[name] != before[name]} == changed


def keys():
    """The cache's keys of all components, of which nothing differs but the code."""
    prints()
    executor = executable_spec_pb2.PythonClassExecutableSpec()
    return {
        name: cache.key_of(pipeline_pb2.PipelineNode(node_info={"id": name}), executor, {}, {}, "/runs/tiny")
        for name in nodes.OF
    }


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("components/pusher/push.py", {"Pusher", "Baseline", "LastBlessedModel"}),
        ("components/infra_validator/executor.py", {"InfraValidator"}),
        ("components/card/card.py", {"ModelCard", "Report", "Pusher", "Baseline", "LastBlessedModel"}),
        ("components/evaluator/baseline.py", {"Evaluator", "ModelCard"}),
        (
            "components/evaluator/results.py",
            {"Evaluator", "ModelCard", "Report", "Pusher", "Baseline", "LastBlessedModel"},
        ),
        ("components/questions/files.py", {"QuestionExampleGen"}),
        ("components/skipgram/executor.py", {"Transform"}),
        ("components/trainer/run_fn.py", {"Trainer"}),
        ("components/trainer/jobs.py", {"Trainer", "Tuner"}),
        ("components/tuner/search.py", {"Tuner"}),
        ("components/corpus/readers.py", {"ExampleGen", "SchemaGen", "ExampleValidator"}),
        ("components/report/page.css", {"Report"}),
    ],
)
def test_the_cache_notices_a_components_code(copy, file, changed):
    before = keys()
    with (copy / file).open("a") as out:
        out.write("\n")
    after = keys()
    assert {name for name in nodes.OF if after[name] != before[name]} == changed


def test_every_folder_of_code_is_some_components():
    folders = {path.parent.name for path in (fingerprint._ROOT / "components").glob("*/__init__.py")}
    assert {folder for node in nodes.OF.values() for folder in node.code} == folders


def test_an_import_within_a_function_counts(copy):
    (copy / "word2vec/new.py").write_text("")
    with (copy / "components/card/card.py").open("a") as out:
        out.write("\n\ndef _later():\n    from word2vec import new\n")
    before = prints()
    (copy / "word2vec/new.py").write_text("X = 1\n")
    after = prints()
    assert before["card"] != after["card"]
    assert before["corpus"] == after["corpus"]


def test_it_does_not_depend_on_where_the_code_is(copy):
    inside = prints()
    fingerprint._ROOT = pathlib.Path(fingerprint.__file__).parent.parent
    assert prints() == inside
