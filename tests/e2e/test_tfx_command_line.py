"""TFX's own command line on our runners: `tfx pipeline …` and `tfx run …`, as people who know TFX type them."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
import yaml

from tests.e2e.conftest import ROOT, Project, make_project

BIN = pathlib.Path(sys.executable).parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("project"))
    (project.folder / "my_runner.py").write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import local_runner\n"
        f"sys.exit(local_runner.main(['--config', {str(project.folder / 'config.yaml')!r}]))\n"
    )
    return project


@pytest.fixture
def tfx(project):
    """Calls `tfx` in the project's folder, with the environment activated."""

    def tfx(*arguments: str) -> subprocess.CompletedProcess:
        homes = {f"{engine}_HOME": str(project.folder / engine) for engine in ("LOCAL", "VERTEX")}
        return subprocess.run(
            [BIN / "tfx", *arguments],
            cwd=project.folder,
            env={**os.environ, **homes, "PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return tfx


def test_a_pipeline_is_created_run_and_deleted(tfx, project):
    said = tfx("pipeline", "create", "--engine=local", "--pipeline_path=my_runner.py")
    assert said.returncode == 0, said.stderr
    assert 'Pipeline "tiny" created successfully.' in said.stdout
    assert not list((project.folder / "runs" / "tiny").glob("artifacts"))  # nothing was run
    assert not project.pushed()
    said = tfx("pipeline", "create", "--engine=local", "--pipeline_path=my_runner.py")
    assert (said.returncode, said.stderr.splitlines()[-1]) == (1, 'Pipeline "tiny" already exists.')
    assert "tiny" in tfx("pipeline", "list", "--engine=local").stdout.splitlines()

    said = tfx("run", "create", "--engine=local", "--pipeline_name=tiny")
    assert said.returncode == 0, said.stderr
    (pushed,) = project.pushed()
    assert f"Model       {pushed}" in said.stdout.replace("\n", "")
    assert (project.folder / "runs" / "tiny" / "report.html").is_file()

    said = tfx("pipeline", "update", "--engine=local", "--pipeline_path=my_runner.py")
    assert 'Pipeline "tiny" updated successfully.' in said.stdout, said.stderr
    said = tfx("pipeline", "delete", "--engine=local", "--pipeline_name=tiny")
    assert 'Pipeline "tiny" deleted successfully.' in said.stdout, said.stderr
    assert project.pushed() == [pushed]


def test_what_is_wrong_is_one_line_and_no_pipeline(tfx, project):
    wrong = project.folder / "wrong_runner.py"
    wrong.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import local_runner\n"
        "sys.exit(local_runner.main(['--set', 'corpus.paths=[/nowhere]']))\n"
    )
    said = tfx("pipeline", "compile", "--engine=local", "--pipeline_path=wrong_runner.py")
    assert said.returncode == 1
    assert "/nowhere" in said.stderr.splitlines()[-1]
    assert "Traceback" not in said.stderr
    assert "compiled successfully" not in said.stdout


def test_the_cluster_s_pipeline_is_compiled(tfx, project):
    said = tfx("pipeline", "compile", "--engine=vertex", f"--pipeline_path={ROOT / 'kubeflow_runner.py'}")
    assert said.returncode == 0, said.stderr
    assert "compiled successfully." in said.stdout
    compiled = project.folder / "pipeline.yaml"
    ours = project.folder / "ours.yaml"
    command = [sys.executable, ROOT / "kubeflow_runner.py", "compile", "--output", ours]
    subprocess.run(command, cwd=project.folder, check=True, capture_output=True, timeout=120)
    assert list(yaml.safe_load_all(compiled.read_text())) == list(yaml.safe_load_all(ours.read_text()))
