"""Texts that arrive day by day: each is read once, and a training takes the newest."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import re

import pytest
import tensorflow as tf

from components.card.card import ModelCard
from tests.conftest import make_documents
from tests.e2e.conftest import Project, make_project
from word2vec import pairs, vocabulary

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

    def run(self, *arguments: str, **how):
        paths = f"corpus.paths=[{self.texts}/{{YYYY}}-{{MM}}-{{DD}}.txt]"
        return self.project.run("--set", paths, "--set", "corpus.window=3", *arguments, **how)

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


def test_each_span_has_its_own_pairs(feed, first):
    folders = sorted(feed.project.artifact("Transform", "transformed_examples").iterdir())
    assert [folder.name for folder in folders] == ["0", "1"]
    for folder in folders:
        records = tf.data.TFRecordDataset(sorted(map(str, folder.glob("Split-*/*.gz"))), "GZIP")
        assert sum(1 for _ in records) == 100
        features = tf.io.parse_example(next(iter(records.batch(100))), pairs.features())
        assert len(features[pairs.TOKEN_IDS].flat_values)


def test_nothing_new_is_nothing_to_do(feed, first):
    again = feed.run().stdout
    assert "ExampleGen" not in again
    assert cached(again) == set(re.findall(r"✔ (?!start)(\w+) +[\dc]", again))


def test_days_come_late_twice_and_go(feed, first):
    feed.deliver(4, 200, 300)
    out = feed.run().stdout
    assert read(out) == ["2026-01-04"]
    assert "! the window is 2026-01-02 to 2026-01-04; there is no 2026-01-03\n" in out
    assert "Corpus      200 documents" in out

    feed.deliver(3, 300, 310)  # late
    feed.deliver(4, 200, 320)  # once more
    os.remove(feed.texts / "2026-01-02.txt")  # it was read
    out = feed.run().stdout
    assert read(out) == ["2026-01-03", "2026-01-04"]
    assert "! the window is 2026-01-02 to 2026-01-04; the files are gone of 2026-01-02\n" in out
    words = feed.vocabulary()
    expected = counted([*DOCUMENTS[100:200], *DOCUMENTS[300:310], *DOCUMENTS[200:320]])
    assert dict(zip(words.words, words.counts.tolist(), strict=True)) == expected


def test_a_day_without_text_and_a_file_of_no_day(feed, first):
    feed.deliver(5, 0, 0)
    (feed.texts / "latest-x-y.txt").write_text("a text\n")
    out = feed.run().stdout
    assert read(out) == ["2026-01-05"]
    assert "there is no text in 2026-01-05" in out
    assert "1 files are of no span and were left out; the first: " in out
    (feed.texts / "latest-x-y.txt").unlink()


def test_a_day_that_does_not_fit_the_schema_stops_the_run_and_never_comes_in(feed, first):
    (feed.texts / "2026-01-06.txt").write_bytes(b"".join(b"\xff\xfe broken %d\n" % number for number in range(200)))
    done = feed.run(check=False)
    assert done.returncode == 1
    os.remove(feed.texts / "2026-01-06.txt")
    feed.deliver(7, 0, 100)
    out = feed.run().stdout
    assert "; there is no 2026-01-06; there is no text in 2026-01-05" in out


def test_a_whole_backfill_reads_the_window_only(feed, first):
    for day in range(10, 20):
        feed.deliver(day, 10 * day, 10 * day + 60)
    assert read(feed.run().stdout) == ["2026-01-17", "2026-01-18", "2026-01-19"]
