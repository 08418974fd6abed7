"""Runs started at a server on loopback that speaks KFP's API (v2beta1), and before login pages of many kinds."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import json
import re
import socket
import ssl
import threading
from http import server

import pytest
import yaml

import kubeflow_runner
from pipeline.configs import KubeflowConfig
from pipeline.kubeflow import api, client, credentials
from word2vec.errors import UserError

PAGE = b"<html><head><title>Log in to Your Account</title></head><body>Dex</body></html>"


class Kubeflow(server.ThreadingHTTPServer):
    """Experiments, runs and recurring runs in memory.

    Attributes:
        token, cookie: who does not have them is not let in; as `proxy` says.
        proxy: how one is not let in.
        states: of the run, one for each look at it; the last one stays. A number is an error of HTTP instead.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.token, self.cookie, self.proxy, self.asked = None, None, "401", []
        self.states, self.multi_user, self.refusal, self.prefix = ["RUNNING", "SUCCEEDED"], False, None, ""
        self.recurring = {"old": {"recurring_run_id": "old", "display_name": "tfx-word2vec"}}
        self.recurring["else"] = {"recurring_run_id": "else", "display_name": "something else"}
        self.answers_without_id = False

    @property
    def host(self):
        return f"http://127.0.0.1:{self.server_port}"

    def is_let_in(self, headers):
        if self.token and headers.get("Authorization") != f"Bearer {self.token}":
            return False
        return not self.cookie or headers.get("Cookie") == self.cookie

    def answer(self, method, path, body):
        """(status, JSON)."""
        self.asked.append((method, path, body))
        if self.refusal and method == "POST":
            return self.refusal
        if path == "healthz":
            return 200, {"commit_sha": "x", "tag_name": "2.17.0"} | ({"multi_user": True} if self.multi_user else {})
        if path == "experiments":
            made = {"experiment_id": "e", "display_name": "tfx-word2vec"}
            return 200, made if method == "POST" else {"experiments": []}
        if self.answers_without_id and method == "POST":
            return 200, {}
        if path == "runs":
            return 200, {"run_id": "r1", "display_name": body["display_name"]}
        if path == "runs/r1":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            if isinstance(state, int):
                return state, {"error": "passing", "code": 14, "message": "passing"}
            more = {"error": {"code": 2, "message": "Trainer failed\nlong"}} if state == "FAILED" else {}
            return 200, {"run_id": "r1", "state": state, **more}
        if path == "recurringruns" and method == "POST":
            self.recurring["new"] = {**body, "recurring_run_id": "new"}
            return 200, self.recurring["new"]
        if path == "recurringruns":
            return 200, {"recurringRuns": list(self.recurring.values()), "total_size": 2}
        if method == "DELETE":
            if path.endswith("stuck"):
                return 500, {"message": "not now"}
            del self.recurring[path.rpartition("/")[2]]
        return 200, {}


