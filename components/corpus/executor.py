"""ExampleGen's executor: the corpus's files in, tf.Examples {text} out, and a report of what was read and skipped."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils

from components import files, records
from components.corpus import readers, spans, window
from components.corpus.report import EXAMPLES_PER_REASON, CorpusReport
from word2vec.errors import UserError, printable


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads every file once, in parallel by file, and writes sharded tf.Examples."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.dsl.components.base.base_executor.BaseExecutor.Do`.

        Raises:
            UserError: a file that can't be read, too many skipped documents, or a split without any document.
        """
        del input_dict
        settings = json.loads(exec_properties["corpus"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        splits: dict[str, int] = settings["splits"]
        records.declare(examples, list(splits))  # TFX tells folders of named splits only
        span = _span_of(settings, exec_properties["span"])
        corpus_files = (
            files.find(settings["paths"], settings["form"], settings["compression"]) if span is None else span.files
        )
        _check_fingerprint(corpus_files, exec_properties["fingerprint"])
        options = readers.ReadOptions(
            **{field.name: settings[field.name] for field in dataclasses.fields(readers.ReadOptions)}
        )

        report_path = os.path.join(examples.uri, CorpusReport.FILE)
        known = {"files": len(corpus_files), "fingerprint": files.fingerprint(corpus_files)}
        with self._make_beam_pipeline() as pipeline:
            read = (
                pipeline
                | "Files" >> beam.Create(corpus_files)
                | "Spread" >> beam.Reshuffle()
                | "Read" >> beam.ParDo(_ReadDocuments(options)).with_outputs("tally", main="documents")
            )
            weights = list(splits.values())
            split = beam.Partition(_split_of, len(splits), weights)  # type: ignore[arg-type]  # Beam wraps functions
            by_split = read.documents | "Split" >> split
            for name, documents in zip(splits, by_split, strict=True):
                folder = artifact_utils.get_split_uri([examples], name)
                documents | f"Write[{name}]" >> records.WriteShards(folder, settings["shards"])
            (
                read.tally
                | "Together" >> beam.combiners.ToList()
                | "Report" >> beam.Map(_write_report, report_path, span and span.label, known)
            )

        report = CorpusReport.read(report_path)
        report.check(settings["max_skipped_share"], may_be_empty=span is not None)
        if span is not None:
            window.declare(examples, span, spans.reading(exec_properties["corpus"]), report.documents)
        for name in splits:
            folder = artifact_utils.get_split_uri([examples], name)
            if tf.io.gfile.glob(os.path.join(folder, "*")):
                continue
            if span is None:
                raise UserError(
                    f"corpus.splits.{name}: none of the {report.documents:,} documents fell into this split. "
                    "Give it more weight, or leave it out"
                )
            records.write_empty(folder)


def _span_of(settings: Mapping[str, Any], number: str) -> spans.Span | None:
    """The span to read; None where a corpus has none.

    Raises:
        UserError: there are no files of it.
    """
    if not number:
        return None
    there, _ = spans.find(settings["paths"], settings["form"], settings["compression"])
    for span in there:
        if span.number == int(number):
            return span
    name = spans.label(int(number), is_date=there[0].is_date)
    raise UserError(f"corpus: the files of {name} were removed since this run began. Start the run again")


def _check_fingerprint(corpus_files: Sequence[files.CorpusFile], fingerprint: str) -> None:
    """Makes sure that the examples will be those of the files for which the cache will know them.

    Raises:
        UserError: files were added, removed or rewritten since the fingerprint was taken.
    """
    if fingerprint and fingerprint != files.fingerprint(corpus_files):
        newest = max(corpus_files, key=lambda file: file.modified)
        when = datetime.datetime.fromtimestamp(newest.modified).isoformat(" ", "seconds")
        raise UserError(
            "corpus: files were added, removed or written anew since this run began; the newest is "
            f"{printable(newest.path)} ({when}). Start the run again when they are complete"
        )


def _split_of(record: bytes, count: int, weights: Sequence[int]) -> int:
    """A record's split, decided by its bytes; not by the part of the hash that decides its shard."""
    del count
    place = (records.key(b"split" + record) >> 16) % sum(weights)
    for index, weight in enumerate(weights):
        if place < weight:
            return index
        place -= weight
    raise AssertionError("a place below the sum of the weights is below one of them")


class _ReadDocuments(beam.DoFn):
    """Files to serialized tf.Examples, and beside them one tally per file."""

    def __init__(self, options: readers.ReadOptions):
        self._options = options

    def process(self, file: files.CorpusFile) -> Iterator[Any]:
        counts: collections.Counter[str] = collections.Counter()
        problems: dict[str, list[str]] = collections.defaultdict(list)
        fatal: list[str] = []
        path = printable(file.path)
        for item in readers.read(file, self._options):
            if isinstance(item, readers.Problem):
                place = f"{path}, {item.place}" if item.place else path
                text = ": ".join(part for part in (place, item.reason, printable(item.detail)) if part)
                if item.fatal:
                    fatal.append(text)
                    continue
                counts[f"skipped {item.reason}"] += 1
                if len(problems[item.reason]) < EXAMPLES_PER_REASON:
                    problems[item.reason].append(text)
            elif text := item.text.strip():
                counts["documents"] += 1
                data = text.encode()
                counts["bytes"] += len(data)
                yield _example(data)
            else:
                counts["empty"] += 1
        counts["empty files"] += counts.total() == 0 and not fatal
        yield beam.pvalue.TaggedOutput("tally", (path, dict(counts), dict(problems), fatal))


def _example(text: bytes) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text]))
    return tf.train.Example(features=tf.train.Features(feature={"text": feature})).SerializeToString(deterministic=True)


def _write_report(
    tallies: list[tuple[str, Mapping[str, int], Mapping[str, list[str]], list[str]]],
    path: str,
    span: str | None,
    known: Mapping[str, Any],
) -> None:
    counts: collections.Counter[str] = collections.Counter()
    examples: dict[str, list[str]] = collections.defaultdict(list)
    fatal: list[str] = []
    for source, file_counts, file_problems, file_fatal in sorted(tallies, key=lambda tally: tally[0]):
        counts.update(file_counts)
        fatal.extend(file_fatal)
        if file_counts["empty files"]:
            examples["empty file"] = [*examples["empty file"], source][:EXAMPLES_PER_REASON]
        for reason, texts in file_problems.items():
            examples[reason] = (examples[reason] + texts)[:EXAMPLES_PER_REASON]
    skipped = {
        key.removeprefix("skipped "): count for key, count in sorted(counts.items()) if key.startswith("skipped ")
    }
    CorpusReport(
        **known,
        empty_files=counts["empty files"],
        documents=counts["documents"],
        bytes=counts["bytes"],
        empty=counts["empty"],
        skipped=skipped,
        examples=dict(examples),
        fatal=fatal,
        spans={} if span is None else {span: counts["bytes"]},
    ).write(path)
