"""A client of a served model, over TF Serving's gRPC or REST interface; names as in gensim's `KeyedVectors`.

    words = Embeddings("localhost:8500")            # gRPC
    words = Embeddings("http://localhost:8501")     # REST, which needs no TensorFlow on the client's side
    words["king"], words.most_similar("king"), words.analogy("man", "king", "woman")

On the command line: `python -m serving.client similar king`; `--help` lists the rest.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

# Words or texts in a request.
BATCH = 1024
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0


class RequestError(Exception):
    """The server does not answer, or answers that the request is wrong."""


class _Transport(Protocol):
    def predict(self, signature: str, inputs: Mapping[str, Any]) -> Mapping[str, np.ndarray]: ...

    def close(self) -> None: ...


class Embeddings:
    """The vectors of a served model.

    Args:
        address: `host:port` for gRPC, or `http://host:port` or `https://host:port` for REST.
        model: the served model's name.
        version: its version; by default the newest.
        timeout: seconds that a request may take.
        retries: how often a request is sent again while the server cannot be reached or is overloaded, after waits
            that double.
        tls: encrypts gRPC; True for the system's certificates, or the path of a PEM file with those to trust. For REST,
            such a path may go with `https://`.

    Raises:
        ValueError: `tls` with `http://`.
    """

    def __init__(
        self,
        address: str,
        *,
        model: str = "word2vec",
        version: int | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        tls: bool | str = False,
    ):
        if address.startswith(("http://", "https://")):
            if tls and address.startswith("http://"):
                raise ValueError(f"{address}: TLS needs https://")
            self._transport: _Transport = _Rest(address, model, version, timeout, retries, tls)
        else:
            self._transport = _Grpc(address, model, version, timeout, retries, tls)

    def __enter__(self) -> Embeddings:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def __getitem__(self, words: str | Sequence[str]) -> np.ndarray:
        """The vector of a word, float32 [D], or of several, [n, D].

        Raises:
            KeyError: a word is unknown.
            RequestError: the server does not answer.
        """
        return self.vectors([words])[0] if isinstance(words, str) else self.vectors(words)

    def __contains__(self, word: str) -> bool:
        """Whether the model knows a word."""
        return bool(self._ask("serving_default", words=[word])["known"][0])

    def vectors(self, words: Sequence[str], *, unknown: str = "raise") -> np.ndarray:
        """The vectors of many words, in as many requests as needed.

        Args:
            words: n of them.
            unknown: `raise`, or `zero` for vectors of zeros.

        Returns:
            float32 [n, D].

        Raises:
            KeyError: a word is unknown, and `unknown` is `raise`.
            RequestError: the server does not answer.
        """
        answer = self._ask("serving_default", words=words)
        if unknown == "raise" and not answer["known"].all():
            missing = [word for word, known in zip(words, answer["known"], strict=True) if not known]
            raise KeyError(f"unknown to the model: {', '.join(missing[:5])}{', ...' if missing[5:] else ''}")
        return answer["embeddings"]

    def most_similar(self, word: str, topn: int = 10) -> list[tuple[str, float]]:
        """The nearest words with their cosines, the nearest first.

        Raises:
            KeyError: the word is unknown.
            RequestError: the server does not answer.
        """
        answer = self._ask("most_similar", words=[word], k=[topn])
        self._check_known(answer, word)
        return _pairs(answer["neighbours"], answer["scores"])

    def similarity(self, word1: str, word2: str) -> float:
        """The cosine of two words.

        Raises:
            KeyError: one is unknown.
            RequestError: the server does not answer.
        """
        answer = self._ask("similarity", word1=[word1], word2=[word2])
        self._check_known(answer, word1, word2)
        return float(answer["cosine"][0])

    def analogy(self, a: str, b: str, c: str, topn: int = 10) -> list[tuple[str, float]]:
        """What is to c as b is to a: `analogy("man", "king", "woman")`; the best answer first, with its cosine.

        Raises:
            KeyError: one of the words is unknown.
            RequestError: the server does not answer.
        """
        answer = self._ask("analogy", a=[a], b=[b], c=[c], k=[topn])
        self._check_known(answer, a, b, c)
        return _pairs(answer["answers"], answer["scores"])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts as the frequency-weighted means of their words' vectors: float32 [n, D], zeros without a known word.

        Raises:
            RequestError: the server does not answer.
        """
        return self._ask("embed_text", texts=texts)["embeddings"]

    def _ask(self, signature: str, **inputs: Sequence[Any]) -> dict[str, np.ndarray]:
        """Asks for some rows at a time; the last of k is every row's."""
        count = len(next(iter(inputs.values())))
        answers = [
            self._transport.predict(signature, {name: values[start : start + BATCH] for name, values in inputs.items()})
            for start in range(0, max(count, 1), BATCH)
        ]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def _check_known(self, answer: Mapping[str, np.ndarray], *words: str) -> None:
        if not answer["known"][0]:
            missing = [word for word in dict.fromkeys(words) if len(words) == 1 or word not in self]
            raise KeyError(f"unknown to the model: {', '.join(missing)}")


def _pairs(words: np.ndarray, scores: np.ndarray) -> list[tuple[str, float]]:
    found = zip(words[0], scores[0], strict=True)
    return [(str(word), float(score)) for word, score in found if word]


