"""TF Serving's gRPC and REST interfaces for a pushed model, on one's own machine and without Docker.

    python -m serving.local --model runs/sample/serving_model

serves the newest version in the folder, and takes up newer ones as they are pushed. http://localhost:8501 is a page on
which to ask it. Without encryption and access control, it is for loopback and trusted networks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
import threading
import urllib.parse
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from serving import command_line, folders
from serving.limits import Limits
from serving.quiet import quiet
from word2vec import argument_types
from word2vec.errors import UserError, reason

if TYPE_CHECKING:
    from serving.versions import Versions

# What still runs so many seconds after the last answer was sent is nobody's.
_LAST = 2.0

# Files that may be open: connections, and what TensorFlow reads.
_FILES = 8192


def main(arguments: list[str] | None = None) -> int:
    """Serves until it is told to stop; returns the exit code."""
    return command_line.run(lambda: _run(_parser().parse_args(arguments)))


def _run(options: argparse.Namespace) -> None:
    _check_ports(options)
    if "://" not in options.model and not options.wait:
        _check_folder(options.model)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    logging.raiseExceptions = False  # whoever reads them may go
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it tells of each connection that breaks
    _allow_files()
    command_line.say(f"loading TensorFlow, and the newest version in {options.model}")
    asyncio.run(_serve(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.local", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    port, name = command_line.PORT, command_line.model_name
    parser.add_argument("--model", required=True, metavar="FOLDER", help="the folder of the versions")
    parser.add_argument("--name", type=name, default="word2vec", help="the model's name in requests (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    parser.add_argument(
        "--allow-host", nargs="+", action="extend", default=[], metavar="NAME",
        help="more names by which browsers may ask; the address, localhost and this machine's name always may",
    )  # fmt: skip
    parser.add_argument("--port", type=port, default=8500, help="gRPC's; 0: any that is free (%(default)s)")
    parser.add_argument(
        "--rest-port", type=port, default=8501, help="REST's and the page's; 0: any that is free (%(default)s)"
    )
    parser.add_argument(
        "--poll", type=command_line.seconds(0.01, 86400), default=1.0, metavar="SECONDS",
        help="time between looks for new versions (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--wait", action="store_true", help="wait for the first version, if there is none")
    parser.add_argument(
        "--map-words", type=argument_types.whole(2, 100_000), default=1000, metavar="WORDS",
        help="words on the page's map (%(default)s)",
    )  # fmt: skip
    return parser


async def _serve(options: argparse.Namespace) -> None:
    with quiet():  # seconds that --help need not wait
        from serving import grpc_api, rest_api, versions  # noqa: F401

    await _first_version(options)
    limits, served = Limits(), versions.Versions(options.name, options.model, cores=os.cpu_count() or 1)
    await _load(served, options.model)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        served.watched(options.poll),
        _grpc(served, options, limits) as port,
        _rest(served, options, limits) as rest_port,
    ):
        host = _in_address(options.host)
        command_line.say(f"gRPC {host}:{port}")
        command_line.say(f"REST http://{host}:{rest_port}/v1/models/{urllib.parse.quote(options.name, safe='')}")
        command_line.say(f"page http://{host}:{rest_port}")
        await stop.wait()
        command_line.say("stopping")
    _end_within(_LAST)


def _check_folder(folder: str) -> None:
    """See `folders.check`."""
    try:
        folders.check(folder)
    except folders.NoVersionError as error:
        raise UserError(f"{error}; with --wait it may come later") from None


async def _first_version(options: argparse.Namespace) -> None:
    """Returns when there is a version."""
    if not options.wait:
        return _check_folder(options.model)
    is_told = False
    while True:
        try:
            return folders.check(options.model)
        except folders.NoVersionError as error:
            if not is_told:
                logging.info("waiting for the first version: %s", error)
            is_told = True
        await asyncio.sleep(options.poll)


async def _load(served: Versions, folder: str) -> None:
    try:
        await served.refresh()
    except Exception as error:  # the file systems of TensorFlow have errors of their own
        raise UserError(f"--model {folder}: cannot be listed: {reason(error, with_file=False)}") from None
    if served.served is None:
        number, why = max(served.failures.items(), default=(None, "it is gone"))
        raise UserError(f"--model {folder}: none of its versions can be loaded. Version {number}: {why}")


@contextlib.asynccontextmanager
async def _grpc(served: Versions, options: argparse.Namespace, limits: Limits) -> AsyncIterator[int]:
    from serving import grpc_api

    server = grpc_api.Server(served, limits)
    address = f"{_in_address(options.host)}:{options.port}"
    try:
        bound = server.listen(address)
    except RuntimeError:
        raise UserError(f"--port {options.port}: cannot listen on {address}") from None
    await server.start()
    try:
        yield bound
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def _rest(served: Versions, options: argparse.Namespace, limits: Limits) -> AsyncIterator[int]:
    from aiohttp import web

    from serving import connections, hosts, rest_api

    names = hosts.Hosts(options.host, options.allow_host)
    application = rest_api.application(served, map_words=options.map_words, hosts=names, most_bytes=limits.bytes)
    runner = web.AppRunner(application, shutdown_timeout=0.1, keepalive_timeout=2 * limits.idle_seconds)
    watched = connections.Connections(runner, limits)
    application[rest_api.CONNECTIONS] = [watched]
    await runner.setup()
    try:
        async with watched.listening(options.host, options.rest_port) as port:
            yield port
    except OSError as error:
        where = f"{_in_address(options.host)}:{options.rest_port}"
        raise UserError(f"--rest-port {options.rest_port}: cannot listen on {where}: {reason(error)}") from None
    finally:
        await runner.cleanup()


def _check_ports(options: argparse.Namespace) -> None:
    """Says that a port is taken before the model is loaded."""
    if options.port == options.rest_port != 0:
        raise UserError(f"--port and --rest-port are both {options.port}: expected two ports")
    try:
        family, _, _, _, address = socket.getaddrinfo(options.host or "\0", None, type=socket.SOCK_STREAM)[0]
    except (OSError, ValueError) as error:
        raise UserError(f"--host {options.host}: no address of this machine: {reason(error)}") from None
    for option, port in (("--port", options.port), ("--rest-port", options.rest_port)):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address[0], port, *address[2:]))
            except OSError as error:
                raise UserError(
                    f"{option} {port}: cannot listen on {_in_address(options.host)}:{port}: {reason(error)}. "
                    f"Stop what does, or give another; {option} 0 is any that is free"
                ) from None


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether an error is the server's: of what a client sent that is no HTTP, the client hears."""
    from aiohttp import http_exceptions, web

    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, http_exceptions.HttpProcessingError | web.RequestPayloadError | ConnectionError)


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _allow_files() -> None:
    """A connection is a file: as many of these as the system lets one have, up to a bound."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _end_within(seconds: float) -> None:
    """Ends this process soon: a call of TensorFlow cannot be stopped, and Python would wait for it."""
    timer = threading.Timer(seconds, os._exit, [0])
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
