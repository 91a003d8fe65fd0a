"""SQLite: reads inline on the caller's thread, writes in one writer thread with group commit.

A read of a few microseconds costs eight times as much when it hops to a thread, so it does not. Writes do hop: their
`fsync` would stop the event loop. Units that wait while one commit syncs share the next transaction, each inside its
own savepoint; so a hundred uploads pay for a handful of syncs.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from packhouse.core.clock import wall_micros
from packhouse.core.db.base import Database, Row, Unit, Work, orphaned
from packhouse.core.db.statements import Statement, compiled, positional
from packhouse.core.errors import PackhouseError

T = TypeVar("T")

#: units of one group commit are gathered for at most this long, in seconds: the bound of design rule 1.10
GROUP_SECONDS = 0.02
#: how long a writer waits for another process's transaction before it says `try_later`, in seconds
BUSY_SECONDS = 30.0
#: between two attempts to begin, in seconds; short naps are fairer than SQLite's growing ones
NAP_SECONDS = 0.0005
#: how long a writer waits for its turn before it tries without: whoever has it may have been halted, in seconds
TURN_SECONDS = 1.0
STREAM_ROWS = 2000
#: threads for queries too long to run inline; each has a connection
LARGE_THREADS = 2
#: pages a connection may keep in memory, in KiB: the writer's and the event loop's; of long queries; of a stream
CACHE_KIB = 65_536
LARGE_CACHE_KIB = 8192
STREAM_CACHE_KIB = 2048
#: so much of the file is read as memory, in bytes; of one that is read from begin to end all would stay there
MAPPED_BYTES = 2**31

sqlite3.register_adapter(list, json.dumps)


def connect(path: Path, cache_kib: int = CACHE_KIB) -> sqlite3.Connection:
    """Open the file to write: in autocommit mode, with WAL, full fsync, foreign keys and `cache_kib` KiB of pages.

    Not mapped into memory, as for reading: a writer of a million rows would have the whole file there.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=0)
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _connect_to_read(path: Path, cache_kib: int, mapped: int) -> sqlite3.Connection:
    connection = connect(path, cache_kib)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA mmap_size = {mapped}")
    connection.execute("PRAGMA busy_timeout = 2000")
    return connection


def _refusal(error: sqlite3.Error | OSError) -> PackhouseError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return PackhouseError("storage_full", "The disk of the database is full.", "Free space, then try again.")
    return PackhouseError(
        "try_later", f"The database cannot be used now: {error}.", "Try again shortly.", retry_after=5
    )


def _closed() -> PackhouseError:
    return PackhouseError("try_later", "This process is shutting down.", "Try again shortly.", retry_after=5)


#: faults of the machine rather than of our statements; everything else is a bug and stays what it is
_AWAY = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_READONLY,
)


def _translated(error: sqlite3.Error) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) or 0
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return orphaned(error)
    return _refusal(error) if code & 0xFF in _AWAY else error


