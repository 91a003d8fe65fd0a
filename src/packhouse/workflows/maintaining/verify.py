"""Verify: check the invariants of an installation (docs/invariants.md), beside a live server, in constant memory.

I1 what an active entry shows has a stored file of the size and hashes that are advertised, a passive one a source, and
what a pinned index shows an entry · I2 the published index is what the catalogue says, in numbers without a gap · I3 a
coordinate is bound to the content it shows · I4 nothing stored is unknown, nothing known is missing · I5 every change
has its event, and the events form an unbroken chain · I6 what hides a file is what rules say of it now · I9 every
channel has an owner who can log in and manages it among the group of its owners · I10 single downloads can be read, and
lie where those of their time belong.
What may be so for a while (a name that waits for publishing, bytes that wait for the sweep) is said as information.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from packhouse.catalog.audit import store as audit
from packhouse.catalog.audit.chain import verify_chain
from packhouse.catalog.channels import store as channels
from packhouse.catalog.downloads.store import open_items
from packhouse.catalog.groups.integrity import ill_kept
from packhouse.catalog.installation.audit_key import find_public_key
from packhouse.catalog.packages import contents, integrity, leftovers, needs
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.workflows.maintaining import judgements, pinned, published, store, stored
from packhouse.workflows.maintaining.finding import Finding
from packhouse.workflows.maintaining.stored import Pair
from packhouse.workflows.services import Services

#: channels looked at together
PAGE = 1000
_ILL_KEPT = {
    "owner": "its owner is gone or cannot log in; an administrator makes somebody else the owner",
    "group": "the group of its owners is not there",
    "name": "the group of its owners does not bear its name",
    "member": "its owner is no manager in the group of its owners",
    "grant": "the group of its owners does not manage it",
}


async def verify(services: Services, *, deep: bool = False, after: str = "") -> AsyncIterator[Finding]:
    """Yield everything that is not as it must be, and with `information` what is only worth knowing.

    `deep` looks at all single downloads, and reads and hashes every stored byte as well, in the order of SHA-256;
    `after` resumes that above a hash.
    Raises PackhouseError("try_later") when the database or the store goes away.
    """
    db = services.db
    parts = (_claims(db), _stored(services), _judged(db), _index(db), _bindings(db), _causes(db), _chain(services))
    for part in (*parts, _owners(db), _downloads(db, deep)):
        async for finding in part:
            yield finding
    if deep:
        async for finding in _bytes(services, after):
            yield finding


async def _claims(db: Database) -> AsyncIterator[Finding]:
    async for place, sha256 in integrity.false_claims(db):
        yield Finding("I1", place, f"its record claims another size or hash than its content {sha256.hex()} has")
    async for place in integrity.without_source(db):
        yield Finding("I1", place, "it was never fetched, and what it would be fetched from is gone")


async def _stored(services: Services) -> AsyncIterator[Finding]:
    orphans = orphan_bytes = unowned = unowned_bytes = 0
    async for pair in stored.pairs(services.db, services.blobs):
        if pair.content is None:
            if await contents.find_content(services.db, bytes.fromhex(pair.sha256)) is None:
                orphans, orphan_bytes = orphans + 1, orphan_bytes + (pair.size or 0)
        elif sentence := await _wrong(services, pair):
            yield Finding("I1" if pair.content.owned else "I4", pair.sha256, sentence)
        elif not pair.content.owned:
            unowned, unowned_bytes = unowned + 1, unowned_bytes + pair.content.size
    doomed, _ = await leftovers.doomed_total(services.db)
    if orphans:
        yield Finding(
            "I4", "blobs", f"{orphans} files ({orphan_bytes:,} bytes) are unknown and wait for the sweep", True
        )
    if unowned:
        said = f"{unowned} ({unowned_bytes:,} bytes) have no owner and wait for the sweep, {doomed} of them marked"
        yield Finding("I4", "contents", said, True)


async def _wrong(services: Services, pair: Pair) -> str | None:
    """Say what is wrong with a content's file; one that was stored or swept while we looked is asked for again."""
    assert pair.content is not None
    if pair.size is None:
        there = await services.blobs.exists(pair.sha256)
        if there or not await integrity.is_kept(services.db, bytes.fromhex(pair.sha256)):
            return None
        return "its bytes are not in the blob store"
    if pair.size != pair.content.size:
        return f"the stored file has {pair.size} bytes instead of {pair.content.size}"
    return None


