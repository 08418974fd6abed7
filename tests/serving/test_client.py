from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

import gensim
import numpy as np
import pytest

from serving import client
from serving.client import Embeddings
from tests.serving.conftest import ROOT, VECTORS, WORDS, cosine
from word2vec.signatures import MOST_NEIGHBOURS


@pytest.fixture(scope="module", params=["grpc", "rest"])
def embeddings(request, server):
    with Embeddings(getattr(server, request.param)) as made:
        yield made


def test_vectors(embeddings, monkeypatch):
    monkeypatch.setattr(client, "BATCH", 7)
    np.testing.assert_allclose(embeddings["King"], VECTORS[1], rtol=1e-6)
    np.testing.assert_allclose(embeddings[WORDS], VECTORS, rtol=1e-6)
    assert embeddings["king"].dtype == np.float32
    found = embeddings.vectors(["tea", "nothing"], unknown="zero")
    np.testing.assert_allclose(found, [VECTORS[5], np.zeros(12)], rtol=1e-6)


def test_unknown_words(embeddings):
    assert "東" in embeddings
    assert "nothing" not in embeddings
    for ask in (
        lambda: embeddings["nothing"],
        lambda: embeddings.vectors(["tea", "nothing"]),
        lambda: embeddings.most_similar("nothing"),
        lambda: embeddings.similarity("tea", "nothing"),
        lambda: embeddings.analogy("tea", "nothing", "tea"),
    ):
        with pytest.raises(KeyError, match=r"^'unknown to the model: nothing'$"):
            ask()


def test_phrases(embeddings):
    assert "New York" in embeddings
    assert "new_york" in embeddings
    assert embeddings.most_similar(["new york", "tea"], "king") == embeddings.most_similar(["tea", "new_york"], "king")
    assert embeddings.n_similarity(["New  York"], ["new_york"]) == pytest.approx(1)
    assert embeddings.doesnt_match(["tea", "tea", "New York"]) == "New York"
    assert embeddings.embed_texts(["New York"])[0] == pytest.approx(VECTORS[-1] * weight("new_york"), rel=1e-5)


def weight(word):
    """SIF's, by the counts that the served vocabulary has."""
    counts = np.arange(900, 900 - 10 * len(WORDS), -10)
    return 1e-3 / (1e-3 + counts[WORDS.index(word)] / counts.sum())


def test_most_similar(embeddings):
    found = embeddings.most_similar("tea", topn=3)
    others = sorted((word for word in WORDS if word != "tea"), key=lambda word: -cosine("tea", word))
    assert [word for word, _ in found] == others[:3]
    np.testing.assert_allclose([score for _, score in found], [cosine("tea", word) for word in others[:3]], rtol=1e-5)


def test_similarity_and_analogy(embeddings):
    assert embeddings.similarity("tea", "coffee") == pytest.approx(cosine("tea", "coffee"), rel=1e-5)
    answers = embeddings.analogy("man", "king", "woman", topn=2)
    assert len(answers) == 2
    assert answers[0][0] == "queen"


@pytest.fixture(scope="module")
def theirs():
    made = gensim.models.KeyedVectors(VECTORS.shape[1])
    made.add_vectors(WORDS, VECTORS)
    return made


_OWN = np.random.default_rng(3).normal(size=12).astype(np.float32)


