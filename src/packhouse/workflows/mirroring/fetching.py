"""A passive file on its first request: fetched once, however many clients ask however many processes.

Inside a process the first caller's task is everybody's; between processes a lease in the database decides who fetches.
Whoever waits for longer than 50 s is told to come again, while the fetch goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack, suppress
from typing import NamedTuple

from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.holdings import Fetched, Wanted
from packhouse.catalog.mirrors.mirror import Failure, Mirror
from packhouse.catalog.packages import entries
from packhouse.catalog.packages.entries import Entry
from packhouse.core import leases
from packhouse.core.clock import monotonic
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import LostLease
from packhouse.core.log import get_logger
from packhouse.core.randomness import random_hex
from packhouse.workflows.mirroring.downloading import activate
from packhouse.workflows.mirroring.obtaining import fetcher_of, locate, obtain, resume_key
from packhouse.workflows.services import Services

log = get_logger("packhouse.fetching")

#: how long a client is kept waiting, in seconds; below the minute after which proxies give up
PATIENCE_SECONDS = 50.0
#: how long a silent process keeps the right to fetch a file, in seconds; it renews four times as often
LEASE_SECONDS = 20.0
#: how often others look whether the file is there, in seconds
LOOK_SECONDS = 0.2
#: how long a file that proved unusable is not fetched again, in seconds
REFUSED_SECONDS = 10.0
_MOST_REFUSALS = 10_000


class Lease(NamedTuple):
    """The right to fetch one file, and who asks for it."""

    name: str
    holder: str


class OnDemand:
    """Fetches passive files for one process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._holder = random_hex(8)
        self._flights: dict[int, asyncio.Task[Entry]] = {}
        self._refused: dict[int, tuple[float, PackhouseError]] = {}

    async def fetch(self, channel: Channel, entry: Entry) -> Entry:
        """Return the entry once its bytes are held and verified.

        Raises PackhouseError: `not_found` when it is gone, `upstream_failed` when the upstream has no such file or
        other bytes, `try_later` after 50 s, `storage_full`.
        """
        known = self._refused.get(entry.id)
        if known is not None and monotonic() < known[0]:
            raise known[1]
        flight = self._flights.get(entry.id)
        if flight is None:
            flight = self._flights[entry.id] = asyncio.create_task(self._fly(channel, entry))
            flight.add_done_callback(lambda task: self._landed(entry.id, task))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.shield(flight)
        except TimeoutError:
            raise _later(entry) from None

    async def close(self) -> None:
        """End every fetch; what has arrived stays for a later process to go on with."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _landed(self, entry_id: int, task: asyncio.Task[Entry]) -> None:
        self._flights.pop(entry_id, None)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, PackhouseError) and error.code == "upstream_failed":
            if len(self._refused) >= _MOST_REFUSALS:
                self._refused.clear()
            self._refused[entry_id] = (monotonic() + REFUSED_SECONDS, error)

    async def _fly(self, channel: Channel, entry: Entry) -> Entry:
        """Take the lease and fetch, or wait until whoever has it is done. Ends by itself."""
        deadline = monotonic() + PATIENCE_SECONDS
        while True:
            now = await entries.find(self._services.db, channel.id, entry.family, entry.partition, entry.filename)
            if now is None:
                raise PackhouseError("not_found", f"There is no file {entry.partition}/{entry.filename}.")
            if now.active:
                return now
            mirror, one, url = await locate(self._services.db, now)
            key = hashlib.sha256(resume_key(mirror, one, url).encode()).hexdigest()
            # each flight holds its own: another channel of this process may show the same file
            lease = Lease(f"fetch:{key}", f"{self._holder}:{one.id}")
            if await self._acquire(lease):
                await self._fetch_leased(channel, mirror, one, url, lease)
                with suppress(PackhouseError):  # the file is there; its summary can wait for the publisher's round
                    await self._services.publisher.publish(channel.id)
                continue
            if monotonic() > deadline:
                raise _later(entry)
            await asyncio.sleep(LOOK_SECONDS)

    async def _fetch_leased(self, channel: Channel, mirror: Mirror, one: Wanted, url: str, lease: Lease) -> None:
        services = self._services
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._release, lease)
            keeper = asyncio.create_task(self._keep(lease))
            stack.callback(keeper.cancel)
            fetched = await self._obtain(mirror, one, url)
            try:
                refused = await services.db.write(lambda unit: self._register(unit, channel, fetched, lease))
            except LostLease:
                return  # somebody else is fetching it by now; the caller looks again
        if refused:
            raise PackhouseError(
                "upstream_failed",
                f"{one.partition}/{one.filename} was published here with other bytes before, and a file never changes.",
                "An administrator can look at the mirror's conflicts.",
            )

    async def _obtain(self, mirror: Mirror, one: Wanted, url: str) -> Fetched:
        """Obtain the file. Where it comes from and what went wrong there is not for everybody who may ask for it."""
        try:
            async with fetcher_of(self._services, mirror) as fetcher:
                return await obtain(self._services, fetcher, mirror, one, url)
        except PackhouseError as fault:
            if fault.code in ("storage_full", "try_later"):
                raise
            ckey = f"{one.partition}/{one.filename}"
            log.warning("file not obtained", mirror=mirror.uuid, file=ckey, reason=str(fault))
            failure = Failure(ckey, str(fault))
            await self._services.db.write(lambda unit: store.add_failure(unit, mirror.id, failure))
            raise PackhouseError(
                "upstream_failed",
                f"{ckey} could not be had from its upstream; nothing was stored.",
                "Ask again later. Whoever manages the channel's mirrors sees the reason.",
            ) from None

    async def _register(self, unit: Unit, channel: Channel, fetched: Fetched, lease: Lease) -> bool:
        if not await leases.renew(unit, *lease, LEASE_SECONDS):
            raise LostLease
        now = await channels.hold(unit, channel.id)  # renamed meanwhile, it stands for what both its paths promised
        if now is None:
            raise PackhouseError("not_found", "The channel is gone.", "List the channels to see what there is.")
        _, refused = await activate(unit, now, [fetched], self._services.settings.sweep_grace_seconds)
        return bool(refused)

    async def _acquire(self, lease: Lease) -> bool:
        db = self._services.db
        if not await leases.is_free(db, lease.name, await db.now()):
            return False
        return await db.write(lambda unit: leases.acquire(unit, *lease, LEASE_SECONDS))

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 4)
            with suppress(PackhouseError):  # the database is away: the unit that registers the file will tell
                await self._services.db.write(lambda unit: leases.renew(unit, *lease, LEASE_SECONDS))

    async def _release(self, lease: Lease) -> None:
        await self._services.db.write(lambda unit: leases.release(unit, *lease))


def _later(entry: Entry) -> PackhouseError:
    return PackhouseError(
        "try_later",
        f"{entry.partition}/{entry.filename} is still on its way from its upstream.",
        "Ask again shortly.",
        retry_after=10,
    )
