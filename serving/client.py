"""A client of a served model, over TF Serving's gRPC or REST interface; names as in gensim's `KeyedVectors`.

    words = Embeddings("localhost:8500")            # gRPC
    words = Embeddings("http://localhost:8501")     # REST, which needs no TensorFlow on the client's side
    words["king"], words.most_similar("king"), words.analogy("man", "king", "woman")

On the command line: `python -m serving.client similar king`; `--help` lists the rest.
"""

from __future__ import annotations

import argparse
import math
import operator
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from serving import command_line, transport
from serving.transport import RequestError
from word2vec import argument_types
from word2vec.errors import UserError, escaped

__all__ = ["Embeddings", "RequestError"]

# Words or texts in a request.
BATCH = 1024

_LARGEST_K = 2**31 - 1


class Embeddings:
    """The vectors of a served model.

    Args:
        address: `host:port` for gRPC, or `http://host:port` or `https://host:port` for REST.
        model: the served model's name.
        version: its version; by default the newest.
        timeout: seconds that a request may take, with all that it is sent again.
        retries: how often a request is sent again while the server cannot be reached or is overloaded, after waits
            that double.
        tls: encrypts gRPC; True for the system's certificates, or the path of a PEM file with those to trust. For REST,
            such a path may go with `https://`.

    Raises:
        ValueError: no address, `tls` with `http://`, or a version, timeout or number of retries that cannot be.
        OSError: the file that `tls` names cannot be read.
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
        if not 0 < timeout < math.inf:
            raise ValueError(f"timeout {timeout}: expected seconds, more than 0")
        if retries < 0:
            raise ValueError(f"retries {retries}: expected 0 or more")
        self._address, self._timeout, self._retries = address, timeout, retries
        self._transport = transport.connect(address, model, version, tls)

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
            TypeError: it is neither a text nor several.
            RequestError: the server does not answer.
        """
        return self.vectors([words])[0] if isinstance(words, str) else self.vectors(words)

    def __contains__(self, word: str) -> bool:
        """Whether the model knows a word."""
        return bool(self._ask("serving_default", ("known",), words=[_text(word)])["known"][0])

    def vectors(self, words: Iterable[str], *, unknown: str = "raise") -> np.ndarray:
        """The vectors of many words, in as many requests as needed.

        Args:
            words: n of them. Not a text: that would be one word per letter.
            unknown: `raise`, or `zero` for vectors of zeros.

        Returns:
            float32 [n, D].

        Raises:
            KeyError: a word is unknown, and `unknown` is `raise`.
            TypeError: `words` is a text, or has something else than texts.
            ValueError: `unknown` is something else.
            RequestError: the server does not answer.
        """
        if unknown not in ("raise", "zero"):
            raise ValueError(f"unknown {unknown!r}: expected 'raise' or 'zero'")
        words = _texts(words, "words")
        answer = self._ask("serving_default", ("embeddings", "known"), words=words)
        if unknown == "raise" and not answer["known"].all():
            missing = [word for word, known in zip(words, answer["known"], strict=True) if not known]
            raise KeyError(f"unknown to the model: {', '.join(missing[:5])}{', ...' if missing[5:] else ''}")
        return answer["embeddings"]

    def most_similar(self, word: str, topn: int = 10) -> list[tuple[str, float]]:
        """The nearest words with their cosines, the nearest first.

        Raises:
            KeyError: the word is unknown.
            TypeError: it is no text, or `topn` no whole number.
            RequestError: the server does not answer.
        """
        answer = self._ask("most_similar", ("neighbours", "scores", "known"), words=[_text(word)], k=[_k(topn)])
        self._check_known(answer, word)
        return _pairs(answer["neighbours"], answer["scores"])

    def similarity(self, word1: str, word2: str) -> float:
        """The cosine of two words.

        Raises:
            KeyError: one is unknown.
            RequestError: the server does not answer.
        """
        answer = self._ask("similarity", ("cosine", "known"), word1=[_text(word1)], word2=[_text(word2)])
        self._check_known(answer, word1, word2)
        return float(answer["cosine"][0])

    def analogy(self, a: str, b: str, c: str, topn: int = 10) -> list[tuple[str, float]]:
        """What is to c as b is to a: `analogy("man", "king", "woman")`; the best answer first, with its cosine.

        Raises:
            KeyError: one of the words is unknown.
            RequestError: the server does not answer.
        """
        words = {name: [_text(word)] for name, word in (("a", a), ("b", b), ("c", c))}
        answer = self._ask("analogy", ("answers", "scores", "known"), **words, k=[_k(topn)])
        self._check_known(answer, a, b, c)
        return _pairs(answer["answers"], answer["scores"])

    def embed_texts(self, texts: Iterable[str]) -> np.ndarray:
        """Texts as the frequency-weighted means of their words' vectors: float32 [n, D], zeros without a known word.

        Raises:
            TypeError: `texts` is one text, or has something else than texts.
            RequestError: the server does not answer.
        """
        return self._ask("embed_text", ("embeddings",), texts=_texts(texts, "texts"))["embeddings"]

    def _ask(self, signature: str, outputs: tuple[str, ...], **inputs: Sequence[Any]) -> dict[str, np.ndarray]:
        """Asks for some rows at a time.

        Of no rows, it asks for one and leaves it out: JSON cannot say how wide an empty table is.
        """
        count = len(next(iter(inputs.values())))
        rows = inputs if count else {name: [""] for name in inputs}
        answers = [
            self._ask_batch(signature, outputs, {name: values[at : at + BATCH] for name, values in rows.items()})
            for at in range(0, max(count, 1), BATCH)
        ]
        return {name: np.concatenate([answer[name] for answer in answers])[:count] for name in outputs}

    def _ask_batch(
        self, signature: str, outputs: tuple[str, ...], inputs: Mapping[str, Sequence[Any]]
    ) -> dict[str, np.ndarray]:
        answer = transport.ask(self._transport, signature, inputs, timeout=self._timeout, retries=self._retries)
        rows = len(next(iter(inputs.values())))
        if any(name not in answer or answer[name].shape[:1] != (rows,) for name in outputs):
            raise RequestError(f"{self._address}: its {signature} does not answer as a model of this project does")
        return answer

    def _check_known(self, answer: Mapping[str, np.ndarray], *words: str) -> None:
        if not answer["known"][0]:
            missing = [word for word in dict.fromkeys(words) if len(words) == 1 or word not in self]
            raise KeyError(f"unknown to the model: {', '.join(missing)}")


