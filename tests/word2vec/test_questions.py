from __future__ import annotations

import tensorflow as tf

from word2vec import questions


def test_as_an_example():
    (features,) = (
        tf.io.parse_example([questions.Question("b", "s", ("tea", "coffee"), 7.5).serialize()], questions.features()),
    )
    assert features[questions.WORDS].numpy().tolist() == [[b"tea", b"coffee", b"", b""]]
    assert (features[questions.KIND].numpy()[0], features[questions.SCORE].numpy()[0]) == (b"similarity", 7.5)