async def _bytes(services: Services, after: str) -> AsyncIterator[Finding]:
    async for content in stored.contents(services.db, after):
        if sentence := await stored.wrong_bytes(services.blobs, content):
            yield Finding("I1", content.sha256, sentence)


async def _judged(db: Database) -> AsyncIterator[Finding]:
    for channel_id in await store.channel_ids(db):
        channel = await channels.by_id(db, channel_id)
        if channel is None:
            continue
        async for one in judgements.misjudged(db, channel):
            yield Finding("I6", f"{channel.path} {one.name}", one.sentence)
    if await judgements.waiting(db):
        yield Finding("I6", "judgement", "packages wait to be judged, and were not looked at", True)


async def _index(db: Database) -> AsyncIterator[Finding]:
    for channel_id in await store.channel_ids(db):
        channel = await channels.by_id(db, channel_id)
        if channel is None:
            continue
        async for finding in _channel(db, channel_id, channel.path):
            yield finding
    async for part, sentence in published.damaged_parts(db):
        yield Finding("I2", f"part {part.sha256.hex()}", sentence)
    for row in await store.wrong_totals(db):
        yield Finding("I2", row[1], "the sums over its packages are not those of its packages")
    if gaps := await needs.gaps(db):
        yield Finding("I2", "dependants", f"{gaps} dependants are missing, or are none any more")
    if gaps := await integrity.search_gaps(db):
        yield Finding("I2", "search", f"the search index misses or invents {gaps} packages")


async def _channel(db: Database, channel_id: int, path: str) -> AsyncIterator[Finding]:
    counters = await store.counters(db, channel_id)
    if counters is not None and not counters.sound:
        yield Finding(
            "I2",
            path,
            f"its revisions do not run from 1 to the latest: latest {counters.head}, {counters.numbers} numbers "
            f"from {counters.first} to {counters.last}, shelf up to {counters.shelved}",
        )
    for partition, name, begin, end, following in await store.broken_intervals(db, channel_id):
        said = f"what is shown from revision {begin} ends at {end}, but the next begins at {following}"
        yield Finding("I2", f"{path}/{partition} {name}", said)
    async for partition, name in published.names_that_differ(db, channel_id):
        yield Finding("I2", f"{path}/{partition} {name}", "the published index is not what the catalogue says")
    async for name in published.packages_that_differ(db, channel_id):
        yield Finding("I2", f"{path} {name}", "the package row is not what its files say")
    async for ckey in pinned.missing_files(db, channel_id):
        yield Finding("I1", f"{path}/{ckey}", "the pinned index shows it, but the channel does not have it")
    if waiting := await store.waiting(db, channel_id):
        yield Finding("I2", path, f"{waiting} changes wait for publishing", True)


async def _bindings(db: Database) -> AsyncIterator[Finding]:
    async for place, held, bound in integrity.other_bindings(db):
        to = f"bound to {bound.hex()}" if bound else "bound to nothing"
        yield Finding("I3", place, f"it shows {held.hex()}, but its coordinate is {to}")


async def _causes(db: Database) -> AsyncIterator[Finding]:
    for table, what in (("entry", "arrival"), ("removal", "removal")):
        async for place, event_id in integrity.without_cause(db, table):
            yield Finding("I5", place, f"the audit event {event_id} of its {what} does not exist")


async def _downloads(db: Database, deep: bool) -> AsyncIterator[Finding]:
    async for place, sentence in open_items(db).faults(deep=deep):
        yield Finding("I10", f"downloads {place}", sentence)


async def _chain(services: Services) -> AsyncIterator[Finding]:
    db = services.db
    try:
        key = await find_public_key(db, services.sealer)
    except PackhouseError as error:  # a copy without `secret.key`: the rest can be checked all the same
        if error.code == "try_later":
            raise
        yield Finding("I5", "audit", f"the key that signed its events does not open: {error.message}")
        return
    if key is not None:
        async for sentence in verify_chain(db, key):
            yield Finding("I5", "audit", sentence)
    elif (await audit.last_sealed(db))[0]:
        yield Finding("I5", "audit", "events are sealed, but the key that signed them is gone")
    if unsealed := await audit.count_unsealed(db):
        yield Finding("I5", "audit", f"{unsealed} events wait to be sealed", True)


async def _owners(db: Database) -> AsyncIterator[Finding]:
    after = 0
    while rows := await ill_kept(db, after, PAGE):
        for _, path, what in rows:
            yield Finding("I9", path, _ILL_KEPT[what])
        after = rows[-1][0]
