"""Further SQLite files beside the catalogue of an installation: for rows that come by millions and go by the file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from packhouse.core.db.base import Database

#: pages that a connection keeps in memory, in KiB: such a file is written at its end and read from begin to end
CACHE_KIB = 2048


def folder_beside(url: str, name: str) -> Path:
    """Return the folder `FILE-NAME` beside the SQLite database at `sqlite:///…/FILE.db`."""
    file = Path(url.removeprefix("sqlite:///"))
    return file.with_name(f"{file.stem}-{name}")


def open_beside(path: Path) -> Database:
    """Return the database in a SQLite file, which is made when it is not there; nobody but this user may read it."""
    from packhouse.core.db.sqlite import SqliteDatabase

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return SqliteDatabase(path, CACHE_KIB, mapped=0)


def remove_beside(path: Path) -> None:
    """Remove such a file with what SQLite and its writers keep beside it."""
    for ending in ("-wal", "-shm", "-turn", ""):
        path.with_name(path.name + ending).unlink(missing_ok=True)
