"""The window: which spans a training takes, of those that were read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.components.example_gen import utils
from tfx.dsl.input_resolution.strategies import span_range_strategy
from tfx.proto import range_config_pb2

from components import artifacts
from components.corpus import spans
from word2vec import progress
from word2vec.errors import UserError

# Custom properties of a span's Examples beside TFX's own: how it was read, and how many documents it has.
READING, DOCUMENTS = "reading", "documents"

# Of the spans of a kind, so many are named in a note.
_MOST_NAMES = 31

_Artifacts = dict[str, list[types.Artifact]]


def declare(examples: types.Artifact, span: spans.Span, reading: str, documents: int) -> None:
    """Says of Examples which span they are, in TFX's own properties, and how it was read."""
    examples.set_int_custom_property(utils.SPAN_PROPERTY_NAME, span.number)
    examples.set_int_custom_property(utils.VERSION_PROPERTY_NAME, span.version)
    examples.set_string_custom_property(utils.FINGERPRINT_PROPERTY_NAME, span.fingerprint)
    examples.set_string_custom_property(READING, reading)
    examples.set_int_custom_property(DOCUMENTS, documents)


class Window(span_range_strategy.SpanRangeStrategy):
    """The newest spans that were read and checked: TFX's rolling range, each span once, in its newest version.

    A span whose files are there counts as they are now. One whose files are gone counts as it was read last. So texts
    may be removed when they have been read. A span that is newer than all files is left out: whoever removes the
    newest texts does not want them.

    Takes all Examples (`examples`), and leaves those of the window, the newest span first.

    Args:
        range_config: with TFX's `rolling_range`.
        known: the fingerprints of the spans whose files are there, by their numbers, as JSON.
        reading: how the spans must have been read; see `spans.reading`.
        is_date: whether spans are dates.
        left_out: a note about files where spans are expected, of which none is known; or "".
    """

    def __init__(
        self, range_config: range_config_pb2.RangeConfig, known: str, reading: str, is_date: bool, left_out: str
    ):
        super().__init__(range_config)
        self._known = {int(number): fingerprint for number, fingerprint in json.loads(known).items()}
        self._reading, self._is_date, self._left_out = reading, is_date, left_out

    def resolve_artifacts(self, store: Any, input_dict: _Artifacts) -> _Artifacts | None:
        """TFX's own.

        Raises:
            UserError: no span of the window has text.
        """
        newest: dict[int, types.Artifact] = {}
        for artifact in sorted(input_dict["examples"], key=_age):
            if self._counts(artifact):
                newest[_span(artifact)] = artifact
        resolved = super().resolve_artifacts(store, {"examples": list(newest.values())})
        window = [artifact for artifact in (resolved or {}).get("examples", []) if self._is_checked(store, artifact)]
        self._tell(window)
        full = [artifact for artifact in window if artifact.get_int_custom_property(DOCUMENTS)]
        if not full:
            raise UserError(f"corpus.window = {self._size}: none of these spans has any text")
        return {"examples": full}

    @property
    def _size(self) -> int:
        return self._range_config.rolling_range.num_spans

    def _counts(self, artifact: types.Artifact) -> bool:
        """Whether Examples are of a span as it is now, or as it was before its files were removed."""
        if artifact.get_string_custom_property(READING) != self._reading:
            return False
        number, fingerprint = _span(artifact), artifact.get_string_custom_property(utils.FINGERPRINT_PROPERTY_NAME)
        if number > max(self._known) or self._known.get(number, fingerprint) != fingerprint:
            return False
        is_live = artifact.mlmd_artifact.state == mlmd.Artifact.LIVE
        return is_live and artifacts.damage(artifact.mlmd_artifact) is None

    def _is_checked(self, store: Any, examples: types.Artifact) -> bool:
        """Whether an ExampleValidator found nothing wrong with a span; what it had to stop at must not come in."""
        statistics = artifacts.made_of(store, [examples.id], "ExampleStatistics")
        return bool(statistics and artifacts.made_of(store, statistics, "ExampleAnomalies"))

    def _tell(self, window: list[types.Artifact]) -> None:
        """Notes which spans a training has, and which it lacks."""
        last = max(self._known)
        there = {_span(artifact): artifact.get_int_custom_property(DOCUMENTS) for artifact in window}
        first = max(min(there, default=last), last - self._size + 1)
        told = f"the window is {self._names([first])} to {self._names([last])}"
        for numbers, what in (
            ([number for number in range(first, last + 1) if number not in there], "there is no"),
            ([number for number in sorted(there) if not there[number]], "there is no text in"),
            (
                [number for number in sorted(there) if number not in self._known],
                "the files are gone of",
            ),
        ):
            if numbers:
                told += f"; {what} {self._names(numbers)}"
        progress.note(told)
        if self._left_out:
            progress.note(self._left_out)

    def _names(self, numbers: Sequence[int]) -> str:
        shown = ", ".join(spans.label(number, is_date=self._is_date) for number in numbers[:_MOST_NAMES])
        return shown + (f" and {len(numbers) - _MOST_NAMES:,} more" if len(numbers) > _MOST_NAMES else "")


def _span(artifact: types.Artifact) -> int:
    return artifact.get_int_custom_property(utils.SPAN_PROPERTY_NAME)


def _age(artifact: types.Artifact) -> tuple[int, int]:
    return artifact.get_int_custom_property(utils.VERSION_PROPERTY_NAME), artifact.id