def _pairs(words: np.ndarray, scores: np.ndarray) -> list[tuple[str, float]]:
    pairs = zip(words[0], scores[0], strict=True)
    return [(str(word), float(score)) for word, score in pairs if word]


def _text(word: str) -> str:
    """A text as both interfaces carry it: without halves of surrogate pairs, which are no letters."""
    if not isinstance(word, str):
        raise TypeError(f"expected a text, got {word!r:.80}")
    return word.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")


def _texts(words: Iterable[str], what: str) -> list[str]:
    if isinstance(words, str | bytes):
        raise TypeError(f"{what}: expected a list of texts, got one, {words!r:.80}. Put it in a list: [{words!r:.80}]")
    return [_text(word) for word in words]


def _k(topn: int) -> int:
    """How many neighbours, as the signatures take it; they give no more than there are."""
    return max(0, min(operator.index(topn), _LARGEST_K))


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return command_line.run(lambda: _run(_parser().parse_args(arguments)))


def _run(options: argparse.Namespace) -> None:
    try:
        with Embeddings(
            options.server, model=options.name, version=options.version, timeout=options.timeout, tls=options.tls
        ) as embeddings:
            for line in options.answer(embeddings, options):
                print(escaped(line))
    except KeyError as error:
        raise UserError(str(error.args[0])) from None
    except RequestError as error:
        raise UserError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.client", description="Asks a served model.")
    parser.add_argument(
        "--server", default="http://localhost:8501", help="http(s)://host:port, or host:port for gRPC (%(default)s)"
    )
    parser.add_argument(
        "--name", type=command_line.model_name, default="word2vec", help="the model's name (%(default)s)"
    )
    parser.add_argument("--version", type=command_line.VERSION, help="the model's version; by default the newest")
    parser.add_argument(
        "--timeout", type=command_line.seconds(0.001, 86400), default=10.0, metavar="SECONDS",
        help="time for a request (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--tls",
        nargs="?",
        const=True,
        default=False,
        metavar="PEM",
        help="encrypt; PEM: a file with the certificates to trust",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, answer, words, meaning in _COMMANDS:
        command = commands.add_parser(name, help=meaning, description=meaning)
        command.set_defaults(answer=answer)
        for word in words:
            command.add_argument(word)
        if answer in (_similar, _analogy):
            topn = argument_types.whole(1, 1000)
            command.add_argument("--topn", type=topn, default=10, help="how many answers, at most 1000 (%(default)s)")
    return parser


def _similar(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    yield from (f"{score:.3f}  {word}" for word, score in embeddings.most_similar(options.word, options.topn))


def _analogy(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    answers = embeddings.analogy(options.a, options.b, options.c, options.topn)
    yield from (f"{score:.3f}  {word}" for word, score in answers)


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