@pytest.mark.parametrize(
    ("method", "arguments", "more"),
    [
        ("most_similar", ("king",), {}),
        ("most_similar", (["king", "woman"], ["man"], 3), {}),
        ("most_similar", (["king", "woman"], "man", 5), {"restrict_vocab": 20}),
        ("most_similar", (None, ["man", "w1"]), {}),
        ("most_similar", ([_OWN, "king"], ["man"]), {}),
        ("most_similar", ([("king", 0.5), ("tea", 2.0)], [(_OWN, -0.25)]), {}),
        ("most_similar", (np.stack([_OWN, _OWN + 1]),), {}),
        ("most_similar", (_OWN, None, 4), {"restrict_vocab": 10}),
        ("most_similar_cosmul", (["king", "woman"], ["man"]), {}),
        ("most_similar_cosmul", ("king", "man", 2), {}),
        ("similar_by_word", ("tea", 4, 12), {}),
        ("similar_by_vector", (_OWN, 4), {}),
        ("doesnt_match", (["king", "queen", "tea", "nothing"],), {}),
        ("n_similarity", (["king", "man"], ["tea", "nothing"]), {}),
        ("rank", ("king", "tea"), {}),
        ("closer_than", ("king", "tea"), {}),
        ("closer_than", ("king", "king"), {}),
        ("distance", ("king", "tea"), {}),
        ("distances", ("king", ["tea", "man"]), {}),
        ("similarity", ("king", "tea"), {}),
    ],
    ids=str,
)
def test_the_answers_are_gensims(embeddings, theirs, method, arguments, more):
    found, expected = (getattr(model, method)(*arguments, **more) for model in (embeddings, theirs))
    if method == "closer_than":  # theirs in the vocabulary's order
        assert set(found) == set(expected)
    elif method.startswith(("most_similar", "similar_by")):
        assert [word for word, _ in found] == [word for word, _ in expected]
        np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], atol=1e-5)
    elif isinstance(expected, str):
        assert found == expected
    else:
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "arguments", "error", "why"),
    [
        ("most_similar", ([],), ValueError, "a word or a vector"),
        ("most_similar", (["king", "nothing"],), KeyError, "unknown to the model: nothing"),
        ("most_similar", (["king", "two words"],), KeyError, "unknown to the model: two words"),
        ("most_similar", (["king", ""],), KeyError, "unknown to the model: "),
        ("most_similar", ([_OWN, "nothing"],), KeyError, "unknown to the model: nothing"),
        ("most_similar", ([3.5],), TypeError, "words and vectors"),
        ("most_similar", (np.array([np.nan] * 12),), ValueError, "finite"),
        ("most_similar", ([np.ones(1), "king"],), ValueError, "of one length, not of 1 and 12 numbers"),
        ("most_similar", ([("king", np.inf)],), ValueError, "finite weights"),
        ("most_similar", (np.ones(11),), client.RequestError, "expected 12 numbers per row"),
        ("most_similar_cosmul", ([_OWN],), TypeError, "expected words"),
        ("most_similar_cosmul", (None, "king"), ValueError, "a positive word"),
        ("doesnt_match", (["nothing"],), ValueError, "no word that the model knows among nothing"),
        ("doesnt_match", ([],), ValueError, "no word"),
        ("doesnt_match", ("king",), TypeError, "expected a list"),
        ("n_similarity", (["king"], ["nothing"]), ValueError, "no word that the model knows"),
        ("rank", ("king", "nothing"), KeyError, "unknown to the model: nothing"),
        ("closer_than", ("nothing", "king"), KeyError, "unknown to the model: nothing"),
        ("distances", ("king", ["tea", "nothing"]), KeyError, "unknown to the model: nothing"),
    ],
    ids=str,
)
def test_what_can_not_be_answered(embeddings, method, arguments, error, why):
    with pytest.raises(error, match=why):
        getattr(embeddings, method)(*arguments)


def test_closer_words_are_bounded(embeddings, monkeypatch):
    monkeypatch.setattr(client, "MOST_NEIGHBOURS", 0)
    with pytest.raises(ValueError, match="words are closer, more than the 0 one gets"):
        embeddings.closer_than(WORDS[0], min(WORDS, key=lambda word: cosine(WORDS[0], word)))


def test_a_models_most_neighbours_are_the_clients():
    assert client.MOST_NEIGHBOURS == MOST_NEIGHBOURS


