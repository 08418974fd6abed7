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

# As the served model has it; to import that from there would need TensorFlow.
MOST_NEIGHBOURS = 1000

# A word, a vector, either with its weight, or several of them.
Terms = str | np.ndarray | Sequence[str | np.ndarray | tuple[str | np.ndarray, float]]

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
        """Whether the model has a vector for a word, and be it made of the word's n-grams."""
        return bool(self._ask("serving_default", ("known",), words=[_text(word)])["answered"][0])

    def has_index_for(self, word: str) -> bool:
        """Whether a word is in the model's vocabulary."""
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
        if unknown == "raise" and not answer["answered"].all():
            missing = [word for word, there in zip(words, answer["answered"], strict=True) if not there]
            raise KeyError(f"unknown to the model: {', '.join(missing[:5])}{', ...' if missing[5:] else ''}")
        return answer["embeddings"]

    def most_similar(
        self,
        positive: Terms | None = None,
        negative: Terms | None = None,
        topn: int = 10,
        *,
        restrict_vocab: int | None = None,
    ) -> list[tuple[str, float]]:
        """The words nearest to the sum of some words or vectors less that of others, without these words.

        Args:
            positive: a word, a vector, float [D], or several. Of each (word or vector, weight) its weight counts.
            negative: likewise.
            topn: how many, at most 1,000.
            restrict_vocab: looks at so many of the most frequent words only.

        Returns:
            The words with their cosines, the nearest first.

        Raises:
            KeyError: a word is unknown.
            TypeError: there is something else than words and vectors, or `topn` is no whole number.
            ValueError: there is neither a word nor a vector, or a vector has other than finite numbers.
            RequestError: the server does not answer.
        """
        terms = [*_terms(positive, 1.0), *_terms(negative, -1.0)]
        if any(not isinstance(term, str) or abs(weight) != 1 for term, weight in terms):
            return self._nearest_to_vector(terms, topn, restrict_vocab)
        if len(terms) == 1 and terms[0][1] > 0 and not restrict_vocab:  # which models of earlier releases answer too
            answer = self._ask(
                "most_similar", ("neighbours", "scores", "known"), words=[_text(terms[0][0])], k=[_k(topn)]
            )
            self._check_known(answer, terms[0][0])
            return _pairs(answer["neighbours"], answer["scores"])
        return self._nearest("nearest", terms, topn, restrict_vocab)

    def most_similar_cosmul(
        self,
        positive: str | Sequence[str] | None = None,
        negative: str | Sequence[str] | None = None,
        topn: int = 10,
        restrict_vocab: int | None = None,
    ) -> list[tuple[str, float]]:
        """As `most_similar`, by 3CosMul (Levy and Goldberg 2014, equation 4), of words alone.

        Raises:
            KeyError: a word is unknown.
            TypeError: there is something else than words.
            ValueError: there is no positive word.
            RequestError: the server does not answer.
        """
        terms = [*_terms(positive, 1.0), *_terms(negative, -1.0)]
        if any(not isinstance(term, str) or abs(weight) != 1 for term, weight in terms):
            raise TypeError("most_similar_cosmul: expected words")
        if all(weight < 0 for _, weight in terms):
            raise ValueError("most_similar_cosmul: expected a positive word")
        return self._nearest("nearest_cosmul", terms, topn, restrict_vocab)

    def similar_by_word(self, word: str, topn: int = 10, restrict_vocab: int | None = None) -> list[tuple[str, float]]:
        """`most_similar` of one word."""
        return self.most_similar([word], topn=topn, restrict_vocab=restrict_vocab)

    def similar_by_vector(
        self, vector: np.ndarray, topn: int = 10, restrict_vocab: int | None = None
    ) -> list[tuple[str, float]]:
        """`most_similar` of one vector."""
        return self.most_similar([vector], topn=topn, restrict_vocab=restrict_vocab)

    def doesnt_match(self, words: Sequence[str]) -> str:
        """The word that is the farthest from the mean of the others; unknown words are left out.

        Raises:
            ValueError: there is no word, or all are unknown.
            RequestError: the server does not answer.
        """
        words = _texts(words, "words")
        answer = self._ask("doesnt_match", ("word", "known"), words=[_listed(words, strict=False)])
        if not answer["answered"][0]:
            raise ValueError(f"doesnt_match: no word that the model knows among {', '.join(words) or 'none'}")
        return next(word for word in words if _joined(word) == str(answer["word"][0]))

    def n_similarity(self, words1: Sequence[str], words2: Sequence[str]) -> float:
        """The cosine of the means of two lists' vectors; unknown words are left out.

        Raises:
            ValueError: of a list no word is known.
            RequestError: the server does not answer.
        """
        lists = {"words1": words1, "words2": words2}
        texts = {name: [_listed(_texts(words, name), strict=False)] for name, words in lists.items()}
        answer = self._ask("n_similarity", ("cosine", "known"), **texts)
        if not answer["answered"][0]:
            raise ValueError("n_similarity: one of the lists has no word that the model knows")
        return float(answer["cosine"][0])

    def rank(self, word1: str, word2: str) -> int:
        """Which neighbour of the first word the second is: 1 for the nearest.

        Raises:
            KeyError: one is unknown.
            RequestError: the server does not answer.
        """
        answer = self._ask("rank", ("rank", "known"), word1=[_text(word1)], word2=[_text(word2)])
        self._check_known(answer, word1, word2)
        return int(answer["rank"][0])

    def closer_than(self, word1: str, word2: str) -> list[str]:
        """The words that are closer to the first word than the second is, the closest first.

        Raises:
            KeyError: one is unknown.
            ValueError: they are more than the 1,000 that a server tells.
            RequestError: the server does not answer.
        """
        closer = self.rank(word1, word2) - 1
        if closer > MOST_NEIGHBOURS:
            raise ValueError(f"closer_than: {closer:,} words are closer, more than the {MOST_NEIGHBOURS:,} one gets")
        return [word for word, _ in self.most_similar([word1], topn=closer)]

    def distance(self, word1: str, word2: str) -> float:
        """1 less the cosine of two words; raises as `similarity` does."""
        return 1 - self.similarity(word1, word2)

    def distances(self, word: str, others: Sequence[str]) -> np.ndarray:
        """1 less the cosines of a word with others: float32 [n].

        Raises:
            KeyError: one is unknown.
            TypeError: `others` is one text, or has something else than texts.
            RequestError: the server does not answer.
        """
        others = _texts(others, "others")
        answer = self._ask("similarity", ("cosine", "known"), word1=[_text(word)] * len(others), word2=others)
        if not answer["answered"].all():
            self.vectors([word, *others])  # says which
        return 1 - answer["cosine"]

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

    def embed_texts(self, texts: Iterable[str], *, sif: bool = False) -> np.ndarray:
        """Texts as the frequency-weighted means of their words' vectors: float32 [n, D], zeros without a known word.

        Args:
            texts: n of them.
            sif: whether what the corpus' texts have in common is taken off.

        Raises:
            TypeError: `texts` is one text, or has something else than texts.
            RequestError: the server does not answer.
        """
        signature = "embed_text_sif" if sif else "embed_text"
        return self._ask(signature, ("embeddings",), texts=_texts(texts, "texts"))["embeddings"]

    def _nearest(
        self, signature: str, terms: list[tuple[Any, float]], topn: int, restrict_vocab: int | None
    ) -> list[tuple[str, float]]:
        """Of words alone."""
        if not terms:
            raise ValueError("expected a word or a vector")
        sides = {
            name: [_listed([_text(word) for word, weight in terms if weight == sign])]
            for name, sign in (("positive", 1), ("negative", -1))
        }
        numbers = {"k": [_k(topn)], "restrict_vocab": [_k(restrict_vocab or 0)]}
        answer = self._ask(signature, ("neighbours", "scores", "known"), **sides, **numbers)
        self._check_known(answer, *(word for word, _ in terms))
        return _pairs(answer["neighbours"], answer["scores"])

    def _nearest_to_vector(
        self, terms: list[tuple[Any, float]], topn: int, restrict_vocab: int | None
    ) -> list[tuple[str, float]]:
        """Of words and vectors: words count at length 1, and vectors as they are."""
        words = [word for word, _ in terms if isinstance(word, str)]
        rows = iter(self.vectors(words)) if words else iter(())
        total: Any = 0
        for term, weight in terms:
            vector = next(rows) if isinstance(term, str) else np.asarray(term, np.float64)
            if vector.ndim != 1 or not (np.isfinite(vector).all() and np.isfinite(weight)):
                raise ValueError("expected vectors of finite numbers, and finite weights")
            if np.ndim(total) and vector.shape != total.shape:
                raise ValueError(f"expected vectors of one length, not of {len(total)} and {len(vector)} numbers")
            total = total + weight * (vector / np.linalg.norm(vector) if isinstance(term, str) else vector)
        largest = np.abs(total).max(initial=0)
        answer = self._ask(
            "nearest_to_vector",
            ("neighbours", "scores", "known"),
            vectors=(total / largest if largest else total)[np.newaxis].astype(np.float32),
            without=[_listed([_text(word) for word in words])],
            k=[_k(topn)],
            restrict_vocab=[_k(restrict_vocab or 0)],
        )
        return _pairs(answer["neighbours"], answer["scores"])

    def _ask(self, signature: str, outputs: tuple[str, ...], **inputs: Sequence[Any]) -> dict[str, np.ndarray]:
        """Asks for some rows at a time.

        With `known` comes `answered`, which also holds for words whose vectors are made of their n-grams. Of no rows,
        it asks for one and leaves it out: JSON cannot say how wide an empty table is.
        """
        count = len(next(iter(inputs.values())))
        rows = inputs if count else {name: [""] for name in inputs}
        answers = [
            self._ask_batch(signature, outputs, {name: values[at : at + BATCH] for name, values in rows.items()})
            for at in range(0, max(count, 1), BATCH)
        ]
        joined = {name: np.concatenate([answer[name] for answer in answers])[:count] for name in outputs}
        if "known" in outputs and all("composed" in answer for answer in answers):
            composed = np.concatenate([answer["composed"] for answer in answers])[:count]
            return {**joined, "answered": joined["known"] | composed}
        return {**joined, "answered": joined["known"]} if "known" in outputs else joined

    def _ask_batch(
        self, signature: str, outputs: tuple[str, ...], inputs: Mapping[str, Sequence[Any]]
    ) -> dict[str, np.ndarray]:
        answer = transport.ask(self._transport, signature, inputs, timeout=self._timeout, retries=self._retries)
        rows = len(next(iter(inputs.values())))
        if any(name not in answer or answer[name].shape[:1] != (rows,) for name in outputs):
            raise RequestError(f"{self._address}: its {signature} does not answer as a model of this project does")
        return answer

    def _check_known(self, answer: Mapping[str, np.ndarray], *words: str) -> None:
        if not answer["answered"][0]:
            words = tuple(dict.fromkeys(words))
            there = self._ask("serving_default", ("known",), words=[_text(word) for word in words])["answered"]
            missing = [word for word, has in zip(words, there, strict=True) if len(words) == 1 or not has]
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


