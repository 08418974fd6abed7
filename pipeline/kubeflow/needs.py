"""What each task on Kubeflow is told, and nothing else, so that KFP's cache answers it until something of that changes.

KFP compares a task's parameters by value, but its artifacts by their ids, and its command as a whole. So a command has
those settings only on which its task depends. Settings that are parameters of a run come as parameters; and so do
facts: what a task cannot see from its inputs, and another one finds out for it. How and where a task runs (Beam's
engine, the volume) makes no difference to what comes out, and stands in the container's environment, at which the cache
does not look.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, get_origin

from components.corpus.spans import has_spec
from pipeline import config_files, fingerprint, nodes
from pipeline.configs import Config
from pipeline.kubeflow import spec
from pipeline.nodes import Node
from word2vec.settings import Section

# The environment variable with the settings of how and where.
PLACE = "TFX_WORD2VEC_PLACE"


class Source(NamedTuple):
    """Who finds a fact out: a task, and the name of its output parameter."""

    task: str
    output: str


FACTS = {
    "corpus_fingerprint": Source("Fingerprints", "corpus"),
    "benchmarks_fingerprint": Source("Fingerprints", "benchmarks"),
    "schema_fingerprint": Source("Fingerprints", "schema"),
    "model_identity": Source("Trainer", "identity"),
    "start_version": Source("Fingerprints", "start"),
    "pushed_version": Source("PushedVersion", "version"),
}


# What the tasks that read a place of the window are told instead of the whole corpus' fingerprint.
SPAN = "span"

# Tasks that are not components of TFX: they look at what may have changed outside, and so always run (`probes.py`).
PROBES = {
    "Fingerprints": Node(("corpus", "evaluator.benchmarks", "pusher.destination")),
    "PushedVersion": Node(("pusher.destination",), facts=("model_identity",)),
}

# What looks at something outside, so that no cache can answer for it. The Pusher finds a model that is pushed already.
UNCACHED = {*PROBES, "Pusher"}

# What the Trainer makes depends on how many train, where many do. A run on one machine is told that by TF_CONFIG.
_TRAINER = nodes.OF["Trainer"]
_TRAINER = dataclasses.replace(_TRAINER, settings=(*_TRAINER.settings, "kubeflow.training.workers"))

OF = {**nodes.OF, "Trainer": _TRAINER, **PROBES}

# Settings that the Trainer's task needs to make a job of many pods: how and where, and nothing that changes the result.
_OF_THE_JOB = ("image", "image_pull_secrets", "resources", "secrets", "service_account")


def parameter_name(key: str) -> str:
    """A setting's name as a parameter of a run: `trainer.epochs` is `trainer_epochs`."""
    return key.replace(".", "_")


def depends_on(task: str, key: str) -> bool:
    """Whether a task depends on a setting, or on one of a group."""
    return any(key == part or _is_below(key, part) or _is_below(part, key) for part in OF[task].settings)


def facts_of(task: str, config: Config) -> dict[str, Source]:
    """Who finds out what a task has to know besides its inputs, by the fact's name.

    Args:
        task: its name in the specification, with the place of the window, if it is of one.
        config: all settings.
    """
    component = nodes.component_of(task)
    place = task.removeprefix(component).removeprefix("-")
    if place and component == "ExampleGen":
        return {SPAN: Source("Fingerprints", spec.of_place(SPAN, int(place)))}
    return {fact: FACTS[fact] for fact in OF[component].facts}


def sources(config: Config) -> list[Source]:
    """All that tasks find out for others."""
    places = range(1, (config.corpus.window or 0) + 1)
    return [*FACTS.values(), *(Source("Fingerprints", spec.of_place(SPAN, place)) for place in places)]


def settings_of(task: str, config: Config, parameters: Iterable[str]) -> dict[str, Any]:
    """The settings that a task is told in its command.

    Args:
        task: its name.
        config: all settings.
        parameters: the keys of those that are parameters of a run, which the task gets from the run.

    Returns:
        Values by key, as JSON has them.
    """
    settings = {}
    for key, value in _leaves(config.model_dump(mode="json")):
        if depends_on(task, key) and not any(key == other or _is_below(key, other) for other in parameters):
            settings[key] = value
    return settings


def note(task: str, config: Config) -> str:
    """What KFP's cache is to know of a task besides: changes with the code that it runs, and with `kubeflow.root`.

    An image may be replaced under its name; and KFP would take artifacts from another root, and then not find them.
    """
    code = OF[task].code
    return " ".join([*([fingerprint.of_code(*code)] if code else []), config.kubeflow.root])


def place(config: Config, task: str = "") -> str:
    """How and where tasks run, for `PLACE`; a task whose work a job does is told how that is made, too."""
    volume = config.kubeflow.volume
    told = {
        "name": config.name,
        "beam": config.beam.model_dump(mode="json"),
        "kubeflow.volume": volume and volume.model_dump(),
    }
    if has_job(task, config):
        kubeflow = config.kubeflow.model_dump(mode="json")
        told |= {f"kubeflow.{name}": kubeflow[name] for name in _OF_THE_JOB}
        told |= {f"kubeflow.training.{name}": value for name, value in kubeflow["training"].items()}
    return json.dumps(told)


def has_job(task: str, config: Config) -> bool:
    """Whether a task's work is done by a job of many pods, which the task makes and watches."""
    return nodes.component_of(task) == "Trainer" and config.trainer.strategy == "multi_worker"


def config_in_container(settings: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[Config, dict[str, Any]]:
    """What a task knows.

    Args:
        settings: of its command.
        inputs: its parameters by name: settings of the run and facts; others are passed over.

    Returns:
        (the settings, with defaults for all that the task does not depend on; the facts by name)

    Raises:
        UserError: a parameter of the run has a value that is none.
    """
    known = {parameter_name(key): key for key in _keys(Config)}
    given = {known[name]: value for name, value in inputs.items() if name in known}
    needed = {"name": "unknown", "corpus.paths": ["-"], "pusher.destination": "-"}
    values = {**needed, **json.loads(os.environ.get(PLACE, "{}")), **settings, **given}
    if any(map(has_spec, values["corpus.paths"])):
        values.setdefault("corpus.window", 1)  # a task that reads a span need not know of how many
    return config_files.load(None, values=values), {name: inputs[name] for name in (*FACTS, SPAN) if name in inputs}


def _is_below(key: str, group: str) -> bool:
    return key.startswith(f"{group}.")


def _leaves(tree: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """(key, value) of every setting; a setting's value may be a mapping itself."""
    for key in _keys(Config, groups=False):
        value: Any = tree
        for part in key.split("."):
            value = value[part]
        yield key, value


def _keys(model: type[Section], prefix: str = "", *, groups: bool = True) -> Iterable[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        # Python 3.10 takes list[str] for a class, and then `issubclass` refuses it.
        group = kind if isinstance(kind, type) and not get_origin(kind) and issubclass(kind, Section) else None
        if groups or group is None:
            yield f"{prefix}{name}"
        if group is not None:
            yield from _keys(group, f"{prefix}{name}.", groups=groups)