class Handler(server.BaseHTTPRequestHandler):
    def _do(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        path = self.path.partition("?")[0]
        start = f"{self.server.prefix}/apis/v2beta1/"
        if not path.startswith(start):
            self._send(200, PAGE.replace(b"Log in to Your Account", b"Dashboard").replace(b"Dex", b""), "text/html")
        elif self.server.is_let_in(self.headers):
            status, answer = self.server.answer(self.command, path.removeprefix(start), body)
            self._send(status, json.dumps(answer).encode(), "application/json")
        elif self.server.proxy in ("302", "303", "307"):
            self._send(int(self.server.proxy), b"", "text/html", f"/dex/auth?state={'s' * 50}")
        elif self.server.proxy == "page":
            self._send(200, PAGE, "text/html")
        else:
            self._send(int(self.server.proxy), b'{"error": "no", "message": "no"}', "application/json")

    def _send(self, status, data, kind, location=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _do  # noqa: N815  (so are they called)

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (credentials.TOKEN, credentials.COOKIE, credentials.PROJECTED, "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@contextlib.contextmanager
def serving(running):
    thread = threading.Thread(target=running.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.shutdown()
        running.server_close()
        thread.join(10)


@pytest.fixture
def kubeflow():
    with serving(Kubeflow()) as running:
        yield running


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump_all([{"pipelineInfo": {"name": "p"}, "root": {}}, {"platforms": {}}]))
    return str(path)


def connect(running, poll_seconds=0.01, **settings):
    return client.Client(KubeflowConfig(**{"host": running.host, **settings}), poll_seconds)


def error_of(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The pipeline is compiled once for the commands."""
    path = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    assert kubeflow_runner.main(["compile", "--output", str(path)]) == 0
    return path


@pytest.fixture
def command(capsys, compiled, monkeypatch):
    monkeypatch.setattr(kubeflow_runner, "compile_pipeline", lambda _, to: to.write_text(compiled.read_text()))

    def run(name, host, *arguments):
        code = kubeflow_runner.main([name, "--set", f"kubeflow.host={host}", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_submit_and_wait(kubeflow, command, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    code, out, err = command("submit", kubeflow.host, "--parameter", "trainer_epochs=5", "--wait")
    assert (code, err) == (0, "")
    assert f"{kubeflow.host}/#/runs/details/r1" in out
    assert "SUCCEEDED" in out
    (body,) = [body for method, path, body in kubeflow.asked if (method, path) == ("POST", "runs")]
    assert body["runtime_config"] == {
        "parameters": {"trainer_epochs": 5}, "pipeline_root": "minio://mlpipeline/v2/artifacts",
    }  # fmt: skip
    assert "trainer_epochs" in body["pipeline_spec"]["pipeline_spec"]["root"]["inputDefinitions"]["parameters"]
    assert "kubernetes" in body["pipeline_spec"]["platform_spec"]["platforms"]


def test_artifacts_go_below_the_root_of_the_settings(kubeflow, package):
    """Not below the cluster's own, as without it in each call."""
    connected = connect(kubeflow, root="s3://my-bucket/there")
    connected.submit(package, "p", {})
    connected.schedule(package, "p", "0 0 3 * * *", {})
    roots = [body["runtime_config"]["pipeline_root"] for _, path, body in kubeflow.asked if body and "runs" in path]
    assert roots == ["s3://my-bucket/there"] * 2


def test_parameters_are_checked_before_anything_is_sent(kubeflow, command):
    code, _, err = command("submit", kubeflow.host, "--parameter", "trainer_epochs=two")
    assert (code, err) == (1, 'error: parameter trainer_epochs = "two": expected a whole number\n')
    assert not [method for method, _, _ in kubeflow.asked if method == "POST"]


def test_schedule_replaces_the_one_of_the_same_name(kubeflow, command):
    code, out, err = command("schedule", kubeflow.host, "--cron", "0 0 3 * * *", "--parameter", "trainer_epochs=5")
    assert (code, err) == (0, "")
    assert "recurring run tfx-word2vec (new): 0 0 3 * * *" in out
    assert set(kubeflow.recurring) == {"new", "else"}
    made = kubeflow.recurring["new"]
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert made["runtime_config"]["parameters"] == {"trainer_epochs": 5}
    assert (made["max_concurrency"], made["no_catchup"], made["mode"]) == (1, True, "ENABLE")


def test_one_that_can_not_be_removed_is_named(kubeflow, package):
    kubeflow.recurring["stuck"] = {"recurring_run_id": "stuck", "display_name": "p"}
    said = error_of(connect(kubeflow).schedule, package, "p", "0 0 3 * * *", {})
    assert "recurring run new is created, but stuck of the same name could not be removed" in said


@pytest.mark.parametrize("cron", ["0 3 * * *", "daily", "0 0 3 * * * *"])
def test_a_wrong_cron_is_said_before_anything_is_sent(kubeflow, package, cron):
    assert "expected six fields" in error_of(connect(kubeflow).schedule, package, "p", cron, {})
    assert not [method for method, _, _ in kubeflow.asked if method == "POST"]


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("302", "not logged in, it sends to http://127.0.0.1:PORT/dex/auth (HTTP 302)"),
        ("303", "not logged in, it sends to"),
        ("307", "not logged in, it sends to"),
        ("page", "not logged in, a login page answers (HTTP 200: Log in to Your Account)"),
        ("401", "not logged in (HTTP 401: no)"),
        ("403", "refused (HTTP 403: no)"),
    ],
)
def test_before_a_login_page(kubeflow, command, proxy, message):
    """Nothing is started, and that is an error."""
    kubeflow.token, kubeflow.proxy = "secret", proxy
    code, out, err = command("submit", kubeflow.host)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {kubeflow.host}: {message.replace('PORT', str(kubeflow.server_port))}")
    assert "KUBEFLOW_TOKEN" in err
    assert err.count("\n") == 1
    assert not kubeflow.asked


def test_it_knocks_where_the_namespace_is_set_too(kubeflow, monkeypatch):
    """For a wrong host is said before anything is compiled."""
    monkeypatch.setattr(Kubeflow, "answer", lambda *_: (200, {"hello": "world"}))
    assert "answers, but not as" in error_of(lambda: connect(kubeflow, namespace="mine"))


def test_netrc_does_not_take_the_place_of_the_token(kubeflow, package, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv(credentials.TOKEN, "secret")
    kubeflow.token = "secret"
    assert connect(kubeflow).submit(package, "p", {}) == "r1"


@pytest.mark.parametrize("proxy", ["302", "page", "401"])
def test_a_session_that_ends_between_two_calls(kubeflow, package, proxy, monkeypatch):
    monkeypatch.setenv(credentials.TOKEN, "first")
    kubeflow.token = "first"
    connected = connect(kubeflow)
    kubeflow.token, kubeflow.proxy = "second", proxy
    assert "The token of KUBEFLOW_TOKEN is not accepted" in error_of(connected.submit, package, "p", {})
    assert "logged in" in error_of(connected.schedule, package, "p", "0 0 3 * * *", {})


def test_an_expired_token_is_said(kubeflow, monkeypatch):
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 1_700_000_000}).encode()).decode().rstrip("=")
    monkeypatch.setenv(credentials.TOKEN, f"e30.{claims}.x")
    kubeflow.token = "another"
    said = error_of(connect, kubeflow)
    assert "The token of KUBEFLOW_TOKEN expired at 2023-11-14 22:13 UTC: put a new one there" in said
    assert claims not in said


