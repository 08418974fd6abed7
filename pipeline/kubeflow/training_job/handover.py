"""The folder on the volume through which the Trainer's task and the pods that train hand each other files.

KFP's launcher downloads a task's inputs into the task's own container, where no other pod sees them. So they are copied
to the volume, and what the chief made is copied back. A checkpoint is only taken by a training of the same files. So
they have the same paths in the next try.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.configs import Config
from word2vec import whole_files
from word2vec.errors import UserError, reason

if TYPE_CHECKING:
    from pipeline.kubeflow.compiler import TfxComponent  # TFX, which the pods that only help do without

_WORK, _ALIVE, _OUTPUT = "work.json", "alive", "output.json"

# Seconds between two signs of life of the task; and without one, until its pods give up. A volume may show a file's
# change a minute later to other nodes.
BEAT_SECONDS, SILENT_SECONDS = 10.0, 300.0


class Work(NamedTuple):
    """What the pods have to do.

    Attributes:
        executor: the path of the Trainer's class.
        inputs: a `ComponentInputsSpec`, as JSON.
        invocation: an `ExecutorInput`, as JSON, with paths on the volume.
        checkpoints: the folder of the Trainer's.
    """

    executor: str
    inputs: dict[str, Any]
    invocation: dict[str, Any]
    checkpoints: str

    @classmethod
    def read(cls, folder: str) -> Work:
        """What a task left in a folder.

        Raises:
            UserError: there is nothing, for the volume is not the task's.
        """
        path = os.path.join(folder, _WORK)
        try:
            with open(path, encoding="utf-8") as file:
                return cls(**json.load(file))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"{path}: {reason(error, with_file=False)}. The Trainer's task has left its files on kubeflow.volume, "
                "and this pod does not see them: is the volume one of many nodes (ReadWriteMany)?"
            ) from None


def folder_of(config: Config) -> str:
    """The folder of a pipeline's job."""
    volume = config.kubeflow.volume
    assert volume is not None  # which `checks.check` demands
    return os.path.join(volume.path, "training_jobs", config.name)


@contextlib.contextmanager
def through(
    folder: str, component: TfxComponent, asked: pipeline_spec_pb2.ExecutorInput, checkpoints: str
) -> Iterator[dict[str, str]]:
    """Leaves work in a folder, and takes what was made of it; afterwards the folder is gone.

    Args:
        folder: of the job; what a killed try has left there is removed.
        component: the Trainer.
        asked: its ExecutorInput, with local paths; those of its artifacts become copies' for good.
        checkpoints: the folder of the Trainer's.

    Yields:
        the outputs' local paths, by those of their copies.

    Raises:
        UserError: the volume is full, or cannot be written.
    """
    wanted = asked.outputs.output_file
    outputs: dict[str, str] = {}
    try:
        with said_in_one_line(folder):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            _copy_in(folder, asked, outputs)
            asked.outputs.output_file = os.path.join(folder, _OUTPUT)
            work = Work(component.executor, component.inputs, json_format.MessageToDict(asked), checkpoints)
            whole_files.write_text(os.path.join(folder, _WORK), json.dumps(work._asdict()))
        with _beating(os.path.join(folder, _ALIVE)):
            yield outputs
        with said_in_one_line(folder):
            for there, here in outputs.items():
                shutil.copytree(there, here, dirs_exist_ok=True)
            os.makedirs(os.path.dirname(wanted), exist_ok=True)
            shutil.copyfile(asked.outputs.output_file, wanted)
            asked.outputs.output_file = wanted
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_abandoned(folder: str, seconds: float = SILENT_SECONDS) -> Iterator[bool]:
    """Yields, each time that it is asked, whether the task has given no sign of life for so many seconds.

    Only changes count, and this machine's own clock: nodes' clocks differ.
    """
    path, seen, since = os.path.join(folder, _ALIVE), "", time.monotonic()
    while True:
        now = ""
        with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
            now = file.read()
        if now and now != seen:
            seen, since = now, time.monotonic()
        yield time.monotonic() - since > seconds


def _copy_in(folder: str, asked: pipeline_spec_pb2.ExecutorInput, outputs: dict[str, str]) -> None:
    """Copies the inputs, and makes all artifacts' paths those on the volume."""
    inputs = sorted(artifact.uri for each in asked.inputs.artifacts.values() for artifact in each.artifacts)
    of_inputs = os.path.join(folder, hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16])
    for name, artifacts in asked.inputs.artifacts.items():
        for index, artifact in enumerate(artifacts.artifacts):
            here, artifact.uri = artifact.uri, os.path.join(of_inputs, name, str(index))
            if os.path.isdir(here):  # an artifact may have no files
                shutil.copytree(here, artifact.uri)
    for name, artifacts in asked.outputs.artifacts.items():
        for index, artifact in enumerate(artifacts.artifacts):
            here, artifact.uri = artifact.uri, os.path.join(folder, "out", name, str(index))
            os.makedirs(artifact.uri)
            outputs[artifact.uri] = here


@contextlib.contextmanager
def _beating(path: str) -> Iterator[None]:
    """Gives signs of life for the time."""
    ended = threading.Event()

    def beat() -> None:
        count = 0
        while True:
            count += 1
            with contextlib.suppress(OSError):  # a volume that is away for a while
                whole_files.write_text(path, str(count))
            if ended.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def said_in_one_line(folder: str) -> Iterator[None]:
    """Makes a UserError of what the file system refuses."""
    try:
        yield
    except OSError as error:  # shutil's own has a list of them, which `reason` cuts short
        raise UserError(f"{folder}: what the pods need could not be handed to them: {reason(error)}") from None
