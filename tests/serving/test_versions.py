"""Versions come, go and are damaged; what can be served is served, and the watch goes on whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time

import pytest

from serving import folders, versions
from tests.serving.conftest import VECTORS, make_version
from word2vec import version_folders


@pytest.fixture
def loads(monkeypatch):
    """The numbers of the versions that were tried."""
    tried = []

    class Counted(versions.Version):
        def __init__(self, number, *arguments):
            tried.append(number)
            super().__init__(number, *arguments)

    monkeypatch.setattr(versions, "Version", Counted)
    return tried


def add_broken(folder, number):
    (folder / str(number)).mkdir()
    (folder / str(number) / version_folders.MARK).write_bytes(b"broken")


def mend(folder, number, version):
    shutil.rmtree(folder / str(number))
    shutil.copytree(folder / str(version), folder / str(number))


def serve(folder, *steps):
    """Refreshes before and after each step; returns the number that is served at each time."""

    async def run():
        served, seen = versions.Versions("word2vec", str(folder), cores=1), []
        async with served.watched(3600):
            for step in (lambda: None, *steps):
                step()
                await served.refresh()
                seen.append(served.served.number if served.served else None)
        return seen

    return asyncio.run(run())


def test_a_broken_newest_hides_no_older_one(own_versions_folder, loads):
    add_broken(own_versions_folder, 9)
    add_broken(own_versions_folder, 8)
    assert serve(own_versions_folder) == [7]
    assert loads == [9, 8, 7]


def test_a_broken_one_does_not_take_over_and_hides_no_newer_or_older(own_versions_folder):
    folder = own_versions_folder
    later = [
        lambda: add_broken(folder, 9),
        lambda: shutil.copytree(folder / "7", folder / "8"),
        lambda: shutil.copytree(folder / "7", folder / "10"),
    ]
    assert serve(folder, *later) == [7, 7, 8, 10]


def test_a_version_that_is_removed_gives_way_to_the_next_lower_one(own_versions_folder):
    folder = own_versions_folder
    for number in ("5", "9"):
        shutil.copytree(folder / "7", folder / number)
    steps = [lambda number=number: shutil.rmtree(folder / number) for number in ("9", "7", "5")]
    # The last one is not taken from those who ask, though its files are gone.
    assert serve(folder, *steps) == [9, 7, 5, 5]


def test_a_failed_version_is_tried_again_when_its_files_change(own_versions_folder, loads):
    folder = own_versions_folder
    add_broken(folder, 8)
    nothing = [lambda: None] * 3
    assert serve(folder, *nothing, lambda: mend(folder, 8, 7)) == [7, 7, 7, 7, 8]
    assert loads == [8, 7, 8]


def test_a_failed_version_is_tried_again_after_a_while(own_versions_folder, loads, monkeypatch):
    add_broken(own_versions_folder, 8)
    passed = [0.0]
    monkeypatch.setattr(versions.time, "monotonic", lambda now=time.monotonic: now() + passed[0])
    waits = [lambda seconds=seconds: passed.append(passed.pop() + seconds) for seconds in (50, 20, 50, 80)]
    serve(own_versions_folder, *waits)
    assert loads == [8, 7, 8, 8]  # a minute after the first time, and two minutes after the second


def test_odd_names_are_no_versions(own_versions_folder):
    folder = own_versions_folder
    for name in (str(2**63), "9" * 200, "٩", "8.new", "-9", "+9"):
        shutil.copytree(folder / "7", folder / name)
    assert serve(folder) == [7]
    shutil.copytree(folder / "7", folder / "0008")
    assert serve(folder) == [8]


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError(), ValueError("x"), RuntimeError()])
def test_the_watch_survives_every_error(own_versions_folder, monkeypatch, caplog, error):
    folder, find, calls = own_versions_folder, folders.find, []

    def fails(path):
        calls.append(path)
        if len(calls) < 5:
            raise error
        return find(path)

    async def run():
        served = versions.Versions("word2vec", str(folder), cores=1)
        await served.refresh()
        monkeypatch.setattr(folders, "find", fails)
        async with served.watched(0.01):
            shutil.copytree(folder / "7", folder / "8")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(until(lambda: served.served.number == 8), 60)
        return served.served.number

    assert asyncio.run(run()) == 8
    assert len([record for record in caplog.records if "cannot look" in record.message]) == 1


async def until(condition):
    while not condition():
        await asyncio.sleep(0.02)


def test_a_version_that_answers_is_not_dropped_meanwhile(own_versions_folder):
    folder = own_versions_folder

    async def run():
        served = versions.Versions("word2vec", str(folder), cores=1)
        await served.refresh()
        async with served.watched(3600):
            with served.use("word2vec") as old:
                make_version(folder, 8, VECTORS * 2)
                await served.refresh()
                during = served.states()
                assert old.number == 7
            await served.refresh()
            return during, served.states()

    assert asyncio.run(run()) == ({7: "UNLOADING", 8: "AVAILABLE"}, {8: "AVAILABLE"})
