"""From a URL to an open database with an up-to-date schema."""

from __future__ import annotations

from pathlib import Path

from packhouse.core.db.base import Database
from packhouse.core.errors import PackhouseError


def open_database(url: str) -> Database:
    """Return the database at `sqlite:///FILE` or `postgresql://…`; nothing is migrated, nothing is dialled yet."""
    if url.startswith("sqlite:///"):
        from packhouse.core.db.sqlite import SqliteDatabase

        return SqliteDatabase(Path(url.removeprefix("sqlite:///")))
    if url.startswith(("postgresql://", "postgres://")):
        from packhouse.core.db.postgres import PostgresDatabase

        return PostgresDatabase(url)
    raise PackhouseError(
        "bad_request", "The database URL is neither `sqlite:///FILE` nor `postgresql://…`.", "Correct `database_url`."
    )
