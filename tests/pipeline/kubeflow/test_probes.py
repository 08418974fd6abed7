from __future__ import annotations

import json
import os

import pytest
import tensorflow as tf

from components.corpus.report import CorpusReport
from components.corpus.spans import Slot
from components.pusher import versions
from pipeline import config_files
from pipeline.configs import VolumeConfig
from pipeline.kubeflow import needs, probes, volume
from word2vec import saved_vectors
from word2vec.errors import UserError


@pytest.fixture
def probe(tmp_path, monkeypatch, capsys):
    """Runs a probe on files of this folder; returns (exit code, what it found, what it says)."""
    mount = tmp_path / "models"
    mount.mkdir()
    (mount / "a.txt").write_text("one two\n")
    (mount / "schema.pbtxt").write_text('feature { name: "text" type: BYTES }')
    (mount / "pairs.tsv").write_text("a\tb\t1\n")
    config = config_files.load(
        "kubeflow",
        values={
            "corpus.paths": [f"{mount}/*.txt"],
            "corpus.schema_file": f"{mount}/schema.pbtxt",
            "evaluator.benchmarks": [f"{mount}/pairs.tsv"],
            "kubeflow.volume": {"claim": "models", "path": str(mount)},
            "pusher.destination": f"{mount}/word2vec",
        },
    )
    monkeypatch.setenv(needs.PLACE, needs.place(config))

    def run(task, outputs, settings=None, **inputs):
        asked = {
            "inputs": {"parameterValues": inputs},
            "outputs": {"parameters": {name: {"outputFile": f"{tmp_path}/out/{name}"} for name in outputs}},
        }
        told = json.dumps({**needs.settings_of(task, config, []), **(settings or {})})
        code = probes.main(["--task", task, "--settings", told, "--executor-input", json.dumps(asked)])
        found = {name: (tmp_path / "out" / name).read_text() for name in outputs} if code == 0 else {}
        return code, found, capsys.readouterr()

    run.mount = mount
    return run


FILES = ("corpus", "benchmarks", "schema")


@pytest.mark.parametrize(("name", "changed"), [("a.txt", 0), ("pairs.tsv", 1), ("schema.pbtxt", 2), ("b.txt", 0)])
def test_a_fingerprint_changes_with_its_files_alone(probe, name, changed):
    code, before, _ = probe("Fingerprints", FILES)
    assert code == 0
    assert probe("Fingerprints", FILES)[1] == before
    (probe.mount / name).write_text("something else that is longer")
    after = probe("Fingerprints", FILES)[1]
    assert [after[key] != before[key] for key in FILES] == [index == changed for index in range(3)]


def test_a_corpus_that_is_not_there_is_said_in_one_line(probe):
    code, _, said = probe("Fingerprints", FILES, corpus_paths=["/nowhere/*.txt"])
    assert code == 1
    assert said.err.startswith("error: corpus /nowhere/*.txt: no file matches.")
    assert said.err.count("\n") == 1


def test_a_destination_that_would_be_lost_is_said_before_anything_runs(probe):
    code, _, said = probe("Fingerprints", FILES, pusher_destination="/elsewhere")
    assert code == 1
    assert said.err.startswith("error: pusher.destination = /elsewhere: what is written there is gone")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_volume_that_belongs_to_another(probe):
    probe.mount.chmod(0o555)
    code, _, said = probe("Fingerprints", FILES)
    probe.mount.chmod(0o755)
    assert code == 1
    assert "cannot be written by user" in said.err


def test_a_folder_that_can_not_be_written():
    """Also for root: nobody may write there."""
    with pytest.raises(UserError, match=r"/proc/sys/new: cannot be written by user \d+: .* It is on no volume"):
        volume.check_writable("/proc/sys/new", None)
    with pytest.raises(UserError, match=r"claim models is not this user.s: deploy/volume-owner\.yaml"):
        volume.check_writable("/proc/new", VolumeConfig(claim="models", path="/proc"))
    with pytest.raises(UserError, match=r"the claim models is not mounted at /proc/sys/kernel"):
        volume.check_writable("/proc/sys/kernel/new", VolumeConfig(claim="models", path="/proc/sys/kernel"))


def test_uris_are_not_looked_at(tmp_path):
    volume.check_writable("s3://models/word2vec", None)
    volume.check_writable(str(tmp_path / "new" / "folder"), None)
    assert not list(tmp_path.iterdir())


