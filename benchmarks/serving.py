"""Measures serving: latency and throughput through the local server, from the bare signature and from gensim.

    python -m benchmarks.serving --model runs/imdb/serving_model

Clients are processes of their own, on the same cores as the server: what is measured is the whole. Then versions are
pushed while clients ask, and hostile requests are sent. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from multiprocessing.pool import ThreadPool
from typing import Any

import numpy as np

from benchmarks import arguments, hostile, markdown, parts
from benchmarks.local_server import LocalServer, memory
from word2vec import saved_model_layout

QUESTIONS = {"serving_default": {}, "most_similar": {"k": 10}}
_FREQUENT = 5000
_TOGETHER, _SEARCHES = 64, 22


def main() -> None:
    """Measures all of it; with an argument in JSON, which is how it calls itself, one process' part."""
    if parts.is_one_of(PARTS):
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=arguments.versions, required=True, help="the folder of the versions")
    parser.add_argument("--clients", type=arguments.count(), nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=arguments.seconds(), default=60, help="of each measurement")
    parser.add_argument("--pushes", type=arguments.count(0), default=20, help="versions that come under load")
    parser.add_argument("--hostile", type=arguments.count(0), default=10_000, help="hostile requests")
    parser.add_argument(
        "--words", type=arguments.count(2), nargs="*", default=[57_000, 1_000_000], help="sizes of made-up models"
    )
    parser.add_argument("--dimensions", type=arguments.count(), nargs="+", default=[128, 300], help="of these")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        newest = max(pathlib.Path(options.model).iterdir(), key=lambda version: int(version.name))
        copy = pathlib.Path(work) / "served"
        shutil.copytree(newest, copy / newest.name)
        print(_latencies(options, str(copy), str(copy / newest.name)), "\n", flush=True)
        print(_pushes(options, copy), "\n", flush=True)
        print(_hostile(options, str(copy)), "\n", flush=True)
    print(_sizes(itertools.product(options.words, options.dimensions)), flush=True)


def _latencies(options: argparse.Namespace, folder: str, version: str) -> str:
    rows = []
    for side, signature in (("gensim", "most_similar"), *(("bare signature", name) for name in QUESTIONS)):
        measured = parts.call(
            _NAME, {"part": side.split()[0], "version": version, "signature": signature, "seconds": 10}
        )
        rows.append([side, signature, "1", *_figures(measured["latencies"], measured["seconds"])])
    with LocalServer(folder) as server:
        for interface in ("gRPC", "REST"):
            address = server.grpc if interface == "gRPC" else server.rest
            for signature in QUESTIONS:
                for clients in options.clients:
                    latencies = _load(address, signature, clients, options.seconds, version)
                    figures = _figures(latencies, options.seconds)
                    rows.append([f"server, {interface}", signature, str(clients), *figures])
                    print(rows[-1], file=sys.stderr)
    return markdown.table(["side", "question", "clients", "p50 ms", "p99 ms", "requests/s"], rows)


def _figures(latencies: list[float], seconds: float) -> list[str]:
    p50, p99 = np.percentile(np.array(latencies) * 1000, [50, 99])
    return [f"{p50:.2f}", f"{p99:.2f}", f"{len(latencies) / seconds:,.0f}"]


