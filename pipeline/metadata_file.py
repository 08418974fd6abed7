"""The file with a run folder's ML Metadata: whether there is one, and whether it can be read."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3

from pipeline import layout
from word2vec.errors import UserError, printable

# Some that ML Metadata makes at once.
_TABLES = {"MLMDEnv", "Type", "Artifact", "Execution", "Event"}

# By SQLite's own words, for Python 3.10 does not tell its codes: BUSY and LOCKED; READONLY, PERM and CANTOPEN.
_IN_USE = re.compile(r"database (table |schema )?is locked")
_NOT_ALLOWED = re.compile(r"attempt to write a readonly database|access permission denied|unable to open database file")


def has_runs(folder: str, *, writes: bool = False) -> bool:
    """Whether there are metadata of any run; not if the file was removed or emptied.

    Args:
        folder: of a run.
        writes: whether they are to be written to.

    Raises:
        UserError: the file is damaged, another program's, in use by one, or can't be read or written.
    """
    path = os.path.join(folder, layout.METADATA)
    if not os.path.exists(path):
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"file:{_quoted(path)}?mode=rw", uri=True)) as database:
            (verdict,) = database.execute("pragma quick_check(1)").fetchone()
            tables = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
            if writes:  # tries, and takes it back
                database.execute("begin immediate")
                database.execute("create table if not exists attempt (id integer)")
                database.rollback()
    except sqlite3.DatabaseError as error:
        if hindrance := _hindrance(error):
            raise UserError(f"{path}: the metadata of the runs {hindrance}") from None
        verdict, tables = str(error), set()
    if verdict != "ok":
        reason = verdict.strip().splitlines()[-1]
        raise UserError(
            f"{path}: the metadata of the runs are damaged: {reason}. Put back a copy of the file; or remove it: then "
            f"everything is made anew, and what is there now is kept in {os.path.join(folder, layout.LOST)}"
        )
    if tables and not tables >= _TABLES:
        raise UserError(
            f"{path}: is a database of another program, with the table {printable(min(tables))!r}; expected ML "
            "Metadata's. Move it away, or give the run another name (--name)"
        )
    return bool(tables)


def _hindrance(error: sqlite3.DatabaseError) -> str | None:
    """What keeps SQLite from its work, and what to do; None where the file itself is the matter."""
    reason = str(error).strip()
    if _IN_USE.match(reason):
        return f"are in use by another program: {reason}. Close it, and run the same command again"
    if _NOT_ALLOWED.match(reason):
        return f"can't be read and written: {reason}. Let this user read and write the file and its folder"
    return None


def _quoted(path: str) -> str:
    """For SQLite's URIs."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
