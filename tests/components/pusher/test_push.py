"""A push is whole or not there, once only, and the largest number, wherever the one before was killed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import threading

import pytest
import tensorflow as tf

from components.pusher import push, versions
from word2vec.errors import UserError

FILES = {
    "fingerprint.pb": b"the first",
    "saved_model.pb": b"graph",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": b"w" * 100,
    "assets.extra/model_card.json": b'{"created": "2025-12-31", "words": 1}',
    "assets.extra/model_card.md": b"# Words",
}


def make(folder, **changed):
    """Writes a model; returns its files as `push` takes them."""
    for name, content in {**FILES, **{name.replace("__", "."): one for name, one in changed.items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return push.files_of(str(folder))


def names(folder):
    return sorted(name.rstrip("/") for name in tf.io.gfile.listdir(str(folder)))


def kill_at(count, files, folder):
    """Pushes in a process that dies before its nth call of the file system; whether it died."""
    child = os.fork()
    if child == 0:
        calls = itertools.count()

        def dying(function):
            def call(*arguments, **options):
                if next(calls) == count:
                    os._exit(9)
                return function(*arguments, **options)

            return call

        for module, name in ((os, "rename"), (os, "fsync"), (tf.io.gfile, "copy"), (tf.io.gfile, "makedirs")):
            setattr(module, name, dying(getattr(module, name)))
        with contextlib.suppress(BaseException):
            push.push(files, str(folder))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_killed_at_any_instant_there_is_no_half_version_and_the_next_push_makes_one_whole_one(tmp_path, notes):
    files = make(tmp_path / "model")
    for count in itertools.count():
        folder = tmp_path / f"pushed-{count}"
        died = kill_at(count, files, folder)
        for name in versions.find(str(folder)).values() if folder.exists() else ():
            assert push.is_pushed(files, str(folder / name)), count
        version = push.push(files, str(folder))
        assert names(folder) == [version], count
        assert push.is_pushed(files, str(folder / version))
        if not died:
            break
    assert count > 2 * len(FILES)
    assert len(notes) == 2  # killed after the renaming, and not killed at all


def test_where_there_is_no_renaming_a_killed_push_is_never_taken_for_a_version(tmp_path, monkeypatch, notes):
    """In TensorFlow's file system of objects in memory."""
    files = make(tmp_path / "model")
    copy = tf.io.gfile.copy
    for count in range(len(FILES) + 1):
        folder, calls = f"ram://{tmp_path}/pushed-{count}", itertools.count()

        def dying(*arguments, limit=count, calls=calls, **options):
            if next(calls) == limit:
                raise KeyboardInterrupt
            copy(*arguments, **options)

        monkeypatch.setattr(tf.io.gfile, "copy", dying)
        with contextlib.suppress(KeyboardInterrupt):
            push.push(files, folder)
        died = count < len(FILES)
        assert versions.newest_other(folder, "another") == ("" if died else names(folder)[0]), count
        monkeypatch.setattr(tf.io.gfile, "copy", copy)
        version = push.push(files, folder)
        whole = [name for name in names(folder) if push.is_pushed(files, f"{folder}/{name}")]
        assert whole == [version]
        # What was begun can be told to be of this model from its first file on, and is gone.
        assert {name for name in names(folder) if push.files_of(f"{folder}/{name}")} == {version}


def test_the_same_model_is_pushed_once_and_another_card_or_model_again(tmp_path, notes):
    folder = str(tmp_path / "pushed")
    first = push.push(make(tmp_path / "a"), folder)
    assert push.push(make(tmp_path / "copy"), folder) == first
    later = {"assets.extra/model_card__json": b'{"created": "2026-01-01", "words": 1}'}
    assert push.push(make(tmp_path / "later", **later), folder) == first
    other_card = push.push(make(tmp_path / "b", **{"assets.extra/model_card__json": b'{"words": 2}'}), folder)
    other_model = push.push(make(tmp_path / "c", fingerprint__pb=b"the second"), folder)
    assert int(first) < int(other_card) < int(other_model)
    assert int(push.push(make(tmp_path / "a"), folder)) > int(other_model)  # an old one takes the place of the newest
    assert [note for note in notes if "already" in note] == [
        f"{folder}: the newest version, {first}, is this model already; not pushed again"
    ] * 2


