"""The file with a run folder's ML Metadata: whether there is one, and whether it can be read."""

from __future__ import annotations

import contextlib
import os
import sqlite3

from components.errors import UserError

NAME = "metadata.sqlite"


def has_runs(folder: str) -> bool:
    """Whether there are metadata of any run; not if the file was removed or emptied.

    Args:
        folder: of a run.

    Raises:
        UserError: the file is damaged.
    """
    path = os.path.join(folder, NAME)
    if not os.path.exists(path):
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"file:{_quoted(path)}?mode=rw", uri=True)) as database:
            (found,) = database.execute("pragma quick_check(1)").fetchone()
            (tables,) = database.execute("select count(*) from sqlite_master where name = 'Execution'").fetchone()
    except sqlite3.DatabaseError as error:
        found, tables = str(error), 0
    if found != "ok":
        reason = found.strip().splitlines()[-1]
        raise UserError(
            f"{path}: the metadata of the runs are damaged: {reason}. Put back a copy of the file; or remove it: then "
            f"everything is made anew, and what is there now is kept in {os.path.join(folder, 'lost')}"
        )
    return bool(tables)


def _quoted(path: str) -> str:
    """For SQLite's URIs."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
