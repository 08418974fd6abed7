"""Data that is always there, by short names: the documents' schema, and text and questions from gensim's package."""

from __future__ import annotations

import importlib.util
import pathlib

from word2vec.errors import UserError, printable

SCHEME = "builtin://"

_SCHEMA = pathlib.Path(__file__).parent / "corpus" / "schema" / "schema.pbtxt"
_FILES = {
    "wikipedia": "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    "wordsim353": "wordsim353.tsv",
    "simlex999": "simlex999.txt",
    "google_analogies": "questions-words.txt",
}


def resolve(path: str) -> str:
    """Turns `builtin://NAME` into the file's path, and leaves every other path as it is.

    Raises:
        UserError: there is no built-in data of that name.
    """
    if not path.startswith(SCHEME):
        return path
    name = path.removeprefix(SCHEME)
    if name == "document_schema":
        return str(_SCHEMA)
    if name not in _FILES:
        raise UserError(f"{printable(path)}: there is no built-in data of this name; there are {', '.join(_FILES)}")
    package = importlib.util.find_spec("gensim")  # found, not imported: gensim takes a second to start
    if package is None or package.origin is None:
        raise UserError(f"{printable(path)}: comes with gensim, which is not installed here. Install it")
    return str(pathlib.Path(package.origin).parent / "test" / "test_data" / _FILES[name])
