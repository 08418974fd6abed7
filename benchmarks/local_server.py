"""The local server in a process of its own, for the measurements that ask it."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

from benchmarks import parts


class LocalServer:
    """Starts a server, and stops it at the end of a `with`.

    Args:
        model: the folder of the versions.

    Attributes:
        rest: its address for REST, `http://host:port`.
        grpc: its address for gRPC, `host:port`.
    """

    def __init__(self, model: str):
        command = [sys.executable, "-m", "serving.local", "--model", model, "--port", "0", "--rest-port", "0"]
        self._process = subprocess.Popen(command, cwd=parts.ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if line.startswith("page "):  # the last one
                break
        rest, grpc = (re.search(rf"{name} (\S+)", said) for name in ("page", "gRPC"))
        if rest is None or grpc is None:
            self.stop()
            raise SystemExit(f"error: the server did not start. It said: {said}")
        self.rest, self.grpc = rest[1], grpc[1]

    def __enter__(self) -> LocalServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait()


def memory(pid: int) -> dict[str, int]:
    """What a process takes (`VmRSS`) and took at most (`VmHWM`), in MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return {name: int(kib) // 1024 for name, kib in re.findall(r"(VmRSS|VmHWM):\s+(\d+)", status)}