@pytest.mark.parametrize("where", ["variable", "file", "projected"])
def test_a_token(kubeflow, package, tmp_path, monkeypatch, where):
    kubeflow.token, settings = "secret", {}
    (tmp_path / "token").write_text("secret\n")
    if where == "variable":
        monkeypatch.setenv(credentials.TOKEN, "secret\n")
    elif where == "file":
        settings["token_file"] = str(tmp_path / "token")
    else:
        monkeypatch.setenv(credentials.PROJECTED, str(tmp_path / "token"))
    assert connect(kubeflow, **settings).submit(package, "p", {}) == "r1"


@pytest.mark.parametrize("where", ["variable", "file"])
def test_a_cookie(kubeflow, package, tmp_path, monkeypatch, where):
    kubeflow.cookie, settings = "authservice_session=MTY=", {}
    if where == "variable":
        monkeypatch.setenv(credentials.COOKIE, kubeflow.cookie)
    else:
        (tmp_path / "cookie").write_text(kubeflow.cookie)
        settings["cookie_file"] = str(tmp_path / "cookie")
    assert connect(kubeflow, **settings).submit(package, "p", {}) == "r1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "is empty"),
        ("Bearer x", "expected the token alone"),
        ("two\nlines", "expected the token alone"),
        ("tökén", "expected the token alone"),
    ],
)
def test_a_token_file_that_is_none(kubeflow, tmp_path, content, message):
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    said = error_of(lambda: connect(kubeflow, token_file=str(path)))
    assert said.startswith(f"kubeflow.token_file = {path}: {message}")


def test_a_wrong_path(kubeflow):
    kubeflow.prefix = "/pipeline"
    said = error_of(connect, kubeflow)
    assert "not Kubeflow Pipelines, something else answers (HTTP 200: Dashboard). Is the path in kubeflow.host" in said
    assert (
        client.Client(KubeflowConfig(host=f"{kubeflow.host}/pipeline/"))
        .address("r")
        .endswith("/pipeline/#/runs/details/r")
    )


