"""Bring a database's schema up to date, with Alembic."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DatabaseError

from packhouse.core.errors import PackhouseError

FOLDER = Path(__file__).parent / "migrations"
#: an arbitrary number: the PostgreSQL advisory lock that keeps two starting servers from migrating at once
LOCK = 7_225_102_031
SQLITE = "sqlite:///"
_one_at_a_time = threading.Lock()  # Alembic keeps its context in module globals


def engine_for(url: str) -> Engine:
    """Return a SQLAlchemy engine; used for migrations only, queries run on the drivers themselves."""
    if url.startswith(SQLITE):
        engine = create_engine(url, connect_args={"timeout": 60})
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode = WAL"))
        return engine
    return create_engine("postgresql+psycopg://" + url.split("://", 1)[1])


def config() -> Config:
    """Return Alembic's configuration for the migrations folder."""
    settings = Config()
    settings.set_main_option("script_location", str(FOLDER))
    return settings


def has_schema(url: str) -> bool:
    """Tell whether a database is there and has our schema, of any version; creates nothing.

    Raises PackhouseError("try_later") when the database cannot be used.
    """
    if url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).is_file():
        return False
    with _connection(url) as connection:
        return MigrationContext.configure(connection).get_current_revision() is not None


def migrate(url: str) -> None:
    """Create or upgrade the schema; a second call, also from another process, finds nothing to do.

    Raises PackhouseError("try_later") when the database cannot be used and PackhouseError("conflict") when it was
    written by a newer Packhouse.
    """
    settings = config()
    script = ScriptDirectory.from_config(settings)
    if url.startswith(SQLITE):
        Path(url.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time, _connection(url) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in {known.revision for known in script.walk_revisions()}:
            raise PackhouseError(
                "conflict", f"The database has schema {current}, which this version does not know.",
                "Start the newer Packhouse that wrote it, or restore a backup.",
            )  # fmt: skip
        if current != script.get_current_head():
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
        connection.commit()


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    """Open a connection for the time of the block. Raises PackhouseError("try_later")."""
    engine = engine_for(url)
    try:
        with engine.connect() as connection:
            yield connection
    except DatabaseError as error:
        why = " ".join(str(error.orig).split()).rstrip(".?")  # drivers name hosts and users there, never passwords
        raise PackhouseError("try_later", f"The database cannot be used: {why}.", "Check `database_url`.") from error
    finally:
        engine.dispose()