class _Grpc:
    def __init__(
        self, address: str, model: str, version: int | None, timeout: float, retries: int, tls: bool | str
    ):  # fmt: skip
        # TensorFlow comes with them: seconds that those who ask over REST need not wait.
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        self._tf, self._error, self._request = tf, grpc.RpcError, predict_pb2.PredictRequest
        self._address, self._model, self._version, self._timeout = address, model, version, timeout
        policy = {
            "maxAttempts": retries + 1,
            "initialBackoff": f"{_FIRST_WAIT}s",
            "maxBackoff": f"{_LONGEST_WAIT}s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        service = {"methodConfig": [{"name": [{}], **({"retryPolicy": policy} if retries else {})}]}
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.service_config", json.dumps(service)),
        ]
        if tls:
            credentials = grpc.ssl_channel_credentials(_read(tls) if isinstance(tls, str) else None)
            self._channel = grpc.secure_channel(address, credentials, options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        request = self._request()
        request.model_spec.name, request.model_spec.signature_name = self._model, signature
        if self._version is not None:
            request.model_spec.version.value = self._version
        for name, values in inputs.items():
            dtype = self._tf.int32 if name == "k" else self._tf.string
            request.inputs[name].CopyFrom(self._tf.make_tensor_proto(list(values), dtype, [len(values)]))
        try:
            answer = self._stub.Predict(request, timeout=self._timeout)
        except self._error as error:
            if error.code().name == "UNAVAILABLE":
                raise RequestError(_unreachable(self._address)) from None
            raise RequestError(f"{self._address}: {error.code().name}: {error.details()}") from None
        return {name: _texts(self._tf.make_ndarray(value)) for name, value in answer.outputs.items()}

    def close(self) -> None:
        self._channel.close()


class _Rest:
    def __init__(
        self, address: str, model: str, version: int | None, timeout: float, retries: int, tls: bool | str
    ):  # fmt: skip
        import requests
        from requests import adapters
        from urllib3.util import retry

        self._session, self._errors, self._timeout = requests.Session(), requests.exceptions, timeout
        at = "" if version is None else f"/versions/{version}"
        self._address, self._url = address, f"{address.rstrip('/')}/v1/models/{model}{at}:predict"
        # Given with each request: the session's own would yield to what REQUESTS_CA_BUNDLE says.
        self._verify = tls if isinstance(tls, str) else True
        again = retry.Retry(
            retries, backoff_factor=_FIRST_WAIT, backoff_max=_LONGEST_WAIT, status_forcelist=[429, 502, 503, 504],
            allowed_methods=["POST"], raise_on_status=False,
        )  # fmt: skip
        self._session.mount(address, adapters.HTTPAdapter(max_retries=again))

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        columns = {name: list(values) for name, values in inputs.items()}
        request = {"signature_name": signature, "inputs": columns}
        try:
            answer = self._session.post(self._url, json=request, timeout=self._timeout, verify=self._verify)
            found = answer.json()
        except self._errors.SSLError as error:
            raise RequestError(f"{self._address}: its certificate is not trusted: {error}") from None
        except self._errors.ConnectionError:
            raise RequestError(_unreachable(self._address)) from None
        except self._errors.JSONDecodeError:
            raise RequestError(f"{self._address}: HTTP {answer.status_code}: this is no TF Serving") from None
        except self._errors.RequestException as error:
            raise RequestError(f"{self._address}: {error}") from None
        if "outputs" not in found:
            raise RequestError(f"{self._address}: HTTP {answer.status_code}: {found.get('error', found)}")
        return {name: _typed(values) for name, values in found["outputs"].items()}

    def close(self) -> None:
        self._session.close()


def _unreachable(address: str) -> str:
    return f"{address}: cannot be reached. Has the server been started, as by python -m serving.local --model FOLDER?"


def _texts(values: np.ndarray) -> np.ndarray:
    return np.char.decode(values.astype(np.bytes_), "utf-8") if values.dtype == object else values


def _typed(values: list[Any]) -> np.ndarray:
    made = np.array(values)
    return made.astype(np.float32) if made.dtype == np.float64 else made


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        with Embeddings(
            options.server, model=options.name, version=options.version, timeout=options.timeout, tls=options.tls
        ) as embeddings:
            for line in options.answer(embeddings, options):
                print(line)
    except KeyError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 1
    except (RequestError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.client", description="Asks a served model.")
    parser.add_argument(
        "--server", default="http://localhost:8501", help="http(s)://host:port, or host:port for gRPC (%(default)s)"
    )
    parser.add_argument("--name", default="word2vec", help="the model's name (%(default)s)")
    parser.add_argument("--version", type=int, help="of the model; by default the newest")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="of a request (%(default)s)")
    parser.add_argument("--tls", nargs="?", const=True, default=False, metavar="PEM", help="encrypt")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, answer, words, meaning in _COMMANDS:
        command = commands.add_parser(name, help=meaning, description=meaning)
        command.set_defaults(answer=answer)
        for word in words:
            command.add_argument(word)
        if answer in (_similar, _analogy):
            command.add_argument("--topn", type=int, default=10, help="how many answers (%(default)s)")
    return parser


def _similar(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    yield from (f"{score:.3f}  {word}" for word, score in embeddings.most_similar(options.word, options.topn))


def _analogy(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    found = embeddings.analogy(options.a, options.b, options.c, options.topn)
    yield from (f"{score:.3f}  {word}" for word, score in found)


def _similarity(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    yield f"{embeddings.similarity(options.word1, options.word2):.3f}"


def _vector(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    yield " ".join(f"{value:.6g}" for value in embeddings[options.word])


_COMMANDS = (
    ("similar", _similar, ["word"], "the nearest words"),
    ("analogy", _analogy, ["a", "b", "c"], "what is to c as b is to a"),
    ("similarity", _similarity, ["word1", "word2"], "the cosine of two words"),
    ("vector", _vector, ["word"], "a word's vector"),
)


if __name__ == "__main__":
    sys.exit(main())
