"""Beam's workers in processes of their own: that one has died is noticed.

Beam's own handler waits for ever for what a killed worker was to answer.
"""

from __future__ import annotations

import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker import data_plane
from google.protobuf import json_format, text_format

from word2vec.errors import UserError

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 2.0


def register() -> None:
    """Lets Beam's direct runner start its processes in this way, and all of Beam's processes be of this Python."""
    # Beam starts some by the name of `python`, which need not be this one.
    here, path = os.path.dirname(sys.executable), os.environ.get("PATH", "")
    if path.split(os.pathsep)[0] != here:
        os.environ["PATH"] = os.pathsep.join([here, path])
    worker_handlers.WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)(WorkerProcess)


class WorkerProcess(worker_handlers.SubprocessSdkWorkerHandler):
    """A worker; when it dies, whatever waits for it raises `UserError`."""

    def start_worker(self) -> None:
        """Starts the process, and a thread that waits for its end."""
        self._is_closing = self._is_closed = False
        self._lost = threading.Event()
        self._error: UserError | None = None
        self._read = self.data_conn.input_elements
        self.data_conn.input_elements = self._input_elements  # type: ignore[method-assign]  # Beam makes it, for itself
        self._process = subprocess.Popen(
            shlex.split(self._worker_command_line.decode()),
            env={
                **os.environ,
                "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.control_api_service_descriptor()),
                "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.logging_api_service_descriptor()),
                "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
                "WORKER_ID": self.worker_id,
            },
        )
        self._watch = threading.Thread(name="watch_worker", target=self._wait, daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Ends the process; one that is at work, though nobody waits for it any more, is killed."""
        self._is_closing = True
        if self.control_conn._futures_by_id:
            self._process.kill()
        super().close()

    def stop_worker(self) -> None:
        """Waits for the process' end."""
        self._is_closed = True
        self._watch.join()

    def _input_elements(self, *arguments: Any, **how: Any) -> Iterator[Any]:
        """What the process has put out; that its stream has ended may be known before its own end is."""
        try:
            yield from self._read(*arguments, **how)
        except Exception:
            self._lost.wait(_GRACE_SECONDS)
            if self._error:
                raise self._error from None
            raise

    def _wait(self) -> None:
        self._process.wait()
        if not self._is_closing:
            self._error = UserError(_message(self._process))
        self._lost.set()
        # What is asked of it later gets no answer either, and what is sent to it would fill the queue.
        while not self._is_closed:
            if self._error:
                self._give_up(self._error)
            self._drain()
            time.sleep(_POLL_SECONDS)

    def _give_up(self, error: UserError) -> None:
        """Lets whatever waits for this worker or for the others, without which there is no result, raise the error."""
        for connection in list(self._grpc_server.control_handler._connections_by_worker_id.values()):
            for future in list(connection._futures_by_id.values()):
                future.abort(error)
                future.set(beam_fn_api_pb2.InstructionResponse(error=str(error)))  # who waits for data looks at this

    def _drain(self) -> None:
        to_send, last = self.data_conn._to_send, data_plane._GrpcDataChannel._WRITES_FINISHED
        while True:
            try:
                element = to_send.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                return
            if element is last:  # for the thread that sends
                to_send.put(element, 0)
                return


def _message(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
    return (
        f"a worker process of Beam, {process.pid}, {how} while it had work to do; so the system does when there is no "
        "memory left. Run the same command again, and if it happens again set beam.workers lower"
    )
