from __future__ import annotations

import json

import ml_metadata
import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.proto import range_config_pb2
from tfx.types import standard_artifacts

from components import artifacts
from components.corpus import spans, window
from components.files import CorpusFile
from word2vec.errors import UserError

READING = "as today"


class Metadata:
    """What runs have read, in a store of its own."""

    def __init__(self, folder):
        config = mlmd.ConnectionConfig()
        config.fake_database.SetInParent()
        self.store = ml_metadata.MetadataStore(config)
        self._folder = folder
        self.examples: list[standard_artifacts.Examples] = []

    def read(self, number, version=0, content="", *, documents=1, checked=True, reading=READING):
        """As an ingestion leaves it: Examples, and what was made of them if they were checked."""
        examples = standard_artifacts.Examples()
        examples.uri = str(self._folder / str(len(self.examples)))
        (self._folder / str(len(self.examples))).mkdir()
        (self._folder / str(len(self.examples)) / "file").write_text("text")
        window.declare(examples, self.span(number, version, content), reading, documents)
        artifacts.take_stock(examples.mlmd_artifact)
        examples.mlmd_artifact.state = mlmd.Artifact.LIVE
        self._put(examples)
        if checked:
            statistics, anomalies = standard_artifacts.ExampleStatistics(), standard_artifacts.ExampleAnomalies()
            self._execute(examples, statistics)
            self._execute(statistics, anomalies)
        self.examples.append(examples)
        return examples

    @staticmethod
    def span(number, version=0, content=""):
        return spans.Span(number, version, False, (CorpusFile(f"{number}{content}", "lines", "none", 1, 1.0),))

    def _put(self, artifact):
        kind = mlmd.ArtifactType(name=artifact.type_name)
        for name, value in artifact.artifact_type.properties.items():
            kind.properties[name] = value
        artifact.type_id = self.store.put_artifact_type(kind, can_add_fields=True)
        (artifact.id,) = self.store.put_artifacts([artifact.mlmd_artifact])

    def _execute(self, taken, made):
        self._put(made)
        kind = self.store.put_execution_type(mlmd.ExecutionType(name="any"))
        (execution,) = self.store.put_executions([mlmd.Execution(type_id=kind)])
        self.store.put_events([
            mlmd.Event(execution_id=execution, artifact_id=taken.id, type=mlmd.Event.INPUT),
            mlmd.Event(execution_id=execution, artifact_id=made.id, type=mlmd.Event.OUTPUT),
        ])  # fmt: skip

    def window(self, size, *known, left_out=""):
        """The Examples in the window; `known` are the spans whose files are there."""
        strategy = window.Window(
            range_config_pb2.RangeConfig(rolling_range=range_config_pb2.RollingRange(num_spans=size)),
            known=json.dumps({span.number: span.fingerprint for span in known}),
            reading=READING,
            is_date=False,
            left_out=left_out,
        )
        return strategy.resolve_artifacts(self.store, {"examples": self.examples})["examples"]


@pytest.fixture
def metadata(tmp_path):
    return Metadata(tmp_path)


def test_the_newest_spans_the_newest_first(metadata, notes):
    one, two, three = (metadata.read(number) for number in (1, 2, 3))
    known = [metadata.span(number) for number in (1, 2, 3)]
    assert metadata.window(2, *known) == [three, two]
    assert metadata.window(9, *known) == [three, two, one]
    assert notes == ["the window is 2 to 3", "the window is 1 to 3"]


def test_a_missing_span_takes_its_place_and_is_told(metadata, notes):
    _, two, five = (metadata.read(number) for number in (1, 2, 5))
    assert metadata.window(4, *(metadata.span(number) for number in (1, 2, 5))) == [five, two]
    assert notes == ["the window is 2 to 5; there is no 3, 4"]


def test_the_newest_version_counts_even_if_it_was_read_first(metadata):
    new = metadata.read(1, version=2, content="b")
    metadata.read(1, version=1, content="a")
    assert metadata.window(1, metadata.span(1, 2, "b")) == [new]


def test_a_span_counts_as_its_files_are_now(metadata):
    before = metadata.read(1, content="before")
    after = metadata.read(1, content="after")
    assert metadata.window(1, metadata.span(1, content="after")) == [after]
    assert metadata.window(1, metadata.span(1, content="before")) == [before]  # somebody has put it back


def test_texts_may_be_removed_once_they_are_read(metadata, notes):
    one, two, three = (metadata.read(number) for number in (1, 2, 3))
    assert metadata.window(3, metadata.span(3)) == [three, two, one]
    assert notes == ["the window is 1 to 3; the files are gone of 1, 2"]


def test_of_a_span_whose_files_are_gone_the_newest_version_counts(metadata):
    metadata.read(1, version=1)
    new, two = metadata.read(1, version=2), metadata.read(2)
    assert metadata.window(2, metadata.span(2)) == [two, new]


def test_a_newest_span_that_was_removed_is_not_wanted(metadata):
    one, _ = metadata.read(1), metadata.read(20620101)
    assert metadata.window(7, metadata.span(1)) == [one]


def test_what_was_not_checked_does_not_come_in(metadata):
    metadata.read(1, checked=False)
    two = metadata.read(2)
    assert metadata.window(7, metadata.span(2)) == [two]


def test_what_was_read_in_another_way_does_not_count(metadata):
    metadata.read(1, reading="as yesterday")
    two = metadata.read(2)
    assert metadata.window(7, metadata.span(1), metadata.span(2)) == [two]


@pytest.mark.parametrize("damage", ["removed", "deleted"])
def test_what_is_gone_does_not_count(metadata, tmp_path, damage):
    one, two = metadata.read(1), metadata.read(2)
    if damage == "removed":
        (tmp_path / "0" / "file").unlink()
    else:
        one.mlmd_artifact.state = mlmd.Artifact.DELETED
    assert metadata.window(7, metadata.span(1), metadata.span(2)) == [two]


def test_a_span_without_text_is_told_and_left_out(metadata, notes):
    metadata.read(1, documents=0)
    two = metadata.read(2)
    assert metadata.window(7, metadata.span(1), metadata.span(2)) == [two]
    assert notes == ["the window is 1 to 2; there is no text in 1"]
    with pytest.raises(UserError, match=r"corpus.window = 1: none of these spans has any text"):
        metadata.window(1, metadata.span(1))


def test_files_of_no_span_are_told(metadata, notes):
    metadata.read(1)
    metadata.window(1, metadata.span(1), left_out="2 files are of no span")
    assert notes[1] == "2 files are of no span"


def test_examples_of_questions_are_no_spans(metadata):
    one = metadata.read(1)
    questions = standard_artifacts.Examples()
    questions.id = 99
    metadata.examples.append(questions)
    assert metadata.window(1, metadata.span(1)) == [one]