def _terms(terms: Terms | None, sign: float) -> list[tuple[Any, float]]:
    """Words and vectors with their weights, of which the sign is that of their side where none is given."""
    if isinstance(terms, str) or (isinstance(terms, np.ndarray) and terms.ndim == 1):
        terms = [terms]
    found: list[tuple[Any, float]] = []
    for term in () if terms is None else terms:
        if isinstance(term, str | np.ndarray):
            found.append((term, sign))
        elif isinstance(term, tuple) and len(term) == 2 and isinstance(term[0], str | np.ndarray):
            found.append((term[0], float(term[1])))
        else:
            raise TypeError(f"expected words and vectors, got {term!r:.80}")
    return found


def _listed(words: Sequence[str], *, strict: bool = True) -> str:
    """Words with blanks between them, as the signatures take several; those of phrases are joined (`new_york`).

    Raises:
        KeyError: one is empty, so that no model knows it; else such words are left out.
    """
    joined = [_joined(word) for word in words]
    if strict and not all(joined):
        raise KeyError("unknown to the model: a word of nothing but blanks")
    return " ".join(word for word in joined if word)


def _joined(word: str) -> str:
    return "_".join(word.split())


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
    except (RequestError, ValueError) as error:
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
            command.add_argument(word, nargs="+" if word in ("words", "others") else None)
        if answer in (_similar, _analogy):
            topn = argument_types.whole(1, MOST_NEIGHBOURS)
            command.add_argument("--topn", type=topn, default=10, help="how many answers, at most 1000 (%(default)s)")
        if answer is _similar:
            command.add_argument("--minus", nargs="+", default=[], metavar="WORD", help="words to be taken off")
            command.add_argument("--cosmul", action="store_true", help="by 3CosMul")
            command.add_argument(
                "--restrict-vocab", type=argument_types.whole(1, _LARGEST_K), metavar="N",
                help="look at the N most frequent words only",
            )  # fmt: skip
    return parser


