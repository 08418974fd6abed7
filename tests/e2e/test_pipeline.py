"""From text to a pushed model, and what a second run, a worse model, bad input and a crash do."""

from __future__ import annotations

import collections
import hashlib
import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from gensim.models import KeyedVectors

from components.card.card import ModelCard
from tests.conftest import COMMON, TOPICS
from tests.e2e.conftest import ROOT, make_project
from word2vec import pairs, vocabulary

COMPONENTS = [
    *("QuestionExampleGen", "ExampleGen", "SchemaGen", "StatisticsGen", "ExampleValidator"),
    *("Transform", "Trainer", "Evaluator", "ModelCard", "Pusher", "Report"),
]
AFTER_TRANSFORM = {"Trainer", "Evaluator", "ModelCard", "Pusher", "Report"}


def read_examples(folder):
    return [
        record.numpy() for path in sorted(folder.glob("*.gz")) for record in tf.data.TFRecordDataset(str(path), "GZIP")
    ]


def test_it_ends_in_a_pushed_model(project, first_run):
    ended = re.findall(r"✔ (\w+) +([\d.]+ s|cached)", first_run)
    assert sorted(name for name, _ in ended) == sorted(["start", *COMPONENTS])
    assert not [name for name, time in ended if time == "cached"]
    assert "blessed: every threshold is reached" in first_run
    (version,) = project.pushed()
    assert str(version) in first_run
    assert (version / "saved_model.pb").is_file()


def test_the_console_tells_the_counts_and_the_scores(first_run):
    assert re.search(r"400 documents, 0.1 MB of text, from 2 files; vocabulary 32 words", first_run)
    assert re.search(r"skipped 1 documents; 1 had no text", first_run)
    assert re.search(r"no text field: 1\n +.*b.jsonl, line 201: no text field: 'text': its fields are id", first_run)
    assert re.search(r"topics +spearman correlation +0\.\d+ +0\.\d+ to 0\.\d+ +98% of \d+ +✔ ≥ 0.5", first_run)
    assert re.search(r"quads +analogy accuracy +\d\.\d+ +\d\.\d+ to \d\.\d+ +67%", first_run)
    assert re.search(r"epoch 6 of 6, step \d+, .* words/s, loss \d", first_run)


def test_examples_are_the_documents_in_sorted_shards(project, first_run):
    folder = project.artifact("ExampleGen", "examples")
    texts = {}
    for split in ("train", "eval"):
        records = read_examples(folder / f"Split-{split}")
        texts[split] = [
            tf.train.Example.FromString(record).features.feature["text"].bytes_list.value[0] for record in records
        ]
    assert len(texts["train"]) + len(texts["eval"]) == 400
    assert 20 < len(texts["eval"]) < 65
    assert len(list((folder / "Split-train").iterdir())) == 3


def test_the_pairs_in_the_files_are_those_of_the_vocabulary(project, first_run):
    graph = tft.TFTransformOutput(str(project.artifact("Transform", "transform_graph")))
    words = vocabulary.read(graph.vocabulary_file_by_name(vocabulary.ASSET))
    assert set(words.words) == {word for topic in TOPICS.values() for word in topic} | set(COMMON)
    folder = project.artifact("Transform", "transformed_examples") / "Split-train"
    examples = tf.io.parse_example(read_examples(folder), graph.transformed_feature_spec())
    targets, contexts = pairs.expand(examples[pairs.TOKEN_IDS], examples[pairs.RADII])
    topic_of = {word: name for name, topic in TOPICS.items() for word in topic}
    together = collections.Counter(
        (topic_of[words.words[a]], topic_of[words.words[b]])
        for a, b in zip(targets.numpy(), contexts.numpy(), strict=True)
        if words.words[a] in topic_of and words.words[b] in topic_of
    )
    assert sum(together.values()) > 1000
    assert all(a == b for a, b in together)  # a document speaks of one topic


def test_neighbours_are_of_the_same_topic(project, first_run):
    model = tf.saved_model.load(str(project.pushed()[0]))
    for topic in TOPICS.values():
        answer = model.signatures["most_similar"](words=tf.constant([topic[0].upper()]), k=tf.constant(5))
        assert len({word.decode() for word in answer["neighbours"].numpy()[0]} & set(topic)) >= 4


