"""The server over both of its interfaces, by TF Serving's own stubs and paths."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from serving import client
from tests.serving.conftest import ROOT, VECTORS, WORDS, Server, cosine, make_version
from word2vec import warmup

SIGNATURES = {
    "serving_default", "most_similar", "similarity", "analogy", "nearest", "nearest_cosmul", "nearest_to_vector",
    "doesnt_match", "n_similarity", "rank", "embed_text",
    "embed_text_sif", "evaluate",
}  # fmt: skip


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def make_request(signature="serving_default", name="word2vec", version=None, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    if version is not None:
        request.model_spec.version.value = version
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def refusal(stub, request):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request, timeout=10)
    return caught.value.code().name, caught.value.details()


def test_predict(stub):
    answer = stub.Predict(make_request(words=["King", "nothing"]), timeout=10)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("word2vec", 7)
    assert tf.make_ndarray(answer.outputs["known"]).tolist() == [True, False]
    np.testing.assert_allclose(tf.make_ndarray(answer.outputs["embeddings"])[0], VECTORS[1], rtol=1e-6)


def test_output_filter(stub):
    request = make_request(words=["king"])
    request.output_filter.append("known")
    assert list(stub.Predict(request, timeout=10).outputs) == ["known"]
    request.output_filter.append("colour")
    assert refusal(stub, request)[0] == "INVALID_ARGUMENT"


def test_every_warm_up_request_is_answered(stub, versions_folder):
    """They are what TF Serving itself would send to the model."""
    path = versions_folder / "7" / warmup.EXTRA / warmup.FILE
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))
    ]
    assert {log.predict_log.request.model_spec.signature_name for log in logs} == SIGNATURES
    for log in logs:
        log.predict_log.request.model_spec.name = "word2vec"
        assert stub.Predict(log.predict_log.request, timeout=10).outputs


def test_metadata_and_status(stub, server):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "word2vec"
    found = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request, timeout=10).metadata["signature_def"].Unpack(found)
    assert set(found.signature_def) == SIGNATURES
    assert set(found.signature_def["analogy"].inputs) == {"a", "b", "c", "k"}
    with grpc.insecure_channel(server.grpc) as channel:
        status = get_model_status_pb2.GetModelStatusRequest(model_spec=request.model_spec)
        (one,) = (
            model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status, timeout=10).model_version_status
        )
    assert (one.version, one.State.Name(one.state)) == (7, "AVAILABLE")


@pytest.mark.parametrize(
    ("wrong", "code", "why"),
    [
        ({"name": "other"}, "NOT_FOUND", "word2vec"),
        ({"version": 8}, "NOT_FOUND", "7"),
        ({"signature": "farthest"}, "INVALID_ARGUMENT", "most_similar"),
        ({"words": [1, 2]}, "INVALID_ARGUMENT", "string"),
        ({"words": "king"}, "INVALID_ARGUMENT", "dimensions"),
        ({"words": [["king"]]}, "INVALID_ARGUMENT", "dimensions"),
        ({"word": ["king"]}, "INVALID_ARGUMENT", "words"),
        ({"signature": "most_similar", "k": [2.5]}, "INVALID_ARGUMENT", "int32"),
        ({"signature": "most_similar", "k": [1, 2, 3]}, "INVALID_ARGUMENT", "most_similar"),
        ({"signature": "evaluate", "examples": [b"no example"], "words": None}, "INVALID_ARGUMENT", "evaluate"),
    ],
)
def test_wrong_requests_are_told_why(stub, wrong, code, why):
    wrong = dict({"words": ["king"]}, **wrong)
    wrong = {key: value for key, value in wrong.items() if value is not None}
    if "word" in wrong:
        del wrong["words"]
    told = refusal(stub, make_request(**wrong))
    assert told[0] == code
    assert why in told[1]


def test_a_tensor_that_claims_to_be_huge(stub):
    request = make_request(words=["king"])
    request.inputs["words"].tensor_shape.dim[0].size = 10**12
    assert refusal(stub, request)[0] == "INVALID_ARGUMENT"


def post(server, body, path="word2vec:predict"):
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    answer = requests.post(f"{server.rest}/v1/models/{path}", data=data, timeout=10)
    return answer.status_code, answer.json()


def test_rest_rows(server):
    rows = [{"words": "king", "k": 2}, {"words": "nothing", "k": 2}]
    code, answer = post(server, {"signature_name": "most_similar", "instances": rows})
    assert code == 200
    first, second = answer["predictions"]
    assert len(first["neighbours"]) == 2
    np.testing.assert_allclose(first["scores"], [cosine("king", word) for word in first["neighbours"]], rtol=1e-5)
    assert second == {"neighbours": ["", ""], "scores": [0, 0], "known": False}


def test_rest_columns(server):
    columns = {"word1": ["tea", "東"], "word2": ["coffee", {"b64": base64.b64encode("naïve".encode()).decode()}]}
    code, answer = post(server, {"signature_name": "similarity", "inputs": columns})
    assert (code, answer["outputs"]["known"]) == (200, [True, True])
    np.testing.assert_allclose(answer["outputs"]["cosine"], [cosine("tea", "coffee"), cosine("東", "naïve")], rtol=1e-5)


def test_rest_of_one_input(server):
    """Values may stand without the input's name."""
    code, answer = post(server, {"instances": ["king", "tea"]}, "word2vec/versions/7:predict")
    assert code == 200
    np.testing.assert_allclose([row["embeddings"] for row in answer["predictions"]], VECTORS[[1, 5]], rtol=1e-6)
    assert post(server, {"inputs": ["king"]})[1]["outputs"]["known"] == [True]
    assert post(server, {"instances": []})[1] == {"predictions": []}


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ("{", "word2vec:predict", 400),
        ("[]", "word2vec:predict", 400),
        ("[" * 100_000, "word2vec:predict", 400),
        ({}, "word2vec:predict", 400),
        ({"instances": [], "inputs": []}, "word2vec:predict", 400),
        ({"instances": "king"}, "word2vec:predict", 400),
        ({"instances": [1]}, "word2vec:predict", 400),
        ({"instances": [{"words": "a"}, {"word": "b"}]}, "word2vec:predict", 400),
        ({"inputs": {"words": [["a"]]}}, "word2vec:predict", 400),
        ({"inputs": {"words": [{"b64": "%"}]}}, "word2vec:predict", 400),
        ({"signature_name": "no", "instances": ["a"]}, "word2vec:predict", 400),
        ({"signature_name": 3, "instances": ["a"]}, "word2vec:predict", 400),
        ({"signature_name": "most_similar", "inputs": {"words": ["a"], "k": [1e99]}}, "word2vec:predict", 400),
        ({"signature_name": "rank", "inputs": {"word1": [["a"]], "word2": ["a"]}}, "word2vec:predict", 400),
        ({"instances": ["a"]}, "other:predict", 404),
        ({"instances": ["a"]}, "word2vec/versions/8:predict", 404),
        ({"instances": ["a"]}, "word2vec:classify", 404),
    ],
)
def test_wrong_rest_requests_are_told_why(server, body, path, code):
    found, answer = post(server, body, path)
    assert (found, list(answer)) == (code, ["error"])
    assert answer["error"]


