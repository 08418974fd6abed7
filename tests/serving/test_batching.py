"""Requests that wait are asked together, and each gets its own answer."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import numpy as np
import pytest

from serving import batching


class Signature:
    """Doubles lengths; remembers its calls, and lets the first one wait until it is told."""

    def __init__(self):
        self.calls, self.may_go = [], threading.Event()

    def __call__(self, inputs):
        self.calls.append(inputs["words"].tolist())
        if len(self.calls) == 1:
            self.may_go.wait(10)
        if "bad" in inputs["words"]:
            raise ValueError("bad")
        lengths = np.array([2 * len(word) for word in inputs["words"]])
        return {"lengths": lengths}


def ask(requests, **more):
    """Asks while the only thread is busy with the first; returns (answers or errors, calls)."""
    signature = Signature()

    async def run():
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            batcher = batching.Batcher(signature, threads, 1)
            tasks = [
                asyncio.create_task(batcher({"words": np.array(words, object), **extra})) for words, extra in requests
            ]
            await asyncio.sleep(0.05)
            for task in more.get("cancelled", []):
                tasks[task].cancel()
            signature.may_go.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(run())
    return [answer["lengths"].tolist() if isinstance(answer, dict) else answer for answer in answers], signature.calls


def test_what_waits_is_asked_together():
    answers, calls = ask([(["a"], {}), (["bb", "c"], {}), (["ddd"], {})])
    assert answers == [[2], [4, 2], [6]]
    assert calls == [["a"], ["bb", "c", "ddd"]]


def test_the_one_that_is_wrong_fails_alone():
    answers, calls = ask([(["a"], {}), (["bb"], {}), (["bad"], {}), (["ddd"], {})])
    assert (answers[1], answers[3]) == ([4], [6])
    assert isinstance(answers[2], ValueError)
    assert calls[1:] == [["bb", "bad", "ddd"], ["bb"], ["bad"], ["ddd"]]


@pytest.mark.parametrize("same", [True, False])
def test_only_the_same_numbers_go_together(same):
    k = [np.full(1, 5, np.int32), np.full(1, 5 if same else 6, np.int32)]
    _, calls = ask([(["a"], {}), (["b"], {"k": k[0]}), (["c"], {"k": k[1]})])
    assert len(calls) == (2 if same else 3)


def test_numbers_without_rows_are_asked_alone():
    _, calls = ask([(["a"], {}), (["b"], {"k": np.array(5)}), (["c"], {"k": np.array(5)})])
    assert calls == [["a"], ["b"], ["c"]]


def test_examples_are_asked_alone():
    examples = {"examples": np.array([b""], object)}
    _, calls = ask([(["first"], {}), (["a"], examples), (["b"], examples)])
    assert sorted(map(len, calls)) == [1, 1, 1]


def test_batches_are_bounded(monkeypatch):
    monkeypatch.setattr(batching, "MOST_ROWS", 3)
    answers, calls = ask([(["a"], {}), (["b", "c"], {}), (["d", "e"], {}), (["f"], {}), (["g"] * 9, {})])
    assert [len(answer) for answer in answers] == [1, 2, 2, 1, 9]
    assert calls == [["a"], ["b", "c", "f"], ["d", "e"], ["g"] * 9]


def test_one_that_has_gone_disturbs_no_other():
    answers, _ = ask([(["a"], {}), (["bb"], {}), (["ccc"], {})], cancelled=[1])
    assert (answers[0], answers[2]) == ([2], [6])
    assert isinstance(answers[1], asyncio.CancelledError)
