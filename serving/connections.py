"""The connections of an HTTP server: how many there are, and how long clients may take."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
from collections.abc import AsyncIterator

from aiohttp import web

from serving.limits import Limits

_LOOK_SECONDS = 0.5


@dataclasses.dataclass
class _Connection:
    """A client's; `end` is when its patience ends, infinite while the server is to blame for the time that passes."""

    accepted_at: float
    end: float
    left: float = -math.inf  # when the handler of its last request returned


class Connections:
    """Ends connections whose clients take too long, and those that idle the longest when there are too many.

    Args:
        runner: of the application, set up. Its server gets the connections.
        limits: how many, and how long.
    """

    def __init__(self, runner: web.AppRunner, limits: Limits):
        self._runner, self._limits = runner, limits
        self._open: dict[web.RequestHandler, _Connection] = {}

    @contextlib.asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Takes connections until the context is left, which waits for those requests that are being answered.

        Raises:
            OSError: it cannot listen there.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._accept, host, port, reuse_address=True, backlog=1024)
        watch = asyncio.create_task(self._watch())
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            watch.cancel()
            await self._drain()

    def started(self, request: web.Request) -> None:
        """A request's header has come: its body must follow in time."""
        self._until(request, self._limits.body_seconds)

    def answering(self, request: web.Request) -> None:
        """A request is whole: from now on it is the server that takes time."""
        self._until(request, math.inf)

    def ended(self, request: web.Request) -> None:
        """A request is answered: the client must read the answer, and may ask again."""
        self._until(request, self._limits.idle_seconds)
        if request.protocol in self._open:
            self._open[request.protocol].left = _now()

    def _until(self, request: web.Request, seconds: float) -> None:
        if request.protocol in self._open:
            self._open[request.protocol].end = _now() + seconds

    def _accept(self) -> asyncio.Protocol:
        self._forget_closed()
        if len(self._open) >= self._limits.connections:
            longest = min(self._open, key=lambda one: self._open[one].end)
            if math.isinf(self._open[longest].end):
                return _Refused()
            self._end(longest)
        server = self._runner.server
        assert server is not None  # the runner is set up
        protocol = server()
        self._open[protocol] = _Connection(_now(), _now() + self._limits.header_seconds)
        return protocol

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._forget_closed()
            for protocol, connection in list(self._open.items()):
                if connection.end < _now():
                    self._end(protocol)

    def _forget_closed(self) -> None:
        """Those that are accepted have no transport until the loop comes to them: hence the second."""
        for protocol, connection in list(self._open.items()):
            if protocol.transport is None and connection.accepted_at + 1 < _now():
                del self._open[protocol]

    def _end(self, protocol: web.RequestHandler) -> None:
        del self._open[protocol]
        if protocol.transport is not None:
            protocol.transport.abort()

    async def _drain(self) -> None:
        """Waits for answers, then a little for their readers; ends all others."""
        await asyncio.sleep(0)  # what has come by now is begun
        start = _now()
        while self._open and _now() < start + self._limits.grace:
            for protocol, connection in list(self._open.items()):
                is_answering = math.isinf(connection.end)
                # An answer is sent just after its handler returned, and may wait for its reader.
                recently = max(connection.left, start) + (self._limits.slow if _has_unread(protocol) else 0.2)
                if protocol.transport is None or (not is_answering and recently < _now()):
                    self._end(protocol)
            await asyncio.sleep(0.05)
        for protocol in list(self._open):
            self._end(protocol)


class _Refused(asyncio.Protocol):
    """A connection beyond the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # as of every stream
        transport.abort()


def _has_unread(protocol: web.RequestHandler) -> bool:
    return protocol.transport is not None and protocol.transport.get_write_buffer_size() > 0


def _now() -> float:
    return asyncio.get_running_loop().time()