def test_rest_status_and_metadata(server):
    status = requests.get(f"{server.rest}/v1/models/word2vec", timeout=10).json()
    assert status == {
        "model_version_status": [
            {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    found = requests.get(f"{server.rest}/v1/models/word2vec/versions/7/metadata", timeout=10).json()
    assert found["model_spec"]["version"] == "7"
    assert set(found["metadata"]["signature_def"]["signature_def"]) == SIGNATURES


def test_the_map(server):
    found = requests.get(f"{server.rest}/map", timeout=60).json()
    assert found["words"] == WORDS
    assert len(found["x"]) == len(found["y"]) == len(WORDS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text() | st.binary(), max_size=5), st.sampled_from(sorted(SIGNATURES - {"evaluate"})), st.integers())
def test_whatever_is_asked_is_answered(server, values, signature, k):
    names = {"most_similar": ["words"], "similarity": ["word1", "word2"], "analogy": ["a", "b", "c"]}
    names |= {
        "embed_text": ["texts"],
        "embed_text_sif": ["texts"],
        "serving_default": ["words"],
        "doesnt_match": ["words"],
        "rank": ["word1", "word2"],
    }
    names |= {"nearest": ["positive", "negative"], "nearest_cosmul": ["positive", "negative"]}
    names |= {"nearest_to_vector": ["without"], "n_similarity": ["words1", "words2"]}
    inputs = {
        name: np.array([value.encode() if isinstance(value, str) else value for value in values], object)
        for name in names[signature]
    }
    number = np.full(len(values), np.clip(k, -(2**31), 2**31 - 1), np.int32)
    if signature in ("most_similar", "analogy") or signature.startswith("nearest"):
        inputs["k"] = number
    if signature.startswith("nearest"):
        inputs["restrict_vocab"] = number
    if signature == "nearest_to_vector":
        inputs["vectors"] = np.full((len(values), 12), np.clip(k, -(2**99), 2**99), np.float32)
    with grpc.insecure_channel(server.grpc) as channel:
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "word2vec", signature
        for name, value in inputs.items():
            dtype = tf.string if value.dtype == object else tf.as_dtype(value.dtype)
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value, dtype, value.shape))
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=10)
    assert all(value.tensor_shape.dim[0].size == len(values) for value in answer.outputs.values())


