"""Requests that no one means well, of many kinds, over REST and gRPC: none may be answered by an error of the server's.

    python -m benchmarks.hostile --model runs/imdb/serving_model --requests 10000

Starts a server, sends them, and prints what came of each kind, and the most memory that the server took.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import http.client
import itertools
import re
import socket
import sys
import time
import urllib.parse

import grpc

from benchmarks import arguments, markdown
from benchmarks.hostile_requests import Grpc, Raw, Request, Rest, requests
from benchmarks.local_server import LocalServer, memory

# Longer than the server lets a client take: an answer that has not come by then does not come.
_SECONDS, _RAW_SECONDS = 90, 0.2

# What is no fault of the server's.
REFUSALS = {"INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"}


class Sender:
    """Sends requests to a server.

    Args:
        rest: its address for REST, `http://host:port`.
        grpc_address: its address for gRPC, `host:port`.
    """

    def __init__(self, rest: str, grpc_address: str):
        parts = urllib.parse.urlsplit(rest)
        if not parts.hostname or not parts.port:
            raise ValueError(f"{rest}: expected http://host:port")
        self._host, self._port = parts.hostname, parts.port
        self._channel = grpc.insecure_channel(grpc_address, [("grpc.max_receive_message_length", -1)])

    def send(self, request: Request) -> str:
        """What came of a request: HTTP's status, gRPC's code, or `closed`, `waits` or `late` without any answer."""
        if isinstance(request, Grpc):
            return self._send_grpc(request)
        try:
            return self._send_raw(request) if isinstance(request, Raw) else self._send_rest(request)
        except TimeoutError:
            return "late"
        except (ConnectionError, http.client.HTTPException):
            return "closed"

    def close(self) -> None:
        """Closes the connections."""
        self._channel.close()

    def _send_grpc(self, request: Grpc) -> str:
        try:
            self._channel.unary_unary(request.method)(request.data, timeout=_SECONDS)
        except grpc.RpcError as error:
            return error.code().name
        return "OK"

    def _send_rest(self, request: Rest) -> str:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_SECONDS)
        try:
            given = {name.lower() for name, _ in request.headers}
            connection.putrequest(request.method, request.path, skip_host="host" in given, skip_accept_encoding=True)
            for name, value in request.headers:
                connection.putheader(name, value)
            if not given & {"content-length", "transfer-encoding"}:
                connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders()
            with contextlib.suppress(ConnectionError):  # an answer may be there all the same
                connection.send(request.body)
            answer = connection.getresponse()
            answer.read()
            return str(answer.status)
        finally:
            connection.close()

    def _send_raw(self, request: Raw) -> str:
        with socket.create_connection((self._host, self._port), timeout=_RAW_SECONDS) as connection:
            connection.sendall(request.data)
            try:
                first = connection.makefile("rb").readline()
            except TimeoutError:
                return "waits"
        status_line = re.match(rb"HTTP/1\.\d (\d+)", first)
        return status_line[1].decode() if status_line else "closed"


def is_fault(outcome: str) -> bool:
    """Whether what came of a request is a fault of the server's."""
    if outcome.isdecimal():
        return int(outcome) >= 500
    return outcome not in {"OK", "closed", "waits", *REFUSALS}


def main() -> int:
    """Sends the requests; returns 1 if one of them was answered by an error of the server's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=arguments.versions, required=True, help="the folder of the versions")
    parser.add_argument("--requests", type=arguments.count(), default=10_000)
    parser.add_argument("--seed", type=arguments.count(0), default=1)
    options = parser.parse_args()
    with LocalServer(options.model) as server:
        text, faults = attack(server.pid, server.rest, server.grpc, options.requests, options.seed)
        print(text)
        return int(bool(faults) or not server.is_running)


def attack(pid: int, rest: str, grpc_address: str, count: int, seed: int) -> tuple[str, list[str]]:
    """Sends requests to a server.

    Args:
        pid: the server's process.
        rest: its address for REST.
        grpc_address: its address for gRPC.
        count: how many.
        seed: of the draws.

    Returns:
        (what came of them in Markdown, the faults of the server's).
    """
    outcomes: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    faults: list[str] = []
    longest: dict[str, float] = collections.defaultdict(float)
    sender, before = Sender(rest, grpc_address), memory(pid)["VmRSS"]
    for kind, request in itertools.islice(requests(seed), count):
        sent = time.monotonic()
        outcome = sender.send(request)
        longest[kind] = max(longest[kind], time.monotonic() - sent)
        outcomes[kind][outcome] += 1
        if outcome == "late":  # a machine may stand still; a request that the server does not answer, it never does
            outcome = sender.send(request)
        if is_fault(outcome):
            faults.append(f"{kind}: {outcome}: {str(request)[:300]}")
    sender.close()
    rows = [
        [
            kind,
            str(tally.total()),
            f"{longest[kind]:.2f}",
            ", ".join(f"{name} {times}" for name, times in tally.most_common()),
        ]
        for kind, tally in sorted(outcomes.items())
    ]
    after = memory(pid)
    lines = [
        markdown.table(["kind", "requests", "longest, s", "came of them"], rows),
        f"{count:,} hostile requests: {len(faults)} faults of the server's. Memory {before} MiB before, "
        f"{after['VmRSS']} MiB after, {after['VmHWM']} MiB at most.",
        *faults[:20],
    ]
    return "\n\n".join(lines), faults


if __name__ == "__main__":
    sys.exit(main())
