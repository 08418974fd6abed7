"""Texts that arrive day by day: each is read once, and a training takes the newest."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import re
import time

import pytest
import tensorflow as tf

from components.card.card import ModelCard
from tests.conftest import make_documents
from tests.e2e.conftest import Project, make_project
from word2vec import pairs, vectors, vocabulary

DOCUMENTS = make_documents(400)


@dataclasses.dataclass(frozen=True)
class Feed:
    """A project whose text arrives in files, one per day."""

    project: Project

    @property
    def texts(self) -> pathlib.Path:
        return self.project.folder / "texts"

    def deliver(self, day: int, begin: int, end: int) -> None:
        """A day's file, with some of the documents."""
        path = self.texts / f"2026-01-{day:02d}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{document}\n" for document in DOCUMENTS[begin:end]))

    @property
    def settings(self) -> list[str]:
        days = f"{self.texts}/{{YYYY}}-{{MM}}-{{DD}}.txt"
        changed = ["corpus.window=3", "corpus.splits={train: 1}"]
        return ["--corpus", days, *(word for setting in changed for word in ("--set", setting))]

    def run(self, *arguments: str, **how):
        return self.project.run(*self.settings, *arguments, **how)

    def start(self, *arguments: str):
        return self.project.start(*self.settings, *arguments)

    def vocabulary(self) -> vocabulary.Vocabulary:
        folder = self.project.artifact("Transform", "transform_graph") / "transform_fn" / "assets"
        return vocabulary.read(str(folder / vocabulary.ASSET))


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    feed = Feed(make_project(tmp_path_factory.mktemp("feed")))
    feed.deliver(1, 0, 100)
    feed.deliver(2, 100, 200)
    return feed


@pytest.fixture(scope="module")
def first(feed):
    return feed.run().stdout


def read(out):
    """The days that a run read."""
    return re.findall(r"✔ ExampleGen (\S+) +\d", out)


def cached(out):
    return set(re.findall(r"✔ (\w+) +cached", out))


def counted(documents):
    words = collections.Counter(word for document in documents for word in re.findall(r"\w+", document.lower()))
    return {word: count for word, count in words.items() if count >= 2}


def test_each_day_is_read_and_the_window_is_trained_on(feed, first):
    assert read(first) == ["2026-01-01", "2026-01-02"]
    assert "! the window is 2026-01-01 to 2026-01-02\n" in first
    assert "Corpus      200 documents" in first
    words = feed.vocabulary()
    assert dict(zip(words.words, words.counts.tolist(), strict=True)) == counted(DOCUMENTS[:200])
    (version,) = feed.project.pushed()
    card = ModelCard.model_validate_json((version / "assets.extra" / "model_card.json").read_text())
    assert list(card.corpus.spans) == ["2026-01-01", "2026-01-02"]
    assert sum(card.corpus.spans.values()) == card.corpus.bytes


def test_the_window_is_one_text(feed, first):
    folder = feed.project.artifact("Transform", "transformed_examples")
    assert [path.name for path in folder.iterdir()] == ["Split-train"]
    records = tf.data.TFRecordDataset(sorted(map(str, folder.glob("Split-train/*.gz"))), "GZIP")
    features = tf.io.parse_example(next(iter(records.batch(1000))), pairs.features())
    assert features[pairs.TOKEN_IDS].nrows() == 200


def test_a_window_is_trained_as_one_corpus_of_the_same_files_is(feed, first):
    settings = [word if "YYYY" not in word else f"{feed.texts}/*.txt" for word in feed.settings]
    feed.project.run("--name", "whole", *settings, "--set", "corpus.window=null")
    for component, key, files in (
        ("Transform", "transformed_examples", "Split-train/*.gz"),
        ("Transform", "transform_graph", f"transform_fn/assets/{vocabulary.ASSET}"),
        ("Trainer", "model", f"{vectors.FOLDER}/{vectors.BINARY}"),
    ):
        days, whole = (
            [path.read_bytes() for path in sorted(feed.project.artifact(component, key, name).glob(files))]
            for name in ("tiny", "whole")
        )
        assert days == whole, key
        assert days