def test_new_versions_are_taken_up_without_a_failed_request(own_versions_folder, tmp_path):
    """Versions come and one of them is broken, while clients ask without a pause."""
    server, stop, failures, seen = Server(own_versions_folder, "--poll", "0.1"), threading.Event(), [], set()

    def ask(address):
        with client.Embeddings(address, retries=0) as words:
            while not stop.is_set():
                try:
                    seen.add(round(float(words["king"][0] / VECTORS[1][0])))
                    words.most_similar("tea")
                except Exception as error:
                    failures.append(error)

    threads = [threading.Thread(target=ask, args=(address,)) for address in (server.grpc, server.rest)]
    try:
        for thread in threads:
            thread.start()
        (own_versions_folder / "8").mkdir()
        (own_versions_folder / "8" / "saved_model.pb").write_bytes(b"broken")
        for number in (9, 10):
            make_version(own_versions_folder, number, VECTORS * number)
            until(lambda number=number: number in seen)
        states = requests.get(f"{server.rest}/v1/models/word2vec", timeout=10).json()["model_version_status"]
        assert states[0]["version"] == "10"
        until(lambda: requests.get(f"{server.rest}/v1/models/word2vec/versions/7", timeout=10).status_code == 404)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        assert server.stop() == 0
    assert failures == []
    assert seen >= {1, 9, 10}


def until(condition):
    end = time.monotonic() + 120  # it loads while clients ask without a pause
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_running_requests_are_answered_before_it_stops(own_versions_folder):
    server = Server(own_versions_folder)
    words = [random.Random(1).choice(WORDS) for _ in range(9000)]
    with grpc.insecure_channel(server.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        stub.Predict(make_request(words=["tea"]), timeout=10)
        running = [
            stub.Predict.future(make_request("most_similar", words=words, k=np.full(9000, 40, np.int32)), timeout=30)
            for _ in range(3)
        ]
        time.sleep(0.3)
        server.process.terminate()
        for answer in running:
            assert tf.make_ndarray(answer.result().outputs["known"]).all()
    assert server.process.wait(30) == 0


@pytest.mark.parametrize("case", ["no folder", "one version", "no version", "broken version", "port"])
def test_what_can_not_be_served_is_said(case, own_versions_folder, tmp_path, server):
    folder, more = own_versions_folder, []
    if case == "no folder":
        folder = tmp_path / "nothing"
    if case == "one version":
        folder = own_versions_folder / "7"
    if case == "no version":
        shutil.rmtree(own_versions_folder / "7")
    if case == "broken version":
        (own_versions_folder / "7" / "saved_model.pb").write_bytes(b"broken")
    if case == "port":
        more = ["--port", server.grpc.rpartition(":")[2]]
    command = [sys.executable, "-m", "serving.local", "--model", str(folder), "--rest-port", "0"]
    done = subprocess.run(
        [*command, *(more or ["--port", "0"])], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: --port" if case == "port" else f"error: --model {folder}")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8501"}, 403),
        ({"Host": "localhost.evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "10.1.2.3"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "user@evil.example"}, 403),
        ({"Host": "localhost"}, 200),
        ({"Host": "LOCALHOST:1"}, 200),
        ({"Host": "localhost."}, 200),
        ({"Host": "app.localhost:3000"}, 200),
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "127.9.9.9"}, 200),
        ({"Host": "[::1]:8501"}, 200),
        ({"Host": "models.example"}, 200),
        ({"Host": socket.gethostname()}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
    ],
)
def test_only_our_own_names_may_be_asked_for(named_server, headers, code):
    for path in ("", "/map", "/v1/models/%3Cscript%3E%22'"):
        answer = requests.get(f"{named_server.rest}{path}", headers=headers, timeout=20)
        assert answer.status_code == code
        assert code == 200 or "--allow-host" in answer.json()["error"]


