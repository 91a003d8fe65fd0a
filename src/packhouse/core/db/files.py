"""The files of the embedded database: SQLite makes two beside it with its rights, and writers queue at a third."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from packhouse.core import log
from packhouse.core.errors import PackhouseError

_log = log.get_logger(__name__)
_SQLITE = "sqlite:///"


def require_writable(url: str) -> None:
    """Raise PackhouseError("bad_request") when this user may not write to a SQLite database that is there.

    SQLite itself says nothing before the first write, which a server would repeat each second.
    """
    for file in _files(url):
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            rights = stat.filemode(file.stat().st_mode)
            raise PackhouseError(
                "bad_request",
                f"The database {file} ({rights}) cannot be written by this user, or its disk is mounted read-only.",
                "Give the file to the user that Packhouse runs as, with the right to write.",
            )


def keep_private(url: str) -> None:
    """Take the rights of everybody else off the files of a SQLite database: password hashes and keys are in them.

    A copy made with wide rights, or a file that somebody else owns, would have them.
    """
    for file in _files(url):
        try:
            mode = file.stat().st_mode & 0o7777
            if mode & 0o077:
                file.chmod(mode & 0o700)
        except FileNotFoundError:
            continue
        except OSError as error:
            _log.warning("others may read the database", file=str(file), why=error.strerror)


def _files(url: str) -> list[Path]:
    path = url.removeprefix(_SQLITE)
    return [Path(path + ending) for ending in ("", "-wal", "-shm", "-turn")] if url.startswith(_SQLITE) else []