def test_nothing_new_is_nothing_to_do(feed, first):
    again = feed.run().stdout
    assert read(again) == []
    assert cached(again) == set(re.findall(r"✔ (?!start)(\w+) +[\dc]", again))


def _wait_for(expression, following, seconds=200):
    until = time.monotonic() + seconds
    while not re.search(expression, following.said()[0], re.DOTALL):
        assert following.poll() is None, following.said()
        assert time.monotonic() < until, following.said()
        time.sleep(0.1)


def test_who_follows_takes_a_new_day_and_one_who_was_killed_goes_on(feed, first):
    following = feed.start("--follow", "1")
    try:
        _wait_for("waiting for new text", following)  # all of it was trained on before
        assert set(re.findall(r"✔ (?!start)(\w+) +(?!cached)\S", following.said()[0])) == set()
        feed.deliver(4, 200, 300)
        _wait_for("waiting for new text.*✔ Transform ", following)
        time.sleep(1)
    finally:
        following.kill()
        following.wait(30)
    assert read(following.said()[0]) == ["2026-01-04"]
    out = feed.run().stdout
    assert "Transform" in cached(out)
    assert "Trainer" not in cached(out)
    assert read(out) == []
    assert "! the window is 2026-01-02 to 2026-01-04; there is no 2026-01-03\n" in out
    assert "Corpus      200 documents" in out


def test_days_come_late_twice_and_go(feed, first):
    feed.deliver(3, 300, 310)  # late
    feed.deliver(4, 200, 320)  # once more
    os.remove(feed.texts / "2026-01-02.txt")  # it was read
    out = feed.run().stdout
    assert read(out) == ["2026-01-03", "2026-01-04"]
    assert "! the window is 2026-01-02 to 2026-01-04; the files are gone of 2026-01-02\n" in out
    words = feed.vocabulary()
    expected = counted([*DOCUMENTS[100:200], *DOCUMENTS[300:310], *DOCUMENTS[200:320]])
    assert dict(zip(words.words, words.counts.tolist(), strict=True)) == expected


def test_days_without_text_and_days_that_do_not_fit_the_schema(feed, first):
    feed.deliver(5, 0, 0)
    (feed.texts / "2026-01-06.txt").write_bytes(b"".join(b"broken \xff\xfe %d\n" % number for number in range(200)))
    (feed.texts / "latest-x-y.txt").write_text("a text\n")
    done = feed.run(check=False)
    assert done.returncode == 1
    assert read(done.stdout) == ["2026-01-05"]
    os.remove(feed.texts / "2026-01-06.txt")
    feed.deliver(7, 0, 100)
    out = feed.run().stdout
    assert read(out) == ["2026-01-07"]
    assert "; there is no 2026-01-06; there is no text in 2026-01-05" in out
    assert "! 1 file is of no span, and left out; the first: " in out
    (feed.texts / "latest-x-y.txt").unlink()


def test_a_whole_backfill_reads_the_window_only(feed, first):
    for day in range(10, 20):
        feed.deliver(day, 10 * day, 10 * day + 60)
    assert read(feed.run().stdout) == ["2026-01-17", "2026-01-18", "2026-01-19"]


def versions(feed):
    return [path.name for path in feed.project.pushed()]


def test_going_back(feed, first):
    *_, good, bad = before = versions(feed)
    done = feed.run("--rollback", good)
    (again,) = set(versions(feed)) - set(before)
    assert f"Version {good} is served again, as version {again}." in done.stdout
    assert f"Withdrawn, and never a baseline again: {bad}." in done.stdout
    history = feed.run("--history").stdout
    assert re.search(rf"rolled back to {good} +{again} ", history)
    assert re.search(rf"withdrawn +{bad} ", history)
    origin = feed.run("--explain", again).stdout
    assert f"How version {again} was made" in origin
    assert "2026-01-07" in re.findall(r" ExampleGen +execution \d+ +(.*)", origin)

    out = feed.run().stdout  # nothing new: what was rolled back does not come back
    assert "rolled back, not pushed" in out
    assert max(versions(feed), key=int) == again

    feed.deliver(20, 0, 100)
    out = feed.run().stdout
    assert read(out) == ["2026-01-20"]
    new = max(versions(feed), key=int)
    card = ModelCard.model_validate_json(
        (feed.project.folder / "runs/tiny/serving_model" / new / "assets.extra/model_card.json").read_text()
    )
    assert f"compared with is version {good}" in feed.run("--explain", new).stdout or card.baseline is not None
    wrong = feed.run("--rollback", "17", check=False)
    assert "error: rollback 17: no such version is in " in wrong.stderr


