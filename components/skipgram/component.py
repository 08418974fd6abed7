"""The pipeline's Transform."""

from __future__ import annotations

from tfx.components import Transform
from tfx.dsl.components.base import executor_spec

from components.skipgram import executor


class SkipGramTransform(Transform):
    """TFX's Transform, whose examples come in sorted shards.

    Its `custom_config` holds `word2vec.settings.SkipGramSettings` and `shards`, the number of files per split.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
