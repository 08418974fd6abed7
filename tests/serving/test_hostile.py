"""Requests that no one means well: each is answered or refused with a reason, and none by an error of the server's."""

from __future__ import annotations

import itertools
import re
import socket

import pytest

from benchmarks import hostile, hostile_requests
from tests.serving.conftest import Server

# Of each kind so many, where all are tried.
FEW = 15
KINDS = len({kind for kind, _ in itertools.islice(hostile_requests.requests(0), 100)})


def attack(folder, count, seed):
    server = Server(folder)
    try:
        text, faults = hostile.attack(server.process.pid, server.rest, server.grpc, count, seed)
        peak = hostile.memory(server.process.pid)
        assert server.process.poll() is None
    finally:
        server.process.stdout.close()
        server.process.terminate()
        server.process.wait(30)
    return text, faults, peak


def test_the_same_seed_draws_the_same_requests():
    drawn = [list(itertools.islice(hostile_requests.requests(seed), 3 * KINDS)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_an_answer_that_never_comes_is_a_fault(monkeypatch):
    monkeypatch.setattr(hostile, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        sender = hostile.Sender(f"http://{address}", address)
        assert sender.send(hostile_requests.Rest(b"{}")) == "late"
        sender.close()
    assert hostile.is_fault("late")


def test_hostile_requests(versions_folder):
    text, faults, peak = attack(versions_folder, FEW * KINDS, seed=3)
    assert faults == [], text
    assert peak["VmHWM"] < peak["VmRSS"] + 1000, text


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(2400)
def test_ten_thousand_hostile_requests(versions_folder):
    text, faults, peak = attack(versions_folder, 10_000, seed=1)
    print(text)
    assert faults == [], text
    assert peak["VmHWM"] < 3000, text
    assert re.search("10,000 hostile requests: 0 faults", text)