KEEP = ("--set", "keep={runs: 1, spans: 3, versions: 2}")
ONE_SPACE = ("--set", "trainer.warm_start=true", "--set", "trainer.align=last_blessed")


def size(folder):
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_is_not_needed_goes(feed, first):
    folder = feed.project.folder / "runs" / "tiny"
    made = folder / "artifacts"
    (folder / "checkpoints" / "of-a-killed-run").mkdir(parents=True)
    before, pushed = size(made), versions(feed)
    planned = feed.run(*KEEP, "--clean", "--dry-run").stdout
    assert size(made) == before
    assert re.search(r"\d+ folders, [\d.]+ MB, would be removed\.", planned)
    done = feed.run(*KEEP, "--clean").stdout
    assert re.search(r"\d+ folders, [\d.]+ MB, were removed\.", done)
    assert size(made) < before / 2
    assert versions(feed) == pushed[-2:]
    assert not (folder / "checkpoints" / "of-a-killed-run").exists()
    assert "0 folders, 0.0 MB, were removed." in feed.run(*KEEP, "--clean").stdout
    for version in versions(feed):
        origin = feed.run("--explain", version).stdout
        for uri in re.findall(rf"{folder}/artifacts/\w+/\w+/\d+", origin):
            assert os.path.exists(uri), uri
    again = feed.run(*KEEP).stdout  # what was kept is what the cache answers with
    assert cached(again) == set(re.findall(r"✔ (?!start)(\w+) +[\dc]", again))


def test_the_disk_does_not_fill(feed, first):
    folder = feed.project.folder / "runs" / "tiny"
    sizes = [size(folder / "artifacts") + size(folder / "serving_model")]
    for day in (21, 22, 23):
        feed.deliver(day, 10 * (day - 20), 10 * (day - 20) + 100)
        feed.run(*KEEP, *ONE_SPACE)
        sizes.append(size(folder / "artifacts") + size(folder / "serving_model"))
    assert max(sizes) < 1.2 * min(sizes)
    assert len(versions(feed)) == 2
    # Those of the versions, and the one that the older of them was started from; not what that one was started from.
    assert len(list((folder / "artifacts/Trainer/model").iterdir())) <= 3


def test_versions_in_one_space(feed, first):
    feed.deliver(24, 0, 100)
    before = max(versions(feed), key=int)
    out = feed.run(*ONE_SPACE, "--set", "evaluator.min_stability=0.5").stdout
    new = max(versions(feed), key=int)
    assert new != before
    stability = float(re.search(r"Stability +(\d\.\d+) \(≥ 0.5\)", out)[1])
    cards = [
        ModelCard.model_validate_json(
            (feed.project.folder / "runs/tiny/serving_model" / version / "assets.extra/model_card.json").read_text()
        )
        for version in (before, new)
    ]
    assert cards[0].space == cards[1].space
    assert cards[1].stability == pytest.approx(stability, abs=1e-3)
    again = feed.run(*ONE_SPACE, "--set", "evaluator.min_stability=0.5").stdout
    assert "Trainer" in cached(again)  # a model of the same text is none to start from

    feed.deliver(25, 0, 100)
    out = feed.run("--set", "trainer.seed=9", "--set", "evaluator.min_stability=0.999").stdout
    assert "not blessed, not pushed" in out
    assert re.search(r"stability -?\d\.\d+ is \d\.\d+ below its threshold 0.999 \(evaluator.min_stability\)", out)


def test_a_text_that_is_another_one_altogether_is_not_trained_on(feed, first):
    for day in (26, 27, 28):
        (feed.texts / f"2026-01-{day}.txt").write_text("lorem ipsum dolor sit amet\n" * 100)
    done = feed.run("--set", "trainer.max_drift=0.2", check=False)
    assert done.returncode == 1
    assert "since the last blessed model, trainer.max_drift allows 0.2: nothing was trained" in done.stderr
