"""PostgreSQL through psycopg's asynchronous pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from packhouse.core.clock import wall_micros
from packhouse.core.db.base import Database, Row, Unit, Work, orphaned
from packhouse.core.db.statements import Statement, compiled
from packhouse.core.errors import PackhouseError

T = TypeVar("T")
STREAM_ROWS = 2000
ATTEMPTS = 10
#: for how long the pool tries by itself to reach a server that is away, with growing pauses, in seconds; after that
#: each request tries at once, so that work goes on as soon as the server is back
RECONNECT_SECONDS = 3.0
#: how long a caller waits for a connection, in seconds: while all are busy, and while the server seems to be away
PATIENCE_SECONDS = 10.0
AWAY_SECONDS = 1.0

#: another transaction was in the way: running the unit again is the documented answer. A unit looks before it takes a
#: unique name or refers to a row, so a violation means that a rival took the name in between, or the sweep the row;
#: the next run sees what is there now.
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation, errors.ForeignKeyViolation)
NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


def _refusal(error: Exception) -> PackhouseError:
    if isinstance(error, errors.DiskFull):
        return PackhouseError("storage_full", "The disk of the database is full.", "Free space, then try again.")
    return PackhouseError("try_later", "The database is away for the moment.", "Try again shortly.", retry_after=5)


class PostgresUnit(Unit):
    """A transaction on one connection of the pool."""

    dialect = "postgresql"

    def __init__(self, connection: psycopg.AsyncConnection[Row], now: int) -> None:
        self._connection = connection
        self.now = now

    async def _run(self, statement: Statement, values: Mapping[str, Any]) -> psycopg.AsyncCursor[Row]:
        text, literals = compiled(statement, "postgresql")
        return await self._connection.execute(text, {**literals, **values})

    async def fetch_all(self, statement: Statement, **values: Any) -> list[Row]:
        return await (await self._run(statement, values)).fetchall()

    async def execute(self, statement: Statement, **values: Any) -> int:
        return (await self._run(statement, values)).rowcount

    async def execute_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        text, literals = compiled(statement, "postgresql")
        async with self._connection.cursor() as cursor:
            await cursor.executemany(text, [{**literals, **row} for row in rows])


class PostgresDatabase(Database):
    """A shared database for any number of processes and machines."""

    dialect = "postgresql"

    def __init__(self, url: str, connections: int = 8) -> None:
        self.url = url
        self._last_now = 0
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Row]] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            open=False,
            timeout=PATIENCE_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            kwargs={"autocommit": True},
        )
        self._opening = asyncio.Lock()
        self._away = False  # what was asked of the server last went wrong

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        """Lend a connection of the pool; while the server is away, those who ask are told so soon."""
        pool = await self._opened()
        try:
            async with pool.connection(AWAY_SECONDS if self._away else PATIENCE_SECONDS) as connection:
                yield connection
        except psycopg.OperationalError as error:  # a PoolTimeout is one too
            self._away = not isinstance(error, _AGAIN)
            raise
        self._away = False

    async def _opened(self) -> AsyncConnectionPool[psycopg.AsyncConnection[Row]]:
        if self._pool.closed:
            async with self._opening:
                if self._pool.closed:
                    await self._pool.open()
        return self._pool

    async def fetch_all(self, statement: Statement, **values: Any) -> list[Row]:
        text, literals = compiled(statement, "postgresql")
        pool = await self._opened()
        for attempt in (1, 2):  # a connection that died while it lay in the pool is not the caller's fault
            try:
                async with self._connection() as connection:
                    cursor = await connection.execute(text, {**literals, **values})
                    return await cursor.fetchall()
            except PoolTimeout as error:
                raise _refusal(error) from error
            except psycopg.OperationalError as error:
                if attempt == 2:
                    raise _refusal(error) from error
                await pool.check()  # after a restart of the server, none of those that lie there is alive
        raise AssertionError("unreachable")

    async def fetch_large(self, statement: Statement, **values: Any) -> list[Row]:
        return await self.fetch_all(statement, **values)

    async def stream(self, statement: Statement, **values: Any) -> AsyncIterator[list[Row]]:
        text, literals = compiled(statement, "postgresql")
        try:
            async with (
                self._connection() as connection,
                connection.transaction(),
                connection.cursor(name="stream") as cursor,
            ):
                await cursor.execute(text, {**literals, **values})
                while rows := await cursor.fetchmany(STREAM_ROWS):
                    yield rows
        except psycopg.OperationalError as error:
            raise _refusal(error) from error

    async def write(self, work: Work[T]) -> T:
        pool = await self._opened()
        for attempt in range(ATTEMPTS):
            begun = False
            try:
                async with self._connection() as connection, connection.transaction():
                    unit = PostgresUnit(connection, await self._tick(connection))
                    begun = True
                    return await work(unit)
            except _AGAIN as error:
                if attempt + 1 < ATTEMPTS:
                    continue
                if isinstance(error, errors.ForeignKeyViolation):
                    raise orphaned(error) from error
                if isinstance(error, psycopg.IntegrityError):
                    raise  # no rival is in the way every time: the unit itself breaks the rule
                raise _refusal(error) from error
            except (PoolTimeout, psycopg.OperationalError) as error:
                if begun or attempt or isinstance(error, PoolTimeout):
                    raise _refusal(error) from error
                await pool.check()  # the connection had died in the pool; nothing was done on it yet
        raise AssertionError("unreachable")

    async def _tick(self, connection: psycopg.AsyncConnection[Row]) -> int:
        row = await (await connection.execute(NOW)).fetchone()
        self._last_now = max(self._last_now + 1, row[0] if row else wall_micros())
        return self._last_now

    async def now(self) -> int:
        return int(await self.fetch_value(NOW))

    async def close(self) -> None:
        await self._pool.close()