class SqliteUnit(Unit):
    """A unit driven on the writer thread; none of its awaits really suspends."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self.now = now

    def _run(self, statement: Statement, values: Mapping[str, Any]) -> sqlite3.Cursor:
        text, literals = compiled(statement, "sqlite")
        return self._connection.execute(text, {**literals, **values} if literals else values)

    async def fetch_all(self, statement: Statement, **values: Any) -> list[Row]:
        return self._run(statement, values).fetchall()

    async def execute(self, statement: Statement, **values: Any) -> int:
        return self._run(statement, values).rowcount

    async def execute_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        text, in_order = positional(statement)
        self._connection.executemany(text, map(in_order, rows))


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        """Let the loop that waits know the outcome; called on the writer thread."""
        with suppress(RuntimeError):  # that loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(self.settle)

    def settle(self) -> None:
        if self.future.cancelled():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class _Writer(threading.Thread):
    """The one thread of this process that writes."""

    def __init__(self, path: Path, cache_kib: int) -> None:
        super().__init__(name="packhouse-writer", daemon=True)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._path, self._cache_kib = path, cache_kib
        self._connection: sqlite3.Connection | None = None
        self._turn: _Turn | None = None
        self._last_now = 0
        self._lock = threading.Lock()
        self._closed = False  # under the lock, so that no job is queued behind the end

    def submit(self, job: _Job) -> None:
        """Queue a job. Raises PackhouseError("try_later") once the writer is closed."""
        with self._lock:
            if self._closed:
                raise _closed()
            self._jobs.put(job)

    def close(self) -> None:
        """End the thread after what is queued; returns at once."""
        with self._lock:
            self._closed = True
            self._jobs.put(None)

    def run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                self._serve(job)
        finally:
            self._abandon()

    def _serve(self, job: _Job) -> None:
        group = [job]
        try:
            if self._connection is None:
                self._connection = connect(self._path, self._cache_kib)
            if self._turn is None:
                self._turn = _Turn(self._path)
            self._commit_group(self._connection, self._turn, group)
        except BaseException as error:  # the thread must outlive every fault, or no write would ever return
            self._fail(group, error)
        for done in group:
            done.tell()

    def _abandon(self) -> None:
        """Refuse what is still queued, so that nobody waits for a thread that has ended."""
        self.close()
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                job.error = _closed()
                job.tell()
        self._disconnect()
        if self._turn is not None:
            self._turn.close()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _commit_group(self, connection: sqlite3.Connection, turn: _Turn, group: list[_Job]) -> None:
        turn.begin(connection)
        self._last_now = max(self._last_now + 1, wall_micros())
        deadline = time.monotonic() + GROUP_SECONDS
        self._run_one(connection, group[0])
        while time.monotonic() < deadline:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            group.append(job)
            self._run_one(connection, job)
        connection.execute("COMMIT")

    def _run_one(self, connection: sqlite3.Connection, job: _Job) -> None:
        connection.execute("SAVEPOINT unit")
        try:
            job.result = _drive(job.work, SqliteUnit(connection, self._last_now))
        except BaseException as error:  # belongs to whoever asked, a CancelledError too; the group goes on without it
            job.error = _translated(error) if isinstance(error, sqlite3.Error) else error
            if connection.in_transaction:
                connection.execute("ROLLBACK TO unit")
            else:  # SQLite ended the whole transaction by itself (disk full, I/O error)
                raise
        connection.execute("RELEASE unit")

    def _fail(self, group: list[_Job], error: BaseException) -> None:
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()  # closing ends the transaction too; the next group opens the file again
        for job in group:
            job.error = job.error or (_refusal(error) if isinstance(error, (sqlite3.Error, OSError)) else error)


def _drive(work: Work[T], unit: Unit) -> T:
    """Run a coroutine that never suspends, without an event loop."""
    steps = work(unit).__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # StopIteration is untyped
    raise RuntimeError("a unit of work awaited something other than the database")


class _Turn:
    """The right to be the next writer of the file, among all processes; the kernel gives it back for who dies.

    SQLite lets writers try again and again, so that one with much to write, such as a mirror's first run, would get
    nearly every turn. Whoever waits here holds the lock of a file beside the database until its transaction begins,
    and who has just committed queues behind it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.with_name(path.name + "-turn").open("ab")  # as long as the writer lives

    def begin(self, connection: sqlite3.Connection) -> None:
        """Start a write transaction. Raises sqlite3.OperationalError (busy) after `BUSY_SECONDS`."""
        deadline = time.monotonic() + BUSY_SECONDS
        impatient = time.monotonic() + TURN_SECONDS
        mine = False
        try:
            while True:
                mine = mine or self._take()
                try:
                    if mine or time.monotonic() > impatient:
                        connection.execute("BEGIN IMMEDIATE")
                        return
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                time.sleep(NAP_SECONDS)
        finally:
            if mine:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class SqliteDatabase(Database):
    """The embedded database of one machine: any number of processes, one writer at a time."""

    dialect = "sqlite"

    def __init__(self, path: Path, cache_kib: int = CACHE_KIB, mapped: int = MAPPED_BYTES) -> None:
        self.url = f"sqlite:///{path}"
        self._path, self._cache_kib, self._mapped = path, cache_kib, mapped
        path.parent.mkdir(parents=True, exist_ok=True)
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._large = ThreadPoolExecutor(LARGE_THREADS, thread_name_prefix="packhouse-large")
        self._writer = _Writer(path, cache_kib)
        self._writer.start()

    def _reader(self, cache_kib: int) -> sqlite3.Connection:
        """Return the calling thread's connection for reads."""
        if (connection := getattr(self._local, "connection", None)) is None:
            connection = self._local.connection = _connect_to_read(self._path, cache_kib, self._mapped)
            self._readers.append(connection)
        return connection

    def _fetch(self, statement: Statement, values: Mapping[str, Any], cache_kib: int) -> list[Row]:
        text, literals = compiled(statement, "sqlite")
        try:
            return self._reader(cache_kib).execute(text, {**literals, **values} if literals else values).fetchall()
        except sqlite3.Error as error:
            raise _translated(error) from error

    async def fetch_all(self, statement: Statement, **values: Any) -> list[Row]:
        return self._fetch(statement, values, self._cache_kib)

    async def fetch_large(self, statement: Statement, **values: Any) -> list[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._large, self._fetch, statement, values, min(LARGE_CACHE_KIB, self._cache_kib)
        )

    async def stream(self, statement: Statement, **values: Any) -> AsyncIterator[list[Row]]:
        text, literals = compiled(statement, "sqlite")
        try:
            with closing(_connect_to_read(self._path, STREAM_CACHE_KIB, self._mapped)) as connection:
                cursor = connection.execute(text, {**literals, **values})
                while rows := cursor.fetchmany(STREAM_ROWS):
                    yield rows
                    await asyncio.sleep(0)
        except sqlite3.Error as error:
            raise _translated(error) from error

    async def write(self, work: Work[T]) -> T:
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        self._writer.submit(job)
        result: T = await job.future
        return result

    async def now(self) -> int:
        return wall_micros()

    async def close(self) -> None:
        self._writer.close()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._large.shutdown)
        for connection in self._readers:
            connection.close()
        self._readers.clear()
        self._local = threading.local()
