from __future__ import annotations

import os
import pathlib
import socket

import pytest
from apache_beam.io import localfilesystem
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems

from components import files
from word2vec.errors import UserError


def make(folder: pathlib.Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")


def found(folder: pathlib.Path, *paths: str) -> list[str]:
    """The files that paths within a folder lead to, as seen from there."""
    return [os.path.relpath(file.path, folder) for file in files.find([str(folder / path) for path in paths])]


def test_hidden_names_are_left_alone_at_any_depth(tmp_path):
    hidden = [
        ".git/a.txt",
        "_temporary/0/a.txt",
        "s/.ipynb_checkpoints/a.txt",
        "s/t/_u/v/w.txt",
        ".a.txt",
        "s/_SUCCESS",
    ]
    make(tmp_path, "a.txt", "s/b.txt", "s/t/c.txt", *hidden)
    assert found(tmp_path, "") == ["a.txt", "s/b.txt", "s/t/c.txt"]
    assert found(tmp_path, "**.txt") == ["a.txt", "s/b.txt", "s/t/c.txt"]
    assert found(tmp_path, "*/*.txt") == ["s/b.txt"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".cache", [".cache/a.txt"]),
        (".cache/_b.txt", [".cache/_b.txt"]),
        (".cache/*.txt", [".cache/a.txt"]),
        (".cache/_*.txt", [".cache/_b.txt"]),
        (".c*/*.txt", [".cache/a.txt"]),
        ("*/*.txt", ["sub/c.txt"]),
        ("*/_*", []),
        ("**/a.txt", []),
    ],
)
def test_a_hidden_name_that_is_asked_for_is_read(tmp_path, path, expected):
    make(tmp_path, ".cache/a.txt", ".cache/_b.txt", "sub/c.txt")
    if expected:
        assert found(tmp_path, path) == expected
    else:
        with pytest.raises(UserError, match="no file matches"):
            found(tmp_path, path)


def test_below_a_hidden_folder_everything_is_read(tmp_path):
    make(tmp_path, ".data/in/a.txt")
    assert found(tmp_path / ".data", "in", "*/a.txt") == ["in/a.txt"]


@pytest.mark.parametrize("name", ["reviews [2024].txt", "a[!x].txt", "what?.txt", "a*b.txt", "[a].txt", "a**.txt"])
def test_a_name_that_exists_is_no_glob(tmp_path, name):
    make(tmp_path, name, "reviews 2.txt", "whatX.txt", "aXb.txt", "a.txt", "ay.txt")
    assert found(tmp_path, name) == [name]
    make(tmp_path, f"f/{name}/a.txt")
    assert found(tmp_path, f"f/{name}") == found(tmp_path, f"f/{name}/") == [f"f/{name}/a.txt"]


def test_globs(tmp_path):
    make(tmp_path, "a1.txt", "a2.txt", "b1.txt", "s/a3.txt", "s/t/a4.txt")
    assert found(tmp_path, "a*.txt") == ["a1.txt", "a2.txt"]
    assert found(tmp_path, "[ab]1.txt") == ["a1.txt", "b1.txt"]
    assert found(tmp_path, "?1.txt", "a1.txt") == ["a1.txt", "b1.txt"]
    assert found(tmp_path, "**a[34].txt") == ["s/a3.txt", "s/t/a4.txt"]
    assert found(tmp_path, "s/*/*.txt") == ["s/t/a4.txt"]
    assert found(tmp_path, "s*") == ["s/a3.txt", "s/t/a4.txt"]  # a folder, as the shell would hand it over


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("?.txt", ["a.txt", "b.txt", "c.txt"]),
        ("[ab].txt", ["a.txt", "b.txt"]),
        ("[!ab].txt", ["c.txt"]),
        ("[a-b].tx[t]", ["a.txt", "b.txt"]),
        ("[]].txt", ["].txt"]),
        ("[[]?.txt", ["[x.txt"]),
        ("[*].txt", ["*.txt"]),
        ("?/*.txt", ["s/a.txt"]),
        ("s**a.txt", ["s/a.txt", "s/t/a.txt"]),
        ("[b-a].txt", []),
        ("[a-.txt?", []),
        ("(a|b)*.txt", []),
    ],
)
def test_what_a_glob_means(tmp_path, pattern, expected):
    names = ["a.txt", "b.txt", "c.txt", "s/a.txt", "s/t/a.txt"]
    make(tmp_path, *names, *({*expected} - {*names}))
    if expected:
        assert found(tmp_path, pattern) == expected
    else:
        with pytest.raises(UserError, match="no file matches"):
            found(tmp_path, pattern)


def test_links_to_folders_are_followed_and_circles_end(tmp_path):
    make(tmp_path, "in/a.txt", "store/b.txt", "store/deep/c.txt")
    (tmp_path / "in/more").symlink_to(tmp_path / "store")
    (tmp_path / "store/back").symlink_to(tmp_path / "in")
    (tmp_path / "store/deep/self").symlink_to(".")
    assert found(tmp_path, "in") == ["in/a.txt", "in/more/b.txt", "in/more/deep/c.txt"]
    assert found(tmp_path, "in/*/*.txt") == ["in/more/b.txt"]
    assert found(tmp_path, "in/**.txt") == ["in/a.txt", "in/more/b.txt", "in/more/deep/c.txt"]
    (tmp_path / "way").symlink_to("in")
    assert found(tmp_path, "way/a.txt") == ["way/a.txt"]


