"""Beam's workers in processes of their own, killed while they work."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import threading
import time

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import beam_workers
from word2vec.errors import UserError

OPTIONS = [
    "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner",
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
    "--sdk_container_image=none",
]


class Work(beam.DoFn):
    """Leaves its process' number in a folder, and takes its time."""

    def __init__(self, folder, seconds):
        self._folder, self._seconds = folder, seconds

    def process(self, number):
        (pathlib.Path(self._folder) / str(os.getpid())).touch()
        time.sleep(self._seconds)
        yield number, "x" * 100_000


def work(folder, seconds, elements=8):
    beam_workers.register()
    with beam.Pipeline(options=PipelineOptions(OPTIONS)) as pipeline:
        _ = (
            pipeline
            | beam.Create(range(elements))
            | beam.Reshuffle()
            | beam.ParDo(Work(str(folder), seconds))
            | beam.GroupByKey()
            | beam.Map(lambda found: (pathlib.Path(folder) / f"result-{found[0]}").touch())
        )


def busy(folder):
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def kill_when_busy(folder, which, moments):
    def kill():
        while len(found := busy(folder)) < 2:
            time.sleep(0.05)
        moments.append(time.monotonic())
        os.kill(which(found), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()


def test_processes_do_their_work_and_end(tmp_path):
    work(tmp_path, 0)
    assert len(list(tmp_path.glob("result-*"))) == 8
    assert busy(tmp_path)
    assert not any(map(is_alive, busy(tmp_path)))


@pytest.mark.parametrize("which", [min, max])
def test_a_killed_worker_ends_the_work_within_seconds(tmp_path, which):
    """Whichever of them Beam asks for its result first."""
    kill_when_busy(tmp_path, which, killed := [])
    with pytest.raises(UserError, match=r"a worker process of Beam, \d+, was killed \(SIGKILL\).*beam.workers lower"):
        work(tmp_path, 60)
    assert time.monotonic() - killed[0] < 20
    assert not any(map(is_alive, busy(tmp_path)))


def test_a_worker_that_ends_before_it_has_begun(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"a worker process of Beam, \d+, ended with exit code 1"):
        work(tmp_path, 0)


def test_beam_finds_this_python_by_name(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    for _ in range(2):
        beam_workers.register()
    assert os.environ["PATH"].split(os.pathsep) == [os.path.dirname(sys.executable), "/usr/bin"]
