"""Fixtures for every suite: the services, and the two set-ups that all integration tests run on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import text

from tests.kit import services

# nothing is asserted of how long anything takes
settings.register_profile("packhouse", deadline=None)
settings.load_profile("packhouse")


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a server under test keeps things: pass `env` to a process, or the fields to what needs them."""

    name: str
    database_url: str  #: a fresh database with the current schema
    blob_url: str
    env: dict[str, str]  #: PACKHOUSE_* for a process of this node
    data_dir: Path

    def node(self, data_dir: Path) -> dict[str, str]:
        """Return the environment of a further node with a data folder of its own on the same database and blobs."""
        return {**self.env, "PACKHOUSE_DATA_DIR": str(data_dir)}


@pytest.fixture(scope="session")
def postgres() -> Iterator[services.Postgres]:
    """A PostgreSQL cluster, one per test process."""
    with services.postgres(durable=False) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def s3() -> Iterator[services.S3]:
    """An S3 server, one per test process."""
    with services.s3() as server:
        yield server


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "packhouse.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres: services.Postgres) -> str:
    name = postgres.database()
    _migrated(postgres.url(name))
    return name


def _migrated(url: str) -> None:
    """Make the schema, as after a first round of the worker: else each test's first one would judge everything anew."""
    from packhouse.core.db.migrating import engine_for, migrate
    from packhouse.security.engine import ENGINE

    migrate(url)
    database = engine_for(url)
    with database.begin() as connection:
        connection.execute(text("UPDATE engine SET number = :number"), {"number": ENGINE})
    database.dispose()


@pytest.fixture(params=["sqlite+folder", "postgres+s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """An empty database with the current schema and an empty blob store; each test runs on both set-ups."""
    make = {"sqlite+folder": _sqlite_and_folder, "postgres+s3": _postgres_and_s3}[request.param]
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    yield from make(request, data_dir)


def _sqlite_and_folder(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[Backend]:
    database = data_dir / "packhouse.db"
    shutil.copy(request.getfixturevalue("_sqlite_template"), database)
    (data_dir / "blobs").mkdir()
    yield _backend("sqlite+folder", f"sqlite:///{database}", f"file://{data_dir}/blobs", data_dir, {})


def _postgres_and_s3(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[Backend]:
    cluster: services.Postgres = request.getfixturevalue("postgres")
    server: services.S3 = request.getfixturevalue("s3")
    database = cluster.database(request.getfixturevalue("_postgres_template"))
    keys = {
        "PACKHOUSE_S3_ENDPOINT": server.endpoint,
        "PACKHOUSE_S3_ACCESS_KEY": server.access_key,
        "PACKHOUSE_S3_SECRET_KEY": server.secret_key,
        "PACKHOUSE_S3_REGION": server.region,
    }
    yield _backend("postgres+s3", cluster.url(database), f"s3://{server.bucket()}", data_dir, keys)
    cluster.drop(database)


def _backend(name: str, database_url: str, blob_url: str, data_dir: Path, more: dict[str, str]) -> Backend:
    env = {
        "PACKHOUSE_DATA_DIR": str(data_dir),
        "PACKHOUSE_DATABASE_URL": database_url,
        "PACKHOUSE_BLOB_URL": blob_url,
        "PACKHOUSE_SECRET_KEY": "5e" * 32,  # of every node
        "PACKHOUSE_DEFAULT_FEEDS": "false",  # nothing here dials out
        **more,
    }
    return Backend(name, database_url, blob_url, env, data_dir)
