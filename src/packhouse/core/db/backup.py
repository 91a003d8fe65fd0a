"""A copy of the embedded database, made beside those who write it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from packhouse.core.errors import PackhouseError


def copy_database(source: Path, target: Path) -> None:
    """Write what is committed in `source` now into the new file `target`; `source` is opened for reading only.

    Raises PackhouseError: `storage_full`, and `try_later` when either cannot be used.
    """
    try:
        with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=60)) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise PackhouseError("storage_full", "The disk of the copy is full.", "Free space there.") from None
        raise PackhouseError("try_later", f"The database {source} cannot be copied: {error}.", "Try again.") from None
