"""Names that are asked for on demand: whoever wants one has the upstream asked, once however many want it.

What the upstream said is good for `FRESH_SECONDS`; then it is asked again with its validators. While it is away, the
channel shows what it has. Between processes a lease decides who asks. For a reserved name nobody is asked.
Whoever makes names up does no harm: an upstream is asked for few at once, and few more may wait for their turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import suppress
from typing import NamedTuple

from packhouse.catalog.changes import Change
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import pages, store
from packhouse.catalog.mirrors.mirror import Failure, Mirror
from packhouse.core import leases
from packhouse.core.clock import SECOND, monotonic
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import LostLease
from packhouse.core.log import get_logger
from packhouse.core.randomness import random_hex
from packhouse.formats import registry
from packhouse.workflows.mirroring.ours import is_ours
from packhouse.workflows.mirroring.page import Lease, lease_name, take_page
from packhouse.workflows.services import Services

log = get_logger("packhouse.listing")

#: how long an upstream's word holds, in seconds: that of a name it has, of one it has not, and of a refusal
FRESH_SECONDS = 600.0
ABSENT_SECONDS = 60.0
REFUSED_SECONDS = 10.0
#: how long a client is kept waiting, in seconds: for a name of which we have something, and for any other
PATIENCE_SECONDS = 5.0
FIRST_PATIENCE_SECONDS = 50.0
#: how long a silent process keeps the right to ask, in seconds, and how often others look
LEASE_SECONDS = 60.0
LOOK_SECONDS = 0.2
#: names of which one mirror is asked at once by this process, and how many it has to do with, those that wait included
MOST_ASKED = 16
MOST_WANTED = 200
#: stands among a mirror's failures for every name of which nothing is here: strangers choose those
ANY_NEW_NAME = "*"
_MOST_REMEMBERED = 100_000

Key = tuple[int, str, str]


class _Word(NamedTuple):
    """What the upstreams of a channel said of a name."""

    until: float  #: of `monotonic`
    fault: PackhouseError | None


class Listings:
    """Keeps names of lazy upstreams up to date for one process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._holder = random_hex(8)
        self._words: dict[Key, _Word] = {}
        self._flights: dict[Key, asyncio.Task[_Word]] = {}
        self._turns: defaultdict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MOST_ASKED))
        self._wanted: Counter[int] = Counter()  # by mirror: names being asked for, or waiting for their turn
        self._quiet: dict[int, float] = {}  # by mirror: until when (monotonic) no failure of a new name is noted
        services.feed.listen(self._changed, self._words.clear)

    def _changed(self, change: Change) -> None:
        if change.kind == "mirror":
            for key in [key for key in self._words if key[0] == change.channel_id]:
                del self._words[key]

    async def refresh(self, channel: Channel, family: str, name: str) -> PackhouseError | None:
        """Return when the channel shows what its upstreams have of a name (normalised), or has what it had.

        Returns the refusal to answer with when it shows nothing of it: an upstream is away, or asked for too long.
        """
        if registry.get(family).upstream is None or channel.frozen_at is not None:
            return None
        key = (channel.id, family, name)
        known = self._words.get(key)
        if known is not None and monotonic() < known.until:
            return known.fault
        stale, seen = await self._stale(channel, family, name)
        if not stale:
            self._remember(key, _Word(monotonic() + ABSENT_SECONDS, None))
            return None
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._fly(channel, stale, name))
            flight.add_done_callback(lambda task: self._landed(key, task))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS if seen else FIRST_PATIENCE_SECONDS):
                return (await asyncio.shield(flight)).fault
        except TimeoutError:
            return _later(name)

    async def close(self) -> None:
        """End every question."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _landed(self, key: Key, task: asyncio.Task[_Word]) -> None:
        self._flights.pop(key, None)
        if not task.cancelled() and task.exception() is None:
            self._remember(key, task.result())

    def _remember(self, key: Key, word: _Word) -> None:
        if len(self._words) >= _MOST_REMEMBERED:
            self._words.clear()
        self._words[key] = word

    async def _stale(self, channel: Channel, family: str, name: str) -> tuple[list[Mirror], bool]:
        """Return the mirrors to be asked for a name, and whether any of the channel's ever had it."""
        db = self._services.db
        mirrors = [one for one in await store.of_channel(db, channel.id) if one.family == family and _wants(one, name)]
        if not mirrors or await is_ours(db, channel.id, family, name):
            return [], False
        found = await pages.of_name(db, [one.id for one in mirrors], name)
        old = await db.now() - int(FRESH_SECONDS * SECOND)
        stale = [
            one for one in mirrors if (page := found.get(one.id)) is None or page.checked_at < max(old, one.updated_at)
        ]
        return stale, bool(found)

    async def _fly(self, channel: Channel, mirrors: list[Mirror], name: str) -> _Word:
        answers = await asyncio.gather(*(self._asked(channel, mirror, name) for mirror in mirrors))
        faults = [one for one in answers if isinstance(one, PackhouseError)]
        if any(one is True for one in answers):
            await self._services.publisher.publish(channel.id)
        seconds = REFUSED_SECONDS if faults else FRESH_SECONDS if any(answers) else ABSENT_SECONDS
        return _Word(monotonic() + seconds, faults[0] if faults else None)

    async def _asked(self, channel: Channel, mirror: Mirror, name: str) -> bool | PackhouseError:
        """Ask one upstream in turn, or wait until whoever does has; return whether it has the name, or the refusal."""
        if self._wanted[mirror.id] >= MOST_WANTED:
            return _later(name)
        self._wanted[mirror.id] += 1
        try:
            async with self._turns[mirror.id]:
                return await self._ask(channel, mirror, name)
        except PackhouseError as fault:
            if fault.code in ("storage_full", "try_later"):
                return fault
            log.warning("a listing was not obtained", mirror=mirror.uuid, name=name, reason=str(fault))
            await self._note(mirror, name, fault)
            return _away(name)
        finally:
            self._wanted[mirror.id] -= 1

    async def _note(self, mirror: Mirror, name: str, fault: PackhouseError) -> None:
        """Show a failure with the mirror: under its name when we have something of it, else all as one, not often."""
        if not await pages.of_name(self._services.db, [mirror.id], name):
            if monotonic() < self._quiet.get(mirror.id, 0.0):
                return
            self._quiet[mirror.id], name = monotonic() + REFUSED_SECONDS, ANY_NEW_NAME
        failure = Failure(name, str(fault))
        with suppress(PackhouseError):
            await self._services.db.write(lambda unit: store.add_failure(unit, mirror.id, failure))

    async def _ask(self, channel: Channel, mirror: Mirror, name: str) -> bool:
        db, deadline = self._services.db, monotonic() + FIRST_PATIENCE_SECONDS
        lease = Lease(lease_name(mirror, name), f"{self._holder}:{name}", LEASE_SECONDS)
        begun = await db.now()
        while monotonic() < deadline:
            if await leases.is_free(db, lease.name, await db.now()) and await db.write(
                lambda unit: leases.acquire(unit, *lease)
            ):
                page = (await pages.of_name(db, [mirror.id], name)).get(mirror.id)
                try:
                    if page is not None and page.checked_at >= begun:  # whoever had the lease has asked
                        return page.file_count > 0
                    done = await take_page(self._services, channel, mirror, name, lease)
                    for filename, reason in done.faults[:10]:
                        log.info("a file of a listing is not taken", mirror=mirror.uuid, file=filename, reason=reason)
                    return done.known
                except LostLease:
                    continue
                finally:
                    await db.write(lambda unit: leases.release(unit, lease.name, lease.holder))
            await asyncio.sleep(LOOK_SECONDS)
        raise _later(name)


def _wants(mirror: Mirror, name: str) -> bool:
    """Say whether the upstream of a mirror is asked for a name at all."""
    return not mirror.filters.projects or name in mirror.filters.projects


def _away(name: str) -> PackhouseError:
    return PackhouseError(
        "upstream_failed",
        f"The upstream of this channel could not be asked for {name!r}, and nothing of it is here yet.",
        "Ask again later. Whoever manages the channel's mirrors sees the reason.",
    )


def _later(name: str) -> PackhouseError:
    return PackhouseError(
        "try_later",
        f"The upstream of this channel is still being asked for {name!r}, or for many others first.",
        "Ask again shortly.",
        retry_after=10,
    )
