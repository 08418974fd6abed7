"""Checkpoints that are damaged, and processes that are killed at each instant in which files change."""

from __future__ import annotations

import itertools
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from word2vec.training import checkpoints
from word2vec.training.checkpoints import Checkpoints

VALUES = np.arange(400, dtype=np.float32).reshape(100, 4)


def make(folder, **how):
    """Checkpoints of a table whose values are those of its step."""
    table = tf.Variable(VALUES * 0)
    made = Checkpoints(str(folder), **how)
    made.track({"target": table, "steps": tf.Variable(0, dtype=tf.int64)})
    return made, table


def save(folder, *steps):
    made, table = make(folder)
    for step in steps:
        table.assign(VALUES * step)
        made.save(step)
    return made


def restored(folder):
    """The step whose values are taken over, None for none."""
    made, table = make(folder)
    if not made.restore():
        assert not table.numpy().any()
        return None
    step = table.numpy()[0, 1]
    np.testing.assert_array_equal(table.numpy(), VALUES * step)
    return int(step)


def test_the_last_two_are_kept_and_the_newest_is_taken(tmp_path, notes):
    assert restored(tmp_path) is None
    made = save(tmp_path, 9, 10, 11, 100, 100)
    assert made.steps() == [11, 100]
    assert sorted(os.listdir(tmp_path)) == ["step-100", "step-11"]
    assert restored(tmp_path) == 100
    assert not notes


def flip(path, place=0.5):
    content = bytearray(path.read_bytes())
    content[min(int(len(content) * place), len(content) - 1)] ^= 4
    path.write_bytes(content)


DAMAGES = {
    "a bit flipped": flip,
    "a bit flipped at the beginning": lambda path: flip(path, 0),
    "a bit flipped at the end": lambda path: flip(path, 1),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "emptied": lambda path: os.truncate(path, 0),
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("part", ["ckpt.index", "ckpt.data-00000-of-00001", "manifest.json"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_one_gives_way_to_the_one_before_and_that_to_a_new_start(tmp_path, notes, part, damage):
    save(tmp_path, 1, 2)
    damage(tmp_path / "step-2" / part)
    assert restored(tmp_path) == 1
    (note,) = notes
    assert note.startswith(f"{tmp_path}/step-2: the training's checkpoint is damaged (")
    assert note.endswith("and is removed; it goes on from step 1")
    assert os.listdir(tmp_path) == ["step-1"]
    damage(tmp_path / "step-1" / part)
    assert restored(tmp_path) is None
    assert notes[1].endswith("it starts afresh")
    assert not os.listdir(tmp_path)
    assert len(notes) == 2
    save(tmp_path, 3)
    assert restored(tmp_path) == 3


@pytest.mark.parametrize("name", ["step-2", "checkpoint", "step-x", "step-3.new", "step-3.removed"])
def test_files_that_are_no_checkpoints(tmp_path, notes, name):
    save(tmp_path, 1)
    (tmp_path / name).write_text("\0garbage")
    assert restored(tmp_path) == 1
    assert len(notes) == (name == "step-2")


def test_every_flipped_byte_is_found(tmp_path):
    save(tmp_path, 1)
    folder = tmp_path / "step-1"
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for place in range(0, len(whole), 1 if path.suffix == ".index" else 13):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
            assert checkpoints.damage(str(folder)), (path, place)
        path.write_bytes(whole)
    assert checkpoints.damage(str(folder)) is None


CHANGES = ("rename", "rmtree", "remove", "copy", "makedirs", "mkdir")


def killed_at(instant, work):
    """Does a piece of work in a forked process that dies before, or in the midst of, its n-th change of files.

    Whether it died.
    """
    child = os.fork()
    if child:
        status = os.WEXITSTATUS(os.waitpid(child, 0)[1])
        assert status in (0, 9)
        return status == 9
    counter = itertools.count()

    def dying(change):
        def changed(path, *rest, **how):
            if next(counter) == instant:
                os._exit(9)
            if change == "rmtree":  # not at once, either
                for name in sorted(os.listdir(path)):
                    if next(counter) == instant:
                        os._exit(9)
                    below = os.path.join(path, name)
                    shutil.rmtree(below) if os.path.isdir(below) else os.unlink(below)
            result = originals[change](path, *rest, **how)
            if next(counter) == instant:
                os._exit(9)
            return result

        return changed

    originals = {change: getattr(tf.io.gfile, change) for change in CHANGES}
    for change in CHANGES:
        setattr(tf.io.gfile, change, dying(change))
    write = tf.train.Checkpoint.write
    tf.train.Checkpoint.write = lambda self, path: (dying_write(path), write(self, path), dying_write(path))

    def dying_write(path):
        if next(counter) == instant:  # as TensorFlow leaves it
            os.makedirs(f"{path}_temp", exist_ok=True)
            with open(f"{path}_temp/part-00000-of-00001.data", "wb") as file:
                file.write(b"half")
            os._exit(9)

    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def test_killed_at_any_instant_of_a_save(tmp_path, notes):
    instants = 0
    for instant in itertools.count():
        folder = tmp_path / str(instant)
        save(folder, 1, 2)
        made, table = make(folder)
        table.assign(VALUES * 3)
        if not killed_at(instant, lambda made=made: made.save(3)):
            break
        instants += 1
        assert restored(folder) in (2, 3)
        assert all(name in ("step-1", "step-2", "step-3") for name in os.listdir(folder))
    assert instants > 6
    assert restored(tmp_path / str(instants)) == 3
    assert not notes


def test_killed_at_any_instant_of_the_removal(tmp_path, notes):
    instants = 0
    for instant in itertools.count():
        folder = tmp_path / str(instant) / "training"
        save(folder, 1, 2)
        if not killed_at(instant, lambda folder=folder: checkpoints.remove(str(folder))):
            break
        instants += 1
        checkpoints.sweep(str(folder.parent))
        assert restored(folder) in (2, None)
        assert not folder.exists() or sorted(os.listdir(folder)) == ["step-1", "step-2"]
        assert os.listdir(folder.parent) in ([], ["training"])
    assert instants > 3
    assert not os.listdir(tmp_path / str(instants))
    assert not notes


def test_workers_take_what_the_chief_takes(tmp_path, notes):
    """Though they see the damaged one too, and look before the chief has removed it."""
    save(tmp_path, 1, 2)
    flip(tmp_path / "step-2" / "ckpt.data-00000-of-00001")
    asked = []
    worker, table = make(tmp_path, writes=False, agree=lambda step: asked.append(step) or 1)
    assert worker.restore()
    np.testing.assert_array_equal(table.numpy(), VALUES)
    assert asked == [-1]
    assert os.path.exists(tmp_path / "step-2")
    assert not notes
