"""The names by which a server may be asked: a site whose name is made to point here (DNS rebinding) is none of them."""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse
from collections.abc import Iterable

import grpc
from aiohttp import web

from serving.errors import ServingError, shortened


class Hosts:
    """Loopback's names, the address that the server is bound to, this machine's name, and those that are allowed.

    Args:
        bound: the address, or name, that the server listens on.
        allowed: more names.
    """

    def __init__(self, bound: str, allowed: Iterable[str] = ()):
        self._names = {_canonical(name) for name in ("localhost", socket.gethostname(), bound, *allowed)}

    def check(self, request: web.Request) -> None:
        """Refuses a request that another site's page may have sent through a browser.

        Raises:
            ServingError: its Host or its Origin is none of ours.
        """
        for header in ("Host", "Origin"):
            for value in request.headers.getall(header, []):
                name = _host(value if header == "Host" else value.partition("://")[2])
                if not self._is_ours(name, request):
                    raise ServingError(
                        grpc.StatusCode.PERMISSION_DENIED,
                        f'{header} "{shortened(value)}" is not this server\'s name. '
                        "If it should be, start it with --allow-host NAME",
                    )

    def _is_ours(self, name: str, request: web.Request) -> bool:
        if name in self._names or name.endswith(".localhost"):
            return True
        try:
            if ipaddress.ip_address(name).is_loopback:
                return True
        except ValueError:
            return False
        # Bound to all of the machine's addresses, the one that was asked is meant.
        mine = request.transport.get_extra_info("sockname") if request.transport else None
        return mine is not None and name == _canonical(mine[0])


def _host(value: str) -> str:
    """The name of `name:port`, `[::1]:port` or a name; empty if it is none."""
    try:
        return _canonical(urllib.parse.urlsplit(f"//{value}").hostname or "")
    except ValueError:
        return ""


def _canonical(name: str) -> str:
    return name.lower().strip("[]").removesuffix(".").partition("%")[0].removeprefix("::ffff:")
