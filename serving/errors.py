"""What a server says when it cannot answer, in gRPC's codes and in HTTP's."""

from __future__ import annotations

import grpc

HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
}

# Of an error's text, and of what it quotes. gRPC carries the text in a header, and clients refuse long ones.
_LONGEST, _LONGEST_QUOTE = 1000, 80


class ServingError(Exception):
    """A request that can't be answered.

    Args:
        code: one of `HTTP`.
        message: what was wrong, and what was expected.
    """

    def __init__(self, code: grpc.StatusCode, message: str):
        message = shortened(message, _LONGEST)
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> ServingError:
    """The request is wrong."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """It asks for what is not there."""
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


def shortened(text: str, most: int = _LONGEST_QUOTE) -> str:
    """What a client sent, as an error quotes it."""
    return text if len(text) <= most else f"{text[:most]}…"
