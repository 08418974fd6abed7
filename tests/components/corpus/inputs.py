"""Reads a corpus as ExampleGen does, but without a pipeline: every file, its report and the report's verdict."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from apache_beam import pvalue

from components import files
from components.corpus import executor, readers
from components.corpus.report import CorpusReport


def read(
    paths: Sequence[str], folder: str, share: float = 1.0, form: str = "auto", compression: str = "auto", **options
):
    """Returns the texts, in the order of the files, and the report; raises UserError as a run would."""
    found = files.find(paths, form, compression)
    read_documents = executor._ReadDocuments(
        readers.ReadOptions(**{"text_field": "text", "max_document_bytes": 1000, **options})
    )
    texts, tallies = [], []
    for file in found:
        for item in read_documents.process(file):
            if isinstance(item, pvalue.TaggedOutput):
                tallies.append(item.value)
            else:
                texts.append(tf.train.Example.FromString(item).features.feature["text"].bytes_list.value[0].decode())
    path = f"{folder}/{CorpusReport.FILE}"
    executor._write_report(tallies, path, None, {"files": len(found)})
    report = CorpusReport.read(path)
    report.check(share)
    return texts, report
