"""What follows from what a feed says now: vulnerabilities, statements, and names to be judged, in small units.

Everything is derived from rows that stay as they are until it is done, so it may be done again from anywhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from packhouse.catalog.vulnerabilities import advisories, feeds, records, statements, unjudged
from packhouse.catalog.vulnerabilities.advisories import SaidRow
from packhouse.catalog.vulnerabilities.feeds import Feed
from packhouse.catalog.vulnerabilities.records import VulnerabilityRow
from packhouse.catalog.vulnerabilities.statements import StatementRow
from packhouse.core.db import Unit
from packhouse.security.vulnerabilities.advisory import Advisory
from packhouse.security.vulnerabilities.merging import merge
from packhouse.security.vulnerabilities.statements import SEVERITY, statements_of
from packhouse.workflows.feeding.staging import batches
from packhouse.workflows.feeding.turn import Turn

#: vulnerabilities of one unit
BATCH = 100
#: vulnerabilities that an event names; it says how many there are
NAMED = 100
_decode = msgspec.msgpack.Decoder(Advisory).decode


async def settle(turn: Turn) -> None:
    """Bring everything derived up to the feed's run, then clear the rows of former runs."""
    feed, progress = turn.feed, turn.progress
    if feed.settled_run < feed.run:
        turn.step(4, "Merging vulnerabilities")
        keys = await advisories.changed_keys(turn.services.db, feed.id, feed.settled_run, feed.run)
        start = bisect_right(keys, progress.settled_key)
        for batch in batches(keys[start:], BATCH):
            await _settle_batch(turn, batch)
            progress.counts.settled += len(batch)
            progress.percentage = bisect_right(keys, batch[-1]) * 100 // len(keys)
        progress.settled_key = ""
        await _settled(turn, keys)
        turn.feed = msgspec.structs.replace(feed, settled_run=feed.run)
    turn.step(5, "Clearing")
    for ids in batches(await advisories.past(turn.services.db, feed.id, feed.run)):
        await turn.write(partial(advisories.remove, ids=ids))


async def _settled(turn: Turn, keys: Sequence[str]) -> None:
    """Say that what a run says anew, of the vulnerabilities `keys`, is worked in: three events at most."""
    feed, gone = turn.feed, set(keys)
    for batch in batches(keys):
        gone.difference_update(await records.known(turn.services.db, batch))
    told = {"cve_updated": [key for key in keys if key not in gone], "cve_deleted": sorted(gone)}

    async def work(unit: Unit) -> None:
        if told["cve_updated"]:
            await turn.event(unit, "cve_updated", _named(told["cve_updated"]))
        if told["cve_deleted"]:
            await turn.event(unit, "cve_deleted", _named(told["cve_deleted"]))
        counts = {kind.removeprefix("cve_"): len(found) for kind, found in told.items()}
        await turn.event(unit, "cve_update_finished", counts)
        await feeds.set_settled(unit, feed.id, feed.run)

    await turn.write(work)


def _named(keys: Sequence[str]) -> dict[str, Any]:
    return {"count": len(keys), "first" if len(keys) > NAMED else "all": keys[:NAMED]}


async def _settle_batch(turn: Turn, keys: Sequence[str]) -> None:
    async def work(unit: Unit) -> None:
        await _derive(unit, turn.feed, keys)
        turn.progress.settled_key = keys[-1]
        await turn.job.got_further(unit)

    before = turn.progress.settled_key
    try:
        await turn.write(work, alone=True)
    except BaseException:
        turn.progress.settled_key = before  # the unit may have been undone, and what fails writes the progress
        raise


async def _derive(unit: Unit, feed: Feed, keys: Sequence[str]) -> None:
    rows = await advisories.said(unit, keys)
    said: dict[str, list[tuple[SaidRow, Advisory]]] = {}
    for row in rows:
        said.setdefault(row.key, []).append((row, _decode(row.body)))
    names = {(unjudged.ECOSYSTEM + ecosystem, name) for ecosystem, name in await advisories.names(unit, keys)}
    names.update(await records.affected(unit, keys))
    mine = [(row.key, one) for found in said.values() for row, one in found if row.feed_id == feed.id and one.said]
    names.update(await _replace_statements(unit, feed, keys, mine))
    await records.put(unit, [_row(key, said[key]) for key in keys if key in said])
    await records.drop(unit, [key for key in keys if key not in said])
    await unjudged.add(unit, names)


def _row(key: str, said: Sequence[tuple[SaidRow, Advisory]]) -> VulnerabilityRow:
    found = merge(key, [(row.feed, one) for row, one in said])
    return VulnerabilityRow(
        key,
        found.kind,
        found.score,
        found.exploited,
        found.published_at,
        found.modified_at,
        found.withdrawn_at,
        found.summary,
        msgspec.msgpack.encode(found.body),
    )


async def _replace_statements(
    unit: Unit, feed: Feed, keys: Sequence[str], said: Sequence[tuple[str, Advisory]]
) -> set[tuple[str, str]]:
    """Let the feed's statements about vulnerabilities be what it says now; return the (family, name) of both."""
    origin = f"feed:{feed.name}"
    before = [row for row in await statements.of_keys(unit, keys) if row.origin == origin]
    wanted: dict[tuple[str, ...], StatementRow] = {}
    for key, advisory in said:
        for row in _statements(advisory, feed, key):
            place = (row.family, row.name, row.key, row.spec, row.sha256)
            other = wanted.get(place)
            # of two about the same the later one counts, then the worse one
            if other is None or (row.at, -_rank(row)) > (other.at, -_rank(other)):
                wanted[place] = row
    if {row._replace(id=0) for row in before} != set(wanted.values()):
        await statements.drop(unit, [row.id for row in before])
        await statements.put(unit, list(wanted.values()))
    return {(row.family, row.name) for row in (*before, *wanted.values())}


def _rank(row: StatementRow) -> int:
    return [str(status) for status in SEVERITY].index(row.status)


def _statements(advisory: Advisory, feed: Feed, key: str) -> list[StatementRow]:
    return [
        StatementRow(
            0, key, one.family, one.name, one.spec, one.sha256, one.status, one.note, one.author, one.origin, one.at
        )
        for one in statements_of(advisory, feed.name, feed.last_success_at or 0)
        if one.vulnerability == key
    ]
