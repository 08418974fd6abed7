"""What keeps a pipeline from running on Kubeflow, found before anything is compiled, started or even imported."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from pipeline import engines
from pipeline.configs import Config, VolumeConfig
from pipeline.kubeflow import needs, spec
from word2vec import tuning
from word2vec.errors import UserError

# KFP makes pods' names and labels of a pipeline's name, and TFX and KFP take no more than a label may have.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

# Settings that decide which components there are.
_OF_THE_GRAPH = ("corpus.window", "trainer.warm_start", "trainer.align", "tuner.trials", "serving.infra_validation")

# Where KFP's own volumes are in a container: objects' files, and what libraries keep.
_OF_KFP = ("/gcs", "/kfp-launcher", "/kfp-workspace", "/minio", "/s3", "/.cache", "/.config", "/.local")

# What Kubernetes changes in a container's arguments, and KFP does not keep from it.
_EXPANDED = re.compile(r"\$[$(]")

# What Linux takes as one argument of a process, less what KFP puts around ours.
LARGEST_ARGUMENT = 131_072
_AROUND = 8_192


def check(config: Config) -> None:
    """Makes sure that a cluster can use the settings.

    Raises:
        UserError: it can't.
    """
    if not _NAME.fullmatch(config.name):
        raise UserError(
            f"name = {config.name!r}: Kubeflow takes at most 63 small letters, digits and -, no - at either end"
        )
    if not config.pusher.destination:
        raise UserError("pusher.destination: is needed, for on a cluster there is no run folder to put the model into")
    check_destination(config)
    _check_volume(config.kubeflow.volume)
    for task in needs.OF:
        for key, value in {**needs.settings_of(task, config, ()), **json.loads(needs.place(config, task))}.items():
            _check_kept(key, value)
    _check_kept("kubeflow.root", config.kubeflow.root)
    _check_local_settings(config)
    if engines.is_remote(config.beam):
        exchange(config)
    _check_infra_validation(config)
    _check_training_job(config)
    tuning.check(config.tuner, config.trainer)
    _check_tasks(config)


def _check_volume(volume: VolumeConfig | None) -> None:
    """Makes sure that the volume is where nothing else is."""
    if volume is None:
        return
    for path in _OF_KFP:
        if is_on(VolumeConfig(claim=volume.claim, path=path), volume.path):
            raise UserError(
                f"kubeflow.volume.path = {volume.path}: KFP has {path} itself. Give another one, as /mnt/models"
            )


def _check_kept(name: str, value: Any) -> None:
    """Makes sure that a container is told what stands in the settings."""
    if _EXPANDED.search(json.dumps(value)):
        raise UserError(
            f"{name}: has $$ or $(, which Kubernetes replaces in what a container is told. Expected names without them"
        )


def _check_local_settings(config: Config) -> None:
    """Makes sure that nothing is asked for that only runs on one machine do."""
    if config.keep.runs is not None or config.keep.spans is not None:
        raise UserError(
            "keep: of what is kept below kubeflow.root, only runs on one machine (local_runner.py) remove anything. "
            "Leave out keep.runs and keep.spans, and give the bucket a lifecycle rule"
        )


def exchange(config: Config) -> str:
    """The folder that a component's container and the engine's workers both see.

    Raises:
        UserError: none is set.
    """
    if not config.beam.exchange:
        raise UserError(
            f"beam.exchange: is needed, for the workers of {config.beam.runner} do not see the files of a component's "
            "container. Give a folder of a volume that both have, or a URI as gs://bucket/exchange"
        )
    return config.beam.exchange


def check_destination(config: Config) -> None:
    """Makes sure that a pushed model outlives the container that pushes it.

    Raises:
        UserError: it would be lost.
    """
    named, volume = config.pusher.destination or "", config.kubeflow.volume
    is_fixed = named.startswith("/") or "://" in named  # what is relative is another folder in a container
    if "://" not in config.destination and not (volume and is_fixed and is_on(volume, config.destination)):
        where = f"which is at {volume.path}" if volume else "of which there is none"
        raise UserError(
            f"pusher.destination = {named}: what is written there is gone with the container. Give a folder of "
            f"kubeflow.volume ({where}), or a URI as s3://bucket/word2vec"
        )


def is_on(volume: VolumeConfig, path: str) -> bool:
    """Whether an absolute path is on the volume."""
    return f"{os.path.normpath(path)}/".startswith(f"{volume.path.rstrip('/')}/")


def check_parameters(made: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Makes sure that a run can be started with these parameters, as KFP's API server will.

    Args:
        made: the `PipelineSpec`, as JSON.
        given: the run's parameters by name.

    Raises:
        UserError: there is no such parameter, or it is of another type.
    """
    known = spec.parameters(made)
    for name, value in given.items():
        if name not in known:
            raise UserError(f"parameter {name}: there is none. There are {', '.join(sorted(known))}")
        kind, meaning = spec.KINDS[known[name]["parameterType"]]
        numbers = (int, float) if kind in (int, float) else kind
        is_right = isinstance(value, numbers) and isinstance(value, bool) == (kind is bool)
        if not is_right or (kind is int and value != int(value)):
            raise UserError(f"parameter {name} = {json.dumps(value)}: expected {meaning}")
        _check_kept(f"parameter {name}", value)


