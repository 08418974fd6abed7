"""Answers requests that wait for a free core together: one product of a matrix instead of many with a vector."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]

# Rows in a call; more wait for the next one.
MOST_ROWS = 256


@dataclasses.dataclass
class _Waiting:
    inputs: Arrays
    answer: asyncio.Future[Arrays]


class Batcher:
    """Calls a signature for requests as they come, and for several at once while all threads are busy.

    No request waits for others to come: a batch is what came while the threads were busy.

    Args:
        call: the signature; from arrays to arrays, each with one row per question, in the same order.
        threads: where calls run.
        at_once: how many calls run beside each other.
    """

    def __init__(self, call: Callable[[Arrays], Arrays], threads: concurrent.futures.Executor, at_once: int):
        self._call, self._threads = call, threads
        self._waiting: deque[_Waiting] = deque()
        self._free = at_once

    async def __call__(self, inputs: Arrays) -> Arrays:
        """Answers one request.

        Args:
            inputs: by name.

        Returns:
            The outputs by name.
        """
        waiting = _Waiting(inputs, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._start()
        return await waiting.answer

    def _start(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            task = asyncio.ensure_future(self._answer(self._next_batch()))
            task.add_done_callback(self._freed)

    def _freed(self, _: asyncio.Future[None]) -> None:
        self._free += 1
        self._start()

    def _next_batch(self) -> list[_Waiting]:
        """The first one that waits, and those behind it that can be asked with it."""
        batch = [self._waiting.popleft()]
        left: deque[_Waiting] = deque()
        kind, rows = _kind(batch[0].inputs), _rows(batch[0].inputs)
        while self._waiting and kind is not None:
            waiting = self._waiting.popleft()
            more = _rows(waiting.inputs)
            if _kind(waiting.inputs) == kind and rows + more <= MOST_ROWS:
                batch.append(waiting)
                rows += more
            else:
                left.append(waiting)
        self._waiting = left + self._waiting
        return batch

    async def _answer(self, batch: list[_Waiting]) -> None:
        try:
            outputs = await self._run(_joined(batch))
        except Exception as error:  # whatever it is, those who wait must hear of it
            if len(batch) == 1:
                _fail(batch[0], error)
            else:  # one of them is to blame, and the others have a right to their answers
                for waiting in batch:
                    await self._answer([waiting])
            return
        start = 0
        for waiting in batch:
            stop = start + _rows(waiting.inputs)
            if not waiting.answer.done():  # it is where the one who asked has gone
                is_alone = len(batch) == 1
                waiting.answer.set_result(
                    outputs if is_alone else {name: value[start:stop] for name, value in outputs.items()}
                )
            start = stop

    async def _run(self, inputs: Arrays) -> Arrays:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, inputs)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


def _rows(inputs: Arrays) -> int:
    return len(next(iter(inputs.values()))) if inputs and next(iter(inputs.values())).ndim else 0


def _kind(inputs: Arrays) -> object | None:
    """What requests must share to be asked together; None where one must be asked alone.

    Texts are questions. Numbers say how these are to be answered (k), and outputs may be as wide as they say: only
    requests with the same numbers go together. How wide the answer to `examples` is, the longest of them says.
    """
    if (
        "examples" in inputs
        or any(value.ndim != 1 for value in inputs.values())
        or len({len(value) for value in inputs.values()}) != 1
    ):
        return None
    numbers = {name: set(value.tolist()) for name, value in inputs.items() if value.dtype != object}
    if any(len(values) != 1 for values in numbers.values()):
        return None
    return tuple(sorted((name, values.pop()) for name, values in numbers.items()))


def _joined(batch: list[_Waiting]) -> Arrays:
    if len(batch) == 1:
        return batch[0].inputs
    return {name: np.concatenate([waiting.inputs[name] for waiting in batch]) for name in batch[0].inputs}