def test_metrics_by_benchmark_and_by_section(project, first_run):
    import tensorflow_model_analysis as tfma

    metrics = dict(tfma.load_eval_result(str(project.artifact("Evaluator", "evaluation"))).slicing_metrics)
    coverage = {key: values[""][""]["coverage"]["doubleValue"] for key, values in metrics.items()}
    assert coverage[(("benchmark", "quads"),)] == pytest.approx(2 / 3)
    assert coverage[(("benchmark", "quads"), ("section", "second"))] == pytest.approx(1 / 2)
    assert coverage[(("benchmark", "topics"),)] == pytest.approx(63 / 64)


def test_tensorboard_has_the_curves(project, first_run):
    tags = set()
    for path in project.artifact("Trainer", "model_run").glob("events*"):
        tags |= {
            value.tag
            for record in tf.data.TFRecordDataset(str(path))
            for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value
        }
    assert {"loss", "learning_rate", "words_per_second", "eval_loss"} <= tags


def test_the_vectors_are_there_for_other_tools(project, first_run):
    folder = project.folder / "runs" / "tiny" / "vectors"
    text = KeyedVectors.load_word2vec_format(str(folder / "vectors.txt"))
    binary = KeyedVectors.load_word2vec_format(str(folder / "vectors.bin"), binary=True)
    served = tf.saved_model.load(str(project.pushed()[0])).signatures["serving_default"]
    embeddings = served(words=tf.constant(text.index_to_key))["embeddings"].numpy()
    np.testing.assert_allclose(text.vectors, embeddings, rtol=1e-6)
    np.testing.assert_allclose(binary.vectors, embeddings, rtol=1e-6)
    assert binary.index_to_key == text.index_to_key
    logs = project.artifact("Trainer", "model_run")
    assert len((logs / "words.tsv").read_text().splitlines()) == len(text) + 1
    assert (logs / "projector_config.pbtxt").exists()


