"""What a database answers, whichever it is.

A *unit of work* is an `async def work(unit)` handed to `Database.write`. It may be run more than once (a deadlock, a
busy database), so it changes nothing outside the database; and inside it nothing is awaited but the unit itself: on
SQLite the writer thread drives it without an event loop, and anything else awaited is an error at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from packhouse.core.db.statements import Statement
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger

Row = tuple[Any, ...]
T = TypeVar("T")
_log = get_logger("packhouse.db")
Work = Callable[["Unit"], Awaitable[T]]


def orphaned(error: Exception) -> PackhouseError:
    """Return the refusal of a unit that refers to a row which is gone, such as the account of whoever asks.

    The log says which, should the fault be ours.
    """
    _log.warning("what a change refers to is not there", error=str(error))
    return PackhouseError(
        "conflict", "Something that this change refers to was deleted meanwhile.", "Look at what is there now."
    )


class Reader(ABC):
    """Runs queries. Rows are plain tuples in the order of the statement's columns."""

    dialect: str

    @abstractmethod
    async def fetch_all(self, statement: Statement, **values: Any) -> list[Row]:
        """Return every row."""

    async def fetch_one(self, statement: Statement, **values: Any) -> Row | None:
        """Return the first row, or None."""
        rows = await self.fetch_all(statement, **values)
        return rows[0] if rows else None

    async def fetch_value(self, statement: Statement, **values: Any) -> Any:
        """Return the first column of the first row, or None."""
        row = await self.fetch_one(statement, **values)
        return row[0] if row else None


class Unit(Reader):
    """One transaction in the making. Its changes become visible all together or not at all."""

    #: microseconds since the epoch, by the database's clock; never smaller than in an earlier unit of this process
    now: int

    @abstractmethod
    async def execute(self, statement: Statement, **values: Any) -> int:
        """Run one statement and return the number of rows it changed."""

    @abstractmethod
    async def execute_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement for each mapping of values."""


class Database(Reader):
    """A pool of connections: committed reads through `fetch_*` and `stream`, changes through `write`."""

    url: str

    @abstractmethod
    async def write(self, work: Work[T]) -> T:
        """Run `work` as one transaction and return its result once that is durable.

        Raises what `work` raises (nothing is kept then), PackhouseError("try_later") when the database is away,
        PackhouseError("storage_full") when its disk is full, and PackhouseError("conflict") when `work` refers to a
        row that is gone.
        """

    @abstractmethod
    async def fetch_large(self, statement: Statement, **values: Any) -> list[Row]:
        """Return every row of a query too long to run inline: away from the event loop."""

    @abstractmethod
    def stream(self, statement: Statement, **values: Any) -> AsyncIterator[list[Row]]:
        """Yield all rows in batches of a few thousand, in constant memory, from one consistent snapshot."""

    @abstractmethod
    async def now(self) -> int:
        """Return the database's clock in microseconds since the epoch."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what is queued and close every connection."""