def _similar(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    ask = embeddings.most_similar_cosmul if options.cosmul else embeddings.most_similar
    answers = ask(options.words, options.minus, options.topn, restrict_vocab=options.restrict_vocab)
    yield from (f"{score:.3f}  {word}" for word, score in answers)


def _analogy(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    answers = embeddings.analogy(options.a, options.b, options.c, options.topn)
    yield from (f"{score:.3f}  {word}" for word, score in answers)


def _similarity(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    yield f"{embeddings.similarity(options.word1, options.word2):.3f}"


def _doesnt_match(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    yield embeddings.doesnt_match(options.words)


def _n_similarity(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    yield f"{embeddings.n_similarity(options.text1.split(), options.text2.split()):.3f}"


def _rank(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    yield f"{embeddings.rank(options.word1, options.word2)}"


def _closer_than(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    yield from embeddings.closer_than(options.word1, options.word2)


def _distances(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    found = embeddings.distances(options.word, options.others)
    yield from (f"{distance:.3f}  {word}" for word, distance in zip(options.others, found, strict=True))


def _vector(embeddings: Embeddings, options: argparse.Namespace) -> Iterator[str]:
    yield " ".join(f"{value:.6g}" for value in embeddings[options.word])


_COMMANDS = (
    ("similar", _similar, ["words"], "the words nearest to a word, or to the sum of several"),
    ("analogy", _analogy, ["a", "b", "c"], "what is to c as b is to a"),
    ("similarity", _similarity, ["word1", "word2"], "the cosine of two words"),
    ("distances", _distances, ["word", "others"], "1 less the cosines of a word with others"),
    ("n-similarity", _n_similarity, ["text1", "text2"], "the cosine of the means of two texts' words"),
    ("doesnt-match", _doesnt_match, ["words"], "the word that fits the others least"),
    ("rank", _rank, ["word1", "word2"], "which neighbour of the first word the second is"),
    ("closer-than", _closer_than, ["word1", "word2"], "the words that are closer to the first word than the second"),
    ("vector", _vector, ["word"], "a word's vector"),
)


if __name__ == "__main__":
    sys.exit(main())
