"""Training on several machines.

TF_CONFIG says on each machine who they are. The chief's Trainer leaves the job in the folder of the checkpoints, which
all machines must share; the others wait for it there. Each trains in a process of its own, for TensorFlow must hear of
the other workers before it does anything else:

    python -m word2vec.training.workers JOB_FILE
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import subprocess
import sys
import time

import absl.logging

from word2vec import progress, whole_files
from word2vec.errors import UserError
from word2vec.training import tf_config
from word2vec.training.job import Job

JOB_FILE = "job.json"
_PROGRESS, _NOTE, _ERROR = "progress", "note", "error"


def lead(job: Job) -> None:
    """Trains as the chief: calls the other workers, and trains with them.

    Raises:
        UserError: TF_CONFIG is wrong, the training failed, or a worker has gone.
    """
    tf_config.check()
    folder = job.checkpoints
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, JOB_FILE)
    whole_files.write_text(path, job.model_dump_json())
    try:
        _train(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def join(folder: str, poll_seconds: float = 0.5) -> None:
    """Waits for the chief's job, and trains with it.

    Args:
        folder: of the checkpoints.
        poll_seconds: how often it looks for the job.

    Raises:
        UserError: as `lead`.
    """
    tf_config.check()
    path = os.path.join(folder, JOB_FILE)
    while not os.path.exists(path):
        time.sleep(poll_seconds)
    _train(path)


def _train(job_path: str) -> None:
    """Trains in a process of its own, and passes on what it tells."""
    root = str(pathlib.Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "word2vec.training.workers", job_path]
    error = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            assert child.stdout is not None  # it is a pipe
            for line in child.stdout:
                kind, _, message = line.partition(" ")
                if kind == _PROGRESS:
                    progress.tell(progress.TrainingProgress(**json.loads(message)))
                elif kind == _NOTE:
                    progress.note(json.loads(message))
                elif kind == _ERROR:
                    error = json.loads(message)
                else:
                    sys.stdout.write(line)
        except BaseException:
            child.kill()
            raise
    if error:
        raise UserError(error)
    if child.returncode:
        raise UserError(
            f"this worker's training process ended with exit code {child.returncode}: it was killed, or another worker "
            "has gone. Start all workers again with the same command: they go on from the last checkpoint"
        )


class _Teller(logging.Handler):
    """Writes progress and notes for the parent process."""

    def emit(self, record: logging.LogRecord) -> None:
        now = progress.of(record)
        if now is None:
            _tell(_NOTE, record.getMessage())
        elif isinstance(now, progress.TrainingProgress):  # trials are not of several workers
            _tell(_PROGRESS, dataclasses.asdict(now))


def _tell(kind: str, message: object) -> None:
    print(kind, json.dumps(message), flush=True)


def main() -> int:
    """Trains the job in the file given; returns the exit code."""
    import tensorflow_text  # noqa: F401  (the ops of the served model)

    from word2vec import threads
    from word2vec.training import job

    absl.logging.use_absl_handler()
    absl.logging.set_verbosity(absl.logging.INFO)
    progress.add_handler(_Teller())
    try:
        threads.one_thread_an_op()
        job.train(Job.model_validate_json(pathlib.Path(sys.argv[1]).read_bytes()))
    except UserError as error:
        _tell(_ERROR, str(error))
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # TensorFlow would wait at its exit for workers that may have gone.
    os._exit(status)