@pytest.fixture(scope="module")
def named_server(versions_folder):
    server = Server(versions_folder, "--name", "<script>\"'", "--allow-host", "models.example", "--host", "127.0.0.1")
    yield server
    assert server.stop() == 0


def test_the_models_name_is_no_markup(named_server):
    answer = requests.get(named_server.rest, timeout=10)
    assert "<script>\"'" not in answer.text
    assert answer.text.count("&lt;script&gt;&quot;&#x27;") == 3
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"].partition("script-src")[2].partition(";")[0]


@pytest.mark.parametrize("path", ["/", "/page.js", "/plotly.js", "/v1/models/word2vec", "/nothing"])
def test_every_answer_has_a_policy(server, path):
    headers = requests.get(f"{server.rest}{path}", timeout=20).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def vectors(rows):
    """A request for the neighbours of vectors."""
    inputs = {"vectors": rows, "without": [""] * len(rows[:9000]), "k": 1, "restrict_vocab": [0] * len(rows[:9000])}
    return {"signature_name": "nearest_to_vector", "inputs": inputs}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"signature_name": ["most_similar"], "instances": ["a"]}, "signature_name"),
        ({"signature_name": {}, "instances": ["a"]}, "signature_name"),
        ({"signature_name": None, "instances": ["a"]}, "signature_name"),
        ({"signature_name": "s" * 10**6, "instances": ["a"]}, "no signature"),
        ({"instances": ["\ud800"]}, "surrogate"),
        ({"inputs": {"words": [True]}}, "texts"),
        ({"inputs": {"words": [None]}}, "texts"),
        ({"inputs": {"x" * 10**6: ["a"]}}, "no input"),
        ({"signature_name": "most_similar", "inputs": {"words": ["a"], "k": [True]}}, "int32"),
        ({"signature_name": "most_similar", "inputs": {"words": ["a"], "k": [1.0]}}, "int32"),
        ({"signature_name": "most_similar", "inputs": {"words": ["a"], "k": [2**31]}}, "int32"),
        ({"signature_name": "most_similar", "inputs": {"words": ["a"], "k": [float("nan")]}}, "int32"),
        ({"signature_name": "most_similar", "inputs": ["a"]}, "an object with"),
        ({"signature_name": "most_similar", "inputs": {"words": ["a"] * 10_000, "k": [1000] * 10_000}}, "1,000,000"),
        ({"signature_name": "most_similar", "inputs": {"words": ["a"] * 1001, "k": 2**31 - 1}}, "1,000,000"),
        ({"signature_name": "analogy", "inputs": dict.fromkeys("abc", ["a"] * 5000) | {"k": 201}}, "1,000,000"),
        ({"inputs": {"words": ["a"] * 10_001}}, "10,000"),
        (vectors([[1.0] * 12] * 90_000), "1,080,000 values, expected at most 1,000,000"),
        (vectors([1.0] * 12), "list of vectors"),
        (vectors([[1.0] * 12, [1.0]]), "list of vectors"),
        (vectors([["1"] * 12]), "list of vectors"),
        (vectors([[True] * 12]), "list of vectors"),
        (vectors([[[1.0]] * 12]), "list of vectors"),
        (vectors([[10**400] * 12]), "too large"),
        (vectors([[1.0] * 11]), "expected 12 numbers per row"),
        (vectors([[float("nan")] * 12]), "finite"),
        (vectors([[1e39] * 12]), "finite"),
        ({"signature_name": "doesnt_match", "inputs": ["the " * 101]}, "at most 100 words per row"),
        ({"signature_name": "n_similarity", "inputs": {"words1": ["the", "of"], "words2": ["the"]}}, "n_similarity"),
        ({"signature_name": "evaluate", "inputs": [{"b64": ""}] * 40}, "40 values, expected at most 39"),
        ({"signature_name": "evaluate", "inputs": [{"b64": "gICAgICA"}]}, "evaluate"),
    ],
)
def test_what_a_client_does_wrong_is_told_shortly(server, body, why):
    code, answer = post(server, body)
    assert code == 400
    assert why in answer["error"]
    assert len(answer["error"]) < 1100


