"""The user activity report: who downloaded which file when, from where, and with which vulnerabilities then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Container, Sequence
from contextlib import aclosing
from functools import partial
from typing import Generic, TypeVar

import msgspec

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.downloads import dictionaries, items, names
from packhouse.catalog.downloads.items import Item
from packhouse.catalog.downloads.names import FileName
from packhouse.catalog.downloads.store import open_items
from packhouse.core.clock import DAY, to_iso
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError

T = TypeVar("T")

#: a leap year, whole
MOST_DAYS = 366
#: names of each kind that a report keeps in memory
REMEMBERED = 10_000
#: rows that are told at a time: some 10 ms, in which a process does nothing else
STEP = 500
#: what became of a file is not known any more; only of a catalogue that was put back from an older copy
LOST = FileName("", "", "", "", "", "", b"")


class Wanted(msgspec.Struct, frozen=True):
    """What a report shall be about."""

    since: int  #: µs
    before: int  #: µs, excluded
    usernames: tuple[str, ...] = ()  #: none: everybody
    channels: tuple[str, ...] = ()  #: none: all
    form: str = "json"


class Activity(msgspec.Struct, frozen=True, gc=False):
    """A row of the report: one download."""

    username: str | None  #: None: nobody in particular; accounts that were deleted keep their name here
    what: Item
    file: FileName
    agent: str
    tokens: dict[str, str]  #: that the client sent, by kind
    cves: list[str]  #: that were known then


async def activity(db: Database, wanted: Wanted, actor: str) -> AsyncIterator[list[Activity]]:
    """Return the rows of a report in batches, by time and in constant memory; that it was asked for is an event.

    Raises PackhouseError("bad_request") for times that are no year or less, and names that nobody and no channel ever
    had.
    """
    if not 0 < wanted.before - wanted.since <= MOST_DAYS * DAY:
        raise PackhouseError(
            "bad_request",
            "`from_date` and `to_date` are a year apart at most, the second one not before the first.",
            "Ask for one year after the other.",
        )
    accounts = await names.accounts_named(db, wanted.usernames)
    _all_known("user", wanted.usernames, accounts)
    channels = await names.channels_named(db, wanted.channels) if wanted.channels else {}
    _all_known("channel", wanted.channels, channels)
    await db.write(partial(_tell, wanted, actor))
    return _rows(
        db,
        items.Wanted(
            wanted.since,
            wanted.before,
            {number for name in wanted.usernames for number in accounts[name]} if wanted.usernames else None,
            {number for path in wanted.channels for number in channels[path]} if wanted.channels else None,
        ),
    )


class _Known(Generic[T]):
    """What numbers stand for, asked of the catalogue once for each and batch; so many are remembered."""

    def __init__(self, ask: Callable[[Collection[int]], Awaitable[dict[int, T]]]) -> None:
        self._ask, self._known = ask, dict[int, T]()

    async def of(self, numbers: set[int]) -> dict[int, T]:
        missing = numbers - self._known.keys()
        if len(self._known) + len(missing) > REMEMBERED:
            self._known, missing = {}, numbers
        if missing:
            self._known.update(await self._ask(missing))
        return self._known


async def _rows(db: Database, wanted: items.Wanted) -> AsyncIterator[list[Activity]]:
    files, people = _Known(partial(names.files, db)), _Known(partial(names.people, db))
    agents, sets = _Known(partial(dictionaries.agents, db)), _Known(partial(dictionaries.sets, db))
    store = open_items(db)
    async with aclosing(_steps(store.read(wanted))) as found:
        async for batch in found:
            file = await files.of({one.file_id for one in batch})
            person = await people.of({one.account_id for one in batch})
            agent = await agents.of({one.agent_id for one in batch})
            cves = await sets.of({one.cve_set_id for one in batch if one.cve_set_id is not None})
            yield [
                Activity(
                    person.get(one.account_id),
                    one,
                    file.get(one.file_id, LOST),
                    *agent.get(one.agent_id, ("", {})),
                    cves.get(one.cve_set_id or 0, []),
                )
                for one in batch
            ]


async def _steps(batches: AsyncIterator[list[Item]]) -> AsyncGenerator[list[Item]]:
    """Yield what is read in pieces so small that the process answers others in between."""
    async with aclosing(batches) as found:  # type: ignore[type-var]  # a generator, which its type hides
        async for batch in found:
            for begin in range(0, len(batch), STEP):
                yield batch[begin : begin + STEP]
                await asyncio.sleep(0)


def _all_known(kind: str, asked: Sequence[str], known: Container[str]) -> None:
    for name in asked:
        if name not in known:
            raise PackhouseError(
                "bad_request",
                f"There is no {kind} {name[:80]!r}, and downloads know none.",
                "Correct the name, or leave it out for all.",
            )


async def _tell(wanted: Wanted, actor: str, unit: Unit) -> None:
    data = {
        "from": to_iso(wanted.since),
        "until": to_iso(wanted.before),
        "users": list(wanted.usernames[:100]),
        "channels": list(wanted.channels[:100]),
        "form": wanted.form,
    }
    await record_event(unit, type="report_generated", actor=actor, object="artifact_downloads", data=data)
