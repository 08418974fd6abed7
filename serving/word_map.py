"""A map of a version's most frequent words, drawn once somebody looks at it."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import tensorflow as tf

from serving import folders
from serving.errors import not_found
from serving.versions import Version
from word2vec import plane, saved_model_layout, vocabulary


class WordMap:
    """Maps by version.

    Args:
        words: how many are on it.
    """

    def __init__(self, words: int):
        self._words = words
        self._drawn: weakref.WeakKeyDictionary[Version, asyncio.Task[dict[str, Any]]] = weakref.WeakKeyDictionary()

    async def of(self, version: Version) -> dict[str, Any]:
        """The `words`, and the `x` and `y` of each.

        Raises:
            ServingError: the version's files have been removed.
        """
        if version not in self._drawn:
            self._drawn[version] = asyncio.create_task(asyncio.to_thread(self._draw, version.folder))
        try:
            return await asyncio.shield(self._drawn[version])
        except (OSError, tf.errors.OpError):
            self._drawn.pop(version, None)
            raise not_found(f"no map of version {version.number}: its files cannot be read any more") from None

    def _draw(self, folder: str) -> dict[str, Any]:
        words = vocabulary.read(saved_model_layout.vocabulary(folder)).words[: self._words]
        with folders.without_globs(folder) as plain:
            unit = tf.train.load_variable(saved_model_layout.variables(plain), saved_model_layout.key("unit"))
        places = plane.places(unit[: len(words)], seed=1).round(3)
        return {"words": words, "x": places[:, 0].tolist(), "y": places[:, 1].tolist()}
