"""Hostile requests of many kinds, over REST and gRPC; `benchmarks.hostile` sends them."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import itertools
import json
import random
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from word2vec import signatures

# Each signature's inputs.
SIGNATURES = {name: signature.inputs for name, signature in signatures.SIGNATURES.items()}
_PREDICT = "/v1/models/word2vec:predict"
_SERVICE = "/tensorflow.serving.PredictionService/"


@dataclasses.dataclass(frozen=True)
class Rest:
    """A request over HTTP."""

    body: bytes = b""
    path: str = _PREDICT
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Raw:
    """Bytes for REST's port."""

    data: bytes


@dataclasses.dataclass(frozen=True)
class Grpc:
    """A message for a method of gRPC's."""

    data: bytes
    method: str = f"{_SERVICE}Predict"


Request = Rest | Raw | Grpc


def requests(seed: int) -> Iterator[tuple[str, Request]]:
    """Requests without end, with the names of their kinds: each kind in turn, in draws of the seed."""
    draw = random.Random(seed)
    for kind in itertools.cycle(_KINDS):
        yield kind.__name__.strip("_"), kind(draw)


# The kinds. Each draws a request.


def _noise(draw: random.Random, most: int) -> str:
    letters = ((32, 127), (1, 0x2FF), (0x300, 0xD7FF), (0xE000, 0x10FFFF))
    return "".join(chr(draw.randrange(*draw.choice(letters))) for _ in range(draw.randrange(most + 1)))


def _odd(draw: random.Random, depth: int = 2) -> Any:
    """A value of JSON's, of any kind."""
    plain: list[Any] = [
        None, True, False, 0, -1, 1.5, 2**31, -(2**63) - 1, 10**400, 1e308, float("nan"), float("-inf"), "", "\0",
        "\ud800", "the", _noise(draw, 20), {"b64": "%"}, {"b64": 3}, {"b64": "AA=="}, {}, [],
    ]  # fmt: skip
    if not depth or draw.random() < 0.6:
        return draw.choice(plain)
    if draw.random() < 0.5:
        return [_odd(draw, depth - 1) for _ in range(draw.randrange(4))]
    return {draw.choice(["words", "k", "b64", "", "\ud800"]): _odd(draw, depth - 1) for _ in range(3)}


def _json_noise(draw: random.Random) -> Request:
    return Rest(draw.choice([draw.randbytes(200), _noise(draw, 200).encode(), json.dumps(_odd(draw)).encode("utf-16")]))


def _json_cut(draw: random.Random) -> Request:
    whole = json.dumps({"signature_name": "similarity", "inputs": {"word1": ["the"], "word2": ["东"]}}).encode()
    return Rest(whole[: draw.randrange(len(whole))])


def _json_deep(draw: random.Random) -> Request:
    times = draw.choice([3, 900, 3000, 300_000])
    return Rest(b'{"inputs":' + draw.choice([b"[", b'{"a":']) * times)


def _json_odd_names(draw: random.Random) -> Request:
    asked = {"instances": ["the"], "signature_name": _odd(draw)}
    return Rest(json.dumps(asked).encode())


def _json_odd_rows(draw: random.Random) -> Request:
    name = draw.choice(list(SIGNATURES))
    rows = [{key: _odd(draw) for key in SIGNATURES[name]} for _ in range(draw.randrange(3))]
    return Rest(json.dumps({"signature_name": name, "instances": draw.choice([rows, _odd(draw)])}).encode())


def _json_odd_columns(draw: random.Random) -> Request:
    name = draw.choice(list(SIGNATURES))
    columns = {key: draw.choice([["the"], _odd(draw), [_odd(draw)]]) for key in SIGNATURES[name]}
    return Rest(json.dumps({"signature_name": name, "inputs": draw.choice([columns, _odd(draw)])}).encode())


def _json_many(draw: random.Random) -> Request:
    rows, k = draw.choice([(10_000, 1000), (2000, 501), (10_001, 1), (1, 2**31 - 1), (300, 5)])
    columns = {"words": ["the"] * rows, "k": [k] * rows}
    return Rest(json.dumps({"signature_name": "most_similar", "inputs": columns}).encode())


def _json_long(draw: random.Random) -> Request:
    word = draw.choice(["x", "the ", "\u0301", "<b", "&amp;", "\u200d"]) * draw.choice([10, 10_000, 200_000])
    name = draw.choice(["serving_default", "embed_text"])
    return Rest(json.dumps({"signature_name": name, "inputs": {next(iter(SIGNATURES[name])): [word]}}).encode())