def test_the_model_needs_tensorflow_only(project, first_run):
    program = f"""
import tensorflow as tf, tensorflow_text
model = tf.saved_model.load({str(project.pushed()[0])!r})
answer = model.signatures["serving_default"](words=tf.constant(["Cat", "unheardof"]))
print(answer["known"].numpy().tolist(), answer["embeddings"].shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd="/", capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[True, False] (2, 16)"


def test_a_second_run_is_cached_and_other_trainer_settings_do_not_redo_transform(project, first_run):
    again = project.run().stdout
    assert re.findall(r"✔ (\w+) +cached", again) == re.findall(r"✔ (?!start)(\w+)", again)
    assert len(project.pushed()) == 1

    blocked = project.run(
        "--set",
        "trainer.epochs=1",
        "trainer.learning_rate=0.0001",
        "--set",
        "trainer.learning_rate=0.0001",
        check=False,
    )
    assert blocked.returncode == 1  # --set takes one at a time

    blocked = project.run("--set", "trainer.epochs=1", "--set", "trainer.learning_rate=0.0001").stdout
    cached = set(re.findall(r"✔ (\w+) +cached", blocked))
    assert cached == set(COMPONENTS) - AFTER_TRANSFORM
    assert "not blessed, not pushed" in blocked
    assert re.search(r"topics: spearman correlation -?0\.\d+ is \d\.\d+ below its threshold 0.5", blocked)
    assert re.search(r"topics: spearman correlation changed by -\d\.\d+ .* its threshold is -0.1", blocked)
    card = ModelCard.model_validate_json((project.artifact("ModelCard", "model_card") / "model_card.json").read_text())
    trained = sorted((project.folder / "runs/tiny/artifacts/Trainer/model").iterdir(), key=lambda path: int(path.name))
    assert card.baseline == str(trained[0])
    assert len(project.pushed()) == 1


def test_the_pushed_model_carries_its_card(project, first_run):
    extra = project.pushed()[0] / "assets.extra"
    card = ModelCard.model_validate_json((extra / "model_card.json").read_text())
    assert (card.name, card.words, card.dimensions, card.blessed, card.baseline) == ("tiny", 32, 16, True, None)
    assert (card.corpus.documents, card.corpus.files, card.corpus.skipped) == (400, 2, 1)
    assert card.settings["trainer"]["epochs"] == 6
    (topics,) = (benchmark for benchmark in card.benchmarks if benchmark.name == "topics")
    assert topics.interval[0] < topics.score < topics.interval[1]
    assert (topics.lower_bound, topics.passed) == (0.5, True)
    assert set(card.code.libraries) >= {"tensorflow", "tfx"}
    assert card.code.lock == hashlib.sha256((ROOT / "constraints.txt").read_bytes()).hexdigest()
    text = (extra / "model_card.md").read_text()
    assert "| topics | spearman correlation | 0." in text
    assert card.corpus.fingerprint in text
    assert card.code.lock in text


def test_the_history_has_every_run_and_a_version_has_an_origin(project, first_run):
    """After the runs of the tests before: one cached, one blocked."""
    version = project.pushed()[0].name
    history = project.run("--history").stdout
    verdicts = re.findall(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +(blessed|blocked|stopped).*", history, re.MULTILINE)
    assert verdicts[:1] == ["blessed"]
    assert re.search(rf"blessed +{version} +trained +0\.\d+ +0\.\d+", history.replace("1.000", "0.999"))
    origin = project.run("--explain", version).stdout
    for part in ("Word vectors: tiny", "trainer.epochs", f"How version {version} was made", "Transform"):
        assert part in origin
    assert origin.count("Trainer   ") == 1
    wrong = project.run("--explain", "17", check=False)
    assert wrong.returncode == 1
    assert f"--explain 17: no such version was pushed. There were: {version}" in wrong.stderr
    nothing = project.run("--name", "never", "--history", check=False)
    assert "never: no run has been made here" in nothing.stderr
    assert not (project.folder / "runs" / "never").exists()


def test_without_thresholds_nothing_is_pushed(project, first_run):
    out = project.run("--set", "evaluator.thresholds={}").stdout
    assert out.index("! evaluator.thresholds: none is set") < out.index("✔ start")  # before it takes any time
    assert "no threshold is set (evaluator.thresholds)" in out
    assert len(project.pushed()) == 1


def test_phrases_and_subwords_go_from_the_text_to_the_answer(project, first_run):
    settings = [
        "skipgram.phrases={min_count: 3, threshold: 0.08}",
        "trainer.subwords={}",
        "evaluator.composed_words=true",
        "evaluator.thresholds={topics: -1}",
    ]
    out = project.run("--name", "parts", *(word for setting in settings for word in ("--set", setting))).stdout
    assert re.search(r"vocabulary \d+ words, \d+ of them phrases", out)
    assert re.search(r"topics .* 100% of 64, 1 composed", out)
    graph = tft.TFTransformOutput(str(project.artifact("Transform", "transform_graph", "parts")))
    phrase = vocabulary.read(vocabulary.path_in(graph)).phrases[0]
    (version,) = project.pushed("parts")
    asked = [phrase, phrase.replace("_", " ").upper(), "bread", "breadd", "unheardof", "xyzzy"]
    answer = tf.saved_model.load(str(version)).signatures["serving_default"](words=tf.constant(asked))
    assert answer["known"].numpy().tolist() == [True, True, True, False, False, False]
    assert answer["composed"].numpy().tolist() == [False, False, False, True, True, False]
    embeddings = answer["embeddings"].numpy()
    np.testing.assert_array_equal(embeddings[0], embeddings[1])
    cosine = embeddings[2] @ embeddings[3] / np.linalg.norm(embeddings[2]) / np.linalg.norm(embeddings[3])
    assert cosine > 0.5
    page = (project.folder / "runs" / "parts" / "report.html").read_text()
    assert re.search(rf"<dt>phrases<dd>[0-9]+ of the words, the most frequent {phrase}", page)
    assert "<td>100%, 1 composed" in page


def test_the_same_inputs_and_settings_give_the_same_vectors(project, first_run):
    project.run("--no-cache", "--name", "again", "--set", "beam.workers=2")
    words = tf.constant([word for topic in TOPICS.values() for word in topic])
    (first,), (second,) = project.pushed(), project.pushed("again")
    vectors = [
        tf.saved_model.load(str(path)).signatures["serving_default"](words=words)["embeddings"].numpy()
        for path in (first, second)
    ]
    np.testing.assert_array_equal(*vectors)


def test_killed_in_the_middle_of_training_it_goes_on(tmp_path):
    project = make_project(tmp_path)
    arguments = [
        "--set",
        "trainer.kernel=tensorflow",  # which is slow enough to be killed
        "--set",
        "trainer.blocks_per_step=2",
        "--set",
        "trainer.epochs=20",
        "--set",
        "trainer.checkpoint_seconds=0.3",
        "--set",
        "trainer.steps_per_call=5",
        "--set",
        "trainer.warm_start=true",  # from nothing, for no model was blessed yet
    ]
    process = project.start(*arguments)
    deadline = time.monotonic() + 200
    checkpoints = project.folder / "runs" / "tiny" / "checkpoints"
    while not list(checkpoints.glob("*/step-*/manifest.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None, project.log()
        time.sleep(0.05)
    time.sleep(0.5)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    (folder,) = checkpoints.iterdir()
    kept = max(int(path.name.removeprefix("step-")) for path in folder.glob("step-*[0-9]"))

    out = project.run(*arguments).stdout
    assert set(re.findall(r"✔ (\w+) +cached", out)) == set(COMPONENTS) - AFTER_TRANSFORM
    log = (project.folder / "runs" / "tiny" / "run.log").read_text(errors="replace")
    steps = [
        int(step)
        for step in re.findall(
            r"epoch \d+ of 20, step (\d+),", log[log.rindex("Going on from the checkpoint at step") :]
        )
    ]
    assert steps[0] == kept + 5
    assert not list(checkpoints.glob("*/*"))  # nothing is left of them once the model is there
    assert "blessed" in out


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({}, [], r"corpus .*/corpus: no file matches"),
        ({"a.dat": b"x"}, [], r"a.dat: its name does not tell how to read it"),
        (
            {"a.txt": b""},
            [],
            r"corpus: no text in its 1 files \(1 empty files, 0 blank documents; the first: .*a.txt\)",
        ),
        ({"a.txt": b"\n \n"}, [], r"corpus: no text in its 1 files \(0 empty files, 2 blank documents"),
        (
            {"a.txt": b"good\nb\xffd\n"},
            [],
            r"1 of 2 documents had to be skipped \(50.0%, corpus.max_skipped_share allows 1.0%\)"
            r"[^✔]*a.txt, line 2: not UTF-8: byte b'\\xff'",
        ),
        (
            {"a.jsonl": b'{"body": "x"}\n'},
            [],
            r"a.jsonl, line 1: no text field: 'text': its fields are body \(corpus.text_field\)",
        ),
        (
            {"a.txt.gz": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c"},
            [],
            r"a.txt.gz: unreadable: Truncated compressed stream",
        ),
        (
            {"a.txt": b"x " * 60 + b"\ny\n"},
            ["corpus.max_document_bytes=100"],
            r"a.txt, line 1: too long: over 100 bytes",
        ),
        ({"a.txt": b"each word is here once\n"}, [], r"no vocabulary: .*skipgram.min_count"),
        (
            {"a.txt": b"t h e c a t of the house\n" * 50},
            [],
            r"no words: 66.7% of the text are single letters or digits .*skipgram.max_single_letter_share allows 50.0%",
        ),
        (
            {"a.txt": b"tea\nbread\n"},
            ["skipgram.min_count=1"],
            r"there is not a single skip-gram pair: .*skipgram.subsampling",
        ),
        (
            {"a.txt": b"tea bread\n"},
            ["skipgram.min_count=1", "skipgram.subsampling=0", "trainer.blocks_per_step=2"],
            r"trainer.blocks_per_step = 2 x trainer.block_length = 16 are 32 positions a step, "
            r"but a whole epoch has about 2",
        ),
        (
            {"a.txt": b"tea tea\n"},
            ["corpus.splits={train: 1, eval: 1}"],
            r"corpus.splits.(train|eval): none of the 1 documents fell into this split",
        ),
    ],
    ids=[
        "no file",
        "unknown form",
        "empty file",
        "blank",
        "not UTF-8",
        "no text field",
        "truncated gzip",
        "too long",
        "no vocabulary",
        "letters and no words",
        "no pair",
        "a step larger than the data",
        "empty split",
    ],
)
def test_bad_input_is_one_clear_error(tmp_path, capfd, files, arguments, message):
    project = make_project(tmp_path)
    for path in (tmp_path / "corpus").iterdir():
        path.unlink()
    for name, content in files.items():
        (tmp_path / "corpus" / name).write_bytes(content)
    settings = [word for argument in ["corpus.splits={train: 1}", *arguments] for word in ("--set", argument)]
    done = project.run_here(capfd, *settings)
    assert done.returncode == 1
    assert re.search(message, done.stderr), done.stdout + done.stderr + project.log()
    assert "Traceback" not in done.stdout + done.stderr
    assert (
        not list((tmp_path / "runs" / "tiny").glob("artifacts/ExampleGen/examples/*/Split-*/*"))
        or "skipgram" in message
        or "trainer" in message
    )
    assert not project.pushed()


def test_an_anomaly_stops_the_run(tmp_path):
    project = make_project(tmp_path)
    schema = tmp_path / "schema.pbtxt"
    schema.write_text('feature { name: "text" type: BYTES domain: "d" } string_domain { name: "d" value: "only this" }')
    done = project.run("--set", f"corpus.schema_file={schema}", check=False)
    assert done.returncode == 1
    assert re.search(r"stopped at ExampleValidator +- +- *$", project.run("--history").stdout, re.MULTILINE)
    assert "the documents do not fit the schema (corpus.schema_file):\n" in done.stderr
    assert re.search(r"^  train, text: Unexpected string values", done.stderr, re.MULTILINE)
    assert "✔ Transform" not in done.stdout


def test_settings_and_benchmarks_are_checked_before_anything_runs(tmp_path):
    project = make_project(tmp_path)
    done = project.run("--set", "trainer.epoch=1", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "trainer.epoch: there is no such setting. Did you mean trainer.epochs?" in done.stderr
    (tmp_path / "quads.txt").write_text("a b c d\na b\n")
    done = project.run(check=False)
    assert done.returncode == 1
    assert re.search(r"quads.txt, line 2: 'a b' is no question", done.stderr)
    assert "✔ ExampleGen" not in done.stdout


@pytest.mark.parametrize(
    ("where", "message"), [("kubernetes", "within a cluster"), ("docker", "Docker does not answer")]
)
def test_tf_serving_that_can_not_be_started_is_said_first(tmp_path, capfd, monkeypatch, where, message):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.socket")
    done = make_project(tmp_path).run_here(capfd, "--set", f"serving.infra_validation={where}")
    assert done.returncode == 1
    assert re.search(rf"serving.infra_validation = {where}: .*{message}", done.stderr.replace("\n", " "))
    assert "Traceback" not in done.stdout + done.stderr


def test_help_lists_every_setting():
    done = subprocess.run(
        [sys.executable, str(ROOT / "local_runner.py"), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for key in ("trainer.epochs (whole number) = 5", "skipgram.window", "beam.workers"):
        assert key in done.stdout


def test_lineage_is_on_record(project, first_run):
    import sqlite3

    with sqlite3.connect(project.folder / "runs" / "tiny" / "metadata.sqlite") as metadata:
        kinds = {name for (name,) in metadata.execute("select name from Type")}
    assert {"Examples", "TransformGraph", "Model", "ModelBlessing", "PushedModel"} <= kinds
    report = json.loads((project.artifact("ExampleGen", "examples") / "corpus_report.json").read_text())
    assert (report["documents"], report["skipped"]) == (400, {"no text field": 1})


def test_a_warm_start_begins_at_the_old_quality(project, first_run):
    base = KeyedVectors.load_word2vec_format(str(project.folder / "runs" / "tiny" / "vectors" / "vectors.txt"))
    settings = ["trainer.warm_start=true", "trainer.epochs=1", "trainer.warm_start_learning_rate=0.0001"]
    out = project.run(*(word for setting in settings for word in ("--set", setting))).stdout
    assert "every threshold is reached" in out  # which after one epoch of this learning rate only the old vectors can
    assert f"{len(base)} of {len(base)} words start from an earlier model's vectors" in project.whole_log()
    now = KeyedVectors.load_word2vec_format(str(project.folder / "runs" / "tiny" / "vectors" / "vectors.txt"))
    assert 0 < np.abs(now.vectors - base.vectors).max() < 0.1