@pytest.mark.parametrize("damage", ["removed", "emptied", "cut", "changed"])
def test_a_version_that_is_not_whole_any_more_is_pushed_again(tmp_path, damage, notes):
    files, folder = make(tmp_path / "a"), tmp_path / "pushed"
    first = push.push(files, str(folder))
    path = folder / first / "variables" / "variables.data-00000-of-00001"
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes({"emptied": b"", "cut": b"w" * 99, "changed": b"v" * 100}[damage])
    again = push.push(files, str(folder))
    assert int(again) > int(first)
    assert push.is_pushed(files, str(folder / again))


@pytest.mark.parametrize(
    ("there", "version"),
    [
        ([], 1000),
        (["999"], 1000),
        (["1000"], 1001),
        (["9999999999"], 10000000000),
        (["0009999999999"], 10000000000),
        (["9223372036854775806"], 9223372036854775807),
        (["9223372036854775808", "9" * 200, "٣٣٣٣٣٣", "backup", "12a", "-5000", "+5000"], 1000),
    ],
)
def test_a_version_is_above_all_that_are_there(tmp_path, monkeypatch, notes, there, version):
    monkeypatch.setattr(push.time, "time", lambda: 1000.5)
    for name in there:
        (tmp_path / "pushed" / name).mkdir(parents=True)
    assert push.push(make(tmp_path / "a"), str(tmp_path / "pushed")) == str(version)
    assert names(tmp_path / "pushed") == sorted([*there, str(version)])
    later = version > 1001
    assert [f"clock (1000); the model is pushed as {version}, for the largest number is served" in note
            for note in notes] == [True] * later  # fmt: skip


def test_no_number_is_left(tmp_path):
    (tmp_path / "pushed" / "9223372036854775807").mkdir(parents=True)
    with pytest.raises(UserError, match="9223372036854775807: the largest number that a version can have is taken"):
        push.push(make(tmp_path / "a"), str(tmp_path / "pushed"))
    assert names(tmp_path / "pushed") == ["9223372036854775807"]


def test_a_full_disk_leaves_nothing_and_is_one_error(tmp_path, monkeypatch):
    files = make(tmp_path / "a")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"pushed: the model could not be pushed: No space left on device. Free"):
        push.push(files, str(tmp_path / "pushed"))
    assert names(tmp_path / "pushed") == []


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "pushed").write_text("")
    with pytest.raises(UserError, match=r"pushed: the model could not be pushed: .*pusher.destination"):
        push.push(make(tmp_path / "a"), str(tmp_path / "pushed"))


def test_what_killed_pushes_left_is_removed_and_what_is_no_push_stays(tmp_path, notes):
    folder = tmp_path / "pushed"
    for name in (".pushing-0123", "7", "8", "notes"):
        (folder / name).mkdir(parents=True)
    (folder / "7" / "fingerprint.pb").write_bytes(FILES["fingerprint.pb"])  # of this model, begun in place
    (folder / "8" / "fingerprint.pb").write_bytes(b"another")  # somebody may be copying it
    version = push.push(make(tmp_path / "a"), str(folder))
    assert names(folder) == sorted(["8", "notes", version])


def test_two_pushes_to_one_folder_come_one_after_the_other(tmp_path, notes):
    folder = tmp_path / "pushed"
    (folder / ".pushing-0123").mkdir(parents=True)
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    files, done = make(tmp_path / "a"), []
    thread = threading.Thread(target=lambda: done.append(push.push(files, str(folder))))
    thread.start()
    thread.join(0.3)
    assert names(folder) == [".pushing-0123"]
    os.close(descriptor)
    thread.join(30)
    assert names(folder) == done
    assert notes == [f"{folder}: another run is pushing there; waiting for it"]


def test_without_locks_what_others_may_be_writing_stays(tmp_path, monkeypatch):
    for name in (".pushing-0123", ".pushing-4567"):
        (tmp_path / "pushed" / name).mkdir(parents=True)
    os.utime(tmp_path / "pushed" / ".pushing-4567", (0, 0))  # nobody writes a model for so long

    def unsupported(*_):
        raise OSError(errno.ENOTSUP, "")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    version = push.push(make(tmp_path / "a"), str(tmp_path / "pushed"))
    assert names(tmp_path / "pushed") == [".pushing-0123", version]