def test_something_else_that_speaks_json(kubeflow, monkeypatch):
    monkeypatch.setattr(Kubeflow, "answer", lambda *_: (200, {"hello": "world"}))
    assert "answers, but not as Kubeflow Pipelines 2 does" in error_of(connect, kubeflow)


def test_an_answer_without_an_id_is_no_run(kubeflow, package):
    connected = connect(kubeflow)
    kubeflow.answers_without_id = True
    assert "the answer has no run_id" in error_of(connected.submit, package, "p", {})
    assert "the answer has no recurring_run_id" in error_of(connected.schedule, package, "p", "0 0 3 * * *", {})


def test_what_kfp_says_is_shown_and_not_its_json(kubeflow, package):
    kubeflow.refusal = 400, {
        "error": "Failed to create a run: InvalidInputError: internal", "code": 3, "message": "internal",
        "details": [{"@type": "type.googleapis.com/google.rpc.Status", "message": "parameter x is not of type y"}],
    }  # fmt: skip
    assert error_of(connect(kubeflow).submit, package, "p", {}).endswith("HTTP 400: parameter x is not of type y")


def test_an_answer_of_kfp_that_speaks_of_https_is_not_about_the_host(kubeflow, package):
    kubeflow.refusal = 400, {
        "code": 3, "message": "internal",
        "details": [{"message": "Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron)"}],
    }  # fmt: skip
    said = error_of(connect(kubeflow).schedule, package, "p", "0 0 25 * * *", {})
    assert said.endswith("HTTP 400: Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron)")


def test_who_may_not_is_not_told_to_log_in(kubeflow, package, monkeypatch):
    """KFP knows who it is: the token was good."""
    monkeypatch.setenv(credentials.TOKEN, "a-token==")
    kubeflow.refusal = 403, {"code": 7, "message": "m", "details": [{"message": "User 'a=b' is not authorized"}]}
    said = error_of(connect(kubeflow).submit, package, "p", {})
    assert "refused (HTTP 403: User 'a=b' is not authorized). Is kubeflow.namespace right" in said
    assert "token" not in said


@pytest.mark.parametrize("details", [5, "x", {"message": "y"}, [1, None]])
def test_an_error_of_a_strange_shape_is_shown(kubeflow, package, details):
    kubeflow.refusal = 400, {"code": 3, "message": "why", "details": details}
    assert error_of(connect(kubeflow).submit, package, "p", {}).endswith("HTTP 400: why")


def test_a_server_without_this_api_is_a_wrong_path(kubeflow, monkeypatch):
    monkeypatch.setattr(Kubeflow, "answer", lambda *_: (404, {"code": 5, "message": "Not Found"}))
    assert "HTTP 404: Not Found. Is the path in kubeflow.host right?" in error_of(connect, kubeflow)


def test_secrets_are_not_repeated(kubeflow, monkeypatch):
    monkeypatch.setenv(credentials.TOKEN, "very-secret==")
    monkeypatch.setenv(credentials.COOKIE, "one=first-part; two=second-part")
    answer = {"message": "no: very-secret== first-part second-part a=b"}
    monkeypatch.setattr(Kubeflow, "answer", lambda *_: (401, answer))
    assert "(HTTP 401: no: *** *** *** a=b)" in error_of(connect, kubeflow)


def test_a_namespace_is_needed_with_many_users(kubeflow):
    kubeflow.multi_user = True
    assert error_of(connect, kubeflow).startswith("kubeflow.namespace: is needed")


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (None, "kubeflow.host: is needed"),
        ("kubeflow.example", "expected an address with http:// or https://"),
        ("ftp://kubeflow.example", "expected an address with http:// or https://"),
        ("https://a b", "expected an address"),
        ("https://kubeflow..example/pipeline", "not an address"),
        ("https://user:password@kubeflow.example", "expected an address without user and password"),
    ],
)
def test_hosts_that_are_none(host, message):
    assert message in error_of(lambda: client.Client(KubeflowConfig(host=host)))


