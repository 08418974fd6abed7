"""What a process sees in the likeness of a container."""

from __future__ import annotations

import os

import pytest

from pipeline.kubeflow.rehearsal import container
from word2vec.errors import UserError


@pytest.fixture
def inside(tmp_path):
    """Runs shell in a container; returns (its exit code, what it printed)."""
    try:
        container.check()
    except UserError as error:
        pytest.skip(str(error))
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o777)
    one = container.Container(tmp_path / "container", {"/mnt/models": volume}, {"GIVEN": "yes"})
    one.prepare()

    def run(script):
        code = one.run(["sh", "-c", script], tmp_path / "log.txt")
        return code, (tmp_path / "log.txt").read_text()

    run.volume, run.one = volume, one
    return run


def test_another_user_without_a_home(inside):
    code, said = inside(
        'python -c \'import os, pwd; print(os.getuid(), os.getgid(), os.environ["HOME"])\n'
        'try: pwd.getpwuid(os.getuid())\nexcept KeyError: print("unknown")\''
    )
    assert (code, said.split()) == (0, ["10001", "10001", "/", "unknown"])


def test_the_root_can_not_be_written(inside):
    for path in ("/x", "/usr/x", "/etc/x", "x", "/mnt/x"):
        code, said = inside(f"touch {path}")
        assert code != 0, path
        assert "Read-only file system" in said


def test_scratch_and_volumes_can_be_written(inside):
    paths = " ".join(f"/{name}/x" for name in ("minio", "s3", "gcs", "tmp", ".cache", ".config", "mnt/models"))
    assert inside(f"touch {paths}") == (0, "")
    assert (inside.volume / "x").exists()
    assert inside.one.scratch("/minio/x").exists()


def test_nothing_else_of_this_machine_is_there(inside, tmp_path):
    assert inside(f"ls {tmp_path}")[0] != 0
    code, said = inside("echo $GIVEN; python -c 'import pipeline.configs; print(1)'")
    assert (code, said.split()) == (0, ["yes", "1"])


def test_a_project_below_tmp(inside, tmp_path, monkeypatch):
    project = tmp_path / "project"
    project.mkdir()
    (project / "here").write_text("yes")
    monkeypatch.setattr(container, "_PROJECT", project)
    assert inside("cat here; touch /tmp/x") == (0, "yes")


@pytest.mark.skipif(os.getuid() != 0, reason="whose volume is whose, only root can tell apart")
def test_a_volume_of_roots(inside):
    inside.volume.chmod(0o755)
    code, said = inside("touch /mnt/models/x")
    assert code != 0
    assert "Permission denied" in said