def export(folder, number):
    model = tf.Module()
    model.number = tf.Variable(number)
    tf.saved_model.save(model, str(folder))


def test_the_candidate_itself_is_no_baseline(probe):
    """Else a run that the cache has answered would compare its model with itself, and push it once more."""
    pushed = probe.mount / "word2vec"
    assert probe("PushedVersion", ["version"], model_identity="any")[1] == {"version": ""}
    for version in (9, 10):
        export(pushed / str(version), version)
    (pushed / "11").mkdir()  # a push that was interrupted
    for number, name in ((12, "variables.index"), (13, "variables.data-00000-of-00001")):  # deleted by hand
        export(pushed / str(number), number)
        (pushed / str(number) / "variables" / name).unlink()
    own = versions.identity(str(pushed / "10"))
    assert own != versions.identity(str(pushed / "9"))
    assert probe("PushedVersion", ["version"], model_identity="another")[1] == {"version": "10"}
    assert probe("PushedVersion", ["version"], model_identity=own)[1] == {"version": "9"}


def test_a_copy_is_the_same_model_and_another_export_is_not(tmp_path):
    export(tmp_path / "a", 1)
    export(tmp_path / "b", 1)
    tf.io.gfile.makedirs(str(tmp_path / "copy"))
    for name in ("saved_model.pb", "fingerprint.pb"):
        tf.io.gfile.copy(str(tmp_path / "a" / name), str(tmp_path / "copy" / name))
    assert versions.identity(str(tmp_path / "copy")) == versions.identity(str(tmp_path / "a"))
    assert versions.identity(str(tmp_path / "b")) != versions.identity(str(tmp_path / "a"))
    assert versions.identity(str(tmp_path / "nothing")) == ""


def test_a_training_starts_from_a_version_of_another_window(probe):
    """The probe's fingerprint of the window is the one that ExampleGen's reports give the card."""
    for day in (1, 2, 3):
        (probe.mount / f"2026-01-0{day}.txt").write_text(f"day {day}\n")
    days = {"corpus.paths": [f"{probe.mount}/{{YYYY}}-{{MM}}-{{DD}}.txt"], "corpus.window": 2}
    outputs = ["span_1", "span_2", "start"]
    found = probe("Fingerprints", outputs, days)[1]
    slots = [Slot.parse(found[name]) for name in ("span_1", "span_2")]
    assert [slot.number for slot in slots] == ["20456", "20455"]
    reports = [_report(probe.mount / slot.number, slot) for slot in slots]
    of_this_window = CorpusReport.of(reports).fingerprint
    for version, text in ((1, "another"), (2, of_this_window)):
        pushed = probe.mount / "word2vec" / str(version)
        export(pushed, version)
        (pushed / saved_vectors.START).mkdir(parents=True)
        saved_vectors.write_manifest(str(pushed), "space", {}, "skipgram")
        (pushed / "assets.extra" / "model_card.json").write_text(json.dumps({"corpus": {"fingerprint": text}}))
    assert probe("Fingerprints", outputs, days)[1]["start"] == "1"
    (probe.mount / "2026-01-04.txt").write_text("day 4\n")
    assert probe("Fingerprints", outputs, days)[1]["start"] == "2"


def test_places_without_a_span_are_told_apart(probe):
    """Or KFP's cache answers for all of them with one artifact, which ML Metadata takes but once as a task's input."""
    (probe.mount / "2026-01-01.txt").write_text("a day\n")
    days = {"corpus.paths": [f"{probe.mount}/{{YYYY}}-{{MM}}-{{DD}}.txt"], "corpus.window": 4}
    outputs = [f"span_{place}" for place in range(1, 5)]
    found = probe("Fingerprints", outputs, days)[1]
    assert [Slot.parse(found[name]).number for name in outputs] == ["20454", "", "", ""]
    assert len(set(found.values())) == 4
    (probe.mount / "2026-01-02.txt").write_text("another day\n")
    later = probe("Fingerprints", outputs, days)[1]
    assert [later[name] for name in outputs[1:]] == [found["span_1"], found["span_3"], found["span_4"]]


def _report(folder, slot):
    folder.mkdir()
    CorpusReport(1, 0, 1, 6, 0, {}, {}, [], slot.fingerprint, {slot.number: 6}).write(str(folder / CorpusReport.FILE))
    return str(folder)