def test_no_server(command):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        code, _, err = command("submit", f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert code == 1
    assert re.match(r"error: http://127.0.0.1:\d+: cannot be reached: Connection refused", err)


def make_certificate(folder, address="127.0.0.1", days=1):
    """A private authority's certificate and a host's that it signed; the latter with its key in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.timezone.utc)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("authority", "host")]

    def sign(subject, key, end, *extensions):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(names[0]).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=9))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.not_valid_after(now + datetime.timedelta(days=end)).sign(keys[0], hashes.SHA256())

    identifier = x509.SubjectKeyIdentifier.from_public_key(keys[0].public_key())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    authority = sign(
        names[0], keys[0], 9, (x509.BasicConstraints(True, None), True), (identifier, False), (usage, True)
    )
    own = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    host = sign(names[1], keys[1], days, (own, False), (issuer, False))
    pem = serialization.Encoding.PEM
    key = keys[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "host.pem").write_bytes(host.public_bytes(pem) + key)
    (folder / "authority.pem").write_bytes(authority.public_bytes(pem))
    return folder / "authority.pem"


@contextlib.contextmanager
def secured(folder, **certificate):
    authority = make_certificate(folder, **certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "host.pem")
    running = Kubeflow()
    running.socket = context.wrap_socket(running.socket, server_side=True)
    with serving(running):
        yield f"https://127.0.0.1:{running.server_port}", str(authority)


def test_a_private_authority(tmp_path, package, monkeypatch):
    with secured(tmp_path) as (host, authority):
        said = error_of(lambda: client.Client(KubeflowConfig(host=host)))
        assert "its certificate is not trusted" in said
        assert "Set kubeflow.ca_certificate" in said
        assert client.Client(KubeflowConfig(host=host, ca_certificate=authority)).submit(package, "p", {}) == "r1"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority)
        assert client.Client(KubeflowConfig(host=host)).submit(package, "p", {}) == "r1"
        plain = host.replace("https", "http")
        assert "https" in error_of(lambda: client.Client(KubeflowConfig(host=plain)))


@pytest.mark.parametrize(
    ("certificate", "message"), [({"address": "127.0.0.9"}, "is not for this name"), ({"days": -1}, "expired")]
)
def test_a_certificate_that_is_not_good(tmp_path, certificate, message):
    with secured(tmp_path, **certificate) as (host, authority):
        assert message in error_of(lambda: client.Client(KubeflowConfig(host=host, ca_certificate=authority)))


def test_https_to_a_port_without(kubeflow):
    host = kubeflow.host.replace("http", "https")
    assert "does not speak https" in error_of(lambda: client.Client(KubeflowConfig(host=host)))


@pytest.mark.parametrize("content", [None, "nothing"])
def test_certificates_that_are_none(tmp_path, content):
    path = tmp_path / "authority.pem"
    if content:
        path.write_text(content)
    config = KubeflowConfig(host="https://127.0.0.1:1", ca_certificate=str(path))
    assert f"kubeflow.ca_certificate = {path}: " in error_of(lambda: client.Client(config))


@pytest.mark.parametrize("state", ["SUCCEEDED", "CANCELED", "CANCELING", "SKIPPED", "PAUSED", "NEW_IN_3"])
def test_every_state_but_two_ends_the_wait(kubeflow, state):
    kubeflow.states = ["PENDING", "RUNTIME_STATE_UNSPECIFIED", "running", state]
    assert connect(kubeflow).wait("r1", 20) == state


def test_a_run_that_fails(kubeflow, command, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    kubeflow.states = ["FAILED"]
    code, out, _ = command("submit", kubeflow.host, "--wait")
    assert (code, "FAILED: Trainer failed\n" in out) == (1, True)


@pytest.mark.parametrize(
    ("more", "end"),
    [
        ({"state_history": [{"state": "RUNNING"}, {"state": "FAILED", "error": {"message": "because"}}]}, ": because"),
        ({"state_history": ["x"], "error": "y"}, ""),
        ({"error": {"message": ""}}, ""),
    ],
)
def test_the_reason_of_a_failure(kubeflow, monkeypatch, more, end):
    connected = connect(kubeflow)
    monkeypatch.setattr(Kubeflow, "answer", lambda *_: (200, {"run_id": "r1", "state": "FAILED", **more}))
    assert connected.wait("r1", 20) == "FAILED" + end


@pytest.mark.parametrize("answer", [{"experiments": ["x"]}, {"experiments": {"a": 1}}, {"experiments": [{"id": 1}]}])
def test_answers_of_a_strange_shape_are_an_error(kubeflow, package, monkeypatch, answer):
    connected = connect(kubeflow)
    monkeypatch.setattr(Kubeflow, "answer", lambda *_: (200, answer))
    assert "the answer has no experiment_id" in error_of(connected.submit, package, "p", {})


def test_a_run_that_is_gone_does_not_go_on(kubeflow):
    kubeflow.states = ["RUNNING", 404]
    assert "The run goes on" not in error_of(connect(kubeflow).wait, "r1", 20)


def test_faults_that_do_not_pass_end_the_wait(kubeflow, monkeypatch):
    """After some minutes, of which the test's clock makes little."""
    now = [0.0]
    monkeypatch.setattr(client.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(client.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    kubeflow.states = [503]
    said = error_of(connect(kubeflow, poll_seconds=5).wait, "r1", 86400)
    assert said.endswith(f"The run goes on: {kubeflow.host}/#/runs/details/r1")
    assert api.PATIENCE <= now[0] <= 2 * api.PATIENCE


def test_who_stops_waiting_is_told_that_the_run_goes_on(kubeflow, command, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(client.time, "sleep", interrupt)
    kubeflow.states = ["RUNNING"]
    code, _, err = command("submit", kubeflow.host, "--wait")
    assert (code, err) == (
        1, f"error: run r1: no longer waited for; it goes on: {kubeflow.host}/#/runs/details/r1\n",
    )  # fmt: skip


def test_faults_that_pass_are_borne(kubeflow, monkeypatch):
    monkeypatch.setattr(client, "PATIENCE", 0.1)
    kubeflow.states = ["RUNNING", 503, 500, "RUNNING", 502, "SUCCEEDED"]
    assert connect(kubeflow).wait("r1", 20) == "SUCCEEDED"


def test_a_token_that_is_renewed_while_it_waits(kubeflow, tmp_path, monkeypatch):
    (tmp_path / "token").write_text("first")
    kubeflow.token = "first"
    connected = connect(kubeflow, token_file=str(tmp_path / "token"))
    looks = []

    def sleep(_):
        looks.append(1)
        kubeflow.token = "second"
        if len(looks) == 3:
            (tmp_path / "token").write_text("second")

    monkeypatch.setattr(client.time, "sleep", sleep)
    kubeflow.states = ["RUNNING", "SUCCEEDED"]
    assert connected.wait("r1", 20) == "SUCCEEDED"


def test_a_token_that_expires_while_it_waits(kubeflow, monkeypatch):
    monkeypatch.setenv(credentials.TOKEN, "first")
    kubeflow.token, kubeflow.states = "first", ["RUNNING"]
    connected = connect(kubeflow)
    monkeypatch.setattr(client.time, "sleep", lambda _: setattr(kubeflow, "token", "second"))
    said = error_of(connected.wait, "r1", 20)
    assert "not logged in (HTTP 401" in said
    assert said.endswith(f"The run goes on: {kubeflow.host}/#/runs/details/r1")


def test_a_run_that_takes_too_long(kubeflow):
    kubeflow.states = ["RUNNING"]
    said = error_of(connect(kubeflow).wait, "r1", 0.05)
    assert re.match(r"run r1: has not ended within 0 s, and goes on: http", said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "kubeflow.host=null"], "kubeflow.host: is needed"),
        (["--parameter", "trainer_epochs"], "--parameter trainer_epochs: expected name=value"),
        (["--parameter", "a=[1"], "not YAML"),
        (["--parameter", "a=1"], "parameter a: there is none"),
    ],
)
def test_what_is_wrong_is_said(kubeflow, command, arguments, message):
    code, _, err = command("submit", kubeflow.host, *arguments)
    assert code == 1
    assert message in " ".join(err.split())


def test_a_long_answer_is_cut_and_cleaned():
    assert api.one_line("\x1b[31mred\nmore") == "[31mred"
    assert len(api.one_line("x" * 10_000)) < 500
