"""What runs in each pod of the job: the first trains and exports as TFX's Trainer, the others help it.

python -m pipeline.kubeflow.training_job.pod FOLDER
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import FrameType

from pipeline import orphans
from pipeline.kubeflow.training_job import handover, manifests
from word2vec import progress, streams
from word2vec.errors import UserError
from word2vec.training import tf_config

_INDEX = "JOB_COMPLETION_INDEX"  # which Kubernetes sets in the pods of an indexed job
_TF_CONFIG = "TF_CONFIG"
_TERMINATED = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="in which the Trainer's task has left what is to be done")
    folder = parser.parse_args(arguments).folder
    # The first process of a container hears only those signals that it asks for.
    signal.signal(signal.SIGTERM, _end)
    try:
        os.environ.update(tf_config_of(os.environ))
        tf_config.check()
        work = handover.Work.read(folder)
        threading.Thread(target=_watch, args=(folder,), daemon=True).start()
        with orphans.ended_with_this_process():
            _train(work)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def tf_config_of(environment: Mapping[str, str]) -> dict[str, str]:
    """TF_CONFIG, if a TrainJob's pod has to make it itself; training-operator sets it for a TFJob's.

    Args:
        environment: of the process.
    """
    if _TF_CONFIG in environment or manifests.WORKERS not in environment or _INDEX not in environment:
        return {}
    cluster = {"worker": environment[manifests.WORKERS].split(",")}
    return {_TF_CONFIG: json.dumps({"cluster": cluster, "task": {"type": "worker", "index": int(environment[_INDEX])}})}


def _train(work: handover.Work) -> None:
    progress.leave_to_handlers()  # the process that trains has the same log, and tells it there
    if not tf_config.is_chief():
        from word2vec.training import workers

        workers.join(work.checkpoints)
        return
    import tensorflow_text  # noqa: F401  (the ops of Transform's graph)
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    options = argparse.Namespace(
        executor_class_path=work.executor,
        json_serialized_invocation_args=json.dumps(work.invocation),
        json_serialized_inputs_spec_args=json.dumps(work.inputs),
    )
    kubeflow_v2_run_executor.main((options, []))


def _watch(folder: str) -> None:
    """Ends this process when the task that wants its work has gone: it was killed, and could not remove the job."""
    for abandoned in handover.is_abandoned(folder):
        if abandoned:
            print("error: the Trainer's task has given no sign of life: it has gone", file=sys.stderr, flush=True)
            os._exit(1)
        time.sleep(handover.BEAT_SECONDS)


def _end(signal_number: int, frame: FrameType | None) -> None:
    """Ends at once: the checkpoints are whole whenever that is."""
    os._exit(_TERMINATED)


if __name__ == "__main__":
    streams.leave(main())
