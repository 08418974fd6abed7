"""The components that read the text, on a Flink mini-cluster with two task slots."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import psutil
import pytest

from tests.e2e.conftest import ROOT


@pytest.fixture(scope="module")
def jar(tmp_path_factory) -> pathlib.Path:
    """Flink's job server, put together from Maven's central repository."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            pytest.skip(f"no {program}")
    folder = tmp_path_factory.mktemp("flink")
    command = ["mvn", "--quiet", "--batch-mode", f"--file={ROOT}/deploy/flink/pom.xml", f"-Dfolder={folder}", "package"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if made.returncode:
        pytest.skip(f"the job server's parts cannot be had: {made.stdout.strip().splitlines()[0]}")
    return folder / "flink-job-server.jar"


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def analyzers(log: str) -> int:
    """How many of Transform's workers have begun."""
    begun = re.search(r"Analyze.*switched from INITIALIZING to RUNNING", log)
    return log.count("Beam Fn Data client connected", begun.start()) if begun else 0


def busy_worker(parent: int) -> int | None:
    """The process of a Python worker that has a connection for data too, and so is in the midst of its work.

    That a worker was killed before, Flink learns only after three minutes.
    """
    for child in psutil.Process(parent).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may just have ended
            if any("SdkHarness" in word for word in child.cmdline()):
                connected = [one for one in child.net_connections("tcp") if one.status == psutil.CONN_ESTABLISHED]
                if len(connected) > 1:
                    return child.pid
    return None


def wait_for(found, seconds: float):
    """What `found` returns, once it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if result := found():
            return result
        time.sleep(0.2)
    raise AssertionError("it did not come")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_flink_gives_what_the_direct_runner_gives_though_a_worker_is_killed(project, jar):
    options = [
        "--flink_version=1.19",
        f"--flink_job_server_jar={jar}",
        "--experiments=use_loopback_process_worker",
        "--sdk_worker_parallelism=2",
    ]
    phrases = ("--set", "skipgram.phrases={min_count: 3, threshold: 0.08}")
    settings = ["beam.runner=flink", "beam.workers=2", f"beam.options={options}"]
    flink = (word for setting in settings for word in ("--set", setting))
    project.run("--name", "direct", *phrases)
    command = project.command("--name", "flink", *phrases, *flink)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: analyzers(project.whole_log("flink")) >= 2, 300)
        os.kill(wait_for(lambda: busy_worker(process.pid), 60), signal.SIGKILL)
        out, err = process.communicate(timeout=600)  # with three minutes in which Flink may wait for the dead
    finally:  # if it has not ended, its job servers have not either
        left = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        for one in (process, *left):
            with contextlib.suppress(psutil.Error):
                one.kill()
    assert process.returncode == 0, out + err + project.log("flink")
    assert "blessed" in out
    assert not err.strip()

    log = project.whole_log("flink")
    assert "Starting Flink Mini Cluster" in log
    assert re.search(r"ExecutionGraph - Job .* switched from state RUNNING to RESTARTING", log)
    assert re.search(r"Transform.*\(2/2\).*switched from RUNNING to FINISHED", log)
    for component, key in (("ExampleGen", "examples"), ("Transform", "transformed_examples")):
        expected = contents(project.artifact(component, key, "direct"))
        assert len(expected) > 3
        assert contents(project.artifact(component, key, "flink")) == expected
    for asset in ("vocabulary", "tokens", "phrases_1"):
        graphs = [project.artifact("Transform", "transform_graph", name) for name in ("flink", "direct")]
        one, other = ((graph / "transform_fn" / "assets" / asset).read_bytes() for graph in graphs)
        assert one == other
