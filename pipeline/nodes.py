"""The pipeline's components by name: on which settings and code each depends, and with which of Beam's options it runs.

A new component is named here, made in its folder below `components/`, and joined to the others in `pipeline.py`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Literal

from pipeline import fingerprint
from pipeline.configs import CorpusConfig, EvaluatorConfig
from word2vec.settings import Section


@dataclasses.dataclass(frozen=True)
class Node:
    """One component.

    Attributes:
        settings: keys, or groups of them, on which it depends.
        facts: what it cannot see from its inputs; names in `kubeflow.needs.FACTS`.
        code: the folders below `components/` whose code it runs.
        beam: which of `engines.Arguments` are its own; None where Beam has no part in it.
    """

    settings: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    beam: Literal["text", "transform", "evaluator"] | None = None


def _fields(group: str, model: type[Section], *without: str) -> tuple[str, ...]:
    return tuple(f"{group}.{name}" for name in model.model_fields if name not in without)


OF = {
    "QuestionExampleGen": Node(
        ("evaluator.benchmarks", "evaluator.thresholds", "tuner.trials", "tuner.weights", "tuner.questions_seed"),
        ("benchmarks_fingerprint",),
        ("questions",),
    ),
    "ExampleGen": Node(
        _fields("corpus", CorpusConfig, "schema_file", "window"), ("corpus_fingerprint",), ("corpus",), beam="text"
    ),
    "SchemaGen": Node(("corpus.schema_file",), ("schema_fingerprint",), ("corpus",)),
    "StatisticsGen": Node(beam="text"),
    "ExampleValidator": Node(code=("corpus",)),
    "Transform": Node(("skipgram", "corpus.shards", "corpus.splits"), code=("skipgram",), beam="transform"),
    "LastBlessedModel": Node(
        ("trainer.warm_start", "trainer.align", "trainer.max_drift", "pusher.destination"),
        ("start_version",),
        ("pusher",),
    ),
    "Tuner": Node(
        ("tuner", "trainer", "skipgram", "corpus.splits", "evaluator.min_coverage", "evaluator.composed_words"),
        code=("tuner",),
    ),
    "Trainer": Node(("trainer", "skipgram", "corpus.splits", "tuner.trials"), code=("trainer",)),
    "Baseline": Node(("pusher.destination",), ("pushed_version",), ("pusher",)),
    "Evaluator": Node(
        (*_fields("evaluator", EvaluatorConfig, "benchmarks"), "tuner.trials"), code=("evaluator",), beam="evaluator"
    ),
    "ModelCard": Node(("name", "corpus", "skipgram", "trainer", "tuner", "evaluator"), code=("card", "evaluator")),
    "InfraValidator": Node(("serving",), code=("infra_validator",)),
    "Pusher": Node(("pusher.destination", "keep.versions", "serving.infra_validation"), code=("pusher",)),
    "Report": Node(("report",), code=("report",)),
}


def component_of(node: str) -> str:
    """The component that a node is one of: on a cluster each span of a window has its own, as ExampleGen-3."""
    return re.sub(r"-[0-9]+$", "", node)


def code_of(component: str) -> str:
    """The fingerprint of the code that a component runs, and of the libraries' versions."""
    return fingerprint.of_code(*OF[component].code)


# What runs on the engine: the components that read the text.
ON_THE_ENGINE = tuple(name for name, node in OF.items() if node.beam in ("text", "transform"))
