"""Repair: recompute everything that is derived from the catalogue, and say what differed.

What is derived: findings, verdicts and reasons, the counters of revisions, the shelf and its parts, package rows and
their sums, the search index.
What is true (entries, contents, records, bindings, events) is never touched; `verify` says what is wrong with that.
What is shown differently afterwards is a new revision, published like any other change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import entries, integrity, needs, summaries
from packhouse.core.db import Row, Unit
from packhouse.workflows.indexing import store as index
from packhouse.workflows.indexing.rendering import render
from packhouse.workflows.indexing.store import Part
from packhouse.workflows.indexing.summarising import summaries_of
from packhouse.workflows.maintaining import judgements, published, store
from packhouse.workflows.maintaining.finding import Finding
from packhouse.workflows.maintaining.store import StoredPart
from packhouse.workflows.services import Services

#: revisions of a channel that are made up at most, where their rows are gone
MOST_MISSING = 10_000


async def repair(services: Services, *, actor: str = "system") -> AsyncIterator[Finding]:
    """Set right what is derived and yield what differed; with `information` what could not be set right, and why.

    Whoever serves beside it goes on. Raises PackhouseError("try_later") when the database goes away.
    """
    repaired = 0
    async for finding in _everything(services, actor):
        repaired += not finding.information
        yield finding
    if repaired:
        data = {"repaired": repaired}
        await services.db.write(
            lambda unit: record_event(unit, type="index_repaired", actor=actor, object="index", data=data)
        )


async def _everything(services: Services, actor: str) -> AsyncIterator[Finding]:
    await judgements.finish_taking_over(services)
    for channel_id in await store.channel_ids(services.db):
        channel = await channels.by_id(services.db, channel_id)
        if channel is not None:
            repaired = 0
            async for finding in _channel(services, channel):
                repaired += not finding.information
                yield finding
            if repaired:
                await services.db.write(partial(_tell, actor=actor, channel=channel, repaired=repaired))
    async for part, sentence in published.damaged_parts(services.db):
        yield await _part(services, part, sentence)
    for row in await store.wrong_totals(services.db):
        await services.db.write(partial(store.set_total, channel_id=row[0]))
        yield Finding("I2", row[1], "the sums over its packages were summed up again")
    if gaps := await needs.gaps(services.db):
        await services.db.write(needs.rebuild)
        yield Finding("I2", "dependants", f"{gaps} dependants were missing, or gone; they were derived again")
    if gaps := await integrity.search_gaps(services.db):
        await services.db.write(integrity.rebuild_search)
        yield Finding("I2", "search", f"{gaps} packages were missing from the search index, or gone; it was made anew")


async def _tell(unit: Unit, actor: str, channel: Channel, repaired: int) -> None:
    await record_event(
        unit,
        type="channel_reindex",
        actor=actor,
        object=channel.path,
        channel_id=channel.id,
        data={"repaired": repaired},
    )


async def _channel(services: Services, channel: Channel) -> AsyncIterator[Finding]:
    async for misjudged in _judge_again(services, channel):  # first: the index follows from it
        yield misjudged
    if finding := await services.db.write(partial(_recount, channel=channel)):
        yield finding
    for row in await store.broken_intervals(services.db, channel.id):
        await services.db.write(partial(_close, channel_id=channel.id, row=row))
        said = f"what is shown from revision {row[2]} now ends at {row[4]}"
        yield Finding("I2", f"{channel.path}/{row[0]} {row[1]}", said)
    async for partition, name in published.names_that_differ(services.db, channel.id):
        yield await _name(services, channel, partition, name)
    await services.publisher.publish(channel.id)
    async for name in published.packages_that_differ(services.db, channel.id):
        await services.db.write(partial(_describe_again, channel_id=channel.id, name=name))
        yield Finding("I2", f"{channel.path} {name}", "the package row was derived again")


async def _judge_again(services: Services, channel: Channel) -> AsyncIterator[Finding]:
    found = [one async for one in judgements.misjudged(services.db, channel)]
    if found:
        await judgements.judge_again(services, {(one.family, one.name) for one in found})
    for one in found:
        yield Finding("I6", f"{channel.path} {one.name}", f"{one.sentence}; it was judged again")


async def _recount(unit: Unit, channel: Channel) -> Finding | None:
    """Let the revisions run from 1 to the highest number anybody may have seen; say so if they did not."""
    await index.lock_head(unit, channel.id)
    counters = await store.counters(unit, channel.id)
    if counters is None or counters.sound:
        return None
    last = max(counters.head or 0, counters.last or 0, counters.shelved)
    if last - counters.numbers > MOST_MISSING:
        said = f"{last - counters.numbers} numbers are missing below {last}: that is more than one can make up"
        return Finding("I2", channel.path, said, information=True)
    await store.set_counters(unit, channel.id, last)
    await changes.note(unit, "index", channel.id)
    return Finding("I2", channel.path, f"its revisions now run from 1 to {last} without a gap")


async def _describe_again(unit: Unit, channel_id: int, name: str) -> None:
    said = await summaries_of(unit, channel_id, [name])
    await summaries.put(unit, channel_id, [name], list(said.values()))
    await changes.note(unit, "package", channel_id)


async def _close(unit: Unit, channel_id: int, row: Row) -> None:
    await store.set_end(unit, channel_id, row)
    await _show_again(unit, channel_id, row[0], row[1])


async def _show_again(unit: Unit, channel_id: int, partition: str, name: str) -> None:
    """Show the same of a name in a new revision, for processes that remember what was wrong with the old one."""
    number = await index.lock_head(unit, channel_id)
    channel = await channels.by_id(unit, channel_id)
    shown = await index.shown(unit, channel_id, {(partition, name)})
    if number is None or channel is None or channel.frozen_at is not None or not shown:
        return
    await index.show(unit, channel_id, number + 1, shown, shown)
    await index.advance(unit, channel_id, number + 1)
    await changes.note(unit, "index", channel_id)


async def _name(services: Services, channel: Channel, partition: str, name: str) -> Finding:
    """Have a name published again; the index of a frozen channel stays pinned until it is unfrozen."""
    await services.db.write(lambda unit: entries.mark_dirty(unit, channel.id, [(partition, name)]))
    place = f"{channel.path}/{partition} {name}"
    if channel.frozen_at is not None:
        return Finding("I2", place, "it is published again when the channel is unfrozen", information=True)
    return Finding("I2", place, "it was published again, from the catalogue")


async def _part(services: Services, part: StoredPart, sentence: str) -> Finding:
    """Make the bytes of a damaged part again, from the entries of a name that shows it; else nothing shows it."""
    place = f"part {part.sha256.hex()}"
    shelves = await store.shelves_of(services.db, part.id)
    for channel_id, partition, name, _ in shelves:
        rows = await index.rows_of(services.db, channel_id, [partition], [name])
        made = render(rows.get((partition, name), ()))
        if made is not None and made.sha256 == part.sha256:
            await services.db.write(partial(_rewrite, part=part, made=made))
            return Finding("I2", place, f"{sentence}; its bytes were made again")
    if any(to_rev is None for _, _, _, to_rev in shelves):
        said = "it goes when the frozen channel that shows it is unfrozen"
        return Finding("I2", place, f"{sentence}; {said}", information=True)
    await services.db.write(partial(store.drop_part, part_id=part.id))
    return Finding("I2", place, f"{sentence}; earlier revisions, which showed it, now show nothing in its place")


async def _rewrite(unit: Unit, part: StoredPart, made: Part) -> None:
    await store.set_part(unit, part.id, made)
    if made.shard_sha256 != part.shard_sha256:
        for channel_id, partition, name, to_rev in await store.shelves_of(unit, part.id):
            if to_rev is None:
                await _show_again(unit, channel_id, partition, name)
