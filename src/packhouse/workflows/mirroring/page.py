"""The listing of one name, taken in as a mirror's run takes in an index: the same plan, the same batches, one event.

What the upstream no longer lists leaves the channel; of a name that it does not know any more, what we hold stays.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from functools import partial
from itertools import takewhile
from typing import NamedTuple

import msgspec

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import holdings, pages, store
from packhouse.catalog.mirrors.credentials import unseal
from packhouse.catalog.mirrors.holdings import Incoming, Known
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.catalog.mirrors.pages import TakenPage
from packhouse.catalog.mirrors.source import address
from packhouse.catalog.mirrors.store import TakenIndex
from packhouse.core import leases
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Response, mask_url
from packhouse.core.jobs import LostLease
from packhouse.formats import registry
from packhouse.formats.base import LazyUpstream, Listing, Malformed
from packhouse.workflows.mirroring.applying import Cause, take_in_batch, take_out_batch
from packhouse.workflows.mirroring.informing import inform
from packhouse.workflows.mirroring.obtaining import fetcher_of
from packhouse.workflows.mirroring.plan import Plan, plan
from packhouse.workflows.mirroring.policy import own_policy, policy_of
from packhouse.workflows.mirroring.preparing import prepared, tasks
from packhouse.workflows.mirroring.upstream import Source
from packhouse.workflows.services import Services

#: rows of one unit
BATCH = 500
_json = msgspec.json.Encoder(order="deterministic")


class Lease(NamedTuple):
    """The right to take in one listing, who has it, and for how many seconds."""

    name: str
    holder: str
    seconds: float


def lease_name(mirror: Mirror, name: str) -> str:
    """Return what the lease for a listing is called."""
    return f"listing:{mirror.id}:{name}"


class Done(NamedTuple):
    """What taking in a listing led to."""

    known: bool  #: whether the upstream has the name
    added: int = 0
    updated: int = 0
    removed: int = 0
    conflicts: int = 0
    faults: Sequence[tuple[str, str]] = ()  #: (file name, reason) of what was passed over


async def take_page(services: Services, channel: Channel, mirror: Mirror, name: str, lease: Lease) -> Done:
    """Ask the upstream what it has of a name, and let the channel show it. The caller publishes.

    Raises PackhouseError("upstream_failed"), and LostLease when somebody else has taken over.
    """
    upstream = registry.get(mirror.family).upstream
    if upstream is None:
        raise ValueError("the upstream of this family is not asked for one name at a time")
    where = address(unseal(services.sealer, mirror))
    before = (await pages.of_name(services.db, [mirror.id], name)).get(mirror.id)
    answer = await _ask(services, mirror, upstream, name, before)
    if answer.status == 304:
        await services.db.write(lambda unit: pages.touch(unit, mirror.id, name))
        return Done(True)
    if answer.status in (404, 410):
        if before is None:
            return Done(False)
        partition = next(iter(registry.get(mirror.family).born_with))
        listing = Listing(name, partition, [], status="gone")
    else:
        listing = await _read(where, upstream, answer, name)
    taking = _Taking(services, channel, mirror, _source(mirror, listing, where), listing, lease)
    return await taking.run(TakenPage(mirror.id, name, answer.etag, answer.last_modified, len(listing.files), 0))


async def _ask(
    services: Services, mirror: Mirror, upstream: LazyUpstream, name: str, before: TakenPage | None
) -> Response:
    # what the filters select is another question since the mirror was edited
    usable = before if before is not None and before.checked_at > mirror.updated_at and before.file_count else None
    async with fetcher_of(services, mirror) as fetcher:
        answer = await fetcher.get(
            upstream.address(name),
            max_bytes=upstream.limit,
            etag=usable.etag if usable else None,
            last_modified=usable.last_modified if usable else None,
            accept=upstream.accept,
        )
    return answer if answer.status in (404, 410) else answer.require()


async def _read(where: str, upstream: LazyUpstream, answer: Response, name: str) -> Listing:
    asked = where + upstream.address(name)
    redirected = answer.url != mask_url(asked)
    base = answer.url if redirected else _without_login(asked)
    try:
        return await asyncio.to_thread(upstream.read, answer.body, answer.content_type, base, name)
    except Malformed as fault:
        raise PackhouseError(
            "upstream_failed", f"{answer.url}: {fault}", "The channel keeps what it has; the next look tries again."
        ) from None


def _without_login(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


class _Taking:
    """The units that one listing takes."""

    def __init__(
        self, services: Services, channel: Channel, mirror: Mirror, source: Source, listing: Listing, lease: Lease
    ) -> None:
        self._services, self._channel, self._mirror = services, channel, mirror
        self._source, self._listing, self._lease = source, listing, lease
        self._event_id = 0

    async def run(self, page: TakenPage) -> Done:
        """Write additions first, removals and the page's validators last."""
        source = self._source
        found = await self._plan(source)
        todo = tasks(found)
        batch, refused = await asyncio.to_thread(prepared, source, todo)
        leaving = [(found.partition, known) for known in (*found.gone, *found.excluded) if self._leaves(known)]
        done = Done(True, faults=[*self._listing.faults, *found.unusable, *refused])
        for start in range(0, len(batch), BATCH):
            part = batch[start : start + BATCH]
            done = await self._services.db.write(partial(self._take, found=found, part=part, done=done))
        return await self._services.db.write(lambda unit: self._end(unit, found, leaving, page, done))

    async def _plan(self, source: Source) -> Plan:
        db, mirror, partition = self._services.db, self._mirror, source.partition
        known = await pages.known(db, self._channel.id, mirror.family, partition, self._listing.name)
        kept_out = await holdings.kept_out(db, self._channel.id, mirror.family, partition)
        policy = policy_of(mirror.filters, await own_policy(db, mirror))
        await inform(db, source, policy)
        return await asyncio.to_thread(plan, source, known, mirror.id, policy, kept_out, full=bool(policy))

    def _leaves(self, known: Known) -> bool:
        return self._listing.status != "gone" or not known.active

    async def _fenced(self, unit: Unit, found: Plan, removed: int = 0) -> Channel:
        """Return the channel as it stays until the unit has ended; write the event when there is something to do."""
        if not await leases.renew(unit, *self._lease):
            raise LostLease
        mirror = await store.by_id(unit, self._mirror.id)
        channel = await channels.hold(unit, self._channel.id)
        if mirror is None or channel is None or mirror.deleted_at is not None:
            raise PackhouseError("not_found", "The mirror is gone.", "List the mirrors to see what there is.")
        if mirror.updated_at != self._mirror.updated_at:
            raise LostLease  # it asks for something else by now
        self._event_id = self._event_id or await self._event(unit, channel, found)
        return channel

    async def _event(self, unit: Unit, channel: Channel, found: Plan) -> int:
        counts = {"added": len(found.add), "updated": len(found.update), "removed": len(found.gone + found.excluded)}
        if not any(counts.values()):
            return 0
        mirror = self._mirror
        return await record_event(
            unit,
            type="mirror_listing_taken",
            actor=f"mirror:{mirror.id}",
            object=f"{channel.path}/{mirror.name}",
            channel_id=channel.id,
            data={"mirror": mirror.name, "mirror_id": mirror.uuid, "name": self._listing.name}
            | {name: count for name, count in counts.items() if count},
        )

    async def _take(self, unit: Unit, found: Plan, part: Sequence[Incoming], done: Done) -> Done:
        channel = await self._fenced(unit, found)
        cause = Cause(self._mirror, self._event_id)
        # seen for the first time is not old: a listing is looked at when somebody wants it, not when it appears
        applied = await take_in_batch(unit, cause, channel, found.partition, part, first=False)
        return done._replace(
            added=done.added + applied.added,
            updated=done.updated + applied.updated,
            conflicts=done.conflicts + len(applied.conflicts),
        )

    async def _end(
        self, unit: Unit, found: Plan, leaving: Sequence[tuple[str, Known]], page: TakenPage, done: Done
    ) -> Done:
        channel = await self._fenced(unit, found)
        removed = 0
        if leaving:
            removed = await take_out_batch(unit, Cause(self._mirror, self._event_id), channel, leaving) or 0
        await pages.put(unit, msgspec.structs.replace(page, checked_at=unit.now))
        if done.added or done.updated or removed:
            await changes.note(unit, "mirror", channel.id)
        return done._replace(removed=removed)


def _source(mirror: Mirror, listing: Listing, where: str) -> Source:
    """Return a listing as what a plan is made from; addresses below the mirror's own are kept relative to it."""
    base = _without_login(where)
    files = {
        one.filename: msgspec.Raw(_json.encode({**one.record, "url": _relative(one.url, base)}))
        for one in listing.files
    }
    digest = hashlib.sha256(b"").digest()
    taken = TakenIndex(mirror.id, listing.partition, "", None, None, digest, "", None, len(files))
    return Source(listing.partition, taken, files, {}, unsupported=listing.unsupported, faults=[])


def _relative(url: str, base: str) -> str:
    """Return an address relative to `base` where it is below that, or beside it and would repeat a token of it."""
    if url.startswith(base) or mask_url(base) == base:
        return url.removeprefix(base)
    ours, theirs = base.split("/")[:-1], url.split("/")
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs[:-1], strict=False)))
    if same < 3:  # scheme and host
        return url
    return "../" * (len(ours) - same) + "/".join(theirs[same:])