def test_texts(embeddings):
    found = embeddings.embed_texts(["tea", "nothing"])
    assert found.shape == (2, 12)
    np.testing.assert_allclose(found[0] / np.linalg.norm(found[0]), VECTORS[5] / np.linalg.norm(VECTORS[5]), rtol=1e-5)
    assert not found[1].any()


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_no_server(scheme):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{bound.getsockname()[1]}"
        with Embeddings(address, retries=1, timeout=2) as made, pytest.raises(client.RequestError, match=address):
            made["king"]


def test_it_tries_again_until_the_server_is_there():
    """A server that refuses twice, then answers."""
    from http import server

    asked = []

    class Handler(server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"outputs": {"cosine": [0.5], "known": [true]}}'
            self.send_response(200 if len(asked) > 2 else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            with Embeddings(f"http://127.0.0.1:{running.server_port}", model="other", version=3) as made:
                assert made.similarity("a", "b") == 0.5
        finally:
            running.shutdown()
            thread.join()
    assert asked == ["/v1/models/other/versions/3:predict"] * 3


def test_a_request_takes_no_longer_than_it_may():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("", "http://"):
            start = time.monotonic()
            address = f"{scheme}127.0.0.1:{silent.getsockname()[1]}"
            with Embeddings(address, timeout=0.5, retries=0) as made, pytest.raises(client.RequestError):
                made["king"]
            assert time.monotonic() - start < 5


def test_a_wrong_model_or_version_is_said(server):
    for address in (server.grpc, server.rest):
        with Embeddings(address, model="other") as made, pytest.raises(client.RequestError, match="word2vec"):
            made["king"]
        with Embeddings(address, version=99) as made, pytest.raises(client.RequestError, match="99"):
            made["king"]


def test_tls_needs_https():
    with pytest.raises(ValueError, match="https"):
        Embeddings("http://localhost:8501", tls=True)


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["similar", "tea", "--topn", "1"], None),
        (["analogy", "man", "king", "woman"], "queen"),
        (["similar", "king", "woman", "--minus", "man", "--topn", "2", "--restrict-vocab", "20"], "queen"),
        (["similar", "king", "woman", "--minus", "man", "--cosmul"], "queen"),
        (["similarity", "tea", "tea"], "1.000"),
        (["distances", "tea", "tea", "king"], "0.000  tea"),
        (["n-similarity", "tea king", "king tea"], "1.000"),
        (["doesnt-match", "tea"], "tea"),
        (["rank", "tea", "tea"], "1"),
        (["vector", "king"], f"{VECTORS[1][0]:.6g}"),
    ],
)
def test_command_line(server, capsys, arguments, first):
    assert client.main(["--server", server.rest, *arguments]) == 0
    out = capsys.readouterr().out
    assert (first or client.Embeddings(server.rest).most_similar("tea", topn=1)[0][0]) in out.splitlines()[0]


def test_the_command_line_says_what_is_wrong(server, capsys):
    assert client.main(["--server", server.rest, "similar", "nothing"]) == 1
    assert capsys.readouterr().err == "error: unknown to the model: nothing\n"
    assert client.main(["--server", server.rest, "doesnt-match", "nothing"]) == 1
    assert capsys.readouterr().err == "error: doesnt_match: no word that the model knows among nothing\n"
    assert client.main(["--server", "localhost:1", "--timeout", "1", "similar", "tea"]) == 1
    assert capsys.readouterr().err.startswith("error: localhost:1: ")


