"""Two workers on loopback, each a local_runner.py with its own TF_CONFIG."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from gensim.models import KeyedVectors

from tests.conftest import free_ports
from tests.e2e.conftest import make_project

CHECKPOINTS = "trainer.checkpoint_seconds=0.2"

# Of TensorFlow's steps, which all workers make together; and of the compiled kernel's, on tables of their own.
TOGETHER = [
    "trainer.kernel=tensorflow",
    "trainer.blocks_per_step=2",
    CHECKPOINTS,
    "trainer.steps_per_call=20",
    "trainer.epochs=8",
]
OWN = [
    "trainer.kernel=compiled", CHECKPOINTS, "trainer.exchange_positions=1000",
    "trainer.epochs=20",
]  # fmt: skip


def arguments(*settings):
    return [word for setting in settings for word in ("--set", setting)]


def start_workers(project, *settings, name="tiny"):
    """The chief and one more; each in a session of its own, for what it starts is killed with it."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        processes.append(
            project.start(
                *("--name", name, *arguments("trainer.strategy=multi_worker", *settings)),
                environment={"TF_CONFIG": json.dumps(config), "COLUMNS": "200"},
            )
        )
    return processes


@pytest.fixture
def started():
    processes = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()


def ended(processes, timeout=600):
    results = []
    for process in processes:
        out, err = process.communicate(timeout=timeout)
        results.append((process.returncode, out, err))
    return results


def vectors(project, name="tiny"):
    return KeyedVectors.load_word2vec_format(str(project.folder / "runs" / name / "vectors" / "vectors.txt")).vectors


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("settings", [TOGETHER, OWN], ids=["together", "own"])
def test_a_worker_dies_and_the_same_command_resumes(tmp_path, started, settings):
    project = make_project(tmp_path)
    checkpoints = project.folder / "runs" / "tiny" / "checkpoints"
    chief, other = start_workers(project, *settings)
    started += [chief, other]
    deadline = time.monotonic() + 200
    while not list(checkpoints.glob("*/step-*[0-9]")):
        assert time.monotonic() < deadline
        assert chief.poll() is None, project.log()
        time.sleep(0.05)
    other.kill()
    ((status, _, err),) = ended([chief], timeout=120)
    assert status == 1
    assert "another worker" in err
    assert "the same command" in err
    assert "Traceback" not in err
    kept = max(int(path.name.removeprefix("step-")) for path in checkpoints.glob("*/step-*[0-9]"))

    again = start_workers(project, *settings)
    started += again
    (status, out, err), (other_status, other_out, other_err) = ended(again)
    assert status == 0, out + err + project.log()
    assert other_status == 0, other_out + other_err
    assert "every threshold is reached" in out
    assert "trained" in other_out
    assert f"Going on from the checkpoint at step {kept}" in project.whole_log()
    assert not list(checkpoints.rglob("*.*"))

    spread = vectors(project)
    if settings is TOGETHER:  # as one device does
        project.run(*arguments(*settings, "trainer.strategy=one_device"))
        np.testing.assert_allclose(spread, vectors(project), rtol=0.01, atol=0.01)
        return
    undisturbed = start_workers(project, *settings, name="undisturbed")
    started += undisturbed
    assert [status for status, _, _ in ended(undisturbed)] == [0, 0]
    np.testing.assert_array_equal(spread, vectors(project, "undisturbed"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "the environment variable TF_CONFIG is not set; expected as in"),
        ("{", r"TF_CONFIG = {: expected as in"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 3}}', "expected as in"),
    ],
)
def test_a_wrong_tf_config_is_said(tmp_path, config, message):
    project = make_project(tmp_path)
    done = project.run(*arguments("trainer.strategy=multi_worker"), check=False, environment={"TF_CONFIG": config})
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
