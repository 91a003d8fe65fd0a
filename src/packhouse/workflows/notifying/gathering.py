"""News become digests: one for each channel that has files of what was found, once things have settled.

A round may be broken off anywhere and be gone on with by another process: a channel has one digest of each round, and
the news are removed only when every channel has its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.notifications import hooks, outbox, subscriptions
from packhouse.catalog.vulnerabilities import news
from packhouse.catalog.vulnerabilities.news import Subject, Waiting
from packhouse.core.clock import SECOND
from packhouse.core.db import Database, Unit
from packhouse.core.randomness import new_uuid
from packhouse.workflows.notifying.digests import Collected, Digest, Release
from packhouse.workflows.services import Services

#: names looked up with one query, and vulnerabilities
NAMES = 200
VULNERABILITIES = 1000
_encode = msgspec.json.Encoder(order="deterministic").encode

#: version → vulnerabilities that were newly found in it, by name
_News = dict[str, dict[str, list[int]]]


class Patience(NamedTuple):
    """How long news are waited for that belong to the same cause, in seconds."""

    settled: float = 5.0  #: after the last, when everything is judged
    quiet: float = 30.0  #: after the last, while something still waits for judgement
    longest: float = 900.0  #: after the first, whatever still comes


async def gather_news(services: Services, patience: Patience = Patience()) -> None:  # noqa: B008  # a constant
    """Do one round, if there are news that have settled; cheap when there are none."""
    db = services.db
    found = await news.current_round(db)
    if found is None:
        now = await db.now()
        waiting = await news.waiting(db, now - int(patience.settled * SECOND))
        if waiting is None or not _ripe(waiting, now, patience):
            return
        found = await db.write(partial(news.begin_round, upto=waiting.upto))
    if not found.digested:
        collected = await _collect(db, found.upto)
        for channel_id in sorted(collected):
            await _tell(services, channel_id, found.upto, collected[channel_id])
        await db.write(partial(news.digested, upto=found.upto))
    while await db.write(partial(news.clear_some, upto=found.upto)):
        pass


def _ripe(waiting: Waiting, now: int, patience: Patience) -> bool:
    still = patience.settled if waiting.settled else patience.quiet
    return now - waiting.newest_at >= still * SECOND or now - waiting.oldest_at >= patience.longest * SECOND


async def _collect(db: Database, upto: int) -> dict[int, Collected]:
    """Return channel → what the news up to a row are about in it."""
    collected: dict[int, Collected] = {}
    family, batch = "", _News()
    async for rows in news.of_round(db, upto):
        for row_family, name, version, number in rows:
            if row_family != family or (len(batch) == NAMES and name not in batch):
                await _find(db, family, batch, collected)
                family, batch = row_family, {}
            numbers = batch.setdefault(name, {}).setdefault(version, [])
            if number not in numbers:
                numbers.append(number)
    await _find(db, family, batch, collected)
    return collected


async def _find(db: Database, family: str, batch: _News, collected: dict[int, Collected]) -> None:
    """Add what was found of some names to every channel that has files of them."""
    if not batch:
        return
    for channel_id, name, version, files in await news.in_channels(db, family, list(batch)):
        if numbers := batch[name].get(version):
            collected.setdefault(channel_id, Collected()).add(Release(family, name, version, files), numbers)


async def _tell(services: Services, channel_id: int, upto: int, collected: Collected) -> None:
    """Keep the digest of one channel, and let it be sent to all who are told."""
    digest = collected.digest(await _subjects(services.db, collected.vulnerability_ids))
    if not digest.items:
        return
    mails = services.settings.smtp_host != ""
    await services.db.write(lambda unit: _keep(unit, channel_id, upto, digest, mails))


async def _subjects(db: Database, ids: Sequence[int]) -> Mapping[int, Subject]:
    known: dict[int, Subject] = {}
    for start in range(0, len(ids), VULNERABILITIES):
        known |= await news.subjects(db, ids[start : start + VULNERABILITIES])
    return known


async def _keep(unit: Unit, channel_id: int, upto: int, digest: Digest, mails: bool) -> None:
    channel = await channels.hold(unit, channel_id)
    digest_id = await outbox.add_digest(unit, channel_id, upto, _encode(digest).decode()) if channel else None
    if channel is None or digest_id is None:
        return
    counts = {"vulnerabilities": digest.vulnerability_count, "files": digest.file_count}
    await record_event(
        unit, type="channel_cve_count_update", actor="system", object=channel.path, channel_id=channel_id, data=counts
    )
    if await subscriptions.is_silent(unit, channel_id):
        return
    people = [one for one in await subscriptions.recipients(unit, channel) if one.address and mails]
    others = await hooks.of_channel(unit, channel_id)
    for person in people:
        await outbox.add_delivery(unit, new_uuid(), digest_id, channel_id, account_id=person.account_id)
    for hook in others:
        await outbox.add_delivery(unit, new_uuid(), digest_id, channel_id, hook=hook.id)
    told = {"mails": len(people), "webhooks": len(others)}
    await record_event(
        unit, type="cve_notification_built", actor="system", object=channel.path, channel_id=channel_id,
        data=counts | told,
    )  # fmt: skip
