"""The files of the embedded database: SQLite makes the two beside it with the rights of the first."""

from __future__ import annotations

from pathlib import Path

from packhouse.core import log

_log = log.get_logger(__name__)
_SQLITE = "sqlite:///"


def keep_private(url: str) -> None:
    """Take the rights of everybody else off the files of a SQLite database: password hashes and keys are in them.

    A copy made with wide rights, or a file that somebody else owns, would have them.
    """
    if not url.startswith(_SQLITE):
        return
    for ending in ("", "-wal", "-shm"):
        file = Path(url.removeprefix(_SQLITE) + ending)
        try:
            mode = file.stat().st_mode & 0o7777
            if mode & 0o077:
                file.chmod(mode & 0o700)
        except FileNotFoundError:
            continue
        except OSError as error:
            _log.warning("others may read the database", file=str(file), why=error.strerror)