def test_over_rest_without_tensorflow(server):
    code = f"""
import sys
from serving.client import Embeddings
print(Embeddings({server.rest!r}).most_similar("tea", topn=1)[0][0])
assert not {{"tensorflow", "grpc"}} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in WORDS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key and a certificate for localhost, signed by itself: two PEM files."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=localhost")
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(folder / "key.pem"), str(folder / "certificate.pem")


def test_grpc_over_tls(certificate):
    import concurrent.futures
    import pathlib

    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            answer = predict_pb2.PredictResponse()
            answer.outputs["cosine"].CopyFrom(tf.make_tensor_proto([0.5]))
            answer.outputs["known"].CopyFrom(tf.make_tensor_proto([True]))
            return answer

    key, chain = (pathlib.Path(path).read_bytes() for path in certificate)
    running = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), running)
    port = running.add_secure_port("localhost:0", grpc.ssl_server_credentials([(key, chain)]))
    running.start()
    try:
        with Embeddings(f"localhost:{port}", tls=certificate[1]) as made:
            assert made.similarity("a", "b") == 0.5
        with Embeddings(f"localhost:{port}", tls=True, retries=0) as made, pytest.raises(client.RequestError):
            made.similarity("a", "b")
    finally:
        running.stop(None).wait()


def test_rest_over_tls(certificate):
    import ssl
    from http import server

    class Handler(server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"outputs": {"cosine": [0.5], "known": [true]}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    with server.HTTPServer(("localhost", 0), Handler) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        address = f"https://localhost:{running.server_port}"
        try:
            with Embeddings(address, tls=certificate[1]) as made:
                assert made.similarity("a", "b") == 0.5
            with Embeddings(address, retries=0) as made, pytest.raises(client.RequestError, match="certificate"):
                made.similarity("a", "b")
        finally:
            running.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "ask",
    [
        lambda words: words.vectors("king"),
        lambda words: words.vectors(b"king"),
        lambda words: words.embed_texts("a text"),
        lambda words: words.vectors(["king", 3]),
        lambda words: words.vectors([None]),
        lambda words: words.vectors([["king"]]),
        lambda words: words.embed_texts([b"bytes"]),
        lambda words: words[3],
        lambda words: 3 in words,
        lambda words: words.most_similar("king", topn=2.5),
        lambda words: words.most_similar("king", topn="3"),
        lambda words: words.similarity("king", None),
        lambda words: words.analogy("man", ["king"], "woman"),
    ],
)
def test_what_is_no_text_is_an_error_and_never_letters(embeddings, ask):
    with pytest.raises(TypeError):
        ask(embeddings)


def test_several_words_in_any_form(embeddings):
    expected = VECTORS[[1, 5]]
    for words in (["king", "tea"], ("king", "tea"), np.array(["king", "tea"]), iter(["king", "tea"])):
        np.testing.assert_allclose(embeddings.vectors(words), expected, rtol=1e-6)
    assert embeddings[["king"]].shape == (1, 12)


def test_no_words_at_all(embeddings):
    for empty in (embeddings.vectors([]), embeddings[[]], embeddings.embed_texts([])):
        assert (empty.shape, empty.dtype) == ((0, 12), np.float32)


@pytest.mark.parametrize("text", ["king\ud800", "\udc00king", "\ud800", "\ud83d\ude00 king", "king\udfff\ud800"])
def test_halves_of_surrogate_pairs(server, text):
    answers = []
    for address in (server.grpc, server.rest):
        with Embeddings(address) as words:
            answers.append((text in words, words.vectors([text], unknown="zero"), words.embed_texts([text])))
    assert answers[0][0] == answers[1][0]
    np.testing.assert_allclose(answers[0][1], answers[1][1], rtol=1e-6)
    np.testing.assert_allclose(answers[0][2], answers[1][2], rtol=1e-6)


@pytest.mark.parametrize("topn", [0, -3, 2**40])
def test_odd_numbers_of_neighbours(embeddings, topn):
    assert len(embeddings.most_similar("tea", topn=topn)) == (len(WORDS) - 1 if topn > 0 else 0)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0}, {"timeout": -1}, {"timeout": float("nan")}, {"timeout": float("inf")}, {"retries": -1},
        {"version": -1}, {"version": 2**63},
    ],
)  # fmt: skip
@pytest.mark.parametrize("address", ["localhost:8500", "http://localhost:8501"])
def test_options_that_can_not_be(address, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Embeddings(address, **options)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "grpc_proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_leads_to_this_machine(server, monkeypatch, name, host):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    for address in (server.grpc, server.rest):
        with Embeddings(address.replace("127.0.0.1", host), retries=0) as words:
            assert "tea" in words


def test_a_proxy_that_fails_is_blamed(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for address in ("models.invalid:8500", "http://models.invalid:8501"):
        with Embeddings(address, retries=0, timeout=5) as words, pytest.raises(client.RequestError, match="proxy"):
            words["tea"]


def test_the_wrong_interface_is_said(server):
    with (
        Embeddings(f"http://{server.grpc}", retries=0) as words,
        pytest.raises(client.RequestError, match=r"does not speak HTTP|ended the connection"),
    ):
        words["tea"]
    with (
        Embeddings(server.rest.removeprefix("http://"), retries=0, timeout=20) as words,
        pytest.raises(client.RequestError, match="http://"),
    ):
        words["tea"]


def answering(body, status=200, headers=()):
    """A server that answers each request with this."""
    from http import server

    class Handler(server.BaseHTTPRequestHandler):
        asked = 0

        def do_POST(self):
            Handler.asked += 1
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for header in (("Content-Length", str(len(body))), *headers):
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    running = server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    return running


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"<html>", 200, "no TF Serving"),
        (b"[]", 200, "no TF Serving"),
        (b'{"outputs": [1]}', 200, "no TF Serving"),
        (b"[" * 100_000, 200, "no TF Serving"),
        (b'{"outputs": {"other": [1]}}', 200, "does not answer as a model of this project"),
        (b'{"outputs": {"known": [true], "cosine": [1, 2]}}', 200, "does not answer as a model of this project"),
        (b"<html>", 302, "HTTP 302: this is no TF Serving"),
        (b"<html>", 404, "HTTP 404: this is no TF Serving"),
        (b'{"error": "too old"}', 400, "HTTP 400: too old"),
        (b'{"error": "overloaded"}', 503, "HTTP 503: overloaded"),
    ],
)
def test_answers_of_others(body, status, told):
    with answering(body, status, [("Location", "/elsewhere")]) as running:
        address = f"http://127.0.0.1:{running.server_port}"
        with Embeddings(address, timeout=0.5) as words, pytest.raises(client.RequestError, match=told):
            words.similarity("a", "b")
        running.shutdown()


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_all_tries_are_within_the_time(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        address = f"{scheme}127.0.0.1:{silent.getsockname()[1]}"
        with Embeddings(address, timeout=0.6, retries=50) as made, pytest.raises(client.RequestError, match="time"):
            made["king"]
        assert time.monotonic() - start < 2


def test_tries_print_nothing():
    """Whatever handlers other libraries have set."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        code = f"""
import logging
logging.basicConfig(level=logging.WARNING)
from serving.client import Embeddings, RequestError
for address in ("http://127.0.0.1:{port}", "127.0.0.1:{port}"):
    try:
        Embeddings(address, retries=3, timeout=3)["king"]
    except RequestError as error:
        assert "cannot be reached" in str(error)
"""
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_certificate_file_that_is_none(tmp_path):
    (tmp_path / "noise.pem").write_bytes(b"noise")
    for address in ("localhost:1", "https://localhost:1"):
        with pytest.raises(ValueError, match="PEM"):
            Embeddings(address, tls=str(tmp_path / "noise.pem"))
        with pytest.raises(FileNotFoundError):
            Embeddings(address, tls=str(tmp_path / "none.pem"))


def test_more_threads_than_connections_print_nothing(server, caplog):
    with Embeddings(server.rest) as words:
        threads = [threading.Thread(target=words.most_similar, args=("tea",)) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [record for record in caplog.records if record.name.startswith("urllib3") and record.levelno > 20] == []
