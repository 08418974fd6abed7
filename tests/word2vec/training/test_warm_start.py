from __future__ import annotations

import numpy as np
import pytest

from word2vec import vocabulary
from word2vec.errors import UserError
from word2vec.training import checkpoints, model, samplers, warm_start


def make(words, dimensions=4, bias="expected_count"):
    counts = np.arange(len(words), 0, -1)
    made = model.SkipGram(
        len(words), dimensions, window=2, block_length=4, blocks_per_step=1, bias=bias,
        sampler=samplers.make("unigram", counts, 0.75),
    )  # fmt: skip
    return vocabulary.Vocabulary(words, counts), made


def export(folder, words, dimensions=4, bias="expected_count"):
    """An earlier run's artifact, as far as a warm start reads it."""
    _, made = make(words, dimensions, bias)
    for place, table in enumerate(made.tables):
        table.embeddings.assign(np.random.default_rng(place).normal(size=table.embeddings.shape))
    serving = folder / "Format-Serving"
    (serving / "assets").mkdir(parents=True)
    (serving / "assets" / vocabulary.ASSET).write_text("".join(f"9 {word}\n" for word in words))
    state = {table.name: table.embeddings.value for table in made.tables}
    checkpoint = checkpoints.Checkpoints(str(folder / "training"))
    checkpoint.track(state)
    checkpoint.save(1)
    checkpoints.copy(checkpoint.path(1), str(folder / warm_start.FOLDER))
    return str(serving), made


def test_kept_words_keep_their_vectors_new_ones_start_fresh_and_gone_ones_go(tmp_path):
    base, old = export(tmp_path, ["a", "b", "c"])
    words, made = make(["c", "new", "a"])
    fresh = made.target.embeddings.numpy()
    warm_start.load(base, words, made)
    target, context = made.target.embeddings.numpy(), made.context.embeddings.numpy()
    np.testing.assert_array_equal(target[[0, 2]], old.target.embeddings.numpy()[[2, 0]])
    np.testing.assert_array_equal(context[[0, 2]], old.context.embeddings.numpy()[[2, 0]])
    np.testing.assert_array_equal(target[1], fresh[1])
    np.testing.assert_array_equal(context[1], np.zeros(4))


@pytest.mark.parametrize(("before", "now"), [("learned", "expected_count"), ("expected_count", "learned")])
def test_a_bias_may_come_or_go(tmp_path, before, now):
    base, old = export(tmp_path, ["a", "b"], bias=before)
    words, made = make(["a", "b"], bias=now)
    warm_start.load(base, words, made)
    np.testing.assert_array_equal(made.target.embeddings.numpy(), old.target.embeddings.numpy())


def test_other_dimensions_are_refused(tmp_path):
    base, _ = export(tmp_path, ["a", "b"], dimensions=3)
    words, made = make(["a", "b"])
    with pytest.raises(UserError, match=r"trainer.dimensions = 4: the last blessed model.* has 3"):
        warm_start.load(base, words, made)


def test_a_model_without_a_checkpoint_is_refused(tmp_path):
    words, made = make(["a", "b"])
    with pytest.raises(UserError, match=r"no checkpoint beside this model.*trainer.warm_start=false"):
        warm_start.load(str(tmp_path / "Format-Serving"), words, made)


@pytest.mark.parametrize("damage", ["emptied", "cut", "changed", "gone"])
@pytest.mark.parametrize("part", ["index", "data"])
def test_a_damaged_checkpoint_is_one_error(tmp_path, part, damage):
    base, _ = export(tmp_path, ["a", "b"])
    (path,) = (tmp_path / warm_start.FOLDER).glob(f"*.{part}*")
    content = path.read_bytes()
    damaged = {"emptied": b"", "cut": content[:20], "changed": bytes(255 - byte for byte in content)}
    path.write_bytes(damaged.get(damage, b""))
    if damage == "gone":
        path.unlink()
    words, made = make(["a", "b"])
    with pytest.raises(UserError, match=r"trainer.warm_start=false"):
        warm_start.load(base, words, made)
