"""Bring a database's schema up to date, with Alembic."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from packhouse.core.errors import PackhouseError

FOLDER = Path(__file__).parent / "migrations"
#: an arbitrary number: the PostgreSQL advisory lock that keeps two starting servers from migrating at once
LOCK = 7_225_102_031
_one_at_a_time = threading.Lock()  # Alembic keeps its context in module globals


def engine_for(url: str) -> Engine:
    """Return a SQLAlchemy engine; used for migrations only, queries run on the drivers themselves."""
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": 60})
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode = WAL"))
        return engine
    return create_engine("postgresql+psycopg://" + url.split("://", 1)[1])


def config() -> Config:
    """Return Alembic's configuration for the migrations folder."""
    settings = Config()
    settings.set_main_option("script_location", str(FOLDER))
    return settings


def migrate(url: str) -> None:
    """Create or upgrade the schema; a second call, also from another process, finds nothing to do.

    Raises PackhouseError("try_later") when the database is away and PackhouseError("conflict") when the database was
    written by a newer Packhouse.
    """
    settings = config()
    script = ScriptDirectory.from_config(settings)
    engine = engine_for(url)
    try:
        with _one_at_a_time, engine.connect() as connection:
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
    except OperationalError as error:
        raise PackhouseError("try_later", "The database cannot be reached.", "Check `database_url`.") from error
    finally:
        engine.dispose()
