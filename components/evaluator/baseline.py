"""Finds the model that a new one is compared with."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy

CANDIDATE = "candidate"


class LastBlessedOther(resolver.ResolverStrategy):
    """The last blessed model that is not the candidate itself, which a run whose Trainer was cached has had blessed.

    Takes all models (`model`) and blessings (`model_blessing`), and the `candidate`.
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """TFX's own: the models and blessings, of which at most one is left."""
        candidates = input_dict[CANDIDATE]
        own = {artifact.id for artifact in candidates}
        others = {
            "model": [model for model in input_dict["model"] if model.id not in own],
            "model_blessing": input_dict["model_blessing"],
        }
        found = latest_blessed_model_strategy.LatestBlessedModelStrategy().resolve_artifacts(store, others)
        return {**(found or {key: [] for key in others}), CANDIDATE: candidates}