def check_sizes(made: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Makes sure that all arguments with which KFP starts containers are below Linux' limit.

    Args:
        made: the `PipelineSpec`, as JSON.
        given: the run's parameters by name; for the others it has defaults.

    Raises:
        UserError: one is above; it names the setting that makes it so large.
    """
    values = spec.values(made, given)
    for name, task in spec.tasks(made).items():
        of_run = {
            parameter: values[source["componentInputParameter"]]
            for parameter, source in task.get("inputs", {}).get("parameters", {}).items()
            if "componentInputParameter" in source
        }
        settings = json.loads(spec.argument(made, name, "--settings"))
        _check_size(f"{name}'s settings", settings, spec.container(made, name))
        _check_size(f"{name}'s parameters", of_run, of_run)
    _check_size("the run's parameters", values, values)


def _check_size(what: str, parts: Mapping[str, Any], argument: Any) -> None:
    size = _size(argument)
    if size + _AROUND <= LARGEST_ARGUMENT:
        return
    largest = max(parts, key=lambda name: _size(parts[name]))
    raise UserError(
        f"{largest}: is too large: {what} are {size / 1024:,.0f} KB in one argument of a container, and Linux takes "
        f"{LARGEST_ARGUMENT // 1024}. Name a folder or a glob instead of many files"
    )


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def _check_infra_validation(config: Config) -> None:
    if config.serving.infra_validation == "docker":
        raise UserError("serving.infra_validation = docker: in a cluster, set it to kubernetes")
    if config.serving.infra_validation == "kubernetes" and not config.kubeflow.volume:
        raise UserError(
            "serving.infra_validation = kubernetes: needs kubeflow.volume, from which the TF Serving that is tried "
            "reads the model"
        )


def _check_training_job(config: Config) -> None:
    """Makes sure that many pods can train, if they are to."""
    if "trainer.strategy" in config.kubeflow.parameters:
        raise UserError("kubeflow.parameters: trainer.strategy decides what a cluster starts. Set it and compile")
    if not needs.has_job("Trainer", config):
        return
    if not config.kubeflow.volume:
        raise UserError(
            "trainer.strategy = multi_worker: needs kubeflow.volume (ReadWriteMany), through which the pods that train "
            "are given the text's pairs, and share the checkpoints"
        )
    job, task = config.kubeflow.training.timeout_seconds, config.kubeflow.of("Trainer").timeout_seconds
    if job and task and job >= task:
        raise UserError(
            f"kubeflow.training.timeout_seconds = {job}: expected less than what the task may take that watches the "
            f"job (kubeflow.resources: timeout_seconds = {task})"
        )


def _check_tasks(config: Config) -> None:
    for key in config.kubeflow.parameters:
        if not any(needs.depends_on(task, key) for task in needs.OF):
            raise UserError(
                f"kubeflow.parameters: {key} is nothing that a component looks at while it runs. Set it and compile"
            )
    for key in config.kubeflow.parameters:
        if any(setting == key or setting.startswith(f"{key}.") for setting in _OF_THE_GRAPH):
            raise UserError(f"kubeflow.parameters: {key} decides which components there are. Set it and compile")
    for name in (*config.kubeflow.resources, *config.kubeflow.uncached):
        if name not in (*needs.OF, "default"):
            raise UserError(f"kubeflow: there is no task {name}. There are {', '.join(needs.OF)}")
