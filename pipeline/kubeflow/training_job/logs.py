"""The chief's log, line by line, in the log of the task."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from pipeline.kubeflow.training_job.cluster import AwayError, Cluster
from word2vec.errors import UserError

_PAUSE_SECONDS = 2.0
_END_SECONDS = 30.0  # for the last lines of a job that has ended


class Follower:
    """Prints the log of one pod, once there is one.

    Args:
        cluster: where the pod is.
    """

    def __init__(self, cluster: Cluster):
        self._cluster, self._pod = cluster, ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._error: UserError | None = None
        self._last: tuple[str, str] = ("", "")

    def follow(self, pod: str) -> None:
        """Starts with a pod; later calls do nothing.

        Raises:
            UserError: the log may not be read.
        """
        if self._error:
            raise self._error
        if not self._pod:
            self._pod = pod
            self._thread.start()

    def end(self, wait: float = _END_SECONDS) -> None:
        """Waits so many seconds for the last lines."""
        self._ended.set()
        if self._pod:
            self._thread.join(wait)

    def _run(self) -> None:
        while True:
            is_last = self._ended.is_set()
            try:
                self._print()
            except AwayError:
                pass  # the connection is made again; lines that were printed come again, and are passed over
            except UserError as error:
                self._error = error
                return
            if is_last:
                return
            self._ended.wait(_PAUSE_SECONDS)

    def _print(self) -> None:
        before = self._last
        for stamp, line in self._cluster.log(self._pod):
            when = _comparable(stamp)
            if when > before:
                print(line, flush=True)
                self._last = when


@contextlib.contextmanager
def following(cluster: Cluster) -> Iterator[Follower]:
    """A follower for the time; nobody waits for the last lines where something went wrong."""
    follower = Follower(cluster)
    try:
        yield follower
    except BaseException:
        follower.end(wait=0)
        raise
    follower.end()


def _comparable(stamp: str) -> tuple[str, str]:
    """A time as Kubernetes writes it, without the zeros at the end of its fraction."""
    seconds, _, fraction = stamp.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")
