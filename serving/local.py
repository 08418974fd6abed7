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
import signal
import socket
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from components.errors import UserError

if TYPE_CHECKING:
    from aiohttp import web

    from serving.versions import Versions

# Requests that are being answered when the server is told to stop have so many seconds.
GRACE = 10


def main(arguments: list[str] | None = None) -> int:
    """Serves until it is told to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(options))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.local", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="FOLDER", help="the folder of the versions")
    parser.add_argument("--name", default="word2vec", help="the model's name in requests (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8500, help="gRPC's; 0: any that is free (%(default)s)")
    parser.add_argument("--rest-port", type=int, default=8501, help="REST's and the page's; likewise (%(default)s)")
    parser.add_argument("--poll", type=float, default=1.0, metavar="SECONDS", help="between looks for new versions")
    parser.add_argument("--map-words", type=int, default=1000, help="words on the page's map (%(default)s)")
    return parser


async def _serve(options: argparse.Namespace) -> None:
    _check_ports(options)
    from serving import rest_api, versions  # seconds that --help need not wait

    _check(options.model)
    served = versions.Versions(options.name, options.model, cores=os.cpu_count() or 1)
    await served.refresh()
    if served.newest is None:
        raise UserError(f"--model {options.model}: none of its versions can be loaded")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    application = rest_api.application(served, map_words=options.map_words)
    async with (
        served.watched(options.poll),
        _grpc(served, options.host, options.port) as port,
        _rest(application, options.host, options.rest_port) as rest_port,
    ):
        print(f"gRPC {options.host}:{port}", flush=True)
        print(f"REST http://{options.host}:{rest_port}/v1/models/{options.name}", flush=True)
        print(f"page http://{options.host}:{rest_port}", flush=True)
        await stop.wait()
        print("stopping", flush=True)


@contextlib.asynccontextmanager
async def _grpc(served: Versions, host: str, port: int) -> AsyncIterator[int]:
    from serving import grpc_api

    server = grpc_api.server(served)
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        raise UserError(f"--port {port}: cannot listen on {host}:{port}") from None
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(GRACE)


@contextlib.asynccontextmanager
async def _rest(application: web.Application, host: str, port: int) -> AsyncIterator[int]:
    from aiohttp import web

    runner = web.AppRunner(application, shutdown_timeout=GRACE)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        try:
            await site.start()
        except OSError as error:
            raise UserError(f"--rest-port {port}: cannot listen on {host}:{port}: {os.strerror(error.errno)}") from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _check_ports(options: argparse.Namespace) -> None:
    """Says that a port is taken before the model is loaded."""
    for option, port in (("--port", options.port), ("--rest-port", options.rest_port)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((options.host, port))
            except OSError as error:
                raise UserError(
                    f"{option} {port}: cannot listen on {options.host}:{port}: {os.strerror(error.errno)}. "
                    f"Stop what does, or give another; {option} 0 is any that is free"
                ) from None


def _check(folder: str) -> None:
    import tensorflow as tf

    from serving import versions

    if not tf.io.gfile.isdir(folder):
        raise UserError(f"--model {folder}: no such folder. Expected a run's, as runs/sample/serving_model")
    if tf.io.gfile.exists(os.path.join(folder, versions.MARK)):
        raise UserError(f"--model {folder}: this is one version. Expected the folder of the versions, above it")
    if not versions.find(folder):
        raise UserError(f"--model {folder}: no version in it. Expected a run's, as runs/sample/serving_model")


if __name__ == "__main__":
    sys.exit(main())
