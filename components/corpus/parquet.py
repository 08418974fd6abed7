"""Parquet: a column of texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.corpus import documents
from components.corpus.documents import Document, Problem, ReadOptions, UnreadableError

_ROWS = 1024
_BATCH_BYTES = 1 << 26
_BUFFER = 1 << 16
_TOO_LONG = "too long"


def read_parquet(stream: BinaryIO, options: ReadOptions) -> Iterator[Document | Problem]:
    """A Parquet file's column `text_field`, some rows at a time.

    The column may be of text, of bytes in UTF-8 or of categories, and may stand in a struct (`review.body`).
    """
    source = pa.PythonFile(stream, mode="r")
    table = pq.ParquetFile(source, pre_buffer=False)
    kind = _type(table.schema_arrow, options)
    _check_type(kind, options)
    if options.text_field in table.schema_arrow.names:  # so that a dictionary's values are held once, not once per row
        table = pq.ParquetFile(
            source,
            metadata=table.metadata,
            read_dictionary=[options.text_field],
            buffer_size=_BUFFER,
            pre_buffer=False,
        )
    row = 0
    for group in range(table.num_row_groups):
        size = _batch_size(table.metadata.row_group(group), options)
        for batch in table.iter_batches(batch_size=size, row_groups=[group], columns=[options.text_field]):
            for value in _values(batch.column(0), options):
                row += 1
                yield _document(value, f"row {row}", options)


def _type(schema: pa.Schema, options: ReadOptions) -> pa.DataType:
    """The column's type; of a path with dots, what it leads to through structs."""
    if options.text_field in schema.names:
        if schema.names.count(options.text_field) > 1:
            raise documents.two_columns(options)
        return schema.field(options.text_field).type
    fields = list(schema)
    kind = None
    for name in options.text_field.split("."):
        types = [field.type for field in fields if field.name == name]
        if len(types) != 1:
            raise documents.no_column(schema.names, options)
        kind = types[0]
        fields = [kind.field(index) for index in range(kind.num_fields)] if pa.types.is_struct(kind) else []
    return kind


def _check_type(kind: pa.DataType, options: ReadOptions) -> None:
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    if not any(each(values) for each in known):
        what = " ".join(str(kind).split())
        raise UnreadableError(f"column {options.text_field!r} holds {what[:80]}, expected text (corpus.text_field)")


def _batch_size(group: pq.RowGroupMetaData, options: ReadOptions) -> int:
    """How many rows at a time: few, where they are long."""
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema == options.text_field:
            return max(1, min(_ROWS, _BATCH_BYTES * column.num_values // max(1, column.total_uncompressed_size)))
    return _ROWS


def _values(column: pa.Array, options: ReadOptions) -> Iterator[bytes | str | None]:
    """Each row's bytes; of what is too long the length alone is looked at, for many rows may have the same value."""
    while pa.types.is_struct(column.type):
        (column,) = column.flatten()
    indices = column.indices.to_pylist() if pa.types.is_dictionary(column.type) else range(len(column))
    values = (column.dictionary if pa.types.is_dictionary(column.type) else column).cast(pa.large_binary())
    sizes = pc.binary_length(values).to_pylist()
    for index in indices:
        size = None if index is None else sizes[index]
        if size is None:
            yield None
        else:
            yield _TOO_LONG if size > options.max_document_bytes else values[index].as_py()


def _document(value: bytes | str | None, place: str, options: ReadOptions) -> Document | Problem:
    if value is None:
        return Problem("no text field", place, f"{options.text_field!r} is null")
    if isinstance(value, str):
        return documents.too_long(place, options)
    return documents.make(value.decode("utf-8", "surrogateescape"), place, options, "utf-8")
