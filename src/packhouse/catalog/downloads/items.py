"""What is kept of a single download, and what its two homes have in common.

Rows name things by number: files (`downloaded`), accounts, clients (`agent`) and sets of vulnerabilities (`cve_set`)
are in the catalogue. PostgreSQL has the rows in a table beside it, a partition a day; SQLite in a file a month, so that
what is old goes with its file and the catalogue stays small.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from packhouse.core.db import Unit

_FIRST = date(1970, 1, 1)


class Item(NamedTuple):
    """One download."""

    at: int  #: µs, by the database's clock
    file_id: int  #: of `downloaded`
    channel_id: int
    account_id: int  #: NOBODY for anonymous callers
    token: str | None  #: the public id of the token that was shown, if it was one
    address: str  #: empty: nobody knows it
    agent_id: int
    cve_set_id: int | None  #: None: nothing was known of the file


class File(NamedTuple):
    """What many downloads have in common besides their client."""

    file_id: int
    channel_id: int
    account_id: int
    token: str | None
    cve_set_id: int | None


class Items(NamedTuple):
    """Many downloads: what is different in them, once each, and where in these lists each one's is.

    So the databases put the rows together, which costs a process that serves downloads a fifth of doing it itself.
    """

    files: Sequence[File]
    addresses: Sequence[str]
    agent_ids: Sequence[int]
    at: Sequence[int]
    file: Sequence[int]
    address: Sequence[int]
    agent: Sequence[int]


class Wanted(NamedTuple):
    """Which downloads somebody wants to know of."""

    since: int  #: µs
    before: int  #: µs, excluded
    accounts: Collection[int] | None = None  #: None: of everybody
    channels: Collection[int] | None = None  #: None: from all


class ItemStore(ABC):
    """Where the rows of single downloads lie."""

    @abstractmethod
    async def make_room(self, first_day: int, last_day: int) -> None:
        """Make what downloads of these days (since 1970, both included) go to, unless it is there."""

    @abstractmethod
    async def add_within(self, unit: Unit, items: Items) -> None:
        """Add rows in the transaction that takes their chunk, where that can be."""

    @abstractmethod
    async def add_after(self, chunk: str, items: Items, there: Callable[[], bool]) -> None:
        """Add rows once that transaction is durable, where they could not be part of it; a chunk is added once.

        `there` tells whether the chunk's file is: it is asked once the chunk is taken.
        """

    @abstractmethod
    async def forget_chunks(self, names: Collection[str]) -> None:
        """Forget chunks whose files are gone, so that they cannot be added again."""

    @abstractmethod
    def read(self, wanted: Wanted) -> AsyncIterator[list[Item]]:
        """Yield in batches, in the order of time and in constant memory, what is kept of what is wanted."""

    @abstractmethod
    def first_kept(self, day: int) -> int:
        """Return the first day of which anything is kept once all that lies wholly before `day` is dropped."""

    @abstractmethod
    async def drop_before(self, day: int) -> list[str]:
        """Drop what lies wholly before a day; return what was dropped, by name."""

    @abstractmethod
    def faults(self, *, deep: bool) -> AsyncIterator[tuple[str, str]]:
        """Yield (which, what is wrong with it) for all that cannot be read; `deep` looks at every page of a file."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything."""


def day_of(number: int) -> date:
    """Return the day with a number (since 1970, UTC)."""
    return _FIRST + timedelta(days=number)


def number_of(day: date) -> int:
    """Return the number of a day."""
    return (day - _FIRST).days
