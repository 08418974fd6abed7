"""What all tests share. Everything here is small, made by the test, and needs no network."""

from __future__ import annotations

import os
import pathlib
import random
import socket

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import hypothesis
import pytest
import tensorflow_text  # noqa: F401  (the ops of the served model)

from word2vec import progress

# On a developer's machine every run tries other examples; where a change is judged, each run tries the same.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

TOPICS = {
    "animals": ["cat", "dog", "horse", "cow", "sheep", "goat", "bird", "fish"],
    "food": ["bread", "cheese", "apple", "soup", "rice", "milk", "sugar", "tea"],
    "travel": ["train", "plane", "ship", "road", "bridge", "station", "ticket", "harbour"],
}
COMMON = ["the", "a", "of", "and", "to", "in", "with", "near"]


# The files that take minutes, the longest first: begun last, one of them would keep a single core busy at the end.
_LONG = (
    "e2e/test_rehearsal.py",
    "e2e/test_workers.py",
    "e2e/test_spans.py",
    "e2e/test_pipeline.py",
    "e2e",
    "word2vec/training/test_kernel.py",
    "word2vec/training/test_training.py",
    "serving",
    "components/evaluator/test_gate.py",
    "components/skipgram/test_phrases.py",
    "word2vec/training",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of the longest files first; those of a file stay in their order."""
    root = pathlib.Path(__file__).parent

    def place(item: pytest.Item) -> int:
        return next((place for place, path in enumerate(_LONG) if item.path.is_relative_to(root / path)), len(_LONG))

    items.sort(key=place)


def make_documents(count: int, seed: int = 0) -> list[str]:
    """Documents of which each speaks of one topic: so words of a topic must come out as neighbours."""
    draw = random.Random(seed)
    documents = []
    for _ in range(count):
        topic = draw.choice(list(TOPICS.values()))
        documents.append(" ".join(draw.choice(topic if draw.random() < 0.6 else COMMON) for _ in range(60)))
    return documents


@pytest.fixture(scope="session")
def documents() -> list[str]:
    return make_documents(400)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the components note in place of their log."""
    told: list[str] = []
    monkeypatch.setattr(progress, "note", told.append)
    return told


def free_ports(count):
    """Ports of this machine on which nobody listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
