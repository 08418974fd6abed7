"""Clients that take too long, and too many of them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time

import grpc
import numpy as np
import pytest
from aiohttp import web

from serving import connections, grpc_api, hosts, rest_api, versions
from serving.limits import Limits

HEAD = b"POST /v1/models/word2vec:predict HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /v1/models/word2vec HTTP/1.1\r\nHost: localhost\r\n\r\n"
SHORT = Limits(header_seconds=0.4, body_seconds=0.4, idle_seconds=0.4, grace=3, slow=0.3)


@pytest.fixture(scope="module")
def loaded(versions_folder):
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        yield versions.Version(7, str(versions_folder / "7"), threads, 1)


@pytest.fixture
def served(versions_folder, loaded):
    made = versions.Versions("word2vec", str(versions_folder), cores=1)
    made._loaded[7] = made._served = loaded
    return made


def run(served, limits, talk):
    """Lets clients talk to a server over HTTP; returns (what they returned, how long it then took to stop)."""

    async def body():
        application = rest_api.application(served, map_words=10, hosts=hosts.Hosts("127.0.0.1"), most_bytes=10**7)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        watched = connections.Connections(runner, limits)
        application[rest_api.CONNECTIONS] = [watched]
        await runner.setup()
        async with contextlib.AsyncExitStack() as stack:
            port = await stack.enter_async_context(watched.listening("127.0.0.1", 0))
            found = await talk(lambda: asyncio.open_connection("127.0.0.1", port))
            start = time.monotonic()
        await runner.cleanup()
        return found, time.monotonic() - start

    return asyncio.run(body())


async def seconds_until_closed(reader):
    start = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while await asyncio.wait_for(reader.read(65536), 10):
            pass
    return time.monotonic() - start


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
        HEAD + b'Content-Length: 100\r\n\r\n{"a',
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        GET,
    ],
    ids=["silent", "line", "header", "body", "chunk", "idle"],
)
def test_a_slow_client_is_left(served, sent):
    async def talk(connect):
        reader, writer = await connect()
        writer.write(sent)
        return await seconds_until_closed(reader)

    assert run(served, SHORT, talk)[0] < 3


def test_a_client_that_drips_is_left_too(served):
    async def talk(connect):
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        closed = asyncio.create_task(seconds_until_closed(reader))
        while not closed.done():
            writer.write(b"X: y\r\n")
            await asyncio.sleep(0.05)
        return closed.result()

    assert run(served, SHORT, talk)[0] < 3


def test_who_asks_in_time_stays(served):
    async def talk(connect):
        reader, writer = await connect()
        lines = []
        for _ in range(5):
            writer.write(GET)
            lines.append(await reader.readline())
            await reader.read(4096)
            await asyncio.sleep(0.25)
        return lines

    assert run(served, SHORT, talk)[0] == [b"HTTP/1.1 200 OK\r\n"] * 5


def test_too_many_connections_end_the_one_that_idles_the_longest(served):
    async def talk(connect):
        slow = [await connect() for _ in range(30)]
        reader, writer = await connect()
        writer.write(GET)
        line = await asyncio.wait_for(reader.readline(), 5)
        await asyncio.sleep(0.1)
        closed = [reader.at_eof() or reader.exception() is not None for reader, _ in slow]
        return line, closed.count(True), closed[-1]

    line, closed, last = run(served, Limits(connections=10, grace=1, slow=0.2), talk)[0]
    assert line == b"HTTP/1.1 200 OK\r\n"
    assert closed >= 20
    assert not last


def test_those_that_wait_for_an_answer_are_not_ended(served):
    """However long it takes, and however many come meanwhile."""

    async def talk(connect):
        async def slow_predict(*_):
            await asyncio.sleep(1.5)
            return {"known": np.array([True])}

        served._served.predict, before = slow_predict, served._served.predict
        try:
            reader, writer = await connect()
            body = b'{"inputs": {"words": ["the"]}}'
            writer.write(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await asyncio.sleep(0.2)
            others = [await connect() for _ in range(10)]
            line = await asyncio.wait_for(reader.readline(), 10)
        finally:
            served._served.predict = before
        return line, len(others)

    limits = Limits(connections=3, header_seconds=0.3, body_seconds=0.3, idle_seconds=5, grace=3, slow=0.3)
    assert run(served, limits, talk)[0][0] == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("sent", [b"", b"GET / HT", HEAD + b"Content-Length: 100\r\n\r\n{", GET])
def test_it_stops_at_once_with_slow_clients(served, sent):
    async def talk(connect):
        clients = [await connect() for _ in range(5)]
        for _, writer in clients:
            writer.write(sent)
        await asyncio.sleep(0.2)
        return clients

    assert run(served, Limits(), talk)[1] < 3


def test_it_stops_soon_with_a_client_that_does_not_read(served):
    async def talk(connect):
        reader, writer = await connect()
        reader._transport.pause_reading()
        writer.write(b"GET /plotly.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 8)
        await asyncio.sleep(1)
        return reader

    assert run(served, Limits(), talk)[1] < 6


def run_grpc(served, limits, talk):
    async def body():
        server = grpc_api.Server(served, limits)
        port = server.listen("127.0.0.1:0")
        await server.start()
        found = await talk(port)
        start = time.monotonic()
        await server.stop()
        return found, time.monotonic() - start

    return asyncio.run(body())


# What begins a connection of HTTP/2: the preface and empty settings.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


@pytest.mark.parametrize("sent", [b"", b"PRI * HT", PREFACE], ids=["silent", "preface", "idle"])
def test_a_slow_client_of_grpc_is_left(served, sent):
    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        return await seconds_until_closed(reader)

    limits = Limits(header_seconds=1, idle_seconds=1, body_seconds=1, age_seconds=2, grace=1, slow=0.3)
    assert run_grpc(served, limits, talk)[0] < 9


def test_grpc_stops_soon_with_a_slow_client(served):
    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(PREFACE)
        await asyncio.sleep(0.3)
        return reader, writer

    assert run_grpc(served, Limits(), talk)[1] < 4


@pytest.mark.parametrize("data", [b"noise", b"\x0a\xff", b"\x0a\x04\x0a\x02\xff\xfe"])
def test_a_malformed_message_is_the_clients_error(served, data):
    async def talk(port):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for name in ("PredictionService/Predict", "ModelService/GetModelStatus"):
                with pytest.raises(grpc.RpcError) as caught:
                    await channel.unary_unary(f"/tensorflow.serving.{name}")(data)
                assert caught.value.code().name == "INVALID_ARGUMENT"
                assert "malformed" in caught.value.details()

    run_grpc(served, Limits(), talk)


def test_an_answer_of_a_million_is_built_beside_the_others(served, monkeypatch):
    """While one is built, another is asked for and answered."""

    encoded = rest_api._encoded
    monkeypatch.setattr(versions, "_LARGE", 5)
    calls = []

    def built(form, outputs):
        calls.append(time.monotonic())
        time.sleep(1)
        return encoded(form, outputs)

    monkeypatch.setattr(rest_api, "_encoded", built)

    async def talk(connect):
        body = b'{"inputs": {"words": ["the"]}}'
        large_reader, large = await connect()
        large.write(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        while not calls:
            await asyncio.sleep(0.01)
        reader, writer = await connect()
        start = time.monotonic()
        writer.write(GET)
        await reader.readline()
        small = time.monotonic() - start
        return small, await large_reader.readline()

    small, line = run(served, Limits(), talk)[0]
    assert small < 0.5
    assert line == b"HTTP/1.1 200 OK\r\n"