def _load(address: str, signature: str, clients: int, seconds: float, version: str) -> list[float]:
    """The latencies, in seconds, of clients that each ask as fast as they are answered."""
    processes = min(clients, 2)
    requests = [
        {"part": "ask", "address": address, "signature": signature, "seconds": seconds, "version": version,
         "threads": clients // processes}
        for _ in range(processes)
    ]  # fmt: skip
    with ThreadPool(processes) as pool:
        answers = pool.map(lambda request: parts.call(_NAME, request), requests)
    return [latency for answer in answers for latency in answer["latencies"]]


def ask(address: str, signature: str, seconds: float, threads: int, version: str) -> dict[str, Any]:
    """One process of clients, one thread per client; latencies include making the request and reading the answer."""
    ready, latencies, words = threading.Barrier(threads), [], _words(version)

    def run(seed: int) -> None:
        draw, mine = random.Random(seed), []
        question = _client_question(address, signature)
        question(words[0])
        ready.wait()
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            question(draw.choice(words))
            mine.append(time.perf_counter() - start)
        latencies.extend(mine)

    started = [threading.Thread(target=run, args=(seed,)) for seed in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return {"latencies": latencies}


def _client_question(address: str, signature: str) -> Callable[[str], Any]:
    from serving.client import Embeddings

    embeddings = Embeddings(address, retries=0)
    return embeddings.__getitem__ if signature == "serving_default" else embeddings.most_similar


def bare(version: str, signature: str, seconds: float) -> dict[str, Any]:
    """The signature in this process, without a server."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    function = tf.saved_model.load(version).signatures[signature]
    more = {name: tf.constant([value]) for name, value in QUESTIONS[signature].items()}
    return _timed(lambda word: function(words=tf.constant([word]), **more), version, seconds)


def gensim(version: str, signature: str, seconds: float) -> dict[str, Any]:
    """gensim's `most_similar` in this process."""
    from gensim.models import KeyedVectors

    from serving import export

    vectors = export.load(version)
    keyed = KeyedVectors(vectors.table.shape[1])
    keyed.add_vectors(vectors.words.words, vectors.table)
    return _timed(lambda word: keyed.most_similar(word, topn=10), version, seconds)


def _timed(question: Callable[[str], Any], version: str, seconds: float) -> dict[str, Any]:
    words, draw, latencies = _words(version), random.Random(1), []
    for word in words[:20]:
        question(word)
    begin = time.perf_counter()
    while (start := time.perf_counter()) < begin + seconds:
        question(draw.choice(words))
        latencies.append(time.perf_counter() - start)
    return {"latencies": latencies, "seconds": time.perf_counter() - begin}


def _words(version: str) -> list[str]:
    with open(saved_model_layout.vocabulary(version), encoding="utf-8") as file:
        return [line.split()[1] for line, _ in zip(file, range(_FREQUENT), strict=False)]


def _pushes(options: argparse.Namespace, folder: pathlib.Path) -> str:
    """Pushes versions while eight clients ask; returns what came of it."""
    version = next(folder.iterdir())
    stop, counts = threading.Event(), {"answered": 0, "failed": 0}

    def run(address: str, signature: str) -> None:
        question = _client_question(address, signature)
        words, draw = _words(str(version)), random.Random(1)
        while not stop.is_set():
            try:
                question(draw.choice(words))
                counts["answered"] += 1
            except Exception:
                counts["failed"] += 1

    with LocalServer(str(folder)) as server:
        asking = [
            threading.Thread(target=run, args=(address, signature))
            for address in (server.grpc, server.rest) * 2
            for signature in QUESTIONS
        ]
        for thread in asking:
            thread.start()
        resident = [memory(server.pid)["VmRSS"]]
        for number in range(1, options.pushes + 1):
            pushed = folder / str(int(version.name) + number)
            shutil.copytree(version, pushed, ignore=shutil.ignore_patterns("saved_model.pb"))
            shutil.copy(version / "saved_model.pb", pushed)  # last, as our Pusher does at a URI
            time.sleep(4)
            resident.append(memory(server.pid)["VmRSS"])
        stop.set()
        for thread in asking:
            thread.join()
    return (
        f"{options.pushes} versions pushed in {4 * options.pushes} s under 8 clients: {counts['answered']:,} requests "
        f"answered, {counts['failed']} failed. Memory {resident[0]} MiB before, {resident[len(resident) // 2]} MiB "
        f"halfway, {resident[-1]} MiB at the end."
    )


def _hostile(options: argparse.Namespace, folder: str) -> str:
    with LocalServer(folder) as server:
        return hostile.attack(server.pid, server.rest, server.grpc, options.hostile, seed=1)[0]


def _sizes(sizes: Iterable[tuple[int, int]]) -> str:
    """Of made-up models of so many words and dimensions."""
    rows = []
    for size, dimensions in sizes:
        with tempfile.TemporaryDirectory() as work:
            request = {"part": "make", "size": size, "folder": f"{work}/1", "seed": 1, "dimensions": dimensions}
            version = parts.call("benchmarks.evaluation", request)["version"]
            loaded = parts.call(_NAME, {"part": "load", "version": version})
            stored = sum(path.stat().st_size for path in pathlib.Path(version).rglob("*") if path.is_file())
        times = [f"{loaded[name]:.{digits}f}" for name, digits in (("seconds", 2), ("one", 1), ("many", 1))]
        stored_times = f"{stored / (size * dimensions * 4):.3f}"
        rows.append([f"{size:,}", f"{dimensions}", f"{stored / 1e6:,.1f}", stored_times, f"{loaded['mib']:,}", *times])
    header = ["words", "dimensions", "MB on disk", "times the vectors", "MiB", "seconds to load"]
    return markdown.table([*header, "ms for one word's neighbours", f"ms for {_TOGETHER} words'"], rows)


def load(version: str) -> dict[str, Any]:
    """How long a version takes to load, what memory it then has more, and how long exact search takes in it."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    def resident() -> int:
        return memory(os.getpid())["VmRSS"]

    tf.constant(0)
    before, start = resident(), time.perf_counter()
    model = tf.saved_model.load(version)
    seconds = time.perf_counter() - start
    model.signatures["serving_default"](words=tf.constant(["the"]))
    mib = resident() - before
    words = _words(version)
    one, many = (_search(model.signatures["most_similar"], words[:count]) for count in (1, _TOGETHER))
    return {"seconds": seconds, "mib": mib, "one": one, "many": many}


def _search(signature: Callable[..., Any], words: list[str]) -> float:
    """The median of some searches, in ms."""
    import tensorflow as tf

    asked = {"words": tf.constant(words), "k": tf.constant([10] * len(words))}
    times = []
    for _ in range(_SEARCHES):
        start = time.perf_counter()
        signature(**asked)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[2:]))  # the first ones make what later ones find


_NAME = "benchmarks.serving"
PARTS: dict[str, parts.Part] = {"ask": ask, "bare": bare, "gensim": gensim, "load": load}


if __name__ == "__main__":
    main()