def _path_odd(draw: random.Random) -> Request:
    version = draw.choice(["9" * 5000, "9" * 30, str(2**63), "-1", "٣", "1e3", "%00", "", "007", "0x1", "1/../2"])
    model = draw.choice(["word2vec", "other", "%2e%2e", "a" * 3000, "%ff", "<script>"])
    end = draw.choice([":predict", ":classify", "", "/metadata", "/labels/canary:predict", ":", "//"])
    path = f"/v1/models/{model}/versions/{version}{end}"
    return Rest(b'{"instances": ["the"]}', urllib.parse.quote(path, safe="/:%<>"), draw.choice(["GET", "POST"]))


def _method_odd(draw: random.Random) -> Request:
    methods = ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "PATCH", "BREW"]
    paths = [_PREDICT, "/", "/map/..", "/plotly.js/", "*", "/page.css", "/../../etc/passwd", "/%2e%2e/serving"]
    return Rest(b"", draw.choice(paths), draw.choice(methods))


def _header_odd(draw: random.Random) -> Request:
    headers = [
        ("Host", "evil.example"), ("Host", ""), ("Host", "[::1"), ("Host", "a" * 4000), ("Origin", "null"),
        ("Origin", "https://evil.example"), ("Expect", "200"), ("Content-Type", "a; charset=b"), ("Range", "bytes=9-1"),
        ("Content-Length", "-1"), ("Content-Length", "1_0"), ("Content-Length", "9" * 30), ("X", "y" * 20_000),
        ("Transfer-Encoding", "gzip"), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Cookie", "=;=\x7f"),
        ("Accept-Encoding", "zzz;q=9"), ("If-Modified-Since", "never"), ("Authorization", "Basic %%%"),
    ]  # fmt: skip
    return Rest(b'{"instances": ["the"]}', headers=(draw.choice(headers),))


def _encoding_broken(draw: random.Random) -> Request:
    name = draw.choice(["deflate", "gzip", "br", "zstd", "deflate, gzip", "x-gzip", "identity", "rot13"])
    body = gzip.compress(b'{"instances": ["the"]}', mtime=0)
    body = draw.choice([draw.randbytes(50), body, body[:-9], zlib.compress(b"[")[:-3], b""])
    return Rest(body, headers=(("Content-Encoding", name),))


def _encoding_bomb(draw: random.Random) -> Request:
    body = b'{"instances": ["' + b" " * draw.choice([10_000, 30_000_000, 100_000_000]) + b'"]}'
    return Rest(gzip.compress(body, 1, mtime=0), headers=(("Content-Encoding", "gzip"),))


def _chunks_broken(draw: random.Random) -> Request:
    chunk = draw.choice([b"zz\r\n", b"5\r\nabc", b"-1\r\n\r\n", b"F" * 30 + b"\r\n", b"0\r\n", b"3\r\nabcde\r\n"])
    head = f"POST {_PREDICT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Raw(head.encode() + chunk)


def _http_broken(draw: random.Random) -> Request:
    return Raw(
        draw.choice([
            draw.randbytes(100), b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n", b"\r\n" * 50, b"\x16\x03\x01\x02\x00",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
            f"POST {_PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{{".encode(),
            f"GET {_PREDICT} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 300,
        ])
    )  # fmt: skip