def test_many_links_to_each_other_end_soon(tmp_path):
    make(tmp_path, *(f"f{number}/a.txt" for number in range(12)))
    for number in range(12):
        for other in range(12):
            (tmp_path / f"f{number}/to{other}").symlink_to(tmp_path / f"f{other}")
    assert found(tmp_path, "") == sorted(f"f{number}/a.txt" for number in range(12))


def test_a_file_with_several_names_is_read_once_under_its_own(tmp_path):
    make(tmp_path, "2024/a.txt")
    (tmp_path / "0-latest").symlink_to("2024")
    (tmp_path / "2024/copy.txt").symlink_to("a.txt")
    assert found(tmp_path, "") == found(tmp_path, "0-latest", "2024", "*/*.txt") == ["2024/a.txt"]


@pytest.mark.parametrize("kind", ["dangling", "to itself", "FIFO"])
def test_what_is_named_but_is_no_file(tmp_path, kind):
    path = tmp_path / "a.txt"
    if kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("gone.txt" if kind == "dangling" else "a.txt")
    line = {
        "dangling": "a.txt is a link that leads nowhere",
        "to itself": "Too many levels",
        "FIFO": "no file that can",
    }
    with pytest.raises(UserError, match=rf"corpus .*a.txt: cannot be listed: .*{line[kind]}"):
        files.find([str(path)])


def test_in_a_folder_a_link_that_leads_nowhere_is_named_and_sockets_are_left_alone(tmp_path):
    make(tmp_path, "b.txt")
    os.mkfifo(tmp_path / "c.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "d.txt"))
    assert found(tmp_path, "") == ["b.txt"]
    (tmp_path / "a.txt").symlink_to("gone.txt")
    with pytest.raises(UserError, match=r"a.txt is a link that leads nowhere"):
        files.find([str(tmp_path)])


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=rf"corpus {tmp_path}: cannot be listed: {tmp_path}: Permission denied"):
        files.find([str(tmp_path)])


def test_uris_of_files(tmp_path):
    make(tmp_path, "a b%.txt")
    uri = (tmp_path / "a b%.txt").as_uri()
    assert "%20" in uri
    assert [file.path for file in files.find([uri])] == [str(tmp_path / "a b%.txt")]
    with pytest.raises(UserError, match=r"nothing://a.txt: cannot be listed: .*filesystem"):
        files.find(["nothing://a.txt"])


def test_a_tilde_is_the_home_folder_but_for_a_name_that_exists(tmp_path, monkeypatch):
    make(tmp_path, "home/a.txt", "~/b.txt")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home")
    assert [file.path for file in files.find(["~/a.txt"])] == [str(tmp_path / "home/a.txt")]
    monkeypatch.chdir(tmp_path)
    assert [file.path for file in files.find(["~/b.txt"])] == [str(tmp_path / "~/b.txt")]


class Remote(localfilesystem.LocalFileSystem):
    """A store without folders, in which every name is a file's: `far://` and a path."""

    names = (
        *("far://b/in/a.txt", "far://b/in/_b.txt", "far://b/in/.c/d.txt", "far://b/in/s/e.txt", "far://b/in/s/"),
        *("far://b/[x]/f.txt", "far://b/[x]/x [1].txt", "far://b/_y/g.txt"),
    )

    @classmethod
    def scheme(cls):
        return "far"

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        return (FileMetadata(name, 7, 1.0) for name in self.names if name.startswith(dir_or_prefix))

    def exists(self, path):
        return path in self.names

    def metadata(self, path):
        if path not in self.names:
            raise OSError("Path does not exist")
        return FileMetadata(path, 7, 1.0)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("far://b/in", ["far://b/in/a.txt", "far://b/in/s/e.txt"]),
        ("far://b/in/", ["far://b/in/a.txt", "far://b/in/s/e.txt"]),
        ("far://b/in/*.txt", ["far://b/in/a.txt"]),
        ("far://b/in/_b.txt", ["far://b/in/_b.txt"]),
        ("far://b/in/_*.txt", ["far://b/in/_b.txt"]),
        ("far://b/_y/", ["far://b/_y/g.txt"]),
        ("far://b/[x]/x [1].txt", ["far://b/[x]/x [1].txt"]),
        ("far://b/[x]/", ["far://b/[x]/f.txt", "far://b/[x]/x [1].txt"]),
        ("far://b/[x]", ["far://b/[x]/f.txt", "far://b/[x]/x [1].txt"]),
    ],
)
def test_another_file_system(monkeypatch, path, expected):
    monkeypatch.setattr(FileSystems, "get_filesystem", staticmethod(lambda path: Remote(None)))
    assert [file.path for file in files.find([path])] == expected


def test_parquet_within_another_compression_is_refused(tmp_path):
    make(tmp_path, "a.PARQUET.Gz")
    with pytest.raises(UserError, match=r"a.PARQUET.Gz: Parquet within gzip cannot be read. Unpack the file"):
        files.find([str(tmp_path)])
