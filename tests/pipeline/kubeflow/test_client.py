"""The runner's commands against a server on loopback that speaks KFP's API (v2beta1)."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from http import server

import pytest
import yaml

import kubeflow_runner
from pipeline.kubeflow import client


class Kubeflow(server.ThreadingHTTPServer):
    """Experiments, runs and recurring runs in memory. A run succeeds, or not, when it is asked for the second time."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.token, self.state, self.asked = None, "SUCCEEDED", []
        self.recurring = {"old": {"recurring_run_id": "old", "display_name": "tfx-word2vec"}}
        self.recurring["else"] = {"recurring_run_id": "else", "display_name": "something else"}
        self.looks = 0

    @property
    def host(self):
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method, path, body):
        self.asked.append((method, path, body))
        if path == "experiments":
            return {"experiment_id": "e", "display_name": "tfx-word2vec"} if method == "POST" else {"experiments": []}
        if path == "runs":
            return {"run_id": "r1", "display_name": body["display_name"]}
        if path == "runs/r1":
            self.looks += 1
            return {"run_id": "r1", "state": self.state if self.looks > 1 else "RUNNING"}
        if path == "recurringruns" and method == "POST":
            self.recurring["new"] = {**body, "recurring_run_id": "new"}
            return self.recurring["new"]
        if path == "recurringruns":
            return {"recurringRuns": list(self.recurring.values()), "total_size": 2}
        if method == "DELETE":
            del self.recurring[path.rpartition("/")[2]]
        return {}


class Handler(server.BaseHTTPRequestHandler):
    def _do(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "null")
        path = self.path.removeprefix("/apis/v2beta1/").partition("?")[0]
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self.send_response(401)
            answer = {"error": "no"}
        else:
            answer = self.server.answer(self.command, path, body)
            self.send_response(200)
        data = json.dumps(answer).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _do  # noqa: N815  (so are they called)

    def log_message(self, *_):
        pass


@pytest.fixture
def kubeflow(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))  # where the SDK keeps what it remembers of servers
    monkeypatch.delenv(client.TOKEN, raising=False)
    running = Kubeflow()
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    with contextlib.closing(running):
        yield running
        running.shutdown()
        thread.join()


Kubeflow.close = server.ThreadingHTTPServer.server_close


def run(capsys, command, host, *arguments):
    code = kubeflow_runner.main([command, "--set", f"kubeflow.host={host}", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_submit_and_wait(kubeflow, capsys):
    code, out, err = run(capsys, "submit", kubeflow.host, "--parameter", "trainer_epochs=5", "--wait")
    assert (code, err) == (0, "")
    assert f"{kubeflow.host}/#/runs/details/r1" in out
    assert "SUCCEEDED" in out
    (body,) = [body for method, path, body in kubeflow.asked if (method, path) == ("POST", "runs")]
    assert body["runtime_config"]["parameters"] == {"trainer_epochs": 5}
    assert (
        "trainer_epochs"
        in body["pipeline_spec"].get("pipeline_spec", body["pipeline_spec"])["root"]["inputDefinitions"]["parameters"]
    )


def test_a_run_that_fails(kubeflow, capsys):
    kubeflow.state = "FAILED"
    code, out, _ = run(capsys, "submit", kubeflow.host, "--wait")
    assert (code, "FAILED" in out) == (1, True)


def test_schedule_replaces_the_one_of_the_same_name(kubeflow, capsys):
    code, out, err = run(capsys, "schedule", kubeflow.host, "--cron", "0 0 3 * * *", "--parameter", "trainer_epochs=5")
    assert (code, err) == (0, "")
    assert "recurring run tfx-word2vec (new): 0 0 3 * * *" in out
    assert set(kubeflow.recurring) == {"new", "else"}
    made = kubeflow.recurring["new"]
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert made["runtime_config"]["parameters"] == {"trainer_epochs": 5}


def test_the_token(kubeflow, capsys, monkeypatch):
    kubeflow.token = "secret"
    code, _, err = run(capsys, "submit", kubeflow.host)
    assert code == 1
    assert re.search(r"refused \(HTTP 401\). Set a valid token in KUBEFLOW_TOKEN", err)
    monkeypatch.setenv(client.TOKEN, "secret")
    assert run(capsys, "submit", kubeflow.host)[0] == 0


def test_no_server(kubeflow, capsys):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        code, _, err = run(capsys, "submit", f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert code == 1
    assert re.match(r"error: http://127.0.0.1:\d+: cannot be reached", err)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "kubeflow.host=null"], "kubeflow.host: is needed"),
        (["--parameter", "trainer_epochs"], "--parameter trainer_epochs: expected name=value"),
        (["--parameter", "a=[1"], "the value is not YAML"),
    ],
)
def test_what_is_wrong_is_said(kubeflow, capsys, arguments, message):
    code, _, err = run(capsys, "submit", kubeflow.host, *arguments)
    assert code == 1
    assert message in " ".join(err.split())


def test_rehearse_says_what_it_can_not_run(tmp_path, capsys):
    (tmp_path / "broken.yaml").write_text("root: [")
    arguments = ["rehearse", "--folder", str(tmp_path / "r")]
    assert kubeflow_runner.main([*arguments, "--pipeline", str(tmp_path / "broken.yaml")]) == 1
    assert "not a compiled pipeline" in capsys.readouterr().err
    assert kubeflow_runner.main([*arguments, "--parameter", "nothing=1"]) == 1
    assert "parameter nothing: there is none. There are corpus_paths" in " ".join(capsys.readouterr().err.split())


def test_a_task_that_fails_shows_the_end_of_its_log(tmp_path, capsys):
    kubeflow_runner.main(["compile", "--output", str(tmp_path / "pipeline.yaml")])
    spec = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"] = {
            "image": "any", "command": ["python", "-c", "import sys; sys.exit('no such luck')"], "args": ["{{$}}"],
        }  # fmt: skip
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(spec))
    arguments = ["rehearse", "--folder", str(tmp_path / "r"), "--pipeline", str(tmp_path / "pipeline.yaml")]
    capsys.readouterr()
    assert kubeflow_runner.main(arguments) == 1
    assert re.search(r"failed with exit code 1; .*log.txt ends so:\nno such luck", capsys.readouterr().err)