@pytest.mark.parametrize("version", ["9" * 5000, str(2**63), "9" * 30])
def test_versions_that_can_not_be(server, version):
    code, answer = post(server, {"instances": ["a"]}, f"word2vec/versions/{version}:predict")
    assert (code, "version" in answer["error"]) == (400, True)


def test_labels_are_refused_alike(server):
    code, answer = post(server, {"instances": ["a"]}, "word2vec/labels/canary:predict")
    assert (code, "canary" in answer["error"]) == (400, True)


@pytest.mark.parametrize("encoding", ["deflate", "gzip"])
def test_a_broken_compression_is_told(server, encoding):
    answer = requests.post(
        f"{server.rest}/v1/models/word2vec:predict", data=b"\x00\x01noise", headers={"Content-Encoding": encoding},
        timeout=10,
    )  # fmt: skip
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("dtype", sorted(set(types_pb2.DataType.values()) - {types_pb2.DT_STRING} | {9999, -1}))
def test_odd_types_are_refused(stub, dtype):
    request = make_request(words=["king"])
    request.inputs["words"].dtype = dtype
    assert refusal(stub, request)[0] == "INVALID_ARGUMENT"


def change_shape(tensor, *sizes):
    del tensor.tensor_shape.dim[:]
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: change_shape(tensor, -1),
        lambda tensor: change_shape(tensor, -2, -3),
        lambda tensor: change_shape(tensor, 2**62, 4),
        lambda tensor: change_shape(tensor, *[1] * 300),
        lambda tensor: setattr(tensor.tensor_shape, "unknown_rank", True),
        lambda tensor: setattr(tensor, "tensor_content", b"abc"),
        lambda tensor: tensor.string_val.extend([b"a"] * 5),
    ],
)
def test_tensors_that_contradict_themselves(stub, change):
    request = make_request(words=["king"])
    change(request.inputs["words"])
    assert refusal(stub, request)[0] == "INVALID_ARGUMENT"


def test_long_names_are_told_shortly(stub):
    for spec in ({"signature": "s" * 100_000}, {"name": "m" * 100_000}):
        code, told = refusal(stub, make_request(words=["king"], **spec))
        assert code in ("INVALID_ARGUMENT", "NOT_FOUND")
        assert len(told) < 1100


def test_rows_times_neighbours_over_grpc(stub):
    request = make_request("most_similar", words=["king"] * 10_000, k=np.full(10_000, 1000, np.int32))
    code, told = refusal(stub, request)
    assert (code, "1,000,000" in told) == ("INVALID_ARGUMENT", True)


def test_a_server_that_is_started_before_the_pipeline_waits(versions_folder, tmp_path):
    folder = tmp_path / "runs" / "word2vec"
    command = [sys.executable, "-m", "serving.local", "--model", str(folder), "--wait", "--poll", "0.1"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--rest-port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    try:
        assert any("waiting for the first version: " in line for line in process.stdout)
        (folder / "8.new").mkdir(parents=True)  # which is none yet
        time.sleep(0.5)
        assert process.poll() is None
        shutil.copytree(versions_folder / "7", folder / "8.new", dirs_exist_ok=True)
        os.replace(folder / "8.new", folder / "8")
        served = next(line for line in process.stdout if "version 8 is served" in line)
        assert served
        assert any(line.startswith("page ") for line in process.stdout)
    finally:
        process.terminate()
        process.communicate(timeout=30)
        watchdog.cancel()
    assert process.returncode == 0