def _predict(signature: str, **inputs: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "word2vec", signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def _proto_noise(draw: random.Random) -> Request:
    methods = ["Predict", "GetModelMetadata", "Classify", "Regress", "MultiInference", "Nothing"]
    whole = _predict("most_similar", words=["the"] * 3, k=[5] * 3).SerializeToString()
    flipped = bytearray(whole)
    for _ in range(draw.randrange(1, 6)):
        flipped[draw.randrange(len(flipped))] = draw.randrange(256)
    data = draw.choice([draw.randbytes(100), whole[: draw.randrange(len(whole))], bytes(flipped), bytes(flipped)])
    return Grpc(data, _SERVICE + draw.choice(methods[:1] * 5 + methods))


def _tensor_odd(draw: random.Random) -> Request:
    request = _predict("most_similar", words=["the", "of"], k=[5, 5])
    tensor = request.inputs[draw.choice(["words", "k"])]
    for _ in range(draw.randrange(1, 4)):
        change = draw.randrange(7)
        if change == 0:
            tensor.dtype = draw.choice([0, 1, 2, 3, 6, 7, 8, 9, 14, 19, 20, 21, 22, 23, 24, 25, 30, 101, 107])
        elif change == 1:
            sizes = [-1, -(2**63), 0, 1, 3, 10_000, 2**31, 2**62]
            tensor.tensor_shape.dim.add(size=draw.choice(sizes))
        elif change == 2:
            tensor.tensor_content = draw.randbytes(draw.randrange(20))
        elif change == 3:
            tensor.tensor_shape.unknown_rank = True
        elif change == 4:
            tensor.string_val.extend([draw.randbytes(9)] * draw.randrange(9))
        elif change == 5:
            tensor.int_val.extend([draw.choice([-(2**31), -1, 0, 2**31 - 1])] * draw.randrange(9))
        else:
            tensor.float_val.extend([float("nan")])
            tensor.half_val.extend([2**31 - 1])
            tensor.resource_handle_val.add(name="x")
    return Grpc(request.SerializeToString())


def _spec_odd(draw: random.Random) -> Request:
    request = _predict(draw.choice(["serving_default", "", _noise(draw, 9), "s" * 100_000]), words=["the"])
    request.model_spec.name = draw.choice(["word2vec", "word2vec", "", _noise(draw, 9), "m" * 50_000])
    if draw.random() < 0.5:
        request.model_spec.version.value = draw.choice([-1, 0, 7, 2**63 - 1, -(2**63)])
    else:
        request.model_spec.version_label = draw.choice(["canary", _noise(draw, 9), "l" * 50_000])
    request.output_filter.extend(draw.choice([[], ["known"], ["known"] * 100, ["nothing"], ["f" * 50_000]]))
    if draw.random() < 0.3:
        request.inputs[_noise(draw, 9) or draw.choice(["", "i" * 50_000])].CopyFrom(request.inputs["words"])
    return Grpc(request.SerializeToString())


def _words_odd(draw: random.Random) -> Request:
    words = [draw.choice([draw.randbytes(30), _noise(draw, 40).encode(), b"the", b""]) for _ in range(20)]
    words.append(b"x" * draw.choice([10, 10_000, 1_000_000]))
    name = draw.choice([name for name in SIGNATURES if not name.startswith("evaluate")])
    values = {
        key: words if kind == tf.string else _odd_numbers(draw, kind, len(words))
        for key, kind in SIGNATURES[name].items()
    }
    return Grpc(_predict(name, **values).SerializeToString())


def _odd_numbers(draw: random.Random, kind: tf.DType, rows: int) -> np.ndarray:
    """Whole numbers, one per row, or vectors; sometimes for too few rows."""
    rows = draw.choice([rows, rows, 1, 3])
    if kind == tf.int32:
        return np.full(rows, draw.choice([-1, 0, 5, 2**31 - 1, -(2**31)]), np.int32)
    width, number = draw.choice([0, 1, 32, 128, 10_000]), draw.choice([0, 1, 1e-45, 3e38, np.nan, np.inf])
    return np.full((rows, width), number, np.float32)


def _neighbours_many(draw: random.Random) -> Request:
    rows, k = draw.choice([(10_000, 1000), (1001, 1000), (10_001, 1), (200, 100)])
    return Grpc(_predict("most_similar", words=["the"] * rows, k=draw.choice([[k] * rows, k])).SerializeToString())


def _examples_bad(draw: random.Random) -> Request:
    example = tf.train.Example()
    for key in draw.sample(["words", "score", "kind", "section", "benchmark", "x"], draw.randrange(7)):
        feature, times = example.features.feature[key], draw.choice([0, 1, 4, 5, 1024, 1028, 40_000])
        kind = draw.randrange(4)
        if kind == 0:
            feature.bytes_list.value.extend([draw.randbytes(5)] * times)
        elif kind == 1:
            feature.float_list.value.extend([float("nan")] * times)
        elif kind == 2:
            feature.int64_list.value.extend([-1] * times)
    serialized = example.SerializeToString()
    examples = [draw.choice([serialized, draw.randbytes(30), b""]) for _ in range(draw.randrange(1, 4))]
    if draw.random() < 0.5:
        return Grpc(_predict("evaluate", examples=examples).SerializeToString())
    rows = [{"b64": base64.b64encode(one).decode()} for one in examples]
    return Rest(json.dumps({"signature_name": "evaluate", "instances": rows}).encode())


def _metadata_odd(draw: random.Random) -> Request:
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = draw.choice(["word2vec", _noise(draw, 9)])
    request.metadata_field.extend(draw.choice([[], ["signature_def"], ["signature_def"] * 2, [_noise(draw, 9)]]))
    status = get_model_status_pb2.GetModelStatusRequest(model_spec=request.model_spec)
    status.model_spec.version.value = draw.choice([-1, 7, 2**63 - 1])
    return draw.choice([
        Grpc(request.SerializeToString(), f"{_SERVICE}GetModelMetadata"),
        Grpc(status.SerializeToString(), "/tensorflow.serving.ModelService/GetModelStatus"),
        Grpc(draw.randbytes(30), "/tensorflow.serving.ModelService/HandleReloadConfigRequest"),
    ])  # fmt: skip


_KINDS: list[Callable[[random.Random], Request]] = [
    _json_noise, _json_cut, _json_deep, _json_odd_names, _json_odd_rows, _json_odd_columns, _json_many, _json_long,
    _path_odd, _method_odd, _header_odd, _encoding_broken, _encoding_bomb, _chunks_broken, _http_broken, _proto_noise,
    _tensor_odd, _spec_odd, _words_odd, _neighbours_many, _examples_bad, _metadata_odd,
]  # fmt: skip
