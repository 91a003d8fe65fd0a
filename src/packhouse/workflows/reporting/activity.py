"""The user activity report: who downloaded which file when, from where, and with which vulnerabilities then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Container, Sequence
from contextlib import aclosing
from functools import partial
from typing import Generic, TypeVar, get_args

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
#: rows that are told at a time: some milliseconds, in which a process does nothing else
STEP = 2000
#: what became of a file is not known any more; only of a catalogue that was put back from an older copy
LOST = FileName("", "", "", "", "", "", b"")


class Wanted(msgspec.Struct, frozen=True):
    """What a report shall be about."""

    since: int  #: µs
    before: int  #: µs, excluded
    usernames: tuple[str, ...] = ()  #: none: everybody
    channels: tuple[str, ...] = ()  #: none: all
    form: str = "json"


class Person(msgspec.Struct):
    """Who downloaded: the columns of a report stand in the order of these classes."""

    user_name: str | None  #: None: nobody in particular; accounts that were deleted keep their name here


class Token(msgspec.Struct):
    """With which token, if one was shown."""

    token_id: str | None


class File(msgspec.Struct):
    """What: a file as it was."""

    channel_name: str
    family: str
    platform: str
    package: str
    version: str
    filename: str
    sha256: str


class Known(msgspec.Struct):
    """Which vulnerabilities were known of its version then."""

    cves: list[str]


class Place(msgspec.Struct):
    """From where; empty: nobody knows."""

    address: str


class Program(msgspec.Struct):
    """By which client."""

    user_agent: str
    client_tokens: dict[str, str]  #: sent by anaconda-anon-usage and the like, by kind


Part = Person | Token | File | Known | Place | Program
#: how a form writes down a part of a row
Encode = Callable[[Part], str]
#: a download: its time (RFC 3339), and the rest of its row, encoded, with commas between the parts
Row = tuple[str, str]

#: of a row; the time comes first
COLUMNS = ("time", *(name for part in get_args(Part) for name in part.__struct_fields__))


async def activity(db: Database, wanted: Wanted, actor: str, encode: Encode) -> AsyncIterator[list[Row]]:
    """Return the rows of a report in batches, by time and in constant memory; that it was asked for is an event.

    What many rows have in common is looked up and encoded once for all of them.

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
        encode,
        items.Wanted(
            wanted.since,
            wanted.before,
            {number for name in wanted.usernames for number in accounts[name]} if wanted.usernames else None,
            {number for path in wanted.channels for number in channels[path]} if wanted.channels else None,
        ),
    )


class _Numbered(Generic[T]):
    """What numbers stand for, encoded: asked of the catalogue once for each and batch; so many are remembered."""

    def __init__(
        self, ask: Callable[[Collection[int]], Awaitable[dict[int, T]]], tell: Callable[[T | None], str]
    ) -> None:
        self._ask, self._tell, self._known = ask, tell, dict[int | None, str]()

    async def of(self, numbers: set[int | None]) -> dict[int | None, str]:
        missing = numbers - self._known.keys()
        if len(self._known) + len(missing) > REMEMBERED:
            self._known, missing = {}, numbers
        if missing:
            answers = await self._ask([number for number in missing if number is not None])
            for number in missing:
                self._known[number] = self._tell(None if number is None else answers.get(number))
        return self._known


class _Texts(dict[T, str]):
    """What rows say themselves, encoded; so many are remembered."""

    def __init__(self, tell: Callable[[T], str]) -> None:
        super().__init__()
        self._tell = tell

    def __missing__(self, value: T) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        return self.setdefault(value, self._tell(value))


async def _rows(db: Database, encode: Encode, wanted: items.Wanted) -> AsyncIterator[list[Row]]:
    people = _Numbered(partial(names.people, db), lambda name: encode(Person(name)))
    files = _Numbered(partial(names.files, db), lambda file: encode(_file(file or LOST)))
    known = _Numbered(partial(dictionaries.sets, db), lambda cves: encode(Known(cves or [])))
    programs = _Numbered(partial(dictionaries.agents, db), lambda agent: encode(Program(*(agent or ("", {})))))
    tokens, places = _Texts[str | None](lambda it: encode(Token(it))), _Texts[str](lambda it: encode(Place(it)))
    async with aclosing(_steps(open_items(db).read(wanted))) as found:
        async for batch in found:
            person = await people.of({one.account_id for one in batch})
            file = await files.of({one.file_id for one in batch})
            cves = await known.of({one.cve_set_id for one in batch})
            program = await programs.of({one.agent_id for one in batch})
            yield [
                (
                    to_iso(at) or "",
                    f"{person[account]},{tokens[token]},{file[which]},{cves[known_]},{places[place]},{program[agent]}",
                )
                for at, which, _, account, token, place, agent, known_ in batch
            ]


def _file(file: FileName) -> File:
    return File(file.channel, file.family, file.partition, file.name, file.version, file.filename, file.sha256.hex())


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
