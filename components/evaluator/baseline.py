"""Finds the model that a new one is compared with, or starts from."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.evaluator import constants
from tfx.components.util import model_utils
from tfx.dsl.components.common import resolver
from tfx.utils import path_constants

from components import artifacts
from word2vec import progress, saved_vectors

CANDIDATE, TEXT = "candidate", "transform_graph"

_Artifacts = dict[str, list[types.Artifact]]


class LastBlessed(resolver.ResolverStrategy):
    """The last blessed model from which a training can start.

    Takes all models (`model`) and blessings (`model_blessing`), and perhaps the text to train on (`transform_graph`):
    then a model that was trained on the same text does not count, so that a run without new text has nothing to do.
    """

    def resolve_artifacts(self, store: Any, input_dict: _Artifacts) -> _Artifacts | None:
        """TFX's own: of the models and the blessings at most one is left; what else there is must stay."""
        text = {name: found for name, found in input_dict.items() if name == TEXT}
        own = set(artifacts.made_of(store, [graph.id for graph in text[TEXT]], "Model")) if text else set()
        others = {**input_dict, "model": [model for model in input_dict["model"] if model.id not in own]}
        start = _newest_whole(others, "to start from", (f"{path_constants.SERVING_MODEL_DIR}/{saved_vectors.START}",))
        return {**start, **text}


class LastBlessedOther(resolver.ResolverStrategy):
    """The last blessed model that is not the candidate itself, which a run whose Trainer was cached has had blessed.

    Takes all models (`model`) and blessings (`model_blessing`), and the `candidate`.
    """

    def resolve_artifacts(self, store: Any, input_dict: _Artifacts) -> _Artifacts | None:
        """TFX's own: the models and blessings, of which at most one is left."""
        candidates = input_dict[CANDIDATE]
        own = {artifact.id for artifact in candidates}
        others = {**input_dict, "model": [model for model in input_dict["model"] if model.id not in own]}
        resolved = _newest_whole(others, "to compare with", (path_constants.SERVING_MODEL_DIR,))
        return {**resolved, CANDIDATE: candidates}


def _newest_whole(input_dict: _Artifacts, purpose: str, folders: tuple[str, ...]) -> _Artifacts:
    """The newest blessed model whose files are there, and its blessing; says which ones it had to pass over.

    Args:
        input_dict: all models and blessings.
        purpose: what the model is for.
        folders: what is needed of it.
    """
    blessings = {
        blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY): blessing
        for blessing in input_dict["model_blessing"]
        if model_utils.is_model_blessed(blessing)
    }
    blessed = [model for model in input_dict["model"] if model.id in blessings]
    gone: list[str] = []
    for model in sorted(blessed, key=lambda model: model.id, reverse=True):
        damage = next(filter(None, (artifacts.damage(model.mlmd_artifact, below=folder) for folder in folders)), None)
        if damage is None:
            _tell(gone, purpose, f"the blessed one before it, {model.uri}, takes its place")
            return {"model": [model], "model_blessing": [blessings[model.id]]}
        gone.append(f"{model.uri} ({damage})")
    _tell(gone, purpose, "there is no other one")
    return {"model": [], "model_blessing": []}


def _tell(gone: list[str], purpose: str, instead: str) -> None:
    if gone:
        progress.note(f"the last blessed model, {purpose}, is not whole: {', '.join(gone)}; {instead}")
