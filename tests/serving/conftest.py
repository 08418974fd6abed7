"""A small pushed model, and a server for it in a process of its own."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from word2vec import serving_model

ROOT = pathlib.Path(__file__).parents[2]
WORDS = [
    "the",
    "king",
    "queen",
    "man",
    "woman",
    "tea",
    "coffee",
    "東",
    "naïve",
    "it's",
    *(f"w{n}" for n in range(40)),
    "new_york",
]
_DRAWN = np.random.default_rng(5).normal(size=(len(WORDS), 12)).astype(np.float32)
_DRAWN[2] = _DRAWN[1] - _DRAWN[3] + _DRAWN[4]
VECTORS = _DRAWN


def make_version(folder, number, vectors=VECTORS):
    """A version as the Pusher leaves it: under its number when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocabulary").write_text("".join(f"{900 - 10 * place}.0 {word}\n" for place, word in enumerate(WORDS)))
    (folder / "phrases_1").write_text("9.5 new+york\n")
    beside = folder / f"{number}.new"
    assets = str(folder / "vocabulary"), [str(folder / "phrases_1")]
    serving_model.ServingModel(vectors, *assets).save(str(beside))
    os.replace(beside, folder / str(number))
    for name in ("vocabulary", "phrases_1"):
        (folder / name).unlink()
    return folder


def cosine(a, b):
    a, b = (VECTORS[WORDS.index(word)] for word in (a, b))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


class Server:
    """`python -m serving.local`."""

    def __init__(self, model, *arguments):
        command = [sys.executable, "-m", "serving.local", "--model", str(model), "--port", "0", "--rest-port", "0"]
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("page "):
                break
        told = "".join(lines)
        assert "page " in told, told
        self.grpc = re.search(r"gRPC (\S+)", told)[1]
        self.rest = re.search(r"page (\S+)", told)[1]

    def stop(self):
        """Asks it to stop; returns its exit code."""
        self.process.terminate()
        try:
            self.process.communicate(timeout=30)
        finally:
            self.process.kill()
        return self.process.returncode


@pytest.fixture(scope="session")
def versions_folder(tmp_path_factory):
    return make_version(tmp_path_factory.mktemp("pushed") / "word2vec", 7)


@pytest.fixture(scope="session")
def server(versions_folder):
    with contextlib.closing(_Stopped(Server(versions_folder))) as stopped:
        yield stopped.server


class _Stopped:
    def __init__(self, server):
        self.server = server

    def close(self):
        assert self.server.stop() == 0


@pytest.fixture
def own_versions_folder(versions_folder, tmp_path):
    """A copy that a test may change."""
    return pathlib.Path(shutil.copytree(versions_folder, tmp_path / "word2vec"))
