"""Migrations on both backends: they make exactly the declared schema, once, and know a newer one when they see it."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import packhouse
from packhouse.core.db import open_database
from packhouse.core.db.migrating import engine_for, migrate
from packhouse.core.db.types import METADATA
from packhouse.core.errors import PackhouseError
from tests.conftest import Backend

#: where tables may be declared; all of them are imported, so that none is missing below
TABLE_MODULES = ("schema", "tables", "judgement_tables", "people_tables", "sign_in_tables", "leases")


def declare_all_tables() -> None:
    for module in pkgutil.walk_packages(packhouse.__path__, "packhouse."):
        if module.name.rsplit(".", 1)[1] in TABLE_MODULES:
            importlib.import_module(module.name)


def test_the_migrations_make_the_declared_tables_and_no_others(backend: Backend) -> None:
    declare_all_tables()
    engine = engine_for(backend.database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        differences = [
            difference
            for difference in compare_metadata(context, METADATA)
            # full-text search lives in tables that SQLite's FTS5 makes by itself, and in an index of PostgreSQL; single
            # downloads in partitions of PostgreSQL
            if not (
                difference[0] in ("remove_table", "remove_index")
                and ("search" in difference[1].name or difference[1].name == "download_item")
            )
        ]
    engine.dispose()
    assert differences == []


async def test_any_number_of_servers_may_start_at_once(backend: Backend) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, backend.database_url) for _ in range(4)))
    db = open_database(backend.database_url)
    assert await db.fetch_value("SELECT count(*) FROM alembic_version") == 1
    await db.close()


async def test_a_database_of_a_newer_version_is_left_alone(backend: Backend) -> None:
    db = open_database(backend.database_url)
    await db.write(lambda unit: unit.execute("UPDATE alembic_version SET version_num = '9999'"))
    await db.close()
    with pytest.raises(PackhouseError, match="9999") as caught:
        migrate(backend.database_url)
    assert caught.value.code == "conflict"
