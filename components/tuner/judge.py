"""What a trial's vectors are worth: the gate's scores, of the questions by which the gate does not judge."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (the ops of the served model)

from components.evaluator import metrics, statistics
from components.evaluator.statistics import Answers
from word2vec import progress, questions, vocabulary
from word2vec.errors import UserError
from word2vec.served_words import graph
from word2vec.serving_model import ServingModel
from word2vec.subwords import Buckets

# tf.Examples that are answered at a time.
_AT_A_TIME = 32


class Judge:
    """Asks vectors the questions, as the Evaluator asks the served model, but without writing one.

    Args:
        examples: the questions, as `questions.serialize` makes them.
        vocabulary_path: the words' file.
        phrase_paths: the phrases' files, a pass after the other.
        weights: how much each benchmark counts; those that are not named count 1.
        min_coverage: a benchmark of which less is covered is left out.
        composed_words: whether words are judged whose vectors are made of their n-grams.

    Raises:
        UserError: no benchmark can be judged.
    """

    def __init__(
        self,
        examples: Sequence[bytes],
        vocabulary_path: str,
        phrase_paths: Sequence[str] = (),
        *,
        weights: Mapping[str, float],
        min_coverage: float,
        composed_words: bool = False,
    ):
        self._paths = vocabulary_path, tuple(phrase_paths)
        self._weights, self._min_coverage, self._composed_words = weights, min_coverage, composed_words
        self._asked = [each for each in map(_Asked, examples) if weights.get(each.benchmark, 1)]
        if not composed_words:  # else it depends on the vectors, how many are covered
            self._check()

    def __call__(self, vectors: np.ndarray, buckets: Buckets | None = None) -> float:
        """The weighted mean of the benchmarks' scores, from -1 to 1.

        Args:
            vectors: the words', float32 [V, D].
            buckets: the rows of the n-grams, if there are any.

        Raises:
            UserError: no benchmark can be judged.
        """
        scores = {name: score for name, score in self.scores(vectors, buckets).items() if score is not None}
        if not scores:
            raise self._nothing()
        weights = [self._weights.get(name, 1.0) for name in scores]
        return float(np.average(list(scores.values()), weights=weights))

    def scores(self, vectors: np.ndarray, buckets: Buckets | None = None) -> dict[str, float | None]:
        """Of each benchmark; None of one that cannot be judged. See `__call__`."""
        served = ServingModel(vectors, *self._paths, buckets)
        ask = served.evaluate
        if self._composed_words and served.composes:
            ask = graph(served.evaluate_composed, input_signature=[tf.TensorSpec([None], tf.string)])
        values = []
        for start in range(0, len(self._asked), _AT_A_TIME):
            some = self._asked[start : start + _AT_A_TIME]
            answers = ask(tf.constant([each.example for each in some]))["answers"].numpy()
            values += [of_one[: len(each.labels)] for each, of_one in zip(some, answers, strict=True)]
        del ask, served
        gc.collect()  # the model is in cycles, and holds a copy of the vectors
        return {name: self._score(answers) for name, answers in self._by_benchmark(values).items()}

    def _by_benchmark(self, values: Sequence[np.ndarray]) -> dict[str, Answers]:
        """From the answers to each tf.Example, float [q, 3 or more]."""
        found: dict[str, Answers] = {}
        for name in dict.fromkeys(each.benchmark for each in self._asked):
            pairs = [(each, of_one) for each, of_one in zip(self._asked, values, strict=True) if each.benchmark == name]
            found[name] = Answers(
                np.concatenate([np.full(len(each.labels), each.is_analogy) for each, _ in pairs]),
                np.concatenate([each.labels for each, _ in pairs]).astype(np.float64),
                np.concatenate([of_one[:, : len(questions.ANSWERS)] for _, of_one in pairs]).astype(np.float64),
            )
        return found

    def _score(self, answers: Answers) -> float | None:
        if not self._can_judge(answers.kind, answers.coverage, answers.labels[answers.covered]):
            return None
        measure = statistics.MEASURES[metrics.MAIN[answers.kind]]
        score = float(measure(answers.take(answers.covered)))
        return 0.0 if np.isnan(score) else score  # one answer to all pairs says as little as chance

    def _can_judge(self, kind: str, coverage: float, labels: np.ndarray) -> bool:
        """Whether the questions are enough; `labels` are people's scores of the covered ones."""
        if not coverage >= self._min_coverage or not len(labels):
            return False
        return kind == questions.ANALOGY or (len(labels) >= questions.FEWEST_PAIRS and len(np.unique(labels)) > 1)

    def _check(self) -> None:
        """Looks before the first training what can be judged, and says what can't."""
        path, phrase_paths = self._paths
        served = ServingModel(np.ones((len(vocabulary.read(path)), 1), np.float32), path, phrase_paths)
        known = [
            served.lookup(tf.constant(each.words.ravel())).numpy().reshape(each.words.shape) for each in self._asked
        ]
        there = [(ids >= 0) | (each.words == "") for ids, each in zip(known, self._asked, strict=True)]
        nothing = np.full(len(questions.ANSWERS), np.nan)
        values = [np.where(of_one.all(1, keepdims=True), 0.0, nothing) for of_one in there]
        by_benchmark = self._by_benchmark(values)
        left_out = [name for name, answers in by_benchmark.items() if self._score(answers) is None]
        if len(left_out) == len(by_benchmark):
            raise self._nothing()
        for name in left_out:
            progress.note(f"benchmark {name}: too little of the half that is for tuning can be judged: it is left out")

    def _nothing(self) -> UserError:
        names = ", ".join(dict.fromkeys(each.benchmark for each in self._asked)) or "those with a weight"
        return UserError(
            f"tuner.trials: no benchmark ({names}) can be judged by the half of its questions that is for tuning: too "
            "few have all their words in the vocabulary (evaluator.min_coverage). Give other benchmarks, or more text"
        )


class _Asked:
    """A tf.Example of questions, with what is known of them: `words`, object [q, 4], and people's scores, `labels`."""

    def __init__(self, example: bytes):
        features = tf.train.Example.FromString(example).features.feature
        self.example = example
        self.benchmark, kind = (
            features[key].bytes_list.value[0].decode() for key in (questions.BENCHMARK, questions.KIND)
        )
        self.is_analogy = kind == questions.ANALOGY
        self.labels = np.array(features[questions.SCORE].float_list.value)
        words = [word.decode() for word in features[questions.WORDS].bytes_list.value]
        self.words = np.array(words, object).reshape(-1, questions.WORDS_EACH)
