"""What clients may take of a server: bounds of connections, times and sizes, so that none of them stops the others."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """The bounds, the same for REST and gRPC; times in seconds.

    Attributes:
        connections: that are open at a time, of each interface.
        requests: of gRPC that are answered or wait at a time.
        bytes: of a request.
        header_seconds: from a connection to its first request.
        body_seconds: from a request's header to its end.
        idle_seconds: from one request of a connection to the next, the reading of the answer among them.
        age_seconds: after which a connection of gRPC is to be made anew.
        grace: that requests have that are being answered when the server stops.
        slow: that clients have then to read their answers.
    """

    connections: int = 1000
    requests: int = 1000
    bytes: int = 64 * 1024 * 1024
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 60.0
    age_seconds: float = 1800.0
    grace: float = 10.0
    slow: float = 2.0
